"""Real mail programs, and the command lines of those that cannot run here, send through our sendmail.

Each test looks at what is in the queue: the envelope, the header as the program wrote it, and the body to the byte.
"""

import os
import pathlib
import pwd
import re
import subprocess

import pytest
from support import Home, make_home

pytestmark = pytest.mark.peers

# programs ask who they run for, so it must be somebody with a name
UID = 65534 if os.geteuid() == 0 else os.getuid()
USER = pwd.getpwuid(UID).pw_name
WHO = {"user": UID, "group": pwd.getpwuid(UID).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
# what a mailer is tempted to touch: a dot alone, a line like an mbox's, 8 bits, a long line, blanks at the end
BODY = b"Dear all,\n.\nFrom here on\n\xc3\xa9\xc3\xa8\n" + b"x" * 1500 + b"\nthe end  \n\n.\n"
EASY = b"Dear all,\n.\nFrom here on\nthe end\n"     # for programs that would encode the other one
PLAYER = "#!/bin/sh\nset -e\ncat > {0}/message\ncat <&1 > {0}/envelope\n"


class Desk:
    """Somebody's place: a home directory, and what his mail programs have sent."""

    def __init__(self, home: Home, path: pathlib.Path) -> None:
        self.home = home
        self.path = path / "user"
        self.path.mkdir()
        self.sendmail = home.bin("sendmail")
        self.write("player", PLAYER.format(self.path)).chmod(0o755)
        os.chown(self.path, UID, -1)

    def write(self, name: str, text: str) -> pathlib.Path:
        """A file of his own."""
        path = self.path / name
        path.write_text(text)
        path.chmod(0o600)
        os.chown(path, UID, -1)
        return path

    def run(self, *argv: "str | pathlib.Path", input: bytes = b"", **env: str) -> "subprocess.CompletedProcess[bytes]":
        """Run any program, which finds our queue behind QMAILQUEUE."""
        return subprocess.run(
            [str(each) for each in argv], input=input, capture_output=True, check=False, timeout=60, cwd=self.path,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.path), "USER": USER, "LOGNAME": USER,
                 "LC_ALL": "C.UTF-8", "MAILRC": "/dev/null", "TERM": "dumb",
                 "QMAILQUEUE": str(self.path / "player")} | env, **WHO)

    def sent(self, *argv: "str | pathlib.Path", input: bytes = b"", **env: str) -> "Sent":
        """The message that a program sends, which must succeed without a complaint."""
        done = self.run(*argv, input=input, **env)

        assert (done.returncode, done.stderr) == (0, b"")
        return Sent(self.path)


