"""Write to a user's terminal, if the user wants that."""

import stat

from vqmail.unix import calls

WANTED = stat.S_IWGRP | stat.S_IXUSR            # mesg y; biff y
OPEN = calls.O_WRONLY | calls.O_NOCTTY | calls.O_NONBLOCK | calls.O_NOFOLLOW | calls.O_CLOEXEC


def tell(path: bytes, text: bytes) -> None:
    """Write `text` to the terminal `path` if it is ours and open to messages; what it does not take at once is lost.

    OSError if it is gone, or takes nothing at all.
    """
    number = calls.open(path, OPEN)
    try:
        found = calls.fstat(number)
        if stat.S_ISCHR(found.st_mode) and found.st_uid == calls.getuid() and found.st_mode & WANTED:
            calls.write(number, text)
    finally:
        calls.close(number)
