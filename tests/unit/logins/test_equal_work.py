"""A "no" costs the same work, and is the same answer, whatever the reason: counted, for a clock would be luck."""

import os
import pathlib
import typing

import pytest

from vqmail.formats import passwd
from vqmail.logins import account, admission, guessing, sources
from vqmail.store import control, hashes

DOMAIN = b"example.test"
SHA512 = b"$6$saltsalt$" + b"." * 86
HERE = account.Client(b"192.0.2.1", b"", b"", b"", b"", account.POP3, True)  # noqa: FBT003
PEOPLE: "dict[bytes, tuple[bytes | None, bytes]]" = {     # what is stored, and why he does not get in
    b"bob": (hashes.crypt(b"right", b"$y$j85$" + b"." * 20), b""), b"sha": (SHA512, b""), b"locked": (b"!" + SHA512, b""),
    b"empty": (b"", b""), b"clear": (b"{CLEAR}right", b""), b"weak": (b"$1$saltsalt$wTLsTBb/.H7e4VHujepbF0", b""),
    b"suspended": (None, b"suspended in etc/options of example.test")}


@pytest.fixture
def computed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> "list[bytes]":
    """The salts of the slow hashes that were computed, since the list was cleared."""
    found: "list[bytes]" = []
    true = hashes.crypt

    def counted(secret: bytes, salt: bytes) -> bytes:
        found.append(salt)
        return true(secret, salt)

    def look(name: bytes, _client: account.Client) -> "typing.Any":
        user, _, domain = name.partition(b"@")
        if user not in PEOPLE or domain != DOMAIN:
            return None
        stored, why = PEOPLE[user]
        return admission.Found(passwd.Entry.__new__(passwd.Entry), DOMAIN, stored, why)

    monkeypatch.setattr(hashes, "crypt", counted)
    monkeypatch.setattr(admission, "virtual_user", look)
    monkeypatch.setattr(admission, "named", lambda name, _client: name)
    monkeypatch.setattr(sources, "read", lambda: [sources.Source(sources.VIRTUAL, [], False)])
    monkeypatch.setattr(guessing, "PATH", os.fsencode(tmp_path / "guesses"))
    monkeypatch.setattr(control, "read", lambda _name: b"")
    return found


@pytest.mark.parametrize("name", [b"nobody@example.test", b"bob@elsewhere.test", b"bob", b"", b"bob\n@example.test",
                                  *(each + b"@" + DOMAIN for each in PEOPLE)])
@pytest.mark.parametrize("secret", [b"wrong", b"", b"\xff", b"w" * 500, b"n\0ul"])
def test_every_no_costs_one_slow_hash_and_says_the_same(computed: "list[bytes]", name: bytes, secret: bytes) -> None:
    verdict = admission.check(name, secret, b"", HERE, lambda _seconds: None)

    assert (admission.WRONG, None) == (verdict.code, verdict.account)
    assert 1 == sum(salt.startswith((b"$y$", b"$6$")) for salt in computed), computed


def test_a_locked_address_costs_none_whoever_it_asks_about(computed: "list[bytes]") -> None:
    for number in range(20):
        guessing.wrong(b"x%d" % number, HERE.ip, b"%d" % number)
    said = {admission.check(each + b"@" + DOMAIN, b"wrong", b"", HERE).code for each in (*PEOPLE, b"nobody")}

    assert ({admission.WRONG}, []) == (said, computed)
