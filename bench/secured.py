"""TLS and logins end to end: STARTTLS, AUTH and one message beside Postfix, POP3S beside Dovecot, and what is idle."""

import json
import os
import pathlib
import ssl
import statistics
import subprocess
import sys
import time

import end_to_end
import load_tls
import measure
import ours
import peers
from certificates import Authority

LOAD = pathlib.Path(__file__).with_name("load_tls.py")
IDLE = 60                       # connections that are logged in and do nothing


class Dovecot(peers.Dovecot):
    """Dovecot as shipped with TLS for POP3S, and the socket that Postfix asks about logins."""

    name = "dovecot"

    def start(self) -> None:
        authority = Authority(self.folder.parent / "dovecot-ca")
        self.ca = authority.ca
        pem = self.folder.parent / "dovecot.pem"
        pem.write_bytes(authority.sign(load_tls.HOST))
        self.socket = self.folder.parent / "dovecot-auth"
        self.secure_port = peers.free_port()
        self.extra = f"""\
ssl = yes
ssl_cert = <{pem}
ssl_key = <{pem}
auth_mechanisms = plain login
service pop3-login {{
  inet_listener pop3s {{
    port = {self.secure_port}
    ssl = yes
  }}
}}
service auth {{
  unix_listener {self.socket} {{
    mode = 0666
  }}
}}
"""
        super().start()


class Postfix(peers.Postfix):
    """Postfix as shipped with STARTTLS, and Dovecot for its logins."""

    name = "postfix+dovecot"

    def __init__(self, folder: pathlib.Path, dovecot: Dovecot) -> None:
        super().__init__(folder)
        self.dovecot = dovecot
        self.ca = dovecot.ca
        self.secure_port = self.port
        self.extra = f"""\
smtpd_tls_cert_file = {folder.parent}/dovecot.pem
smtpd_tls_key_file = {folder.parent}/dovecot.pem
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot.socket}
smtpd_tls_auth_only = yes
"""

    @property
    def pids(self) -> "list[int]":
        return [*super().pids, *self.dovecot.pids]


class Warm(ours.Warm):
    """Ours with the TLS and the auth service, and a door for POP3S."""

    def commands(self, home: pathlib.Path) -> "list[list[str]]":
        authority = Authority(self.folder / "authority")
        self.ca = authority.ca
        certificate = home / "control/servercert.pem"
        certificate.write_bytes(authority.sign(load_tls.HOST))
        certificate.chmod(0o400)
        self.secure_port = peers.free_port()
        *rest, smtpd, pop3d = super().commands(home)
        port, program = pop3d.index(str(self.pop_port)), pop3d.index(str(home / "bin/vq-popup"))
        pop3s = [*pop3d[:port], str(self.secure_port), str(home / "bin/vq-tls"), *pop3d[program:]]
        services = [[str(home / "bin/vq-service"), each] for each in ("tls", "auth")]
        return [*rest, *services, pop3s, smtpd, pop3d]


def drive(kind: str, port: int, count: int, system: "Warm | Postfix | Dovecot", messages: int, size: int) -> "dict[str, float]":
    """Run the clients; what they say of themselves."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(LOAD.parent)!r}); import load_tls; load_tls.main(sys.argv[1:])",
               kind, str(port), str(count), "8", str(system.ca), peers.PASSWORD, str(messages), str(size), *system.recipients]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the clients of {system.name} failed: {done.stderr.strip()}\n{system.log()}")
    return dict(json.loads(done.stdout))


def report(folder: pathlib.Path, runs: int, count: int, messages: int, size: int) -> None:
    """All figures, as ratios to the last system of each table."""
    warm = Warm(folder / "warm")
    dovecot = Dovecot(folder / "dovecot")
    postfix: Postfix | None = None
    try:
        warm.start()
        dovecot.start()
        postfix = Postfix(folder / "postfix", dovecot)
        postfix.start()
        _table("SMTP sessions/s", "smtp", [(warm, warm.port, warm.pids), (postfix, postfix.port, postfix.pids)],
               runs, count, messages, size)
        for system in (warm, dovecot):
            for maildir in system.maildirs:
                end_to_end._fill(maildir, messages, size)
        _table("POP3S sessions/s", "pop3", [(warm, warm.secure_port, warm.pids), (dovecot, dovecot.secure_port, dovecot.pids)],
               runs, count, messages, size)
        idle = {system.name: _idle(system) for system in (warm, postfix)}
        last = idle[postfix.name]
        for name, value in idle.items():
            print(f"  {name:16} an idle SMTP connection over TLS, logged in: {value:7.0f} KiB, ratio {value / last:.2f}", flush=True)
    finally:
        for system in (postfix, dovecot, warm):
            if system is not None:
                system.stop()


def _table(title: str, kind: str, systems: "list[tuple[Warm | Postfix | Dovecot, int, list[int]]]", runs: int, count: int,
           messages: int, size: int) -> None:
    results: "dict[str, list[tuple[float, float]]]" = {system.name: [] for system, _, _ in systems}
    for turn in range(runs + 1):
        for system, port, pids in systems:
            number = count if turn else len(system.recipients)          # first everybody once, not counted
            before = measure.cpu(pids)
            said = drive(kind, port, number, system, messages, size)
            if kind == "smtp":
                measure.await_arrival(system.maildirs, number)
            cpu = (measure.quiet(pids) - before) / number * 1000
            if kind == "smtp":
                measure.empty(system.maildirs)
            if turn:
                results[system.name].append((number / (said["end"] - said["start"]), cpu))
    last = [statistics.median(column) for column in zip(*results[systems[-1][0].name], strict=True)]
    print(f"  {title:16}{'runs':>{7 * runs}}{'median':>9}{'ratio':>7}{'CPU ms/session':>16}{'ratio':>7}")
    for name, rows in results.items():
        rate, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"  {name:16}" + "".join(f"{row[0]:7.0f}" for row in rows)
              + f"{rate:9.0f}{rate / last[0]:7.2f}{cpu:16.2f}{cpu / last[1]:7.2f}", flush=True)


def _idle(system: "Warm | Postfix") -> float:
    """KiB that each of IDLE connections adds, all processes of the system together."""
    context = ssl.create_default_context(cafile=str(system.ca))
    before = _memory(system.pids)
    logins = [each.encode() for each in system.recipients]
    clients = [load_tls.log_in(system.port, context, logins[number % len(logins)], peers.PASSWORD.encode())
               for number in range(IDLE)]
    time.sleep(1)
    after = _memory(system.pids)
    for each in clients:
        each.socket.close()
    return (after - before) / IDLE


def _memory(pids: "list[int]") -> float:
    """KiB of the trees below `pids`, what is shared counted once."""
    total = 0.0
    for pid in measure.tree(pids):
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += float(text.split("\nPss:", 1)[1].split()[0])
    return total
