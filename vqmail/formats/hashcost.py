"""Hashes of crypt(3) and argon2 that cost more than any login may: minutes of the processor, gigabytes of memory.

Whoever owns a domain may write hashes into its etc/passwd, and root computes them while others wait.  What is refused
is many times what anybody chooses.
"""

SALT = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ROUNDS = 5_000_000              # of sha512; 5000 are usual
BCRYPT = 15                     # 32768 rounds; 10 is usual
BLOCKS = 1 << 21                # N * r of yescrypt and scrypt, 128 bytes each: 256 MiB; Debian's j9T has 2 ** 17
ARGON2 = 1 << 20                # KiB; RFC 9106's largest is 2 GiB once, 64 MiB three times is usual
PASSES = 1 << 22                # KiB times passes


def is_excessive(stored: bytes) -> bool:
    """Whether `stored`, $...$, must not be computed.  False for all that is of no kind that is known here, too:
    crypt(3) has no use for it."""
    kind, option, *_ = [*stored[1:].split(b"$"), b"", b""]
    if not stored.startswith(b"$"):
        return stored.startswith(b"_") and _little(stored[1:5]) > ROUNDS
    if kind.startswith(b"argon2"):
        return _argon2(stored)
    if kind in (b"5", b"6"):
        return _number(option.removeprefix(b"rounds=")) > ROUNDS if option.startswith(b"rounds=") else False
    if kind.startswith((b"md5", b"sha1")):      # sunmd5: $md5,rounds=N$; sha1: $sha1$N$
        return _number(option if kind == b"sha1" else kind.partition(b"=")[2]) > ROUNDS
    if kind.startswith(b"2"):
        return _number(option) > BCRYPT
    if kind in (b"y", b"gy"):                   # flavour, log2 N, r; with more there are parameters that nothing makes
        return len(option) != 3 or _blocks(SALT.find(option[1:2]) + 1, SALT.find(option[2:3]) + 1) > BLOCKS
    if kind == b"7":
        return _blocks(SALT.find(option[:1]), _little(option[1:6])) * _little(option[6:11]) > BLOCKS
    return False


def _argon2(stored: bytes) -> bool:
    found = {}
    for part in stored.split(b"$"):
        for each in part.split(b","):
            name, _, value = each.partition(b"=")
            found[name] = value
    memory, passes = _number(found.get(b"m", b"")), _number(found.get(b"t", b""))
    return memory > ARGON2 or memory * passes > PASSES


def _blocks(exponent: int, size: int) -> int:
    return size << min(max(exponent, 0), 64)


def _little(text: bytes) -> int:
    return sum(max(SALT.find(text[at:at + 1]), 0) << 6 * at for at in range(len(text)))


def _number(text: bytes) -> int:
    digits = text[:len(text) - len(text.lstrip(b"0123456789"))]
    return int(digits) if 0 < len(digits) < 10 else ROUNDS * 1000 if digits else 0
