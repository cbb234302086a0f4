"""Other people's filters and delivery agents in dot-qmail lines, through the whole running system."""

import os
import pathlib
import pwd
import re
import signal
import stat
import typing

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"
MESSAGE = b"From: Ann <ann@far.test>\nTo: x\nSubject: hi\n\nFrom here on\nthe end\n"
SPAM = b"From: Ann <ann@far.test>\nSubject: spam\n\n" + GTUBE
HEAD = (rb"Return-Path: <ann@far\.test>\nDelivered-To: domain1\.test-%s@domain1\.test\n"
        rb"Received: \(qmail [0-9]+ invoked by uid 0\); [^\n]+\n")
TRACE = re.compile(rb"Received: \(qmail [0-9]+ invoked by uid 0\); [^\n]+\n")


class Site:
    """domain1.test with an owner and a bob; names that begin with named- belong to nobody, who has a passwd entry."""

    def __init__(self, path: pathlib.Path) -> None:
        self.system = module.System(path)
        self.system.add_domain("domain1.test", {"bob": "one"})
        self.system.add_domain("domain2.test", {"bob": "two"})
        self.owner = self.system.virtual / "domain1.test"
        self.named = path / "named"
        self.nobody = pwd.getpwnam("nobody")
        self.uid = self.system.owner("domain1.test")
        self.named.mkdir(mode=0o755)
        os.chown(self.named, self.nobody.pw_uid, self.nobody.pw_gid)
        assign = self.system.home / "users/assign"
        assign.write_text(assign.read_text().removesuffix(".\n") + (
            f"+domain1.test-named-:nobody:{self.nobody.pw_uid}:{self.nobody.pw_gid}:{self.named}:-::\n.\n"))
        assert self.system.run("vq-newu").returncode == 0
        self._start()

    def _start(self) -> None:
        """dot-forward was built to find qmail-queue in one place: our services see vq-queue there, nobody else does."""
        programs = self.system.path / "programs"
        programs.mkdir(mode=0o755)
        (programs / "qmail-queue").symlink_to(self.system.bin("vq-queue"))
        self.system.start_queue()
        self.system.start_filter()
        self.system.start("send", "unshare", "-m", "sh", "-c", 'mount --bind "$0" /var/lib/qmail/bin && exec "$@"',
                          str(programs), self.system.bin("vq-start"), "./Maildir/")
        module.wait_until(lambda: "status: local" in self.system.log(), "vq-send")

    def write(self, name: str, text: str, named: bool = False) -> pathlib.Path:
        """The owner, or nobody, writes a file at home."""
        path = (self.named if named else self.owner) / name
        path.write_text(text)
        os.chown(path, *((self.nobody.pw_uid, self.nobody.pw_gid) if named else (self.uid, self.uid)))
        return path

    def maildir(self, name: str, named: bool = False) -> pathlib.Path:
        """Make a maildir; its new/."""
        path = (self.named if named else self.owner) / name
        for each in (path, path / "tmp", path / "new", path / "cur"):
            each.mkdir(mode=0o700)
            os.chown(each, *((self.nobody.pw_uid, self.nobody.pw_gid) if named else (self.uid, self.uid)))
        return path / "new"

    def send(self, recipient: str, message: bytes = MESSAGE, sender: str = "ann@far.test") -> str:
        """Send a message, wait for the delivery, and return what vq-send logged about it."""
        before = len(self.system.log())
        assert self.system.inject(sender, [f"{recipient}@domain1.test"], message) == 0
        outcome = str(module.wait_until(lambda: self.outcome(recipient, before), f"a delivery to {recipient}"))
        if outcome.startswith("success"):
            module.wait_until(self.system.queue_is_empty, "an empty queue")
        return outcome

    def outcome(self, recipient: str, before: int) -> str:
        """What the log says, from place `before` on, about the delivery to `recipient`; "" if there is none yet."""
        log = self.system.log()[before:]
        start = re.search(rf"^starting delivery (\d+): msg \d+ to local domain1\.test-{recipient}@", log, re.MULTILINE)
        end = start and re.search(rf"^delivery {start[1]}: (.*)$", log, re.MULTILINE)
        return end[1] if end else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Site]":
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.system.stop()


def only(directory: pathlib.Path) -> bytes:
    """The one message in a directory."""
    path, = directory.iterdir()
    return path.read_bytes()


