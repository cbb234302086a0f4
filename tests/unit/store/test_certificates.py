"""The certificates in use: the log is reminded, once a day, of those that end soon."""

import os
import pathlib

import pytest
from certificates import Authority

from vqmail.store import certificates

NAME = "mail.test"
DAY = 86400


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(certificates, "DEFAULT", os.fsencode(tmp_path / "servercert.pem"))
    monkeypatch.setattr(certificates, "FOLDER", os.fsencode(tmp_path / "servercerts"))
    return tmp_path / "servercert.pem"


def put(path: pathlib.Path, text: bytes) -> None:
    """As certbot's hooks do."""
    new = path.with_suffix(".new")
    new.write_bytes(text)
    new.chmod(0o400)
    new.replace(path)


def words(lines: "list[str]") -> "list[str]":
    """The lines without the path and the date."""
    return [each.rpartition("/")[2].partition(" on ")[0] for each in lines]


def test_one_that_has_ended_is_used_and_the_log_told_once_a_day(path: pathlib.Path, authority: Authority,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, authority.sign(NAME, days=-1))
    now = certificates.time.time()
    used = certificates.Certificates()

    changed, lines = used.renew()
    assert (changed, words(lines)) == (True, ["servercert.pem: loaded", "servercert.pem: expired"])
    assert lines[1].endswith(" GMT; renew it")
    assert used.renew() == (False, [])
    monkeypatch.setattr(certificates.time, "time", lambda: now + DAY)
    assert words(used.renew()[1]) == ["servercert.pem: expired"]
    assert used.renew() == (False, [])


@pytest.mark.parametrize(("days", "told"), [(13, ["servercert.pem: expires"]), (15, [])])
def test_one_that_ends_within_two_weeks(path: pathlib.Path, authority: Authority, days: int, told: "list[str]") -> None:
    put(path, authority.sign(NAME, days=days))

    assert words(certificates.Certificates().renew()[1]) == ["servercert.pem: loaded", *told]


def test_a_renewed_one_ends_the_reminders_and_a_broken_one_does_not(path: pathlib.Path, authority: Authority,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, authority.sign(NAME, days=2))
    now = certificates.time.time()
    used = certificates.Certificates()
    used.renew()

    put(path, b"broken")
    used.renew()
    monkeypatch.setattr(certificates.time, "time", lambda: now + DAY)
    assert words(used.renew()[1]) == ["servercert.pem: expires"]
    put(path, authority.sign(NAME, days=90))
    assert words(used.renew()[1]) == ["servercert.pem: renewed"]
    monkeypatch.setattr(certificates.time, "time", lambda: now + 2 * DAY)
    assert used.renew() == (False, [])
