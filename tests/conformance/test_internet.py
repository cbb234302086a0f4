"""Mail through a little internet: from host to host, past servers that are down, strange or broken."""

import collections
import itertools
import pathlib
import re
import time
import typing

import internet
import pytest
import system as module
from internet_world import Log, World, message
import oddservers

pytestmark = [pytest.mark.root, pytest.mark.peers, pytest.mark.slow]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[World]":
    world = World(tmp_path_factory.mktemp("internet"))
    yield world
    world.close()


# from each to each

@pytest.mark.parametrize(("here", "there"), list(itertools.permutations("abc", 2)))
def test_mail_from_each_to_each(world: World, here: str, there: str) -> None:
    token = world.token()
    world.hosts[here].send(f"bob@{here}.test", [f"ann@{there}.test"], message(token, sender=f"bob@{here}.test"))
    letter = world.arrives(world.hosts[there], "ann", token)

    assert letter.startswith(b"Return-Path: <bob@%s.test>\n" % here.encode())
    assert letter.endswith(b"\n\nhello\n")
    assert re.search(rb"\nReceived: from [^\n]*mail\.%s\.test" % here.encode(), letter)
