"""vq-explain: what happens to mail for an address, and which file decides so.

SYNOPSIS    vq-explain [--json] ADDRESS...
            vq-explain --help

WRITES      1   each decision on its way with the file, and the line, that made it; the end; what vq-smtpd says to a
                stranger who sends to it; who it is that logs in with that name
            2   what is wrong with the command

It asks what vq-smtpd and virtmailfilter ask, so it says what they do: locals and virtualdomains, users/cdb, the
owner's dot-qmail files, the users and options of the domain, its extensions and its catch-all, the .qmail of a
virtual user.  Where mail is sent on, it does not follow.  ADDRESS is as in an envelope, without quotes.

With --json each address is one object on a line of its own: address, stored (with the prefix of virtualdomains), kind
(mailbox, forward, delete, maildir, delivery, remote, nobody, suspended, moved, unknown, trouble), code, end, user,
domain, uid, gid, maildir, target (of a forward), steps (file, line, says), smtp, login.

CONTROL FILES
            envnoathost locals percenthack virtualdomains virtualroot minuid popdomains, and those of vq-smtpd

EXIT        0   it is delivered, or goes to another host
            100 it is not: there is nobody, or he receives nothing for now; wrong usage
            111 not now: something is broken, or may not be read

RUNS AS     root, to see what each owner's files say; anybody else may be told that he cannot look
"""

from vqmail import codes, vqhome
from vqmail.formats import jsonline
from vqmail.proto import reply
from vqmail.store import explanation, reception, resolver
from vqmail.unix import fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

USAGE = "usage: vq-explain [--json] ADDRESS...; vq-explain --help"


def main(argv: "list[bytes]", env: "Env") -> int:
    """Explain each address."""
    addresses = [each for each in argv[1:] if each != b"--json"]       # one may begin with a hyphen: not for docopt
    for_help = addresses == [b"--help"]
    if not for_help and (not addresses or any(each[:2] == b"--" for each in addresses)):
        raise codes.GiveUp(USAGE)
    asked = resolver.Resolver()
    worst = codes.OK
    try:
        if for_help:
            fd.write_all(1, (__doc__ or USAGE).encode())
            return codes.OK
        for each in addresses:
            found = explanation.explain(each, asked)
            smtp, login = _smtp(each, asked), explanation.login(each)
            worst = max(worst, found.code)
            fd.write_all(1, _object(found, smtp, login) if b"--json" in argv[1:] else _text(found, smtp, login))
    except BrokenPipeError:                     # whoever reads us has seen enough
        return codes.TEMPORARY
    except OSError as error:
        raise codes.TryLater("cannot write: %s" % error.strerror) from None
    finally:
        asked.close()
    return worst


def _smtp(address: bytes, asked: resolver.Resolver) -> bytes:
    """What a stranger hears who wants to send there."""
    try:
        client = reception.Client(reception.Settings(asked), {})
        objection = client.objection(b"", client.recipient(address))
    except (codes.Failure, OSError):
        return reply.CANNOT_LOOK.rstrip()
    return (reply.objection_to(objection) if objection else reply.RCPT_OK).rstrip()


def _text(found: explanation.Explanation, smtp: bytes, login: bytes) -> bytes:
    ends = {codes.OK: b"delivered", codes.PERMANENT: b"not delivered", codes.TEMPORARY: b"not delivered now"}
    lines = [found.address, *(b"    %s%s: %s" % (
        _short(each.where), b" line %d" % each.line if each.line else b"", each.says) for each in found.steps)]
    lines += [b"  %s: %s" % (ends[found.code], found.end), b"  vq-smtpd says: %s" % smtp]
    lines += [b"  who logs in so: %s" % login] if login else []
    return b"".join(log.printable(each) + b"\n" for each in lines)


def _object(found: explanation.Explanation, smtp: bytes, login: bytes) -> bytes:
    user = found.fate.user if found.fate else None
    owner = found.fate.owner if found.fate else None
    verdict = found.fate.verdict if found.fate else None
    who = user or owner
    return jsonline.encode({
        b"address": found.address, b"stored": found.stored, b"kind": found.kind, b"code": found.code,
        b"end": found.end, b"user": user.name if user else owner.user if owner else None,
        b"domain": verdict.domain if verdict else None, b"uid": who.uid if who else None,
        b"gid": who.gid if who else None, b"maildir": found.maildir or None,
        b"target": verdict.target or None if verdict else None,
        b"steps": [{b"file": each.where, b"line": each.line or None, b"says": each.says} for each in found.steps],
        b"smtp": smtp, b"login": login or None}) + b"\n"


def _short(path: bytes) -> bytes:
    return path.removeprefix(vqhome.VQHOME + b"/")
