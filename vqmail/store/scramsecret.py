"""What a name's SCRAM login is checked with, whether there is such a user or not.

    users/scramsecret   32 random bytes, root's; made when they are first needed

With them a salt is made up for each name that has none, always the same: a stranger who only begins to log in is not
told who is there.  Removing the file changes those salts, which he could see, and nothing else.
"""

from vqmail import codes, vqhome
from vqmail.formats import scramkeys
from vqmail.store import passwords
from vqmail.unix import calls, durable, fd

PATH = vqhome.path(b"users/scramsecret")
SIZE = 32


def keys(name: bytes, stored: "bytes | None") -> "scramkeys.Keys":
    """The keys for `name`, as the log has it, and what is stored for him (None: no such user).  TryLater on trouble.

    For who cannot log in so they are made up, and there is no password to them.
    """
    made_up = scramkeys.nobody(_secret(), name)
    return passwords.scram(stored, made_up.salt) or made_up


def _secret() -> bytes:
    try:
        try:
            secret = fd.read_file(PATH, SIZE)
        except FileNotFoundError:
            secret = _new()
    except (OSError, ValueError) as error:
        raise codes.TryLater("%s: %s" % (PATH.decode("utf-8", "replace"), error)) from None
    if len(secret) != SIZE:
        raise codes.TryLater("%s has not %d bytes: remove it, and it is made anew" % (
            PATH.decode("utf-8", "replace"), SIZE))
    return secret


def _new() -> bytes:
    directory = PATH.rpartition(b"/")[0]
    with durable.Draft(directory, b"scramsecret.%d" % calls.getpid(), 0o400) as draft:
        draft.write(calls.urandom(SIZE))
        try:
            draft.publish(PATH, directory)
        except FileExistsError:                 # somebody else was faster
            pass
    return fd.read_file(PATH, SIZE)
