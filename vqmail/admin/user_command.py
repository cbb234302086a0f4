"""vq-user: add users of a domain, change them, delete them.

SYNOPSIS    vq-user add USER@DOMAIN [--password-stdin | --generate | --no-password | --password=PW | --hash=HASH]
                        [--scheme=SCHEME] [--name=NAME] [--quota=QUOTA] [--uid=UID] [--json]
            vq-user delete USER@DOMAIN
            vq-user trash DOMAIN [--json]
            vq-user restore USER@DOMAIN
            vq-user purge (USER@DOMAIN | --all DOMAIN) [--days=DAYS]
            vq-user rename USER@DOMAIN NEW
            vq-user list DOMAIN [--logins] [--json]
            vq-user info USER@DOMAIN [--json]
            vq-user suspend USER@DOMAIN [--login] [--receive] [--send]
            vq-user resume USER@DOMAIN [--login] [--receive] [--send]
            vq-user set USER@DOMAIN [--moved=NEW | --no-moved] [KEY=VALUE...]
            vq-user --help

READS       0   with --password-stdin: the password, the first line
            the terminal: the password, twice, unless an option says where it comes from
WRITES      1   what was asked for; with --generate the password, in the last line
            2   what is wrong, or odd

add         makes a user with a home and a Maildir; mail is accepted, and the password good, when the command returns.
            The uid is a new one or, where all users have the uid of the domain's owner, that; the postmaster may choose
            it.  HASH is what crypt(3) makes of the password.  --password shows it to everybody who looks at the list
            of processes: only for scripts that have no other way.  A user with --no-password gets mail, but cannot log
            in.  SCHEME is as in vq-passwd.
delete      puts the user, with all mail, into a trash; restore brings back the one that was deleted last, purge removes
            them for good, those deleted DAYS days ago or earlier
list        all users; with --logins also when each logged in last, and from where
info        what there is to know of a user; vq-quota says how full his mailbox is
rename      changes the part before the @; the mail stays his
suspend     he may not log in, receive, send; all three if none is named
set         name, quota, or dotqmail (what a .qmail in his home may do: no, forwards, programs; programs is for the
            postmaster to allow).  An empty VALUE takes an option away.  With --moved mail for the user is refused, and
            the sender is told the address NEW; what he has stays his to read.  --no-moved ends that.

Who is not root asks the local service `vq-service admin`, which serves the owner of a domain for his own.

A change is made entirely or not at all, also when this is killed.  Done twice it says so and changes nothing.  All
other lines of the files stay what they are.

FILES       /virtual/DOMAIN/etc/passwd, /virtual/DOMAIN/etc/options, /virtual/DOMAIN/home, /virtual/DOMAIN/.trash
            users/uids, users/lastlogin

CONTROL FILES
            firstuid minuid passwordscheme virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; it is so already; there is no such user or domain; not allowed
            111 any trouble; nothing was changed, or, if it says so, the rest is done by the next command

RUNS AS     root; anybody, by the service
"""

import functools
import time

from vqmail import codes
from vqmail.admin import command, mailboxes, names, passwords, transaction, usertrash
from vqmail.formats import options
from vqmail.store import lastlogin
from vqmail.unix import log, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

