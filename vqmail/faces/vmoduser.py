"""vmoduser: change a user of a domain, or all of them, as vpopmail does.

SYNOPSIS    vmoduser [-v] [-q quota] [-c name] [-e hash] [-C password] [-p] [-i] [-s] [-r] [-b] [-x] user@domain
            vmoduser [-v] [-q quota] [-p] [-i] [-s] [-r] [-b] [-x] domain

-q -c -e    quota, real name, hash of the password
-C          a new password, in clear; it is stored as its hash
-p -i       no login by POP, by IMAP: here, no login at all
-s -r       no sending: not by SMTP AUTH, not as a relay
-b          all mail bounces: no receiving
-x          takes -p -i -s -r -b back, all of them

vpopmail's other flags (-d -w -u -o -a -0 to -3 -m -l) are about programs that are not here; they are refused.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import foreign, mailboxes, names, passwords, transaction

FLAGS = {"p": b"login", "i": b"login", "s": b"send", "r": b"send", "b": b"receive"}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Change a user, or all of a domain."""
    given, rest = foreign.words(argv, "vq:c:e:C:pisrbx", 1, 1)
    if b"@" in rest[0]:
        user, domain = foreign.address(rest[0])
        users = [user]
    else:
        domain = mailboxes.real_domain(names.domain(rest[0]))
        if {"c", "e", "C"} & set(given):
            raise codes.GiveUp("-c, -e and -C are for one user")
        users = []
    caller.check(domain)
    stored = _hash(given)
    with caller.change(domain) as t:
        transaction.do_all(step for each in users or mailboxes.names(domain)
                           for step in _steps(t, domain, each, given, stored))
        t.commit()
    return codes.OK


def _hash(given: "dict[str, bytes]") -> bytes:
    if "e" in given:
        passwords.check_hash(given["e"])
        return given["e"]
    return passwords.hash(given["C"]) if "C" in given else b""


def _steps(t: transaction.Transaction, domain: bytes, user: bytes, given: "dict[str, bytes]",
           stored: bytes) -> "list[Callable[[], None]]":
    found: list[Callable[[], None]] = []
    if "q" in given:
        found.append(lambda: mailboxes.set_option(t, domain, user, b"quota", given["q"]))
    if "c" in given:
        found.append(lambda: mailboxes.set_real_name(t, domain, user, given["c"]))
    if stored:
        found.append(lambda: mailboxes.set_password(t, domain, user, stored))
    if "x" in given:
        found.append(lambda: mailboxes.resume(t, domain, user, frozenset(FLAGS.values())))
    flags = frozenset(FLAGS[each] for each in given if each in FLAGS)
    if flags:
        found.append(lambda: mailboxes.suspend(t, domain, user, flags))
    return found
