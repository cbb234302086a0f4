"""What a login's comparison costs in each scheme, and whether a "no" tells by the clock who is there."""

import os
import statistics
import time

from vqmail.store import control, passwords

TIMES = 41
SECRET = b"right horse"
OTHERS = {                      # what other systems stored of SECRET, or of anything: a "no" costs the same
    "sha (no salt)": b"{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk=",
    "md5-crypt": b"$1$saltsalt$wTLsTBb/.H7e4VHujepbF0",
    "des": b"saqc9.Bob8aeY",
    "sha512 of 1000 rounds": b"$6$rounds=1000$saltsalt$" + b"." * 86,
    "yescrypt j9T (Debian's)": b"$y$j9T$saltsaltsaltsalt$" + b"." * 43,
    "bcrypt of 5 (Dovecot's)": b"$2y$05$YHJA7ypwiuQ78A7u1v0U9.ExYy6U43IJ0tY741QP.zEgR59hQw5ji",
}
NOBODY = {"no such user": None, "suspended": None, "without a password": b"*"}


def report() -> None:
    """A table for each preferred scheme: a wrong password's time as a ratio to that of nobody's."""
    true = control.line
    try:
        for scheme in ("yescrypt", "sha512", "bcrypt", "argon2id", "scram-sha-256"):
            control.line = lambda name, scheme=scheme: scheme.encode() if name == b"passwordscheme" else true(name)
            stored = {each: passwords.hashed(SECRET, os.urandom(20), each.encode())
                      for each in (scheme, "clear")} | OTHERS
            _table(scheme, stored)
    finally:
        control.line = true


def _table(scheme: str, stored: "dict[str, bytes]") -> None:
    rows = {**NOBODY, **stored}
    took: "dict[str, list[float]]" = {each: [] for each in rows}
    for _ in range(TIMES):                      # in turn: what else the machine does is shared fairly
        for name, kept in rows.items():
            began = time.perf_counter()
            passwords.verify(b"wrong horse", kept, b"")
            took[name].append(time.perf_counter() - began)
    began = time.perf_counter()
    passwords.verify(SECRET, stored[scheme], b"")
    right = time.perf_counter() - began
    nobody = statistics.median(took["no such user"])
    print(f"preferred: {scheme}; a right password {right * 1000:.1f} ms; a wrong one, as a ratio to nobody's"
          f" {nobody * 1000:.1f} ms:")
    for name, times in took.items():
        print(f"  {name:28} {statistics.median(times) / nobody:6.2f}")
