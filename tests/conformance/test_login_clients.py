"""Logging in with the programs that people have, over TLS and without, in each form of a login: a whole installation under
svscan, its doors under Debian's tcpserver (a process for each connection) and under ours (warm)."""

import itertools
import typing

import mail_clients
import pytest
from clients_world import ANN, ANNS, BEHIND, CARL, HOST, ONE, SECRET, TWO, Site
from mail_clients import CANNOT, POP3, SMTP, Errand

pytestmark = [pytest.mark.root, pytest.mark.peers]
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["tcpserver", "vq-tcpserver"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Site]":
    each = Site(tmp_path_factory.mktemp("clients"), request.param)
    try:
        each.start()
        yield each
    finally:
        each.stop()


@pytest.fixture
def errand(site: Site) -> "typing.Callable[..., Errand]":
    """Makes an errand: for POP3, or with a subject for SMTP."""
    def make(how: str, user: str, password: str, host: str = HOST, *, subject: str = "", **more: object) -> Errand:
        folder = site.path / f"errand{next(NUMBERS)}"
        folder.mkdir()
        defaults = {"folder": folder, "how": how, "host": host, "user": user, "password": password, "subject": subject,
                    "port": site.ports["smtp" if subject else "pop3", how], "sender": f"bob@{ONE}", "recipient": CARL}
        return Errand(**(defaults | more))
    return make


def wrong(password: str) -> str:
    return password[:-1] + "?"


def lines(text: bytes) -> "list[bytes]":
    return text.replace(b"\r\n", b"\n").split(b"\n")


# ---- reading


@pytest.mark.parametrize(("name", "how"), [
    (name, how) for name in POP3 for how in ("plain", "starttls", "tls") if (name, how) not in CANNOT])
def test_each_client_reads_the_mail_of_the_right_bob(site: Site, errand, name: str, how: str) -> None:
    fetch = POP3[name]

    assert b"of domain1.test" in lines(fetch(site, errand(how, f"bob@{ONE}", SECRET[ONE])))
    assert fetch(site, errand(how, f"bob@{ONE}", SECRET[TWO])) == b""
    if how == "plain":                          # no name, no domain: nobody's
        assert fetch(site, errand(how, "bob", SECRET[ONE])) == b""
    else:                                       # the name in the TLS handshake says whose bob it is
        assert b"of domain2.test" in lines(fetch(site, errand(how, "bob", SECRET[TWO], f"pop.{TWO}")))
