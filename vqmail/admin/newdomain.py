"""A new domain with all that it should have from its first moment: role addresses (RFC 2142), and a postmaster."""

from vqmail import codes
from vqmail.admin import aliases, domains, mailboxes
from vqmail.store import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from vqmail.admin.transaction import Transaction

POSTMASTER = b"postmaster"


def add(t: "Transaction", domain: bytes, whose: bytes = domains.NEW, values: "Mapping[bytes, bytes] | None" = None, *,
        to: bytes = b"", password_hash: bytes = b"") -> "tuple[int, int]":
    """Add a domain as domains.add() does; uid and gid of its owner.

    With a password its postmaster is a mailbox; otherwise mail for him goes `to` an address, or to this host's own.
    """
    who = domains.add(t, domain, whose, values)
    if password_hash:
        mailboxes.add(t, domain, POSTMASTER, password_hash, real_name=b"Postmaster")
        to = to or POSTMASTER + b"@" + domain
    aliases.add_roles(t, domain, to or _ours(), who)
    return who


def _ours() -> bytes:
    host = control.line(b"me").lower()
    if not host:
        raise codes.GiveUp("control/me does not say what this host is called, so it has no postmaster; mend that, or "
                           "give --postmaster=ADDRESS")
    return POSTMASTER + b"@" + host
