"""An installation with real users, as root makes it, and its services running: what most conformance tests stand on."""

import fcntl
import itertools
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings

import certificates

from vqmail.setup import hier, install

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

FIRST_OWNER = 45100             # uid of the first domain's owner; each domain has a hundred numbers
PATIENCE = 100                  # seconds, for a machine that does ten things at once; who gets what he waits for waits no longer
WORKERS = 8                     # processes of pytest-xdist that may ask for ports at once


def worker() -> int:
    """The number of this process of pytest-xdist's."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


def make_role_users() -> None:
    """The users and groups of hier.ROLES, if they are not there; of two processes that want them one makes them."""
    if all(_is_user(each) for each in hier.ROLES):
        return
    with open(os.path.join(tempfile.gettempdir(), "vqmail-tests.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for group in (hier.GROUP, hier.NOFILES):
            subprocess.run(["groupadd", "-r", group], check=False, capture_output=True)
        for user, (group, _, _) in hier.ROLES.items():
            subprocess.run(["useradd", "-r", "-M", "-g", group, "-d", "/nonexistent", "-s", "/bin/false", user],
                           check=False, capture_output=True)


def _is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _own_ports() -> "list[int]":
    """Below those that Linux gives to whoever asks for any, and none of another process of pytest-xdist's."""
    ports = list(range(10_000 + worker() % WORKERS, 32_768, WORKERS))
    random.shuffle(ports)
    return ports


_PORTS = itertools.cycle(_own_ports())


def free_port() -> int:
    """A port on which nobody listens at any address, and that nobody is given by chance before, or after, it is used."""
    while True:
        port = next(_PORTS)
        try:
            socket.create_server(("0.0.0.0", port)).close()
        except OSError:
            continue
        return port


def let_through(path: pathlib.Path) -> None:
    """Pytest's directories are 0700: let other users reach `path`."""
    for parent in (path, *path.parents):
        if parent != pathlib.Path("/") and parent.stat().st_uid == 0:
            parent.chmod(parent.stat().st_mode | 0o755)


def wait_until(condition, what: str, seconds: float = PATIENCE):
    """Ask again and again until `condition` is true; its value.  Fails with `what` otherwise.

    A file, a process or a connection that has gone while it was asked about is asked about again.
    """
    deadline = time.monotonic() + seconds
    while True:
        trouble = None
        try:
            if value := condition():
                return value
        except OSError as error:
            trouble = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s") from trouble
        time.sleep(0.01)


