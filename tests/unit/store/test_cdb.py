"""Constant databases: whole ones answer, damaged ones say so, and the one in its place is never half a one."""

import hashlib
import os
import pathlib
import random

import pytest

from vqmail.formats import assign
from vqmail.store import cdb

# QMAIL interface 22: what qmail-newu made of these lines
LINES = [b"=joe:joe:1001:1001:/home/joe:::", b"+joe-:joe:1001:1001:/home/joe:-::",
         b"+example.com-:vpop:89:89:/v/example.com:-::", b"+:alias:64010:64010:/var/qmail/alias:-::", b"."]
SHA256 = "359b4f7bc0fbb7ba2453d834ae50389e1f890a574ca03f68fa61420ea845d5fe"
DATA = {
    b"!joe\0": b"joe\x001001\x001001\0/home/joe\0\0",
    b"!joe-": b"joe\x001001\x001001\0/home/joe\0-\0",
    b"!example.com-": b"vpop\x0089\x0089\0/v/example.com\0-\0",
    b"!": b"alias\x0064010\x0064010\0/var/qmail/alias\0-\0",
    b"": b"-",
}


@pytest.fixture
def path(tmp_path: pathlib.Path) -> bytes:
    return os.fsencode(tmp_path / "cdb")


@pytest.fixture
def example(path: bytes) -> bytes:
    cdb.make(path, assign.records(LINES), 0o644)
    return path


def content(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def test_the_example_is_what_qmail_newu_makes_to_the_byte(example: bytes) -> None:
    made = content(example)

    assert len(made) == 2309
    assert hashlib.sha256(made).hexdigest() == SHA256
    for offset, key in (2048, b"!joe\0"), (2086, b"!joe-"), (2125, b"!example.com-"), (2174, b"!"), (2220, b""):
        head = len(key).to_bytes(4, "little") + len(DATA[key]).to_bytes(4, "little")
        assert made[offset:offset + 8 + len(key) + len(DATA[key])] == head + key + DATA[key]


def test_each_key_is_found_and_no_other(example: bytes) -> None:
    with cdb.Reader(example) as reader:
        assert {key: reader.get(key) for key in DATA} == DATA
        assert [reader.get(key) for key in (b"!jo", b"!joe", b"joe", b"\0", b"!joe\0\0", b"x" * 1000)] == [None] * 6


def test_of_two_records_with_one_key_the_first_counts(path: bytes) -> None:
    cdb.make(path, [(b"k", b"first"), (b"k", b"second")], 0o644)

    assert cdb.find(path, b"k") == b"first"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 70_000])
def test_data_of_any_size_comes_back(path: bytes, size: int) -> None:
    cdb.make(path, [(b"before", b"x"), (b"key", b"d" * size), (b"after", b"y")], 0o644)

    assert cdb.find(path, b"key") == b"d" * size


def test_many_records(path: bytes) -> None:
    cdb.make(path, ((b"key%d" % each, b"%d" % each) for each in range(5000)), 0o644)

    with cdb.Reader(path) as reader:
        assert [reader.get(b"key%d" % each) for each in range(5000)] == [b"%d" % each for each in range(5000)]
        assert [reader.get(b"kez%d" % each) for each in range(5000)] == [None] * 5000


def test_an_empty_one_has_nothing(path: bytes) -> None:
    cdb.make(path, [], 0o644)

    assert len(content(path)) == 2048
    assert cdb.find(path, b"") is None


def test_no_file_is_no_file(path: bytes) -> None:
    with pytest.raises(FileNotFoundError):
        cdb.find(path, b"")


def test_cut_at_any_length_it_answers_right_or_says_that_it_is_cut(example: bytes) -> None:
    whole = content(example)
    questions = {**DATA, b"!nobody\0": None, b"!joe": None}
    for length in range(len(whole)):
        write(example, whole[:length])
        for key, right in questions.items():
            try:
                answer = cdb.find(example, key)
            except ValueError as error:
                assert str(error) == "%s is not a whole cdb file" % example.decode()
            else:
                assert answer == right, (length, key)


