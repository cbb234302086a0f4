"""control/NAME: every control file with its kind, its default, its readers and its meaning.

vq-showctl, the manual and vq-check are made from TABLE, so a control file that is not here does not exist.
A missing file means its default; any other trouble with one is trouble (TryLater), never a default.
"""

from vqmail import codes, vqhome
from vqmail.formats import controlfile
from vqmail.record import Record
from vqmail.unix import fd

LIMIT = 64 << 20                # bytes of one control file; a list of a million domains fits


class Setting(Record):
    """One control file.  `default` is bytes, a number, or None; ME means what control/me says."""

    __slots__ = ("kind", "default", "readers", "meaning")
    kind: str
    default: "bytes | int | None"
    readers: str
    meaning: str


ME = b"@me"

TABLE = {
    b"me": Setting("line", None, "all", "the name of this host, the default of many others"),
    b"apop": Setting("number", 0, "popup", "1: greet POP3 clients with what APOP needs; only of use for passwords that "
                     "are stored in clear, and clients that see it try nothing else"),
    b"badmailfrom": Setting("list", None, "smtpd", "senders refused: user@domain, or @domain for all of it"),
    b"bouncefrom": Setting("line", b"MAILER-DAEMON", "send", "the user bounces come from"),
    b"bouncehost": Setting("line", ME, "send", "the host bounces come from"),
    b"concurrencylocal": Setting("number", 10, "send", "how many local deliveries run at once"),
    b"concurrencyremote": Setting("number", 20, "send", "how many remote deliveries run at once"),
    b"databytes": Setting("number", 0, "smtpd", "the largest message accepted, in bytes; 0: no limit"),
    b"doublebouncehost": Setting("line", ME, "send", "the host bounces of bounces go to"),
    b"doublebounceto": Setting("line", b"postmaster", "send", "the user bounces of bounces go to"),
    b"envnoathost": Setting("line", ME, "send", "added to recipients without a host"),
    b"localiphost": Setting("line", ME, "smtpd", "replaces [our.ip] in recipients"),
    b"locals": Setting("list", ME, "send smtpd", "domains whose users are users of this host"),
    b"minuid": Setting("number", 100, "newu virtmailfilter checkpassword",
                       "the smallest uid and gid a virtual user may have"),
    b"morercpthosts": Setting("list", None, "newmrh", "more domains like those in rcpthosts, for vq-newmrh to compile"),
    b"percenthack": Setting("list", None, "send smtpd", "domains for which user%host@domain means user@host"),
    b"popdomains": Setting("list", None, "checkpassword",
                           "`ip domain`: a login without a domain on that address of ours belongs to the domain"),
    b"queuelifetime": Setting("number", 604800, "send", "how long a message is tried, in seconds"),
    b"rcpthosts": Setting("list", None, "smtpd",
                          "domains we receive mail for; without this file strangers can send to nobody"),
    b"smtpgreeting": Setting("line", ME, "smtpd", "what the SMTP greeting says; starts with the host's name"),
    b"timeoutsmtpd": Setting("number", 1200, "smtpd", "how long to wait for a client, in seconds"),
    b"virtualdomains": Setting("map", None, "send smtpd virtmailfilter",
                               "domain:prefix, mail for the domain goes to the user prefix"),
    b"virtualroot": Setting("line", b"/virtual", "newu smtpd virtmailfilter checkpassword",
                            "the directory that holds a directory for each domain with virtual users"),
}


def read(name: bytes) -> "bytes | None":
    """The content of control/`name`, or None if there is no such file.  TryLater on any other trouble."""
    path = vqhome.path(b"control/" + name)
    try:
        return fd.read_file(path, LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s is too large: %s" % (path.decode("utf-8", "replace"), error)) from None


def line(name: bytes) -> bytes:
    """The one value of control/`name`, or its default; b"" if that is control/me and there is none."""
    text = read(name)
    if text is not None:
        return controlfile.line(text)
    default = TABLE[name].default
    if default is ME:
        return line(b"me")
    return default if isinstance(default, bytes) else b""


def number(name: bytes) -> int:
    """The number in control/`name`, or its default."""
    text = read(name)
    value = controlfile.number(text) if text is not None else None
    if value is not None:
        return value
    default = TABLE[name].default
    return default if isinstance(default, int) else 0


def entries(name: bytes) -> "list[bytes] | None":
    """The entries of the list control/`name`, lower-cased; its default if there is no such file, None without one."""
    text = read(name)
    if text is not None:
        return [each.lower() for each in controlfile.entries(text)]
    return [line(b"me").lower()] if TABLE[name].default is ME else None


def mapping(name: bytes) -> "dict[bytes, bytes]":
    """The map control/`name`, its keys lower-cased; empty if there is no such file."""
    return controlfile.mapping(read(name) or b"")
