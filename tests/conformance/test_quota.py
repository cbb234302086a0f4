"""A mailbox with a limit: at the door, at delivery, over POP3, and as Dovecot, Courier and maildrop count it."""

import concurrent.futures
import imaplib
import json
import os
import pathlib
import poplib
import pwd
import signal
import smtplib
import subprocess
import time
import typing

import pytest
import system as module

pytestmark = pytest.mark.root
DOMAIN = "domain1.test"
USERS = {"bob": "one two", "cat": "x", "count": "x", "defer": "x", "dove": "x", "cour": "x", "drop": "x", "race": "x",
         "crash": "x", "warn": "x", "none": "x", "pop": "x", "own": "x"}
COURIER = "/usr/local/lib/courier-imap/usr/bin/imapd"


class Site(module.System):
    """Two domains; in the second one what does not fit waits."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        self.add_domain(DOMAIN, USERS)
        self.add_domain("domain2.test", {"bob": "two"})
        self.options("bob:quota=10000", domain="domain2.test", settings="overquota=defer:warn=0")
        self.start_all()
        self.smtp = {warm: self._smtp(warm) for warm in (False, True)}

    def _smtp(self, warm: bool) -> int:
        port = self.start_smtp(warm)
        self.processes[f"smtp-{warm}"] = self.processes.pop("smtp")
        return port

    def options(self, *lines: str, domain: str = DOMAIN, settings: str = "") -> None:
        """Set the options of users, and of the domain."""
        path = self.virtual / domain / "etc/options"
        path.write_text("".join(f"{each}\n" for each in lines) + (f"@:{settings}\n" if settings else ""))
        done = self.run("vq-newu")
        assert done.returncode == 0, done.stderr

    def quota(self, user: str, quota: str) -> None:
        """Give `user` a quota, and leave the others without."""
        self.options(f"{user}:quota={quota}", settings="warn=0")

    def maildir(self, user: str, domain: str = DOMAIN) -> pathlib.Path:
        return self.virtual / domain / "home" / user / "Maildir"

    def size(self, user: str, domain: str = DOMAIN) -> "tuple[str, int, int]":
        """(quota, bytes, messages) by a hand-made reading of maildirsize."""
        first, *rest = (self.maildir(user, domain) / "maildirsize").read_text().splitlines()
        pairs = [tuple(map(int, each.split())) for each in rest]
        return first, sum(each for each, _ in pairs), sum(each for _, each in pairs)

    def really(self, user: str, domain: str = DOMAIN) -> "tuple[int, int]":
        """(bytes, messages) as the disk has it."""
        sizes = [each.stat().st_size for folder in ("new", "cur") for each in (self.maildir(user, domain) / folder).iterdir()]
        return sum(sizes), len(sizes)

    def fill(self, user: str, size: int, count: int = 1, domain: str = DOMAIN) -> None:
        """Put messages into the Maildir behind everybody's back."""
        maildir = self.maildir(user, domain)
        uid = self.domains[domain][user]
        for each in (maildir, maildir / "cur", maildir / "new", maildir / "tmp"):
            each.mkdir(exist_ok=True, mode=0o700)
            os.chown(each, uid, uid)
        for number in range(count):
            path = maildir / "new" / f"{1000000000 + number}.M{time.monotonic_ns()}P1.h,S={size}"
            path.write_bytes(b"Subject: x\n\n" + b"y" * (size - 13) + b"\n")
            os.chown(path, uid, uid)
        (maildir / "maildirsize").unlink(missing_ok=True)

    def send(self, recipient: str, size: int = 100, warm: bool = True, announce: bool = True) -> "tuple[int, bytes]":
        """The first refusal, or the answer to the message, by SMTP."""
        with smtplib.SMTP("127.0.0.1", self.smtp[warm], timeout=60) as client:
            client.ehlo("client.test")
            client.mail("a@far.test", [f"size={size}"] if announce else [])
            code, text = client.rcpt(recipient)
            if code != 250:
                return code, text
            return client.data(b"Subject: x\r\n\r\n" + b"x" * (size - 14 - 4) + b"\r\n")

    def deliver(self, user: str, size: int = 200, domain: str = DOMAIN) -> "subprocess.CompletedProcess[bytes]":
        """One delivery, as the domain's owner has it done."""
        env = {"EXT": user, "HOST": domain, "DTLINE": f"Delivered-To: {domain}-{user}@{domain}\n",
               "RPLINE": "Return-Path: <>\n"}
        return self.run("virtmailfilter", uid=self.owner(domain), env=env, cwd="/",
                        input=b"Subject: x\n\n" + b"x" * (size - 13) + b"\n")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Site]":
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_full_mailbox_is_refused_at_the_door_and_not_when_there_is_room_again(site: Site, warm: bool) -> None:
    site.quota("bob", "5000000S,1000C")
    site.fill("bob", 4_999_000)

    assert site.send("bob@domain1.test", 500, warm)[0] == 250
    module.wait_until(lambda: site.really("bob")[1] == 2, "the delivery")
    assert site.send("bob@domain1.test", 100_000, warm) == (552, b"5.2.2 sorry, that mailbox is full (#5.2.2)")
    # without SIZE it is let in at RCPT, and refused as soon as it is known how long it is
    assert site.send("bob@domain1.test", 100_000, warm, announce=False) == (
        552, b"5.2.2 sorry, that mailbox is full (#5.2.2)")
    assert site.really("bob")[1] == 2
    assert "refused recipient <bob@domain1.test>" in site.log()

    for each in (site.maildir("bob") / "new").glob("1000000000.*"):
        each.unlink()                           # by somebody who knows nothing of maildirsize
    os.utime(site.maildir("bob") / "maildirsize", (0, time.time() - 1000))
    assert site.send("bob@domain1.test", 100_000, warm)[0] == 250
    module.wait_until(lambda: site.really("bob")[1] == 2, "the delivery")
    assert site.size("bob")[1:] == site.really("bob")
    for each in (site.maildir("bob") / "new").iterdir():
        each.unlink()


