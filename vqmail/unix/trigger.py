"""The named pipe by which vq-queue wakes vq-send (QMAIL interface 3.4)."""

from vqmail.unix import calls


def pull(path: bytes) -> None:
    """Wake whoever listens at `path`.  Nobody there, or it is full: no matter, he looks again by himself."""
    try:
        number = calls.open(path, calls.O_WRONLY | calls.O_NONBLOCK | calls.O_CLOEXEC)
    except OSError:
        return
    try:
        calls.write(number, b"\0")
    except OSError:
        pass
    finally:
        calls.close(number)


def listen(path: bytes) -> int:
    """A descriptor that becomes readable when somebody pulls.  Opened anew before each look at the queue:
    closing the pipe is what empties it."""
    return calls.open(path, calls.O_RDONLY | calls.O_NONBLOCK | calls.O_CLOEXEC)
