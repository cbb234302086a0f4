"""Debian's Postfix on a host of the little internet."""

import os
import pathlib
import shutil
import signal
import subprocess
import typing

import internet

FIRST_UID = 46001

MAIN = """\
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {path}/spool
data_directory = {path}/data
maillog_file = {path}/maillog
maillog_file_prefixes = {path}
myhostname = {name}
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
# what does not wait for a test: retries, and clients that come often
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
in_flow_delay = 0
smtpd_tls_security_level = may
smtpd_tls_chain_files = {key}, {certificate}
smtpd_tls_received_header = yes
smtp_tls_security_level = may
transport_maps = hash:{path}/config/transport
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {path}/mail
virtual_mailbox_maps = hash:{path}/config/boxes
virtual_uid_maps = hash:{path}/config/uids
virtual_gid_maps = hash:{path}/config/uids
"""


class Postfix:
    """Virtual users with Maildirs; `broken` is accepted at the door and bounces inside."""

    def __init__(self, path: pathlib.Path, namespace: internet.Namespace, domain: str, users: "typing.Iterable[str]",
                 certificate: "tuple[pathlib.Path, pathlib.Path]") -> None:
        self.path = path
        self.namespace = namespace
        self.domain = domain
        for each in (path, path / "config", path / "spool", path / "data", path / "mail"):
            each.mkdir()
            each.chmod(0o755)
        shutil.chown(path / "data", "postfix")
        self._config = str(path / "config")
        numbers = {user: FIRST_UID + number for number, user in enumerate([*users, "broken"])}
        for user, uid in numbers.items():
            for folder in (path / "mail" / user, path / "mail" / user / "Maildir"):
                folder.mkdir(mode=0o700)
                os.chown(folder, uid, uid)
        (path / "config/main.cf").write_text(MAIN.format(path=path, name=namespace.name, domain=domain, certificate=certificate[0],
                                                  key=certificate[1]))
        self._write_services()
        for table, text in (("boxes", "".join(f"{user}@{domain} {user}/Maildir/\n" for user in numbers)),
                            ("uids", "".join(f"{user}@{domain} {uid}\n" for user, uid in numbers.items())),
                            ("transport", f"broken@{domain} error:5.2.0 this mailbox is broken\n")):
            (path / "config" / table).write_text(text)
            subprocess.run(["postmap", "-c", self._config, f"{self._config}/{table}"], check=True, timeout=60)
        with (path / "start.log").open("wb") as log:
            subprocess.run(["postfix", "-c", self._config, "check"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
                           timeout=60)
            # A session of its own: master signals its whole process group when it ends.
            self._master = subprocess.Popen([*namespace.enter, "/usr/lib/postfix/sbin/master", "-c", self._config],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        namespace.wait_for_greeting("127.0.0.1")

    def _write_services(self) -> None:
        rows = []
        for line in pathlib.Path("/usr/share/postfix/master.cf.dist").read_text().splitlines():
            field = line.split()
            if len(field) > 7 and not line.startswith(("#", " ")) and field[7] not in ("pipe", "lmtp"):
                field[4] = "n"                  # no chroot: nothing to copy into the private queue directory
                rows.append(" ".join(field[:8]))
        (self.path / "config/master.cf").write_text("\n".join(rows) + "\n")

    def mail(self, user: str) -> "list[pathlib.Path]":
        """What is in new/ of a user."""
        new = self.path / "mail" / user / "Maildir/new"
        return sorted(new.iterdir()) if new.is_dir() else []

    def send(self, sender: str, recipients: "list[str]", message: bytes) -> None:
        """Queue a message, by SMTP from the same host."""
        with self.namespace.smtp("127.0.0.1") as client:
            client.sendmail(sender, recipients, message.replace(b"\n", b"\r\n"))

    def retry(self) -> None:
        """Everything that waits is tried now."""
        subprocess.run([*self.namespace.enter, "postqueue", "-c", self._config, "-f"], check=True, timeout=60)

    def queue_is_empty(self) -> bool:
        """Whether no message is in the queue."""
        return not any(each.is_file() for part in ("incoming", "active", "deferred", "maildrop")
                       for each in (self.path / "spool" / part).rglob("*"))

    def log(self) -> str:
        """All that was logged."""
        return (self.path / "maillog").read_text(errors="replace")

    def stop(self) -> None:
        self._master.terminate()
        try:
            self._master.wait(60)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._master.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._master.wait()
