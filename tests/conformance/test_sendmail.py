"""What sendmail becomes: vq-inject with which arguments and environment, vq-smtpd for whom (QMAIL 15.2)."""

import json
import os
import pathlib
import socket
import subprocess

import pytest
import support
from support import Home

STUB = """\
#!/usr/bin/python3 -I
import json, os, sys
names = ("QMAILUSER", "QMAILHOST", "QMAILNAME", "MAILNAME", "MAILHOST", "NAME", "USER", "RELAYCLIENT")
json.dump({"argv": sys.argv[1:], "env": {each: os.environ[each] for each in names if each in os.environ},
           "read": sys.stdin.read()}, sys.stdout)
"""
WHO = {"user": support.SINGLE[0], "group": support.SINGLE[1], "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose vq-inject says what it is asked; nobody here changes it."""
    home = support.make_home(tmp_path_factory.mktemp("host") / "home")
    home.write("bin/vq-inject", STUB, 0o755)
    return home


def said(home: Home, *argv: str, **env: str) -> dict:
    """What vq-inject is asked when sendmail is called so."""
    done = home.run(["sendmail", *argv], input=b"To: x\n\nhi\n", env=env)

    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert found.pop("read") == "To: x\n\nhi\n"
    return found


@pytest.mark.parametrize(("argv", "expected", "env"), [
    (["ann@x"], ["-a", "--", "ann@x"], {}),
    (["-t"], ["-H", "--"], {}),
    (["-t", "ann@x"], ["-H", "--", "ann@x"], {}),
    (["-i", "-fbob@y", "-FCron", "ann@x", "joe@z"], ["-a", "-f", "bob@y", "--", "ann@x", "joe@z"],
     {"QMAILUSER": "bob", "QMAILHOST": "y", "QMAILNAME": "Cron"}),
    (["-Fcron", "-f", "bob", "ann@x"], ["-a", "-f", "bob", "--", "ann@x"], {"QMAILUSER": "bob", "QMAILNAME": "cron"}),
    (["-f", "a@b@y", "ann@x"], ["-a", "-f", "a@b@y", "--", "ann@x"], {"QMAILUSER": "a@b", "QMAILHOST": "y"}),
    (["-f", "<>", "ann@x"], ["-a", "-f", "", "--", "ann@x"], {}),
    (["-f", "", "ann@x"], ["-a", "-f", "", "--", "ann@x"], {}),
    (["--", "-f"], ["-a", "--", "-f"], {}),
])
def test_vq_inject_is_asked(stubbed: Home, argv: "list[str]", expected: "list[str]", env: "dict[str, str]") -> None:
    assert said(stubbed, *argv) == {"argv": expected, "env": env}


def test_a_sender_that_is_given_forgets_who_the_environment_says_he_is(stubbed: Home) -> None:
    whole = {"QMAILNAME": "n", "MAILNAME": "n", "NAME": "n", "QMAILHOST": "h", "MAILHOST": "h", "QMAILUSER": "u", "USER": "u"}

    assert said(stubbed, "ann@x", **whole)["env"] == whole
    assert said(stubbed, "-fbob", "ann@x", **whole)["env"] == {"QMAILUSER": "bob", "USER": "u"}
    assert said(stubbed, "-f<>", "ann@x", **whole)["env"] == {"QMAILUSER": "u", "USER": "u"}
    assert said(stubbed, "-FN", "ann@x", **whole)["env"] == whole | {"QMAILNAME": "N"}


@pytest.mark.parametrize("place", ["usr/sbin/sendmail", "usr/lib/sendmail"])
def test_a_link_to_it_works_anywhere(stubbed: Home, tmp_path: pathlib.Path, place: str) -> None:
    link = tmp_path / place
    link.parent.mkdir(parents=True)
    link.symlink_to(stubbed.bin("sendmail"))
    done = subprocess.run([str(link), "-t"], input=b"", capture_output=True, check=False, timeout=60)

    assert json.loads(done.stdout)["argv"] == ["-H", "--"]


@pytest.mark.parametrize(("name", "code", "text"), [("mailq", 0, b""), ("newaliases", 100, b"newaliases: there is no table")])
def test_a_link_called_mailq_or_newaliases_is_that(home: Home, tmp_path: pathlib.Path, name: str, code: int,
                                                   text: bytes) -> None:
    link = tmp_path / name
    link.symlink_to(home.bin("sendmail"))
    done = subprocess.run([str(link)], capture_output=True, check=False, timeout=60, **WHO)

    assert (done.returncode, done.stdout, done.stderr[:len(text)]) == (code, b"", text)


@pytest.mark.parametrize(("argv", "text"), [
    ([], b"no recipients: give their addresses, or -t to take them from the message"),
    (["-i", "-f", "bob@y"], b"no recipients: give their addresses, or -t to take them from the message"),
    (["-k", "ann@x"], b"there is no option -k; put -- before an address that begins with a dash"),
    (["-bd"], b"-bd is not for this mailer: the daemon is vq-start, and vq-smtpd under a tcpserver"),
])
def test_wrong_usage_is_permanent_and_said_in_one_line(stubbed: Home, argv: "list[str]", text: bytes) -> None:
    done = stubbed.run(["sendmail", *argv], input=b"To: x\n\nhi\n")

    assert (done.returncode, done.stdout, done.stderr) == (100, b"", b"sendmail: " + text + b"\n")


def test_aliases_are_not_rebuilt_and_that_is_said(home: Home) -> None:
    text = b"newaliases: there is no table of aliases to rebuild, nor is /etc/aliases read; an alias is a file "

    for command in (["newaliases"], ["sendmail", "-bi"], ["sendmail", "-I"]):
        done = home.run(command)

        assert (done.returncode, done.stdout, done.stderr) == (100, b"", text + b"%s/alias/.qmail-NAME\n" % bytes(home.path))


@pytest.mark.parametrize("option", ["-q", "-q30m", "-qf"])
def test_running_the_queue_is_nothing_to_do(stubbed: Home, option: str) -> None:
    done = stubbed.run(["sendmail", option])

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("option", ["-X", "-D", "-C"])
def test_no_file_that_is_named_is_touched(stubbed: Home, tmp_path: pathlib.Path, option: str) -> None:
    target = tmp_path / "target"
    target.write_text("as it was")
    target.chmod(0o666)
    said(stubbed, option, str(target), "-OQueueDirectory=" + str(tmp_path), "ann@x")

    assert target.read_text() == "as it was"


# SMTP

DIALOGUE = b"EHLO me\r\nMAIL FROM:<bob@y.test>\r\nRCPT TO:<ann@far.test>\r\nDATA\r\nSubject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n"


def test_a_local_user_may_send_anywhere_by_smtp(home: Home) -> None:
    home.control("rcpthosts", "host.test\n")
    home.control("databytes", "5\n")
    done = home.run(["sendmail", "-bs"], input=DIALOGUE)
    todo, = (home.path / "queue/todo").iterdir()
    number = int(todo.name)
    text = (home.path / f"queue/mess/{number % 23}/{number}").read_bytes().split(b"\n", 1)[1]

    assert done.returncode == 0
    assert todo.read_bytes().split(b"\0", 2)[2] == b"Fbob@y.test\0Tann@far.test\0"
    assert text.startswith(b"Received: from localhost (HELO me) (sendmail-bs@127.0.0.1)\n  by localhost with ESMTP; ")
    assert text.endswith(b"\nSubject: x\n\nhi\n")


def test_smtp_with_proto_set_is_what_tcpserver_says(home: Home) -> None:
    home.control("rcpthosts", "host.test\n")
    done = home.run(["sendmail", "-bs"], input=DIALOGUE, env={"PROTO": "TCP", "TCPREMOTEIP": "192.0.2.1"})

    assert b"\r\n553 " in done.stdout
    assert not list((home.path / "queue/todo").iterdir())


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"),
                                                 (socket.AF_INET6, "::ffff:127.0.0.1")])
def test_a_stranger_whom_inetd_lets_in_may_not_send_anywhere(home: Home, family: int, address: str) -> None:
    home.control("rcpthosts", "host.test\n")
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        with socket.socket(family) as client:
            client.connect(listener.getsockname()[:2])
            connection, _ = listener.accept()
            with connection:
                server = subprocess.Popen([home.bin("sendmail"), "-bs"], stdin=connection, stdout=connection,
                                          stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "RELAYCLIENT": ""}, **WHO)
            client.sendall(DIALOGUE)
            answers = b""
            while piece := client.recv(65536):
                answers += piece
            _, log = server.communicate(timeout=60)

    assert b"\r\n553 " in answers
    assert b" from %s " % address.removeprefix("::ffff:").encode() in log
    assert not list((home.path / "queue/todo").iterdir())


def test_a_local_socket_is_a_local_user(home: Home) -> None:
    home.control("rcpthosts", "host.test\n")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = subprocess.Popen([home.bin("sendmail"), "-bs"], stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                                  env={"PATH": "/usr/bin:/bin"}, **WHO)
        ours.sendall(DIALOGUE)

        assert server.wait(60) == 0
    assert len(list((home.path / "queue/todo").iterdir())) == 1