def test_the_1001st_message_and_byte_5000001(site: Site) -> None:
    site.quota("count", "5000000S,1000C")
    site.fill("count", 100, 999)
    assert site.deliver("count").returncode == 0
    assert site.really("count")[1] == 1000

    done = site.deliver("count")
    assert (done.returncode, done.stdout) == (100, b"user is over quota (#5.2.2)\n")
    assert site.really("count")[1] == 1000
    assert site.send("count@domain1.test")[0] == 552

    site.quota("count", "5M")
    lines = len(b"Return-Path: <>\nDelivered-To: count@domain1.test\n")
    site.fill("count", 5 * 1024 * 1024 - site.really("count")[0] - 300 - lines)
    assert site.deliver("count", 301).returncode == 100
    assert site.deliver("count", 300).returncode == 0
    assert site.really("count")[0] == 5 * 1024 * 1024
    assert site.size("count") == ("5242880S", *site.really("count"))


def test_where_the_domain_wants_it_what_does_not_fit_waits(site: Site) -> None:
    site.fill("bob", 9_900, domain="domain2.test")

    assert site.send("bob@domain2.test", 500) == (452, b"4.2.2 sorry, that mailbox is full, try again later (#4.2.2)")
    done = site.deliver("bob", domain="domain2.test")
    assert (done.returncode, done.stdout) == (111, b"user is over quota (#4.2.2)\n")


def test_the_owner_of_the_domain_chooses_the_words(site: Site) -> None:
    site.quota("own", "300")
    path = site.virtual / DOMAIN / ".over-quota.msg"
    path.write_text("No room at the inn.\nCall +1 555 0100.\n")
    try:
        assert site.deliver("own", 400).stdout == b"No room at the inn. Call +1 555 0100. (#5.2.2)\n"
    finally:
        path.unlink()


def test_several_recipients_and_one_has_room(site: Site) -> None:
    site.options("cat:quota=100", "own:quota=1M")
    site.fill("cat", 50)
    with smtplib.SMTP("127.0.0.1", site.smtp[True], timeout=60) as client:
        client.ehlo("client.test")
        client.mail("a@far.test")
        assert client.rcpt("cat@domain1.test")[0] == 250        # nobody said how long it is
        assert client.rcpt("own@domain1.test")[0] == 250
        assert client.data(b"Subject: x\r\n\r\n" + b"x" * 500 + b"\r\n")[0] == 250
    module.wait_until(lambda: site.maildir("own").is_dir() and site.really("own")[1] == 1, "the delivery")
    assert site.really("cat")[1] == 1


