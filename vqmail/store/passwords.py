"""Is this the password?  A "no" costs as much for a user whom there is not as for one whom there is.

Stored forms: formats/storedpassword has them all.  control/passwordscheme is the one that new passwords get, and that
old ones are made into after a login (logins/rehash).

A stored password that is cheaper to compute than the preferred one costs that, too, when it was not the right one.  One
that is dearer, such as bcrypt's of another system, can still be told from nobody's by the clock, where the server does
not answer every "no" equally late.
"""

from vqmail import codes
from vqmail.formats import base64, digest, hashcost, scramkeys, storedpassword
from vqmail.formats.storedpassword import ARGON2, CLEAR, CRYPT, DIGEST, LOCKED, PBKDF2, SCRAM
from vqmail.store import control, hashes
from vqmail.unix import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.formats.storedpassword import Stored

SALT = hashes.SALT
LONGEST = 511                   # bytes of a password that crypt(3) takes; nobody has a longer one
# what new passwords are made into, and how strong that is; yescrypt with 2 MiB costs a login as much time as $6$ does
SCHEMES = {b"": 0, b"yescrypt": 5, b"sha512": 4, b"bcrypt": 5, b"argon2id": 5, b"scram-sha-256": 3, b"clear": 0}
KEEP = b"keep"                  # control/passwordscheme: the default for new ones, and old ones stay what they are
YESCRYPT, SHA512, BCRYPT = b"$y$j85$", b"$6$", b"$2b$10$"
# what crypt(3) can make, how strong it is: 1 without salt, 2 fast, 3 slow and small, 4, 5 slow, and large or bound to
# one kind of processor
STRENGTHS = ((b"$argon2", 5), (b"$y$", 5), (b"$gy$", 5), (b"$7$", 5), (b"$2", 5), (b"$6$", 4), (b"$5$", 4),
             (b"$", 2), (b"_", 2))
UNIT = 5000                     # the work of $6$ with as many rounds, which is its default
WORDS = ("a stored password that begins with %s is of no kind that is known here, or not whole: set it anew")

EXCESSIVE = "a stored password that begins with %s costs more than a login may: set it anew with fewer rounds"


def verify(secret: bytes, stored: "bytes | None", challenge: bytes) -> bool:
    """Whether `secret` fits what is `stored` (None: no such user): a password, APOP's digest for `challenge`, or
    CRAM-MD5's.

    TryLater if the stored one is of a kind that is not known here.
    """
    kept = _decode(stored or b"")
    if kept.kind in (CRYPT, ARGON2) and hashcost.is_excessive(kept.value):
        raise codes.TryLater(EXCESSIVE % log.shown(kept.value[:20]))
    possible = len(secret) <= LONGEST and b"\0" not in secret
    tried = secret if possible else b"-"        # it costs the same
    try:
        right = COMPARE[kept.kind](kept, tried, challenge) and possible
    except ValueError:
        raise _unknown(stored or b"") from None
    if not right:
        scheme = preferred()
        if 2 * work(kept) < work_of(scheme):
            _spend(tried, scheme)               # or a stranger could tell by the clock who is not there
    return right


def preferred() -> bytes:
    """The one of SCHEMES that control/passwordscheme names; b"", the best that crypt(3) has, without it.  TryLater."""
    scheme = control.line(b"passwordscheme").lower()
    if scheme not in SCHEMES and scheme != KEEP:
        raise codes.TryLater("control/passwordscheme: there is no scheme %s; there are %s" % (
            log.shown(scheme), b", ".join(each for each in (*SCHEMES, KEEP) if each).decode()))
    return b"" if scheme == KEEP else scheme


def hashed(secret: bytes, random: bytes, scheme: bytes = b"") -> bytes:
    """What to store for `secret`, by one of SCHEMES, or the preferred one.  `random` is at least 20 random bytes."""
    return _made(secret, random, scheme or preferred())


