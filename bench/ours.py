"""This project's own system below a directory: roles with a uid each, one domain, virtual users with a uid each."""

import os
import pathlib
import subprocess
import time

import peers

from vqmail.setup import hier, install

ROLE_UIDS = {name: 46900 + number for number, name in enumerate(hier.ROLES)}
OWNER = 46950                   # of the domain
GIDS = {hier.GROUP: 46900, hier.NOFILES: 46901}
CONCURRENCY = "20"              # deliveries at once, as Postfix has it


class Ids(install.Ids):
    """The roles under numbers that need no line in /etc/passwd."""

    def of(self, owner: str, group: str) -> "tuple[int, int]":
        return ROLE_UIDS.get(owner, 0), GIDS.get(group, 0)


class Warm:
    """Everything warm: vq-tcpserver's workers, local services, delivering processes kept per uid."""

    name = "warm"
    part = 1
    relay = 0                   # the port where mail for others goes
    server = "{home}/bin/vq-tcpserver"

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.port = peers.free_port()
        self.pop_port = peers.free_port()
        self.recipients = [f"{name}@{peers.DOMAIN}" for name, _ in peers.users()]
        self.maildirs: list[pathlib.Path] = []
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> "list[int]":
        return [each.pid for each in self.processes]

    def start(self) -> None:
        home, domain = self.folder / "home", self.folder / "virtual" / peers.DOMAIN
        (domain / "etc").mkdir(parents=True)
        install.install(home, Ids())
        self.maildirs = [peers.make_maildir(domain / "home" / name, uid) for name, uid in peers.users()]
        (domain / "etc/passwd").write_text("".join(
            f"{name}:{peers.HASH}:{uid}:{uid}::/home/{name}:\n" for name, uid in peers.users()))
        (domain / "etc/passwd").chmod(0o600)
        for path in (domain, domain / "etc", domain / "home", domain / "etc/passwd"):
            os.chown(path, OWNER, OWNER)
        (domain / ".qmail-default").write_text("| virtmailfilter\n")
        os.chown(domain / ".qmail-default", OWNER, OWNER)
        more = self.more(home, domain.parent)
        for name, text in (("me", "host.bench.test\n"), ("locals", ""), ("rcpthosts", f"{peers.DOMAIN}\n"),
                           ("virtualdomains", f"{peers.DOMAIN}:owner\n" + more.get("virtualdomains", "")), ("virtualroot", f"{domain.parent}\n"),
                           ("passwordscheme", "keep\n"), ("concurrencylocal", f"{CONCURRENCY}\n"), ("concurrencyremote", f"{CONCURRENCY}\n"),
                           ("smtproutes", f":127.0.0.1:{self.relay}\n" if self.relay else "")):
            (home / "control" / name).write_text(text)
        (home / "users/assign").write_text(f"+owner-:owner:{OWNER}:{OWNER}:{domain}:-::\n" + more.get("assign", "") + ".\n")
        subprocess.run([home / "bin/vq-newu"], check=True)
        for argv in self.commands(home):
            self._run(argv, home)
        peers.await_banner(self.port, b"220")
        peers.await_banner(self.pop_port, b"+OK")

    def more(self, home: pathlib.Path, virtual: pathlib.Path) -> "dict[str, str]":  # noqa: ARG002
        """More lines of virtualdomains and assign, for more domains below `virtual`."""
        return {}

    def commands(self, home: pathlib.Path) -> "list[list[str]]":
        """What a supervisor would run."""
        binaries = str(home / "bin") + "/"
        server = self.server.format(home=home)
        daemon, nofiles = str(ROLE_UIDS[hier.DAEMON]), str(GIDS[hier.NOFILES])
        options = ["-v", "-R", "-H", "-l", "0", "-c", "100"]    # as the service directories have it
        return [
            [binaries + "vq-service", "queue"],
            [binaries + "vq-service", "virtmailfilter"],
            [binaries + "vq-start", "./Maildir/"],
            [server, *options, "-u", daemon, "-g", nofiles, "127.0.0.1", str(self.port), binaries + "vq-smtpd"],
            [server, *options, "127.0.0.1", str(self.pop_port), binaries + "vq-popup", "host.bench.test",
             binaries + "vq-checkpassword", binaries + "vq-pop3d", "Maildir"],
        ]

    def _run(self, argv: "list[str]", home: pathlib.Path) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                env={"PATH": f"{home}/bin:/usr/local/bin:/usr/bin:/bin"} | ({"RELAYCLIENT": ""} if self.relay else {})))
        if "vq-service" in argv[0]:
            socket = home / "run" / argv[1] / "socket"
            end = time.monotonic() + 10
            while not socket.exists() and time.monotonic() < end:
                time.sleep(0.02)

    def stop(self) -> None:
        for process in reversed(self.processes):        # the doors first
            peers.stop(process)
        self.processes = []

    def log(self) -> str:
        """What to look at when something went wrong."""
        path = self.folder / "log"
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""


class Cold(Warm):
    """The same with the real tcpserver, which starts a vq-smtpd for each connection."""

    name = "cold"
    part = 4
    server = "/usr/bin/tcpserver"
