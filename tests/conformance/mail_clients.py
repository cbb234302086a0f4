"""The programs that people read and send mail with: each does one errand for somebody.

    POP3[name](site, errand)        reads the first message of the mailbox: its text; b"" if it could not
    SMTP[name](site, errand)        sends MESSAGE: whether the server took it

A site has `ca`, `hosts` and client(); Here is one for the tests of a System.
"""

import base64
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import threading
import time
import typing
import urllib.parse

from clients_world import Site, run_there
from system import System
from vqmail.record import Record

SOURCES = pathlib.Path(__file__).parent / "clients"
BUILDING = threading.Lock()
TROUBLE = re.compile(rb"failed|AUTH\]|535")      # on mutt's screen
LETTER = b"From: a@far.test\nTo: ann@domain1.test\nSubject: hello\nMessage-ID: <%d@far.test>\n\n.dot\nlast %d\n"
MESSAGE = "From: {0}\nTo: {1}\nSubject: {2}\n\n{3}"
BODY = "hello\n..dots\nlast\n"


class Errand(Record):
    """Who does what: `how` is plain, starttls or tls; `folder` is empty, and his own.  The rest is for sending."""

    __slots__ = ("body", "folder", "host", "how", "password", "port", "recipient", "sender", "subject", "user")
    body: str
    folder: pathlib.Path
    how: str
    host: str
    port: int
    user: str
    password: str
    sender: str
    recipient: str
    subject: str

    def message(self) -> bytes:
        return MESSAGE.format(self.sender, self.recipient, self.subject, self.body).encode()

    def file(self, name: str, text: str) -> str:
        """A file of his, for nobody else to read."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def url(self, scheme: str) -> str:
        """scheme://HOST:PORT, with an s if it is TLS from the first byte."""
        return f"{scheme}{'s' * (self.how == 'tls')}://{self.host}:{self.port}"


