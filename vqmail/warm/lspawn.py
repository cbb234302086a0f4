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

from vqmail import codes, vqhome
from vqmail.formats import delivery, job
from vqmail.store import users
from vqmail.unix import chain, limits, log
from vqmail.warm import registry, spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

WORKERS = 500                   # processes kept; a site with more busy uids than that waits for forks
LOCAL_PROGRAM = vqhome.path(b"bin/vq-local")


def main(argv: "list[bytes]", env: "Env") -> int:
    """Deliver what vq-send says until it hangs up."""
    if len(argv) != 2:
        raise codes.GiveUp("usage: vq-lspawn aliasempty")
    chain.make_resident(registry.programs())
    limits.raise_files()
    return Local(argv[1], env).run()


class Local(spawner.Spawner):
    """Deliveries by vq-local, each under the uid of who controls the address."""

    def __init__(self, alias_empty: bytes, env: "Env") -> None:
        super().__init__(WORKERS)
        self._alias_empty = alias_empty
        self._env = env
        self._users = users.Lookup()

    def start(self, slot: int, file: int, sender: bytes, recipient: bytes) -> bytes:
        """Look up who controls `recipient`, and run vq-local as that user."""
        local, _, host = recipient.rpartition(b"@")
        if not local:
            log.line(b"vq-lspawn", b"a message for %s thrown away: it has no local part" % recipient)
            return b"K"
        try:
            owner = self._users.owner(local)
        except codes.Failure as failure:
            log.line(b"vq-lspawn", str(failure))
            return b"ZTrouble looking up the user. (#4.3.0)\n"
        if owner.uid == 0:
            return b"ZNot allowed to perform deliveries as root. (#4.3.5)\n"
        output = spawner.Output(self.loop, delivery.OUTPUT_LIMIT, 2)
        argv = [LOCAL_PROGRAM, b"--", owner.user, owner.home, local, owner.dash, owner.ext, host, sender,
                self._alias_empty]
        self.pool.submit((owner.uid, owner.gid), job.encode(argv, self._env, b"0,1,2"),
                         [file, *output.writers],
                         lambda code: self.done(slot, delivery.local_report(code, output.close())))
        return b""
