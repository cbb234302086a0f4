"""Descriptors: all of a write, all of a read, and putting one in its place."""

from vqmail.unix import calls


def write_all(fd: int, data: bytes) -> None:
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
        return read_all(fd, limit)
    finally:
        calls.close(fd)


def move(target: int, fd: int) -> None:
    """Make `fd` known as `target`, inherited by the next program, and only as that."""
    if target == fd:
        calls.set_inheritable(fd, True)         # dup2(3, 3) does nothing, it even leaves close-on-exec set
        return
    calls.dup2(fd, target, inheritable=True)
    calls.close(fd)