class Sent:
    """What came to the queue."""

    def __init__(self, path: pathlib.Path) -> None:
        envelope = (path / "envelope").read_bytes()
        self.text = (path / "message").read_bytes()
        head, _, self.body = self.text.partition(b"\n\n")
        self.header = re.sub(rb"\n[ \t]+", b" ", head)

        assert envelope[:1] == b"F" and envelope[-2:] == b"\0\0"
        sender, *recipients = envelope[1:-2].decode().split("\0")
        assert all(each[:1] == "T" for each in recipients)
        self.sender = sender
        self.recipients = [each[1:] for each in recipients]

    def field(self, name: str) -> "list[str]":
        """The values of a header field, unfolded."""
        return [line.partition(b":")[2].strip().decode() for line in self.header.split(b"\n")
                if line.partition(b":")[0].lower() == name.lower().encode()]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An installation that calls itself host.test; nobody here changes it."""
    return make_home(tmp_path_factory.mktemp("host") / "home")


@pytest.fixture
def desk(host: Home, tmp_path: pathlib.Path) -> Desk:
    """A desk on that host."""
    for parent in tmp_path.parents:             # pytest's directories are 0700: let our user through
        if parent.stat().st_uid == os.geteuid() and parent != pathlib.Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    tmp_path.chmod(0o755)
    return Desk(host, tmp_path)


def test_mutt(desk: Desk) -> None:
    config = desk.write("muttrc", f'set sendmail="{desk.sendmail} -oem -oi"\nset from="bob@here.test"\n'
                            'set realname="Bob B"\nset use_envelope_from=yes\nset record=""\nset hostname="here.test"\n'
                            'set send_charset="us-ascii:utf-8"\nset allow_8bit=yes\n')
    message = desk.sent("mutt", "-n", "-F", config, "-s", "Hello", "-c", "Carl <carl@far.test>", "-b", "secret@far.test",
               "--", "ann@far.test", input=EASY)

    assert message.sender == "bob@here.test"
    assert sorted(message.recipients) == ["ann@far.test", "carl@far.test", "secret@far.test"]
    assert message.field("From") == ["Bob B <bob@here.test>"]
    assert message.field("To") == ["ann@far.test"]
    assert message.field("Cc") == ["Carl <carl@far.test>"]
    assert message.field("Bcc") == []
    assert message.field("Subject") == ["Hello"]
    assert len(message.field("Message-ID")) == len(message.field("Date")) == 1
    assert message.body == EASY


def test_bsd_mailx(desk: Desk) -> None:
    config = desk.write("mailrc", f"set sendmail={desk.sendmail}\n")
    message = desk.sent("bsd-mailx", "-s", "Hello", "-c", "carl@far.test", "-b", "secret@far.test",
               "-a", "X-Loop: 1", "-r", "bounces@here.test", "ann@far.test", "joe", input=EASY, MAILRC=str(config))

    assert message.sender == "bounces@here.test"
    assert sorted(message.recipients) == ["ann@far.test", "carl@far.test", "joe@host.test", "secret@far.test"]
    assert message.field("To") == ["ann@far.test, joe@host.test"]
    assert message.field("Cc") == ["carl@far.test"]
    assert message.field("Bcc") == []
    assert message.field("Subject") == ["Hello"]
    assert message.field("X-Loop") == ["1"]
    assert message.field("From") == ["bounces@here.test"]
    assert message.body == EASY


def test_bsd_mailx_without_any_option_names_who_sends(desk: Desk) -> None:
    config = desk.write("mailrc", f"set sendmail={desk.sendmail}\n")
    message = desk.sent("bsd-mailx", "-s", "Hello", "ann@far.test", input=EASY, MAILRC=str(config))

    assert message.sender == f"{USER}@host.test"
    assert message.field("From") == [f"{USER}@host.test"]


def test_s_nail(desk: Desk) -> None:
    message = desk.sent("s-nail", "-:/", "-S", "v15-compat=yes", "-S", f"mta={desk.sendmail}", "-S",
               "from=Bob B <bob@here.test>", "-S", "mime-encoding=8bit", "-r", "bob@here.test", "-s", "Hello", "-c", "carl@far.test",
               "-b", "secret@far.test", "ann@far.test", input=EASY)

    assert message.sender == "bob@here.test"
    assert sorted(message.recipients) == ["ann@far.test", "carl@far.test", "secret@far.test"]
    assert message.field("From") == ["bob@here.test"]
    assert message.field("To") == ["ann@far.test"]
    assert message.field("Cc") == ["carl@far.test"]
    assert message.field("Bcc") == []
    assert message.body == EASY


@pytest.mark.parametrize("way", ["--sendmail-cmd={} -i", "--smtp-server={}"])
def test_git_send_email(desk: Desk, way: str) -> None:
    config = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": "bob@here.test", "GIT_COMMITTER_NAME": "Bob",
              "GIT_COMMITTER_EMAIL": "bob@here.test", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "One change\n\nAnd why."]):
        (desk.path / "file").write_text("text\n")
        assert desk.run("git", *command, **config).returncode == 0
    message = desk.sent("git", "send-email", "--quiet", "--root", "HEAD", "--to=Ann A <ann@far.test>",
               "--cc=carl@far.test", "--bcc=secret@far.test", "--suppress-cc=all", "--confirm=never",
               "--envelope-sender=bounces@here.test", way.format(desk.sendmail), **config)

    assert message.sender == "bounces@here.test"
    assert sorted(message.recipients) == ["ann@far.test", "carl@far.test", "secret@far.test"]
    assert message.field("From") == ["Bob <bob@here.test>"]
    assert message.field("To") == ["Ann A <ann@far.test>"]
    assert message.field("Bcc") == []
    assert message.field("Subject") == ["[PATCH] One change"]
    assert message.body.startswith(b"And why.\n---\n file | 1 +\n")


def test_php_mail(desk: Desk) -> None:
    script = ('exit(mail("Ann A <ann@far.test>, joe@far.test", "Hello", "one\\n.\\ntwo\\r\\n",'
              ' "From: Bob <bob@here.test>\\r\\nCc: carl@far.test\\r\\nX-More: 1", "-fbounces@here.test") ? 0 : 1);')
    message = desk.sent("php", "-n", "-d", f"sendmail_path={desk.sendmail} -t -i", "-r", script)

    assert message.sender == "bounces@here.test"
    assert sorted(message.recipients) == ["ann@far.test", "carl@far.test", "joe@far.test"]
    assert message.field("From") == ["Bob <bob@here.test>"]
    assert message.field("To") == ["Ann A <ann@far.test>, joe@far.test"]
    assert message.field("Cc") == ["carl@far.test"]
    assert message.field("Subject") == ["Hello"]
    assert message.field("X-More") == ["1"]
    assert b"\r" not in message.header                  # PHP ends the lines of the header in CR LF
    assert message.body == b"one\n.\ntwo\n\n"


def test_procmail_forwards(desk: Desk) -> None:
    recipe = desk.write("procmailrc", f"SENDMAIL={desk.sendmail}\nLOGFILE=/dev/null\nDEFAULT={desk.path}/undelivered\n"
                        ":0 w\n! ann@far.test joe@far.test\n")
    done = desk.run("procmail", "-p", "-f", "orig@far.test", recipe, input=b"Subject: x\nTo: bob@here.test\n\n" + BODY)
    message = Sent(desk.path)

    assert done.returncode == 0                 # it may complain of a home in the passwd file that is not there
    assert message.recipients == ["ann@far.test", "joe@far.test"]
    assert message.field("To") == ["bob@here.test"]
    assert message.body == BODY + b"\n"          # procmail ends every message with an empty line


def test_maildrop_forwards(desk: Desk) -> None:
    recipe = desk.write("mailfilter", f'SHELL="/bin/sh"\nSENDMAIL="{desk.sendmail} -oi"\nto "!ann@far.test joe@far.test"\n')
    message = desk.sent("maildrop", recipe, input=b"Subject: x\nTo: bob@here.test\n\n" + BODY)

    assert message.recipients == ["ann@far.test", "joe@far.test"]
    assert message.field("To") == ["bob@here.test"]
    assert message.body == BODY


# command lines of programs that are not run here

CRON = (b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> run-parts /etc/cron.daily\nMIME-Version: 1.0\n"
        b"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>\n"
        b"X-Cron-Env: <HOME=/root>\n\n")


@pytest.mark.parametrize("options", ["-i -FCronDaemon -B8BITMIME -oem root", "-FCronDaemon -odi -oem root",
                                     "-FCronDaemon -i -odi -oem -oi -t -f root"])
def test_cron(desk: Desk, options: str) -> None:
    message = desk.sent(desk.sendmail, *options.split(), input=CRON + BODY, USER="root", LOGNAME="root")

    assert message.sender == "root@host.test"
    assert message.recipients == ["root@host.test"]
    assert len(message.field("From")) == 1 and message.field("From")[0].startswith("root@host.test")
    assert "Cron Daemon" in message.field("From")[0]
    assert message.field("To") == ["root@host.test"]
    assert message.field("Subject") == ["Cron <root@host> run-parts /etc/cron.daily"]
    assert message.field("X-Cron-Env") == ["<SHELL=/bin/sh>", "<HOME=/root>"]
    assert message.body == BODY


@pytest.mark.parametrize("options", ["-t", "-t -i -oem", "-oi -t", "-ti", "-oi -oem -odb -t", "-t -oi -v -odi", "-G -t -N never -R hdrs -V id",
                                     "-i -t -Am -O DeliveryMode=background -L tag -h 5", "--read-recipients", "-U -t -n -m"])
def test_reports_with_their_recipients_in_the_header(desk: Desk, options: str) -> None:
    """mdadm, logwatch, smartd, apticron, unattended-upgrades, fail2ban, msmtp's users."""
    text = b"To: root, Ann <ann@far.test>\nBcc: secret@far.test\nFrom: logwatch@here.test\nSubject: Logwatch\n\n" + BODY
    message = desk.sent(desk.sendmail, *options.split(), input=text)

    assert message.sender == f"{USER}@host.test"
    assert sorted(message.recipients) == ["ann@far.test", "root@host.test", "secret@far.test"]
    assert message.field("From") == ["logwatch@here.test"]
    assert message.field("Bcc") == []
    assert message.body == BODY


