"""Stored passwords of other systems, as this one stores them.

One that was stored in clear stays so until it is taken: then it is hashed, unless it is to stay so for APOP.
"""

import base64
import binascii

from vqmail.admin import passwords
from vqmail.formats import storedpassword
from vqmail.store import passwords as verifying

LOCKED = passwords.LOCKED
MD5 = b"{PLAIN-MD5}"
CLEAR = b"{CLEAR}"
SALT = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DES = 13                        # characters
MODULAR = (b"$1$", b"$5$", b"$6$", b"$y$", b"$gy$", b"$7$", b"$2a$", b"$2b$", b"$2y$", b"$sha1$")
HEX = b"0123456789abcdefABCDEF"


def crypted(stored: bytes) -> "tuple[bytes, str]":
    """(what is stored here, what is to be said of it) for a hash of crypt(3).  ValueError if it is none."""
    if stored in (b"", b"x") or stored[:1] in (b"*", b"!"):
        return LOCKED, "has no password: give one with vq-passwd"
    if stored.startswith(b"$0$"):               # VMailMgr's: in clear
        return plain(stored[3:])
    if any(each <= 32 or each >= 127 or each == 58 for each in stored) or len(stored) > passwords.LONGEST_HASH:
        raise ValueError("the stored password has characters that cannot stand in a hash")
    if stored.startswith(MODULAR) and stored.count(b"$") >= 3:
        return stored, ""
    if (len(stored) == DES or stored[:1] == b"_") and not stored[1:].translate(None, SALT):
        return stored, "" if stored[:1] == b"_" else "has an old hash (DES), of which only 8 characters count"
    raise ValueError("the stored password is of no kind that crypt(3) knows")


def tagged(stored: bytes) -> "tuple[bytes, str]":
    """The same for tpop3d's: {kind}text, and without a kind MD5 as 32 hex digits or 24 characters of base64."""
    kind, brace, text = stored.partition(b"}")
    if not (brace and kind.startswith(b"{")):
        return (MD5 + _md5(stored), "") if _md5(stored) else crypted(stored)
    kind = kind[1:].lower()
    if kind in (b"crypt", b"crypt_md5", b"md5-crypt", b"sha256-crypt", b"sha512-crypt", b"des-crypt", b"blf-crypt"):
        return crypted(text)
    if kind in (b"plaintext", b"plain", b"clear"):
        return plain(text)
    if kind in (b"md5", b"plain-md5", b"ldap-md5") and _md5(text):
        return MD5 + _md5(text), ""
    if _is_known(stored):
        return stored, ""
    raise ValueError("the stored password is of the kind {%s}, which is not known here" % kind.decode(
        "ascii", "replace"))


def plain(text: bytes) -> "tuple[bytes, str]":
    """The same for a password that was stored in clear."""
    if not text:
        return LOCKED, "has no password: give one with vq-passwd"
    if len(text) > passwords.LONGEST or any(each < 32 or each == 127 for each in text):
        raise ValueError("the password is too long, or has control characters")
    return CLEAR + text, ""


def to_store(stored: bytes, *, keep_clear: bool) -> bytes:
    """What goes into the passwd file for what was found."""
    if not stored.startswith(CLEAR) or (keep_clear and b":" not in stored):
        return stored
    return passwords.hash(stored[len(CLEAR):])


def same(stored: bytes, there: bytes) -> bool:
    """Whether a user whose stored password is `there` has the one that was found, or none was found: then he may have
    been given one since."""
    return stored in (there, LOCKED) or (stored.startswith(CLEAR) and verifying.verify(stored[len(CLEAR):], there, b""))


def _is_known(stored: bytes) -> bool:
    """Whether it is one of Dovecot's schemes, by its form."""
    try:
        storedpassword.decode(stored)
    except ValueError:
        return False
    return all(32 < each < 127 and each != 58 for each in stored) and len(stored) <= passwords.LONGEST_HASH


def _md5(text: bytes) -> bytes:
    """The hex digits of an MD5, however it is written; b"" if it is none."""
    if len(text) == 32 and not text.translate(None, HEX):
        return text.lower()
    if len(text) == 24 and text.endswith(b"=="):
        try:
            return base64.b64decode(text, validate=True).hex().encode()
        except binascii.Error:
            return b""
    return b""
