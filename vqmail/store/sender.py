"""The vq-send of this installation, if it runs: who it is, and telling it that settings changed."""

from vqmail import vqhome
from vqmail.unix import calls, child, fd

MUTEX = vqhome.path(b"queue/lock/sendmutex")
LOCKS = b"/proc/locks"
LIMIT = 1 << 26
NAMES = (b"vq-send", b"vq-start", b"qmail-send")        # vq-start's process becomes vq-send
TYPE_CHECKING = False
if TYPE_CHECKING:
    from posix import stat_result


def reload() -> bool:
    """Have vq-send read its control files again; False if it does not run here."""
    pid = find()
    return bool(pid) and child.hang_up(pid)


def find() -> int:
    """The process that holds the mutex of the queue, if it is a vq-send or a qmail-send; 0 if there is none."""
    try:
        mutex = calls.stat(MUTEX)
        locks = fd.read_file(LOCKS, LIMIT)
    except (OSError, ValueError):               # no queue here, or no /proc: then there is nobody to tell
        return 0
    for line in locks.split(b"\n"):
        words = line.split()
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF, the device being the file system's own, not always stat's
        if (len(words) == 8 and words[1] == b"FLOCK" and words[4].isdigit()
                and words[5].rpartition(b":")[2] == b"%d" % mutex.st_ino and _is_sender(int(words[4]), mutex)):
            return int(words[4])
    return 0


def _is_sender(pid: int, mutex: "stat_result") -> bool:
    """Whether a process is what it should be, and has the mutex open: numbers are used again, files' and processes'."""
    files = b"/proc/%d/fd" % pid
    try:
        words = fd.read_file(b"/proc/%d/cmdline" % pid, 1 << 20).split(b"\0")
        if not any(each.rpartition(b"/")[2] in NAMES for each in words):
            return False
        return any(_is_open(files + b"/" + each, mutex) for each in calls.listdir(files))
    except (OSError, ValueError):               # it is gone, or nothing of ours
        return False


def _is_open(path: bytes, mutex: "stat_result") -> bool:
    try:
        found = calls.stat(path)
    except OSError:                             # closed meanwhile
        return False
    return (found.st_dev, found.st_ino) == (mutex.st_dev, mutex.st_ino)
