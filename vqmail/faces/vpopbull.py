"""vpopbull: put a message into all mailboxes of domains, as vpopmail does.

SYNOPSIS    vpopbull [-v] [-V] [-c | -h | -s] [-e addresses] -f message [domain ...]
            vpopbull -n [-V] [-e addresses] [domain ...]

READS       the file `message`, a mail with its header; the file `addresses`: who gets none, an address in a line
WRITES      1   with -V, the addresses it was delivered to; with -n, those it would be
            2   whom it was not delivered to, and why

Without a domain it is for all of them: of the postmaster's, or of the owner who asks.  A domain's other names have no
mailboxes of their own.

-f -e       the files; - is standard input, for one of them
-c          each gets a copy, with a To line of his own, and a Date if the message has none; within his quota, into his
            Maildir, whatever his .qmail says.  It is so without -c, too.
-h          means -c here: one file cannot belong to users with different uids, and whoever owns it could change it for
            all
-s          each gets a symbolic link to the file, which stays as it is and has to be readable by everybody as long as
            anybody has not deleted it.  For the postmaster.  It counts for no quota.
-n          nobody gets anything
-v          means nothing here

Each copy is delivered by a process of the user's own, some ten in a second; -s takes one step for a whole domain.
Run twice, everybody has the message twice.

EXIT        0   done
            100 wrong usage; there is no such domain; not allowed
            111 any trouble; who has got nothing is named

RUNS AS     root; the owner of a domain, by `vq-service admin`

SECURITY    Files are opened with the rights of whoever asks, a Maildir with those of its user.

STANDARDS   vpopmail 5.4
"""

import os
import time

from vqmail import codes, vqhome
from vqmail.admin import asuser, command, foreign, mailboxes, names
from vqmail.admin import domains as all_domains
from vqmail.formats import date822, header, maildirname, quota
from vqmail.store import virtual
from vqmail.unix import calls, fd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

