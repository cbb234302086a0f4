"""The programs that run warm: command name to main."""

from vqmail.prog import checkpassword, local, pop3d, popup, smtpd, virtmaildelivery, virtmailfilter
from vqmail.store import passwords

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Main


def programs() -> "dict[bytes, Main]":
    """What a delivering process has loaded."""
    return {
        b"vq-local": local.main,
        b"virtmailfilter": virtmailfilter.main,
        b"virtmaildelivery": virtmaildelivery.main,
    }


def network() -> "dict[bytes, Main]":
    """What a process at a port of the network has loaded."""
    passwords.load()
    return {
        b"vq-smtpd": smtpd.main,
        b"vq-popup": popup.main,
        b"vq-checkpassword": checkpassword.main,
        b"vq-pop3d": pop3d.main,
    }
