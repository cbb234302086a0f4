"""vq-alias: aliases, forwards, automatic answers and the catch-all of a domain.

SYNOPSIS    vq-alias add [--wildcard] [--copy] ADDRESS [TARGET...]
            vq-alias set [--wildcard] [--copy] ADDRESS [TARGET...]
            vq-alias remove [--wildcard] ADDRESS [TARGET...]
            vq-alias list DOMAIN [--json]
            vq-alias show [--wildcard] ADDRESS [--json]
            vq-alias catchall DOMAIN [WHO] [--json]
            vq-alias roles DOMAIN [TO]
            vq-alias autorespond [--days=DAYS] ADDRESS (--message=FILE | --off)
            vq-alias --help

READS       0   with --message=-, the answer
WRITES      1   what was asked for
            2   what is wrong, or odd

An alias NAME@DOMAIN is the file .qmail-NAME of the domain's owner, with `:` for a dot; it comes before a mailbox of
that name.  A TARGET is an address, or the bare name of a user or an alias of the domain.  It is never a program or a
file: such lines are the owner's to write, and stay what they are whatever is done here.

add         adds targets; --copy, or NAME itself as a target, delivers to the mailbox NAME, too, which otherwise gets
            nothing while there is the alias
set         gives it these targets and no others
remove      takes targets out; without any, all of them, and the automatic answer.  What has no target is no alias any
            more, and mail for it goes to the mailbox of that name again, or to nobody.  Comments go with it.
--wildcard  ADDRESS stands for all that begin with it and a dash: lists@DOMAIN for lists-a@DOMAIN (.qmail-lists-default)
catchall    says who gets mail for nobody: a user, an address, `delete`, or `bounce`; without WHO it shows that
roles       makes postmaster, abuse, hostmaster, webmaster, noc, security, mailer-daemon and root, those that are not
            there, aliases to TO; to this host's postmaster without it
autorespond has an address answer with the text of FILE, which may begin with header lines (From, Subject), each sender
            once in 7 days, or in DAYS (vq-autorespond); --off ends that.  A mailbox of that name gets its mail as
            before.

An alias with a target outside of the domain counts for the domain's option forwards, any other for aliases, but the
role addresses for none; with forwarding=no there is none outside.

Who is not root asks the local service `vq-service admin`, which serves the owner of a domain for his own.

FILES       /virtual/DOMAIN/.qmail-NAME, /virtual/DOMAIN/.autorespond/NAME, /virtual/DOMAIN/etc/options

CONTROL FILES
            me virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; it is so already; no such domain, user or address; over a limit; not allowed
            111 any trouble; nothing was changed, or, if it says so, the rest is done by the next command

RUNS AS     root; anybody, by the service

STANDARDS   RFC 2142 (role addresses), RFC 3834, dot-qmail(5)
"""

from vqmail import codes
from vqmail.admin import aliases, catchall, command, domains, names, transaction
from vqmail.store import control
from vqmail.unix import calls, fd, log, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

