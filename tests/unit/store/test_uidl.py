"""Unique-ids of a maildir, in the style of whoever served it before; sizes that are kept; the time between two logins."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.store import control, mailbox, popfile
from vqmail.unix import calls


@pytest.fixture
def directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A maildir with two messages; control/uidlstyle is absent."""
    monkeypatch.setattr(control, "read", lambda _: None)
    for each in ("tmp", "new", "cur"):
        (tmp_path / "Maildir" / each).mkdir(parents=True)
    for name in ("cur/1.a,S=5:2,S", "new/2.b"):
        (tmp_path / "Maildir" / name).write_bytes(b"text\n")
    return tmp_path / "Maildir"


def ids(directory: pathlib.Path) -> "list[bytes]":
    return mailbox.Mailbox(os.fsencode(directory)).unique_ids()


def test_qmail_is_what_nobody_chose(directory: pathlib.Path) -> None:
    assert ids(directory) == [b"1.a,S=5", b"2.b"]


def test_the_maildir_chooses_before_the_postmaster(directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "read", lambda _: b"dovecot\n")
    (directory / "uidlstyle").write_bytes(b"TPOP3D \n")

    # printf %s 1.a,S=5 | md5sum; printf %s 2.b | md5sum
    assert ids(directory) == [b"f8554d13f2cf743857aeaff35bf5b327", b"4d17423dfce3bb2aa69549522d99884b"]


def test_a_style_that_there_is_not_gives_no_ids_at_all(directory: pathlib.Path) -> None:
    (directory / "uidlstyle").write_bytes(b"courier\n")
    with pytest.raises(codes.TryLater, match="there may stand qmail, tpop3d or dovecot"):
        ids(directory)


def test_a_list_that_cannot_be_read_gives_no_ids_at_all(directory: pathlib.Path) -> None:
    (directory / "uidlstyle").write_bytes(b"dovecot\n")
    (directory / "dovecot-uidlist").mkdir()
    with pytest.raises(codes.TryLater, match="dovecot-uidlist: Is a directory"):
        ids(directory)
    (directory / "dovecot-uidlist").rmdir()
    (directory / "dovecot-uidlist").write_bytes(b"rubbish\n")
    with pytest.raises(codes.TryLater, match="no header"):
        ids(directory)


def test_dovecots_ids_stay_when_dovecot_goes_on_numbering(directory: pathlib.Path) -> None:
    (directory / "uidlstyle").write_bytes(b"dovecot\n")

    assert ids(directory) == [b"1.a,S=5", b"2.b"]       # Dovecot was never here

    (directory / "dovecot-uidlist").write_bytes(b"3 V255 N8\n7 :1.a,S=5\n")

    assert ids(directory) == [b"00000007000000ff", b"2.b"]

    (directory / "dovecot-uidlist").write_bytes(b"3 V256 N9\n1 :1.a,S=5\n2 :2.b\n")

    assert ids(directory) == [b"00000007000000ff", b"2.b"]
    assert (directory / "vqpop3uidl").read_bytes() == b"00000007000000ff 1.a,S=5\n"
    assert list((directory / "tmp").iterdir()) == []


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> "list[bytes]":
    """The messages that are opened."""
    opened = []
    real = calls.open

    def note(path: bytes, *more: int) -> int:
        if b"/cur/" in path or b"/new/" in path:
            opened.append(path)
        return real(path, *more)

    monkeypatch.setattr(calls, "open", note)
    return opened


def fill(directory: pathlib.Path, count: int, sizes: str) -> None:
    for name in ("cur/1.a,S=5:2,S", "new/2.b"):
        (directory / name).unlink()
    for number in range(count):
        (directory / "new" / f"{1000 + number}.x{sizes}").write_bytes(b"text\n")


def sizes(directory: pathlib.Path) -> "list[int]":
    box = mailbox.Mailbox(os.fsencode(directory))
    found = [box.octets(each) for each in range(box.count)]
    box.keep()
    return found


def test_octets_in_names_open_nothing(directory: pathlib.Path, opened: "list[bytes]") -> None:
    fill(directory, 2000, ",S=5,W=6")

    assert (sizes(directory), opened) == ([6] * 2000, [])
    assert not (directory / "vqpop3sizes").exists()


def test_sizes_in_names_are_used_where_too_many_would_be_opened(directory: pathlib.Path, opened: "list[bytes]") -> None:
    fill(directory, 2500, ",S=5")

    assert sizes(directory) == [6] * 1000 + [5] * 1500
    assert len(opened) == 1000
    assert sizes(directory) == [6] * 2000 + [5] * 500
    assert sizes(directory) == [6] * 2500
    assert len(opened) == 2500
    assert sizes(directory) == [6] * 2500
    assert len(opened) == 2500


def test_what_no_name_tells_is_counted_once(directory: pathlib.Path, opened: "list[bytes]") -> None:
    fill(directory, 1200, "")

    assert [sizes(directory), sizes(directory)] == [[6] * 1200] * 2
    assert len(opened) == 1200


def test_few_are_not_worth_keeping(directory: pathlib.Path) -> None:
    assert sizes(directory) == [6, 6]
    assert not (directory / "vqpop3sizes").exists()


def test_sizes_that_are_broken_are_counted_again(directory: pathlib.Path) -> None:
    (directory / "vqpop3sizes").write_bytes(b"\n99\nx 1.a,S=5\n\xff 2.b\n7")

    assert sizes(directory) == [6, 6]


def test_sizes_of_messages_that_are_gone_go_too(directory: pathlib.Path) -> None:
    fill(directory, 100, "")
    sizes(directory)
    for number in range(60):
        (directory / "new" / f"{1000 + number}.x").unlink()
        (directory / "new" / f"{2000 + number}.x").write_bytes(b"text\n")
    sizes(directory)

    assert (directory / "vqpop3sizes").read_bytes().count(b"\n") == 100


def test_a_login_too_soon(directory: pathlib.Path) -> None:
    path = os.fsencode(directory) + b"/"

    assert not popfile.too_soon(path, 60, 1e9)

    os.utime(directory / "vqpop3login", (1000, 1000))

    assert popfile.too_soon(path, 60, 1059)
    assert not popfile.too_soon(path, 60, 999)          # the clock was set back
    os.utime(directory / "vqpop3login", (1000, 1000))
    assert not popfile.too_soon(path, 60, 1060)
    assert (directory / "vqpop3login").stat().st_mtime > 1060       # and noted
