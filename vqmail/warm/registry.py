"""The programs that run warm: command name to main."""

from vqmail.faces import vdelivermail
from vqmail.incoming import login
from vqmail.logins import newhash, programs as others, systemusers
from vqmail.prog import (
    bouncesaying, checkpassword, condredirect, except_, forward, local, pop3d, popup, preline, qmqpd, qmtpd, smtpd, tls,
    virtmaildelivery, virtmailfilter, virtmailquota, virtuald)
from vqmail.store import direct, ownersown, passwords, quotaquestion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Main


# what programs import only in the run that needs it (doc/DECISIONS.md): here it is in memory before the first fork
LATER = (direct, login, newhash, others, ownersown, quotaquestion, systemusers)


def programs() -> "dict[bytes, Main]":
    """What a delivering process has loaded."""
    return {
        b"vq-local": local.main,
        b"virtmailfilter": virtmailfilter.main,
        b"virtmaildelivery": virtmaildelivery.main,
        b"virtmailquota": virtmailquota.main,
        b"vdelivermail": vdelivermail.main,
        b"forward": forward.main,
        b"condredirect": condredirect.main,
        b"except": except_.main,
        b"bouncesaying": bouncesaying.main,
        b"preline": preline.main,
    }


def network() -> "dict[bytes, Main]":
    """What a process at a port of the network has loaded."""
    passwords.load()
    return {
        b"vq-smtpd": smtpd.main,
        b"vq-qmtpd": qmtpd.main,
        b"vq-qmqpd": qmqpd.main,
        b"vq-tls": tls.main,
        b"vq-virtuald": virtuald.main,
        b"vq-popup": popup.main,
        b"vq-checkpassword": checkpassword.main,
        b"vq-pop3d": pop3d.main,
    }