def outdated(stored: bytes) -> bool:
    """Whether another form of the same password would be a stronger one, and is preferred.  Never for one in clear: it
    was chosen, for APOP or CRAM-MD5.  TryLater.
    """
    try:
        kept = storedpassword.decode(stored)
    except ValueError:
        return False
    if kept.kind in (LOCKED, CLEAR) or control.line(b"passwordscheme").lower() == KEEP:
        return False
    scheme = preferred() or b"yescrypt"
    if scheme == b"clear":
        return False
    strength = _strength(kept)
    # the same scheme, with less work
    return strength < SCHEMES[scheme] or (strength == SCHEMES[scheme] and _scheme(kept) == scheme
                                          and work(kept) < work_of(scheme))


def scram(stored: "bytes | None", salt: bytes = b"\0" * scramkeys.SALT) -> "scramkeys.Keys | None":
    """What SCRAM-SHA-256 needs of the stored password (None: no such user), by `salt` where it is in clear; None if it
    has none of that.  Costs the same for all.
    """
    try:
        kept = storedpassword.decode(stored or b"")
    except ValueError:
        kept = storedpassword.Stored(LOCKED, b"")
    made = hashes.scram_keys(hashes.prepared(kept.value) if kept.kind == CLEAR else b"-", salt)
    return kept.keys if kept.kind == SCRAM else (made if kept.kind == CLEAR else None)


def is_possible(stored: bytes) -> bool:
    """Whether a login can be compared with `stored`, or it is one that nobody gets in with.  False for a hash that was
    cut, or is a password in clear by mistake: what is made with it as a salt has another length.
    """
    try:
        kept = storedpassword.decode(stored)
        if kept.kind == LOCKED:
            return stored.startswith((b"*", b"!"))
        if kept.kind == CRYPT:
            return len(hashes.crypt(b"-", kept.value)) == len(kept.value)
        if kept.kind == ARGON2:
            hashes.argon2_fits(b"-", kept.value)
    except ValueError:
        return False
    return True


def load() -> None:
    """Have crypt(3) and the digests in memory before many processes are forked that want them."""
    hashes.crypt(b"", SHA512)
    digest.same(digest.of("sha256", b""), digest.of("md5", b""))


def work(kept: "Stored") -> int:
    """About how much work a comparison is; $6$ with its default of rounds is UNIT."""
    value = kept.value
    if kept.kind == SCRAM and kept.keys is not None:
        return kept.keys.iterations * 2 // 3
    if kept.kind == PBKDF2:
        return kept.rounds // 2
    if kept.kind == ARGON2:
        return 10 * UNIT
    if kept.kind != CRYPT:
        return 0
    kind, option = [*value[1:].split(b"$"), b"", b""][:2]
    if value.startswith((b"$5$", b"$6$")):
        rounds = option.removeprefix(b"rounds=")
        return int(rounds) if rounds != option and rounds.isdigit() and len(rounds) < 10 else UNIT
    if value.startswith(b"$2"):
        return UNIT << int(option) >> 5 if option.isdigit() and len(option) == 2 and int(option) < 32 else 0
    if kind in (b"y", b"gy"):                   # j85 has UNIT, j9T 8 times as much
        return UNIT << max(SALT.find(option[1:2]), 0) >> 10 << 2 * (option[2:3] == b"T")
    return 2 * UNIT if kind == b"7" else 0