def test_whatever_its_bytes_are_it_answers_or_says_that_it_is_broken(example: bytes) -> None:
    whole = content(example)
    chance = random.Random(20)
    for _ in range(1500):
        broken = bytearray(whole)
        for _ in range(chance.choice((1, 3, 40))):
            broken[chance.randrange(len(broken))] = chance.choice((0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)))
        write(example, bytes(broken))
        for key in DATA:
            try:
                answer = cdb.find(example, key)
            except ValueError:
                continue
            assert answer is None or isinstance(answer, bytes)


def test_a_table_without_an_empty_slot_is_no_table(path: bytes) -> None:
    # hash of the empty key is 5381: table 5; two slots, both of the same hash, both leading to a record of another key
    head = bytearray(2048)
    head[40:48] = (2057).to_bytes(4, "little") + (2).to_bytes(4, "little")
    record = (1).to_bytes(4, "little") + (0).to_bytes(4, "little") + b"x"
    slot = (5381).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    write(path, bytes(head) + record + slot * 2)

    with pytest.raises(ValueError, match="is not a whole cdb file$"):
        cdb.find(path, b"")


def test_a_reader_keeps_the_file_it_opened(example: bytes) -> None:
    with cdb.Reader(example) as reader:
        cdb.make(example, [(b"!joe\0", b"new")], 0o644)

        assert reader.get(b"!joe\0") == DATA[b"!joe\0"]
        assert cdb.find(example, b"!joe\0") == b"new"
        assert reader.identity() != cdb.identity(example)


def test_a_file_cut_under_a_reader_is_trouble_not_the_end(example: bytes) -> None:
    with cdb.Reader(example) as reader:
        os.truncate(example, 100)

        with pytest.raises(ValueError, match="is not a whole cdb file$"):
            reader.get(b"!joe\0")


def test_a_fifo_makes_nobody_wait(path: bytes) -> None:
    os.mkfifo(path)

    with pytest.raises(OSError, match="Illegal seek"):
        cdb.find(path, b"")


def test_no_descriptor_stays_open(example: bytes) -> None:
    before = os.listdir("/proc/self/fd")
    cdb.find(example, b"")
    cdb.make(example, [(b"a", b"b")], 0o644)
    write(example, b"short")
    with pytest.raises(ValueError):
        cdb.find(example, b"")

    assert os.listdir("/proc/self/fd") == before


def test_trouble_with_the_records_leaves_the_old_one_and_nothing_else(example: bytes) -> None:
    def records():
        yield b"a", b"b"
        raise ValueError("line 2")

    old = content(example)
    with pytest.raises(ValueError, match="^line 2$"):
        cdb.make(example, records(), 0o644)

    assert content(example) == old
    assert os.listdir(os.path.dirname(example)) == [b"cdb"]


def test_mode_and_owner_are_those_asked_for_whatever_the_umask_is(path: bytes) -> None:
    umask = os.umask(0o777)
    try:
        cdb.make(path, [], 0o640, (os.getuid(), os.getgid()))
    finally:
        os.umask(umask)

    assert os.stat(path).st_mode == 0o100640


@pytest.mark.parametrize("trap", ["symlink", "hard link", "fifo", "leftover"])
def test_what_lies_in_the_way_is_not_written_to(path: bytes, tmp_path: pathlib.Path, trap: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    if trap == "symlink":
        os.symlink(precious, path + b".tmp")
    elif trap == "hard link":
        os.link(precious, path + b".tmp")
    elif trap == "fifo":
        os.mkfifo(path + b".tmp")
    else:
        write(path + b".tmp", b"half")
    cdb.make(path, [(b"a", b"b")], 0o644)

    assert cdb.find(path, b"a") == b"b"
    assert precious.read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["cdb", "precious"]
