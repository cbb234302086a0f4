"""SMTP servers of which each does one thing that servers out there do, and keeps a record of who came with what."""

import base64
import socket
import ssl
import threading

from vqmail.record import Record


class Letter(Record):
    """What a server has seen to the final dot; `answered`: it said that it took it."""

    __slots__ = ("sender", "recipients", "data", "tls", "client", "answered")
    sender: str
    recipients: "list[str]"
    data: bytes
    tls: bool
    client: str
    answered: bool


class Server:
    """Takes everything.  `sessions` holds what each client said; what is odd is in the methods of the others."""

    extensions: "tuple[str, ...]" = ("PIPELINING", "8BITMIME", "SIZE 10000000")

    def __init__(self, listener: socket.socket, name: str) -> None:
        self.name = name
        self.letters: list[Letter] = []
        self.sessions: list[list[str]] = []
        self._listener = listener
        self._open: set[Session] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    # what there is to be odd about: answers, or None to hang up

    def greet(self, session: "Session") -> "str | None":
        return f"220 {self.name} ESMTP"

    def offers(self, session: "Session") -> "list[str]":
        return [each for each in self.extensions if not (session.tls and each == "STARTTLS")]

    def mail(self, session: "Session") -> "str | None":
        return "250 2.1.0 ok"

    def rcpt(self, session: "Session", recipient: str) -> "str | None":
        return "250 2.1.5 ok"

    def data(self, session: "Session", letter: Letter) -> "str | None":
        return "250 2.0.0 taken"

    def starttls(self, session: "Session") -> bool:
        """Whether the session goes on."""
        return session.say("502 5.5.1 no")

    def auth(self, session: "Session", argument: str) -> "str | None":
        return "502 5.5.1 no"

    # what tests ask

    def taken(self, token: str) -> "list[Letter]":
        """The letters it said it took, with this token in them."""
        return [each for each in self.seen(token) if each.answered]

    def seen(self, token: str) -> "list[Letter]":
        """The letters it has read to the end."""
        return [each for each in self.letters if token.encode() in each.data]

    def close(self) -> None:
        """Stop; hang up on all."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in list(self._open):
            each.hang_up()
        for thread in self._threads:
            thread.join(60)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:                     # closed
                return
            sock.settimeout(120)
            session = Session(self, sock, peer[0])
            self._open.add(session)
            thread = threading.Thread(target=self._serve, args=(session,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, session: "Session") -> None:
        self.sessions.append(session.lines)
        try:
            session.run()
        except OSError:                         # the client has gone
            pass
        finally:
            session.close()
            self._open.discard(session)


class Session:
    """One connection."""

    def __init__(self, server: Server, sock: socket.socket, client: str) -> None:
        self.server = server
        self.client = client
        self.lines: list[str] = []
        self.tls = False
        self.known = False
        self.sender = ""
        self.recipients: list[str] = []
        self._sock = sock
        self._reader = sock.makefile("rb")

    def say(self, answer: "str | None") -> bool:
        """Answer; False if there is nothing to say and the connection is to end."""
        if answer is not None:
            self._sock.sendall(answer.encode() + b"\r\n")
        return answer is not None

    def send(self, data: bytes) -> None:
        """Send anything."""
        self._sock.sendall(data)

    def encrypt(self, context: ssl.SSLContext) -> bool:
        """Start TLS and forget what was said before."""
        self._reader.close()
        self._sock = context.wrap_socket(self._sock, server_side=True)
        self._reader = self._sock.makefile("rb")
        self.tls = True
        self.sender, self.recipients = "", []
        return True

    def read_line(self) -> str:
        """One line, without its end; "" at the end of the connection."""
        return self._reader.readline(10000).decode("utf-8", "replace").rstrip("\r\n")

    def run(self) -> None:
        if not self.say(self.server.greet(self)):
            return
        while (line := self.read_line()):
            self.lines.append(line)
            verb, _, rest = line.partition(" ")
            step = getattr(self, f"_{verb.lower()}", None)
            if not (step(rest) if step else self.say("502 5.5.2 what?")):
                return

    def hang_up(self) -> None:
        """End it from another thread."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:                         # the client was faster
            pass

    def _ehlo(self, argument: str) -> bool:
        names = [self.server.name, *self.server.offers(self)]
        return self.say("\r\n".join(f"250{'-' if each is not names[-1] else ' '}{each}" for each in names))

    def _helo(self, argument: str) -> bool:
        return self.say(f"250 {self.server.name}")

    def _mail(self, argument: str) -> bool:
        self.sender, self.recipients = argument.partition("<")[2].partition(">")[0], []
        return self.say(self.server.mail(self))

    def _rcpt(self, argument: str) -> bool:
        recipient = argument.partition("<")[2].partition(">")[0]
        answer = self.server.rcpt(self, recipient)
        if answer is not None and answer.startswith("2"):
            self.recipients.append(recipient)
        return self.say(answer)

    def _data(self, argument: str) -> bool:
        if not self.recipients:
            return self.say("554 5.5.1 no recipients")
        self.say("354 go on")
        lines = []
        while (line := self._reader.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        letter = Letter(self.sender, self.recipients, b"".join(lines), self.tls, self.client, False)
        answer = self.server.data(self, letter)
        letter.answered = answer is not None and answer.startswith("2")
        self.server.letters.append(letter)
        self.sender, self.recipients = "", []
        return self.say(answer)

    def _rset(self, argument: str) -> bool:
        self.sender, self.recipients = "", []
        return self.say("250 2.0.0 ok")

    def _noop(self, argument: str) -> bool:
        return self.say("250 2.0.0 ok")

    def _starttls(self, argument: str) -> bool:
        return self.server.starttls(self)

    def _auth(self, argument: str) -> bool:
        return self.say(self.server.auth(self, argument))

    def _quit(self, argument: str) -> bool:
        self.say("221 2.0.0 bye")
        return False

    def close(self) -> None:
        self._reader.close()
        self._sock.close()


class Greylist(Server):
    """Who comes for the first time is to come again."""

    def __init__(self, listener: socket.socket, name: str) -> None:
        self.known: set[tuple[str, str, str]] = set()
        super().__init__(listener, name)

    def rcpt(self, session: Session, recipient: str) -> "str | None":
        triple = (session.client, session.sender, recipient)
        if triple in self.known:
            return "250 2.1.5 ok"
        self.known.add(triple)
        return "451 4.7.1 greylisted, come again"


class Refuses(Server):
    """Knows nobody but users whose names begin with `good`."""

    def rcpt(self, session: Session, recipient: str) -> "str | None":
        return "250 2.1.5 ok" if recipient.startswith("good") else "550 5.1.1 nobody of that name here"


class Greets(Server):
    """Greets with `greeting`, and hangs up."""

    def __init__(self, listener: socket.socket, name: str, greeting: str) -> None:
        self._greeting = greeting
        super().__init__(listener, name)

    def greet(self, session: Session) -> "str | None":
        session.say(self._greeting)
        return None


class Dies(Server):
    """Hangs up after the final dot the first `times` times that it sees a sender."""

    def __init__(self, listener: socket.socket, name: str, times: int) -> None:
        self._times = times
        super().__init__(listener, name)

    def data(self, session: Session, letter: Letter) -> "str | None":
        return "250 2.0.0 taken" if sum(each.sender == letter.sender for each in self.letters) >= self._times else None


class OneEach(Server):
    """Has enough of a client after one message."""

    def mail(self, session: Session) -> "str | None":
        if sum(line.upper().startswith("MAIL") for line in session.lines) > 1:
            session.say("421 4.7.0 one message each")
            return None
        return "250 2.1.0 ok"


class Tls(Server):
    """STARTTLS with a certificate."""

    extensions = (*Server.extensions, "STARTTLS")

    def __init__(self, listener: socket.socket, name: str, certificate: "tuple[object, object]") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*certificate)          # type: ignore[arg-type]
        super().__init__(listener, name)

    def starttls(self, session: Session) -> bool:
        return session.say("220 2.0.0 go on") and session.encrypt(self._context)


