"""What a process may use."""

import resource                 # here, and not where it is used: below another root (vq-virtuald -r) it is out of sight

from vqmail.unix import log


def raise_files() -> int:
    """Let this process have as many descriptors as the system allows it; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.line(b"vqmail", "cannot have more than %d descriptors: %s" % (soft, error))
    return soft


def clients(most: int, each: int, spare: int) -> int:
    """How many clients a service may have at once: `most`, or as many as there are descriptors for, when `each` of them
    needs so many and the service itself `spare`."""
    return max(1, min(most, (raise_files() - spare) // each))


def no_core() -> None:
    """Leave no image of this process, which knows secrets, if it crashes, nor of what it becomes or starts."""
    try:
        # where a program takes the images (core_pattern, a pipe) Linux does not heed 0, but it does 1, which is too
        # little for a file, too
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    except (OSError, ValueError):               # it was 0 before, and we are not root
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
