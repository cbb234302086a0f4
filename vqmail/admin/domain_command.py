"""vq-domain: add domains, delete them, and look after them.

SYNOPSIS    vq-domain add DOMAIN [--owner=OWNER] [--postmaster=ADDRESS] [KEY=VALUE...]
            vq-domain add DOMAIN [--owner=OWNER] (--mailbox | --password-stdin | --generate) [KEY=VALUE...]
            vq-domain delete DOMAIN
            vq-domain trash [DOMAIN] [--json]
            vq-domain restore DOMAIN [--time=TIME]
            vq-domain purge (--all | --days=DAYS) [DOMAIN]
            vq-domain list [--json]
            vq-domain info DOMAIN [--json]
            vq-domain rename OLD NEW [--keep]
            vq-domain alias ALIAS DOMAIN
            vq-domain unalias ALIAS
            vq-domain suspend DOMAIN [--login] [--receive] [--send]
            vq-domain resume DOMAIN [--login] [--receive] [--send]
            vq-domain set DOMAIN [--users] KEY=VALUE...
            vq-domain --help

WRITES      1   what was asked for
            2   what is wrong

add         makes everything that belongs to a domain: its directory below control/virtualroot, its owner in
            users/assign, its names in control/; mail for it is accepted when the command returns.  OWNER is the name
            of a UNIX user, UID:GID, or `new`, which is the default: a uid that nobody has.  With uids=owner all users
            have the owner's uid, otherwise each has one of his own.  Mail for postmaster, abuse and the like of the
            domain goes to ADDRESS, to this host's postmaster without one; or into a mailbox postmaster of the domain,
            whose password is asked for (--mailbox), read from descriptor 0, or generated and shown.  A name in another
            script is given in UTF-8.
delete      moves it into a trash, its directory with all mail; restore puts back the one that was deleted last (or at
            TIME), purge removes them for good, those older than DAYS days
rename      gives it another name; with --keep mail for the old one is still accepted
alias       makes ALIAS another name of the domain, with the same users and aliases
suspend     lets nobody of the domain log in, receive, send; all three if none is named
set         sets options, of the domain, or with --users of all its users; an empty VALUE takes one away.  Of a domain:
            mailboxes aliases forwards autoresponders quota catchall extensions overquota warn forwarding uids; of
            users: quota dotqmail.  The owner may set catchall, extensions, overquota and warn, and his users' quota.

Who is not root asks the local service `vq-service admin`, which serves the owner of a domain for his own: list, info,
and set as said above.  All else is the postmaster's.

A change is made entirely or not at all, also when this is killed; whoever changes something next completes it.  Done
twice it says so and changes nothing.

FILES       users/assign, users/lock, users/journal, users/uids
            /virtual/DOMAIN, /virtual/.trash

CONTROL FILES
            locals me minuid morercpthosts rcpthosts virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; it is so already; there is no such domain; not allowed
            111 any trouble; nothing was changed, or, if it says so, the rest is done by the next command

RUNS AS     root; anybody, by the service

STANDARDS   RFC 2142 (role addresses)
"""

import time

from vqmail import codes
from vqmail.admin import catchall, command, domains, names, newdomain, passwords, transaction, trash
from vqmail.formats import options
from vqmail.unix import usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

