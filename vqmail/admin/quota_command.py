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

from vqmail import codes, vqhome
from vqmail.admin import asuser, command, mailboxes
from vqmail.formats import quota
from vqmail.record import Record
from vqmail.store import virtual
from vqmail.unix import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

PROGRAM = vqhome.path(b"bin/virtmailquota")
TOO_MUCH = "the quotas of the users are more than the domain's, or one has none: change one of them"
PATIENCE = 600                  # seconds for one Maildir


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
    found = [_report(domain, name, word) for name in names]
    if at and found[0].trouble:
        raise codes.TryLater(found[0].trouble)
    total = None if at else _sum(domain, found)
    if asked["--json"]:
        users = [_plain(each) for each in found]
        command.show(users[0] if total is None else {**_plain(total), "users": users})
    else:
        for each in (*found, *([total] if total else [])):
            command.say(_line(each))
    return codes.TEMPORARY if any(each.trouble for each in found) else codes.OK


class Report(Record):
    """How full the mailbox of `name`, or all of a domain, is; `trouble` is why that is not known, or what is wrong."""

    __slots__ = ("name", "use", "limits", "trouble")
    name: bytes
    use: "quota.Use"
    limits: "quota.Limits"
    trouble: str


def _report(domain: bytes, name: bytes, word: bytes) -> Report:
    user = virtual.find(domain, name)
    if user is None:
        raise codes.GiveUp("there is no user %s in %s" % (_text(name), _text(domain)))
    report = Report(user.name + b"@" + domain, quota.Use(0, 0), quota.parse(user.quota) or quota.NONE, "")
    try:
        report.use = _look(domain, user, word)
    except codes.Failure as failure:
        report.trouble = str(failure)
    return report


def _look(domain: bytes, user: virtual.User, word: bytes) -> "quota.Use":
    """What is there, as a process of the user's own finds it.  TryLater if that cannot be done."""
    done = asuser.run(domain, user, [PROGRAM, user.home, user.quota or quota.NOQUOTA, word], {}, PATIENCE)
    words = done.stdout.split()
    if done.returncode != codes.OK or len(words) != 2:
        raise codes.TryLater("%s@%s: %s" % (
            _text(user.name), _text(domain), _text((done.stderr or done.stdout).strip())))
    return quota.Use(int(words[0]), int(words[1]))


def _sum(domain: bytes, found: "list[Report]") -> Report:
    """What all have together, and whether their quotas keep to the domain's."""
    use = quota.Use(sum(each.use.size for each in found), sum(each.use.count for each in found))
    limits = quota.parse(virtual.settings(domain).quota) or quota.NONE
    kept = quota.fits_into(limits, [each.limits for each in found])
    return Report(domain, use, limits, "" if kept else TOO_MUCH)


def _plain(report: Report) -> "dict[str, object]":
    found: dict[str, object] = {
        "name": report.name, "bytes": report.use.size, "messages": report.use.count, "quota": _quota(report.limits),
        "percent": quota.per_cent(report.limits, report.use)}
    return {**found, "trouble": report.trouble} if report.trouble else found


def _line(report: Report) -> bytes:
    line = b"%s %d bytes %d messages %s %d%%" % (
        report.name, report.use.size, report.use.count, _quota(report.limits),
        quota.per_cent(report.limits, report.use))
    return line + b" (" + report.trouble.encode() + b")" if report.trouble else line


def _quota(limits: "quota.Limits") -> bytes:
    return quota.NOQUOTA if limits == quota.NONE else quota.definition(limits)


def _text(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:300])
