"""Exit codes, each said in one place, and the two ways in which a program fails.

A parent that sees a code it does not know treats it as temporary: nothing is bounced because a
program crashed.  Success is exactly 0.
"""

OK = 0
PERMANENT = 100                 # usage, no such user: trying again will not help
TEMPORARY = 111                 # trouble of ours: try again later

# qmail-queue's codes, QMAIL interface 2.2
QUEUE_ADDRESS_TOO_LONG = 11
QUEUE_REFUSED = 31
QUEUE_NO_MEMORY = 51
QUEUE_TIMEOUT = 52
QUEUE_WRITE_ERROR = 53
QUEUE_READ_ERROR = 54
QUEUE_NO_CONFIGURATION = 55
QUEUE_NO_NETWORK = 56
QUEUE_NO_HOME = 61
QUEUE_NO_QUEUE = 62
QUEUE_NO_PID_FILE = 63
QUEUE_NO_MESS = 64
QUEUE_NO_INTD = 65
QUEUE_NO_TODO = 66
QUEUE_REFUSED_FOR_NOW = 71
QUEUE_CONNECT_TIMEOUT = 72
QUEUE_CONNECT_REFUSED = 73
QUEUE_CONNECTION_BROKE = 74
QUEUE_BUG = 81
QUEUE_CUSTOM = 82               # the text comes on descriptor 6
QUEUE_ENVELOPE_FORMAT = 91
QUEUE_CANNOT_EXEC = 120

# checkpassword's codes, QMAIL interface 16.2
PASSWORD_WRONG = 1
PASSWORD_MISUSED = 2
PASSWORD_NOBODY = 3             # asked without a password, as Dovecot does

# qmail-getpw's codes, QMAIL interface 7.4
GETPW_NO_HOME = 115             # a home that could not be looked at
GETPW_NO_ALIAS = 116
GETPW_NO_PASSWD = 118           # the passwd file could not be read

SESSION_BROKEN = 1              # vq-smtpd: the client did not say QUIT

# what the shell and execve's callers say when a program could not be started
EXEC_WOULD_NOT_START = 126
EXEC_NOT_FOUND = 127


class Failure(Exception):
    """A program cannot go on.  Its text is one line: what, where, and what to do about it."""

    code = TEMPORARY


class TryLater(Failure):
    """Trouble that may pass: exit 111."""


class GiveUp(Failure):
    """Trouble that will not pass: exit 100."""

    code = PERMANENT
