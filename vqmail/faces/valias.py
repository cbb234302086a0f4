"""valias: show, insert and delete the aliases of a domain, as vpopmail does.

SYNOPSIS    valias -s domain|name@domain
            valias -i target name@domain
            valias -r target name@domain
            valias -d name@domain

WRITES      1   with -s the aliases, as `name@domain -> target`

-i          mail for the name goes to the target, too: an address, or a user of the domain
-r          the target gets it no more; -d nobody does

Programs and files are no targets, whoever asks: those are lines that the owner writes into .qmail files.  A target may
begin with an ampersand, as in those.

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble

RUNS AS     root; the owner of a domain, by `vq-service admin`

STANDARDS   vpopmail 5.4
"""

from vqmail import codes
from vqmail.admin import aliases, command, foreign, mailboxes, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service."""
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Show or change aliases."""
    given, rest = foreign.words(argv, "vsdi:r:", 1, 1)
    if len(set(given) - {"v"}) != 1:
        raise codes.GiveUp("say one of -s, -i, -r and -d; man valias says what they do")
    local, at, domain = rest[0].rpartition(b"@")
    domain = mailboxes.real_domain(names.domain(domain))
    caller.check(domain)
    if "s" in given:
        for each in ([local.lower()] if at else aliases.names(domain)):
            for target in aliases.targets(domain, each):
                command.say(b"%s@%s -> %s" % (each, domain, target))
        return codes.OK
    name = aliases.name_of(local, wildcard=local.endswith(b"-default"))
    with caller.change(domain) as t:
        if "i" in given:
            odd = aliases.add(t, domain, name, [given["i"].removeprefix(b"&")])
        else:
            odd = aliases.remove(t, domain, name, [given["r"].removeprefix(b"&")] if "r" in given else [])
        t.commit()
    foreign.warn("valias", odd)
    return codes.OK
