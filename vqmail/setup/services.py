"""The service directories that svscan runs: VQHOME/service/NAME with run and log/run.

Each has an env/ directory (envdir): what a postmaster may want to change is a file there, not a line of a script.
Those that are DOWN at first come with a file `down`; to turn one on, remove that and say svc -u.
"""

import os
import pathlib

from vqmail.setup import hier
from vqmail.setup.install import Ids
from vqmail.store import cdb

# what stands in env/ of a new installation; a file that is there already stays
SETTINGS = {
    "smtpd": {"ADDRESS": "0", "PORT": "25", "LIMIT": "100", "SERVER": "vq-tcpserver"},
    "pop3d": {"ADDRESS": "0", "PORT": "110", "LIMIT": "100", "SERVER": "vq-tcpserver"},
    "submission": {"ADDRESS": "0", "PORT": "587", "LIMIT": "100", "SERVER": "vq-tcpserver", "SUBMISSION": "1"},
    "smtps": {"ADDRESS": "0", "PORT": "465", "LIMIT": "100", "SERVER": "vq-tcpserver", "SUBMISSION": "1"},
    "pop3s": {"ADDRESS": "0", "PORT": "995", "LIMIT": "100", "SERVER": "vq-tcpserver"},
    "send": {"DELIVERY": "./Maildir/"},
    "queue": {},
    "virtmailfilter": {},
    "admin": {},
    "auth": {},
    "tls": {},
}

# doors that a postmaster opens when he has a certificate
DOWN = ("submission", "smtps", "pop3s")

SMTP = """\
name=$(head -n 1 {{home}}/control/me)
rules=
[ -f {{home}}/control/tcp.smtp.cdb ] && rules="-x {{home}}/control/tcp.smtp.cdb"
exec $SERVER -v -R -H -l "$name" $rules -c "$LIMIT" -u "$(id -u qmaild)" -g "$(id -g qmaild)" "$ADDRESS" "$PORT" \\
    {0}{{home}}/bin/vq-smtpd
"""

POP3 = """\
name=$(head -n 1 {{home}}/control/me)
rules=
[ -f {{home}}/control/tcp.pop3.cdb ] && rules="-x {{home}}/control/tcp.pop3.cdb"
exec $SERVER -v -R -H -l "$name" $rules -c "$LIMIT" "$ADDRESS" "$PORT" \\
    {0}{{home}}/bin/vq-popup "$name" {{home}}/bin/vq-checkpassword {{home}}/bin/vq-pop3d Maildir
"""

IN_TLS = "{home}/bin/vq-tls "

RUN = {
    "smtpd": SMTP.format(""),
    "pop3d": POP3.format(""),
    "submission": SMTP.format(""),
    "smtps": SMTP.format(IN_TLS),
    "pop3s": POP3.format(IN_TLS),
    "send": """\
exec vq-start "$DELIVERY"
""",
    "queue": """\
exec vq-service queue
""",
    "virtmailfilter": """\
exec vq-service virtmailfilter
""",
    "admin": """\
exec vq-service admin
""",
    "auth": """\
exec vq-service auth
""",
    "tls": """\
exec vq-service tls
""",
}

# where the programs of daemontools and ucspi-tcp may be
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/command"

HEAD = """\
#!/bin/sh
# Made by vqmail's setup; change the files in env/ rather than this one.
exec 2>&1
PATH={home}/bin:{path}
export PATH
"""

LOG_RUN = """\
#!/bin/sh
PATH={path}
export PATH
exec setuidgid qmaill multilog t s1000000 n20 ./main
"""


TURN_ON = """\
# Off at first.  With a certificate in {home}/control/servercert.pem:
#     rm {home}/service/{name}/down; svc -u {home}/service/{name}
"""


def run_script(name: str, home: pathlib.Path) -> str:
    """The text of service/`name`/run: the settings come from env/, by a second start of the script under envdir."""
    again = '[ -n "$VQ_ENV" ] || exec env VQ_ENV=1 envdir ./env ./run\nunset VQ_ENV\n'
    turn_on = TURN_ON.format(home=home, name=name) if name in DOWN else ""
    return HEAD.format(home=home, path=PATH) + turn_on + again + RUN[name].format(home=home)


def files(home: pathlib.Path) -> "list[tuple[str, str, int]]":
    """(path, text, mode) of everything below service/ that setup writes and the check compares."""
    found = []
    for name in RUN:
        found += [(f"service/{name}/run", run_script(name, home), 0o755),
                  (f"service/{name}/log/run", LOG_RUN.format(path=PATH), 0o755)]
    return found


def directories() -> "list[tuple[str, int, str, str]]":
    """(path, mode, owner, group) of the directories below service/, parents first."""
    found = []
    for name in SETTINGS:
        found += [(f"service/{name}{below}", 0o755, hier.OWNER, hier.GROUP) for below in ("", "/env", "/log")]
        found.append((f"service/{name}/log/main", 0o755, hier.LOG, hier.NOFILES))
    return found


def is_down(home: pathlib.Path, name: str) -> bool:
    """Whether supervise leaves service/`name` alone until svc -u."""
    return (home / "service" / name / "down").exists()


def install(home: pathlib.Path, ids: Ids) -> None:
    """Make or renew the service directories; settings and logs that are there stay."""
    owner = ids.of(hier.OWNER, hier.GROUP)
    for name in DOWN:
        if not (home / "service" / name).exists():
            (home / "service" / name).mkdir()
            (home / "service" / name / "down").touch()
    for folder, mode, user, group in directories():
        (home / folder).mkdir(exist_ok=True)
        (home / folder).chmod(mode)
        os.chown(home / folder, *ids.of(user, group))
    for name, settings in SETTINGS.items():
        for setting, value in settings.items():
            path = home / "service" / name / "env" / setting
            if not path.exists():
                path.write_text(value + "\n")
                os.chown(path, *owner)
    rules = home / "control/tcp.smtp.cdb"
    if not rules.exists() and not (home / "control/tcp.smtp").exists():
        # no rule yet: so those that come later, by hand or by POP before SMTP, count without a restart
        cdb.make(os.fsencode(rules), [], 0o644, owner)
    for name, text, mode in files(home):
        fresh = home / (name + ".new")          # supervise may start the script while it is being written
        fresh.write_text(text)
        fresh.chmod(mode)
        os.chown(fresh, *owner)
        fresh.replace(home / name)
