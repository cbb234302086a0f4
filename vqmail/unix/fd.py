"""Descriptors: all of a write, all of a read, and putting one in its place."""

import errno

from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def write_all(fd: int, data: "bytes | bytearray") -> None:
    """Write every byte of `data`; OSError if that cannot be done."""
    written = calls.write(fd, data)
    if written != len(data):
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[calls.write(fd, rest):]


def read_all(fd: int, limit: int) -> bytes:
    """Everything up to the end of the file.  ValueError if there are more than `limit` bytes."""
    parts = []
    size = 0
    while part := calls.read(fd, 65536):
        size += len(part)
        if size > limit:
            raise ValueError("more than %d bytes" % limit)
        parts.append(part)
    return b"".join(parts)


def read_file(path: bytes, limit: int) -> bytes:
    """The content of the file `path`.  OSError as open and read raise it; ValueError if it is longer than `limit`."""
    fd = calls.open(path, calls.O_RDONLY | calls.O_CLOEXEC)
    try:
        first = calls.read(fd, 16384)
        if len(first) < 16384:                  # a plain file gives less only at its end
            if len(first) > limit:
                raise ValueError("more than %d bytes" % limit)
            return first
        return first + read_all(fd, limit - len(first))
    finally:
        calls.close(fd)


def close_all(numbers: "Iterable[int]") -> None:
    """Close each of them."""
    for each in numbers:
        calls.close(each)


def is_there(path: bytes) -> bool:
    """Whether there is such a file.  OSError when that cannot be told."""
    try:
        calls.stat(path)
    except FileNotFoundError:
        return False
    return True


def pieces(number: int) -> "Iterator[bytes]":
    """The content of the file open as `number`, from its first byte, wherever its offset is: others may share it."""
    at = 0
    while piece := calls.pread(number, 65536, at):
        yield piece
        at += len(piece)


def lines(number: int) -> "Iterator[bytes]":
    """The lines of the file open as `number`, from its first byte, without their newlines; the last may lack one."""
    begun = b""
    for piece in pieces(number):
        *whole, begun = (begun + piece).split(b"\n")
        yield from whole
    if begun:
        yield begun


def rest(number: int) -> "Iterator[bytes]":
    """What can still be read from `number`, which may be a pipe."""
    while piece := calls.read(number, 65536):
        yield piece


def rewind(number: int) -> bool:
    """Go back to the first byte, for an earlier program may have read on; False if it is a pipe, where nobody can."""
    try:
        calls.lseek(number, 0, 0)
    except OSError as error:
        if error.errno != errno.ESPIPE:
            raise
        return False
    return True


def whole(number: int) -> "Iterator[bytes]":
    """The content of a file from its first byte, or what is left in a pipe."""
    return pieces(number) if rewind(number) else rest(number)


def spool(text: "Iterable[bytes]") -> None:
    """Make descriptor 0 a file without a name that holds `text`: nothing of it is read before all of it is there."""
    number = calls.memfd_create("message")
    try:
        for each in text:
            write_all(number, each)
        calls.lseek(number, 0, 0)
    except BaseException:
        calls.close(number)
        raise
    move(0, number)


def move(target: int, fd: int) -> None:
    """Make `fd` known as `target`, inherited by the next program, and only as that."""
    if target == fd:
        calls.set_inheritable(fd, True)         # dup2(3, 3) does nothing, it even leaves close-on-exec set
        return
    calls.dup2(fd, target, inheritable=True)
    calls.close(fd)
