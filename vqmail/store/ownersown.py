"""What virtmailfilter does itself, as the owner of a domain, where a catch-all sends mail on or into a maildir of the
owner's: the service of that name never opens a message."""

from vqmail import codes
from vqmail.store import desk, maildir, passage, recipient, submit
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

def do(yours: desk.Yours, env: "Env", argument: "bytes | None") -> bytes:
    """Do it; what to say of it.  GiveUp or TryLater if it is not done."""
    message = passage.checked(yours.head, yours.loops)
    if yours.kind == recipient.FORWARD:
        qp = submit.send(env, message, env.get(b"SENDER", b""), [yours.target], "Unable to forward message: ")
        return b"forwarded to %s\nqp %d\n" % (yours.target, qp)
    if yours.kind != recipient.MAILDIR or yours.target != argument:
        raise codes.TryLater("virtmailfilter: the service wants something that nobody asked for")
    umask = calls.umask(0o077)
    try:
        maildir.deliver(_maildir(yours.target), message)
    finally:
        calls.umask(umask)
    return b""


def _maildir(path: bytes) -> bytes:
    """The maildir that vdelivermail means: the path itself, or Maildir in it."""
    try:
        calls.stat(path + b"/new")
    except FileNotFoundError:
        return path.rstrip(b"/") + b"/Maildir"
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
    return path
