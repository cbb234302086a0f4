"""The service directories that svscan runs: VQHOME/service/NAME with run and log/run.

Each has an env/ directory (envdir): what a postmaster may want to change is a file there, not a line of a script.
"""

import os
import pathlib

from vqmail.setup import hier
from vqmail.setup.install import Ids

# what stands in env/ of a new installation; a file that is there already stays
SETTINGS = {
    "smtpd": {"ADDRESS": "0", "PORT": "25", "LIMIT": "100", "SERVER": "vq-tcpserver"},
    "pop3d": {"ADDRESS": "0", "PORT": "110", "LIMIT": "100", "SERVER": "vq-tcpserver"},
    "send": {"DELIVERY": "./Maildir/"},
    "queue": {},
    "virtmailfilter": {},
    "admin": {},
}

RUN = {
    "smtpd": """\
name=$(head -n 1 {home}/control/me)
rules=
[ -f {home}/control/tcp.smtp.cdb ] && rules="-x {home}/control/tcp.smtp.cdb"
exec $SERVER -v -R -H -l "$name" $rules -c "$LIMIT" -u "$(id -u qmaild)" -g "$(id -g qmaild)" "$ADDRESS" "$PORT" \\
    {home}/bin/vq-smtpd
""",
    "pop3d": """\
name=$(head -n 1 {home}/control/me)
rules=
[ -f {home}/control/tcp.pop3.cdb ] && rules="-x {home}/control/tcp.pop3.cdb"
exec $SERVER -v -R -H -l "$name" $rules -c "$LIMIT" "$ADDRESS" "$PORT" \\
    {home}/bin/vq-popup "$name" {home}/bin/vq-checkpassword {home}/bin/vq-pop3d Maildir
""",
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


def run_script(name: str, home: pathlib.Path) -> str:
    """The text of service/`name`/run: the settings come from env/, by a second start of the script under envdir."""
    again = '[ -n "$VQ_ENV" ] || exec env VQ_ENV=1 envdir ./env ./run\nunset VQ_ENV\n'
    return HEAD.format(home=home, path=PATH) + again + RUN[name].format(home=home)


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


def install(home: pathlib.Path, ids: Ids) -> None:
    """Make or renew the service directories; settings and logs that are there stay."""
    owner = ids.of(hier.OWNER, hier.GROUP)
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
    for name, text, mode in files(home):
        fresh = home / (name + ".new")          # supervise may start the script while it is being written
        fresh.write_text(text)
        fresh.chmod(mode)
        os.chown(fresh, *owner)
        fresh.replace(home / name)
