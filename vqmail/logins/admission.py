"""Is he let in, and who is he?  The one answer, for POP3, SMTP and whoever calls vq-checkpassword.

check() asks the sources of control/loginsources in turn (sources says what their answers mean to the next), counts
who guesses and makes him wait (guessing), and does what a login brings with it: a better hash, the date of it, POP
before SMTP.  None of that makes a login fail.

A wrong password costs the time of a right one, and so does a name that no source knows.
"""

import time

from vqmail import codes
from vqmail.formats import header, storedpassword
from vqmail.logins import account, guessing, rehash, sources
from vqmail.record import Record
from vqmail.store import lastlogin, loginname, opensmtp, passwords, virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Client = account.Client
Account = account.Account

RIGHT, WRONG, TROUBLE = codes.OK, codes.PASSWORD_WRONG, codes.TEMPORARY
LATER = 200                     # a slow source comes next: LATER + its number; only for who asked for that
FIRST = -1
UNKNOWN = b"unknown user"
WRONG_ONE = b"wrong password"
DIGEST = 32                     # hexadecimal digits of MD5
SHELL = b"/bin/false"


class Verdict(Record):
    """`code`: RIGHT with an account, WRONG, or TROUBLE; `why` is for the log, never for the client."""

    __slots__ = ("code", "account", "why")
    code: int
    account: "account.Account | None"
    why: bytes


class Found(Record):
    """A virtual user, his domain, what is stored for him, and why he does not get in, if so."""

    __slots__ = ("user", "domain", "stored", "why")
    user: virtual.User
    domain: bytes
    stored: "bytes | None"
    why: bytes


def check(name: bytes, secret: bytes, challenge: bytes, client: Client,
          wait: "Callable[[float], None]" = time.sleep) -> Verdict:
    """The verdict about `name`; never raises.  `secret` is a password, or a digest for `challenge` if that is not b"".
    `wait` is called with the seconds that somebody who guessed before has to wait."""
    try:
        gate = guessing.gate(named(name, client), client.ip)
        if gate.locked:
            return locked(gate)
        if gate.seconds:
            wait(gate.seconds)
        return ask(name, secret, challenge, client)
    except codes.Failure as failure:
        return trouble(failure)


def trouble(failure: codes.Failure) -> Verdict:
    """The verdict when it cannot be told."""
    return Verdict(TROUBLE, None, str(failure).encode("utf-8", "replace"))


def locked(gate: "guessing.Gate") -> Verdict:
    """The answer to somebody whose address is locked out."""
    return Verdict(WRONG, None, b"locked out for %d more seconds" % gate.locked)


def named(name: bytes, client: Client) -> bytes:
    """The name by which guesses are counted: that of the virtual user whom it leads to, however it is spelled, or else
    how it reads at first sight.  Cheap: the auth service does it while all others wait.  TryLater."""
    try:
        found = loginname.whose(name, client.local_ip, client.env(), as_compiled=True)
    except codes.TryLater:                      # of a domain: who is asked will say so, if he is asked
        found = None
    if found is not None:
        return found[0].name + b"@" + found[1]
    # a bare name is of no domain then: the client chooses that by the name that he asks for in TLS
    user, domain = loginname.split(name)
    return user + b"@" + domain if domain else user


def ask(name: bytes, secret: bytes, challenge: bytes, client: Client, stage: "int | None" = None) -> Verdict:
    """The verdict of the sources, without waiting.  TryLater on trouble.

    With a `stage` those before the source of that number have been asked already, and it stops before any other slow
    one: the code is LATER + its number then.  FIRST is the first stage.
    """
    # an empty password is nobody's: LDAP, behind PAM or a program, says yes to it and means that nobody asked who it is
    # and to LDAP a name with a blank at its end is the same name: what he sends, and guesses, would be counted twice
    usable = (name and secret and b"\0" not in name + secret + challenge and b"\n" not in name
              and name.strip() == name)
    why = UNKNOWN
    hashed = False
    for number, source in enumerate(sources.read() if usable else []):
        if stage is not None:
            if number < stage:
                continue
            if source.slow and number != stage:
                return Verdict(LATER + number, None, why)
        answer = _ask_one(source, name, secret, challenge, client)
        if isinstance(answer, account.Account):
            return _let_in(name, answer, client)
        if answer:
            why = answer
            hashed = True
            if not source.shared:
                break
    if not hashed:
        passwords.verify(secret, None, challenge)
    _wrong(name, secret, client)
    return Verdict(WRONG, None, why if why != UNKNOWN else _unknown(name, client))


def find(name: bytes, client: Client) -> "account.Account | None":
    """The account of `name`, without a password; None if no source knows him that can tell.  TryLater on trouble."""
    for source in sources.read():
        found = None
        if source.kind == sources.VIRTUAL:
            user = virtual_user(name, client)
            found = None if user is None else _account(user, client)
        elif source.kind in (sources.PASSWD, sources.PAM):
            from vqmail.logins import systemusers       # most installations have none

            entry = systemusers.find(name)
            found = None if entry is None else systemusers.account_of(entry)
        if found is not None:
            return found
    return None


