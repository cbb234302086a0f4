"""All records of a database that others made."""

import pathlib
import subprocess

import pytest

from vqmail.store import cdb


pytestmark = pytest.mark.peers


def make(path: pathlib.Path, records: "list[tuple[bytes, bytes]]") -> bytes:
    text = b"".join(b"+%d,%d:%s->%s\n" % (len(key), len(data), key, data) for key, data in records) + b"\n"
    subprocess.run(["cdb", "-c", str(path)], input=text, check=True)
    return str(path).encode()


@pytest.mark.parametrize("records", [[], [(b"a", b"1")], [(b"b", b""), (b"", b"x"), (b"a", b"\n" * 1000), (b"a", b"2")]])
def test_they_come_in_their_order(tmp_path: pathlib.Path, records: "list[tuple[bytes, bytes]]") -> None:
    assert list(cdb.records(make(tmp_path / "x.cdb", records))) == records


def test_whatever_is_cut_off_it_ends_in_a_value_error(tmp_path: pathlib.Path) -> None:
    path = make(tmp_path / "x.cdb", [(b"key%d" % each, b"data") for each in range(20)])
    whole = pathlib.Path(path.decode()).read_bytes()
    for size in range(0, 2048 + 20 * 16, 7):
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(ValueError):
            list(cdb.records(str(tmp_path / "cut").encode()))
