"""A value made of control files, made anew when one of them has changed: for processes that live long.

A file is the same as long as its inode, size and time are.  One that was changed so lately that the next change could
bear the same time is not believed to be the same yet.
"""

import time

from vqmail import codes, vqhome
from vqmail.unix import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

TICK = 20_000_000               # nanoseconds; two changes of a file within that may bear the same time


class Current:
    """What `make` makes of the control files `names`."""

    def __init__(self, make: "Callable[[], Any]", names: "tuple[bytes, ...]") -> None:
        self._make = make
        self._paths = [vqhome.path(b"control/" + each) for each in names]
        self._value: Any = None
        self._seen: object = None

    def get(self) -> "Any":
        """The value, as the files are now.  TryLater if one cannot be read."""
        seen = self._look()
        if self._value is None or seen is None or seen != self._seen:
            self._value, self._seen = None, None
            self._value, self._seen = self._make(), seen
        return self._value

    def _look(self) -> "list[object] | None":
        """What tells the files from others; None while that cannot be told."""
        found: list[object] = []
        newest = 0
        for path in self._paths:
            try:
                each = calls.stat(path)
            except FileNotFoundError:
                found.append(None)
                continue
            except OSError as error:
                raise codes.TryLater("cannot read %s: %s" % (path.decode("utf-8", "replace"), error.strerror)) from None
            newest = max(newest, each.st_mtime_ns)
            found.append((each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns))
        return found if newest + TICK < time.time_ns() else None
