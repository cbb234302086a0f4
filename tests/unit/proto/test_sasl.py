"""The server's end of a login: what each mechanism says, and what is not let through."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.proto import sasl
from vqmail.record import Record

# RFC 2195 2
CRAM = b"<1896.697170952@postoffice.reston.mci.net>"
CRAM_ANSWER = b"dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"


def coded(text: bytes) -> bytes:
    """`text` in base64."""
    return base64.b64encode(text)


def test_plain_at_once() -> None:
    # "test" "tim" "tanstaaftanstaaf" of RFC 4616 4, without the authorization identity
    exchange = sasl.Exchange(sasl.PLAIN)

    assert sasl.Check(b"tim", b"tanstaaftanstaaf", b"") == exchange.begin(b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm")


def test_plain_asked_for() -> None:
    exchange = sasl.Exchange(sasl.PLAIN)

    assert sasl.Challenge(b"") == exchange.begin(None)
    assert sasl.Check(b"tim", b"tanstaaftanstaaf", b"") == exchange.step(b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm")


def test_login_in_two_steps_with_the_words_that_clients_expect() -> None:
    exchange = sasl.Exchange(sasl.LOGIN)
    first = exchange.begin(None)
    second = exchange.step(b"Ym9iQGRvbWFpbjEudGVzdA==")

    assert isinstance(first, sasl.Challenge)
    assert isinstance(second, sasl.Challenge)
    assert (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6") == (first.line(), second.line())
    assert sasl.Check(b"bob@domain1.test", b"open sesame", b"") == exchange.step(b"b3BlbiBzZXNhbWU=")


def test_login_with_the_name_at_once() -> None:
    exchange = sasl.Exchange(sasl.LOGIN)

    assert sasl.Challenge(b"Password:") == exchange.begin(b"Ym9i")
    assert sasl.Check(b"bob", b"open sesame", b"") == exchange.step(b"b3BlbiBzZXNhbWU=")


def test_cram_md5_as_in_its_rfc() -> None:
    exchange = sasl.Exchange(sasl.CRAM_MD5, CRAM)
    challenge = exchange.begin(None)

    assert isinstance(challenge, sasl.Challenge)
    assert b"PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+" == challenge.line()
    assert sasl.Check(b"tim", b"b913a602c7eda7a495b4e6e7334d3890", CRAM) == exchange.step(CRAM_ANSWER)


def test_cram_md5_has_no_initial_response() -> None:
    assert sasl.MALFORMED == sasl.Exchange(sasl.CRAM_MD5, CRAM).begin(CRAM_ANSWER)


def test_cram_md5_name_may_have_blanks() -> None:
    exchange = sasl.Exchange(sasl.CRAM_MD5, CRAM)
    exchange.begin(None)

    assert sasl.Check(b"tim t", b"a" * 32, CRAM) == exchange.step(coded(b"tim t " + b"A" * 32))


def test_scram_is_relayed_word_for_word() -> None:
    # RFC 7677 3
    exchange = sasl.Exchange(sasl.SCRAM_SHA_256)

    assert sasl.Relay(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == exchange.begin(b"biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=")
    assert sasl.Relay(b"c=biws,r=x,p=y") == exchange.step(coded(b"c=biws,r=x,p=y"))
    assert sasl.Relay(b"") == exchange.step(b"")


def test_scram_asked_for() -> None:
    exchange = sasl.Exchange(sasl.SCRAM_SHA_256)

    assert sasl.Challenge(b"") == exchange.begin(None)
    assert sasl.Relay(b"n,,n=user,r=x") == exchange.step(coded(b"n,,n=user,r=x"))


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS)
def test_star_cancels(mechanism: bytes) -> None:
    exchange = sasl.Exchange(mechanism, CRAM)
    exchange.begin(None)

    assert sasl.CANCELLED == exchange.step(b"*")


def test_star_cancels_between_name_and_password() -> None:
    exchange = sasl.Exchange(sasl.LOGIN)
    exchange.begin(b"Ym9i")

    assert sasl.CANCELLED == exchange.step(b"*")


@pytest.mark.parametrize(("identity", "expected"), [
    (b"", sasl.Check(b"bob", b"secret", b"")),
    (b"bob", sasl.Check(b"bob", b"secret", b"")),
    (b"alice", sasl.MALFORMED),
    (b"Bob", sasl.MALFORMED),
])
def test_nobody_acts_as_somebody_else(identity: bytes, expected: Record) -> None:
    assert expected == sasl.Exchange(sasl.PLAIN).begin(coded(identity + b"\0bob\0secret"))


@pytest.mark.parametrize("message", [
    b"", b"bob", b"\0bob", b"\0\0secret", b"\0bob\0", b"\0bob\0secret\0", b"\0bob\0se\0cret", b"\0b\nob\0secret",
    b"\0b\x7fob\0secret",
])
def test_plain_malformed(message: bytes) -> None:
    assert sasl.MALFORMED == sasl.Exchange(sasl.PLAIN).begin(coded(message) or b"=")


@pytest.mark.parametrize(("name", "secret"), [
    (b"", b"secret"), (b"bob", b""), (b"bob\0root", b"secret"), (b"bob", b"se\0cret"), (b"b\rob", b"secret")])
def test_login_malformed(name: bytes, secret: bytes) -> None:
    exchange = sasl.Exchange(sasl.LOGIN)
    exchange.begin(None)
    exchange.step(coded(name))

    assert sasl.MALFORMED == exchange.step(coded(secret))


@pytest.mark.parametrize("message", [b"", b"tim", b"tim ", b" " + b"a" * 32, b"tim " + b"g" * 32, b"tim " + b"a" * 31])
def test_cram_md5_malformed(message: bytes) -> None:
    exchange = sasl.Exchange(sasl.CRAM_MD5, CRAM)
    exchange.begin(None)

    assert sasl.MALFORMED == exchange.step(coded(message))


@pytest.mark.parametrize("line", [
    b"Ym9i=", b"Ym9", b"Ym 9i", b"Ym9i\t", b" Ym9i", b"Ym9i ", b"Ym-i", b"Ym9iYQ=", b"Ym9iYQ==YQ==", b"Ym9iYR==", b"=",
    b"\x80", b"**", b"Ym9i\n"])
def test_base64_is_strict(line: bytes) -> None:
    exchange = sasl.Exchange(sasl.LOGIN)
    exchange.begin(None)

    assert sasl.MALFORMED == exchange.step(line)


@pytest.mark.parametrize(("length", "kind"), [(2048, sasl.Challenge), (2052, sasl.Over)])
def test_lines_have_a_limit(length: int, kind: type) -> None:
    exchange = sasl.Exchange(sasl.LOGIN)
    exchange.begin(None)

    assert kind is type(exchange.step(b"a" * length))


def test_secret_is_not_in_what_python_says_about_it() -> None:
    assert "sesame" not in repr(sasl.Check(b"bob", b"open sesame", b""))


@given(st.sampled_from(sasl.MECHANISMS), st.one_of(st.none(), st.binary(max_size=40)),
       st.lists(st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(coded)), max_size=3))
def test_whatever_comes_is_answered(mechanism: bytes, initial: "bytes | None", lines: "list[bytes]") -> None:
    exchange = sasl.Exchange(mechanism, CRAM)
    answers = [exchange.begin(initial), *(exchange.step(each) for each in lines)]

    assert {sasl.Challenge, sasl.Check, sasl.Relay, sasl.Over} >= {type(each) for each in answers}