DAY = 86400
MASTERS = ((b"dotqmail", b"programs"),)         # what only the postmaster allows


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do what was asked for, here or by the service."""
    return command.run(serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Do what was asked for, for `caller`."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    given = asked["USER@DOMAIN"]
    user, domain = address(given) if given else (b"", names.domain(command.encode(asked["DOMAIN"])))
    domain = mailboxes.real_domain(domain)
    caller.check(domain)
    word = next(each for each in DO if asked[each])
    line = DO[word](asked, caller, user, domain)
    if line:
        command.say(line)
    return codes.OK


def address(given: str) -> "tuple[bytes, bytes]":
    """USER@DOMAIN.  GiveUp if it is none."""
    user, at, domain = command.encode(given).rpartition(b"@")
    if not at or not user:
        raise codes.GiveUp("%s: write USER@DOMAIN" % given)
    return user, names.domain(domain)


def new_hash(asked: "dict[str, Any]", whose: str) -> "tuple[bytes, bytes]":
    """(what is to be stored, the password if it was generated) by the options, or as is said on the terminal."""
    if asked.get("--hash") is not None:
        stored = command.encode(asked["--hash"])
        passwords.check_hash(stored)
        return stored, b""
    if asked.get("--no-password"):
        return passwords.LOCKED, b""
    generated = b""
    if asked["--generate"]:
        secret = generated = passwords.generate()
    elif asked["--password-stdin"]:
        secret = passwords.from_stdin()
    elif asked.get("--password") is not None:
        secret = command.encode(asked["--password"])
    else:
        secret = passwords.ask(whose)
    return passwords.hash(secret, command.encode(asked["--scheme"])), generated


def _add(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    name = mailboxes.name_of(user)
    if asked["--uid"] is not None:
        caller.must_be_master("choose the uid of a user")
    uid = _number(asked["--uid"], "--uid") if asked["--uid"] is not None else None
    whose = (name + b"@" + domain).decode()
    if name in mailboxes.names(domain):         # before anybody types a password; and again when it counts
        raise transaction.Already("%s is there already; nothing was changed" % whose)
    stored, generated = new_hash(asked, whose)
    with caller.change(domain) as t:
        odd = mailboxes.add(t, domain, name, stored, real_name=command.encode(asked["--name"]),
                            quota=command.encode(asked["--quota"]), uid=uid)
        t.commit()
    _warn(odd)
    if asked["--json"]:
        command.show(mailboxes.info(domain, name) | ({"generated": generated} if generated else {}))
        return ""
    return generated.decode()


def _delete(_: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    with caller.change(domain) as t:
        odd = usertrash.delete(t, domain, user)
        t.commit()
    _warn(odd)
    return ""


def _trash(asked: "dict[str, Any]", _: "Caller", __: bytes, domain: bytes) -> str:
    found = usertrash.deleted(domain)
    if asked["--json"]:
        command.show([{"user": name, "domain": domain, "time": when} for name, when in found])
        return ""
    return "\n".join("%s   deleted %s" % (
        log.shown(name + b"@" + domain), time.strftime("%Y-%m-%d %H:%M", time.localtime(when)))
        for name, when in found)


def _restore(_: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    with caller.change(domain) as t:
        odd = usertrash.restore(t, domain, user)
        t.commit()
    _warn(odd)
    return ""


def _purge(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    before = None if asked["--days"] is None else int(time.time()) - DAY * _number(asked["--days"], "--days")
    with caller.change(domain) as t:
        count = usertrash.purge(t, domain, user, before)
        t.commit()
    return "%d removed for good" % count


def _rename(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    new, at, same = command.encode(asked["NEW"]).partition(b"@")
    if at and mailboxes.real_domain(names.domain(same)) != domain:
        raise codes.GiveUp("a user cannot move to another domain: add one there, and forward")
    with caller.change(domain) as t:
        odd = mailboxes.rename(t, domain, user, new)
        t.commit()
    _warn(odd)
    return ""


def _list(asked: "dict[str, Any]", _: "Caller", __: bytes, domain: bytes) -> str:
    found = mailboxes.names(domain)
    if asked["--logins"]:
        return _logins(asked, found, domain)
    if asked["--json"]:
        command.show([each + b"@" + domain for each in found])
        return ""
    return "\n".join(log.shown(each + b"@" + domain) for each in found)


def _logins(asked: "dict[str, Any]", users: "list[bytes]", domain: bytes) -> str:
    last = lastlogin.of_all(domain)
    if asked["--json"]:
        command.show([{"user": each, "domain": domain, "last_login": last[each].time if each in last else None,
                       "last_ip": last[each].ip if each in last else None} for each in users])
        return ""
    return "\n".join("%-40s %s" % (log.shown(each + b"@" + domain), _when(
        last[each].time, last[each].ip) if each in last else "never") for each in users)


def _when(seconds: int, ip: bytes) -> str:
    return "%s  %s" % (time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)), log.shown(ip))


def _info(asked: "dict[str, Any]", _: "Caller", user: bytes, domain: bytes) -> str:
    found = mailboxes.info(domain, user)
    if asked["--json"]:
        command.show(found)
        return ""
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            value = " ".join("%s=%s" % (_text(one), _text(other)) for one, other in value.items())
        elif isinstance(value, frozenset):
            value = b", ".join(sorted(value))
        elif key == "last_login" and isinstance(value, int):
            value = _when(value, b"").strip().encode()
        text = value if isinstance(value, bytes) else str(value or "").encode()
        lines.append("%-20s %s" % (key.replace("_", " "), log.shown(text) or "none"))
    return "\n".join(lines)


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _suspend(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    what = [each for each in options.SUSPENSIONS if asked["--" + each.decode()]] or list(options.SUSPENSIONS)
    change = mailboxes.resume if asked["resume"] else mailboxes.suspend
    with caller.change(domain) as t:
        change(t, domain, user, frozenset(what))
        t.commit()
    return ""


def _set(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes) -> str:
    values = []
    if asked["--moved"] is not None or asked["--no-moved"]:
        values.append((b"moved", command.encode(asked["--moved"])))
    for each in asked["KEY=VALUE"]:
        key, equals, value = command.encode(each).partition(b"=")
        if not equals:
            raise codes.GiveUp("%s: write KEY=VALUE" % each)
        if (key, value) in MASTERS:
            caller.must_be_master("set " + each)
        values.append((key, value))
    if not values:
        raise codes.GiveUp("what is to be set? give a KEY=VALUE")
    with caller.change(domain) as t:
        transaction.do_all(
            functools.partial(mailboxes.set_real_name, t, domain, user, value) if key == b"name" else
            functools.partial(mailboxes.set_option, t, domain, user, key, value) for key, value in values)
        t.commit()
    return ""


def _warn(odd: "list[str]") -> None:
    for each in odd:
        log.line(b"vq-user", each)


def _number(given: str, name: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 11):
        raise codes.GiveUp("%s must be a number" % name)
    return int(given)


DO = {"add": _add, "delete": _delete, "trash": _trash, "restore": _restore, "purge": _purge, "rename": _rename,
      "list": _list, "info": _info, "suspend": _suspend, "resume": _suspend, "set": _set}