def children(pid: int) -> "list[int]":
    """The processes that `pid` started and that are there; none if it has ended meanwhile."""
    try:
        return [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def runs(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def unmount(path: pathlib.Path) -> None:
    """Unmount what is mounted on `path`, as soon as the last process that was killed has let go of it."""
    wait_until(lambda: subprocess.run(["umount", path], check=False, capture_output=True).returncode == 0,
               f"umount {path}")


def _refuses(path: pathlib.Path) -> bool:
    """Whether nobody listens at a local socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
    return False


class System:
    """An installation in `path`/home, its domains below `path`/virtual.

    `name` is its host's, and `prefix` the beginning of the command lines of all its services: what takes them into
    a namespace.
    """

    def __init__(self, path: pathlib.Path, passwords: str = "secret", name: str = "host.test",
                 prefix: "tuple[str, ...]" = ()) -> None:
        let_through(path)
        make_role_users()
        self.path = path
        self.name = name
        self.prefix = prefix
        self.home = path / "home"
        self.virtual = path / "virtual"
        self.virtual.mkdir()
        self.domains: dict[str, dict[str, int]] = {}
        self.processes: dict[str, subprocess.Popen] = {}
        self.log_path = path / "log"
        self.log_path.touch()
        install.install(self.home, install.Ids())
        self.control("me", f"{name}\n")
        self.control("loginlimits", "failures 0\n")     # who tests wrong passwords does not wait for it
        self.control("locals", f"{name}\n")
        self.control("virtualroot", f"{self.virtual}\n")
        self.control("rcpthosts", f"{name}\n")
        self.alias("postmaster", "./Mailbox\n")

    # what a postmaster edits

    def control(self, name: str, text: "str | bytes") -> None:
        """Write control/`name`."""
        (self.home / "control" / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def alias(self, name: str, text: str) -> None:
        """Write alias/.qmail-`name`."""
        path = self.home / "alias" / f".qmail-{name}"
        path.write_text(text)
        alias = pwd.getpwnam(hier.ALIAS)
        os.chown(path, alias.pw_uid, alias.pw_gid)

    def owner(self, domain: str) -> int:
        """uid and gid of the owner of `domain`."""
        return FIRST_OWNER + 100 * list(self.domains).index(domain)

    def add_domain(self, domain: str, users: "dict[str, str]", default: str = "| virtmailfilter\n") -> None:
        """A domain with an owner of its own and virtual users, each with a uid of its own; user -> password."""
        self.domains[domain] = {}
        owner = self.owner(domain)
        directory = self.virtual / domain
        for folder in (directory, directory / "etc", directory / "home"):
            folder.mkdir()
            folder.chmod(0o755)
            os.chown(folder, owner, owner)
        self.dotqmail(domain, "default", default)
        lines = []
        for number, (user, password) in enumerate(users.items()):
            uid = owner + 1 + number
            self.domains[domain][user] = uid
            lines.append(f"{user}:{crypt.crypt(password, '$6$rounds=1000$salt')}:{uid}:{uid}::/home/{user}:/bin/false\n")
            (directory / "home" / user).mkdir()
            (directory / "home" / user).chmod(0o700)
            os.chown(directory / "home" / user, uid, uid)
        (directory / "etc/passwd").write_text("".join(lines))
        (directory / "etc/passwd").chmod(0o640)
        self._write_tables()

    def dotqmail(self, domain: str, name: str, text: str) -> pathlib.Path:
        """The owner of `domain` writes .qmail-`name`."""
        path = self.virtual / domain / f".qmail-{name}"
        path.write_text(text)
        os.chown(path, self.owner(domain), self.owner(domain))
        return path

    def _write_tables(self) -> None:
        names = list(self.domains)
        self.control("virtualdomains", "".join(f"{each}:{each}\n" for each in names))
        self.control("rcpthosts", f"{self.name}\n" + "".join(f"{each}\n" for each in names))
        (self.home / "users/assign").write_text("".join(
            f"+{each}-:{each}:{self.owner(each)}:{self.owner(each)}:{self.virtual / each}:-::\n" for each in names) + ".\n")
        done = self.run("vq-newu")

        assert done.returncode == 0, done.stderr
        if "send" in self.processes:
            self.processes["send"].send_signal(signal.SIGHUP)

    # programs

    def bin(self, name: str) -> str:
        """The path of a program."""
        return str(self.home / "bin" / name)

    def env(self) -> "dict[str, str]":
        return {"PATH": f"{self.home}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def run(self, *argv: str, uid: int = 0, gid: "int | None" = None, **options) -> "subprocess.CompletedProcess[bytes]":
        """Run one of our programs to its end, as `uid`."""
        who = {"user": uid, "group": uid if gid is None else gid, "extra_groups": []} if uid else {}
        options.setdefault("timeout", 120)
        options["env"] = self.env() | options.get("env", {})
        return subprocess.run([self.bin(argv[0]), *argv[1:]], capture_output="stdout" not in options, check=False,
                              **who, **options)

    def start(self, name: str, *argv: str, env: "dict[str, str] | None" = None) -> subprocess.Popen:
        """Start a program that stays, its log in `log_path`."""
        with self.log_path.open("ab") as log:
            process = subprocess.Popen([*self.prefix, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self.env() | (env or {}), start_new_session=True)
        self.processes[name] = process
        return process

    def start_queue(self) -> None:
        self._start_service("queue")

    def start_filter(self) -> None:
        self._start_service("virtmailfilter")

    def certify(self, *names: str) -> pathlib.Path:
        """Make control/servercert.pem for `names`; returns the file that clients believe."""
        authority = certificates.Authority(self.path / "authority")
        target = self.home / "control/servercert.pem"
        target.write_bytes(authority.sign(*names))
        target.chmod(0o400)
        return authority.ca

    def maildir(self, domain: str, user: str) -> pathlib.Path:
        """The user's Maildir, made if it is not there."""
        uid = self.domains[domain][user]
        box = self.virtual / domain / "home" / user / "Maildir"
        for each in (box, box / "new", box / "cur", box / "tmp"):
            if not each.exists():
                each.mkdir(0o700)
                os.chown(each, uid, uid)
        return box

    def start_tls(self) -> None:
        self._start_service("tls")

    def start_admin(self) -> None:
        self._start_service("admin")

    def start_auth(self) -> None:
        self._start_service("auth")

    def _start_service(self, name: str) -> None:
        ready = f"vq-service: {name}: ready"
        seen = self.log().count(ready)
        self.start(name, self.bin("vq-service"), name)
        wait_until(lambda: self.log().count(ready) > seen, f"the {name} service")

    def start_send(self) -> None:
        seen = self.log().count("status: local")
        self.start("send", self.bin("vq-start"), "./Maildir/")
        wait_until(lambda: self.log().count("status: local") > seen, "vq-send")

    def start_all(self) -> None:
        """Everything but the network's doors."""
        self.start_queue()
        self.start_filter()
        self.start_send()

    def start_smtp(self, warm: bool = True, env: "dict[str, str] | None" = None, *program: str) -> int:
        """vq-smtpd under vq-tcpserver (warm) or Debian's tcpserver (cold); its port."""
        daemon = pwd.getpwnam(hier.DAEMON)
        return self.serve("smtp", warm, ["-u", str(daemon.pw_uid), "-g", str(daemon.pw_gid)],
                          list(program) or [self.bin("vq-smtpd")], env)

    def start_pop3(self, warm: bool = True, env: "dict[str, str] | None" = None) -> int:
        """vq-popup, vq-checkpassword, vq-pop3d under vq-tcpserver (warm) or Debian's tcpserver (cold); its port."""
        return self.serve("pop3", warm, [], [self.bin("vq-popup"), "host.test", self.bin("vq-checkpassword"),
                                             self.bin("vq-pop3d"), "Maildir"], env)

    def serve(self, name: str, warm: bool, options: "list[str]", program: "list[str]",
              env: "dict[str, str] | None" = None, address: str = "127.0.0.1") -> int:
        """A program under a tcpserver; its port."""
        port = free_port()
        server = self.bin("vq-tcpserver") if warm else "/usr/bin/tcpserver"
        self.start(name, server, "-v", "-R", "-H", "-l", "0", "-c", "100", *options, address, str(port), *program,
                   env=env)
        wait_until(lambda: _listening(port), f"{name} on port {port}")
        return port

    def stop(self, *names: str) -> None:
        """Stop services, all of them if none is named, and what they started."""
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            if self.prefix:                     # strace ends when all whom it follows have ended
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            path = self.home / "run" / name / "socket"
            if path.exists():                   # its processes end a moment after the first of them
                wait_until(lambda path=path: _refuses(path), f"the end of {name}")

    def kill(self, name: str) -> None:
        """kill -9 a service and all of its processes."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    # what came of it

    def log(self) -> str:
        """All that was logged."""
        return self.log_path.read_text(errors="replace")

    def mailbox(self, domain: str, user: str) -> "list[pathlib.Path]":
        """The files in new/ of a virtual user."""
        new = self.virtual / domain / "home" / user / "Maildir/new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def wait_for_mail(self, domain: str, user: str, count: int = 1) -> "list[pathlib.Path]":
        """The files in new/, as soon as there are `count`."""
        wait_until(lambda: len(self.mailbox(domain, user)) >= count, f"message {count} for {user}@{domain}")
        return self.mailbox(domain, user)

    def queue_is_empty(self) -> bool:
        """Whether no message is in the queue."""
        return not any(each.is_file() for part in ("mess", "todo", "intd", "info", "local", "remote", "bounce")
                       for each in (self.home / "queue" / part).rglob("*"))

    def nothing_waits(self) -> bool:
        """Whether nobody waits for mail in the queue; after a kill -9 the text of what was delivered may be there still."""
        return not any(each.is_file() for part in ("todo", "info", "local", "remote", "bounce")
                       for each in (self.home / "queue" / part).rglob("*"))

    def inject(self, sender: str, recipients: "list[str]", message: bytes, uid: int = 0) -> int:
        """Give vq-queue a message; its exit code."""
        out, into = os.pipe()
        os.write(into, b"F%s\0" % sender.encode() + b"".join(b"T%s\0" % each.encode() for each in recipients) + b"\0")
        os.close(into)
        try:
            return self.run("vq-queue", uid=uid, input=message, stdout=out, stderr=subprocess.PIPE).returncode
        finally:
            os.close(out)

    def remove(self) -> None:
        """Stop everything and remove it."""
        self.stop()
        shutil.rmtree(self.path)


def _listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return False
    return True
