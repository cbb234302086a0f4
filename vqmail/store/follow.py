"""Do what a dot-qmail file says with the message on descriptor 0, a file, in the current directory.

Lines are done in order; the first that fails ends it, and what was to be forwarded is not.  All forwards go together
at the end, with a Delivered-To line in front.  A program that exits 99 ends the list in good order.
"""

from vqmail import codes
from vqmail.formats import deliveryenv, dotqmail
from vqmail.record import Record
from vqmail.store import home, maildir, mbox, rewrite, submit
from vqmail.unix import calls, chain, child, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vqmail.unix.chain import Env

DONE_FOR_NOW = 99               # of a program: all is well, skip the rest of the file
PERMANENT = frozenset((100, 64, 65, 70, 76, 77, 78, 112))
DAY = 86400


class Order(Record):
    """What a dot-qmail file says: its `text`, whether its x bit is set, and its name for whom it may concern.

    `env` is what programs get; RPLINE, DTLINE and UFLINE in it go in front of what is delivered.
    """

    __slots__ = ("text", "forward_only", "source", "env", "sender")
    text: bytes
    forward_only: bool
    source: str
    env: "Env"
    sender: bytes


def new_sender(directory: bytes, dash: bytes, ext: bytes, address: bytes, sender: bytes) -> bytes:
    """The envelope sender of what the file for dash and ext forwards: its -owner, if there is such a file."""
    if sender in (b"", b"#@[]") or not home.has(directory, dash, ext, b"-owner"):
        return sender
    local, _, domain = address.rpartition(b"@")
    # the address that people know: with the prefix of a virtual domain a bounce to it would get one more
    known = rewrite.Rules().strip_prefix(b"%s-owner@%s" % (local, domain))
    if home.has(directory, dash, ext, b"-owner-default"):
        return b"%s-@%s-@[]" % (known[:-len(domain) - 1], domain)
    return known


def follow(order: Order, deliver: "Callable[[dotqmail.Instruction], None]", *, really: bool = True,
           forbidden: "Callable[[dotqmail.Instruction], str] | None" = None) -> int:
    """Do all of it; the exit code.  `deliver` puts the message into a maildir or an mbox.

    `forbidden` says why an instruction must not be followed.  Without `really` say what would be done, do nothing.
    """
    files = programs = 0
    forwards: list[bytes] = []
    for each in _parsed(order.text, order.forward_only, order.source):
        _check(each, order.source)
        why = forbidden(each) if forbidden else ""
        if why:
            raise codes.TryLater("Uh-oh: %s line %d: %s. (#4.7.0)" % (order.source, each.line, why))
        if each.kind == dotqmail.FORWARD:
            forwards.append(each.what)
        elif each.kind == dotqmail.PROGRAM:
            programs += 1
        else:
            files += 1
        if not really:
            say(each.kind + b" " + each.what + b"\n")
        elif each.kind == dotqmail.PROGRAM:
            code = _run(order.env, each.what, "%s line %d" % (order.source, each.line))
            if code == DONE_FOR_NOW:
                break
            if code != codes.OK:
                return codes.PERMANENT if code in PERMANENT else codes.TEMPORARY
        elif each.kind != dotqmail.FORWARD:
            deliver(each)
    qp = 0
    if forwards and really:
        qp = submit.send(order.env, message(deliveryenv.one_line(order.env[b"DTLINE"])), order.sender, forwards,
                         "Unable to forward message: ")
    say(b"did %d+%d+%d\n" % (files, len(forwards), programs) + (b"qp %d\n" % qp if qp else b""))
    return codes.OK


def instructions(text: bytes, forward_only: bool, source: str) -> "list[dotqmail.Instruction]":
    """What the file `source` says, if every line of it can be followed.  TryLater, which says why, if not."""
    found = _parsed(text, forward_only, source)
    for each in found:
        _check(each, source)
    return found


def into_file(env: "Env", instruction: dotqmail.Instruction) -> None:
    """Deliver into the maildir or the mbox that `instruction` names."""
    head = env[b"RPLINE"] + env[b"DTLINE"]
    if instruction.kind == dotqmail.MAILDIR:
        maildir.deliver(instruction.what, message(head))
    else:
        mbox.append(instruction.what, env[b"UFLINE"] + head, fd.pieces(0))


def message(head: bytes) -> "Iterator[bytes]":
    """The message with `head` in front, in large pieces."""
    pieces = fd.pieces(0)
    yield head + next(pieces, b"")
    yield from pieces


def say(text: bytes) -> None:
    """Tell whoever waits for the delivery."""
    try:
        fd.write_all(1, text)
    except OSError:             # nobody listens: that makes no delivery undone
        return


def _parsed(text: bytes, forward_only: bool, source: str) -> "list[dotqmail.Instruction]":
    try:
        return dotqmail.parse(text, forward_only)
    except ValueError as error:
        raise codes.TryLater("Uh-oh: %s %s" % (error, source)) from None


def _check(each: dotqmail.Instruction, source: str) -> None:
    if not each.allowed:
        raise codes.TryLater("Uh-oh: %s line %d is a %s, but the file has its x bit or +list: only forwards "
                             "may stand there. (#4.7.0)" % (source, each.line, each.kind.decode()))


def _run(env: "Env", command: bytes, where: str) -> int:
    """The exit code of a program line: called right here if a shell would do no more than start a program that is
    loaded, otherwise run by the shell."""
    calls.lseek(0, 0, 0)
    words = dotqmail.plain_words(command)
    loaded = chain.resident(words[0], env.get(b"PATH", b"")) if words else None
    if words and loaded:
        return _call(loaded, words, env)
    try:
        code = child.run([b"/bin/sh", b"-c", command], env, {0: 0, 1: 1, 2: 2}, DAY)
    except OSError as error:
        raise codes.TryLater("Unable to start a program: %s. (#4.3.0) %s" % (error.strerror, where)) from None
    if code < 0:
        raise codes.TryLater("Aack, child crashed: signal %d. (#4.3.0) %s" % (-code, where))
    return code


def _call(loaded: "chain.Main", words: "list[bytes]", env: "Env") -> int:
    try:
        here = calls.open(b".", calls.O_PATH | calls.O_DIRECTORY | calls.O_CLOEXEC)
    except OSError as error:
        raise codes.TryLater("Unable to stay in this directory: %s. (#4.3.0)" % error.strerror) from None
    umask = calls.umask(0o077)
    try:
        return chain.call(loaded, words, dict(env))
    finally:
        calls.fchdir(here)
        calls.close(here)
        calls.umask(umask)
