"""SCRAM-SHA-256 (RFC 5802, RFC 7677): a login that shows the server no password, and the client that it is the server.

    C: n,,n=bob@domain1.test,r=CLIENT                   client-first
    S: r=CLIENTSERVER,s=SALT,i=4096                     server-first
    C: c=biws,r=CLIENTSERVER,p=PROOF                    client-final
    S: v=SIGNATURE                                      server-final; the client says nothing to it

There is no channel binding (-PLUS): a client that insists on it (p=) is refused; one that would have liked it (y) is
not, for we said truly that we have none.  Names are taken as they come, in UTF-8: store/loginname knows what a name is.
"""

from vqmail.formats import base64, digest
from vqmail.record import Record

LIMIT = 2048                    # bytes of a message; names have 255


class Opening(Record):
    """What a client-first says: who wants in, as whom (b"": as himself), and the client's nonce."""

    __slots__ = ("name", "authorization", "nonce", "header", "bare")
    name: bytes
    authorization: bytes
    nonce: bytes
    header: bytes
    bare: bytes


def opening(client_first: bytes) -> Opening:
    """Taken apart.  ValueError if it is no client-first, or wants what there is not."""
    if len(client_first) > LIMIT:
        raise ValueError("too long")
    binding, _, rest = client_first.partition(b",")
    authorization, _, bare = rest.partition(b",")
    if binding not in (b"n", b"y"):                                                         # RFC 5802 6
        raise ValueError("no channel binding here")
    if authorization[:2] != b"a=" and authorization:
        raise ValueError("no header of GS2")
    name, nonce, *more = [*bare.split(b","), b""]                                           # RFC 5802 7
    if name[:2] != b"n=" or nonce[:2] != b"r=" or not _is_nonce(nonce[2:]) or not all(
            each[1:2] == b"=" and each[:1].isalpha() for each in more[:-1]):
        raise ValueError("no name and nonce; an extension that must be understood (m=) is not")
    who = _name(name[2:])
    if not who:
        raise ValueError("nobody's name")
    return Opening(who, _name(authorization[2:]), nonce[2:], client_first[:-len(bare)], bare)


class Server:
    """The server's end of one login, with what is stored for the name (formats/scramkeys).  `nonce` is random and
    printable."""

    def __init__(self, iterations: int, salt: bytes, stored_key: bytes, server_key: bytes, nonce: bytes) -> None:
        self._iterations = iterations
        self._salt = salt
        self._stored_key = stored_key
        self._server_key = server_key
        self._nonce = nonce
        self._header = self._first = b""

    def first(self, client_first: bytes) -> bytes:
        """The server-first.  ValueError, as of opening()."""
        said = opening(client_first)
        self._nonce = said.nonce + self._nonce
        self._header = said.header
        answer = b"r=%s,s=%s,i=%d" % (self._nonce, base64.encode(self._salt), self._iterations)
        self._first = said.bare + b"," + answer
        return answer

    def final(self, client_final: bytes) -> "bytes | None":
        """The server-final, once; None if the client did not prove that it knows the password, or is talking nonsense.
        """
        first, self._first = self._first, b""
        without, found, proof = client_final.rpartition(b",p=")
        if not first or not found or len(client_final) > LIMIT:
            return None
        binding, nonce, *more = [*without.split(b","), b""]
        if (binding != b"c=" + base64.encode(self._header) or nonce != b"r=" + self._nonce
                or not all(each[1:2] == b"=" and each[:1].isalpha() for each in more[:-1])):
            return None
        try:
            proved = base64.decode(proof)
        except ValueError:
            return None
        message = first + b"," + without
        signature = digest.keyed("sha256", self._stored_key, message)
        if len(proved) != len(signature):
            return None
        key = bytes(one ^ other for one, other in zip(proved, signature, strict=True))
        if not digest.same(digest.of("sha256", key), self._stored_key):
            return None
        return b"v=" + base64.encode(digest.keyed("sha256", self._server_key, message))


def _is_nonce(text: bytes) -> bool:
    return bool(text) and all(32 < each < 127 for each in text)


def _name(text: bytes) -> bytes:
    """A saslname: the comma and = are written =2C and =3D.  ValueError."""
    first, *rest = text.split(b"=")
    if any(each[:2] not in (b"2C", b"3D") for each in rest) or b"\0" in text:
        raise ValueError("= stands for nothing else in a name than =2C and =3D")
    name = first + b"".join((b"," if each[:2] == b"2C" else b"=") + each[2:] for each in rest)
    name.decode("utf-8")                        # UnicodeDecodeError is a ValueError
    return name
