"""Users of vpopmail: lines of vpasswd; a record of vpasswd.cdb is the same line, its key the name.

    name:hash:style:flags:gecos:directory:quota[:clear]

The third field is no uid: 0 logs in with USER and PASS, 1 with APOP.  The fourth is no gid: its bits say what the user
may not do.  The last field is the password itself, where vpopmail was built to keep it.
"""

from vqmail.record import Record

NO_PASSWORD_CHANGE = 0x1
NO_POP = 0x2
NO_WEBMAIL = 0x4
NO_IMAP = 0x8
BOUNCE = 0x10
NO_RELAY = 0x20
NO_DIALUP = 0x40
NO_SMTP = 0x800
ADMIN = 0x1000
OVERRIDE = 0x2000
NO_MAILDROP = 0x40000
# what a bit comes to here
SUSPENDS = ((NO_POP, b"login"), (BOUNCE, b"receive"), (NO_SMTP, b"send"), (NO_RELAY, b"send"))
REMARKS = ((NO_PASSWORD_CHANGE, "may not change the password"), (NO_WEBMAIL, "no webmail"), (NO_IMAP, "no IMAP"),
           (NO_DIALUP, "no dial-up"), (ADMIN, "administrator of the domain"),
           (OVERRIDE, "not bound by the domain's limits"))
FEWEST, MOST = 6, 8             # fields
LARGEST = 1 << 32


class Entry(Record):
    """One user; `name` in lower case."""

    __slots__ = ("name", "password", "apop", "flags", "real_name", "directory", "quota", "clear")
    name: bytes
    password: bytes
    apop: bool
    flags: int
    real_name: bytes
    directory: bytes
    quota: bytes
    clear: bytes


def parse(line: bytes) -> Entry:
    """The user of a line.  ValueError if it is none."""
    fields = line.split(b":", MOST - 1)
    if len(fields) < FEWEST:
        raise ValueError("has %d colons, needs at least %d: name:hash:style:flags:gecos:directory:quota" % (
            len(fields) - 1, FEWEST - 1))
    name, password, style, flags, real_name, directory, quota, clear = [*fields, b"", b""][:MOST]
    if not style.isdigit() or not flags.isdigit() or int(flags[:20]) >= LARGEST:
        raise ValueError("the third and fourth fields must be numbers")
    return Entry(name.lower(), password, style.strip(b"0") == b"1", int(flags), real_name, directory.rstrip(b"/"),
                 quota, clear)


def suspended(flags: int) -> "list[bytes]":
    """What of login, receive, send the user may not do."""
    return list(dict.fromkeys(word for bit, word in SUSPENDS if flags & bit))


def remarks(flags: int) -> "list[str]":
    """What else the flags say, for people: nothing here is like it."""
    return [text for bit, text in REMARKS if flags & bit]


def limits(text: bytes) -> "tuple[dict[bytes, bytes], dict[bytes, bytes], list[str]]":
    """(options of the domain, options of all its users, what is not taken) of a .qmailadmin-limits file."""
    domain: dict[bytes, bytes] = {}
    users: dict[bytes, bytes] = {}
    rest = []
    found: dict[bytes, bytes] = {}
    for line in text.split(b"\n"):
        key, colon, value = line.partition(b":")
        value = value.strip()
        if colon and value.isdigit() and len(value) <= 18:
            found[key.strip()] = value
    for key, value in found.items():
        number = int(value)
        if key in LIMITS and len(value) <= 9:
            domain[LIMITS[key]] = value
        elif key == b"quota" and number:        # in megabytes
            domain[b"quota"] = b"%dS" % (number << 20) + (
                b",%sC" % found[b"maxmsgcount"] if int(found.get(b"maxmsgcount", b"0")) else b"")
        elif key == b"default_quota" and number:
            users[b"quota"] = b"%dS" % number + (
                b",%sC" % found[b"default_maxmsgcount"] if int(found.get(b"default_maxmsgcount", b"0")) else b"")
        elif number and key not in (b"maxmsgcount", b"default_maxmsgcount"):
            rest.append(key.decode("ascii", "replace"))
    return domain, users, rest


LIMITS = {b"maxpopaccounts": b"mailboxes", b"maxaliases": b"aliases", b"maxforwards": b"forwards",
          b"maxautoresponders": b"autoresponders"}


def default(line: bytes) -> "bytes | None":
    """What vpopmail's .qmail-default does with mail for nobody: bounce, delete, or the directory or address that it
    goes to; None if the line does not run vdelivermail."""
    words = line.removeprefix(b"|").split()
    if not line.startswith(b"|") or len(words) < 3 or words[0].rpartition(b"/")[2] != b"vdelivermail":
        return None
    return b"bounce" if words[2] == b"bounce-no-mailbox" else words[2]