@pytest.mark.parametrize(("options", "sender"), [
    ("-i -f bob@here.test ann@far.test joe@far.test", "bob@here.test"),         # fetchmail --mda, mailman 2
    ("-oi -om -fowner@here.test ann@far.test joe@far.test", "owner@here.test"),  # majordomo
    ("-r bob@here.test -i ann@far.test joe@far.test", "bob@here.test"),         # mailx of old
    ("-oi -f <> ann@far.test joe@far.test", ""),                                # vacation
    ("--from=bob@here.test -- ann@far.test joe@far.test", "bob@here.test"),     # msmtp
    ("ann@far.test joe@far.test -f bob@here.test", "bob@here.test"),            # Postfix takes them in any order
])
def test_recipients_on_the_command_line(desk: Desk, options: str, sender: str) -> None:
    text = b"To: somebody else <else@far.test>\nFrom: bob@here.test\nSubject: x\n\n" + BODY
    message = desk.sent(desk.sendmail, *options.split(), input=text)

    assert message.sender == sender
    assert message.recipients == ["ann@far.test", "joe@far.test"]
    assert message.field("To") == ["somebody else <else@far.test>"]
    assert message.body == BODY


def test_recipients_in_both_places_all_get_it(desk: Desk) -> None:
    text = b"To: ann@far.test\nFrom: bob@here.test\n\nx\n"
    message = desk.sent(desk.sendmail, "-t", "joe@far.test", input=text)

    assert sorted(message.recipients) == ["ann@far.test", "joe@far.test"]


