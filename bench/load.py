"""A lean client that keeps many SMTP or POP3 sessions going from one epoll loop; the same for every server measured.

    load.py smtp PORT COUNT SESSIONS PER-CONNECTION SIZE RECIPIENTS...
    load.py pop3 PORT COUNT SESSIONS MESSAGES PASSWORD LOGINS...

Recipients (logins) are taken round robin.  Writes one line of JSON: the first connect and the last reply on the
monotonic clock, the client's CPU seconds, and how many units it finished.  A reply that was not expected ends it
with exit 1 and that reply on standard error.
"""

import itertools
import json
import select
import socket
import sys
import time
from collections.abc import Generator, Iterator

# A session is a generator: it yields (what to send, how the reply must begin, how it must end).
Step = tuple[bytes, bytes, bytes]
Session = Generator[Step, bytes, None]

HEADER = (b"Message-ID: <%d.%d@bench.test>\r\nDate: Fri, 01 Jan 2027 00:00:00 +0000\r\nFrom: <sender@bench.test>\r\n"
          b"To: <%s>\r\nSubject: bench\r\nX-Bench: %d\r\n\r\n")
LINE = b"All the world's a stage, and all the men and women merely players; so.\r\n"


def message(number: int, recipient: bytes, size: int) -> bytes:
    """A message of `size` bytes on the wire, ended by the dot."""
    head = HEADER % (number, time.time_ns(), recipient, number)
    room = max(0, size - len(head))
    body = LINE * (room // len(LINE)) + b"x" * max(0, room % len(LINE) - 2) + b"\r\n"
    return head + body + b".\r\n"


def smtp(numbers: "list[int]", recipients: "list[bytes]", size: int) -> Session:
    """One connection that sends the messages `numbers`."""
    yield b"", b"220", b"\r\n"
    yield b"HELO bench.test\r\n", b"250", b"\r\n"
    for number in numbers:
        recipient = recipients[number % len(recipients)]
        yield b"MAIL FROM:<sender@bench.test>\r\n", b"250", b"\r\n"
        yield b"RCPT TO:<" + recipient + b">\r\n", b"250", b"\r\n"
        yield b"DATA\r\n", b"354", b"\r\n"
        yield message(number, recipient, size), b"250", b"\r\n"
    yield b"QUIT\r\n", b"221", b"\r\n"


def pop3(login: bytes, password: bytes, messages: int) -> Session:
    """Log in, STAT, LIST, RETR `messages` times, QUIT."""
    yield b"", b"+OK", b"\r\n"
    yield b"USER " + login + b"\r\n", b"+OK", b"\r\n"
    yield b"PASS " + password + b"\r\n", b"+OK", b"\r\n"
    yield b"STAT\r\n", b"+OK", b"\r\n"
    yield b"LIST\r\n", b"+OK", b"\r\n.\r\n"
    for number in range(1, messages + 1):
        yield b"RETR %d\r\n" % number, b"+OK", b"\r\n.\r\n"
    yield b"QUIT\r\n", b"+OK", b"\r\n"


class Connection:
    """One session on one socket."""

    def __init__(self, port: int, session: Session) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.session = session
        _, self.begin, self.end = next(session)
        self.got = b""

    def readable(self) -> bool:
        """Read, answer when the reply is whole; False when the session is over."""
        data = self.socket.recv(65536)
        self.got += data
        if not self.got.endswith(self.end):
            if data:
                return True
            raise SystemExit(f"the server hung up after {self.got[-200:]!r}")
        if not self.got.startswith(self.begin):
            raise SystemExit(f"expected {self.begin!r}, got {self.got[:200]!r}")
        self.got = b""
        try:
            out, self.begin, self.end = self.session.send(b"")
        except StopIteration:
            self.socket.close()
            return False
        self.socket.sendall(out)
        return True


def drive(port: int, sessions: "Iterator[Session]", concurrency: int) -> float:
    """Run all `sessions`, at most `concurrency` at a time; returns when the first was connected."""
    poll = select.epoll()
    live: dict[int, Connection] = {}
    started = time.monotonic()

    def launch() -> None:
        for session in sessions:
            connection = Connection(port, session)
            live[connection.socket.fileno()] = connection
            poll.register(connection.socket.fileno(), select.EPOLLIN)
            return

    for _ in range(concurrency):
        launch()
    while live:
        ready = poll.poll(60)
        if not ready:
            raise SystemExit("no reply for 60 seconds")
        for handle, _ in ready:
            if not live[handle].readable():     # closing has taken it out of the epoll set
                del live[handle]
                launch()
    return started


def main(argv: "list[str]") -> None:
    kind, port, count, concurrency, a, b, *rest = argv
    who = [each.encode() for each in rest]
    if kind == "smtp":
        each = int(a)
        sessions = (smtp(list(range(first, min(first + each, int(count)))), who, int(b))
                    for first in range(0, int(count), each))
    else:
        sessions = (pop3(login, b.encode(), int(a)) for login in itertools.islice(itertools.cycle(who), int(count)))
    started = drive(int(port), sessions, int(concurrency))
    print(json.dumps({"start": started, "end": time.monotonic(), "cpu": time.process_time(), "done": int(count)}))


if __name__ == "__main__":
    main(sys.argv[1:])