class Submission(Tls):
    """Sends on for who has logged in over TLS; with `at_once` it speaks TLS from the start (port 465)."""

    def __init__(self, listener: socket.socket, name: str, certificate: "tuple[object, object]", user: str, password: str,
                 *, at_once: bool = False) -> None:
        self._login = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._at_once = at_once
        self.logins = 0
        super().__init__(listener, name, certificate)

    def greet(self, session: Session) -> "str | None":
        if self._at_once:
            session.encrypt(self._context)
        return super().greet(session)

    def offers(self, session: Session) -> "list[str]":
        return [*super().offers(session), *(["AUTH PLAIN"] if session.tls else [])]

    def auth(self, session: Session, argument: str) -> "str | None":
        if not session.tls:
            return "538 5.7.11 not in the clear"
        if argument != f"PLAIN {self._login}":
            return "535 5.7.8 wrong"
        session.known = True
        self.logins += 1
        return "235 2.7.0 welcome"

    def mail(self, session: Session) -> "str | None":
        return "250 2.1.0 ok" if session.known else "530 5.7.0 who are you?"


class Liar(Server):
    """Offers STARTTLS and cannot do it: answers with `answer`, and with garbage if that was yes."""

    extensions = (*Server.extensions, "STARTTLS")

    def __init__(self, listener: socket.socket, name: str, answer: str) -> None:
        self._answer = answer
        super().__init__(listener, name)

    def starttls(self, session: Session) -> bool:
        session.say(self._answer)
        if self._answer.startswith("220"):
            session.send(b"this is not TLS\r\n" * 10)
            return False
        return True
