"""vq-lspawn: deliver local mail, each message under its recipient's uid.

SYNOPSIS    vq-lspawn aliasempty

READS       0   commands of vq-send: number, message, sender, recipient
WRITES      1   one byte, how many deliveries at once; then reports: number, K Z or D, text

Looks up who controls the recipient (users/cdb, then the passwd file), and has vq-local run in a
process of that user's uid and gid, with the message on descriptor 0 and its report on 1 and 2.
`aliasempty` is the delivery for a user who has no .qmail file, such as ./Maildir/ .

Deliveries end in any order.  At the end of descriptor 0 the running ones are finished.

FILES       users/cdb   who controls which addresses; made by vq-newu
            queue/mess  the messages; its directory is the current one

EXIT        0   the end of descriptor 0
            111 cannot start

RUNS AS     root; reads nothing that a stranger wrote but an address.  Nothing is ever delivered as
            uid 0.

STANDARDS   qmail-lspawn(8)
"""

import stat
import time

from vqmail import codes, vqhome
from vqmail.formats import delivery, job
from vqmail.store import roles, users
from vqmail.unix import calls, chain, fd, limits, log, loop
from vqmail.warm import pool, registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

ID_LIMIT = 100                  # bytes of a message's name, its NUL among them
IDLE = 60.0                     # seconds after which a process without work goes
WORKERS = 500                   # processes kept; a site with more busy uids than that waits for forks


def main(argv: "list[bytes]", env: "Env") -> int:
    """Deliver what vq-send says until it hangs up."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-lspawn aliasempty")
    chain.make_resident(registry.programs())
    limits.raise_files()
    return Spawner(argv[1], env).run()


class Spawner:
    """The deliveries that are running, by number."""

    def __init__(self, alias_empty: bytes, env: "Env") -> None:
        self._alias_empty = alias_empty
        self._env = env
        self._loop = loop.Loop()
        self._pool = pool.Pool(self._loop, WORKERS)
        self._queue_uid = roles.ids(roles.QUEUE)[0]
        self._users = users.Lookup()
        self._commands = delivery.Commands()
        self._running: dict[int, _Output] = {}
        self._reports: list[bytes] = []
        self._open = True
        self._trim_at = 0.0

    def run(self) -> int:
        """Serve descriptor 0 until its end, then finish what runs."""
        fd.write_all(1, b"%c" % delivery.SPAWN)
        self._loop.watch(0, self._receive)
        while self._open or self._running:
            self._loop.turn(IDLE)
            self._rest(time.monotonic())
            if self._reports:
                reports, self._reports = self._reports, []
                try:
                    fd.write_all(1, b"".join(reports))
                except OSError:                 # vq-send is gone; what was started is still delivered
                    continue
        return codes.OK

    def _rest(self, now: float) -> None:
        """Now and then, let go of the processes of users who get no mail just now."""
        if now >= self._trim_at:
            self._trim_at = now + IDLE
            self._pool.trim(0, now - IDLE)

    def _receive(self) -> None:
        data = calls.read(0, 65536)
        if not data:
            self._open = False
            self._loop.forget(0)
            return
        for slot, message, sender, recipient in self._commands.feed(data):
            text = self._start(slot, message, sender, recipient)
            if text:
                self._reports.append(delivery.report(slot, text))

    def _start(self, slot: int, message: bytes, sender: bytes, recipient: bytes) -> bytes:
        """Start a delivery; b"" when it runs, else the report there and then."""
        if slot >= delivery.SPAWN or slot in self._running:
            return b"ZInternal error: delnum too big. (#4.3.5)\n" if slot >= delivery.SPAWN else (
                b"ZInternal error: delnum in use. (#4.3.5)\n")
        if not message or len(message) >= ID_LIMIT or message[:1] == b"/" or message.strip(b"0123456789/"):
            return b"DInternal error: messid has nonnumerics. (#5.3.5)\n"
        if max(len(sender), len(recipient)) > delivery.ADDRESS_LIMIT:
            return b"DSorry, that address is too long. (#5.1.3)\n"
        local, at, host = recipient.rpartition(b"@")
        if not at:
            return b"DSorry, address must include host name. (#5.1.3)\n"
        if not local:
            log.line(b"vq-lspawn", b"message %s for %s thrown away: it has no local part" % (message, recipient))
            return b"K"
        try:
            file = calls.open(message, calls.O_RDONLY | calls.O_CLOEXEC | calls.O_NONBLOCK | calls.O_NOFOLLOW)
        except OSError as error:
            return b"ZUnable to open message: %s. (#4.3.0)\n" % str(error.strerror).encode()
        found = calls.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != self._queue_uid:
            calls.close(file)
            return b"ZSorry, message has wrong owner. (#4.3.5)\n"
        try:
            owner = self._users.owner(local)
        except codes.Failure as failure:
            calls.close(file)
            log.line(b"vq-lspawn", str(failure))
            return b"ZTrouble looking up the user. (#4.3.0)\n"
        if owner.uid == 0:
            calls.close(file)
            return b"ZNot allowed to perform deliveries as root. (#4.3.5)\n"
        self._run(slot, file, owner, local, host, sender)
        return b""

    def _run(self, slot: int, file: int, owner: "users.Owner", local: bytes, host: bytes, sender: bytes) -> None:
        output = _Output(self._loop)
        self._running[slot] = output
        argv = [LOCAL_PROGRAM, b"--", owner.user, owner.home, local, owner.dash, owner.ext, host, sender,
                self._alias_empty]

        def done(code: int) -> None:
            del self._running[slot]
            self._reports.append(delivery.report(slot, delivery.local_report(code, output.close())))

        self._pool.submit((owner.uid, owner.gid), job.encode(argv, self._env, b"0,1,2"),
                          [file, output.writer, calls.dup(output.writer)], done)


class _Output:
    """What one delivery says: read while it runs, so that it never waits for us, and kept up to a limit."""

    def __init__(self, watcher: loop.Loop) -> None:
        self._loop = watcher
        self._reader, self.writer = calls.pipe2(calls.O_CLOEXEC)
        calls.set_blocking(self._reader, False)         # only our end of it
        self._text = b""
        watcher.watch(self._reader, self._read)

    def _read(self) -> bool:
        try:
            data = calls.read(self._reader, 65536)
        except BlockingIOError:
            return False
        if len(self._text) <= delivery.OUTPUT_LIMIT:
            self._text += data
        if not data:
            self._loop.forget(self._reader)
        return bool(data)

    def close(self) -> bytes:
        """What was said up to now; a program left in the background does not hold up the report."""
        while self._read():
            pass
        self._loop.forget(self._reader)
        calls.close(self._reader)
        return self._text


LOCAL_PROGRAM = vqhome.path(b"bin/vq-local")
