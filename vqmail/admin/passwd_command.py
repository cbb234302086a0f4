"""vq-passwd: give a user of a domain another password.

SYNOPSIS    vq-passwd USER@DOMAIN [--password-stdin | --generate | --hash=HASH] [--scheme=SCHEME]
            vq-passwd --help

READS       0   with --password-stdin: the password, the first line
            the terminal: the password, twice, unless an option says where it comes from
WRITES      1   with --generate the password
            2   what is wrong

The postmaster may change all passwords, the owner of a domain those in it.  Anybody else has to know the old one: it is
asked for on the terminal, or is the first line of descriptor 0, before the new one, with --password-stdin.

SCHEME is yescrypt, sha512, bcrypt, argon2id (needs Python's argon2 module), scram-sha-256, which is for logins by that
way, or with the password itself, or clear, which APOP and CRAM-MD5 need and SCRAM can use; without it what
control/passwordscheme says, or the best that crypt(3) knows.  HASH is what crypt(3) made of a password, or what
Dovecot stores: {SSHA256}...  A hash that is weaker than the preferred one is made anew when its user logs in; what is
in clear stays so.

The new password is good for the next login.  Mail programs that are logged in stay so.

FILES       /virtual/DOMAIN/etc/passwd

CONTROL FILES
            minuid passwordscheme virtualdomains virtualroot

EXIT        0   done
            100 wrong usage; there is no such user; not allowed, or not the old password
            111 any trouble; nothing was changed, or, if it says so, the rest is done by the next command

RUNS AS     root; anybody, by the service

SECURITY    Who guesses waits after each attempt, and is in the log.
"""

import time

from vqmail import codes
from vqmail.admin import command, mailboxes, passwords, transaction, user_command, usertexts
from vqmail.store import loginname
from vqmail.store import passwords as stored_passwords
from vqmail.unix import log, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from vqmail.admin.caller import Caller
    from vqmail.unix.chain import Env

PAUSE = 2                       # seconds after a wrong old password


def main(argv: "list[bytes]", env: "Env") -> int:
    """Do what was asked for, here or by the service."""
    return command.run(serve, argv, env)


def serve(argv: "list[bytes]", env: "Env", caller: "Caller") -> int:  # noqa: ARG001  every command has this shape
    """Change a password, for `caller`."""
    asked = usage.parse(__doc__, argv)
    if asked["--help"]:
        command.say((__doc__ or "").rstrip())
        return codes.OK
    user, domain = user_command.address(asked["USER@DOMAIN"])
    domain = mailboxes.real_domain(domain)
    user = user.lower()
    whose = log.shown(user + b"@" + domain)
    known = None
    if caller.master or caller.owns(domain):
        mailboxes.info(domain, user)            # before anybody types a password
    else:
        known = _check_old(asked, caller, user, domain, whose)
    fresh, generated = user_command.new_hash(asked, whose)
    with caller.change(domain) if known is None else transaction.Transaction() as t:
        if known is not None and usertexts.entry(usertexts.look(domain, t.read), user).password != known:
            raise codes.GiveUp("the password of %s has just been changed; nothing was changed" % whose)
        mailboxes.set_password(t, domain, user, fresh)
        t.commit()
    if generated:
        command.say(generated)
    return codes.OK


def _check_old(asked: "dict[str, Any]", caller: "Caller", user: bytes, domain: bytes, whose: str) -> bytes:
    """The hash of the old password, if the caller knows that.  GiveUp; a user whom there is not looks like one with
    another."""
    secret = passwords.from_stdin() if asked["--password-stdin"] else passwords.ask_once("Old password of %s: " % whose)
    found = loginname.find(user, domain)
    suspended = found is not None and b"login" in found[0].suspended
    if not stored_passwords.verify(secret, found[1] if found and not suspended else None, b"") or found is None:
        log.line(b"vq-passwd", "uid %d gave a wrong old password for %s" % (caller.uid, whose))
        time.sleep(PAUSE)
        raise codes.GiveUp("that is not the password of %s, or there is no such user" % whose)
    return found[1]
