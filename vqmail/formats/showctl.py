"""vq-showctl's sentences about control files (QMAIL interface 11): what is, not what could be.

    me: My name is host.test.

    rcpthosts:
    Mail from outside is received for example.com.
    Mail from outside is received for example.org.

    databytes: (Default.) A message may be of any size.
"""

# (for a value, or for each entry; for 0, an empty value, an empty list, or no such file)
SENTENCES = {
    b"me": (b"My name is %s.", b"I have no name."),
    b"apop": (b"POP3 clients may log in with APOP.", b"POP3 clients are not offered APOP."),
    b"authmechanisms": (b"Clients are offered to log in with %s.", b"Clients are offered no way to log in."),
    b"authsenders": (b"Mail of a sender goes through a relay, with a password: %s.",
                     b"No mail goes through a relay with a password of its sender's."),
    b"badmailfrom": (b"Mail from %s is refused.", b"Any sender is welcome."),
    b"bouncefrom": (b"Bounces come from the user %s.", b"Bounces come from a user without a name."),
    b"bouncehost": (b"Bounces come from the host %s.", b"Bounces come from a host without a name."),
    b"bouncemaxbytes": (b"A bounce carries %d bytes of the message at most.", b"A bounce carries the whole message."),
    b"clearauth": (b"Where people may log in without TLS (pop3, smtp; 1: both, 0: nowhere): %s.",
                   b"People log in over TLS only."),
    b"concurrencylocal": (b"Up to %d local deliveries run at once.", b"No local delivery is made."),
    b"concurrencyremote": (b"Up to %d remote deliveries run at once.", b"No remote delivery is made."),
    b"databytes": (b"A message from outside may have %d bytes.", b"A message may be of any size."),
    b"defaultdomain": (b"A host name without a dot is completed with %s.", b"A host name without a dot stays so."),
    b"defaulthost": (b"An address without a host gets %s.", b"An address without a host stays so."),
    b"deliveredto": (b"Delivered-To has the address of a virtual user in this form: %s.",
                     b"Delivered-To has the address of a virtual user."),
    b"doublebouncehost": (b"Bounces of bounces go to the host %s.", b"Bounces of bounces go to no host."),
    b"doublebounceto": (b"Bounces of bounces go to the user %s.", b"Bounces of bounces go to nobody."),
    b"envnoathost": (b"A recipient without a host gets %s.", b"A recipient without a host stays so."),
    b"firstuid": (b"Owners and users that are added get a uid from %d on.",
                  b"Owners and users that are added get any uid."),
    b"helohost": (b"To other hosts I am %s.", b"To other hosts I have no name."),
    b"hideclient": (b"The trace line of a message from a login shows its domain instead of its machine (%d).",
                    b"The trace line of a message from a login shows the machine it came from."),
    b"hostnames": (b"My name at an address of mine: %s.", b"I have the same name at all my addresses."),
    b"idhost": (b"Message-IDs end in %s.", b"Message-IDs have no host."),
    b"localiphost": (b"My address in brackets means %s.", b"My address in brackets means no host."),
    b"locals": (b"Mail for %s goes to users of this host.", b"No domain's mail goes to users of this host."),
    b"logindelay": (b"A POP3 client may come again after %d seconds.", b"A POP3 client may come again at once."),
    b"loginlimits": (b"Who guesses passwords: %s.", b"Who guesses passwords: the default counts."),
    b"loginseparators": (b"Between user and domain of a login may stand @ and each of %s.",
                         b"Between user and domain of a login stands @."),
    b"loginsources": (b"Asked about a login, in turn: %s.", b"Nobody is asked about a login."),
    b"minuid": (b"A virtual user has a uid and a gid of %d or more.", b"A virtual user may have any uid but root's."),
    b"moreipme": (b"%s is an address of mine.", b"My addresses are those of this machine."),
    b"morercpthosts": (b"Mail from outside is received for %s.", b"rcpthosts is all."),
    b"notipme": (b"%s is no address of mine.", b"All addresses of this machine are mine."),
    b"opensmtp": (b"Who read mail may relay from his address for so many minutes: %s.",
                  b"Nobody may relay because he read mail."),
    b"outgoingip": (b"Mail goes out from %s.", b"Mail goes out from whatever address the system takes."),
    b"passwordscheme": (b"New passwords, and weaker ones after a login, are stored as %s.",
                        b"New passwords, and weaker ones after a login, are stored as the best that crypt(3) has."),
    b"percenthack": (b"user%%host@%s means user@host.", b"A percent sign in an address has no meaning."),
    b"plusdomain": (b"A + at the end of a host name means %s.", b"A + at the end of a host name stays so."),
    b"popdomains": (b"A login without a domain has that of the address or the TLS name: %s.",
                    b"A login without a domain belongs to no domain."),
    b"popexpire": (b"POP3 clients are told that mail is kept for so many days: %s.",
                   b"POP3 clients are told nothing of how long mail is kept."),
    b"qmqpservers": (b"vq-qmqpc hands messages to %s.", b"vq-qmqpc has nobody to hand messages to."),
    b"queuelifetime": (b"A message is tried for %d seconds.", b"A message is tried once."),
    b"queuewarn": (b"The sender is told after %d seconds that a message still waits.",
                   b"Nobody is told that a message still waits."),
    b"rcpthosts": (b"Mail from outside is received for %s.", b"Nobody outside can send to anybody."),
    b"senders": (b"A login may send as another sender, too: %s.",
                 b"A login sends as the addresses of its own mailbox only."),
    b"servercert.pem": (b"Clients get the certificate in %s.", b"No client is offered TLS."),
    b"servercerts": (b"Clients that ask for its name get %s.", b"All clients get the same certificate."),
    b"smtpgreeting": (b"The SMTP greeting is: 220 %s.", b"There is no SMTP greeting."),
    b"smtproutes": (b"Mail for a domain goes to a relay: %s.", b"All mail goes where DNS says."),
    b"submissionlimits": (b"So many messages and recipients has a login in an hour: %s.",
                          b"A login may send as much as it likes."),
    b"timeoutconnect": (b"A connection to another host may take %d seconds.", b"No connection succeeds."),
    b"timeoutremote": (b"Another host's answer may take %d seconds.", b"No answer of another host is waited for."),
    b"timeoutsmtpd": (b"An SMTP client may be silent for %d seconds.", b"An SMTP client may be silent for a second."),
    b"tlscafile": (b"Certificates are proved by the authorities in %s.",
                   b"Certificates are proved by the authorities that the system knows."),
    b"tlshosts": (b"Mail for %s goes over TLS with a certificate that proves its name.",
                  b"No host must prove its name to get mail."),
    b"uidlstyle": (b"POP3 clients know messages by unique-ids as %s has them.",
                   b"POP3 clients know messages by the names of their files."),
    b"virtualdomains": (b"Mail for a virtual domain goes to a user: %s.", b"There are no virtual domains."),
    b"virtualroot": (b"The virtual domains are in %s.", b"There is no place for virtual domains."),
}
# without the file, where that is not what an empty one means
DEFAULTS = {
    b"authmechanisms": b"Clients are offered to log in with PLAIN and LOGIN.",
    b"loginlimits": b"Who guesses passwords: failures 20, window 900, lockout 900, delay 8.",
    b"loginsources": b"Asked about a login are the users of the virtual domains, and nobody else.",
    b"popdomains": b"A login without a domain has that of the name in TLS, or the only one that there is.",
}
SAFE = bytes(each if each >= 32 and each != 127 else ord("_") for each in range(256))
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def text(name: bytes, meaning: str, values: "bytes | int | Sequence[bytes] | None", *, default: bool) -> bytes:
    """What control/`name` says; `values` is the list of entries, or the value, None if it cannot be read.
    `default`: there is no such file."""
    each, none = SENTENCES.get(name, (b"%s (" + _literal(meaning) + b")", b"Nothing (" + meaning.encode() + b")."))
    start = name + b":" + (b" (Default.)" if default else b"")
    if values is None:
        return start + b" I cannot read it.\n"
    if not values:
        return b"%s %s\n" % (start, DEFAULTS.get(name, none) if default else none)
    if isinstance(values, (bytes, int)):
        if SENTENCES.get(name) is None and isinstance(values, int):
            values = b"%d" % values
        return b"%s %s\n" % (start, safe(each % values if b"%" in each else each))
    return start + b"\n" + b"".join([safe(each % entry) + b"\n" for entry in values])


def safe(line: bytes) -> bytes:
    """`line` without what moves a cursor."""
    return line.translate(SAFE)


def _literal(meaning: str) -> bytes:
    return meaning.encode().replace(b"%", b"%%")