def line(client: Client, verdict: Verdict, name: bytes) -> bytes:
    """What the log says of a verdict, without what belongs to the program."""
    ip = header.safe(client.ip or b"unknown")
    if verdict.account is not None:
        return b"from %s login of <%s> as %s" % (ip, name, verdict.account.user())
    return b"from %s %s <%s>: %s" % (ip, b"refused" if verdict.code == WRONG else b"trouble with", name, verdict.why)


def _ask_one(source: sources.Source, name: bytes, secret: bytes, challenge: bytes,
             client: Client) -> "account.Account | bytes":
    """The account; b"" if the source does not know him, or why he does not get in."""
    if source.kind == sources.VIRTUAL:
        return _virtual(name, secret, challenge, client)
    from vqmail.logins import programs, systemusers     # most installations have neither

    if source.kind == sources.PASSWD:
        return systemusers.check(name, secret, challenge)
    if source.kind == sources.PAM:
        return programs.pam(source.words[0], name, secret, challenge, client)
    return programs.program(source.words, name, secret, challenge, client)


def virtual_user(name: bytes, client: Client) -> "Found | None":
    """The virtual user of that name; one whose login is suspended has a reason, and nothing stored.  TryLater."""
    who = loginname.who(name, client.local_ip, client.env())
    if who is None:
        return None
    user, stored, domain = who
    if b"login" in user.suspended:
        return Found(user, domain, None, b"suspended in etc/options of " + domain)
    return Found(user, domain, stored, b"")


def proved(name: bytes, message: bytes, right: bool, found: "Found | None", client: Client) -> Verdict:
    """The verdict about a login in which no password was sent; `message` is what proved it, or did not.  TryLater."""
    if right and found is not None and not found.why:
        return _let_in(name, _account(found, client), client)
    _wrong(name, message, client)
    why = UNKNOWN if found is None else found.why or _why(found, storedpassword.SCRAM, b"SCRAM-SHA-256")
    return Verdict(WRONG, None, why)


def _unknown(name: bytes, client: Client) -> bytes:
    """What the log says of a name that nobody knows: of a bare one, whom it was taken for."""
    try:
        if b"@" in name or loginname.split(name)[1]:
            return UNKNOWN
        domain = loginname.default_domain(client.local_ip, client.env())
    except codes.TryLater:                      # of a file that is not for this source
        return UNKNOWN
    return UNKNOWN + (b" %s@%s" % (name.lower(), domain) if domain else
                      b"; no domain was named, and none belongs to the address or the TLS name (control/popdomains)")


def _virtual(name: bytes, secret: bytes, challenge: bytes, client: Client) -> "account.Account | bytes":
    found = virtual_user(name, client)
    if found is None:
        return b""
    if not passwords.verify(secret, found.stored, challenge):
        # a digest tells no password from another one where none is stored in clear
        is_digest = challenge and len(secret) == DIGEST and not secret.lower().translate(None, b"0123456789abcdef")
        return found.why or (_why(found, storedpassword.CLEAR, b"APOP and CRAM-MD5") if is_digest else WRONG_ONE)
    rehash.rehash(found.domain, found.user.name, secret, found.stored or b"")
    return _account(found, client)


def _why(found: Found, kind: str, way: bytes) -> bytes:
    """Why a login failed in which no password was sent: `way` wants one that is stored in clear, or as `kind`."""
    try:
        able = storedpassword.decode(found.stored or b"").kind in (kind, storedpassword.CLEAR)
    except ValueError:                          # of no form that is known
        able = False
    return WRONG_ONE if able else b"the password that is stored for him does not do for " + way


def _account(found: Found, client: Client) -> account.Account:
    # who only sends needs no home
    user, domain = found.user, found.domain
    home = virtual.home_directory(domain, user) if client.service != account.SMTP else b""
    return account.Account(user.name, domain, user.uid, user.gid, home, SHELL)


def _let_in(name: bytes, who: account.Account, client: Client) -> Verdict:
    """The verdict about the right password, and what a login brings with it.  TryLater."""
    gate = guessing.right(who.user() if who.domain else named(name, client), client.ip)
    if gate.locked:                             # by wrong ones that came at the same time, or while this one waited
        return locked(gate)
    if who.domain:
        lastlogin.note(who.domain, who.name, client.ip)
    if client.service == account.POP3:
        opensmtp.note(client.ip, client.local_ip)
    return Verdict(RIGHT, who, b"")


def _wrong(name: bytes, secret: bytes, client: Client) -> None:
    guessing.wrong(named(name, client), client.ip, secret)
