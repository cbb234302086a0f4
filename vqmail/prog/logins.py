"""vq-logins: who guesses passwords, and is locked out; show it, end it.

SYNOPSIS    vq-logins
            vq-logins who
            vq-logins clear who
            vq-logins clear all

WRITES      1   a line for each address: what it is, its wrong passwords that count now, and for how many seconds
                it is locked out; for `who`, a user's name or an address, that one only, and for a user also
                the addresses where he has logged in before and wrong passwords for him count

Wrong passwords are counted as control/loginlimits says (doc/LOGINS.md).  Names cannot be listed: what is kept of them
tells nothing to who does not know them.  A virtual user is asked for as user@domain, whichever way the client spelled
him, one of the system by his bare name.

`clear` forgets what was counted for an address or a name, or everything, and ends the locks.

CONTROL FILES
            loginlimits

FILES       run/auth/guesses

EXIT        0   done
            1   clear: there was nothing to forget
            100 wrong usage
            111 the counts cannot be read

RUNS AS     root
"""

import errno

from vqmail import codes
from vqmail.logins import guessing
from vqmail.unix import fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

CLEAR, ALL = b"clear", b"all"
NOTHING = 1


def main(argv: "list[bytes]", _env: "Env") -> int:
    """Show or clear."""
    words = argv[1:]
    if len(words) > 2 or (len(words) == 2 and words[0] != CLEAR) or words == [CLEAR]:
        raise codes.GiveUp("usage: vq-logins [who] | vq-logins clear who | vq-logins clear all")
    try:
        if len(words) == 2:
            return codes.OK if guessing.clear(None if words[1] == ALL else words[1].lower()) else NOTHING
        fd.write_all(1, _name(words[0].lower()) if words and guessing.network(words[0]) is None else _addresses(words))
    except OSError as error:
        remedy = "; are you root?" if error.errno in (errno.EACCES, errno.EPERM) else ""
        raise codes.TryLater("cannot use the counts of wrong passwords: %s%s" % (
            log.reason(error, guessing.PATH), remedy)) from None
    return codes.OK


def _name(name: bytes) -> bytes:
    return b"%s: %d wrong\n" % (name, guessing.user(name)) + b"".join(
        b"%s at %s, where he has logged in before: %d wrong\n" % (name, address, failures)
        for address, failures in guessing.places(name))


def _addresses(words: "list[bytes]") -> bytes:
    wanted = guessing.network(words[0]) if words else None
    return b"".join(
        b"%s: %d wrong%s\n" % (address, failures, b", locked out for %d more seconds" % locked if locked else b"")
        for address, failures, locked in guessing.addresses()
        if wanted is None or address == guessing.shown(wanted))
