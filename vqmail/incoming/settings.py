"""What the control files say to an SMTP server, and what it offers to one client."""

import time

from vqmail import codes
from vqmail.logins import offer
from vqmail.proto import sasl, smtpevents
from vqmail.store import control, hostnames, reception, secure
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.store import resolver
    from vqmail.unix.chain import Env

SERVICE = b"smtp"
FILES = (*reception.FILES, b"smtpgreeting", b"hostnames", b"timeoutsmtpd", b"clearauth", b"authmechanisms")
NO = (b"", b"0", b"-")


class Settings(reception.Settings):
    """What the control files say.  TryLater if one cannot be read."""

    def __init__(self, shared: "resolver.Resolver | None" = None) -> None:
        super().__init__(shared)
        self.greeting = control.line(b"smtpgreeting")
        if not self.greeting:
            raise codes.TryLater("no name to greet with; put the name of this host into control/me")
        self._names = hostnames.HostNames()
        self.seconds = max(control.number(b"timeoutsmtpd"), 1)
        self.mechanisms = offer.mechanisms(sasl.MECHANISMS)
        self.clear = offer.allowed({}, SERVICE)

    def greeting_at(self, address: bytes) -> bytes:
        """What a client is greeted with that connected to our `address`."""
        return self._names.at(address, self.greeting)


def terms(settings: Settings, env: "Env", *, program: bool) -> smtpevents.Terms:
    """What a client with this environment is offered; a checkpassword `program` knows nothing of SCRAM."""
    starttls, secured = secure.offered(env), secure.SECURED in env
    wish = env.get(b"SMTPAUTH", b"")
    mechanisms = () if wish in (b"0", b"-") else _chosen(settings.mechanisms, wish.strip(b"!"), program=program)
    open_ = secured or settings.clear
    return smtpevents.Terms(
        starttls=starttls, secured=secured,
        tls_first=not secured and env.get(b"FORCETLS", b"") not in NO,
        login_first=b"SUBMISSION" in env or b"!" in wish,
        mechanisms=mechanisms if open_ else (), locked=bool(mechanisms) and not open_ and starttls,
        nonce=b"%d.%d.%s" % (calls.getpid(), time.time(), calls.urandom(8).hex().encode()))


def _chosen(mechanisms: "list[bytes]", wish: bytes, *, program: bool) -> "tuple[bytes, ...]":
    """`wish` is what SMTPAUTH says: cram is that alone, +cram that as well."""
    if wish == b"cram":
        return (sasl.CRAM_MD5,)
    if wish == b"+cram" and sasl.CRAM_MD5 not in mechanisms:
        mechanisms = [*mechanisms, sasl.CRAM_MD5]
    return tuple(each for each in mechanisms if not (program and each == sasl.SCRAM_SHA_256))
