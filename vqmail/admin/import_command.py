"""vq-import: bring in the users, aliases and mail of another system.

SYNOPSIS    vq-import passwd PASSWD [DOMAIN] [--shadow=FILE] [--min-uid=N] [--user=NAME]... [--group=GROUP]
                        [--group-file=FILE] [--map=RULE]... [--map-file=FILE] [options]
            vq-import vpopmail DIR [--assign=FILE] [--in-place] [options] [--] [DOMAIN...]
            vq-import vmailmgr HOME DOMAIN [options]
            vq-import vm-pop3d DIR [options] [--] [DOMAIN...]
            vq-import userdb FILE [--domain=NAME] [options]
            vq-import vmail-sql DUMP [options]
            vq-import --help

READS       the other system's files; they are never changed
WRITES      1   what was found, and what was done, or, without --do, would be done
            2   progress, if that is a terminal

Without --do nothing is changed: it says how much there is, and every line that cannot be taken, with the reason.
It can be stopped at any moment and started again: who is here already and is the same is passed over; who is here
with another password is left as he is, and named.  Passwords come along as the hashes that they are.

Mail is copied, maildirs with all folders, an mbox message by message, and counted afterwards.  Whatever delivers
there must be stopped first: mail that comes later is not looked for.

passwd      users of PASSWD from --min-uid on, or those named by --user or --group, become users of DOMAIN.  Rules of a
            map undo made-up names: --map dom1bob=bob@domain1.com, or with a star for the same on both sides,
            --map 'dom2-*=*@domain2.com'.  They may still log in with their old names.
vpopmail    DIR is its home.  All its domains or those named, with quotas, limits, suspensions, aliases, mail for
            nobody, other names.  With --in-place the tree stays where it is: /virtual/DOMAIN is a link to it, an etc/
            and a .qmail-default are added, dot-qmail files stay what they are.
vmailmgr    HOME is that of the domain's UNIX user, with his passwd.cdb, of any version
vm-pop3d    DIR/DOMAIN/passwd, mail in --mail/DOMAIN/USER
userdb      Courier's; --domain is for names without one
vmail-sql   an SQL dump of domain, popbox and forwarder

OPTIONS     --do                do it
            --json              say it for scripts
            --shadow=FILE       the hashes of PASSWD
            --min-uid=N         1000 without it
            --user=NAME         this user; may be repeated
            --group=GROUP       the users of this group, of --group-file (/etc/group)
            --map=RULE          may be repeated
            --map-file=FILE     rules, one a line: OLD NEW@DOMAIN
            --mail=DIR          where mboxes are: /var/mail, /var/spool/virtual
            --assign=FILE       vpopmail's users/assign: which domains there are, and which are other names
            --domain=NAME       of userdb's names without one
            --in-place          leave vpopmail's tree where it is
            --root=DIR          what is before all absolute paths: an old disk
            --no-mail           leave the mail
            --uidl=STYLE        how POP3 clients know the messages of maildirs that are copied: qmail, tpop3d, dovecot;
                                without it tpop3d for vmail-sql, dovecot where there is a dovecot-uidlist
            --no-logins         keep no old names for logins
            --keep-clear        keep passwords that are stored in clear so, for APOP; others are hashed
            --owner=OWNER       of a new domain: a UNIX user, UID:GID, or new: a uid that nobody has; new without it,
                                but for vmailmgr, where it is the UNIX user that it was
            --uids=WHICH        own: each user of a new domain gets a uid; owner: all have the owner's

FILES       users/logins, /virtual/DOMAIN, /virtual/.import

CONTROL FILES
            firstuid me minuid rcpthosts virtualdomains virtualroot

EXIT        0   all of it is, or can be, taken
            1   some of it cannot, and was named; the rest is, or can be, taken
            100 wrong usage; there is no such thing to import
            111 any trouble; what was done stays, start it again

RUNS AS     root

SECURITY    The source may belong to anybody: no link in it is followed, a file of another owner is not copied.  What a
            database says is never a program or a path; an alias that runs one comes from a dot-qmail file only.

STANDARDS   vpopmail 5.4, VMailMgr 0.97, Vmail-SQL, vm-pop3d, Courier userdb; mbox(5)
"""

from vqmail import codes
from vqmail.admin import caller, command, names
from vqmail.admin.imports import passwd_files, take, unix_users, vmail_sql, vmailmgr_users, vpopmail
from vqmail.formats import uidl
from vqmail.store import roles
from vqmail.unix import calls, fd, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vqmail.admin.imports.found import Found
    from vqmail.unix.chain import Env

SOME = 1                        # exit code: some of it cannot be taken
MIN_UID = 1000
MOST_SHOWN = 1000               # lines of problems, and of notes, for people


