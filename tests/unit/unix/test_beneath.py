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


def test_a_root_elsewhere_must_be_in_its_owners_hands_all_the_way(tree: pathlib.Path) -> None:
    (tree / "other").mkdir()
    (tree / "elsewhere").symlink_to(tree / "other")
    (tree / "other/file").write_text("x")
    for parent in (tree, *tree.parents):
        if parent.stat().st_uid == os.geteuid() and not parent.stat().st_mode & 0o1000:
            parent.chmod(parent.stat().st_mode & ~0o022)

    with beneath.Place(os.fsencode(tree / "elsewhere"), b"/file", True) as place:
        assert beneath.read(place, 10)[0] == b"x"

    (tree / "elsewhere").unlink()
    (tree / "way").symlink_to(tree)
    (tree / "elsewhere").symlink_to(tree / "way/other")
    with pytest.raises(NotADirectoryError):
        beneath.Place(os.fsencode(tree / "elsewhere"), b"/file", True)

    (tree / "elsewhere").unlink()
    (tree / "elsewhere").symlink_to(tree / "other")
    tree.chmod(0o777)
    with pytest.raises(PermissionError, match="other hands"):
        beneath.Place(os.fsencode(tree / "elsewhere"), b"/file", True)


@pytest.mark.root
def test_a_root_elsewhere_that_was_exchanged_is_not_entered(tree: pathlib.Path) -> None:
    os.chown(tree / "outside", 45001, 45001)    # his, and what is in it another's
    (tree / "outside/d").mkdir()
    os.chown(tree / "outside/d", 45002, 45002)
    (tree / "elsewhere").symlink_to(tree / "outside/d")
    with pytest.raises(PermissionError, match="other hands"):
        beneath.walk(os.fsencode(tree / "elsewhere"), b"", True)
    os.chown(tree / "outside/d", 0, 0)
    with pytest.raises(PermissionError, match="other hands"):
        beneath.walk(os.fsencode(tree / "elsewhere"), b"", True)
    os.chown(tree / "outside/d", 45001, 45001)
    os.close(beneath.walk(os.fsencode(tree / "elsewhere"), b"", True))


def test_another_name_of_a_domain_is_the_one_beside_it_wherever_that_is(tree: pathlib.Path) -> None:
    (tree / "name").symlink_to("root")
    (tree / "elsewhere").symlink_to(tree / "root")
    (tree / "further").symlink_to("elsewhere")
    (tree / "astray").symlink_to("root/a")
    for name in ("name", "elsewhere", "further"):
        with beneath.Place(os.fsencode(tree / name), b"/a/b/file", True) as place:
            assert beneath.read(place, 10)[0] == b"text\n"
    with pytest.raises(OSError, match="must say where"):
        beneath.walk(os.fsencode(tree / "astray"), b"", True)
