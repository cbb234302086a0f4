"""Try vqmail without being root: two domains, a bob in each, mail in by SMTP and out by POP3.

usage: python -m vqmail.setup.demo [--stay]

Installs into instance/, under a single user, starts the services on free ports of the loopback address, sends a
message to each bob, reads both back, and says what happened.  Exits 0 only if all of it did.  --stay keeps it
running, to be tried by hand.
"""

import contextlib
import os
import pathlib
import poplib
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any

from vqmail.setup import install
from vqmail.store import passwords

DOMAINS = {"domain1.test": "blue-heron", "domain2.test": "red-kite"}
PATIENCE = 20
MESSAGE = "From: Ann <ann@far.test>\r\nTo: bob@{0}\r\nSubject: Hello, bob of {0}\r\n\r\nThis is for {0} only.\r\n"


class Failed(Exception):
    """Something that the demonstration is about did not happen."""


class Instance:
    """An installation of its own, and its processes."""

    def __init__(self, home: pathlib.Path, uid: int, gid: int) -> None:
        self.home = home
        self.uid, self.gid = uid, gid
        self.virtual = home / "virtual"
        self.log = home / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.smtp = self.pop3 = 0

    def make(self) -> None:
        """Install, and write what a postmaster would write."""
        shutil.rmtree(self.home, ignore_errors=True)
        install.install(self.home, install.Ids((self.uid, self.gid)))
        names = list(DOMAINS)
        self._write("control/me", "host.test\n")
        self._write("control/locals", "host.test\n")
        self._write("control/minuid", "1\n")
        self._write("control/virtualroot", f"{self.virtual}\n")
        self._write("control/rcpthosts", "".join(f"{each}\n" for each in names))
        self._write("control/virtualdomains", "".join(f"{each}:{each}\n" for each in names))
        self._write("users/assign", "".join(
            f"+{each}-:{each}:{self.uid}:{self.gid}:{self.virtual / each}:-::\n" for each in names) + ".\n")
        for domain, password in DOMAINS.items():
            stored = passwords.hashed(password.encode(), os.urandom(16)).decode()
            self._write(f"virtual/{domain}/.qmail-default", "| virtmailfilter\n")
            self._write(f"virtual/{domain}/etc/passwd",
                        f"bob:{stored}:{self.uid}:{self.gid}:Bob of {domain}:/home/bob:/bin/false\n")
            self._directory(f"virtual/{domain}/home/bob")
        self._run("vq-newu")

    def start(self) -> None:
        """Start the services and wait until they answer."""
        self._start("vq-start", "./Maildir/")
        self.smtp = self._serve("vq-smtpd")
        self.pop3 = self._serve("vq-popup", "host.test", str(self.home / "bin/vq-checkpassword"),
                                str(self.home / "bin/vq-pop3d"), "Maildir")

    def stop(self) -> None:
        """Stop what start() started."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait()

    def mail(self, domain: str) -> "list[pathlib.Path]":
        """The messages in bob's Maildir."""
        return sorted((self.virtual / domain / "home/bob/Maildir").glob("[nc][eu][wr]/*"))

    def _serve(self, program: str, *arguments: str) -> int:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        process = self._start("vq-tcpserver", "-v", "-R", "-H", "-l", "0", "127.0.0.1", str(port),
                              str(self.home / "bin" / program), *arguments)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                return port
            time.sleep(0.02)
        raise Failed(f"{program} does not answer on port {port}; see {self.log}")

    def _start(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            process = subprocess.Popen([self.home / "bin" / program, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env=self._env(), **self._who())
        self.processes.append(process)
        return process

    def _run(self, program: str) -> None:
        process = self._start(program)
        self.processes.remove(process)
        if process.wait(PATIENCE):
            raise Failed(f"{program} ended with {process.returncode}; see {self.log}")

    def _env(self) -> "dict[str, str]":
        return {"PATH": f"{self.home}/bin:/usr/bin:/bin"}

    def _who(self) -> "dict[str, Any]":
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def _directory(self, name: str) -> None:
        path = self.home
        for part in pathlib.PurePath(name).parts:
            path /= part
            if not path.exists():
                path.mkdir(mode=0o755)
                os.chown(path, self.uid, self.gid)

    def _write(self, name: str, text: str) -> None:
        self._directory(str(pathlib.PurePath(name).parent))
        (self.home / name).write_text(text)
        os.chown(self.home / name, self.uid, self.gid)


def show(instance: Instance) -> None:
    """Send, read, and say what happened.  Failed if anything did not."""
    took = [_send(instance, domain) for domain in DOMAINS]
    print(f"sent       a message to bob@{' and bob@'.join(DOMAINS)} by SMTP on port {instance.smtp}")
    for domain, password in DOMAINS.items():
        subjects = _read(instance, f"bob@{domain}", password)
        if subjects != [f"Subject: Hello, bob of {domain}"]:
            raise Failed(f"bob@{domain} should have his own message and no other, has {subjects}")
        print(f"read       bob@{domain} by POP3 on port {instance.pop3}: {subjects[0]!r} and nothing else")
    for domain in DOMAINS:                      # only now: what was read has moved from new/ to cur/
        for path in instance.mail(domain):
            print(f"delivered  {path}")
    _expect_wrong_password(instance)
    print("refused    the password of one bob for the other")
    print(f"refused    nobody@domain1.test at RCPT: {_expect_refusal(instance)}")
    print(f"took       {min(took) * 1000:.1f} ms from connecting to the file in new/")


def _send(instance: Instance, domain: str) -> float:
    """Send bob his message; the seconds until it was in his Maildir."""
    begin = time.monotonic()
    with smtplib.SMTP("127.0.0.1", instance.smtp, "client.test", timeout=PATIENCE) as client:
        client.sendmail("ann@far.test", [f"bob@{domain}"], MESSAGE.format(domain))
        deadline = begin + PATIENCE
        while not instance.mail(domain):
            if time.monotonic() > deadline:
                raise Failed(f"the message for bob@{domain} did not arrive; see {instance.log}")
            time.sleep(0.0005)
        return time.monotonic() - begin


def _read(instance: Instance, user: str, password: str) -> "list[str]":
    """The subjects of all messages of `user`."""
    client = poplib.POP3("127.0.0.1", instance.pop3, timeout=PATIENCE)
    client.user(user)
    client.pass_(password)
    subjects = [line.decode() for number in range(1, client.stat()[0] + 1) for line in client.retr(number)[1]
                if line.startswith(b"Subject:")]
    client.quit()
    return subjects


def _expect_wrong_password(instance: Instance) -> None:
    first, second = DOMAINS
    try:
        _read(instance, f"bob@{first}", DOMAINS[second])
    except poplib.error_proto:
        return
    raise Failed("one bob's password opens the other's mailbox")


def _expect_refusal(instance: Instance) -> str:
    with smtplib.SMTP("127.0.0.1", instance.smtp, "client.test", timeout=PATIENCE) as client:
        client.ehlo()
        client.mail("ann@far.test")
        code, text = client.rcpt("nobody@domain1.test")
    if code != 550:
        raise Failed(f"an unknown user was answered {code} {text!r}, not 550")
    return f"{code} {text.decode()}"


def _place() -> "tuple[pathlib.Path, int, int]":
    """Where the instance goes, and whose it is: ours, or nobody's when we are root."""
    here = pathlib.Path.cwd() / "instance"
    if os.geteuid() != 0:
        return here, os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    if not install.open_to_all(here.parent):
        here = pathlib.Path(tempfile.mkdtemp(prefix="vqmail-")) / "instance"
        here.parent.chmod(0o755)
        print(f"nobody may not enter {pathlib.Path.cwd()}; the instance is {here}")
    return here, nobody.pw_uid, nobody.pw_gid


def main(arguments: "list[str]") -> int:
    """Demonstrate; the exit code."""
    instance = Instance(*_place())
    for each in (signal.SIGTERM, signal.SIGINT):  # INT too: a shell that starts us in the background ignores it for us
        signal.signal(each, _interrupt)         # whatever ends us, what we started ends with us
    try:
        instance.make()
        instance.start()
        show(instance)
        print("log of the queue manager:")
        print("".join(f"    {line}\n" for line in instance.log.read_text(errors="replace").splitlines()
                      if line.startswith(("new msg", "info msg", "starting", "delivery", "end msg"))), end="")
        if "--stay" in arguments:
            _stay(instance)
    except (Failed, OSError, smtplib.SMTPException, poplib.error_proto) as why:
        print(f"FAILED     {why}", file=sys.stderr)
        with contextlib.suppress(OSError):
            print(instance.log.read_text(errors="replace")[-3000:], file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        instance.stop()
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _stay(instance: Instance) -> None:
    with contextlib.suppress(KeyboardInterrupt):            # to be stopped is how this ends well
        print(f"\nSMTP       127.0.0.1 port {instance.smtp}      POP3  127.0.0.1 port {instance.pop3}")
        for domain, password in DOMAINS.items():
            print(f"user       bob@{domain}   password {password}")
        print(f"edit       {instance.home}/control and users/assign, then {instance.home}/bin/vq-newu\n"
              f"log        tail -f {instance.log}\n"
              "stop       Ctrl-C", flush=True)
        instance.processes[0].wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