def cleared(site: Site) -> None:
    """What waits for another try is thrown away."""
    site.write(".qmail-default", "#\n")
    for each in site.owner.glob(".qmail-*"):
        each.write_text("#\n")
    site.system.processes["send"].send_signal(signal.SIGALRM)
    module.wait_until(site.system.queue_is_empty, "an empty queue")
    site.write(".qmail-default", "| virtmailfilter\n")


# ---- plain sh ----

def test_sh_sees_the_environment_of_the_delivery(site: Site) -> None:
    names = ("SENDER", "NEWSENDER", "RECIPIENT", "USER", "HOME", "HOST", "HOST2", "HOST3", "HOST4", "LOCAL", "EXT", "EXT2",
             "EXT3", "EXT4", "DEFAULT", "RPLINE", "DTLINE", "UFLINE")
    site.write(".qmail-env-default", '|for each in %s; do eval "printf \'%%s=<%%s>\\n\' $each \\"\\$$each\\""; done >env; pwd >>env; id -u >>env; umask >>env\n'
               % " ".join(names))

    assert site.send("env-one-two-three") == "success: did_0+0+1/"
    text = (site.owner / "env").read_text()

    assert text == (
        "SENDER=<ann@far.test>\nNEWSENDER=<ann@far.test>\nRECIPIENT=<domain1.test-env-one-two-three@domain1.test>\n"
        f"USER=<domain1.test>\nHOME=<{site.owner}>\nHOST=<domain1.test>\nHOST2=<domain1>\nHOST3=<domain1>\nHOST4=<domain1>\n"
        "LOCAL=<domain1.test-env-one-two-three>\nEXT=<env-one-two-three>\nEXT2=<one-two-three>\nEXT3=<two-three>\n"
        "EXT4=<three>\nDEFAULT=<one-two-three>\nRPLINE=<Return-Path: <ann@far.test>\n>\n"
        "DTLINE=<Delivered-To: domain1.test-env-one-two-three@domain1.test\n>\n"
        f"UFLINE=<{re.search(r'UFLINE=<(.*)', text)[1]}\n>\n"
        f"{site.owner}\n{site.uid}\n0077\n")
    assert re.search(r"UFLINE=<From ann@far\.test \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\n>", text)


def test_a_hostile_sender_is_only_text_to_sh(site: Site) -> None:
    site.write(".qmail-hostile", '|printf %s "$SENDER" >sender\n')

    assert site.send("hostile", sender="$(touch pwned)`touch pwned`;touch${IFS}pwned@far.test") == "success: did_0+0+1/"
    assert (site.owner / "sender").read_text() == "$(touch pwned)`touch pwned`;touch${IFS}pwned@far.test"
    assert not (site.owner / "pwned").exists()


def test_sh_decides_whether_the_list_goes_on(site: Site) -> None:
    kept = site.maildir("kept")
    site.write(".qmail-choose", "|grep -q '^Subject: drop' && exit 99 || exit 0\n./kept/\n")

    assert site.send("choose", MESSAGE.replace(b"hi", b"drop")) == "success: did_0+0+1/"
    assert list(kept.iterdir()) == []
    assert site.send("choose") == "success: did_1+0+1/"
    assert re.fullmatch(HEAD % b"choose" + re.escape(MESSAGE), only(kept))


def test_sh_refuses_and_its_words_are_in_the_bounce(site: Site) -> None:
    bounced = site.maildir("bounced")
    site.write(".qmail-back", "./bounced/\n")
    site.write(".qmail-never", "|echo 'Not here. (#5.7.1)'; exit 100\n")

    assert site.send("never", sender="back@domain1.test") == "failure: Not_here._(#5.7.1)/"
    module.wait_until(lambda: list(bounced.iterdir()), "the bounce")
    text = only(bounced)

    assert text.startswith(b"Return-Path: <>\n")
    assert b"\n<domain1.test-never@domain1.test>:\nNot here. (#5.7.1)\n" in text or (
        b"\n<never@domain1.test>:\nNot here. (#5.7.1)\n" in text)


def test_a_program_that_is_not_there_defers(site: Site) -> None:
    site.write(".qmail-absent", "|no-such-program\n")

    try:
        assert site.send("absent").startswith("deferral: ")
    finally:
        cleared(site)


# ---- maildrop, procmail, safecat, reformail, formail ----

