"""Stored passwords of all kinds.  The hashes are crypt(3)'s, made with mkpasswd."""

import hashlib
import sys
import typing

import pytest

from vqmail import codes
from vqmail.formats import scramkeys
from vqmail.store import hashes, passwords

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
# of geheim; Dovecot's where it has a name
BCRYPT_5 = b"$2y$05$YHJA7ypwiuQ78A7u1v0U9.ExYy6U43IJ0tY741QP.zEgR59hQw5ji"
CHEAP = (b"e8636ea013e682faf61f56ce1cb1ab5c", b"6GNuoBPmgvr2H1bOHLGrXA==", b"{md5}6GNuoBPmgvr2H1bOHLGrXA==",
         b"{MD5}e8636ea013e682faf61f56ce1cb1ab5c", b"{MD5}$1$OALFIuqB$HwqHK/ml.4tNVjukg8t3L1",
         b"{plain-md5}e8636ea013e682faf61f56ce1cb1ab5c", b"{PLAIN-MD5.B64}6GNuoBPmgvr2H1bOHLGrXA==",
         b"{LDAP-MD5}6GNuoBPmgvr2H1bOHLGrXA==", b"{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk=",
         b"{sha1}906072001efddf3e11e6d2b5782f4777fe038739", b"{SHA.hex}906072001EFDDF3E11E6D2B5782F4777FE038739",
         b"{SSHA}qI917jjZR8GEghPXrPVij8ofs38+mAJS", b"{SSHA.HEX}bb5dfe2b567f05d91f7cfcf30b280a5b724781d4adf16fed",
         b"{SHA256}rdsPXngmyFfXN20b2bwzwMVEeQourJYUSoryKxKYyUA=",
         b"{SSHA256}kqIuk2gkxvSLgArAWucjI90zaUdRC5Pgub/qOmNRZssoqSP9",
         b"{SSHA512}Bt86EeW8aF5y4+axB3y9PYMBe9FKzlow+4qPDPSzNoEDsp7ZBl3YQPTHiLHR4MZYHNsWV8i5fBiglurXd4B1bITJy88=",
         b"{SMD5}xRV+zvtx13rOupJunvlnTR3EKiw=", b"{DES-CRYPT}tPh7xWr7tmA1Y", b"{crypt}tPh7xWr7tmA1Y",
         b"{MD5-CRYPT}$1$YH18ia0A$tpMY/oJ3dL2Hk.5gGcNs81", b"{crypt_md5}$1$YH18ia0A$tpMY/oJ3dL2Hk.5gGcNs81",
         b"{CLEARTEXT}geheim", b"{plaintext}geheim", b"{PLAIN.B64}Z2VoZWlt", b"{CLEAR.hex}67656865696d")
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


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> "list[tuple[str, bytes]]":
    """What was computed: (function of hashes, its salt or stored hash)."""
    calls: "list[tuple[str, bytes]]" = []

    def count(name: str, number: int) -> None:
        true = getattr(hashes, name)

        def counted(*given: "typing.Any") -> object:
            calls.append((name, given[number]))
            return true(*given)

        monkeypatch.setattr(hashes, name, counted)

    for name, number in (("crypt", 1), ("argon2", 1), ("argon2_fits", 1), ("pbkdf2", 2)):
        count(name, number)
    return calls


@pytest.fixture
def prefer(monkeypatch: pytest.MonkeyPatch) -> "typing.Callable[[bytes], None]":
    """Sets control/passwordscheme."""
    return lambda scheme: monkeypatch.setattr(passwords.control, "line", lambda _: scheme)