def test_qmtp_says_it_too(site: Site) -> None:
    site.quota("cat", "100")
    site.fill("cat", 50)
    text = b"\nSubject: x\n\n" + b"x" * 100 + b"\n"
    wire = b"%d:%s,8:a@b.test,20:16:cat@domain1.test,," % (len(text), text)
    daemon = pwd.getpwnam("qmaild")
    done = site.run("vq-qmtpd", uid=daemon.pw_uid, gid=daemon.pw_gid, input=wire, env={"TCPREMOTEIP": "127.0.0.1"})

    assert done.stdout == b"37:Dsorry, that mailbox is full (#5.2.2),", done.stderr


def test_a_copy_that_a_qmail_file_keeps_counts(site: Site) -> None:
    site.options("own:quota=2000:dotqmail=forwards", settings="warn=0")
    for each in site.mailbox(DOMAIN, "own"):
        each.unlink()
    (site.maildir("own") / "maildirsize").unlink(missing_ok=True)
    path = site.maildir("own").parent / ".qmail"
    path.write_text("./Maildir/\n")
    os.chown(path, site.domains[DOMAIN]["own"], site.domains[DOMAIN]["own"])
    try:
        assert site.deliver("own", 1500).returncode == 0
        assert site.size("own") == ("2000S", *site.really("own"))
        assert site.deliver("own", 1500).returncode == 100
        assert site.send("own@domain1.test", 1500)[0] == 250    # for all that the door knows it goes elsewhere
    finally:
        path.unlink()


def test_without_the_service_the_door_lets_everything_in(site: Site) -> None:
    site.quota("cat", "100")
    site.fill("cat", 100)
    assert site.send("cat@domain1.test", warm=False)[0] == 552
    site.stop("virtmailfilter")
    try:
        assert site.send("cat@domain1.test", warm=False)[0] == 250
    finally:
        site.start_filter()


def test_a_service_that_hangs_does_not_hold_the_door(site: Site) -> None:
    site.quota("cat", "100")
    site.fill("cat", 100)
    process = site.processes["virtmailfilter"]
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        assert site.send("cat@domain1.test", warm=False)[0] == 250
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def test_nobody_else_is_told_how_full_a_mailbox_is(site: Site) -> None:
    site.quota("cat", "100")
    site.fill("cat", 100)
    ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); "
           "s.send(b'4\\0\\0fits\\0domain1.test\\0cat\\0001'); print(s.recv(1000).decode())")
    path = str(site.home / "run/virtmailfilter/socket")
    answers = [subprocess.run(["/usr/bin/python3", "-c", ask, path], capture_output=True, text=True, check=True, timeout=60,
                              **({"user": uid, "group": uid} if uid else {})).stdout.strip() for uid in (0, 45999)]

    assert answers == ["100", "111 uid 45999 may not ask how full mailboxes are"]


def test_a_warning_comes_once_a_day(site: Site) -> None:
    site.options("warn:quota=10000", settings="warn=80")
    site.fill("warn", 7_000)
    assert site.deliver("warn").returncode == 0
    assert site.really("warn")[1] == 2
    assert site.deliver("warn", 1000).returncode == 0
    assert site.deliver("warn").returncode == 0

    warnings = [each.read_text() for each in site.mailbox(DOMAIN, "warn") if "Auto-Submitted" in each.read_text()]
    assert len(warnings) == 1
    assert warnings[0].startswith("Return-Path: <>\nFrom: postmaster@domain1.test\nTo: warn@domain1.test\n"
                                  "Subject: Your mailbox is 82 per cent full\nDate: ")
    assert "Your mailbox warn@domain1.test is 82 per cent full.\n" in warnings[0]
    assert site.size("warn")[1:] == site.really("warn")

    # a day later, in the words of the owner
    path = site.virtual / DOMAIN / ".quotawarn.msg"
    path.write_text("From: The Boss <boss@domain1.test>\nSubject: Full\n\nClean up.\n")
    os.utime(site.maildir("warn") / "quotawarn", (0, time.time() - 86401))
    try:
        assert site.deliver("warn").returncode == 0
    finally:
        path.unlink()
    latest = [each.read_text() for each in site.mailbox(DOMAIN, "warn") if "The Boss" in each.read_text()]
    assert len(latest) == 1
    assert latest[0].endswith("\n\nClean up.\n")