def test_maildrop_sorts(site: Site) -> None:
    ours, others = site.maildir("ours", named=True), site.maildir("others", named=True)
    site.write("filter", "if (/^Subject: hi/)\n  to ./ours\nto ./others\n", named=True).chmod(0o600)
    site.write(".qmail-drop", "|maildrop ./filter\n", named=True)

    assert site.send("named-drop") == "success: did_0+0+1/"
    assert site.send("named-drop", MESSAGE.replace(b"hi", b"bye")) == "success: did_0+0+1/"
    assert TRACE.sub(b"", only(ours)) == MESSAGE
    assert TRACE.sub(b"", only(others)) == MESSAGE.replace(b"hi", b"bye")
    assert next(ours.iterdir()).stat().st_uid == site.nobody.pw_uid


def test_maildrop_refuses_for_ever(site: Site) -> None:
    site.write("refuse", 'echo "No such luck. (#5.7.1)"\nEXITCODE=100\nexit\n', named=True).chmod(0o600)
    site.write(".qmail-refuse", "|maildrop ./refuse\n", named=True)

    assert site.send("named-refuse", sender="") == "failure: No_such_luck._(#5.7.1)/"
    module.wait_until(site.system.queue_is_empty, "an empty queue")


def test_maildrop_behind_reformail(site: Site) -> None:
    new = site.maildir("marked", named=True)
    site.write(".qmail-marked", "|reformail -A'X-Seen: yes' | safecat marked/tmp marked/new\n", named=True)

    assert re.fullmatch(r"success: .*did_0\+0\+1/", site.send("named-marked"))
    assert TRACE.sub(b"", only(new)) == MESSAGE.replace(b"Subject: hi\n", b"Subject: hi\nX-Seen: yes\n")


def test_procmail_with_our_lines_in_front(site: Site) -> None:
    new = site.maildir("procmail", named=True)
    site.write("rc", "DEFAULT=./Mailbox\nSHELL=/bin/sh\n:0\n* ^Subject: hi\n* ^Return-Path: <ann@far\\.test>\n./procmail/\n",
               named=True)
    site.write(".qmail-procmail", '|(printf %s "$RPLINE$DTLINE"; cat) | procmail -m ./rc || exit 111\n', named=True)

    assert site.send("named-procmail") == "success: did_0+0+1/"
    assert re.fullmatch(HEAD % b"named-procmail" + re.escape(MESSAGE), only(new))


def test_procmail_by_way_of_formail_into_an_mbox(site: Site) -> None:
    site.write(".qmail-formail", '|(printf %s "$UFLINE"; cat) | formail -i "X-Host: $HOST" >>Mailbox\n')

    assert site.send("formail") == "success: did_0+0+1/"
    text = (site.owner / "Mailbox").read_bytes()

    assert text.startswith(b"From ann@far.test ")
    assert b"\nX-Host: domain1.test\n\nFrom here on\n" in text.replace(b"\n>From", b"\nFrom")


def test_safecat(site: Site) -> None:
    new = site.maildir("safecat")
    site.write(".qmail-safecat", "|safecat safecat/tmp safecat/new\n")
    name = re.fullmatch(r"success: (.+)/did_0\+0\+1/", site.send("safecat"))[1]
    path, = new.iterdir()

    assert path.name == name
    assert TRACE.sub(b"", path.read_bytes()) == MESSAGE
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode) & 0o077) == (site.uid, 0)


# ---- dot-forward ----

def test_dot_forward_forwards_to_virtual_users(site: Site) -> None:
    site.write(".forward", "bob@domain1.test, bob@domain2.test\n")
    site.write(".qmail-forward", "|dot-forward .forward\n|touch went-on\n")

    assert site.send("forward").startswith("success: ")
    for domain in ("domain1.test", "domain2.test"):
        text = site.system.wait_for_mail(domain, "bob")[0].read_bytes()

        assert b"\nDelivered-To: domain1.test-forward@domain1.test\n" in text
        assert text.endswith(MESSAGE)
        for each in site.system.mailbox(domain, "bob"):
            each.unlink()
    assert not (site.owner / "went-on").exists()


def test_without_a_forward_file_the_list_goes_on(site: Site) -> None:
    new = site.maildir("went")
    site.write(".qmail-noforward", "|dot-forward .forward-no\n./went/\n")

    assert site.send("noforward") == "success: did_1+0+1/"
    assert TRACE.search(only(new))