@pytest.mark.parametrize("secret", [b"wrong", b"wr\0ng", b"w" * 300, b"w" * 5000, "wr\u00f6ng".encode(), b"wr\xf6ng", b""])
@pytest.mark.parametrize("stored", [None, b"", b"!", b"{CLEAR}sesame", KINDS["md5"], KINDS["des"], KINDS["sha512"], *CHEAP])
def test_a_no_to_whom_there_is_not_and_a_cheap_one_costs_the_preferred(computed: "list[tuple[str, bytes]]", secret: bytes,
                                                                        stored: "bytes | None") -> None:
    assert passwords.verify(secret, stored, STAMP) is False
    assert [("crypt", b"$y$j85$" + b"." * 20)] == [each for each in computed if each[1].startswith(b"$y$")]


@pytest.mark.parametrize("stored", [KINDS["sha512_default_rounds"], KINDS["yescrypt"], KINDS["scrypt"], BCRYPT_5])
def test_a_no_to_a_dear_one_costs_its_own_only(computed: "list[tuple[str, bytes]]", stored: bytes) -> None:
    assert passwords.verify(b"wrong", stored, STAMP) is False
    assert computed == [("crypt", stored)]


@pytest.mark.parametrize("stored", [*KINDS.values(), *CHEAP])
def test_a_yes_costs_nothing_more(computed: "list[tuple[str, bytes]]", stored: bytes) -> None:
    assert passwords.verify(b"geheim", stored, STAMP) is True
    assert len(computed) <= 1


@pytest.mark.parametrize(("scheme", "cost"), [
    (b"sha512", ("crypt", b"$6$" + b"." * 16)), (b"bcrypt", ("crypt", b"$2b$10$" + b"." * 22)),
    (b"argon2id", ("argon2", bytes(16))), (b"scram-sha-256", ("pbkdf2", bytes(16))),
    (b"clear", ("crypt", b"$y$j85$" + b"." * 20)), (b"keep", ("crypt", b"$y$j85$" + b"." * 20)),
    (b"YesCrypt", ("crypt", b"$y$j85$" + b"." * 20))])
def test_the_cost_is_the_preferred_schemes(computed: "list[tuple[str, bytes]]", prefer: "typing.Callable[[bytes], None]",
                                           scheme: bytes, cost: "tuple[str, bytes]") -> None:
    prefer(scheme)
    for stored in (None, b"!", b"{CLEAR}sesame"):
        computed.clear()

        assert passwords.verify(b"wrong", stored, STAMP) is False
        assert computed == [cost]


def test_a_scheme_that_there_is_not_is_trouble(prefer: "typing.Callable[[bytes], None]") -> None:
    prefer(b"rot13")
    with pytest.raises(codes.TryLater, match="control/passwordscheme: there is no scheme rot13; there are yescrypt, sha512"):
        passwords.preferred()


def test_md5_of_other_systems() -> None:
    stored = b"{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69"        # md5sum of: secret

    assert passwords.verify(b"secret", stored, b"")
    assert passwords.verify(b"secret", stored.replace(b"ebe", b"EBE"), b"")
    assert not passwords.verify(b"Secret", stored, b"")
    assert not passwords.verify(stored[11:], stored, b"")


@pytest.mark.parametrize("stored", [*KINDS.values(), b"*", b"!", b"!" + KINDS["md5"], b"{CLEAR}x", b"*LK*",
                                    b"{PLAIN-MD5}5d41402abc4b2a76b9719d911017c592"])
def test_what_can_be_stored(stored: bytes) -> None:
    assert passwords.is_possible(stored) is True


@pytest.mark.parametrize("stored", [b"secret", b"x", b"geheim", b"{SSHA}abc", b"{CRYPT}geheim", b"\xff\xff", b"$6$", b"{PLAIN-MD5}5d41",
                                    b"{PLAIN-MD5}" + b"x" * 32, *(each[:-1] for each in KINDS.values())])
def test_what_nobody_could_log_in_with(stored: bytes) -> None:
    assert passwords.is_possible(stored) is False


@pytest.mark.parametrize(("scheme", "begin"), [(b"", b"$y$"), (b"yescrypt", b"$y$"), (b"sha512", b"$6$"), (b"clear", b"{CLEAR}")])
def test_what_is_made_is_accepted(scheme: bytes, begin: bytes) -> None:
    stored = passwords.hashed(b"geheim", bytes(range(100, 120)), scheme)

    assert stored.startswith(begin)
    assert (passwords.verify(b"geheim", stored, b""), passwords.verify(b"gehein", stored, b"")) == (True, False)
    assert passwords.is_possible(stored)