def test_deliveries_at_the_same_time_never_go_over_it(site: Site) -> None:
    site.quota("race", "2000")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: site.deliver("race", 300).returncode, range(24)))

    assert set(done) == {0, 100}
    mail = [each for each in site.mailbox(DOMAIN, "race") if b"Auto-Submitted" not in each.read_bytes()]
    assert done.count(0) == len(mail)
    # those on their way when somebody counted may have been missed: eight at most
    assert 5 <= len(mail) <= 5 + 8
    assert site.size("race")[1:] == site.really("race")


def test_killed_in_the_middle_it_is_at_worst_a_wrong_number_that_is_counted_again(site: Site) -> None:
    site.quota("crash", "100000")
    site.fill("crash", 100)
    uid = site.domains[DOMAIN]["crash"]
    for step in ("linkat", "write", "fsync", "rename"):
        for when in (1, 2, 3):
            subprocess.run(["/usr/bin/strace", "-qq", "-o", "/dev/null", "-e", f"inject={step}:signal=KILL:when={when}",
                            site.bin("virtmaildelivery"), "crash", "/home/crash"], input=b"Subject: x\n\n" + b"x" * 200,
                           cwd=site.virtual / DOMAIN, env={"QUOTA": "100000", "RPLINE": "Return-Path: <>\n", "DTLINE": "D: x\n"},
                           user=uid, group=uid, extra_groups=[], capture_output=True, check=False, timeout=60)
    assert site.size("crash")[1] >= site.really("crash")[0]
    assert site.deliver("crash").returncode == 0

    done = site.run("vq-quota", "crash@domain1.test", "--recount", "--json")
    assert done.returncode == 0, done.stderr
    size, count = site.really("crash")
    assert json.loads(done.stdout) == {"name": "crash@domain1.test", "bytes": size, "messages": count,
                                       "quota": "100000S", "percent": size * 100 // 100_000}
    assert site.size("crash") == ("100000S", size, count)


def test_pop3_makes_room(site: Site) -> None:
    port = site.start_pop3()
    site.quota("pop", "2000")
    site.fill("pop", 900, 2)
    assert site.send("pop@domain1.test", 500)[0] == 552

    url = f"pop3://127.0.0.1:{port}/"
    got = subprocess.run(["/usr/bin/curl", "-sS", "-u", "pop@domain1.test:x", "-X", "DELE 1", "-I", url], check=False,
                         capture_output=True, timeout=60)
    assert got.returncode == 0, got.stderr
    assert site.really("pop")[1] == 1
    assert site.size("pop")[1:] == site.really("pop")
    assert site.send("pop@domain1.test", 500)[0] == 250
    module.wait_until(lambda: site.really("pop")[1] >= 2, "the delivery")


def test_vq_quota_shows_a_domain(site: Site) -> None:
    site.options("bob:quota=5M", "cat:quota=1000C", settings="quota=6M")
    (site.maildir("none") / "maildirsize").unlink(missing_ok=True)
    done = site.run("vq-quota", DOMAIN)
    lines = done.stdout.decode().splitlines()

    assert done.returncode == 0, done.stderr
    assert any(each.startswith("bob@domain1.test ") and each.split()[5] == "5242880S" for each in lines)
    assert any(each.startswith("none@domain1.test 0 bytes 0 messages NOQUOTA 0%") for each in lines)
    assert lines[-1].startswith("domain1.test ")
    assert lines[-1].endswith("(the quotas of the users are more than the domain's, or one has none: change one of them)")
    assert site.run("vq-quota", "nobody@domain1.test").returncode == 100
    assert not (site.maildir("none") / "maildirsize").exists()


def test_nobody_is_given_more_than_the_domain_has(site: Site) -> None:
    site.options("*:quota=100K", settings="quota=2M")

    def refused(*argv: str) -> bool:
        done = site.run(*argv)
        assert done.returncode in (0, 100), done.stderr
        assert (b"may have 2M together" in done.stderr) == (done.returncode == 100), done.stderr
        return done.returncode == 100

    assert refused("vq-user", "set", "cat@domain1.test", "quota=1M")
    assert not refused("vq-user", "set", "cat@domain1.test", "quota=500K")
    assert refused("vq-user", "set", "cat@domain1.test", "quota=NOQUOTA")
    assert refused("vq-user", "add", "big@domain1.test", "--no-password", "--quota=1M")
    assert refused("vq-domain", "set", DOMAIN, "--users", "quota=200K")
    assert not refused("vq-domain", "set", DOMAIN, "--users", "quota=50K")


# ---- others who keep maildirsize ----

@pytest.fixture(scope="module")
def dovecot(site: Site) -> "tuple[int, int]":
    """A Dovecot with our users, and the limits that it finds in maildirsize; its ports for IMAP and POP3."""
    port, pop3 = module.free_port(), module.free_port()
    base = site.path / "dovecot"
    base.mkdir(mode=0o755)
    driver = f"driver = checkpassword\n  args = {site.bin('vq-checkpassword')} -n"
    (base / "dovecot.conf").write_text(f"""\
protocols = imap pop3
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/run
instance_name = vqmail-test-quota
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
log_path = {site.path}/dovecot.log
mail_location = maildir:~/Maildir
first_valid_uid = 1000
mail_plugins = quota
service auth {{
  user = root
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = maildir:User quota
  quota_rule = Trash:ignore
}}
passdb {{
  {driver}
}}
userdb {{
  driver = prefetch
}}
userdb {{
  {driver}
}}
""")
    site.start("dovecot", "/usr/sbin/dovecot", "-F", "-c", str(base / "dovecot.conf"))
    module.wait_until(lambda: module._listening(port) and module._listening(pop3), "Dovecot")
    return port, pop3


def resources(answer: bytes) -> "dict[str, tuple[int, int]]":
    """Resource -> (used, allowed) of a QUOTA answer."""
    words = answer[answer.rindex(b"(") + 1:answer.rindex(b")")].decode().split()
    return {words[at]: (int(words[at + 1]), int(words[at + 2])) for at in range(0, len(words), 3)}


@pytest.mark.peers
def test_dovecot_agrees(site: Site, dovecot: "tuple[int, int]") -> None:
    site.quota("dove", "1000000S,50C")
    for _ in range(3):
        assert site.deliver("dove", 20_000).returncode == 0

    def dovecots(client: imaplib.IMAP4) -> "dict[str, tuple[int, int]]":
        return resources(client.getquotaroot("INBOX")[1][1][0])     # type: ignore[arg-type,index]

    client = imaplib.IMAP4("127.0.0.1", dovecot[0])
    client.login("dove@domain1.test", "x")
    size, count = site.really("dove")
    assert dovecots(client) == {"STORAGE": (-(-size // 1024), 977), "MESSAGE": (count, 50)}

    assert site.deliver("dove", 30_000).returncode == 0
    size, count = site.really("dove")
    assert (count, site.size("dove")) == (4, ("1000000S,50C", size, 4))
    assert dovecots(client) == {"STORAGE": (-(-size // 1024), 977), "MESSAGE": (4, 50)}

    client.select("INBOX")
    client.store("1:2", "+FLAGS", "\\Deleted")
    client.expunge()
    size, count = site.really("dove")
    assert (count, site.size("dove")) == (2, ("1000000S,50C", size, 2))
    client.append("INBOX", "", "", b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n")
    client.create("Sent")
    client.append("Sent", "", "", b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n")
    pop = poplib.POP3("127.0.0.1", dovecot[1], timeout=60)
    pop.user("dove@domain1.test")
    pop.pass_("x")
    pop.dele(1)
    pop.quit()
    assert site.size("dove")[2] == 3
    _recount_changes_nothing(site, "dove")

    client.create("Trash")
    client.copy("1:2", "Trash")
    assert site.size("dove")[2] == 3
    _recount_changes_nothing(site, "dove")

    # what is over for us is over for it
    site.quota("dove", "100000S")
    assert site.deliver("dove", 90_000).returncode == 100
    with pytest.raises(imaplib.IMAP4.error, match="Quota|quota"):
        _must(client.append("INBOX", "", "", b"Subject: x\r\n\r\n" + b"y\r\n" * 50_000))
    client.logout()


def _must(answer: "tuple[str, list[bytes]]") -> None:
    if answer[0] != "OK":
        raise imaplib.IMAP4.error(str(answer[1]))


class Courier(imaplib.IMAP4_stream):
    """Courier's imapd on the Maildir of a user, who has logged in."""

    def __init__(self, site: Site, user: str) -> None:
        uid = site.domains[DOMAIN][user]
        self._arguments = {"cwd": site.maildir(user).parent, "user": uid, "group": uid, "extra_groups": [],
                           "env": {"AUTHENTICATED": user, "HOME": str(site.maildir(user).parent), "PATH": "/usr/bin:/bin"}}
        super().__init__(f"{COURIER} Maildir")
        self.state = "AUTH"                     # it says PREAUTH, but complains first that nothing watches files for it

    def open(self, host: "str | None" = None, port: "int | None" = None, timeout: "float | None" = None) -> None:
        self.host, self.port, self.sock, self.file = None, None, None, None
        self.process = subprocess.Popen([COURIER, "Maildir"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=-1, **self._arguments)
        self.writefile, self.readfile = self.process.stdin, self.process.stdout

    def quota(self) -> "dict[str, tuple[int, int]]":
        # Courier calls itself IMAP4rev1, and answers GETQUOTAROOT whatever it says of its capabilities
        kind, answer = self._simple_command("GETQUOTAROOT", "INBOX")
        assert kind == "OK"
        return resources(self._untagged_response(kind, answer, "QUOTA")[1][0])


@pytest.mark.peers
def test_courier_agrees(site: Site) -> None:
    site.quota("cour", "1000000S,50C")
    for _ in range(3):
        assert site.deliver("cour", 20_000).returncode == 0
    client = Courier(site, "cour")
    size, count = site.really("cour")
    assert client.quota() == {"STORAGE": (-(-size // 1024), 977), "MESSAGE": (count, 50)}

    client.select("INBOX")
    client.store("1:2", "+FLAGS", "\\Deleted")
    client.expunge()
    size, count = site.really("cour")
    assert (count, site.size("cour")) == (1, ("1000000S,50C", size, 1))
    client.append("INBOX", "", "", b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n")
    assert site.size("cour")[2] == 2
    _recount_changes_nothing(site, "cour")

    # what is in the Trash does not count, nor what is about to be removed
    client.create("INBOX.Trash")
    client.copy("1:2", "INBOX.Trash")
    assert site.size("cour")[2] == 2
    _recount_changes_nothing(site, "cour")
    client.store("1", "+FLAGS", "\\Deleted")
    assert site.size("cour")[2] == 1
    _recount_changes_nothing(site, "cour")
    client.logout()


def _recount_changes_nothing(site: Site, user: str) -> None:
    before = site.size(user)
    done = site.run("vq-quota", f"{user}@domain1.test", "--recount", "--json")
    found = json.loads(done.stdout)
    assert (found["bytes"], found["messages"]) == before[1:]
    assert site.size(user) == before


@pytest.mark.peers
def test_maildrops_deliverquota_goes_on_where_we_stopped(site: Site) -> None:
    site.quota("drop", "2000S,50C")
    assert site.deliver("drop", 800).returncode == 0
    uid = site.domains[DOMAIN]["drop"]

    def drop(size: int) -> int:
        return subprocess.run(["/usr/sbin/deliverquota.maildrop", str(site.maildir("drop"))], user=uid, group=uid,
                              input=b"Subject: x\n\n" + b"x" * (size - 13) + b"\n", extra_groups=[], check=False,
                              capture_output=True, cwd="/", timeout=60).returncode

    assert drop(800) == 0
    assert site.size("drop") == ("2000S,50C", *site.really("drop"))
    assert drop(800) == 77                      # EX_NOPERM: over quota
    assert site.deliver("drop", 800).returncode == 100
    assert site.size("drop")[1:] == site.really("drop")
