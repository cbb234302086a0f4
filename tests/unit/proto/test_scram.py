"""SCRAM-SHA-256: the example of RFC 7677, and everything that is refused."""

import base64
import hashlib

import pytest

from scram_client import Client
from vqmail.formats import scramkeys
from vqmail.proto import scram

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SERVER_NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
# RFC 7677 3
FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = (b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
         b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def server(password: bytes = b"pencil") -> scram.Server:
    salted = hashlib.pbkdf2_hmac("sha256", password, SALT, 4096)
    keys = scramkeys.of_salted(salted, 4096, SALT)
    return scram.Server(keys.iterations, keys.salt, keys.stored_key, keys.server_key, SERVER_NONCE)


def test_the_example_of_the_rfc() -> None:
    one = server()

    assert one.first(FIRST) == SERVER_FIRST
    assert one.final(FINAL) == SERVER_FINAL


def test_a_final_counts_once() -> None:
    one = server()
    one.first(FIRST)
    one.final(FINAL)

    assert one.final(FINAL) is None


def test_a_final_without_a_first_is_refused() -> None:
    assert server().final(FINAL) is None


@pytest.mark.parametrize("header", [b"n,,", b"y,,", b"n,a=user,", b"y,a=x=2Cy,"])
@pytest.mark.parametrize("name", [b"user", b"bob@domain1.test", b"a,b=c", "m\u00fcller@x".encode()])
def test_a_client_gets_in_with_the_password_only(header: bytes, name: bytes) -> None:
    one, other = server(), server()
    client, wrong = Client(name, b"pencil", header=header), Client(name, b"pencils", header=header)
    answer = one.first(client.first())

    assert scram.opening(client.first()).name == name
    assert one.final(client.final(answer)) == client.expected
    assert other.final(wrong.final(other.first(wrong.first()))) is None


@pytest.mark.parametrize("first", [
    b"", b"n", b"n,", b"n,,", b"n,,n=user", b"n,,r=abc,n=user", b"p=tls-unique,,n=user,r=abc", b"x,,n=user,r=abc",
    b"n,user,n=user,r=abc", b"n,,m=ext,n=user,r=abc", b"n,,n=,r=abc", b"n,,n=us=er,r=abc", b"n,,n=us=2cer,r=abc",
    b"n,,n=user,r=", b"n,,n=user,r=a b", b"n,,n=user,r=a\xe9", b"n,,n=us\0er,r=abc", b"n,,n=\xe9,r=abc",
    b"n,a=\xe9,n=user,r=abc", b"n,,n=user,r=abc,", b"n,,n=user,r=abc,=x", b"n,,n=user,r=" + b"a" * 2048])
def test_what_is_no_client_first(first: bytes) -> None:
    with pytest.raises(ValueError):
        server().first(first)


def test_an_extension_that_may_be_ignored_is() -> None:
    assert server().first(FIRST + b",x=1").startswith(b"r=rOpr")


@pytest.mark.parametrize("final", [
    b"", b"p=", FINAL[:-1], FINAL + b"=", FINAL[2:], FINAL.replace(b"biws", b"eSws"), FINAL.replace(b"k0,", b"k1,"),
    FINAL.replace(b"c=biws,", b""), FINAL.replace(b"p=d", b"p=e"), FINAL.replace(b"p=dHzb", b"p="), FINAL.replace(b",p=", b",q=1,,p="),
    FINAL.replace(b",p=", b"," + b"x=" + b"1" * 2048 + b",p=")])
def test_what_is_no_proof(final: bytes) -> None:
    one = server()
    one.first(FIRST)

    assert one.final(final) is None


def test_nobody_looks_like_everybody_and_has_no_password() -> None:
    keys = scramkeys.nobody(b"s" * 32, b"nobody@x")
    again = scramkeys.nobody(b"s" * 32, b"nobody@x")
    one = scram.Server(keys.iterations, keys.salt, keys.stored_key, keys.server_key, SERVER_NONCE)
    client = Client(b"nobody@x", b"pencil")
    answer = one.first(client.first())

    assert keys == again
    assert keys.salt != scramkeys.nobody(b"s" * 32, b"somebody@x").salt
    assert len(answer) == len(SERVER_FIRST)
    assert one.final(client.final(answer)) is None
