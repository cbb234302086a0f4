"""Unique-ids of the Maildirs of others, as the real Dovecot gives them; and a large Maildir, of which no file is opened."""

import os
import pathlib
import poplib
import re
import subprocess

import pytest
import system as module
from test_peers_dovecot import Dovecot

pytestmark = [pytest.mark.root, pytest.mark.peers]


@pytest.fixture(params=["cold", "warm"])
def world(request, system: module.System) -> module.System:
    """ann, with messages of all kinds of names; POP3 on world.port."""
    system.add_domain("domain1.test", {"ann": "x"})
    box = system.maildir("domain1.test", "ann")
    for name in ("new/1700000001.M1P2V3I4.host,S=5,W=6", "new/1700000002.77_0.host", "cur/1700000003.M1P2.host,S=5:2,S",
                 "cur/1700000004.M1P2.host:2,RS"):
        put(system, box / name)
    system.port = system.start_pop3(warm=request.param == "warm")
    return system


def put(system: module.System, path: pathlib.Path, text: bytes = b"text\n") -> None:
    uid = system.domains["domain1.test"]["ann"]
    path.write_bytes(text)
    os.chown(path, uid, uid)


def ids(port: int) -> "list[bytes]":
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    client.user("ann@domain1.test")
    client.pass_("x")
    found = sorted(row.split()[1] for row in client.uidl()[1])
    client.quit()
    return found


@pytest.mark.parametrize(("style", "form"), [("dovecot", "%08Xu%08Xv"), ("tpop3d", "%Mf"), ("qmail", "%f")])
def test_ids_are_those_that_dovecot_gave(world: module.System, style: str, form: str) -> None:
    # the first is what Dovecot does by itself
    dovecot = Dovecot(world, more="" if style == "dovecot" else f"pop3_uidl_format = {form}")
    theirs = ids(dovecot.port)
    world.stop("dovecot")
    world.control("uidlstyle", style + "\n")

    assert len(theirs) == 4
    assert ids(world.port) == theirs


def test_dovecots_ids_stay_when_new_mail_comes(world: module.System) -> None:
    dovecot = Dovecot(world)
    theirs = ids(dovecot.port)
    put(world, world.maildir("domain1.test", "ann") / "uidlstyle", b"dovecot\n")      # this Maildir's own choice

    assert ids(world.port) == theirs

    put(world, world.maildir("domain1.test", "ann") / "new/1700000009.M1P2.host", b"new\n")
    ours = ids(world.port)

    assert set(ours) - set(theirs) == {b"1700000009.M1P2.host"}

    ids(dovecot.port)                                           # it gives the new one a number

    assert ids(world.port) == ours


COUNT = 100_000


@pytest.mark.slow
def test_of_a_hundred_thousand_messages_no_file_is_opened(system: module.System) -> None:
    """The whole session under strace: what STAT, LIST and UIDL open."""
    system.add_domain("domain1.test", {"ann": "x"})
    box = system.maildir("domain1.test", "ann")
    put(system, box / "cur/1.first:2,S")
    for number in range(COUNT):
        if number % 20_000 == 0:                # a file may have so many names
            first = box / "cur" / f"{1700000000 + number}.M1P1.host,S=5,W=6:2,S"
            put(system, first)
        else:
            os.link(first, box / "cur" / f"{1700000000 + number}.M1P1.host,S=5,W=6:2,S")
    (box / "cur/1.first:2,S").unlink()
    uid = system.domains["domain1.test"]["ann"]
    trace = box / "tmp/trace"
    done = subprocess.run(["strace", "-f", "-e", "trace=open,openat,stat,lstat,newfstatat,statx", "-o", trace,
                           system.bin("vq-pop3d"), "Maildir"], cwd=box.parent, user=uid, group=uid, extra_groups=[],
                          env=system.env(), input=b"STAT\r\nLIST\r\nUIDL\r\nQUIT\r\n", capture_output=True, timeout=120, check=False)
    rows = done.stdout.split(b"\r\n")

    assert rows[:4] == [b"+OK ", b"+OK %d %d" % (COUNT, 6 * COUNT), b"+OK ", b"1 6"]
    assert rows.count(b".") == 2
    assert len(set(rows)) > 2 * COUNT

    calls = trace.read_text()

    assert re.findall(r'"Maildir/cur/[^"]', calls) == []
    assert calls.count('"Maildir/cur"') + calls.count('"Maildir/cur/"') >= 1
