"""What a name's SCRAM login is checked with, whether there is such a user or not.

    users/scramsecret   32 random bytes, root's; made when they are first needed

With them a salt is made up for each name that has none, always the same: a stranger who only begins to log in is not
told who is there.  Removing the file changes those salts, which he could see, and nothing else.
"""

from vqmail import codes, vqhome
from vqmail.formats import scramkeys
from vqmail.store import aliasdomain, passwords, virtual
from vqmail.unix import calls, durable, fd

PATH = vqhome.path(b"users/scramsecret")
SIZE = 32


def keys(name: bytes, stored: "bytes | None") -> "scramkeys.Keys":
    """The keys for `name`, user@domain, and what is stored for him (None: no such user).  TryLater on trouble.

    For who cannot log in so they are made up, and there is no password to them.  They are the same however the name is
    written: those of a real user are, too.
    """
    user, _, domain = name.lower().rpartition(b"@")
    if virtual.usable_domain(domain):
        domain = aliasdomain.real(domain)
    made_up = scramkeys.nobody(_secret(), user + b"@" + domain)
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
