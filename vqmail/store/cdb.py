"""Constant databases (QMAIL interface 7.3): looked up here, made with cdbx.

    256 pairs (position, slots) of the hash tables, 2048 bytes; records (key length, data length, key, data);
    the tables, slots of (hash, position of the record; 0 is an empty slot).  All numbers are 32 bits, little-endian.

Looking up is our own forty lines: to load a library for one lookup would cost a cold program more than the lookup,
and a file that is cut or overwritten under a mapping of it kills the process; one that is read does not.
"""

from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

HEADER = 2048
AT_ONCE = 256                   # bytes read with a record's lengths and key: nearly always all of it


class Reader:
    """An open database.  A file that takes its name later does not disturb it.

    FileNotFoundError if there is none.  Every call raises ValueError if the file turns out not to be whole.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._fd = calls.open(path, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK)    # a FIFO must not hold us

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None",
                 trace: "TracebackType | None") -> None:
        self.close()

    def get(self, key: bytes) -> "bytes | None":
        """The data of the first record with `key`, or None."""
        hashed = 5381
        for byte in key:
            hashed = (hashed * 33 & 0xFFFFFFFF) ^ byte
        position, slots = self._pair(hashed % 256 * 8)
        if not slots:
            return None
        if position < HEADER:
            raise self._corrupt()
        start = (hashed >> 8) % slots
        for number in range(slots):
            wanted, record = self._pair(position + (start + number) % slots * 8)
            if record == 0:
                return None
            if wanted == hashed:
                data = self._data(record, key)
                if data is not None:
                    return data
        raise self._corrupt()                   # half of the slots of a table are empty

    def records(self) -> "Iterator[tuple[bytes, bytes]]":
        """All (key, data), in their order."""
        position = HEADER
        end = min(self._pair(number * 8)[0] for number in range(256))
        while position < end:
            length, size = self._pair(position)
            both = self._read(position + 8, length + size)
            yield both[:length], both[length:]
            position += 8 + length + size
        if position != end:
            raise self._corrupt()

    def identity(self) -> "tuple[int, int, int]":
        """What tells this file from one that took its name since."""
        return identity(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            number, self._fd = self._fd, -1
            calls.close(number)

    def _data(self, record: int, key: bytes) -> "bytes | None":
        """The data of the record at `record` if its key is `key`."""
        begin = calls.pread(self._fd, 8 + len(key) + AT_ONCE, record)
        if record < HEADER or len(begin) < 8:
            raise self._corrupt()
        length, size = int.from_bytes(begin[:4], "little"), int.from_bytes(begin[4:8], "little")
        if length != len(key):
            return None
        start = 8 + length
        if begin[8:start] != key:
            if len(begin) < start:
                raise self._corrupt()
            return None
        data = begin[start:start + size]
        return data if len(data) == size else self._read(record + start, size)

    def _pair(self, position: int) -> "tuple[int, int]":
        eight = self._read(position, 8)
        return int.from_bytes(eight[:4], "little"), int.from_bytes(eight[4:], "little")

    def _read(self, position: int, size: int) -> bytes:
        data = calls.pread(self._fd, size, position) if size < 1 << 24 else b""
        if len(data) != size:
            raise self._corrupt()
        return data

    def _corrupt(self) -> ValueError:
        return ValueError("%s is not a whole cdb file" % self._path.decode("utf-8", "replace"))


def identity(file: "int | bytes") -> "tuple[int, int, int]":
    """(inode, size, mtime) of a descriptor or a path."""
    found = calls.stat(file)
    return found.st_ino, found.st_size, found.st_mtime_ns


def find(path: bytes, key: bytes) -> "bytes | None":
    """One lookup.  FileNotFoundError if there is no such file; ValueError if it is corrupt."""
    with Reader(path) as reader:
        return reader.get(key)


def make(path: bytes, records: "Iterable[tuple[bytes, bytes]]", mode: int,
         owner: "tuple[int, int] | None" = None) -> None:
    """Put a database of `records`, in their order, durably in the place of `path`; `owner` is its uid and gid.

    Whoever looks sees the old file or the new one.  Any exception, also of `records`, leaves the old one untouched.
    """
    import cdbx  # here: a cold program that looks something up must not pay for it, nor for the other

    from vqmail.unix import durable

    def write(number: int) -> None:
        maker = cdbx.CDB.make(number, mmap=False)
        for key, data in records:
            maker.add(key, data)
        maker.commit().close()

    durable.replace_with(path, write, mode, owner)


def records(path: bytes) -> "Iterator[tuple[bytes, bytes]]":
    """All records of a database, in their order.  ValueError if it turns out not to be whole."""
    with Reader(path) as reader:
        yield from reader.records()
