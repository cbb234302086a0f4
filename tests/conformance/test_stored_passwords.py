"""Hashes that Dovecot and OpenSSL make are verified here, and ours by Dovecot."""

import subprocess

import pytest

from vqmail.store import passwords

pytestmark = pytest.mark.peers

SCHEMES = ("PLAIN CLEAR CLEARTEXT CRYPT DES-CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT MD5 PLAIN-MD5 LDAP-MD5 SMD5 "
           "SHA SHA1 SSHA SHA256 SSHA256 SHA512 SSHA512 PBKDF2 ARGON2I ARGON2ID SCRAM-SHA-256 "
           "PLAIN-MD5.B64 LDAP-MD5.HEX SMD5.HEX SHA.HEX SSHA.HEX SHA256.HEX SSHA256.HEX SHA512.HEX SSHA512.HEX PLAIN.B64 "
           "PLAIN.HEX SHA.B64").split()
PASSWORDS = ["geheim", "ge he:m", "gehe\u00efm"]


def doveadm(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["doveadm", "pw", *arguments], capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("password", PASSWORDS)
def test_what_dovecot_made_is_the_password_here(scheme: str, password: str) -> None:
    made = doveadm("-s", scheme, "-p", password)
    stored = made.stdout.rstrip(b"\n")
    right = (passwords.verify(password.encode(), stored, b""), passwords.verify(b"Geheim", stored, b""))

    assert (made.returncode, *right) == (0, True, False)


@pytest.mark.parametrize("scheme", ["yescrypt", "sha512", "bcrypt", "argon2id", "scram-sha-256", "clear"])
@pytest.mark.parametrize("password", PASSWORDS)
def test_what_was_made_here_is_the_password_for_dovecot(scheme: str, password: str) -> None:
    stored = passwords.hashed(password.encode(), bytes(range(7, 27)), scheme.encode()).decode()
    if stored.startswith("$"):
        stored = ("{ARGON2ID}" if scheme == "argon2id" else "{CRYPT}") + stored
    right, wrong = (doveadm("-t", stored, "-p", each).returncode == 0 for each in (password, "Geheim"))

    assert (right, wrong) == (True, False)


@pytest.mark.parametrize("kind", ["-1", "-5", "-6"])
def test_what_openssl_made_is_the_password_here(kind: str) -> None:
    stored = subprocess.run(["openssl", "passwd", kind, "geheim"], capture_output=True, check=True, timeout=60).stdout.strip()

    assert (passwords.verify(b"geheim", stored, b""), passwords.verify(b"Geheim", stored, b"")) == (True, False)