class Here:
    """A machine that knows one name, which is ours, and whose clients believe the authority `ca`."""

    def __init__(self, folder: pathlib.Path, name: str, ca: object = "/dev/null") -> None:
        self.name = name
        self.ca = str(ca)
        self.hosts = folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {name}\n")

    def client(self, *argv: str, input: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
        return run_there(self.hosts, argv, input, env)

    def reading(self, how: str, port: int, user: str, password: str) -> Errand:
        """The errand of somebody who reads his mail."""
        return Errand(body="", folder=self.hosts.parent, how=how, host=self.name, port=port, user=user, password=password,
                      sender="", recipient="", subject="")


def put(system: System, domain: str, user: str, number: int) -> None:
    """LETTER with that number arrives."""
    path = system.maildir(domain, user) / "new" / f"{1700000000 + number}.x"
    path.write_bytes(LETTER % (number, number))
    os.chown(path, system.domains[domain][user], system.domains[domain][user])


def left(system: System, domain: str, user: str) -> "list[str]":
    """The names of the messages in a mailbox."""
    maildir = system.virtual / domain / "home" / user / "Maildir"
    return sorted(each.name for folder in ("new", "cur") for each in (maildir / folder).iterdir())


def own(protocol: str, command: "list[str]") -> "typing.Callable[[Site, Errand], bytes | bool]":
    """A client of ours on a library of others (clients/), which is started by `command`."""
    def run(site: Site, errand: Errand) -> "bytes | bool":
        envelope = [errand.sender, errand.recipient] if protocol == "smtp" else []
        done = site.client(*command, protocol, errand.how, errand.host, str(errand.port), errand.user, errand.password, site.ca,
                           *envelope, input=errand.message() if envelope else b"", NODE_PATH="/usr/share/nodejs")
        if envelope:
            return done.returncode == 0
        assert (done.returncode == 0) == bool(done.stdout), done
        return done.stdout
    return run


def go(protocol: str) -> "typing.Callable[[Site, Errand], bytes | bool]":
    def run(site: Site, errand: Errand) -> "bytes | bool":
        program = site.path / "mail-go"
        with BUILDING:
            if not program.exists():
                subprocess.run(["go", "build", "-o", program, SOURCES / "mail.go"], check=True, timeout=300, env={
                    "PATH": os.environ["PATH"], "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": str(site.path / "go"),
                    "HOME": str(site.path), "CGO_ENABLED": "0"})
        return own(protocol, [str(program)])(site, errand)
    return run


def curl_pop3(site: Site, errand: Errand, *options: str) -> bytes:
    return site.client("curl", "-sS", *(["--ssl-reqd"] if errand.how != "plain" else []), "--cacert", site.ca, *options,
                       errand.url("pop3") + "/1", "-u", f"{errand.user.replace(':', '%3A')}:{errand.password}").stdout


def curl_smtp(site: Site, errand: Errand, *options: str) -> bool:
    return site.client("curl", "-sS", "--ssl-reqd", "--cacert", site.ca, *options, errand.url("smtp") + "/laptop.test", "-u",
                       f"{errand.user}:{errand.password}", "--mail-from", errand.sender, "--mail-rcpt", errand.recipient,
                       "--crlf", "-T", "-", input=errand.message()).returncode == 0


def tls_settings(site: Site, errand: Errand) -> str:
    """For msmtp and mpop."""
    return "tls off\n" if errand.how == "plain" else (
        f"tls on\ntls_starttls {'on' if errand.how == 'starttls' else 'off'}\ntls_trust_file {site.ca}\n")


def mpop(site: Site, errand: Errand, auth: str = "user", more: str = "", *, keep: bool = True) -> bytes:
    """All messages; they stay, or do not."""
    box = errand.folder / "box"
    rc = errand.file("mpoprc", f'account a\nhost {errand.host}\nport {errand.port}\nuser {errand.user}\n'
                     f'password "{errand.password}"\nauth {auth}\n{tls_settings(site, errand)}{more}'
                     f'uidls_file {errand.folder}/uidls\nkeep {"on" if keep else "off"}\ndelivery mbox {box}\n')
    done = site.client("mpop", "-C", rc, "a", HOME=str(errand.folder))
    assert (done.returncode == 0) == box.exists(), done
    return box.read_bytes() if box.exists() else b""


def msmtp(site: Site, errand: Errand, auth: str = "on", more: str = "") -> bool:
    rc = errand.file("msmtprc", f'account a\nhost {errand.host}\nport {errand.port}\nuser {errand.user}\n'
                     f'password "{errand.password}"\nauth {auth}\n{tls_settings(site, errand)}{more}'
                     f'from {errand.sender}\ndomain laptop.test\n')
    return site.client("msmtp", "-C", rc, "-a", "a", errand.recipient, input=errand.message(),
                       HOME=str(errand.folder)).returncode == 0


def fetchmail(site: Site, errand: Errand, *, keep: bool = True) -> bytes:
    """As mpop."""
    box = errand.folder / "mbox"
    how = {"plain": "sslproto ''", "starttls": "sslproto 'TLS1.2+' sslcertck", "tls": "ssl sslcertck"}[errand.how]
    rc = errand.file("fetchmailrc", f"poll {errand.host} protocol pop3 port {errand.port} uidl\n"
                     f"  user '{errand.user}' password '{errand.password}' is root here {'keep' if keep else 'nokeep'} fetchall {how}\n"
                     f"  sslcertfile {site.ca} mda '/bin/sh -c \"cat >>{box}\"'\n")
    done = site.client("fetchmail", "--nosyslog", "--nodetach", "-f", rc, "--pidfile", f"{errand.folder}/pid", "--idfile",
                       f"{errand.folder}/ids", HOME=str(errand.folder), FETCHMAILHOME=str(errand.folder))
    assert (done.returncode == 0) == box.exists(), done
    return box.read_bytes() if box.exists() else b""


def getmail(site: Site, errand: Errand, *, keep: bool = True, times: int = 1) -> bytes:
    """As mpop, each message once, however often it runs.  As nobody: it delivers nothing as root."""
    errand.folder.chmod(0o755)
    kind = "SimplePOP3SSLRetriever" if errand.how == "tls" else "SimplePOP3Retriever"
    rc = errand.file("getmailrc", f"[retriever]\ntype = {kind}\nserver = {errand.host}\nport = {errand.port}\n"
                     f"username = {errand.user}\npassword = {errand.password}\n"
                     + (f"ca_certs = {site.ca}\n" if errand.how == "tls" else "")
                     + f"[destination]\ntype = Maildir\npath = {errand.folder}/box/\n"
                     f"[options]\nread_all = false\ndelete = {not keep}\ndelivered_to = false\nreceived = false\n")
    for each in ("box", "box/new", "box/cur", "box/tmp", "state"):
        (errand.folder / each).mkdir()
        shutil.chown(errand.folder / each, "nobody")
    shutil.chown(rc, "nobody")
    said = b""
    for _ in range(times):
        done = site.client("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "getmail", "--getmaildir",
                           f"{errand.folder}/state", "--rcfile", rc, HOME=f"{errand.folder}/state")
        said += done.stdout
    found = b"".join(each.read_bytes() for each in (errand.folder / "box/new").iterdir())
    assert bool(re.search(rb"[1-9]\d* messages \(", said)) == bool(found), done
    return found


def s_nail(site: Site, errand: Errand, *argv: str, input: bytes) -> "subprocess.CompletedProcess[bytes]":
    scheme = "smtp" if errand.subject else "pop3"
    user, password = (urllib.parse.quote(each, safe="") for each in (errand.user, errand.password))
    url = errand.url(scheme).replace("://", f"://{user}:{password}@")
    return site.client("s-nail", "-:/", "-Sv15-compat", "-Stls-verify=strict", f"-Stls-ca-file={site.ca}", "-Snosave",
                       *([f"-S{scheme}-use-starttls"] if errand.how == "starttls" else []),
                       "-Stls-ca-no-defaults", "-SDEAD=/dev/null", *(each.replace("URL", url) for each in argv), input=input,
                       HOME=str(errand.folder), TERM="dumb")


def s_nail_pop3(site: Site, errand: Errand) -> bytes:
    # -#: commands from descriptor 0
    done = s_nail(site, errand, "-#", "-R", "-Spop3-keepalive=0", "-f", "URL", input=b"set crt=0\nType 1\nxit\n")
    return done.stdout


def s_nail_smtp(site: Site, errand: Errand) -> bool:
    done = s_nail(site, errand, "-Smta=URL", "-Ssmtp-auth=plain", f"-Sfrom={errand.sender}", "-Shostname=laptop.test", "-s",
                  errand.subject, errand.recipient, input=errand.body.encode())
    return done.returncode == 0


def mutt(site: Site, errand: Errand, text: str, *argv: str, input: bytes = b"") -> "tuple[bytes, int]":
    """(What mutt wrote on its screen, its exit code).  It would stay there after an error: that is the end of it."""
    rc = errand.file("muttrc", f"""\
set folder={errand.folder}
set tmpdir={errand.folder}
set ssl_starttls={'yes' if errand.how == 'starttls' else 'no'}
set ssl_force_tls={'no' if errand.how == 'plain' else 'yes'}
set ssl_ca_certificates_file={site.ca}
set certificate_file={site.ca}
set copy=no
set sleep_time=0
{text}""")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(site.hosts), "mutt", "-n", "-F", rc, *argv],
        stdin=subprocess.PIPE if input else theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={"PATH": os.environ["PATH"], "TERM": "vt100", "HOME": str(errand.folder), "LC_ALL": "C"})
    os.close(theirs)
    if process.stdin:
        process.stdin.write(input)
        process.stdin.close()
    said, deadline = b"", time.monotonic() + 100
    try:
        while time.monotonic() < deadline and not TROUBLE.search(said):
            if select.select([ours], [], [], 0.05)[0]:
                piece = os.read(ours, 65536)
                if not piece:
                    break
                said += piece
            elif process.poll() is not None:
                break
    except OSError:                             # it has closed its end
        pass
    finally:
        if TROUBLE.search(said):
            process.kill()
        os.close(ours)
        process.wait(60)
    return said, process.returncode


