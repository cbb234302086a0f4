"""Passwords of users: asked for, read, generated, and made into what is stored."""

import secrets
import termios

from vqmail import codes
from vqmail.store import passwords
from vqmail.unix import calls, fd

TERMINAL = 3                    # the caller's terminal, if there is one (admin/command)
LONGEST = 128                   # bytes; what a login can carry is not much longer
# without those that are easily taken for one another
ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
LENGTH = 16
LOCKED = b"*"                   # stored for a user who cannot log in
LONGEST_HASH = 256


def hash(text: bytes, scheme: bytes = b"") -> bytes:  # noqa: A001  this is what it is called everywhere
    """What is stored for the password `text`.  GiveUp if it cannot be a password, or there is no such scheme."""
    check(text)
    if scheme not in passwords.SCHEMES:
        raise codes.GiveUp("there is no scheme %s; there are %s" % (
            scheme.decode("utf-8", "replace"), b", ".join(each for each in passwords.SCHEMES if each).decode()))
    if scheme == b"clear" and b":" in text:
        raise codes.GiveUp("a password that is stored in clear cannot have a colon")
    return passwords.hashed(text, secrets.token_bytes(20), scheme)


def check(text: bytes) -> None:
    """GiveUp unless `text` can be a password."""
    if not text:
        raise codes.GiveUp("an empty password is none; --no-password makes a user who cannot log in")
    if len(text) > LONGEST:
        raise codes.GiveUp("a password has %d bytes at most" % LONGEST)
    if any(each < 32 or each == 127 for each in text):
        raise codes.GiveUp("a password cannot have control characters, such as tabs")


def check_hash(stored: bytes) -> None:
    """GiveUp unless `stored` can stand where the hash of a password stands, and a login can be compared with it."""
    if not stored or len(stored) > LONGEST_HASH or any(each <= 32 or each >= 127 or each == 58 for each in stored):
        raise codes.GiveUp("that is no hash of a password: it has printable characters, and no colon")
    if not passwords.is_possible(stored):
        raise codes.GiveUp("that is no hash of a kind that crypt(3) knows here, or it is not whole")


def ask(whose: str) -> bytes:
    """The password that is typed twice on the terminal, unseen.  GiveUp if there is none, or they differ."""
    first = ask_once("New password for %s: " % whose)
    check(first)
    if ask_once("The same again: ") != first:
        raise codes.GiveUp("the two passwords differ; nothing was changed")
    return first


def ask_once(prompt: str) -> bytes:
    """What is typed on the terminal, unseen.  GiveUp if there is no terminal."""
    try:
        before = termios.tcgetattr(TERMINAL)
    except termios.error:
        raise codes.GiveUp("there is no terminal to ask for the password; use --password-stdin or --generate") from None
    unseen = list(before)
    unseen[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(TERMINAL, termios.TCSAFLUSH, unseen)
        fd.write_all(TERMINAL, prompt.encode())
        return line(TERMINAL)
    finally:
        termios.tcsetattr(TERMINAL, termios.TCSADRAIN, before)
        fd.write_all(TERMINAL, b"\n")


def from_stdin() -> bytes:
    """The first line of descriptor 0."""
    return line(0)


def generate(length: int = LENGTH) -> bytes:
    """A password that nobody guesses."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length)).encode()


def line(number: int) -> bytes:
    """The next line of a descriptor, byte by byte: what follows it is not ours.  GiveUp at the end of file, or if it is
    too long.
    """
    text = b""
    while len(text) <= LONGEST + 1:
        byte = calls.read(number, 1)
        if byte == b"\n" or (not byte and text):
            return text.removesuffix(b"\r")
        if not byte:
            raise codes.GiveUp("no password was given")
        text += byte
    raise codes.GiveUp("a password has %d bytes at most" % LONGEST)
