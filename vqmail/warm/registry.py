"""The programs that run warm: command name to main."""

from vqmail.prog import local, virtmaildelivery, virtmailfilter

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