def mutt_pop3(site: Site, errand: Errand, mechanism: str = "user", *, keep: bool = True) -> bytes:
    """The first message; it stays, or does not."""
    box = errand.folder / "saved"
    url = errand.url("pop")
    said, _ = mutt(site, errand, f"""\
set spoolfile={url}/
set pop_user="{errand.user}"
set pop_pass="{errand.password}"
set pop_authenticators={mechanism}
set pop_delete={'no' if keep else 'yes'}
set delete={'no' if keep else 'yes'}
set quit=yes
set confirmappend=no
set confirmcreate=no
set mbox_type=mbox
set sort=mailbox-order
push "<first-entry>{f'<copy-message>{box}<enter><exit>' if keep else f'<save-message>{box}<enter><quit>'}"
""", "-f", url + "/")
    found = box.read_bytes() if box.exists() else b""
    assert found or b"failed" in said or b"AUTH]" in said, said
    return found


def mutt_smtp(site: Site, errand: Errand, mechanism: str = "plain") -> bool:
    url = errand.url("smtp").replace("://", f"://{errand.user}@")
    _, code = mutt(site, errand, f"""\
set smtp_url="{url}/"
set smtp_pass="{errand.password}"
set smtp_authenticators={mechanism}
set from="{errand.sender}"
set use_envelope_from=yes
set hostname="laptop.test"
set spoolfile="{errand.folder}/none"
""", "-s", errand.subject, errand.recipient, input=errand.body.encode())
    return code == 0


