"""TLS for a connection whose bytes somebody else carries (RFC 8446, 5246).

The only importer of ssl, which costs a cold program twice its start: only a connection that is really to be secured
imports it.  Nothing here reads or writes a descriptor, so every deadline stays where it is.
"""

import sys

from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext
    from typing import Any

RECORD = 16384                  # bytes of text in one record
NAME_LIMIT = 253                # bytes of a host's name
IN_NAMES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")


class Failed(Exception):
    """The peer's TLS is broken, or it cannot prove its name."""


def load() -> None:
    """Import what TLS takes, in a process that is going to fork those who speak it."""
    import ssl  # noqa: F401


def silence() -> None:
    """For a process that meets strangers: one whose server name is not ASCII is refused, and the interpreter is not to
    write half a page about it into the log."""
    sys.unraisablehook = lambda _unraisable: None


class Contexts:
    """What connections share: the settings, and the authorities that are believed, which take long to read."""

    def __init__(self) -> None:
        self._any: SSLContext | None = None
        self._proving: dict[tuple[bytes, int], SSLContext] = {}

    def to_any(self) -> "SSLContext":
        """For a peer that need not prove who it is: this only keeps others from listening."""
        if self._any is None:
            import ssl

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            context.set_ciphers("DEFAULT:@SECLEVEL=0")      # a short key is better than none, and none is what is left
            self._any = context
        return self._any

    def to_proving(self, authorities: bytes) -> "SSLContext":
        """For a peer that must prove its name, by a certificate of an authority in the file `authorities`, or of those
        the system believes if that is b"".  OSError if that file cannot be read."""
        when = calls.stat(authorities).st_mtime_ns if authorities else 0
        context = self._proving.get((authorities, when))
        if context is None:
            import ssl

            context = ssl.create_default_context(cafile=authorities.decode("utf-8", "surrogateescape") or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._proving = {(authorities, when): context}
        return context


def with_certificate(path: bytes, choose: "Callable[[bytes], SSLContext | None]") -> "SSLContext":
    """The settings of a server whose key and certificates, its own first, are in the file `path`.

    A client that asks for a name gets what `choose` gives for it, and these settings if that is None.  OSError if the
    file cannot be read, Failed if what is in it is not right.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF     # many clients just hang up; the protocol above has its own end

    def locked() -> str:
        raise Failed("the key is protected by a passphrase, and nobody is here to type it; "
                     "take it off with `openssl pkey`")

    def meet(connection: "Any", name: "str | None", _context: "SSLContext") -> None:
        asked = name.lower().rstrip(".").encode("ascii", "replace") if name else b""
        if asked and len(asked) <= NAME_LIMIT and IN_NAMES.issuperset(asked):
            connection.name_asked = asked
            chosen = choose(asked)
            if chosen is not None:
                connection.context = chosen

    try:
        context.load_cert_chain(path.decode("utf-8", "surrogateescape"), password=locked)
    except ssl.SSLError as error:
        why = _why(error)
        raise Failed("the key does not belong to the certificate" if "mismatch" in why else
                     "a certificate or its key is not in it, or is damaged (%s)" % why) from None
    context.sni_callback = meet
    return context


def ends(path: bytes) -> "tuple[int, str]":
    """When the first certificate in the file `path` expires: a time, and the same in words.  OSError, Failed."""
    import ssl

    try:
        # nothing public reads a certificate that no peer has sent
        text = ssl._ssl._test_decode_cert(path.decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]
        return int(ssl.cert_time_to_seconds(text["notAfter"])), text["notAfter"]
    except ssl.SSLError as error:
        raise Failed(_why(error)) from None


class Channel:
    """One end of a connection: the client's, or with `server` the server's.  What output() gives is to be sent after
    each call, what comes from the peer is to be given to receive(), its end as b""."""

    def __init__(self, context: "SSLContext", name: bytes, *, server: bool = False) -> None:
        import ssl

        self._ssl = ssl
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        if server:
            self._object = context.wrap_bio(self._in, self._out, server_side=True)
            return
        host = name.rstrip(b".").decode("ascii", "replace") or None
        try:
            self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        except ValueError as error:             # no host can have this name
            if context.check_hostname:
                raise Failed(str(error)) from None
            self._object = context.wrap_bio(self._in, self._out)

    def receive(self, received: bytes) -> None:
        """Take what came from the peer."""
        if received:
            self._in.write(received)
        else:
            self._in.write_eof()

    def output(self) -> bytes:
        """What is to be sent to the peer now."""
        return self._out.read()

    def handshake(self) -> bool:
        """Whether the connection is secured; if not, it needs more of the peer.  Failed."""
        try:
            self._object.do_handshake()
        except self._ssl.SSLWantReadError:
            return False
        except (OSError, ValueError) as error:
            raise Failed(_why(error)) from None
        return True

    def terms(self) -> "tuple[bytes, bytes]":
        """(protocol, cipher) of a connection that is secured, such as (b"TLSv1.3", b"TLS_AES_256_GCM_SHA384")."""
        cipher = self._object.cipher()
        return (self._object.version() or "").encode(), cipher[0].encode() if cipher else b""

    def asked(self) -> bytes:
        """The name that the client asked the server for, in lower case; b"" if none, or none that a host can have."""
        name: bytes = getattr(self._object, "name_asked", b"")
        return name

    def encrypt(self, text: "bytes | memoryview") -> bytes:
        """What to send for `text`.  Failed."""
        try:
            rest = memoryview(text)
            while rest:
                rest = rest[self._object.write(rest):]
        except OSError as error:
            raise Failed(_why(error)) from None
        return self.output()

    def decrypt(self) -> "bytes | None":
        """Text from the peer, b"" at its end, None if there is not enough yet.  Failed."""
        try:
            return self._object.read(RECORD)
        except self._ssl.SSLWantReadError:
            return None
        except self._ssl.SSLZeroReturnError:
            return b""
        except OSError as error:
            raise Failed(_why(error)) from None

    def pending(self) -> bool:
        """Whether something came from the peer that decrypt() has not looked at."""
        return bool(self._in.pending or self._object.pending())

    def leave(self) -> bytes:
        """What to send before hanging up."""
        try:
            self._object.unwrap()
        except OSError:                         # the peer's own goodbye has not come, and nobody waits for it
            pass
        return self.output()


def _why(error: Exception) -> str:
    """What ssl says, without where in its source it says it."""
    words = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    return str(words).replace("_", " ").lower().rstrip(".")
