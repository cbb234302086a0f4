"""The service directories of an installation, run by Debian's svscan."""

import os
import pathlib
import pwd
import signal
import socket
import subprocess

from system import free_port as lasting_port
from system import wait_until

SERVICES = ("smtpd", "pop3d", "send", "queue", "virtmailfilter", "admin", "auth", "tls")
DOORS = ("submission", "smtps", "pop3s")     # down until somebody opens them


class Supervised:
    """svscan on `home`/service, on ports of its own."""

    def __init__(self, home: pathlib.Path, server: str = "vq-tcpserver") -> None:
        self.home = home
        self.smtp, self.pop3 = lasting_port(), lasting_port()
        self.setting("smtpd", PORT=str(self.smtp), ADDRESS="127.0.0.1", SERVER=server)
        self.setting("pop3d", PORT=str(self.pop3), ADDRESS="127.0.0.1", SERVER=server)
        self.svscan: "subprocess.Popen[bytes] | None" = None

    def setting(self, service: str, **settings: str) -> None:
        """Write files of env/, as a postmaster would."""
        for name, value in settings.items():
            (self.home / "service" / service / "env" / name).write_text(value + "\n")

    def start(self) -> None:
        """Start svscan and wait until every service does its work."""
        self.svscan = subprocess.Popen(["svscan", "service"], cwd=self.home, stdin=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True,
                                       env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until all services answer or say that they are ready."""
        for name, port in (("smtpd", self.smtp), ("pop3d", self.pop3)):
            wait_until(lambda port=port: _answers(port), f"{name} on port {port}")
        wait_until(lambda: "status: local" in self.log("send"), "the first status line of send")
        for name in ("queue", "virtmailfilter", "admin", "auth", "tls"):
            wait_until(lambda name=name: self._is_ready(name), f"the readiness of {name}")

    def _is_ready(self, name: str) -> bool:
        """Whether the process that runs now has said so; the one before it, whose line is still in the log, counts not."""
        return f"vq-service: {name}: ready, pid {self.pid(name)}\n" in self.log(name)

    def svc(self, options: str, *names: str) -> None:
        """svc OPTIONS on the services."""
        subprocess.run(["svc", options, *(self.home / "service" / name for name in names)], check=True)

    def pid(self, name: str) -> int:
        """The process that supervise runs for a service; 0 when it is down."""
        status = (self.home / "service" / name / "supervise/status").read_bytes()
        return int.from_bytes(status[12:16], "little")

    def log(self, name: str) -> str:
        """What multilog wrote, in the files that were full before, too; "" while it exchanges them."""
        main = self.home / "service" / name / "log/main"
        try:
            return "".join(each.read_text(errors="replace") for each in (*sorted(main.glob("@*")), main / "current"))
        except FileNotFoundError:
            return ""

    def stop(self) -> None:
        """Stop svscan first, so that nothing is started anew, then the services, then their logs."""
        if self.svscan is None:
            return
        os.kill(self.svscan.pid, signal.SIGKILL)
        self.svscan.wait()
        there = [each.name for each in (self.home / "service").iterdir() if (each / "supervise/ok").exists()]
        self.svc("-dx", *there)
        self.svc("-dx", *(f"{name}/log" for name in there))
        try:
            wait_until(lambda: not members(self.svscan.pid), "the end of all services", 60)
        finally:
            try:
                os.killpg(self.svscan.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            return bool(connection.recv(100))
    except ConnectionError:
        return False


def processes() -> "list[tuple[int, int, int, list[str]]]":
    """(pid, parent, session, words of the command line) of every process."""
    found = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            try:
                words = pathlib.Path(f"/proc/{each}/cmdline").read_text(errors="replace").split("\0")[:-1]
                state = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if state[0] != "Z":
                found.append((int(each), int(state[1]), int(state[3]), words))
    return found


def members(session: int) -> "list[tuple[int, list[str]]]":
    """pid and command line of each process of a session."""
    return [(pid, words) for pid, _, its, words in processes() if its == session]


def identity(pid: int) -> "tuple[set[str], set[str], list[str]]":
    """The users, groups and further groups of a process, by name where there is one."""
    import grp
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    users = {_name(pwd.getpwuid, each) for each in status["Uid"].split()}
    groups = {_name(grp.getgrgid, each) for each in status["Gid"].split()}
    return users, groups, sorted(_name(grp.getgrgid, each) for each in status["Groups"].split())


def _name(look, number: str) -> str:
    try:
        return str(look(int(number))[0])
    except KeyError:
        return number
