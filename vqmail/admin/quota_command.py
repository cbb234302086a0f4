"""vq-quota: how full mailboxes are.

SYNOPSIS    vq-quota USER_OR_DOMAIN [--recount] [--json]
            vq-quota --help

WRITES      1   of each user a line: the address, the bytes and messages there are, the quota, how full it is in per
                cent; of a domain a last line with its name and the sum of all
            2   what is wrong

With --recount the messages are counted; otherwise Maildir/maildirsize says how many there are, and they are counted
only where it cannot be believed.  IMAP servers see the quota in that file, which this makes if it is missing, and which
says that there is none as soon as a user who has none any more is looked at.

A domain's own quota (option quota of @) is what its users may have together.  It is not looked at when mail comes in,
for then every message would cost a look at every user: quotas that add up to more are not given, and where there are
such ones all the same, as the domain's was made smaller, that is said here.

Who is not root asks the local service `vq-service admin`, which serves the owner of a domain for his own.

FILES       /virtual/DOMAIN/home/USER/Maildir/maildirsize

CONTROL FILES
            minuid virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; there is no such user or domain; not allowed
            111 trouble: not all could be counted

RUNS AS     root; anybody, by the service

SECURITY    A Maildir is only ever looked at by a process of its user: virtmailquota.
"""

from vqmail import codes
from vqmail.admin import command, fullness, mailboxes
from vqmail.formats import quota
from vqmail.store import virtual
from vqmail.unix import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

TOO_MUCH = "the quotas of the users are more than the domain's, or one has none: change one of them"


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do what was asked for, here or by the service."""
    return command.run(serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Say how full mailboxes are, to `caller`."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    whose, at, domain = command.encode(asked["USER_OR_DOMAIN"]).lower().rpartition(b"@")
    domain = mailboxes.real_domain(domain)
    caller.check(domain)
    names = [whose] if at else mailboxes.names(domain)
    word = b"recount" if asked["--recount"] else b"show"
    found = []
    for each in fullness.reports(domain, names, word):
        if at and each.trouble:
            raise codes.TryLater(each.trouble)
        found.append(each)
        if not asked["--json"]:                 # at once: a process for each takes its time
            command.say(fullness.line(each))
    total = None if at else _sum(domain, found)
    if asked["--json"]:
        users = [_plain(each) for each in found]
        command.show(users[0] if total is None else {**_plain(total), "users": users})
    elif total is not None:
        command.say(fullness.line(total))
    return codes.TEMPORARY if any(each.trouble for each in found) else codes.OK


def _sum(domain: bytes, found: "list[fullness.Report]") -> fullness.Report:
    """What all have together, and whether their quotas keep to the domain's."""
    use = quota.Use(sum(each.use.size for each in found), sum(each.use.count for each in found))
    limits = quota.parse(virtual.settings(domain).quota) or quota.NONE
    kept = quota.fits_into(limits, [each.limits for each in found])
    return fullness.Report(domain, use, limits, "" if kept else TOO_MUCH)


def _plain(report: fullness.Report) -> "dict[str, object]":
    found: dict[str, object] = {
        "name": report.name, "bytes": report.use.size, "messages": report.use.count,
        "quota": fullness.definition(report.limits), "percent": quota.per_cent(report.limits, report.use)}
    return {**found, "trouble": report.trouble} if report.trouble else found