def test_dot_forward_defers_while_the_queue_is_down(site: Site) -> None:
    site.write(".forward-down", "bob@domain1.test\n")
    site.write(".qmail-down", "|cat >here; while test -e wait; do sleep 0.05; done; exec <here; dot-forward .forward-down\n")
    site.write("wait", "")
    try:
        before = len(site.system.log())
        assert site.system.inject("ann@far.test", ["down@domain1.test"], MESSAGE) == 0
        site.system.stop("queue")
        (site.owner / "wait").unlink()
        found = module.wait_until(lambda: re.search("deferral: .*", site.system.log()[before:]), "a deferral")
    finally:
        site.system.start_queue()
    site.system.processes["send"].send_signal(signal.SIGALRM)

    assert "qmail-queue" in found[0] or "4.3.0" in found[0]
    assert site.system.wait_for_mail("domain1.test", "bob")[0].read_bytes().endswith(MESSAGE)
    module.wait_until(site.system.queue_is_empty, "an empty queue")


# ---- SpamAssassin ----

@pytest.fixture(scope="module")
def spamc(site: Site) -> str:
    """A spamc command whose spamd asks nobody else."""
    port = module.free_port()
    home = site.system.path / "spamd"
    home.mkdir()
    site.system.start("spamd", "/usr/sbin/spamd", "-L", "-x", "-i", "127.0.0.1", "-p", str(port), "-m", "1",
                      "-u", "nobody", "-H", str(home), "-s", "stderr", env={"HOME": str(home), "LANG": "C"})
    module.wait_until(lambda: module._listening(port), "spamd")
    return f"spamc -x -u nobody -d 127.0.0.1 -p {port}"  # without -u it wants a name for its uid


def test_spamc_marks_mail_for_a_virtual_user(site: Site, spamc: str) -> None:
    for each in site.system.mailbox("domain1.test", "bob"):
        each.unlink()
    site.write(".qmail-default", f"|{spamc} | virtmailfilter\n")
    try:
        assert site.send("bob", SPAM).startswith("success: ")
        spam, = site.system.wait_for_mail("domain1.test", "bob")
        text = spam.read_bytes()
        uid = spam.stat().st_uid
        spam.unlink()
        assert site.send("bob").startswith("success: ")
        ham = site.system.wait_for_mail("domain1.test", "bob")[0].read_bytes()
    finally:
        site.write(".qmail-default", "| virtmailfilter\n")

    assert text.startswith(b"Return-Path: <ann@far.test>\nDelivered-To: bob@domain1.test\n")
    assert b"\nX-Spam-Flag: YES\n" in text
    assert uid == site.system.domains["domain1.test"]["bob"]
    assert b"X-Spam-Flag" not in ham
    assert ham.endswith(b"\n\nFrom here on\nthe end\n")


def test_a_filter_that_fails_in_front_of_virtmailfilter_loses_nothing(site: Site) -> None:
    for each in site.system.mailbox("domain1.test", "bob"):
        each.unlink()
    site.write(".qmail-default", "|spamc -x -u nobody -d 127.0.0.1 -p 1 --connect-retries=1 | virtmailfilter\n")
    try:
        outcome = site.send("bob")
    finally:
        site.write(".qmail-default", "| virtmailfilter\n")
    site.system.processes["send"].send_signal(signal.SIGALRM)

    assert outcome.startswith("deferral: ")
    assert "the_message_is_empty" in outcome
    assert site.system.wait_for_mail("domain1.test", "bob")[0].read_bytes().endswith(MESSAGE)
    module.wait_until(site.system.queue_is_empty, "an empty queue")


def test_spamc_bounces_spam_and_lets_the_rest_pass(site: Site, spamc: str) -> None:
    new = site.maildir("checked")
    # 1 is spam; anything else but 0 is trouble
    site.write(".qmail-checked", f"|{spamc} -c >/dev/null; case $? in 0) ;; 1) echo 'No spam, please. (#5.7.1)'; exit 100;; "
               "*) exit 111;; esac\n./checked/\n")

    assert site.send("checked", SPAM, sender="") == "failure: No_spam,_please._(#5.7.1)/"
    assert site.send("checked") == "success: did_1+0+1/"
    assert re.fullmatch(HEAD % b"checked" + re.escape(MESSAGE), only(new))


def test_mail_waits_while_spamd_is_down(site: Site) -> None:
    new = site.maildir("waiting")
    site.write(".qmail-waiting", f"|spamc -x -d 127.0.0.1 -p {module.free_port()} --connect-retries=1 >waiting.tmp || exit 111\n"
               "./waiting/\n")

    try:
        assert site.send("waiting").startswith("deferral: ")
    finally:
        cleared(site)

    assert list(new.iterdir()) == []
