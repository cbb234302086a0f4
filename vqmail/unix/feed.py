"""Run a program that reads from us, and get over it if it does not."""

import _signal

from vqmail.unix import calls, child, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from vqmail.unix.chain import Env

LOOK = 1.0                      # seconds after which we see whether the program that does not read is still there


def run(argv: "list[bytes]", env: "Env", pieces: "Iterable[bytes]", seconds: int) -> int:
    """Run a stranger's program as child.run() does, `pieces` on its descriptor 0; its exit code, or minus a signal.

    It need not read them.  An error of `pieces` kills it, so that it cannot take a part for the whole.
    """
    reader, writer = calls.pipe2(calls.O_CLOEXEC)
    try:
        try:
            pid = child.start(argv, env, {0: reader, 1: 1, 2: 2}, seconds=seconds)
        finally:
            calls.close(reader)
        calls.set_blocking(writer, False)
        try:
            status = _write(pid, writer, pieces)
        except BaseException:
            calls.kill(pid, _signal.SIGKILL)
            child.wait(pid)
            raise
    finally:
        calls.close(writer)
    return child.wait(pid) if status is None else child.code_of(status)


def _write(pid: int, pipe: int, pieces: "Iterable[bytes]") -> "int | None":
    """Write until all is gone or nobody reads any more; the wait status of `pid` if it was seen to end."""
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            try:
                rest = rest[calls.write(pipe, rest):]
            except BrokenPipeError:
                return None
            except BlockingIOError:
                try:
                    timed.wait_for_room(pipe, LOOK)
                except TimeoutError:
                    # it may have left somebody in the background who holds the pipe and reads nothing
                    ended, status = calls.waitpid(pid, calls.WNOHANG)
                    if ended:
                        return status
    return None
