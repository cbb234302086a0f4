"""Below a root that is ours, nobody leads us astray."""

import errno
import os
import pathlib

import pytest

from vqmail.unix import beneath


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret\n")
    (tmp_path / "root/a/b/file").write_text("text\n")
    (tmp_path / "root/link").symlink_to("a")
    (tmp_path / "root/a/out").symlink_to(tmp_path / "outside")
    (tmp_path / "root/a/b/linked").symlink_to(tmp_path / "outside/file")
    return tmp_path


def read(tree: pathlib.Path, path: bytes) -> bytes:
    with beneath.Place(os.fsencode(tree / "root"), path) as place:
        return beneath.read(place, 100)[0]


def test_a_plain_file_is_read(tree: pathlib.Path) -> None:
    assert read(tree, b"/a/b/file") == b"text\n"


@pytest.mark.parametrize("path", [b"/link/b/file", b"/a/out/file", b"/a/b/linked", b"/a/../../outside/file", b"/a/b/file/x",
                                  b"/a/b/..", b"/a/b/", b"/a/b/none", b"/a/b"])
def test_nothing_else_is(tree: pathlib.Path, path: bytes) -> None:
    with pytest.raises(OSError) as raised:      # noqa: PT011
        read(tree, path)
    assert raised.value.errno in beneath.THEIRS


def test_a_root_may_be_reached_by_links(tree: pathlib.Path) -> None:
    (tree / "way").symlink_to("root")
    with beneath.Place(os.fsencode(tree / "way"), b"/a/b/file") as place:
        assert beneath.read(place, 100)[0] == b"text\n"


def test_a_fifo_holds_nobody(tree: pathlib.Path) -> None:
    os.mkfifo(tree / "root/a/fifo")
    with pytest.raises(OSError, match="not a plain file"):
        read(tree, b"/a/fifo")


def test_a_long_file_is_not_read(tree: pathlib.Path) -> None:
    (tree / "root/a/b/file").write_text("x" * 101)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        read(tree, b"/a/b/file")


def test_a_tree_is_removed_and_what_its_links_lead_to_stays(tree: pathlib.Path) -> None:
    os.mkfifo(tree / "root/a/fifo")
    (tree / "root/a/b").chmod(0o500)
    with beneath.Place(os.fsencode(tree), b"/root") as place:
        beneath.remove_tree(place)
        beneath.remove_tree(place)

    assert (sorted(os.listdir(tree)), (tree / "outside/file").read_text()) == (["outside"], "secret\n")


def test_a_link_in_the_place_of_a_tree_goes_alone(tree: pathlib.Path) -> None:
    with beneath.Place(os.fsencode(tree / "root"), b"/link") as place:
        beneath.remove_tree(place)

    assert (tree / "root/a/b/file").exists()
    assert not os.path.lexists(tree / "root/link")


def test_a_tree_without_a_bottom_is_left(tree: pathlib.Path) -> None:
    deep = tree / "root"
    for _ in range(210):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with beneath.Place(os.fsencode(tree), b"/root") as place, pytest.raises(OSError, match="200 directories") as raised:
        beneath.remove_tree(place)

    assert raised.value.errno == errno.ELOOP


def test_no_descriptor_stays_open(tree: pathlib.Path) -> None:
    before = os.listdir("/proc/self/fd")
    for path in (b"/a/b/file", b"/link/b", b"/a/none/x", b"/a/b/linked"):
        try:
            read(tree, path)
        except OSError:
            pass

    assert os.listdir("/proc/self/fd") == before
