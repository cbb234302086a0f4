"""What a login's comparison costs in each scheme, and whether a "no" tells by the clock who is there."""

import os
import statistics
import time

import budget

from vqmail.store import control, passwords

TIMES = 61
SECRET = b"right horse"
OTHERS = {                      # what other systems stored of SECRET, or of anything: a "no" costs the same
    "sha (no salt)": b"{SHA}kGByAB793z4R5tK1eC9Hd/4Dhzk=",
    "md5-crypt": b"$1$saltsalt$wTLsTBb/.H7e4VHujepbF0",
    "des": b"saqc9.Bob8aeY",
    "sha512 of 1000 rounds": b"$6$rounds=1000$saltsalt$" + b"." * 86,
    "yescrypt j9T (Debian's)": b"$y$j9T$saltsaltsaltsalt$" + b"." * 43,
    "bcrypt of 5 (Dovecot's)": b"$2y$05$YHJA7ypwiuQ78A7u1v0U9.ExYy6U43IJ0tY741QP.zEgR59hQw5ji",
}
BOUND = {"no such user", "suspended", "without a password", "clear", "sha (no salt)", "md5-crypt", "des"}
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
        for name, kept in rows.items():         # the processor's time: others use it, too
            began = time.process_time()
            passwords.verify(b"wrong horse", kept, b"")
            took[name].append(time.process_time() - began)
    began = time.process_time()
    passwords.verify(SECRET, stored[scheme], b"")
    right = time.process_time() - began
    nobody = statistics.median(took["no such user"])
    print(f"preferred: {scheme}; a right password {right * 1000:.1f} ms; a wrong one, as a ratio to nobody's"
          f" {nobody * 1000:.1f} ms:")
    for name, times in took.items():
        ratio = statistics.median(times) / nobody
        # who is dearer than the preferred scheme is told from nobody by the clock: passwords.py says so, and why that
        # is not seen over the network
        bound = budget.at_most("login_no", max(ratio, 1 / ratio)) if name in BOUND | {scheme} else "no bound"
        print(f"  {name:28} {ratio:6.2f} {bound}")
    print(f"  (bound: {budget.limit('login_no')}, either way)")