@pytest.mark.parametrize("stored", [
    b"{SSHA}", b"{SSHA}abc", b"{SSHA}kGByAB793z4R5tK1eC9Hd/4Dhzk=", b"{SHA}qI917jjZR8GEghPXrPVij8ofs38+mAJS", b"{SHA",
    b"{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk", b"{SHA.b32}kGByAB793z4R5tK1eC9Hd/4Dhzk=", b"{NTLM}abc", b"{}geheim",
    b"{PLAIN-MD5}", b"{SHA.HEX}9060 72001efddf3e11e6d2b5782f4777fe03873", b"{SCRAM-SHA-256}4096,AAAA", b"{SCRAM-SHA-1}4096",
    b"{PBKDF2}$1$47$0$f196e67425c96f0d9d1850b399313bf0969fcfd2", b"{ARGON2ID}$argon2id$v=19$x",
    b"{CRAM-MD5}f16f9cd57afad6931bff9508ef68ea2db1b62513b604cf995e4f882bed6d4f1a", b"{CLEAR.B64}x", b"{CRYPT}\xff\xff"])
def test_what_is_not_known_or_not_whole_is_trouble(stored: bytes) -> None:
    with pytest.raises(codes.TryLater, match="set it anew"):
        passwords.verify(b"geheim", stored, b"")
    assert passwords.is_possible(stored) is False
    assert passwords.outdated(stored) is False


@pytest.mark.parametrize("stored", [b"{CRYPT}", b"{CRYPT}*", b"{CRYPT}!abc", b"{CLEAR}", b"{PLAIN.B64}"])
def test_locked_in_a_scheme_lets_nobody_in(stored: bytes) -> None:
    for secret in (b"", b"*", b"!abc"):
        assert passwords.verify(secret, stored, b"") is False


def test_cram_md5_fits_a_password_in_clear_and_this_challenge_only() -> None:
    # RFC 2195 2
    stored, challenge = b"{CLEAR}tanstaaftanstaaf", b"<1896.697170952@postoffice.reston.mci.net>"

    assert passwords.verify(b"b913a602c7eda7a495b4e6e7334d3890", stored, challenge) is True
    assert passwords.verify(b"b913a602c7eda7a495b4e6e7334d3890", stored, challenge[:-1]) is False
    assert passwords.verify(b"b913a602c7eda7a495b4e6e7334d3890", stored, b"") is False


SCRAM = (b"{SCRAM-SHA-256}4096,VLC/q+rC9py/dPNIkNw4pQ==,EQhJ33Q/Idyjs35nJG5c3j2wmg5cZJpZnh9b7QdD0x0=,"
         b"xsMzQA9E4jZuIFfrPWcNaEdAK4Ll7pD5G/CwZSRqGug=")


def test_scram_has_keys_of_its_own_form_and_of_clear(computed: "list[tuple[str, bytes]]") -> None:
    salt = bytes(range(16))
    of_clear = passwords.scram(b"{CLEAR}geheim", salt)

    assert passwords.scram(SCRAM, salt).iterations == 4096
    assert of_clear.salt == salt
    assert passwords.verify(b"geheim", b"{SCRAM-SHA-256}" + scramkeys.encode(of_clear), b"") is True
    for none in (None, b"", b"*", KINDS["yescrypt"], b"{NTLM}abc"):
        assert passwords.scram(none, salt) is None
    assert [("pbkdf2", salt)] * 8 == [each for each in computed if each == ("pbkdf2", salt)]