def work_of(scheme: bytes) -> int:
    """The same for what one of SCHEMES makes."""
    return {b"argon2id": 10 * UNIT, b"bcrypt": UNIT << 5,
            b"scram-sha-256": scramkeys.ITERATIONS * 2 // 3}.get(scheme, UNIT)


def _is_clear(kept: "Stored", secret: bytes, challenge: bytes) -> bool:
    clear = kept.value
    if digest.same(secret, clear):
        return True
    if not challenge:                           # without a challenge the digest would be one for ever
        return False
    apop = digest.of("md5", challenge + clear).hex().encode()                                       # RFC 1939 7
    cram = digest.keyed("md5", clear, challenge).hex().encode()                                     # RFC 2195 2
    return digest.same(secret, apop) | digest.same(secret.lower(), cram)


def _is_digest(kept: "Stored", secret: bytes, _: bytes) -> bool:
    return digest.same(digest.of(kept.digest, secret + kept.salt), kept.value)


def _is_crypt(kept: "Stored", secret: bytes, _: bytes) -> bool:
    hashed = hashes.crypt(secret, kept.value)
    if not hashed:
        raise ValueError("of no kind that crypt(3) knows here")
    return digest.same(hashed, kept.value)


def _is_argon2(kept: "Stored", secret: bytes, _: bytes) -> bool:
    return hashes.argon2_fits(secret, kept.value)


def _is_pbkdf2(kept: "Stored", secret: bytes, _: bytes) -> bool:
    return digest.same(hashes.pbkdf2(kept.digest, secret, kept.salt, kept.rounds), kept.value)


def _is_scram(kept: "Stored", secret: bytes, _: bytes) -> bool:
    keys = kept.keys
    assert keys is not None
    right = False
    for each in {secret, hashes.prepared(secret)}:      # Dovecot's are made of the password as it is
        made = hashes.scram_keys(each, keys.salt, keys.iterations)
        right |= digest.same(made.stored_key, keys.stored_key)
    return right


def _is_locked(_: "Stored", __: bytes, ___: bytes) -> bool:
    return False


COMPARE: "dict[str, Callable[[Stored, bytes, bytes], bool]]" = {
    LOCKED: _is_locked, CLEAR: _is_clear, DIGEST: _is_digest, CRYPT: _is_crypt, ARGON2: _is_argon2, PBKDF2: _is_pbkdf2,
    SCRAM: _is_scram}


def _spend(secret: bytes, scheme: bytes) -> None:
    """Work as for one of SCHEMES."""
    try:
        _made(secret, bytes(20), b"" if scheme == b"clear" else scheme)
    except codes.TryLater:                      # not to be had here: no reason to say anything but no
        _made(secret, bytes(20), b"")


def _made(secret: bytes, random: bytes, scheme: bytes) -> bytes:
    if scheme == b"clear":
        # what would end the field, or the line, is written otherwise
        plain = b":" not in secret and all(each > 31 for each in secret)
        return b"{CLEAR}" + secret if plain else b"{CLEAR.B64}" + base64.encode(secret)
    if scheme == b"scram-sha-256":
        keys = hashes.scram_keys(hashes.prepared(secret), random[:scramkeys.SALT])
        return b"{SCRAM-SHA-256}" + scramkeys.encode(keys)
    if scheme == b"argon2id":
        return hashes.argon2(secret, random[:16])
    letters = bytes(SALT[each % 64] for each in random)
    hashed = b""
    if scheme == b"bcrypt":                     # 22 letters are 16 bytes
        number = int.from_bytes(random[:16], "big") << 4
        hashed = hashes.crypt(secret, BCRYPT + bytes(SALT[number >> each & 63] for each in range(126, -1, -6)))
    elif scheme in (b"", b"yescrypt"):
        hashed = hashes.crypt(secret, YESCRYPT + letters[:20])
    if not hashed and scheme in (b"", b"sha512"):
        hashed = hashes.crypt(secret, SHA512 + letters[:16])
    if not hashed:
        raise codes.TryLater("crypt(3) does not know %s here; choose another scheme" % log.shown(scheme))
    return hashed


def _strength(kept: "Stored") -> int:
    if kept.kind == DIGEST:
        return 2 if kept.salt else 1
    if kept.kind in (PBKDF2, SCRAM):
        return 3
    return next((strength for begin, strength in STRENGTHS if kept.value.startswith(begin)), 1)


def _scheme(kept: "Stored") -> bytes:
    if kept.kind == SCRAM:
        return b"scram-sha-256"
    if kept.kind == ARGON2:
        return b"argon2id"
    return {b"y": b"yescrypt", b"6": b"sha512"}.get(kept.value[1:2], b"bcrypt" if kept.value[:2] == b"$2" else b"")


def _decode(stored: bytes) -> "Stored":
    try:
        return storedpassword.decode(stored)
    except ValueError:
        raise _unknown(stored) from None


def _unknown(stored: bytes) -> codes.TryLater:
    # of a hash three characters say the kind; of a password in clear nobody should see more
    name, brace, _ = stored.partition(b"}")
    return codes.TryLater(WORDS % log.shown(name[:30] + brace if brace and stored[:1] == b"{" else stored[:3]))
