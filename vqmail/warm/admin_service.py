"""The admin service: runs the administrators' commands, with root's rights, for those who are not root.

Who asks comes from the kernel; what he may do is decided by the command (admin/caller).  Each job has a process of its
own, which gets the caller's descriptors and a few words of his environment, and ends with the job.  Nobody keeps more
than a few of them busy, and none of them for long.
"""

import _signal
import fcntl

from vqmail import codes
from vqmail.formats import job
from vqmail.unix import calls, chain, fd, limits, log, loop, sockets
from vqmail.warm import door, pool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.admin.command import Serve

WORKERS = 20                    # processes at once
CLIENTS, EACH = 200, 5          # callers at once, and of one uid
PATIENCE = 600                  # seconds that a job may take, prompting and all
TARGETS = (b"0,1,2", b"0,1,2,3")
CALLER = b"VQ_CALLER"           # tells the worker the caller's uid; nothing the caller sends has this name
OWN = 200                       # our own descriptor lives here, out of the way of the caller's
UMASK = 0o022


def listen() -> "socket":
    """The socket of this service; who may do what is decided by who he is."""
    # docopt, json and their kin: the other services need none of them
    from vqmail.admin import command

    return sockets.listen(command.SOCKET, 0o666)


def serve(listener: "socket", number: int, alive: int) -> int:
    """Serve until TERM, or until the other end of the pipe `alive` is closed."""
    from vqmail.admin import command

    limits.no_core()                            # passwords are set here
    service = Service(listener, alive, command.served(), command.HANDED)
    while service.turn():
        pass
    return codes.OK


class Service:
    """The callers whose commands are running."""

    def __init__(self, listener: "socket", alive: int, commands: "dict[bytes, Serve]",
                 handed: "tuple[bytes, ...]") -> None:
        self._loop = loop.Loop()
        self._commands = commands
        self._handed = handed
        self._pool = pool.Pool(self._loop, WORKERS, self._work, ours=True)
        self._clients: dict[int, int] = {}      # uid -> how many
        self._door = door.Door(self._loop, listener, alive, self._enter)
        self._loop.watch_signal(_signal.SIGTERM, self._door.close)

    def turn(self) -> bool:
        """One look around; whether there is more to come: not after TERM, once all commands have ended."""
        self._loop.turn(None)
        return bool(self._clients) or self._door.open

    def _enter(self, sock: "socket", uid: int) -> bool:
        if self._clients.get(uid, 0) >= EACH or sum(self._clients.values()) >= CLIENTS:
            log.line(b"admin", "uid %d asks for too much at once" % uid)
            sock.close()
        else:
            self._clients[uid] = self._clients.get(uid, 0) + 1
            self._loop.watch(sock.fileno(), lambda: self._begin(sock, uid))
        return True

    def _begin(self, sock: "socket", uid: int) -> None:
        self._loop.forget(sock.fileno())
        descriptors: list[int] = []
        try:
            packet, descriptors = sockets.receive(sock)
            argv, env, targets = job.decode(packet)
            wanted = b",".join(targets)
            if wanted not in TARGETS or len(descriptors) != len(targets) or argv[0] not in self._commands:
                raise ValueError("this is no command of ours")
        except (OSError, ValueError) as error:
            fd.close_all(descriptors)
            log.line(b"admin", "uid %d: %s" % (uid, error))
            self._answer(sock, uid, b"nonsense", codes.TEMPORARY)
            return
        env = {each: env[each] for each in self._handed if each in env}
        env[CALLER] = b"%d" % uid
        what = b" ".join(argv[:2])              # what follows may be a password
        pid = self._pool.submit(None, job.encode(argv, env, wanted), descriptors,
                                lambda code: self._answer(sock, uid, what, code))
        if pid and sock.fileno() >= 0:
            self._loop.watch(sock.fileno(), lambda: self._interrupt(sock, pid))

    def _interrupt(self, sock: "socket", pid: int) -> None:
        """The caller is gone, by ^C perhaps: nobody is to go on reading his terminal."""
        self._loop.forget(sock.fileno())
        calls.kill(pid, _signal.SIGINT)

    def _answer(self, sock: "socket", uid: int, what: bytes, code: int) -> None:
        log.line(b"admin", b"uid %d: %s: %d" % (uid, what, code))
        self._loop.forget(sock.fileno())
        try:
            sockets.send(sock, b"%d" % (code if code >= 0 else codes.TEMPORARY))
        except OSError:                         # the caller did not wait
            pass
        sock.close()
        self._clients[uid] -= 1
        if not self._clients[uid]:
            del self._clients[uid]

    def _work(self, sock: "socket") -> None:
        """In a process of its own: do one job.  Never returns."""
        inbox = type(sock)(fileno=fcntl.fcntl(sock.detach(), fcntl.F_DUPFD_CLOEXEC, OWN))
        packet, descriptors = sockets.receive(inbox)
        if not packet:
            calls._exit(codes.OK)
        argv, env, targets = job.decode(packet)
        errors = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, OWN)
        descriptors = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, OWN) for each in descriptors]
        calls.closerange(3, OWN)
        for target, each in zip(targets, descriptors, strict=True):
            calls.dup2(each, int(target), inheritable=True)
            calls.close(each)
        calls.chdir(b"/")
        calls.umask(UMASK)
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        _signal.alarm(PATIENCE)
        outcome = chain.run(lambda argv, env: self._run(argv, env, int(env.pop(CALLER))), argv, env)
        calls.dup2(errors, 2, inheritable=True)
        try:
            sockets.send(inbox, b"%d last" % (outcome if isinstance(outcome, int) else codes.TEMPORARY))
        finally:
            calls._exit(codes.OK)

    def _run(self, argv: "list[bytes]", env: "dict[bytes, bytes]", uid: int) -> int:
        from vqmail.admin import caller  # loaded already, by the commands

        try:
            return self._commands[argv[0]](argv, env, caller.Caller(uid))
        except KeyboardInterrupt:
            raise codes.TryLater("interrupted") from None
