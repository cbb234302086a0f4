"""The systems users would otherwise pick, each as an instance of its own that leaves the machine's as it is."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

DOMAIN = "bench.test"
USERS = 50
FIRST_UID = 46001
PASSWORD = "open sesame"
HASH = "$5$rounds=1000$bench$vTzORi/fq8.v/rK014uJo5jAiD047mq6YdF/2okry96"      # of PASSWORD: 0.4 ms to check, for all


def users() -> "list[tuple[str, int]]":
    """Name and uid of every virtual user; each has a uid of their own."""
    return [(f"user{number:02}", FIRST_UID + number) for number in range(USERS)]


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_banner(port: int, begin: bytes, seconds: float = 20.0) -> None:
    """Until a server on `port` greets."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                if probe.recv(512).startswith(begin):
                    probe.sendall(b"QUIT\r\n")
                    probe.recv(512)
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"no server on port {port} after {seconds:.0f} s")


def make_maildir(home: pathlib.Path, uid: int) -> pathlib.Path:
    """HOME/Maildir, all of it that uid's."""
    for path in (home, home / "Maildir", *(home / "Maildir" / part for part in ("tmp", "new", "cur"))):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(path, uid, uid)
    return home / "Maildir"


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server that leads its own session, and everything left in its process group."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Postfix:
    """Debian's Postfix below `folder`: virtual domain, Maildirs, a uid per user; everything else as shipped."""

    name = "postfix"
    extra = ""
    relay = 0                   # the port where mail for others goes
    pop_port = 0
    part = 1

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.recipients = [f"{name}@{DOMAIN}" for name, _ in users()]
        self.maildirs: list[pathlib.Path] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> "list[int]":
        return [each.pid for each in self.processes]

    def start(self) -> None:
        config, queue, data, mail = (self.folder / name for name in ("postfix", "spool", "data", "mail"))
        for path in (self.folder, config, queue, data, mail):
            path.mkdir(mode=0o755, exist_ok=True)
        shutil.chown(data, "postfix")
        self.maildirs = [make_maildir(mail / name, uid) for name, uid in users()]
        self._write_main(config, queue, data, mail)
        self._write_master(config)
        for table, value in (("boxes", "{name}/Maildir/"), ("uids", "{uid}")):
            (config / table).write_text("".join(
                f"{name}@{DOMAIN} {value.format(name=name, uid=uid)}\n" for name, uid in users()))
            subprocess.run(["postmap", "-c", str(config), str(config / table)], check=True)
        log = (self.folder / "start.log").open("wb")
        subprocess.run(["postfix", "-c", str(config), "check"], stdout=log, stderr=log, check=True)
        # A session of its own: master signals its whole process group when it ends.
        self.processes = [subprocess.Popen(["/usr/lib/postfix/sbin/master", "-c", str(config)], stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log, start_new_session=True)]
        log.close()
        await_banner(self.port, b"220")

    def _write_main(self, config: pathlib.Path, queue: pathlib.Path, data: pathlib.Path, mail: pathlib.Path) -> None:
        (config / "main.cf").write_text(f"""\
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {queue}
data_directory = {data}
maillog_file = {self.folder}/maillog
maillog_file_prefixes = {self.folder}
myhostname = host.bench.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
# What would make twenty sessions from one address wait for something other than mail.
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
{self.extra}virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {mail}
virtual_mailbox_maps = hash:{config}/boxes
virtual_uid_maps = hash:{config}/uids
virtual_gid_maps = hash:{config}/uids
relayhost = {f"[127.0.0.1]:{self.relay}" if self.relay else ""}
""")

    def _write_master(self, config: pathlib.Path) -> None:
        rows = []
        for line in pathlib.Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            field = line.split()
            if len(field) > 7 and not line.startswith(("#", " ")):
                if field[:2] == ["smtp", "inet"]:
                    field[0] = f"127.0.0.1:{self.port}"
                field[4] = "n"                  # no chroot: nothing to copy into the private queue directory
                if field[7] not in ("pipe", "lmtp"):
                    rows.append(" ".join(field[:8]))
        (config / "master.cf").write_text("\n".join(rows) + "\n")

    def stop(self) -> None:
        for process in self.processes:
            stop(process)
        self.processes = []

    def log(self) -> str:
        """What to look at when something went wrong."""
        return "".join(path.read_text(errors="replace")[-3000:]
                       for path in (self.folder / "start.log", self.folder / "maillog") if path.exists())


class PostfixFlow(Postfix):
    """The same without the pause that Postfix makes when mail comes in faster than it goes out."""

    name = "postfix-flow0"
    extra = "in_flow_delay = 0\n"


class Dovecot:
    """Debian's Dovecot below `folder`, POP3 only: the same users, Maildirs and hash; the rest as shipped."""

    name = "dovecot"
    part = 1
    extra = ""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.port = 0
        self.pop_port = free_port()
        self.recipients = [f"{name}@{DOMAIN}" for name, _ in users()]
        self.maildirs: list[pathlib.Path] = []
        self.pids: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(mode=0o755)
        self.maildirs = [make_maildir(self.folder / name, uid) for name, uid in users()]
        (self.folder / "users").write_text("".join(
            f"{name}@{DOMAIN}:{{CRYPT}}{HASH}:{uid}:{uid}::{self.folder}/{name}\n" for name, uid in users()))
        config = self.folder / "dovecot.conf"
        config.write_text(f"""\
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
mail_max_userip_connections = 0
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {self.folder}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self.folder}/users
}}
{self.extra}""")
        with (self.folder / "start.log").open("wb") as log:
            self._process = subprocess.Popen(["dovecot", "-F", "-c", str(config)], stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log, start_new_session=True)
        self.pids = [self._process.pid]
        await_banner(self.pop_port, b"+OK")

    def stop(self) -> None:
        if self._process is not None:
            stop(self._process)
            self._process = None

    def log(self) -> str:
        """What to look at when something went wrong."""
        return "".join(path.read_text(errors="replace")[-3000:]
                       for path in (self.folder / "start.log", self.folder / "log") if path.exists())


class DovecotTuned(Dovecot):
    """The same, tuned for a busy machine: long-lived login processes.  With a uid per user the rest cannot be."""

    name = "dovecot-tuned"
    extra = """\
service pop3-login {
  service_count = 0
  process_min_avail = 2
}
service pop3 {
  process_min_avail = 4
}
"""
