"""Who asks to be let in, and who he turns out to be."""

from vqmail.record import Record
from vqmail.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

POP3, SMTP, IMAP = b"pop3", b"smtp", b"imap"
# the variables of a session that decide who a name is, in the order of Client's fields
VARIABLES = (b"TCPREMOTEIP", b"TCPLOCALIP", b"TCPLOCALHOST", b"SSL_TLS_SNI_SERVERNAME", b"VQ_DOMAIN")
SECURED = b"SSL_PROTOCOL"
NO_ID = -1                      # an account that can be let in, but that no process can become


class Client(Record):
    """The session that a login belongs to."""

    __slots__ = ("ip", "local_ip", "local_host", "server_name", "domain", "service", "secured")
    ip: bytes
    local_ip: bytes
    local_host: bytes
    server_name: bytes
    domain: bytes
    service: bytes
    secured: bool

    @classmethod
    def of(cls, env: "Mapping[bytes, bytes]", service: bytes) -> "Client":
        """As the environment of the session tells it."""
        return cls(*[env.get(each, b"") for each in VARIABLES], service, SECURED in env)

    def env(self) -> "dict[bytes, bytes]":
        """The variables again, those that are set."""
        found = (self.ip, self.local_ip, self.local_host, self.server_name, self.domain)
        return {name: value for name, value in zip(VARIABLES, found, strict=True) if value}


class Account(Record):
    """Who was let in.  `domain` is b"" for a user of the system; `home` b"" where nobody asked for it."""

    __slots__ = ("name", "domain", "uid", "gid", "home", "shell")
    name: bytes
    domain: bytes
    uid: int
    gid: int
    home: bytes
    shell: bytes

    def user(self) -> bytes:
        """What USER is set to: a user of the system has no @ in it."""
        return self.name + b"@" + self.domain if self.domain else self.name

    def address(self) -> bytes:
        """The address that people know; a user of the system has one of this host.  TryLater."""
        return self.name + b"@" + (self.domain or control.line(b"me").lower())
