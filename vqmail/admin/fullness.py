"""How full mailboxes are, as processes of their users find it: virtmailquota."""

import concurrent.futures
import functools
import os

from vqmail import codes, vqhome
from vqmail.admin import asuser
from vqmail.formats import quota
from vqmail.record import Record
from vqmail.store import virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = vqhome.path(b"bin/virtmailquota")
PATIENCE = 600                  # seconds for one Maildir


class Report(Record):
    """How full the mailbox of `name`, or all of a domain, is; `trouble` is why that is not known, or what is wrong."""

    __slots__ = ("name", "use", "limits", "trouble")
    name: bytes
    use: "quota.Use"
    limits: "quota.Limits"
    trouble: str


def reports(domain: bytes, names: "list[bytes]", word: bytes) -> "Iterator[Report]":
    """How full the mailboxes of some users are, in their order, each as soon as it is known.

    `word` is show, or recount.  Each is looked at by a process of its own, as many at once as there are processors.
    """
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(functools.partial(_report, domain, word=word), names)


def line(report: Report) -> bytes:
    """A report in one line, for people."""
    said = b"%s %d bytes %d messages %s %d%%" % (
        report.name, report.use.size, report.use.count, definition(report.limits),
        quota.per_cent(report.limits, report.use))
    return said + b" (" + report.trouble.encode() + b")" if report.trouble else said


def definition(limits: "quota.Limits") -> bytes:
    """A quota as people write it."""
    return quota.NOQUOTA if limits == quota.NONE else quota.definition(limits)


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


def _text(text: bytes) -> str:
    return "".join(chr(each) if 32 <= each < 127 else "?" for each in text[:300])
