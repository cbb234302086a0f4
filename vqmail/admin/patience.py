"""Signals wait while a change is made."""

import contextlib
import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def undisturbed() -> "Iterator[None]":
    """Whoever is impatient now would only leave the rest to the next one."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if threading.current_thread() is threading.main_thread():       # others get no signals
        for number in before:
            signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, reaction in before.items():
                signal.signal(number, reaction)