def swaks(site: Site, errand: Errand, auth: str = "LOGIN", *options: str) -> bool:
    secure = {"plain": [], "starttls": ["--tls"], "tls": ["--tls-on-connect"]}[errand.how]
    if secure:
        secure += ["--tls-verify", "--tls-ca-path", site.ca, "--tls-sni", errand.host]
    login = ["--auth", auth, "--auth-user", errand.user, "--auth-password", errand.password] if errand.user else []
    return site.client("swaks", "--silent", "2", "--server", errand.host, "--port", str(errand.port), *secure, *login, *options,
                       "--helo", "laptop.test", "--from", errand.sender, "--to", errand.recipient, "--data", "-",
                       input=errand.message()).returncode == 0


def s_client(site: Site, errand: Errand, protocol: str, *dialogue: "tuple[bytes | None, str]") -> bytes:
    """openssl s_client, which says each command after the answer before it; what is said at last.  b"" if an answer is
    not the expected one; None is not waited for."""
    where = ["-starttls", protocol] if errand.how == "starttls" else []
    process = subprocess.Popen(
        ["openssl", "s_client", *where, "-connect", f"127.0.0.1:{errand.port}", "-quiet", "-nocommands", "-crlf", "-CAfile", site.ca,
         "-verify_return_error", "-verify_hostname", errand.host, "-servername", errand.host],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin and process.stdout
    try:
        for expected, command in dialogue:
            said = process.stdout.readline() if expected else b""
            while said[:1].isdigit() and said[3:4] == b"-":
                said = process.stdout.readline()
            if not said.startswith(expected or b""):
                return b""
            process.stdin.write(command.encode() + b"\n")
            process.stdin.flush()
        process.stdin.close()
        return process.stdout.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def openssl_pop3(site: Site, errand: Errand) -> bytes:
    return s_client(site, errand, "pop3", (None if errand.how == "starttls" else b"+OK", f"user {errand.user}"),
                    (b"+OK", f"pass {errand.password}"), (b"+OK", "retr 1"), (None, "quit"))


def openssl_smtp(site: Site, errand: Errand) -> bool:
    login = base64.b64encode(f"\0{errand.user}\0{errand.password}".encode()).decode()
    text = errand.message().decode().replace("\n.", "\n..")
    return b"221 " in s_client(
        site, errand, "smtp", (None if errand.how == "starttls" else b"220", "ehlo laptop.test"), (b"250", f"auth plain {login}"),
        (b"235", f"mail from:<{errand.sender}>"), (b"250", f"rcpt to:<{errand.recipient}>"), (b"250", "data"),
        (b"354", text + "."), (b"250", "quit"))


POP3 = {"curl": curl_pop3, "mpop": mpop, "fetchmail": fetchmail, "getmail": getmail, "mutt": mutt_pop3, "s-nail": s_nail_pop3,
        "openssl": openssl_pop3, "python": own("pop3", ["/usr/bin/python3", str(SOURCES / "mail.py")]),
        "perl": own("pop3", ["perl", str(SOURCES / "mail.pl")]), "go": go("pop3"),
        "node": own("pop3", ["node", str(SOURCES / "mail.js")])}
SMTP = {"curl": curl_smtp, "msmtp": msmtp, "mutt": mutt_smtp, "swaks": swaks, "s-nail": s_nail_smtp, "openssl": openssl_smtp,
        "python": own("smtp", ["/usr/bin/python3", str(SOURCES / "mail.py")]),
        "perl": own("smtp", ["perl", str(SOURCES / "mail.pl")]), "go": go("smtp"),
        "node": own("smtp", ["node", str(SOURCES / "mail.js")])}
CANNOT = {("getmail", "starttls"), ("openssl", "plain")}       # they have no such option
