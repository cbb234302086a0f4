"""Who controls a local address, by users/cdb (QMAIL interface 7.2)."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.formats import assign
from vqmail.store import cdb, users

ASSIGN = b"""\
=joe:joe:1001:1001:/home/joe:::
+joe-:joe:1001:1001:/home/joe:-::
+joe-list-:ann:1002:1002:/home/ann:-:l-:
=joe-boss:boss:1003:1003:/home/boss:-:b:
+X=:eq:1004:1004:/home/eq:-::
+aB:upper:1005:1005:/home/upper:-::
+:alias:1006:1006:/alias:-::
.
"""


@pytest.fixture
def table(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    path = os.fsencode(tmp_path / "cdb")
    monkeypatch.setattr(users, "PATH", path)
    return path


@pytest.fixture
def lookup(table: bytes):
    cdb.make(table, assign.records(ASSIGN.split(b"\n")), 0o644)
    each = users.Lookup()
    yield each
    each.close()


@pytest.mark.parametrize(("local", "owner"), [
    (b"joe", (b"joe", 1001, 1001, b"/home/joe", b"", b"")),
    (b"JOE", (b"joe", 1001, 1001, b"/home/joe", b"", b"")),
    (b"joe-", (b"joe", 1001, 1001, b"/home/joe", b"-", b"")),
    (b"joe-Ext-More", (b"joe", 1001, 1001, b"/home/joe", b"-", b"Ext-More")),
    (b"Joe-List-Owner", (b"ann", 1002, 1002, b"/home/ann", b"-", b"l-Owner")),
    (b"joe-list", (b"joe", 1001, 1001, b"/home/joe", b"-", b"list")),
    (b"joe-boss", (b"boss", 1003, 1003, b"/home/boss", b"-", b"b")),
    (b"joe-boss-x", (b"joe", 1001, 1001, b"/home/joe", b"-", b"boss-x")),
    (b"x=y", (b"eq", 1004, 1004, b"/home/eq", b"-", b"y")),
    (b"ABC", (b"upper", 1005, 1005, b"/home/upper", b"-", b"C")),
    (b"ab", (b"upper", 1005, 1005, b"/home/upper", b"-", b"")),
    (b"joey", (b"alias", 1006, 1006, b"/alias", b"-", b"joey")),
    (b"No-Body", (b"alias", 1006, 1006, b"/alias", b"-", b"No-Body")),
    (b"", (b"alias", 1006, 1006, b"/alias", b"-", b"")),
    (b"a\0b", (b"alias", 1006, 1006, b"/alias", b"-", b"a\0b")),
])
def test_the_longest_match_counts(lookup: users.Lookup, local: bytes, owner: "tuple[object, ...]") -> None:
    assert lookup.owner(local) == users.Owner(*owner)


def test_a_table_without_catch_all_says_nothing_of_others(table: bytes, lookup: users.Lookup) -> None:
    cdb.make(table, assign.records([b"+joe-:joe:7:7:/home/joe:-::", b"."]), 0o644)

    assert lookup.assigned(b"joe-x") == users.Owner(b"joe", 7, 7, b"/home/joe", b"-", b"x")
    assert lookup.assigned(b"joe") is None


def test_a_new_table_counts_from_the_next_question_on(table: bytes, lookup: users.Lookup) -> None:
    before = lookup.owner(b"joe")
    cdb.make(table, assign.records([b"=joe:new:7:7:/home/new:::", b"."]), 0o644)

    assert (before.user, lookup.owner(b"joe").user) == (b"joe", b"new")


def test_without_a_table_the_passwd_file_is_asked(table: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users.getpw, "find", lambda local: (local, 7, 8, b"/h", b"-", b"x"))

    assert users.Lookup().owner(b"joe") == users.Owner(b"joe", 7, 8, b"/h", b"-", b"x")


def test_a_table_that_goes_is_no_longer_believed(table: bytes, lookup: users.Lookup, monkeypatch: pytest.MonkeyPatch) -> None:
    lookup.owner(b"joe")
    os.unlink(table)

    assert lookup.assigned(b"joe") is None


@pytest.mark.parametrize("broken", ["no wildchars", "cut", "empty", "directory", "bad record"])
def test_a_broken_table_is_trouble_each_time_never_another_owner(table: bytes, broken: str) -> None:
    records = list(assign.records(ASSIGN.split(b"\n")))
    if broken == "directory":
        os.mkdir(table)
    else:
        if broken == "no wildchars":
            records.pop()
        if broken == "bad record":
            records[0] = (b"!joe\0", b"joe\0x\x001\0/home/joe\0\0")
        cdb.make(table, records, 0o644)
        if broken in ("cut", "empty"):
            os.truncate(table, 1000 if broken == "cut" else 0)
    lookup = users.Lookup()
    try:
        for _ in range(3):
            with pytest.raises(codes.TryLater) as trouble:
                lookup.owner(b"joe")

            assert table.decode() in str(trouble.value) or "users/cdb" in str(trouble.value)
    finally:
        lookup.close()


def test_a_table_cut_anywhere_is_never_another_owner(table: bytes) -> None:
    cdb.make(table, assign.records(ASSIGN.split(b"\n")), 0o644)
    with open(table, "rb") as file:
        whole = file.read()
    for length in range(0, len(whole), 3):
        with open(table, "wb") as file:
            file.write(whole[:length])
        lookup = users.Lookup()
        for local, user in ((b"joe", b"joe"), (b"joe-list-x", b"ann"), (b"nobody", b"alias")):
            try:
                owner = lookup.owner(local)
            except codes.TryLater:
                continue
            assert owner.user == user
        lookup.close()


def test_no_descriptor_stays_open_but_the_table(table: bytes, lookup: users.Lookup) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        cdb.make(table, assign.records(ASSIGN.split(b"\n")), 0o644)
        lookup.owner(b"joe")

        assert len(os.listdir("/proc/self/fd")) == before + 1
    lookup.close()

    assert len(os.listdir("/proc/self/fd")) == before