DAY = 86400
OWNERS = {options.DOMAIN: (b"catchall", b"extensions", b"overquota", b"warn"), options.EVERYBODY: (b"quota",)}


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do what was asked for, here or by the service."""
    return command.run(serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Do what was asked for, for `caller`."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    word = next(each for each in DO if asked[each])
    if word not in EVERYBODYS:
        caller.must_be_master("%s a domain" % word)
    line = DO[word](asked, caller)
    if line:
        command.say(line)
    return codes.OK


def _add(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    generated = secret = b""
    if asked["--generate"]:
        generated = secret = passwords.generate()
    elif asked["--password-stdin"]:
        secret = passwords.from_stdin()
    elif asked["--mailbox"]:
        secret = passwords.ask("postmaster@" + domain.decode())
    with caller.change_anything("add a domain") as t:
        uid, gid = newdomain.add(t, domain, command.encode(asked["--owner"]) or domains.NEW,
                                 _values(asked["KEY=VALUE"]), to=command.encode(asked["--postmaster"]),
                                 password_hash=passwords.hash(secret) if secret else b"")
        t.commit()
    if generated:
        command.say("postmaster@%s has the password %s" % (domain.decode(), generated.decode()))
    return "%s is added; its owner is %d:%d" % (names.shown(domain), uid, gid)


def _delete(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    with caller.change_anything("delete a domain") as t:
        place = domains.delete(t, domain, int(time.time()))
        t.commit()
    return "%s is deleted; vq-domain restore %s brings it back from %s" % (
        names.shown(domain), domain.decode(), place.decode("utf-8", "replace"))


def _trash(asked: "dict[str, Any]", _: "Caller") -> str:
    found = trash.all_of(_domain(asked["DOMAIN"]) if asked["DOMAIN"] else b"")
    if asked["--json"]:
        command.show([{"domain": trash.domain_of(each), "time": trash.time_of(each), "place": each} for each in found])
        return ""
    return "\n".join("%s --time=%d   deleted %s" % (
        trash.domain_of(each).decode(), trash.time_of(each),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(trash.time_of(each)))) for each in found)


def _restore(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    with caller.change_anything("restore a domain") as t:
        domains.restore(t, domain, _number(asked["--time"] or "0", "--time"))
        t.commit()
    return "%s is back" % names.shown(domain)


def _purge(asked: "dict[str, Any]", caller: "Caller") -> str:
    now = int(time.time())
    before = now + DAY if asked["--all"] else now - DAY * _number(asked["--days"], "--days")
    domain = _domain(asked["DOMAIN"]) if asked["DOMAIN"] else b""
    count = 0
    for each in [each for each in trash.all_of(domain) if trash.time_of(each) < before]:
        with caller.change_anything("purge a domain") as t:   # one by one: others wait
            t.remove_tree(each)
            t.commit()
        count += 1
    return "%d removed for good" % count


def _list(asked: "dict[str, Any]", caller: "Caller") -> str:
    found = {name: other for name, other in domains.names().items() if caller.master or caller.owns(name)}
    if asked["--json"]:
        command.show([{"domain": name, "alias_of": other or None} for name, other in found.items()])
        return ""
    return "\n".join(name.decode() + (" is another name of " + other.decode() if other else "")
                     for name, other in found.items())


def _info(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    caller.check(domain)
    found = domains.info(domain)
    if asked["--json"]:
        command.show(found)
        return ""
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            value = [name + b"=" + each for name, each in value.items()]
        if isinstance(value, list):
            value = b", ".join(each if isinstance(each, bytes) else str(each).encode() for each in value) or b"none"
        lines.append("%-10s %s" % (key, value.decode("utf-8", "replace") if isinstance(value, bytes) else value))
    return "\n".join(lines)


def _rename(asked: "dict[str, Any]", caller: "Caller") -> str:
    old, new = _domain(asked["OLD"]), _domain(asked["NEW"])
    with caller.change_anything("rename a domain") as t:
        domains.rename(t, old, new, keep=asked["--keep"])
        t.commit()
    return "%s is called %s now" % (names.shown(old), names.shown(new))


def _alias(asked: "dict[str, Any]", caller: "Caller") -> str:
    alias, domain = _domain(asked["ALIAS"]), domains.real(_domain(asked["DOMAIN"]))
    with caller.change_anything("alias a domain") as t:
        domains.add_alias(t, alias, domain)
        t.commit()
    return "%s is another name of %s now" % (names.shown(alias), names.shown(domain))


def _unalias(asked: "dict[str, Any]", caller: "Caller") -> str:
    alias = _domain(asked["ALIAS"])
    with caller.change_anything("unalias a domain") as t:
        domains.remove_alias(t, alias)
        t.commit()
    return "%s is no name of ours any more" % names.shown(alias)


def _suspend(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    what = [each for each in options.SUSPENSIONS if asked["--" + each.decode()]] or list(options.SUSPENSIONS)
    with caller.change_anything("suspend a domain") as t:
        domains.suspend(t, domain, what, end=asked["resume"])
        t.commit()
    return ""


def _set(asked: "dict[str, Any]", caller: "Caller") -> str:
    domain = _domain(asked["DOMAIN"])
    caller.check(domain)
    name = options.EVERYBODY if asked["--users"] else options.DOMAIN
    values = _values(asked["KEY=VALUE"])
    for key in values:
        if key not in OWNERS[name]:
            caller.must_be_master("set " + key.decode("utf-8", "replace"))
    for_nobody = values.pop(b"catchall", None) if name == options.DOMAIN else None
    with caller.change(domain) as t:
        steps: list[Callable[[], None]] = []
        if values:
            steps.append(lambda: domains.set_options(
                t, domain, {key: value or None for key, value in values.items()}, name))
        if for_nobody is not None:
            steps.append(lambda: catchall.set_to(t, domain, for_nobody))
        transaction.do_all(steps)
        t.commit()
    return ""


def _domain(given: str) -> bytes:
    return names.domain(command.encode(given))


def _values(given: "list[str]") -> "dict[bytes, bytes]":
    found = {}
    for each in given:
        key, equals, value = command.encode(each).partition(b"=")
        if not equals:
            raise codes.GiveUp("%s: write KEY=VALUE" % each)
        found[key] = value
    return found


def _number(given: str, name: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 12):
        raise codes.GiveUp("%s must be a number" % name)
    return int(given)


DO = {"add": _add, "delete": _delete, "trash": _trash, "restore": _restore, "purge": _purge, "list": _list,
      "info": _info, "rename": _rename, "alias": _alias, "unalias": _unalias, "suspend": _suspend, "resume": _suspend,
      "set": _set}
EVERYBODYS = ("list", "info", "set")            # what the owner of a domain may ask for, too
