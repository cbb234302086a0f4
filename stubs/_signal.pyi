"""The C half of signal, without enum's cost: numbers are plain ints."""
from collections.abc import Callable
from types import FrameType
from typing import Any

SIG_DFL: int
SIG_IGN: int

def default_int_handler(signalnum: int, frame: FrameType | None, /) -> Any: ...
SIGALRM: int
SIGCHLD: int
SIGHUP: int
SIGINT: int
SIGKILL: int
SIGPIPE: int
SIGSTOP: int
SIGTERM: int
SIGXFSZ: int

def signal(signalnum: int, handler: Callable[[int, FrameType | None], Any] | int, /) -> Any: ...
def getsignal(signalnum: int, /) -> Any: ...
def alarm(seconds: int, /) -> int: ...
def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = True) -> int: ...
def siginterrupt(signalnum: int, flag: bool, /) -> None: ...
