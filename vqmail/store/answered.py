"""Who was answered by an automatic answer, and when: DIR/answered, a line `TIME SENDER` for each answer.

Lines are appended.  One that a crash cut is none.  When most of them are too old to matter the file is written anew.
When it has LIMIT bytes of lines that do matter nobody new is answered until some are old: a flood of forged senders
gets no flood of answers.
"""

import stat

from vqmail import codes
from vqmail.unix import calls, durable, fd, lock, log

LIMIT = 1 << 20
PATIENCE = 60                   # seconds that others may hold it
NAME = b"/answered"
LOCK = b"/lock"


class Memory:
    """The memory in `directory`, which is made if it is absent; held for its holder alone until close().

    TryLater on any trouble.
    """

    def __init__(self, directory: bytes) -> None:
        self._path = directory + NAME
        self._lock = -1
        try:
            try:
                calls.mkdir(directory, 0o700)
            except FileExistsError:
                pass
            self._lock = calls.open(directory + LOCK, calls.O_WRONLY | calls.O_CREAT | calls.O_CLOEXEC
                                    | calls.O_NOFOLLOW, 0o600)
            lock.take_within(self._lock, PATIENCE)
        except OSError as error:
            self.close()
            raise _trouble(directory, error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def may_answer(self, sender: bytes, now: int, seconds: int, times: int) -> bool:
        """Whether `sender` was answered less than `times` in the last `seconds`; if so, it is remembered as answered
        now.  False too if the memory is full."""
        try:
            text = self._read()
            lines = [each for each in text.split(b"\n")[:-1] if _is_line(each)]
            valid = [each for each in lines if 0 <= now - int(each.partition(b" ")[0]) < seconds]
            sender = sender.lower()
            if sum(each.partition(b" ")[2] == sender for each in valid) >= times:
                return False
            fresh = b"%d %s\n" % (now, sender)
            kept = sum(map(len, valid)) + len(valid)
            if kept + len(fresh) > LIMIT:
                return False
            if len(text) > 2 * kept + 4096 or len(text) + len(fresh) > LIMIT or not text.endswith(b"\n"):
                durable.replace(self._path, b"".join([each + b"\n" for each in valid]) + fresh, 0o600)
            else:
                self._append(fresh)
        except OSError as error:
            raise _trouble(self._path, error) from None
        return True

    def forget(self, sender: bytes, now: int) -> None:
        """Take back that `sender` was answered at `now`: it was not."""
        try:
            lines = self._read().split(b"\n")[:-1]
            line = b"%d %s" % (now, sender.lower())
            if line in lines:
                lines.remove(line)
                durable.replace(self._path, b"".join([each + b"\n" for each in lines]), 0o600)
        except OSError as error:
            raise _trouble(self._path, error) from None

    def close(self) -> None:
        """Let others have it."""
        number, self._lock = self._lock, -1
        if number >= 0:
            calls.close(number)

    def _read(self) -> bytes:
        try:
            number = calls.open(self._path, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NOFOLLOW | calls.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        try:
            if not stat.S_ISREG(calls.fstat(number).st_mode):
                raise codes.TryLater("%s is not a file; remove it" % log.shown(self._path))
            return fd.read_all(number, 2 * LIMIT)
        except ValueError:
            raise codes.TryLater("%s is too long; remove it" % log.shown(self._path)) from None
        finally:
            calls.close(number)

    def _append(self, line: bytes) -> None:
        number = calls.open(self._path, calls.O_WRONLY | calls.O_CREAT | calls.O_APPEND | calls.O_CLOEXEC
                            | calls.O_NOFOLLOW, 0o600)
        try:
            fd.write_all(number, line)
        finally:
            calls.close(number)


def _is_line(line: bytes) -> bool:
    when, _, sender = line.partition(b" ")
    return when.isdigit() and len(when) < 15 and bool(sender)


def _trouble(path: bytes, error: OSError) -> codes.TryLater:
    return codes.TryLater("cannot remember answers in %s: %s" % (log.shown(path), error.strerror or "it is locked"))
