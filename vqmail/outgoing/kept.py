"""Connections kept for the next message to the same host (RFC 5321 4.5.4.1 leaves it to us how long)."""

import time

from vqmail.proto import smtp_client
from vqmail.unix import tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.outgoing.connection import Connection

    Key = tuple[object, ...]

HOSTS = 8                       # connections kept at once


class Link:
    """A connection, the session on it, and how many messages it has carried.  `critical` when the final dot of a
    message is out, and no answer in."""

    def __init__(self, connection: "Connection", session: smtp_client.Session) -> None:
        self.connection = connection
        self.session = session
        self.uses = 0
        self.critical = False
        self.since = 0.0                        # when it was put aside

    def close(self) -> None:
        """Say goodbye."""
        self.connection.close(smtp_client.GOODBYE)


class Kept:
    """Idle connections by what they are good for: host, port, login, our address, and whether names were proved.

    One is kept for `idle` seconds and `uses` messages; Kept(0, 0) keeps none.
    """

    def __init__(self, idle: float, uses: int) -> None:
        self.contexts = tls.Contexts()          # of the same life
        self._idle = idle
        self._uses = uses
        self._links: dict[Key, Link] = {}

    def take(self, key: "Key") -> "Link | None":
        """The link for `key`, now the caller's, if there is one and its host has not hung up."""
        self.trim()
        link = self._links.pop(key, None)
        if link is None:
            return None
        if not link.connection.is_quiet():
            link.close()
            return None
        return link

    def keep(self, key: "Key", link: Link) -> None:
        """Put a link aside for the next message, or close it."""
        self.trim()
        link.uses += 1
        old = self._links.pop(key, None)
        if old is not None:
            old.close()
        if not link.session.reusable or link.uses >= self._uses or self._idle <= 0:
            link.close()
            return
        if len(self._links) >= HOSTS:
            self._links.pop(next(iter(self._links))).close()
        link.since = time.monotonic()
        self._links[key] = link

    def trim(self) -> None:
        """Close those that have waited long enough."""
        latest = time.monotonic() - self._idle
        for key in [each for each, link in self._links.items() if link.since < latest]:
            self._links.pop(key).close()

    def close(self) -> None:
        """Close all."""
        while self._links:
            self._links.popitem()[1].close()