@pytest.mark.parametrize(("password", "prepared"), [
    # RFC 4013 3
    ("I\u00adX", b"IX"), ("user", b"user"), ("\u00aa", b"a"), ("\u2168", b"IX"), ("\u0007", b"\x07"), ("\u06271", "\u06271".encode()),
    ("a\u00a0\u00fc", "a \u00fc".encode()), ("u\u0308", "\u00fc".encode())])
def test_saslprep(password: str, prepared: bytes) -> None:
    assert hashes.prepared(password.encode()) == prepared


def test_saslprep_leaves_what_is_no_text() -> None:
    assert hashes.prepared(b"ge\xe9im") == b"ge\xe9im"


def test_scram_of_more_than_ascii_takes_both_forms() -> None:
    stored = passwords.hashed("u\u0308".encode(), bytes(20), b"scram-sha-256")

    assert passwords.verify("\u00fc".encode(), stored, b"") is True
    assert passwords.verify("u\u0308".encode(), stored, b"") is True
    assert passwords.verify(b"u", stored, b"") is False


@pytest.mark.parametrize("secret", [b"geheim", "gehe\u00efm".encode(), b"gehe\xefm", b"x" * 72, b"a:b", b" a b "])
@pytest.mark.parametrize("scheme", [b"yescrypt", b"sha512", b"bcrypt", b"argon2id", b"scram-sha-256", b"clear"])
def test_what_is_made_fits_and_can_stand_in_the_file(scheme: bytes, secret: bytes) -> None:
    stored = passwords.hashed(secret, bytes(range(100, 120)), scheme)

    assert passwords.verify(secret, stored, b"") is True
    assert passwords.verify(secret[:-1] + b"?", stored, b"") is False
    assert passwords.is_possible(stored) is True
    assert b":" not in stored
    assert len(stored) <= 256


OLD = (KINDS["des"], KINDS["bsdi"], KINDS["md5"], *CHEAP[:-4])
PREFERRED = (b"yescrypt", b"sha512", b"bcrypt", b"argon2id", b"scram-sha-256")


def test_argon2_missing_is_trouble_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(codes.TryLater, match="python3-argon2"):
        passwords.verify(b"geheim", b"$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA", b"")
    with pytest.raises(codes.TryLater, match="python3-argon2"):
        passwords.hashed(b"geheim", bytes(20), b"argon2id")


@pytest.mark.parametrize("scheme", PREFERRED)
def test_a_weaker_one_is_outdated(prefer: "typing.Callable[[bytes], None]", scheme: bytes) -> None:
    prefer(scheme)
    for stored in OLD[:2] + OLD[3:]:
        assert passwords.outdated(stored) is True


@pytest.mark.parametrize(("scheme", "stored", "answer"), [
    (b"", KINDS["sha512"], True), (b"", KINDS["yescrypt"], True), (b"yescrypt", b"$y$j85$x$y", False),
    (b"yescrypt", b"$y$j9T$x$y", False), (b"yescrypt", KINDS["bcrypt"], False), (b"sha512", KINDS["sha512"], True),
    (b"sha512", KINDS["sha512_default_rounds"], False), (b"sha512", KINDS["sha256"], False),
    (b"sha512", KINDS["yescrypt"], False), (b"bcrypt", KINDS["bcrypt"], True), (b"bcrypt", b"$2y$12$x", False),
    (b"scram-sha-256", KINDS["sha512"], False), (b"scram-sha-256", SCRAM, False), (b"yescrypt", SCRAM, True),
    (b"argon2id", KINDS["yescrypt"], False), (b"yescrypt", b"{CLEAR}geheim", False), (b"clear", KINDS["md5"], False),
    (b"keep", KINDS["md5"], False), (b"yescrypt", b"*", False), (b"yescrypt", b"", False),
    (b"yescrypt", b"!" + KINDS["md5"], False), (b"yescrypt", b"secret", True)])
def test_never_a_downgrade_and_clear_is_kept(prefer: "typing.Callable[[bytes], None]", scheme: bytes, stored: bytes,
                                             answer: bool) -> None:
    prefer(scheme)

    assert passwords.outdated(stored) is answer