LETTERS = "vVcshnf:e:"
DELIVERY = vqhome.path(b"bin/virtmaildelivery")
LIMIT = 64 << 20                # bytes of both files
PATIENCE = 600                  # seconds for one Maildir
DOMAINS = 10000                 # on one command line
READING = calls.O_RDONLY | calls.O_CLOEXEC
SEPARATOR = b"\0"               # between the addresses and the message, on the way to serve()


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do it, here or by the service, which gets both files as descriptor 0: it opens none of the caller's choice."""
    if argv[1:] not in ([], [b"--help"]):
        argv = _with_files(argv)
    return foreign.run(__doc__ or "", serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Deliver it."""
    given, rest = foreign.words(argv, LETTERS, 0, DOMAINS)
    if "e" in given or not {"f", "n"} & set(given):
        raise codes.GiveUp("say with -f which message; vpopbull --help says what there is")
    if "s" in given:
        if given.get("f") == b"-":
            raise codes.GiveUp("-s needs a file")
        caller.must_be_master("make links into mailboxes")
    wanted = _domains(rest, caller)
    excluded, _, message = fd.read_all(0, LIMIT).partition(SEPARATOR)
    if "f" in given and not message.strip():
        raise codes.GiveUp("%s is empty" % names.shown(given["f"]))
    left_out = {each.strip().lower() for each in excluded.split(b"\n")}
    failed = False
    for domain in wanted:
        people = [each for each in mailboxes.names(domain) if each + b"@" + domain not in left_out]
        if "n" in given:
            done = people
        elif "s" in given:
            done = _link(given["f"], domain, people, caller)
        else:
            done = [each for each in people if _copy(message, domain, each)]
        if {"V", "n"} & set(given):
            for each in done:
                command.say(log.printable(each + b"@" + domain))
        failed = failed or len(done) < len(people)
    return codes.TEMPORARY if failed else codes.OK


def _with_files(argv: "list[bytes]") -> "list[bytes]":
    """The arguments for serve(), with both files on descriptor 0, if they ask for anything."""
    given, rest = foreign.words(argv, LETTERS, 0, DOMAINS)
    if not {"f", "n"} & set(given):
        return argv
    excluded = _read(given["e"]) if "e" in given else b""
    message = _read(given["f"]) if "f" in given else b""
    if SEPARATOR in excluded:
        raise codes.GiveUp("%s is no list of addresses" % names.shown(given["e"]))
    number = calls.memfd_create("bulletin")
    fd.write_all(number, excluded + SEPARATOR + message)
    calls.lseek(number, 0, 0)
    fd.move(0, number)
    path = given.get("f", b"")
    # a link has to lead there from everywhere
    whole = path if path.startswith(b"/") or path == b"-" else os.getcwdb() + b"/" + path
    flags = [b"-" + each.encode() for each in given if each not in "fe"]
    return [argv[0], *flags, *([b"-f", whole] if "f" in given else []), b"--", *rest]


def _domains(given: "list[bytes]", caller: "Caller") -> "list[bytes]":
    if not given:
        return [each for each, other in all_domains.names().items()
                if not other and (caller.master or caller.owns(each))]
    found = list(dict.fromkeys(mailboxes.real_domain(names.domain(each)) for each in given))
    for each in found:
        caller.check(each)
        mailboxes.names(each)                   # nobody has it before it is known that all are there
    return found


def _copy(message: bytes, domain: bytes, name: bytes) -> bool:
    """Deliver a copy to a user, as himself; whether that was done."""
    address = name + b"@" + domain
    try:
        user = virtual.find(domain, name)
        if user is None:
            return True                         # deleted while we were at others'
        settings = virtual.settings(domain)
        env = {b"RPLINE": b"Return-Path: <>\n", b"DTLINE": header.delivered_to(address), b"RECIPIENT": address,
               **quota.environment(user.quota, defer=settings.overquota == b"defer", warn=settings.warn)}
        done = asuser.run(domain, user, [DELIVERY, user.name, user.home], env, PATIENCE,
                          _missing(message, address) + message)
        if done.returncode == codes.OK:
            return True
        why = log.shown((done.stdout + done.stderr).strip())
    except codes.Failure as failure:
        why = str(failure)
    log.line(b"vpopbull", "%s has not got it: %s" % (names.shown(address), why))
    return False


def _missing(message: bytes, address: bytes) -> bytes:
    """The lines that a message to `address` should have and this one has not."""
    head = message.partition(b"\n\n")[0] + b"\n"
    lines = b"" if header.values(head, b"to") else b"To: " + address + b"\n"
    return lines + (b"" if header.values(head, b"date") else b"Date: " + date822.sent(time.time()) + b"\n")


def _link(path: bytes, domain: bytes, people: "list[bytes]", caller: "Caller") -> "list[bytes]":
    """Make links to the message in the users' Maildirs; who has one."""
    try:
        found = calls.stat(path)
    except OSError as error:
        raise codes.GiveUp("cannot look at %s: %s" % (names.shown(path), error.strerror)) from None
    if found.st_mode & 0o444 != 0o444:
        raise codes.GiveUp("%s: not everybody may read it: chmod a+r, or deliver copies" % names.shown(path))
    host = calls.uname().nodename.encode("utf-8", "surrogateescape")
    name = maildirname.new(time.time_ns(), calls.getpid(), found.st_dev, found.st_ino, host, b"")
    done = []
    with caller.change(domain) as t:
        for each in people:
            home = mailboxes.info(domain, each)["home"]
            new = (home if isinstance(home, bytes) else b"") + b"/Maildir/new"
            if t.kind(new) != "directory":
                log.line(b"vpopbull", "%s has not got it: there is no %s" % (
                    names.shown(each + b"@" + domain), names.shown(new)))
                continue
            t.link(path, new + b"/" + name)
            done.append(each)
        t.commit()
    return done


def _read(path: bytes) -> bytes:
    """A file of the caller's."""
    number = -1
    try:
        number = 0 if path == b"-" else calls.open(path, READING)
        return fd.read_all(number, LIMIT) if number else b"".join(fd.rest(0))
    except (OSError, ValueError) as error:
        raise codes.GiveUp("cannot read %s: %s" % (names.shown(path), error)) from None
    finally:
        if number > 0:
            calls.close(number)
