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
    b"authmechanisms": Setting("list", None, "popup smtpd", "the ways to log in that clients are told of: PLAIN, "
                               "LOGIN, CRAM-MD5, SCRAM-SHA-256 (not in POP3); without this file PLAIN and LOGIN"),
    b"authsenders": Setting("list", None, "remote", "`sender:relay:port|user|password`: mail of that sender (address, "
                            "@domain, or nothing for all) goes to the relay, with AUTH; for group qmail's eyes only"),
    b"badmailfrom": Setting("list", None, "smtpd qmtpd", "senders refused: user@domain, or @domain for all of it"),
    b"bouncefrom": Setting("line", b"MAILER-DAEMON", "send", "the user bounces come from"),
    b"bouncehost": Setting("line", ME, "send", "the host bounces come from"),
    b"bouncemaxbytes": Setting("number", 0, "send", "bytes of the original that a bounce may carry; 0: all of it"),
    b"clearauth": Setting("line", b"pop3", "popup smtpd", "where people may log in without TLS: `pop3`, `smtp`, `pop3 "
                          "smtp` or 1 for both, 0 for nowhere"),
    b"concurrencylocal": Setting("number", 10, "send", "how many local deliveries run at once"),
    b"concurrencyremote": Setting("number", 20, "send", "how many remote deliveries run at once"),
    b"databytes": Setting("number", 0, "smtpd qmtpd qmqpd", "the largest message accepted, in bytes; 0: no limit"),
    b"defaultdomain": Setting("line", ME, "inject", "added to a host name without a dot in a message sent from here"),
    b"defaulthost": Setting("line", ME, "inject", "added to an address without a host in a message sent from here"),
    b"deliveredto": Setting("line", b"address", "virtmailfilter", "what Delivered-To calls a virtual user: `address`, "
                            "as people do, or `stored`, with the prefix of virtualdomains before it"),
    b"doublebouncehost": Setting("line", ME, "send", "the host bounces of bounces go to"),
    b"doublebounceto": Setting("line", b"postmaster", "send", "the user bounces of bounces go to"),
    b"envnoathost": Setting("line", ME, "send", "added to recipients without a host"),
    b"firstuid": Setting("number", 2000, "domain user import", "the smallest uid that vq-domain, vq-user and vq-import "
                         "give to an owner or a user; the last one that they gave is in users/uids"),
    b"helohost": Setting("line", ME, "remote", "the name that we say in EHLO"),
    b"hideclient": Setting("number", 0, "smtpd", "1: the trace line of a message from somebody who logged in shows his "
                           "domain instead of the name and the address of his machine"),
    b"hostnames": Setting("list", None, "smtpd remote", "`address name`: what we call ourselves at that address "
                          "of ours, in the SMTP greeting and, if mail goes out from there (outgoingip), in EHLO"),
    b"idhost": Setting("line", ME, "inject", "the host in the Message-ID of a message sent from here"),
    b"localiphost": Setting("line", ME, "smtpd qmtpd qmqpd", "replaces [our.ip] in recipients"),
    b"locals": Setting("list", ME, "send local smtpd qmtpd", "domains whose users are users of this host"),
    b"logindelay": Setting("number", 0, "popup pop3d", "seconds that must lie between two POP3 logins of a user; 0: "
                           "none"),
    b"loginseparators": Setting("line", b"!%:/", "checkpassword", "the characters that, besides @, may stand between "
                                "user and domain in the name that someone logs in with"),
    b"loginlimits": Setting("list", None, "checkpassword auth service logins", "what a guesser of passwords has to put "
                            "up with: `failures 20`, `window 900`, `lockout 900`, `delay 8`, `exempt ADDRESS`; "
                            "`failures 0` counts nothing"),
    b"loginsources": Setting("list", None, "checkpassword auth service", "who is asked about a login, in turn: "
                             "`virtual` (the default), `passwd`, `pam SERVICE`, `checkpassword /PROGRAM ARGUMENTS`; "
                             "with `shared` before it the next one is asked even after a wrong password"),
    b"minuid": Setting("number", 100, "newu virtmailfilter checkpassword",
                       "the smallest uid and gid a virtual user may have"),
    b"moreipme": Setting("list", None, "remote", "more addresses that are ours, such as those a NAT gives us"),
    b"morercpthosts": Setting("list", None, "newmrh", "more domains like those in rcpthosts, for vq-newmrh to compile"),
    b"notipme": Setting("list", None, "remote", "addresses of this machine that are not to count as ours"),
    b"opensmtp": Setting("line", b"", "checkpassword clearopensmtp", "POP before SMTP: for how many minutes an address "
                         "may relay from which somebody read his mail, such as 180; off without the file. A directory "
                         "before the number holds tcp.smtp and open-smtp, as with vpopmail"),
    b"outgoingip": Setting("list", None, "remote", "our address when we send: `address`, or `domain:address` for the "
                           "senders of a domain; one IPv4 and one IPv6 address each"),
    b"passwordscheme": Setting("line", b"", "checkpassword", "what a new password is stored as, and an old one that is "
                               "weaker after a login: yescrypt, sha512, bcrypt, argon2id, scram-sha-256, or clear; the "
                               "best that crypt(3) has without it; keep: that, and old ones stay as they are"),
    b"percenthack": Setting("list", None, "send local smtpd qmtpd",
                            "domains for which user%host@domain means user@host"),
    b"plusdomain": Setting("line", ME, "inject", "replaces a + at the end of a host name in a message sent from here"),
    b"popdomains": Setting("list", None, "checkpassword",
                           "`address domain` or `name domain`: a login without a domain at that address of ours, or "
                           "by TLS at that name, belongs to the domain"),
    b"popexpire": Setting("line", b"NEVER", "popup pop3d", "how long mail is kept, as POP3 clients are told: a number "
                          "of days, or NEVER; whoever removes it is not us"),
    b"qmqpservers": Setting("list", None, "qmqpc", "the addresses of the hosts that vq-qmqpc may hand messages to, "
                            "each with `:port` if that is not 628; the next one is tried if one does not answer"),
    b"queuelifetime": Setting("number", 604800, "send", "how long a message is tried, in seconds"),
    b"queuewarn": Setting("number", 0, "send", "seconds after which the sender is told, once, that a message still "
                          "waits; 0: never"),
    b"rcpthosts": Setting("list", None, "smtpd qmtpd",
                          "domains we receive mail for; without this file strangers can send to nobody"),
    b"senders": Setting("list", None, "smtpd", "`login:sender`: who has logged in so may send as that address, too; "
                        "@domain stands for all of it on either side, * for any sender, no login for all of them"),
    b"servercert.pem": Setting("certificate", None, "service", "the certificate that clients get, the chain above "
                               "it, and its key: PEM, root's, mode 400; with it TLS is offered, but not where env/ has "
                               "DISABLETLS; a renewed one is in use within seconds"),
    b"servercerts": Setting("certificates", None, "service", "a directory: NAME.pem is what clients get that ask for "
                            "the host NAME (SNI), *.DOMAIN.pem those that ask for any host of DOMAIN"),
    b"smtpgreeting": Setting("line", ME, "smtpd", "what the SMTP greeting says; starts with the host's name"),
    b"smtproutes": Setting("list", None, "remote", "`domain:relay`, `domain:relay:port`: mail for the domain goes to "
                           "the relay instead of its MX; .domain for those below it, nothing before the colon for all"),
    b"submissionlimits": Setting("list", None, "smtpd", "`messages recipients` that each login may send in an hour, 0: "
                                 "no limit; `domain:messages recipients`, `login:messages recipients` for some"),
    b"timeoutconnect": Setting("number", 60, "remote", "how long to wait for a connection, in seconds"),
    b"timeoutremote": Setting("number", 1200, "remote", "how long to wait for an answer of another host, in seconds"),
    b"timeoutsmtpd": Setting("number", 1200, "smtpd qmtpd qmqpd", "how long to wait for a client, in seconds"),
    b"tlscafile": Setting("line", b"", "remote", "a file with the certificates of the authorities that prove the names "
                          "of hosts in tlshosts; without it those that the system trusts"),
    b"tlshosts": Setting("list", None, "remote", "hosts that get mail over TLS with a certificate that proves their "
                         "name, or not at all; .domain for those below it"),
    b"uidlstyle": Setting("line", b"qmail", "pop3d", "what POP3 clients know messages by: `qmail`, the file's name; "
                          "`tpop3d`; `dovecot`; so that nobody fetches all mail again after a move"),
    b"virtualdomains": Setting("map", None, "send local smtpd qmtpd virtmailfilter",
                               "domain:prefix, mail for the domain goes to the user prefix"),
    b"virtualroot": Setting("line", b"/virtual", "newu smtpd qmtpd virtmailfilter checkpassword",
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


def text_entries(name: bytes) -> "list[bytes] | None":
    """The entries of the list control/`name` as they stand there, for those with paths in them; None without it."""
    text = read(name)
    return None if text is None else controlfile.entries(text)


def mapping(name: bytes) -> "dict[bytes, bytes]":
    """The map control/`name`, its keys lower-cased; empty if there is no such file."""
    return controlfile.mapping(read(name) or b"")
