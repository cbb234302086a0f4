"""SCRAM for whom there is and for whom there is not."""

import pathlib
import threading

import pytest

from scram_client import Client
from vqmail import codes
from vqmail.proto import scram
from vqmail.logins import scramsecret
from vqmail.store import passwords


@pytest.fixture
def file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(scramsecret, "PATH", str(tmp_path / "scramsecret").encode())
    monkeypatch.setattr(scramsecret.aliasdomain, "real", lambda domain: {b"other.test": b"a.test"}.get(domain, domain))
    return tmp_path / "scramsecret"


def gets_in(stored: "bytes | None", password: bytes) -> bool:
    keys = scramsecret.keys(b"bob@a.test", stored)
    server = scram.Server(keys.iterations, keys.salt, keys.stored_key, keys.server_key, b"server")
    client = Client(b"bob@a.test", password)
    said = server.final(client.final(server.first(client.first())))

    assert said in (None, client.expected)
    return said is not None


def test_whom_there_is(file: pathlib.Path) -> None:
    for stored in (b"{CLEAR}geheim", passwords.hashed(b"geheim", bytes(20), b"scram-sha-256")):
        assert (gets_in(stored, b"geheim"), gets_in(stored, b"gehein")) == (True, False)


@pytest.mark.parametrize("stored", [None, b"*", b"", b"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69", b"$6$x"])
def test_whom_there_is_not(file: pathlib.Path, stored: "bytes | None") -> None:
    assert gets_in(stored, b"geheim") is False
    assert gets_in(stored, b"") is False


def test_a_salt_stays(file: pathlib.Path) -> None:
    one = scramsecret.keys(b"bob@a.test", None)

    assert scramsecret.keys(b"bob@a.test", b"*") == one
    assert scramsecret.keys(b"bob@a.test", b"{CLEAR}geheim").salt == one.salt
    assert scramsecret.keys(b"Bob@A.test", None) == scramsecret.keys(b"bob@other.test", None) == one
    assert scramsecret.keys(b"ann@a.test", None).salt != one.salt
    assert scramsecret.keys(b"bob", None).salt != one.salt
    assert file.stat().st_mode & 0o777 == 0o400
    assert [each.name for each in file.parent.iterdir()] == ["scramsecret"]


def test_many_at_once_make_one_secret(file: pathlib.Path) -> None:
    found = []
    threads = [threading.Thread(target=lambda: found.append(scramsecret.keys(b"bob@a.test", None).salt)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (len(found), len(set(found))) == (8, 1)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_broken_secret_is_trouble(file: pathlib.Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(codes.TryLater, match="scramsecret"):
        scramsecret.keys(b"bob@a.test", None)