def main(argv: "list[bytes]", env: "Env") -> int:  # noqa: ARG001  every program has this shape
    """Find what there is, compare, do it if that was asked for, and say so."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    caller.Caller(calls.geteuid()).must_be_master("import anything")
    calls.umask(0o022)
    wish = _wish(asked)
    result = _find(asked)
    show = calls.isatty(2) and not asked["--json"]

    def progress(text: str) -> None:
        if show:
            fd.write_all(2, b"\r\033[Kvq-import: " + text.encode("utf-8", "surrogateescape"))

    taker = take.Taker(result, wish, progress)
    try:
        taker.run()
    finally:
        if show:
            fd.write_all(2, b"\r\033[K")
    _tell(asked, taker)
    return SOME if result.problems else codes.OK


def _wish(asked: "dict[str, Any]") -> take.Wish:
    which = command.encode(asked["--uids"])
    if which not in (b"", b"own", b"owner"):
        raise codes.GiveUp("--uids is own or owner")
    if asked["--in-place"] and asked["--owner"]:
        raise codes.GiveUp("a tree in place stays its owner's; leave --owner out")
    style = command.encode(asked["--uidl"])
    if style and style not in uidl.STYLES:
        raise codes.GiveUp("--uidl is qmail, tpop3d or dovecot")
    owner = command.encode(asked["--owner"])
    if asked["vmailmgr"] and not owner and not roles.single_user():
        owner = vmailmgr_users.owner(command.encode(asked["HOME"]))
        which = which or (b"owner" if owner else b"")
    return take.Wish(do=asked["--do"], owner=owner or b"new",
                     uids=which or (b"owner" if asked["vpopmail"] else b""), with_mail=not asked["--no-mail"],
                     keep_clear=asked["--keep-clear"], uidl=style)


def _find(asked: "dict[str, Any]") -> "Found":
    given = {key: command.encode(asked[key]) for key in (
        "--shadow", "--group", "--group-file", "--map-file", "--mail", "--assign", "--domain", "--root", "PASSWD",
        "DIR", "HOME", "FILE", "DUMP") if isinstance(asked.get(key), str)}
    domains = [names.domain(command.encode(each)) for each in asked["DOMAIN"] or []]
    root = given.get("--root", b"").rstrip(b"/")
    if asked["vpopmail"]:
        if asked["--in-place"] and roles.single_user():
            raise codes.GiveUp("an installation under one user has no tree of somebody else's in place")
        return vpopmail.find(given["DIR"], given.get("--assign", b""), vpopmail.Choice(
            domains, in_place=asked["--in-place"], keep_clear=asked["--keep-clear"]))
    if asked["vmailmgr"]:
        return vmailmgr_users.find(domains[0], given["HOME"])
    if asked["vm-pop3d"]:
        return passwd_files.vm_pop3d(given["DIR"], domains, root + given["--mail"] if "--mail" in given else b"")
    if asked["userdb"]:
        return passwd_files.courier(given["FILE"], root,
                                    names.domain(given["--domain"]) if "--domain" in given else b"")
    if asked["vmail-sql"]:
        return vmail_sql.find(given["DUMP"], root)
    users = {command.encode(each) for each in asked["--user"]} or None
    if "--group" in given:
        users = (users or set()) | unix_users.members(given["--group"], given.get("--group-file", b"/etc/group"),
                                                      given["PASSWD"])
    least = asked["--min-uid"] or str(MIN_UID)
    if not (least.isascii() and least.isdigit()):
        raise codes.GiveUp("--min-uid must be a number")
    return unix_users.find(given["PASSWD"], given.get("--shadow", b""), unix_users.Choice(
        domains[0] if domains else b"", unix_users.rules([command.encode(each) for each in asked["--map"]],
                                                         given.get("--map-file", b"")),
        least=int(least), users=users, spool=given.get("--mail", b""), root=root, logins=not asked["--no-logins"]))


def _tell(asked: "dict[str, Any]", taker: take.Taker) -> None:
    result = taker.result
    if asked["--json"]:
        command.show({"done": taker.wish.do, "counts": taker.counts, "domains": taker.per_domain,
                      "problems": result.problems, "notes": result.notes})
        return
    for title, said in (("", taker.per_domain), ("different from now on: ", result.notes),
                        ("not taken: ", result.problems)):
        for each in said[:MOST_SHOWN]:
            command.say(title + each)
        if len(said) > MOST_SHOWN:
            command.say("... and %d more lines: see --json" % (len(said) - MOST_SHOWN))
    command.say("%s: %s" % ("done" if taker.wish.do else "nothing was changed; with --do", ", ".join(
        "%d %s" % (count, each.replace("_", " ")) for each, count in taker.counts.items() if count) or "nothing"))
