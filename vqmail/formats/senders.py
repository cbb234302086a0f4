"""control/senders: as whom a login may send besides what is his own.

    bob@example.com:sales@example.com       bob, as that address
    bob@example.com:@example.org            bob, as everybody of that domain
    @example.com:press@example.com          everybody of example.com, as that address
    news@example.com:*                      news, as anybody
    :help@example.com                       everybody, as that address

A login may have many lines.  Everything is in lower case.
"""

ANYBODY = b"*"


def parse(entry: bytes) -> "tuple[bytes, bytes]":
    """(login, sender) of a line; ValueError, which says what may stand there."""
    login, colon, sender = entry.partition(b":")
    if not colon:
        raise ValueError("write login:sender, such as bob@example.com:sales@example.com")
    if login and (not login.rpartition(b"@")[2] or login == ANYBODY):
        raise ValueError("before the colon goes a login, @domain, or nothing for all logins")
    if sender != ANYBODY and (b"@" not in sender or not sender.rpartition(b"@")[2] or b":" in sender):
        raise ValueError("after the colon goes an address, @domain, or * for anybody")
    return login, sender


def allow(table: "dict[bytes, frozenset[bytes]]", login: bytes, sender: bytes) -> bool:
    """Whether `login` is listed for `sender`; `table` is login -> senders."""
    domain, host = b"@" + login.rpartition(b"@")[2], b"@" + sender.rpartition(b"@")[2]
    return any(not found.isdisjoint((sender, host, ANYBODY)) for found in (
        table.get(login), table.get(domain), table.get(b"")) if found)
