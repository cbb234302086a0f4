"""Stored passwords of all kinds.  The hashes are crypt(3)'s, made with mkpasswd."""

import hashlib

import pytest

from vqmail import codes
from vqmail.store import passwords

STAMP = b"<1.2.3@host>"
KINDS = {
    "des": b"saqc9.Bob8aeY",
    "bsdi": b"_J9..rasmLJzOHaYqF5s",
    "md5": b"$1$saltsalt$wTLsTBb/.H7e4VHujepbF0",
    "sha256": b"$5$rounds=1000$saltsalt$TWdBOWiYhmVJkQgbrDSNb2rxBkKSiutz24Rm5ti0vID",
    "sha512": b"$6$rounds=1000$saltsalt$vqVEzhF1x7x2p0VCWCzOM1GGIpJ62KqdREyqdHXfkzvqLwi.vIVwX0AcTW9cDubiR4wA.zOlJTle4lioqe99c1",
    "sha512_default_rounds": b"$6$saltsalt$sfZR6YSW/Dp0uCiyF9fDipa6ORr5LVLOwXNgtzRlXXhkC7xA3w4zy97VIC3vL14AUXGJp3yBjZVztkdiBzJnX1",
    "yescrypt": b"$y$j75$saltsaltsalt$.EPCimX/wjA0k6RVvKBX49FEXoHZBLN27bSsmqAyEb7",
    "bcrypt": b"$2b$04$abcdefghijklmnopqrstuuPWRtT5yx7FBi4dcf6ROhboeNunUrLQ.",
    "scrypt": b"$7$7U..../....saltsalt$IW6QWeqjhSfTD7Wi27sXt1bndYg8zreCpoafVpg4qw2",
}
UTF8 = b"$5$rounds=1000$saltsalt$9we5ROnOpUul.GRfhabUD0IUbRPe5jsfFx47vGR5gu8"
LATIN1 = b"$5$rounds=1000$saltsalt$ZvPYEEgL.SV.yd28Rmr9v3ba5yxjs2zMXCb7etilpY5"


@pytest.mark.parametrize("stored", KINDS.values(), ids=KINDS)
def test_right_password_is_accepted_and_no_other(stored: bytes) -> None:
    assert passwords.verify(b"geheim", stored, STAMP) is True
    for wrong in (b"Geheim", b"geheix", b"", b"geheim ", stored, b"geheim\0", b"\xff"):
        assert passwords.verify(wrong, stored, STAMP) is False


def test_utf_8_and_latin_1_are_different_passwords() -> None:
    assert passwords.verify("ge\u00e9im".encode(), UTF8, STAMP) is True
    assert passwords.verify(b"ge\xe9im", UTF8, STAMP) is False
    assert passwords.verify(b"ge\xe9im", LATIN1, STAMP) is True
    assert passwords.verify("ge\u00e9im".encode(), LATIN1, STAMP) is False


@pytest.mark.parametrize("stored", [None, b"", b"*", b"!", b"x", b"*LK*", b"!!", b"!" + KINDS["sha512"], b"*0", b"*1",
                                    b"{CLEAR}", b"{PLAIN}"])
def test_locked_lets_nobody_in(stored: "bytes | None") -> None:
    for secret in (b"", b"geheim", b"*", b"!", b"x", b"*0", b"*1", stored or b"",
                   hashlib.md5(STAMP).hexdigest().encode()):
        assert passwords.verify(secret, stored, STAMP) is False


@pytest.mark.parametrize("stored", [b"$argon2id$v=19$x", b"{SSHA}abc", b"a", b"$", b"\xff\xff\xff", b"secret pass"])
def test_unknown_kind_is_trouble_and_no_wrong_password(stored: bytes) -> None:
    with pytest.raises(codes.TryLater, match="set it anew"):
        passwords.verify(b"geheim", stored, STAMP)


@pytest.mark.parametrize("stored", [b"{CLEAR}sesame}x", b"{PLAIN}sesame}x"])
def test_clear_password_serves_apop_too(stored: bytes) -> None:
    digest = hashlib.md5(STAMP + b"sesame}x").hexdigest().encode()

    assert passwords.verify(b"sesame}x", stored, STAMP) is True
    assert passwords.verify(digest, stored, STAMP) is True
    assert passwords.verify(digest, stored, b"<other@host>") is False
    assert passwords.verify(b"sesame", stored, STAMP) is False


def test_rfc_1939_example_of_apop() -> None:
    assert passwords.verify(b"c4c9334bac560ecc979e58001b3e22fb", b"{CLEAR}tanstaaf",
                            b"<1896.697170952@dbc.mtview.ca.us>") is True


def test_digest_without_a_challenge_is_no_password() -> None:
    assert passwords.verify(hashlib.md5(b"sesame").hexdigest().encode(), b"{CLEAR}sesame", b"") is False


def test_digest_is_no_password_for_a_hash() -> None:
    assert passwords.verify(hashlib.md5(STAMP + b"geheim").hexdigest().encode(), KINDS["sha512"], STAMP) is False


@pytest.mark.parametrize("stored", [None, b"", b"!", b"{CLEAR}sesame", KINDS["md5"], KINDS["des"], KINDS["sha512"],
                                    KINDS["sha256"], KINDS["yescrypt"]])
def test_every_no_costs_a_slow_hash(monkeypatch: pytest.MonkeyPatch, stored: "bytes | None") -> None:
    computed = []
    true = passwords._hash

    def counted(secret: bytes, salt: bytes) -> bytes:
        computed.append(salt)
        return true(secret, salt)

    monkeypatch.setattr(passwords, "_hash", counted)
    passwords.verify(b"wrong", stored, STAMP)

    assert 1 == sum(each.startswith((b"$5$", b"$6$", b"$y$")) for each in computed)


def test_md5_of_other_systems() -> None:
    stored = b"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"        # md5sum of: secret

    assert passwords.verify(b"secret", stored, b"")
    assert passwords.verify(b"secret", stored.replace(b"ebe", b"EBE"), b"")
    assert not passwords.verify(b"Secret", stored, b"")
    assert not passwords.verify(stored[11:], stored, b"")
    assert not passwords.verify(b"", b"{PLAIN-MD5}", b"")


@pytest.mark.parametrize("stored", [*KINDS.values(), b"*", b"!", b"!" + KINDS["md5"], b"{CLEAR}x", b"*LK*",
                                    b"{PLAIN-MD5}5d41402abc4b2a76b9719d911017c592"])
def test_what_can_be_stored(stored: bytes) -> None:
    assert passwords.is_possible(stored) is True


@pytest.mark.parametrize("stored", [b"secret", b"x", b"geheim", b"{SSHA}abc", b"\xff\xff", b"$6$", b"{PLAIN-MD5}5d41",
                                    b"{PLAIN-MD5}" + b"x" * 32, *(each[:-1] for each in KINDS.values())])
def test_what_nobody_could_log_in_with(stored: bytes) -> None:
    assert passwords.is_possible(stored) is False


@pytest.mark.parametrize(("scheme", "begin"), [(b"", b"$y$"), (b"yescrypt", b"$y$"), (b"sha512", b"$6$"), (b"clear", b"{CLEAR}")])
def test_what_is_made_is_accepted(scheme: bytes, begin: bytes) -> None:
    stored = passwords.hashed(b"geheim", bytes(range(100, 120)), scheme)

    assert stored.startswith(begin)
    assert (passwords.verify(b"geheim", stored, b""), passwords.verify(b"gehein", stored, b"")) == (True, False)
    assert passwords.is_possible(stored)
