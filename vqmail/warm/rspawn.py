"""vq-rspawn: send mail to other hosts.

SYNOPSIS    vq-rspawn

READS       0   commands of vq-send: number, message, sender, recipient
WRITES      1   one byte, how many deliveries at once; then reports: number, K Z or D, text

Sends each message as vq-remote does, in processes that are used again: one that has a connection to
the host of the next message keeps it for that, and gives it up after some seconds without work.
Deliveries end in any order.  At the end of descriptor 0 the running ones are finished.

ENVIRONMENT QMAILREMOTE     the program to run for each delivery instead, with the arguments and the
                            answers of vq-remote: host sender recipient

FILES       queue/mess      the messages; its directory is the current one
            queue/lock/tcpto    hosts that timed out; forgotten when vq-rspawn starts

EXIT        0   the end of descriptor 0
            111 cannot start

RUNS AS     qmailr

STANDARDS   qmail-rspawn(8)
"""

from vqmail import codes, vqhome
from vqmail.formats import delivery, job, remotereport
from vqmail.outgoing import mx, route, tcpto
from vqmail.unix import limits, tls
from vqmail.warm import courier, spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

REMOTE_PROGRAM = vqhome.path(b"bin/vq-remote")


def main(argv: "list[bytes]", env: "Env") -> int:
    """Send what vq-send says until it hangs up."""
    if len(argv) != 1:
        raise codes.GiveUp("usage: vq-rspawn")
    limits.raise_files()
    tcpto.clear()
    route.check()
    mx.load()
    tls.load()
    return Remote(env).run()


class Remote(spawner.Spawner):
    """Deliveries to other hosts."""

    def __init__(self, env: "Env") -> None:
        super().__init__(delivery.SPAWN, courier.serve)
        self._env = {name: value for name, value in env.items() if name in (courier.PROGRAM, b"PATH")}

    def start(self, slot: int, file: int, sender: bytes, recipient: bytes) -> bytes:
        """Have a courier send the message."""
        host = recipient.rpartition(b"@")[2].lower()
        output = spawner.Output(self.loop, delivery.REPORT_LIMIT)
        self.pool.submit(host, job.encode([REMOTE_PROGRAM, host, sender, recipient], self._env, b"0,1"),
                         [file, *output.writers],
                         lambda code: self.done(slot, remotereport.for_vq_send(output.close(), code)))
        return b""
