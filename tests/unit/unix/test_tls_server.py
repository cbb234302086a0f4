"""The server's end of TLS, with Python's own client as its peer, and no socket between them."""

import pathlib
import ssl

import pytest
from certificates import Authority, Client

from vqmail.unix import tls

BOTH = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def contexts(authority: Authority, tmp_path_factory) -> "dict[bytes, ssl.SSLContext]":
    """The default, and one for pop.domain1.test."""
    folder = tmp_path_factory.mktemp("certificates")
    found: "dict[bytes, ssl.SSLContext]" = {}
    for name in ("mail.test", "pop.domain1.test"):
        path = folder / name
        path.write_bytes(authority.sign(name))
        found[name.encode()] = tls.with_certificate(bytes(path), found.get)
    return found


@pytest.fixture
def channel(contexts) -> tls.Channel:
    return tls.Channel(contexts[b"mail.test"], b"", server=True)


def client_of(authority: Authority, name: "str | None" = "mail.test", version=ssl.TLSVersion.TLSv1_3) -> Client:
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    if name is None:
        context.check_hostname = False
    return Client(context, name)


def agree(client: Client, channel: tls.Channel) -> None:
    """The whole handshake."""
    done = (False, False)
    for _ in range(5):
        hears = client.handshake()
        said = client.output()
        if said:
            channel.receive(said)
        done = hears, channel.handshake()
        client.receive(channel.output())

    assert done == (True, True)


def pieces_of(said: bytes, cut: int) -> "list[bytes]":
    return [each for each in (said[:cut], said[cut:]) if each]


def session(authority: Authority, contexts, version, cut: int) -> "tuple[bytes, bytes, int]":
    """(what the server heard, what the client heard, bytes of the client): the client's stream is cut at `cut`."""
    channel = tls.Channel(contexts[b"mail.test"], b"", server=True)
    client = client_of(authority, version=version)
    secured = asked = False
    heard = answered = b""
    sent = 0
    for _ in range(12):
        if client.handshake() and not asked:
            asked = True
            client.tls.write(b"EHLO client.test\r\n")
        said = client.output()
        for piece in pieces_of(said, max(cut - sent, 0)):
            channel.receive(piece)
            if not secured:
                secured = channel.handshake()
                client.receive(channel.output())
            text = channel.decrypt() if secured else None
            if text:
                heard += text
                client.receive(channel.encrypt(b"250 hello\r\n"))
        sent += len(said)
        if asked:
            answered += client.read() or b""
    return heard, answered, sent


@pytest.mark.parametrize("version", BOTH)
def test_a_session_cut_anywhere_is_the_same_session(authority: Authority, contexts, version) -> None:
    expected = (b"EHLO client.test\r\n", b"250 hello\r\n")
    *whole, length = session(authority, contexts, version, 0)

    assert tuple(whole) == expected
    for cut in range(1, length + 1):
        assert session(authority, contexts, version, cut)[:2] == expected, f"cut at {cut} of {length}"


@pytest.mark.parametrize("version", BOTH)
def test_a_client_that_sends_single_bytes_is_understood(authority: Authority, channel: tls.Channel, version) -> None:
    client = client_of(authority, version=version)
    heard = b""
    secured = False
    for step in range(6):
        if client.handshake() and step == 4:
            client.tls.write(b"QUIT\r\n")
        for byte in client.output():
            channel.receive(bytes([byte]))
            secured = secured or channel.handshake()
            heard += (channel.decrypt() or b"") if secured else b""
        client.receive(channel.output())

    assert heard == b"QUIT\r\n"


def test_the_terms_are_those_that_the_client_got(authority: Authority, channel: tls.Channel) -> None:
    client = client_of(authority)
    agree(client, channel)

    assert channel.terms() == (b"TLSv1.3", client.tls.cipher()[0].encode())


