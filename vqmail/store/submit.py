"""Hand one message to the queue, whichever way there is (QMAIL interface 2.1):

    QMAILQUEUE is set       run that program, with the message on its 0 and the envelope on its 1
    a single-user home      enter it into the queue right here: there is no right to cross
    otherwise               the queue service, which knows from the kernel who we are
"""

from vqmail import codes, vqhome
from vqmail.formats import answers, envelope, queuejob
from vqmail.store import roles
from vqmail.unix import calls, child, fd, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from vqmail.store import direct
    from vqmail.unix.chain import Env

SOCKET = vqhome.path(b"run/queue/socket")
PATIENCE = 600                  # seconds to wait for the service's answer


class Submission:
    """One message.  write() its text, then finish(); close() before that abandons it.

    Trouble while writing shows in finish()'s answer, so that a caller may go on reading its own client.
    TryLater if the queue cannot be reached at all.
    """

    def __init__(self, env: "Env") -> None:
        self._way: "_Program | direct.Direct | _Service"        # noqa: UP037  direct is not loaded yet
        program = env.get(b"QMAILQUEUE")
        if program:
            self._way = _Program(program, env)
        elif roles.single_user():
            from vqmail.store import direct     # the queue itself, which is a service's everywhere else

            self._way = direct.Direct()
        else:
            self._way = _Service()
        self.qp = 0

    def __enter__(self) -> "Submission":
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None",
                 trace: "TracebackType | None") -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append to the message."""
        self._way.write(data)

    def finish(self, sender: bytes, recipients: "list[bytes]") -> bytes:
        """Give the envelope and wait.  b"" when the message is on the disk, else D or Z and why."""
        self.begin(sender, recipients)
        return self.answer()

    def begin(self, sender: bytes, recipients: "list[bytes]") -> int:
        """Give the envelope.  Returns a descriptor that is ready when answer() need not wait, -1 if there is none."""
        return self._way.begin(envelope.encode(sender, recipients))

    def answer(self) -> bytes:
        """Wait for what finish() returns."""
        code, self.qp, custom = self._way.answer()
        return answers.queue(code, custom)

    def close(self) -> None:
        """Let go; what was not finished is not queued."""
        self._way.close()


def send(env: "Env", parts: "Iterable[bytes]", sender: bytes, recipients: "list[bytes]", complaint: str) -> int:
    """Queue one message; its qp.  GiveUp or TryLater, `complaint` and then the queue's words, if it is not queued."""
    with Submission(env) as submission:
        try:
            for part in parts:
                submission.write(part)
        except OSError as error:
            raise codes.TryLater("%sunable to read message: %s" % (complaint, error.strerror)) from None
        why = submission.finish(sender, recipients)
        if why:
            kind = codes.GiveUp if why[:1] == b"D" else codes.TryLater
            raise kind(complaint + why[1:].decode("utf-8", "surrogateescape"))
        return submission.qp


class _Program:
    """A child with pipes on 0 and 1, and 6 for what it has to say."""

    def __init__(self, program: bytes, env: "Env") -> None:
        ends = [calls.pipe2(calls.O_CLOEXEC) for _ in range(3)]
        (message_out, self._message), (envelope_out, self._envelope), (self._custom, custom_in) = ends
        try:
            self._pid = child.start([program], env, {0: message_out, 1: envelope_out, 2: 2, 6: custom_in},
                                    vqhome.VQHOME)
        except OSError as error:
            for each in (self._message, self._envelope, self._custom):
                calls.close(each)
            raise codes.TryLater("cannot start %s: %s" % (program.decode("utf-8", "replace"), error.strerror)) from None
        finally:
            for each in (message_out, envelope_out, custom_in):
                calls.close(each)
        self._broken = False

    def write(self, data: bytes) -> None:
        if not self._broken:
            try:
                fd.write_all(self._message, data)
            except OSError:
                self._broken = True

    def begin(self, text: bytes) -> int:
        self._message = _closed(self._message)
        try:
            fd.write_all(self._envelope, text)
        except OSError:
            self._broken = True
        self._envelope = _closed(self._envelope)
        return -1

    def answer(self) -> "tuple[int, int, bytes]":
        pid = self._pid
        code = child.wait(pid)
        self._pid = 0
        calls.set_blocking(self._custom, False)         # a grandchild may still hold the other end
        try:
            custom = calls.read(self._custom, answers.CUSTOM_LIMIT)
        except BlockingIOError:
            custom = b""
        if code == codes.OK and self._broken:
            code = codes.QUEUE_READ_ERROR
        self.close()
        return code, pid, custom

    def close(self) -> None:
        self._message = _closed(self._message)
        self._envelope = _closed(self._envelope)
        self._custom = _closed(self._custom)
        if self._pid:
            child.wait(self._pid)                       # it sees an envelope without an end, and gives up
            self._pid = 0


class _Service:
    """A small message goes in one packet; a large one through pipes, as to any qmail-queue."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._message = self._envelope = -1
        try:
            self._socket = sockets.connect(SOCKET)
        except OSError as error:
            raise codes.TryLater("no queue service at %s: %s; is the service `queue` up?" % (
                SOCKET.decode(), error.strerror)) from None
        self._socket.settimeout(PATIENCE)
        self._broken = False

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._message < 0:
            self._pieces.append(data)
            if self._size > queuejob.INLINE:
                self._open_pipes()
                pieces, self._pieces = self._pieces, []
                self._send(self._message, b"".join(pieces))
        else:
            self._send(self._message, data)

    def begin(self, text: bytes) -> int:
        try:
            if self._message < 0 and self._size + len(text) <= queuejob.INLINE:
                sockets.send(self._socket, queuejob.encode(b"".join(self._pieces), text))
            else:
                if self._message < 0:
                    self._open_pipes()
                    self._send(self._message, b"".join(self._pieces))
                self._message = _closed(self._message)
                self._send(self._envelope, text)
                self._envelope = _closed(self._envelope)
        except OSError:                                 # answer() will find out what that means
            self._broken = True
        return self._socket.fileno()

    def answer(self) -> "tuple[int, int, bytes]":
        try:
            code, qp = queuejob.decode_answer(self._socket.recv(64))
        except TimeoutError:
            return codes.QUEUE_TIMEOUT, 0, b""
        except (OSError, ValueError):                   # it died, or was told to stop
            return codes.QUEUE_READ_ERROR, 0, b""
        finally:
            self.close()
        if code == codes.OK and self._broken:
            code = codes.QUEUE_READ_ERROR
        return code, qp, b""

    def close(self) -> None:
        self._message = _closed(self._message)
        self._envelope = _closed(self._envelope)
        self._socket.close()

    def _open_pipes(self) -> None:
        message_out, self._message = calls.pipe2(calls.O_CLOEXEC)
        envelope_out, self._envelope = calls.pipe2(calls.O_CLOEXEC)
        try:
            sockets.send(self._socket, queuejob.PIPES, [message_out, envelope_out])
        except OSError:
            self._broken = True
        finally:
            calls.close(message_out)
            calls.close(envelope_out)

    def _send(self, pipe: int, data: bytes) -> None:
        if not self._broken:
            try:
                fd.write_all(pipe, data)
            except OSError:
                self._broken = True


def _closed(number: int) -> int:
    """Close `number` if it is open; what a closed descriptor is remembered as."""
    if number >= 0:
        calls.close(number)
    return -1
