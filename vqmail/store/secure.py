"""Have a client's connection secured: the TLS service speaks TLS with it, and we read and write plain text.

The service is the only process that knows the key; whoever parses mail does not.  See doc/SECURITY.md.

    to the service      one packet with the client's descriptor
    its answer          `+` and NAME=VALUE NUL ..., with the plain end of a socket pair; or `-` and why not

The client's descriptor is the service's from then on: close it, or put the plain one in its place.
"""

from vqmail import codes, vqhome
from vqmail.unix import calls, fd, sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

CERTIFICATE = vqhome.path(b"control/servercert.pem")
SOCKET = vqhome.path(b"run/tls/socket")
SECURED = b"SSL_PROTOCOL"       # in the environment of a session that is secured, whoever secured it
DISABLED = b"DISABLETLS"
CONNECT = 10                    # seconds that the service may be too busy to be called
SECONDS = 120                   # that a client may take to agree; the service gives up earlier
ANSWER = 4096                   # bytes


class Failed(Exception):
    """The connection could not be secured; the client is lost."""


def offered(env: "Env") -> bool:
    """Whether a client can have its connection secured now.  TryLater if that cannot be told."""
    if SECURED in env or DISABLED in env:
        return False
    try:
        return fd.is_there(CERTIFICATE)
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (
            CERTIFICATE.decode("utf-8", "replace"), error.strerror)) from None


class Upgrade:
    """One connection on its way to being secured.  TryLater if the service is not there, or too busy for `patience`
    seconds; with 0 that is BlockingIOError."""

    def __init__(self, descriptor: int, patience: int = CONNECT) -> None:
        try:
            self._service = sockets.connect(SOCKET, patience)
        except OSError as error:
            if isinstance(error, BlockingIOError) and not patience:
                raise
            raise codes.TryLater("%s: %s; is the service `tls` up?" % (
                SOCKET.decode("utf-8", "replace"), error.strerror or error)) from None
        try:
            sockets.send(self._service, b"+", [descriptor])
        except OSError as error:
            self._service.close()
            raise codes.TryLater("the service `tls` does not take a connection: %s" % error.strerror) from None

    def fileno(self) -> int:
        """What is readable when answer() need not wait."""
        return self._service.fileno()

    def answer(self) -> "tuple[int, dict[bytes, bytes]]":
        """Wait for the outcome: the plain descriptor, which is the caller's to close, and the variables that say how
        the session is secured.  Failed."""
        self._service.settimeout(SECONDS)
        try:
            packet, descriptors = sockets.receive(self._service, ANSWER)
        except (OSError, ValueError) as error:
            raise Failed("no answer of the service `tls`: %s" % error) from None
        if packet[:1] == b"+" and len(descriptors) == 1:
            return descriptors[0], decode(packet)
        for each in descriptors:
            calls.close(each)
        raise Failed(packet[1:].decode("ascii", "replace") or "the service `tls` gave up")

    def close(self) -> None:
        """Let go of it; if there was no answer yet, the client is disconnected."""
        self._service.close()


def encode(variables: "dict[bytes, bytes]") -> bytes:
    """The answer for a connection that is secured."""
    return b"+" + b"".join(b"%b=%b\0" % each for each in variables.items())


def decode(packet: bytes) -> "dict[bytes, bytes]":
    """The variables in such an answer."""
    pairs = [each.partition(b"=") for each in packet[1:].split(b"\0") if each]
    return {name: value for name, _, value in pairs}