MESSAGE = b"--message"
LIMIT = 256 << 10               # bytes of a message
DAY = 86400


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do what was asked for, here or by the service, which gets the message as descriptor 0: it opens no file of the
    caller's choice."""
    return command.run(serve, _opened(argv), env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Do what was asked for, for `caller`."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    name = b""
    if asked["ADDRESS"]:
        name, domain = _address(asked["ADDRESS"], wildcard=asked["--wildcard"])
    else:
        domain = names.domain(command.encode(asked["DOMAIN"]))
    domain = domains.real(domain)
    caller.check(domain)
    do = next(DO[each] for each in DO if asked[each])
    for line in do(asked, caller, domain, name):
        command.say(line)
    return codes.OK


def _add(asked: "dict[str, Any]", caller: "Caller", domain: bytes, name: bytes) -> "list[str]":
    targets = [command.encode(each) for each in asked["TARGET"]] + ([name + b"@" + domain] if asked["--copy"] else [])
    if not targets:
        raise codes.GiveUp("where is mail for %s to go? give a TARGET" % asked["ADDRESS"])
    with caller.change(domain) as t:
        odd = (aliases.replace if asked["set"] else aliases.add)(t, domain, name, targets)
        t.commit()
    return _warned(odd)


def _remove(asked: "dict[str, Any]", caller: "Caller", domain: bytes, name: bytes) -> "list[str]":
    with caller.change(domain) as t:
        odd = aliases.remove(t, domain, name, [command.encode(each) for each in asked["TARGET"]])
        t.commit()
    return _warned(odd)


def _list(asked: "dict[str, Any]", _: "Caller", domain: bytes, __: bytes) -> "list[str]":
    domains.require(transaction.Transaction(), domain)
    found: list[dict[str, object]] = []
    for name in aliases.names(domain):
        try:
            found.append(aliases.info(domain, name))
        except codes.GiveUp as error:
            found.append({"name": name, "address": name + b"@" + domain, "problem": str(error)})
    if asked["--json"]:
        command.show(found)
        return []
    rows = [(_text(each["address"]).replace("-default@", "-*@"), _where(each)) for each in found]
    width = max((len(shown) for shown, _ in rows), default=0)
    return ["%-*s  %s" % (width, *row) for row in rows]


def _show(asked: "dict[str, Any]", _: "Caller", domain: bytes, name: bytes) -> "list[str]":
    found = aliases.info(domain, name)
    if asked["--json"]:
        command.show(found)
        return []
    return [_where(found)]


def _catchall(asked: "dict[str, Any]", caller: "Caller", domain: bytes, _: bytes) -> "list[str]":
    if asked["WHO"] is None:
        found = catchall.of(domain)
        if asked["--json"]:
            command.show({"domain": domain, "catchall": found})
            return []
        return [_text(found)]
    with caller.change(domain) as t:
        catchall.set_to(t, domain, command.encode(asked["WHO"]))
        t.commit()
    return []


def _roles(asked: "dict[str, Any]", caller: "Caller", domain: bytes, _: bytes) -> "list[str]":
    to = command.encode(asked["TO"]) or b"postmaster@" + control.line(b"me")
    with caller.change(domain) as t:
        made = aliases.add_roles(t, domain, to)
        if not made:
            raise transaction.Already("%s has its role addresses already; nothing was changed" % domain.decode())
        t.commit()
    return ["%s@%s" % (each.decode(), domain.decode()) for each in made]


def _autorespond(asked: "dict[str, Any]", caller: "Caller", domain: bytes, name: bytes) -> "list[str]":
    days = asked["--days"] or "0"
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise codes.GiveUp("--days must be a number")
    message = b""
    if not asked["--off"]:
        if asked["--message"] != "-":           # main() has opened it
            raise codes.GiveUp("give the message on standard input, with --message=-")
        try:
            message = fd.read_all(0, LIMIT)
        except (OSError, ValueError) as error:
            raise codes.GiveUp("cannot read the message: %s" % error) from None
    with caller.change(domain) as t:
        if asked["--off"]:
            aliases.remove_autoresponder(t, domain, name)
        else:
            aliases.set_autoresponder(t, domain, name, message, DAY * int(days))
        t.commit()
    return []


def _opened(argv: "list[bytes]") -> "list[bytes]":
    """The arguments with `-` for the message's file, which is opened as descriptor 0 with the caller's own rights."""
    arguments = list(argv)
    for number, each in enumerate(arguments[1:], 1):
        if each == MESSAGE and number + 1 < len(arguments):
            place, path = number + 1, arguments[number + 1]
        elif each.startswith(MESSAGE + b"="):
            place, path = number, each.partition(b"=")[2]
        else:
            continue
        if path != b"-":
            try:
                opened = calls.open(path, calls.O_RDONLY | calls.O_CLOEXEC)
            except OSError as error:
                raise codes.GiveUp("cannot read %s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
            fd.move(0, opened)
            arguments[place] = b"-" if place > number else MESSAGE + b"=-"
        break
    return arguments


def _address(given: str, *, wildcard: bool) -> "tuple[bytes, bytes]":
    """(name, domain) of an alias."""
    local, at, domain = command.encode(given).rpartition(b"@")
    if not at:
        raise codes.GiveUp("%s: write NAME@DOMAIN" % given)
    return aliases.name_of(local, wildcard=wildcard), names.domain(domain)


def _where(found: "dict[str, Any]") -> str:
    """Where an alias goes, in a line."""
    if "problem" in found:
        return "(%s)" % found["problem"]
    words = ["the mailbox" if each == found["address"] else _text(each) for each in found["targets"]]
    words += ["an automatic answer"] if found["autoresponder"] else []
    return ", ".join(words + [_text(each) for each in found["other"]])


def _warned(odd: "list[str]") -> "list[str]":
    for each in odd:
        log.line(b"vq-alias", each)
    return []


def _text(value: object) -> str:
    # what an owner wrote must move no cursor of the postmaster's
    return log.printable(value).decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


DO = {"add": _add, "set": _add, "remove": _remove, "list": _list, "show": _show, "catchall": _catchall,
      "roles": _roles, "autorespond": _autorespond}
