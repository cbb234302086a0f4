"""Which dot-qmail file is meant, and whether it may be trusted."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.store import home

# ext, the names in the order they are tried, and what `default` stands for in each
LOOKUPS = [
    (b"-", b"", [(b".qmail-", None), (b".qmail-default", b"")]),
    (b"-", b"a", [(b".qmail-a", None), (b".qmail-default", b"a")]),
    (b"-", b"a-", [(b".qmail-a-", None), (b".qmail-a-default", b""), (b".qmail-default", b"a-")]),
    (b"-", b"a-b", [(b".qmail-a-b", None), (b".qmail-a-default", b"b"), (b".qmail-default", b"a-b")]),
    (b"-", b"A.B", [(b".qmail-a:b", None), (b".qmail-default", b"A.B")]),
    (b"-", b"A-B", [(b".qmail-a-b", None), (b".qmail-a-default", b"B"), (b".qmail-default", b"A-B")]),
    (b"-", b"default", [(b".qmail-default", b"default"), (b".qmail-default", b"default")]),
    (b"-", b"x-DEFAULT", [(b".qmail-x-default", b"DEFAULT"), (b".qmail-x-default", b"DEFAULT"),
                          (b".qmail-default", b"x-DEFAULT")]),
    (b"-", b"a/b", [(b".qmail-default", b"a/b")]),
    (b"-", b"x-a/b", [(b".qmail-x-default", b"a/b"), (b".qmail-default", b"x-a/b")]),
    (b"-", b"../x", [(b".qmail-default", b"../x")]),
    (b"-", b"..", [(b".qmail-::", None), (b".qmail-default", b"..")]),
    (b"-", b"\xc9", [(b".qmail-\xc9", None), (b".qmail-default", b"\xc9")]),
    (b"-", b"a\0b", [(b".qmail-default", b"a\0b")]),
    (b"", b"", [(b".qmail", None), (b".qmaildefault", b"")]),
    (b"-/", b"a", [(b".qmail-/a", None), (b".qmail-/default", b"a")]),
    (b"-list-", b"q", [(b".qmail-list-q", None), (b".qmail-list-default", b"q")]),
]


@pytest.mark.parametrize(("dash", "ext", "names"), LOOKUPS)
def test_candidates(dash: bytes, ext: bytes, names: "list[tuple[bytes, bytes | None]]") -> None:
    assert names == home.candidates(dash, ext)


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> bytes:
    return os.fsencode(tmp_path)


def found(directory: bytes, ext: bytes) -> home.Found:
    """The file that is there for certain."""
    result = home.find(directory, b"-", ext)
    assert result is not None
    return result


def write(directory: bytes, name: bytes, content: bytes = b"x\n", mode: int = 0o600) -> None:
    path = directory + b"/" + name
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


@pytest.mark.parametrize(("dash", "ext", "names"), LOOKUPS)
def test_each_candidate_is_found_when_those_before_it_are_not_there(
        directory: bytes, dash: bytes, ext: bytes, names: "list[tuple[bytes, bytes | None]]") -> None:
    os.mkdir(directory + b"/.qmail-")
    for name, default in reversed(names):
        try:
            write(directory, name, b"content of " + name)
        except IsADirectoryError:
            continue

        assert home.find(directory, dash, ext) == home.Found(directory + b"/" + name, b"content of " + name, default, False)


def test_nothing_is_found_where_nothing_is(directory: bytes) -> None:
    assert home.find(directory, b"-", b"a-b") is None
    assert home.find(directory + b"/absent", b"-", b"a-b") is None


def test_a_slash_never_leads_elsewhere(directory: bytes) -> None:
    os.mkdir(directory + b"/.qmail-a")
    write(directory, b".qmail-a/b")

    assert home.find(directory, b"-", b"a/b") is None


def test_x_bit(directory: bytes) -> None:
    write(directory, b".qmail-a", mode=0o700)
    write(directory, b".qmail-b", mode=0o611)

    assert found(directory, b"a").forward_only is True
    assert found(directory, b"b").forward_only is False


def test_world_writable_file_is_not_obeyed(directory: bytes) -> None:
    write(directory, b".qmail-a", mode=0o602)

    with pytest.raises(codes.TryLater, match=r"^Uh-oh: \.qmail file is writable\. \(#4\.7\.0\)$"):
        home.find(directory, b"-", b"a")


def test_group_writable_file_is_obeyed(directory: bytes) -> None:
    write(directory, b".qmail-a", mode=0o660)

    assert found(directory, b"a").content == b"x\n"


def test_fifo_directory_and_socket_are_passed_over_without_waiting(directory: bytes) -> None:
    import socket

    write(directory, b".qmail-default")
    os.mkfifo(directory + b"/.qmail-a")
    os.mkdir(directory + b"/.qmail-b")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(directory + b"/.qmail-c")

    for ext in (b"a", b"b", b"c"):
        assert found(directory, ext).path == directory + b"/.qmail-default"


def test_a_link_is_followed(directory: bytes) -> None:
    write(directory, b"elsewhere")
    os.symlink(b"elsewhere", directory + b"/.qmail-a")

    assert found(directory, b"a").content == b"x\n"


def test_a_link_to_nothing_is_nothing(directory: bytes) -> None:
    os.symlink(b"nowhere", directory + b"/.qmail-a")

    assert home.find(directory, b"-", b"a") is None


def test_a_link_to_itself_is_trouble(directory: bytes) -> None:
    os.symlink(b".qmail-a", directory + b"/.qmail-a")

    with pytest.raises(codes.TryLater, match=r"\.qmail-a: Too many levels of symbolic links"):
        home.find(directory, b"-", b"a")


def test_an_address_longer_than_any_file_name_reaches_the_default_file(directory: bytes) -> None:
    write(directory, b".qmail-default")

    assert found(directory, b"a" * 900).default == b"a" * 900


@pytest.mark.parametrize("number", [5, 12, 23, 24])
def test_trouble_is_never_absence(directory: bytes, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def open_fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    write(directory, b".qmail-a")
    monkeypatch.setattr(home.calls, "open", open_fails)

    with pytest.raises(codes.TryLater):
        home.find(directory, b"-", b"a")


@pytest.mark.parametrize("number", [1, 13])
def test_a_file_that_may_not_be_read_is_later_and_says_so_to_the_resolver(
        directory: bytes, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def open_fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(home.calls, "open", open_fails)

    with pytest.raises(PermissionError) as caught:
        home.find(directory, b"-", b"a")
    assert isinstance(caught.value, codes.TryLater)


def test_a_file_over_the_limit_is_trouble(directory: bytes) -> None:
    write(directory, b".qmail-a", b"#" * (256 * 1024 + 1))

    with pytest.raises(codes.TryLater, match=r"\.qmail-a is too long"):
        home.find(directory, b"-", b"a")


def test_owner_files(directory: bytes) -> None:
    write(directory, b".qmail-my:list-owner")

    assert home.has(directory, b"-", b"My.List", b"-owner")
    assert not home.has(directory, b"-", b"My.List", b"-owner-default")
    assert not home.has(directory, b"-", b"a/b", b"-owner")


@pytest.mark.parametrize(("mode", "text"), [
    (0o702, r"^Uh-oh: home directory is writable\. \(#4\.7\.0\)$"),
    (0o1702, r"^Uh-oh: home directory is writable\. \(#4\.7\.0\)$"),
    (0o1700, r"user is editing his \.qmail file\. \(#4\.2\.1\)$")])
def test_homes_that_are_not_obeyed(directory: bytes, mode: int, text: str) -> None:
    os.chmod(directory, mode)

    with pytest.raises(codes.TryLater, match=text):
        home.check(directory)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o2755])
def test_homes_that_are_obeyed(directory: bytes, mode: int) -> None:
    os.chmod(directory, mode)

    home.check(directory)


def test_no_descriptor_is_left_open(directory: bytes) -> None:
    write(directory, b".qmail-a")
    write(directory, b".qmail-b", mode=0o602)
    os.mkdir(directory + b"/.qmail-c")
    write(directory, b".qmail-d", b"#" * (256 * 1024 + 1))
    before = os.listdir("/proc/self/fd")
    for ext in (b"a", b"b", b"c", b"d"):
        try:
            home.find(directory, b"-", ext)
            home.has(directory, b"-", ext, b"")
        except codes.TryLater:
            pass

    assert before == os.listdir("/proc/self/fd")
