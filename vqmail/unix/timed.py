"""Read and write with a deadline, so that no peer can hold a process for ever."""

import select

from vqmail.unix import calls


def read(fd: int, size: int, seconds: float) -> bytes:
    """Up to `size` bytes as soon as there are any, b"" at the end.  TimeoutError after `seconds`."""
    _wait(fd, select.POLLIN, seconds)
    return calls.read(fd, size)


def write_all(fd: int, data: bytes, seconds: float) -> None:
    """Write every byte; TimeoutError when the peer takes nothing for `seconds`."""
    rest = memoryview(data)
    while rest:
        _wait(fd, select.POLLOUT, seconds)
        rest = rest[calls.write(fd, rest[:65536]):]


def wait_for_input(fd: int, seconds: float) -> None:
    """Return when there is something to read, or the end.  TimeoutError after `seconds`."""
    _wait(fd, select.POLLIN, seconds)


def wait_for_room(fd: int, seconds: float) -> None:
    """Return when something can be written, or the peer is gone.  TimeoutError after `seconds`."""
    _wait(fd, select.POLLOUT, seconds)


def pause(seconds: float) -> None:
    """Do nothing for a while."""
    select.poll().poll(seconds * 1000)


def _wait(fd: int, event: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(seconds * 1000):
        raise TimeoutError("no progress for %d seconds" % seconds)