@pytest.mark.parametrize(("asked", "shown", "said"), [
    ("mail.test", "mail.test", b"mail.test"),
    ("pop.domain1.test", "pop.domain1.test", b"pop.domain1.test"),
    ("POP.Domain1.TEST", "pop.domain1.test", b"pop.domain1.test"),
    ("other.test", "mail.test", b"other.test"),
    (None, "mail.test", b""),
    ("a b.test", "mail.test", b""),
    ("a/b.test", "mail.test", b""),
    ("new\nline.test", "mail.test", b""),
    ("x" * 60 + ".test", "mail.test", b"x" * 60 + b".test"),
])
@pytest.mark.parametrize("version", BOTH)
def test_the_name_that_is_asked_for_chooses_the_certificate(
        authority: Authority, channel: tls.Channel, asked: "str | None", shown: str, said: bytes, version) -> None:
    context = authority.client()
    context.check_hostname = False
    context.minimum_version = context.maximum_version = version
    client = Client(context, asked)
    agree(client, channel)

    assert client.tls.getpeercert()["subjectAltName"] == (("DNS", shown),)
    assert channel.asked() == said


def test_the_end_of_the_client_is_heard_and_it_can_still_be_answered(authority: Authority, channel: tls.Channel) -> None:
    client = client_of(authority)
    agree(client, channel)
    client.tls.write(b"last words")
    channel.receive(client.output() + client.goodbye())

    assert channel.decrypt() == b"last words"
    assert channel.decrypt() == b""
    client.receive(channel.encrypt(b"an answer"))
    assert client.read() == b"an answer"


def test_a_client_that_just_hangs_up_has_ended(authority: Authority, channel: tls.Channel) -> None:
    client = client_of(authority)
    agree(client, channel)
    channel.receive(b"")

    assert channel.decrypt() == b""


def test_our_end_is_told(authority: Authority, channel: tls.Channel) -> None:
    client = client_of(authority)
    agree(client, channel)
    client.receive(channel.encrypt(b"bye") + channel.leave())

    assert [client.read(), client.read()] == [b"bye", b""]


@pytest.mark.parametrize("said", [b"EHLO client.test\r\n", b"GET / HTTP/1.0\r\n\r\n", bytes(100)])
def test_what_is_no_tls_fails(channel: tls.Channel, said: bytes) -> None:
    channel.receive(said)

    with pytest.raises(tls.Failed):
        channel.handshake()


def test_a_record_that_was_changed_fails(authority: Authority, channel: tls.Channel) -> None:
    client = client_of(authority)
    agree(client, channel)
    client.tls.write(b"MAIL FROM:<ann@far.test>\r\n")
    record = bytearray(client.output())
    record[-1] ^= 1
    channel.receive(bytes(record))

    with pytest.raises(tls.Failed):
        channel.decrypt()


def test_tls_1_1_is_refused_with_an_alert(authority: Authority, channel: tls.Channel) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    client = Client(context, "mail.test")
    client.handshake()
    channel.receive(client.output())

    with pytest.raises(tls.Failed, match="unsupported protocol"):
        channel.handshake()
    assert channel.output()[:2] == b"\x15\x03"          # an alert, of protocol 3


@pytest.mark.parametrize(("text", "why"), [
    (lambda authority: b"", "is not in it"),
    (lambda authority: b"-----BEGIN CERTIFICATE-----\nAAAA\n", "is not in it"),
    (lambda authority: authority.sign("mail.test").partition(b"-----BEGIN PRIVATE")[0], "is not in it"),
    (lambda authority: authority.sign("a.test").partition(b"-----BEGIN PRIVATE")[0]
     + b"".join(authority.sign("b.test").partition(b"-----BEGIN PRIVATE")[1:]), "the key does not belong to the certificate"),
    (lambda authority: authority.sign("mail.test", passphrase="secret"), "passphrase"),
])
def test_a_file_that_cannot_be_used_says_why(authority: Authority, tmp_path: pathlib.Path, text, why: str) -> None:
    path = tmp_path / "servercert.pem"
    path.write_bytes(text(authority))

    with pytest.raises(tls.Failed, match=why):
        tls.with_certificate(bytes(path), lambda _name: None)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        tls.with_certificate(bytes(tmp_path / "none.pem"), lambda _name: None)
