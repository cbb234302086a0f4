"""Every file and directory of an installation: path, mode, owner, group.  Setup makes them, the check proves them.

Owners are roles (QMAIL interface 1.1); in an installation under a single user they are all that user.
Programs and the library below lib/ are not listed one by one: they are root's, nobody else writes them.
"""

SPLIT = 23                      # queue/mess and its kin have this many parts, as qmail's
OWNER, ALIAS, DAEMON, LOG, PASSWD, QUEUE, REMOTE, SEND, TLS = (
    "root", "alias", "qmaild", "qmaill", "qmailp", "qmailq", "qmailr", "qmails", "vqtls")
GROUP, NOFILES = "qmail", "nofiles"

ROLES = {
    # user: (group, home below VQHOME, what it does)
    ALIAS: (NOFILES, "alias", "owns mail for local addresses that belong to nobody else"),
    DAEMON: (NOFILES, "", "vq-smtpd"),
    LOG: (NOFILES, "", "multilog"),
    PASSWD: (NOFILES, "", "vq-getpw"),
    QUEUE: (GROUP, "", "vq-queue, vq-clean"),
    REMOTE: (GROUP, "", "vq-rspawn, vq-remote"),
    SEND: (GROUP, "", "vq-send"),
    TLS: (NOFILES, "", "vq-service tls, where it talks to clients"),
}

DIRECTORIES = [
    # path, mode, owner, group
    ("", 0o755, OWNER, GROUP),
    ("alias", 0o2755, ALIAS, GROUP),
    ("bin", 0o755, OWNER, GROUP),
    ("control", 0o755, OWNER, GROUP),
    ("lib", 0o755, OWNER, GROUP),
    ("man", 0o755, OWNER, GROUP),
    ("man/man5", 0o755, OWNER, GROUP),
    ("man/man8", 0o755, OWNER, GROUP),
    ("users", 0o755, OWNER, GROUP),
    ("run", 0o755, OWNER, GROUP),
    ("run/queue", 0o755, OWNER, GROUP),
    ("run/log", 0o755, LOG, NOFILES),
    ("run/smtpd", 0o755, DAEMON, NOFILES),
    ("run/virtmailfilter", 0o755, OWNER, GROUP),
    ("run/admin", 0o755, OWNER, GROUP),
    ("run/auth", 0o755, OWNER, GROUP),
    ("run/tls", 0o755, OWNER, GROUP),           # root's: it makes the socket here, beside nobody else's files
    ("run/tls/worker", 0o755, TLS, NOFILES),
    ("service", 0o755, OWNER, GROUP),
    ("queue", 0o750, QUEUE, GROUP),
    ("queue/pid", 0o700, QUEUE, GROUP),
    ("queue/intd", 0o700, QUEUE, GROUP),
    ("queue/todo", 0o750, QUEUE, GROUP),
    ("queue/bounce", 0o700, SEND, GROUP),
    ("queue/mess", 0o750, QUEUE, GROUP),
    ("queue/info", 0o700, SEND, GROUP),
    ("queue/local", 0o700, SEND, GROUP),
    ("queue/remote", 0o700, SEND, GROUP),
    ("queue/lock", 0o750, QUEUE, GROUP),
    ("queue/lost", 0o700, SEND, GROUP),
    *((f"queue/{part}/{number}", mode, owner, GROUP)
      for part, mode, owner in (("mess", 0o750, QUEUE), ("info", 0o700, SEND),
                                ("local", 0o700, SEND), ("remote", 0o700, SEND))
      for number in range(SPLIT)),
]

FILES = [
    # path, mode, owner, group, size
    ("users/lock", 0o600, OWNER, GROUP, 0),
    ("queue/lock/sendmutex", 0o600, SEND, GROUP, 0),
    ("queue/lock/tcpto", 0o644, REMOTE, GROUP, 1024),
    ("queue/lock/tcpto6", 0o644, REMOTE, GROUP, 2048),
]

FIFOS = [
    # path, mode, owner, group
    ("queue/lock/trigger", 0o622, SEND, GROUP),
]
