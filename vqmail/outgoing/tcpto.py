"""Hosts that did not answer lately: they are left alone for an hour or two (QMAIL interface 13.5).

The table only saves time.  Trouble with it is logged and stops no mail.
"""

import time

from vqmail import vqhome
from vqmail.formats import ip
from vqmail.formats import tcpto as table
from vqmail.unix import calls, fd, lock, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FILES = {4: b"queue/lock/tcpto", 16: b"queue/lock/tcpto6"}      # length of an address -> its table
PATIENCE = 5.0                  # seconds to wait for the lock


def skip(address: bytes, now: int) -> bool:
    """Whether the host with this address is not to be tried now."""
    packed = _packed(address)
    try:
        return table.is_skipped(_read(len(packed)), packed, now, calls.getpid())
    except (OSError, ValueError) as error:
        _complain(error, len(packed))
        return False


def failed(address: bytes, now: int) -> None:
    """Note that a connection to the host timed out."""
    _write(address, lambda content, packed: table.after_timeout(content, packed, now))


def worked(address: bytes) -> None:
    """Note that the host answered."""
    _write(address, table.after_success)


def clear() -> None:
    """Forget all hosts, as the spawner does when it starts."""
    try:
        forget()
    except OSError as error:
        log.line(b"vq-remote", "cannot forget the hosts that timed out: %s" % (error.strerror or error))


def forget() -> None:
    """Forget all hosts.  OSError if that cannot be done."""
    for length, name in FILES.items():
        number = calls.open(vqhome.path(name), calls.O_WRONLY | calls.O_CLOEXEC)
        try:
            lock.take_within(number, PATIENCE)
            calls.pwrite(number, bytes(table.RECORDS * table.size(bytes(length))), 0)
        finally:
            calls.close(number)


def known() -> "list[tuple[bytes, int, int]]":
    """(address, seconds since the last timeout, timeouts) of each host. OSError or ValueError if it cannot be read."""
    now = int(time.time())
    return [(ip.text(packed), now - when, count) for length in FILES
            for packed, when, count in table.entries(_read(length), length)]


def _read(length: int) -> bytes:
    """The table, without its lock: a record is written by one call, and half of one would only cost a try."""
    return fd.read_file(vqhome.path(FILES[length]), 65536)


def _write(address: bytes, change: "Callable[[bytes, bytes], tuple[int, bytes] | None]") -> None:
    packed = _packed(address)
    try:
        if change(_read(len(packed)), packed) is None:
            return                              # nearly always: a host that answers is not in the table
        number = calls.open(vqhome.path(FILES[len(packed)]), calls.O_RDWR | calls.O_CLOEXEC)
        try:
            lock.take_within(number, PATIENCE)
            changed = change(calls.pread(number, 65536, 0), packed)
            if changed is not None:
                calls.pwrite(number, changed[1], changed[0])
        finally:
            calls.close(number)
    except (OSError, ValueError) as error:
        _complain(error, len(packed))


def _packed(address: bytes) -> bytes:
    """The 4 or 16 bytes of an address; ValueError if it is none, which is a mistake of ours."""
    packed = ip.pack(address)
    if packed is None:
        raise ValueError("%r is no address" % address)
    return ip.plain(packed)


def _complain(error: "OSError | ValueError", length: int) -> None:
    why = (isinstance(error, OSError) and error.strerror) or str(error)
    log.line(b"vq-remote", b"cannot use %s: %s; run make check-setup" % (vqhome.path(FILES[length]), why.encode()))
