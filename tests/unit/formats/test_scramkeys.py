"""What is stored for SCRAM-SHA-256."""

import hashlib

import pytest

from vqmail.formats import scramkeys

# doveadm pw -s SCRAM-SHA-256 -p geheim
DOVECOT = (b"4096,VLC/q+rC9py/dPNIkNw4pQ==,EQhJ33Q/Idyjs35nJG5c3j2wmg5cZJpZnh9b7QdD0x0=,"
           b"xsMzQA9E4jZuIFfrPWcNaEdAK4Ll7pD5G/CwZSRqGug=")


def test_what_dovecot_made_is_the_passwords_and_comes_back_as_it_was() -> None:
    keys = scramkeys.decode(DOVECOT)
    salted = hashlib.pbkdf2_hmac("sha256", b"geheim", keys.salt, 4096)

    assert keys == scramkeys.of_salted(salted, 4096, keys.salt)
    assert scramkeys.encode(keys) == DOVECOT


@pytest.mark.parametrize("text", [
    b"", b"4096", b"x" + DOVECOT, b"-" + DOVECOT, b"0" + DOVECOT[4:], b"99999999" + DOVECOT[4:], DOVECOT + b",", DOVECOT[:-1],
    DOVECOT[:-5] + b"=", DOVECOT.replace(b"VLC/q+rC9py/dPNIkNw4pQ==", b""), DOVECOT.replace(b"VLC/", b"VL C/"),
    DOVECOT.replace(b"VLC/", b"VLC/" * 50)])
def test_what_is_none(text: bytes) -> None:
    with pytest.raises(ValueError):
        scramkeys.decode(text)
