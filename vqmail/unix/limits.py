"""What a process may use."""

from vqmail.unix import log


def raise_files() -> int:
    """Let this process have as many descriptors as the system allows it; how many that are."""
    from resource import RLIMIT_NOFILE, getrlimit, setrlimit  # only long-lived servers need it

    soft, hard = getrlimit(RLIMIT_NOFILE)
    if soft < hard:
        try:
            setrlimit(RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError) as error:
            log.line(b"vqmail", "cannot have more than %d descriptors: %s" % (soft, error))
    return soft


def no_core() -> None:
    """Leave no image of this process, which knows secrets, if it crashes."""
    from resource import RLIMIT_CORE, setrlimit  # as above

    setrlimit(RLIMIT_CORE, (0, 0))
