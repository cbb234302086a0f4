"""Start a child with its descriptors in place, and wait for it."""

import _signal

from vqmail import codes
from vqmail.unix import calls, chain, fd, timed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from vqmail.unix.chain import Env

HIGHEST = 1 << 20               # above any descriptor there can be
DAY = 86400                     # what a stranger's program may take


def start(argv: "list[bytes]", env: "Env", descriptors: "dict[int, int]", directory: "bytes | None" = None,
          seconds: int = 0) -> int:
    """Fork; the child becomes argv.  `descriptors` maps the child's numbers to ours: {0: pipe, 1: log}.

    With `seconds` it is a stranger's program: it leads a session of its own, has no descriptor above 2 and those given,
    whatever we inherited, and an alarm ends it after that time.

    Every other descriptor of ours that is not inheritable (Python makes them so) is closed in it.
    Returns the child's pid.  OSError if there is no process to be had.
    """
    pid = calls.fork()
    if pid:
        return pid
    try:
        _place(descriptors)
        _signal.set_wakeup_fd(-1)
        if directory is not None:
            calls.chdir(directory)
        if seconds:
            calls.setsid()
            calls.closerange(max([2, *descriptors]) + 1, HIGHEST)
            _signal.alarm(seconds)
        chain.become(argv, env)
    finally:
        calls._exit(111)            # never back into the parent's loop
    return 0


def aside(work: "Callable[[], object]") -> None:
    """Do `work` in a process of its own that nobody waits for, and that holds nothing of ours but the log.

    OSError if there is no process to be had.  What `work` raises ends only that process.
    """
    pid = calls.fork()
    if pid:
        try:
            wait(pid)
        except ChildProcessError:               # whoever loops here waits for all
            pass
        return
    try:
        if calls.fork() == 0:                   # the grandchild: init waits for it, whoever we are
            _signal.set_wakeup_fd(-1)
            calls.setsid()                      # what ends the session does not end this
            calls.closerange(3, HIGHEST)
            for each in (0, 1):                 # a client would wait for the end of his connection
                calls.close(each)
            work()
    finally:
        calls._exit(0)


def run(argv: "list[bytes]", env: "Env", descriptors: "dict[int, int]", seconds: int) -> int:
    """Run a stranger's program as start() does and wait; the exit code, or minus the signal that killed it.

    One that its alarm ended takes its children with it.
    """
    pid = start(argv, env, descriptors, seconds=seconds)
    code = wait(pid)
    if code == -_signal.SIGALRM:
        _kill(-pid, _signal.SIGTERM)
    return code


def wait_within(pid: int, seconds: float) -> int:
    """The exit code of child `pid`, or minus the signal that killed it.  When it takes longer than `seconds`, or its
    alarm says so, it is killed, and all of its session.  For children of start() with `seconds`."""
    number = calls.pidfd_open(pid)
    try:
        timed.wait_for_input(number, seconds)
    except TimeoutError:
        for each in (-pid, pid):
            _kill(each, _signal.SIGKILL)
    finally:
        calls.close(number)
    code = wait(pid)
    if code == -_signal.SIGALRM:                # what it waited for itself would be there for ever
        _kill(-pid, _signal.SIGKILL)
    return code


def agrees(argv: "list[bytes]", env: "Env") -> bool:
    """Whether a stranger's program exits 0, which has our descriptor 0 from its beginning.

    TryLater if it says so (111), is killed, or there is no process to be had; any other code is a no.
    """
    fd.rewind(0)
    try:
        code = run(argv, env, {0: 0, 1: 1, 2: 2}, DAY)
    except OSError as error:
        raise codes.TryLater("fatal: unable to fork: %s" % error.strerror) from None
    if code < 0:
        raise codes.TryLater("fatal: child crashed: signal %d" % -code)
    if code == codes.TEMPORARY:
        raise codes.TryLater("fatal: temporary child error")
    return code == codes.OK


def wait(pid: int) -> int:
    """The exit code of child `pid`, or minus the signal that killed it."""
    _, status = calls.waitpid(pid, 0)
    return code_of(status)


def stop(pid: int) -> None:
    """End child `pid`, which may have ended already, and see that it is gone."""
    calls.kill(pid, _signal.SIGTERM)
    wait(pid)


def hang_up(pid: int) -> bool:
    """Send HUP to a process; False if it is gone."""
    try:
        calls.kill(pid, _signal.SIGHUP)
    except ProcessLookupError:
        return False
    return True


def _kill(pid: int, signal: int) -> None:
    try:
        calls.kill(pid, signal)
    except OSError:                             # none left, or none of ours
        pass


def code_of(status: int) -> int:
    """A wait status as an exit code, or minus a signal."""
    return -(status & 127) if status & 127 else status >> 8


def _place(descriptors: "dict[int, int]") -> None:
    """Put each descriptor at its number, however the numbers overlap."""
    highest = max([2, *descriptors, *descriptors.values()])
    copies = []
    for target, number in descriptors.items():
        copy = calls.dup(number)                # not inheritable
        while copy <= highest:                  # out of the way of every target
            copies.append(copy)
            copy = calls.dup(number)
        copies.append(copy)
        descriptors[target] = copy
    for target, number in descriptors.items():
        calls.dup2(number, target, inheritable=True)
    for number in copies:
        calls.close(number)


def ready(descriptor: int) -> int:
    """`descriptor` marked to be inherited; returns it."""
    fd.move(descriptor, descriptor)
    return descriptor
