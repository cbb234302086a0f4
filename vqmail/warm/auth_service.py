"""The auth service: tells vq-smtpd whether somebody may log in, for its uid reads no password.

It answers root and qmaild, and nobody else.  One process listens, keeps those waiting who guess, and speaks SCRAM; each
password is compared in a process of a pool, and SCRAM's keys are made there, so that hashes run side by side.  Whatever
asks somebody else's program (PAM, checkpassword) does so in a pool of its own for each source: when that is slow, the
others are not.
"""

import _signal
import time

from vqmail import codes
from vqmail.formats import scramkeys
from vqmail.logins import account, admission, authentication, guessing, scramsecret
from vqmail.prog import auth
from vqmail.store import passwords, roles
from vqmail.unix import calls, limits, log, loop, sockets
from vqmail.warm import door, pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from vqmail.logins.authentication import Answer, Question

WORKERS = 8                     # processes that compare
SLOW_WORKERS = 16               # of each slow source
CLIENTS, EACH = 1000, 20        # attempts at once, and from one address
FILES, SPARE = 3, 80            # descriptors of a client that speaks SCRAM and waits for its keys; and those of nobody
IDLE = 300                      # seconds for a client's next message
STAGE = b"\0stage\0"            # a job: the stage of the sources, and the question
KEYS = b"keys\0"                # a job: name NUL what is stored, of which SCRAM's keys are made


def listen() -> "socket":
    """The socket of this service; who may ask is decided by who he is."""
    return sockets.listen(authentication.SOCKET, 0o666)


def serve(listener: "socket", number: int, alive: int) -> int:
    """Serve until TERM, or until the other end of the pipe `alive` is closed."""
    limits.no_core()
    passwords.load()
    service = Service(listener, alive, limits.clients(CLIENTS, FILES, SPARE))
    while service.turn():
        pass
    return codes.OK


class _Client:
    """An attempt.  `until` is when it is over, or its wait is; `then` what is to be done at that time."""

    __slots__ = ("client", "place", "scram", "sock", "then", "until")

    def __init__(self, sock: "socket") -> None:
        self.sock = sock
        self.client: account.Client | None = None
        self.place = b""
        self.scram: auth.Scram | None = None
        self.until = time.monotonic() + IDLE
        self.then: Callable[[], None] | None = None