def test_a_name_for_whom_the_message_has_no_from(desk: Desk) -> None:
    message = desk.sent(desk.sendmail, "-F", "Bob B", "-f", "bob@here.test", "ann@far.test",
               input=b"Subject: x\n\nhi\n", QMAILNAME="not me", QMAILHOST="not.here")

    assert message.sender == "bob@here.test"
    assert len(message.field("From")) == 1
    assert message.field("From")[0] in ("Bob B <bob@here.test>", '"Bob B" <bob@here.test>')


def test_a_message_with_crlf_lines_is_one_with_plain_lines(desk: Desk) -> None:
    text = b"To: ann@far.test\r\nFrom: bob@here.test\r\nSubject: x\r\n\r\none\r\n.\r\ntwo\r\n"
    message = desk.sent(desk.sendmail, "-t", input=text)

    assert message.recipients == ["ann@far.test"]
    assert b"\r" not in message.text
    assert message.body == b"one\n.\ntwo\n"


def test_a_message_for_nobody_is_refused(desk: Desk) -> None:
    done = desk.run(desk.sendmail, "-t", input=b"Subject: x\n\nhi\n")

    assert done.returncode == 100
    assert done.stderr.count(b"\n") == 1
    assert not (desk.path / "envelope").exists()


@pytest.mark.parametrize(("queue", "code"), [(53, 111), (31, 100), (120, 111)])
def test_a_queue_that_does_not_take_it_is_no_success(desk: Desk, queue: int, code: int) -> None:
    desk.write("full", f"#!/bin/sh\nexit {queue}\n").chmod(0o755)
    done = desk.run(desk.sendmail, "ann@far.test", input=b"\nhi\n", QMAILQUEUE=str(desk.path / "full"))

    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (code, b"", 1)


@pytest.mark.root
@pytest.mark.parametrize("command", ["mutt -n -F {path}/muttrc -s Hello bob@one.test", "{sendmail} -i -FCronDaemon bob@one.test",
                                     "{sendmail} -bs"])
def test_what_any_user_sends_is_in_the_mailbox(system, command: str) -> None:
    system.add_domain("one.test", {"bob": "x"})
    system.start_all()
    path = system.path / "nobody"
    path.mkdir()
    os.chown(path, UID, -1)
    (path / "muttrc").write_text(f'set sendmail="{system.bin("sendmail")} -oem -oi"\nset record=""\n')
    smtp = (b"EHLO x\r\nMAIL FROM:<nobody@host.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\nSubject: x\r\n\r\n"
            + EASY.replace(b"\n.", b"\n..").replace(b"\n", b"\r\n") + b".\r\nQUIT\r\n")
    done = subprocess.run(command.format(path=path, sendmail=system.bin("sendmail")).split(), check=False, timeout=60, cwd=path,
                          input=smtp if "-bs" in command else EASY if "mutt" in command else b"Subject: x\n\n" + EASY,
                          capture_output=True, env=system.env() | {"HOME": str(path), "USER": "nobody", "TERM": "dumb"}, **WHO)

    assert done.returncode == 0
    mail, = system.wait_for_mail("one.test", "bob")
    text = mail.read_bytes()

    assert text.startswith(b"Return-Path: <nobody@host.test>\n")
    assert b"\nReceived: (qmail " in text and b" invoked by uid %d); " % UID in text
    assert text.endswith(b"\n\n" + EASY)