class Service:
    """The attempts that are going on."""

    def __init__(self, listener: "socket", alive: int, most: int = CLIENTS) -> None:
        self._most = most
        self._loop = loop.Loop()
        self._pools: dict[int, pool.Pool] = {}
        self._clients: set[_Client] = set()
        self._places: dict[bytes, int] = {}
        self._uids = (0, roles.ids(roles.DAEMON)[0])
        self._door = door.Door(self._loop, listener, alive, self._enter)
        self._loop.watch_signal(_signal.SIGTERM, self._door.close)

    def turn(self) -> bool:
        """One look around; whether there is more to come: not after TERM, once all attempts have ended."""
        now = time.monotonic()
        for each in [each for each in self._clients if each.until <= now]:
            action, each.then = each.then, None
            each.until = now + IDLE
            if action is None:
                self._end(each)
            else:
                action()
        soonest = min((each.until for each in self._clients), default=None)
        if self._clients or self._door.open:
            self._loop.turn(None if soonest is None else max(soonest - time.monotonic(), 0))
        return bool(self._clients) or self._door.open

    def _enter(self, sock: "socket", uid: int) -> bool:
        if uid not in self._uids or len(self._clients) >= self._most:
            log.line(b"auth", "uid %d may not ask" % uid if uid not in self._uids else "too many at once")
            sock.close()
        else:
            one = _Client(sock)
            self._clients.add(one)
            self._loop.watch(sock.fileno(), lambda: self._hear(one))
        return True

    def _hear(self, one: _Client) -> None:
        try:
            packet = one.sock.recv(authentication.LIMIT)
            question = authentication.parse(packet) if packet else None
        except (OSError, ValueError) as error:
            log.line(b"auth", "cannot understand the question: %s" % error)
            question = None
        if question is None or one.then is not None:        # gone, or talks where it should listen
            self._end(one)
            return
        one.until = time.monotonic() + IDLE
        try:
            self._do(one, question)
        except codes.Failure as failure:
            if one.client is not None:
                auth.decided(one.client, admission.trouble(failure), question.name)
            self._answer(one, authentication.TROUBLE)

    def _do(self, one: _Client, question: "Question") -> None:
        if one.client is None:
            if question.client is None:
                raise codes.TryLater("a conversation without a beginning")
            if not self._admit(one, question.client):
                raise codes.TryLater("more than %d attempts at once from there" % EACH)
        assert one.client is not None
        if question.kind == authentication.CHECK:
            self._check(one, question)
        elif one.scram is None:
            one.scram = auth.Scram(one.client)
            answer = one.scram.refusal(question.secret)
            if answer is not None:
                self._answer(one, answer)
            else:
                self._make_keys(one, one.scram)
        else:
            self._answer(one, one.scram.final(question.secret))

    def _admit(self, one: _Client, client: account.Client) -> bool:
        place = guessing.network(client.ip) or b""
        one.client = client
        if place and self._places.get(place, 0) >= EACH:
            return False
        one.place = place
        self._places[place] = self._places.get(place, 0) + 1
        return True

    def _check(self, one: _Client, question: "Question") -> None:
        assert one.client is not None
        gate = guessing.gate(admission.named(question.name, one.client), one.client.ip)
        if gate.locked:
            self._answer(one, auth.decided(one.client, admission.locked(gate), question.name))
            return
        self._after(one, gate.seconds, lambda: self._ask(one, question, admission.FIRST))

    def _after(self, one: _Client, seconds: int, action: "Callable[[], None]") -> None:
        if not seconds:
            action()
            return
        one.then = action
        one.until = time.monotonic() + seconds

    def _ask(self, one: _Client, question: "Question", stage: int) -> None:
        """Have a process of the pool of that stage compare; it answers the client itself."""
        if one not in self._clients:
            return
        one.until = time.monotonic() + IDLE
        self._loop.forget(one.sock.fileno())    # nothing more is expected of it
        packet = b"%d%s%s" % (stage, STAGE, authentication.packed(question))
        self._pool(stage).submit(None, packet, [calls.dup(one.sock.fileno())],
                                 lambda code: self._done(one, question, code))

    def _pool(self, stage: int) -> pool.Pool:
        if stage not in self._pools:
            self._pools[stage] = pool.Pool(
                self._loop, WORKERS if stage == admission.FIRST else SLOW_WORKERS, _work, ours=True)
        return self._pools[stage]

    def _make_keys(self, one: _Client, exchange: auth.Scram) -> None:
        """Have the keys made, which takes its time; then comes the challenge."""
        ours, theirs = sockets.pair()
        self._loop.forget(one.sock.fileno())    # it has to wait
        self._pool(admission.FIRST).submit(None, KEYS + exchange.name + b"\0" + exchange.stored, [theirs.detach()],
                                           lambda code: self._challenge(one, exchange, ours, code))

    def _challenge(self, one: _Client, exchange: auth.Scram, ours: "socket", code: int) -> None:
        try:
            answer = (exchange.challenge(scramkeys.decode(ours.recv(authentication.LIMIT)))
                      if code == codes.OK else authentication.TROUBLE)
        finally:
            ours.close()
        if one in self._clients:
            self._loop.watch(one.sock.fileno(), lambda: self._hear(one))
            self._after(one, exchange.seconds, lambda: self._answer(one, answer))

    def _done(self, one: _Client, question: "Question", code: int) -> None:
        if code >= admission.LATER:
            self._ask(one, question, code - admission.LATER)
        elif code == codes.OK:
            self._end(one)                      # it has its answer
        else:
            log.line(b"auth", b"<%s>: its process is gone" % question.name)
            self._answer(one, authentication.TROUBLE)

    def _answer(self, one: _Client, answer: "Answer") -> None:
        if one not in self._clients:
            return
        try:
            sockets.send(one.sock, authentication.encode(answer))
        except OSError:                         # it did not wait
            self._end(one)
            return
        if answer.code != authentication.MORE:
            self._end(one)

    def _end(self, one: _Client) -> None:
        if one not in self._clients:
            return
        self._clients.discard(one)
        self._loop.forget(one.sock.fileno())
        one.sock.close()
        if one.place:
            self._places[one.place] -= 1
            if not self._places[one.place]:
                del self._places[one.place]


def _work(sock: "socket") -> None:
    """In a process of a pool: compare, and answer the client.  Returns when the service is gone."""
    while True:
        packet, descriptors = sockets.receive(sock)
        if not packet:
            calls._exit(codes.OK)
        try:
            code = (_keys if packet.startswith(KEYS) else _compare)(packet, descriptors[0])
        except codes.Failure as failure:        # logged where it was found
            log.line(b"auth", str(failure))
            code = codes.TEMPORARY
        finally:
            for each in descriptors:
                calls.close(each)
        sockets.send(sock, b"%d" % code)


def _keys(packet: bytes, descriptor: int) -> int:
    name, _, stored = packet[len(KEYS):].partition(b"\0")
    calls.write(descriptor, scramkeys.encode(scramsecret.keys(name, stored)))
    return codes.OK


def _compare(packet: bytes, descriptor: int) -> int:
    stage, _, rest = packet.partition(STAGE)
    question = authentication.parse(rest)
    assert question.client is not None
    try:
        verdict = admission.ask(question.name, question.secret, question.challenge, question.client, int(stage))
    except codes.Failure as failure:
        verdict = admission.trouble(failure)
    if verdict.code >= admission.LATER:
        return verdict.code
    answer = auth.decided(question.client, verdict, question.name)
    try:
        calls.write(descriptor, authentication.encode(answer))
    except OSError:                             # it did not wait
        pass
    return codes.OK
