"""What people asked for and no other test shows: each test says in a comment which rows of doc/REQUIREMENTS-STATUS.md."""

import contextlib
import os
import pathlib
import poplib
import pwd
import re
import signal
import smtplib
import socket
import subprocess
import typing

import oddservers
import pytest
import supervised
import system as module
from system import wait_until

pytestmark = [pytest.mark.root, pytest.mark.peers]
MESSAGE = b"From: a@far.test\nSubject: hello\n\nhello\n"
JOHN = 45800            # uid of a user of whom /etc/passwd knows nothing


def swaks(port: int, recipient: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Send to `recipient` as a mail program somewhere does."""
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@far.test", "--to", recipient, "--helo",
                           "client.test", "--header", f"Subject: for {recipient}", *options], capture_output=True, text=True,
                          check=False, timeout=60)


def assign(system: module.System, text: str) -> None:
    """Write users/assign, compile it, and let vq-send know of the domains."""
    (system.home / "users/assign").write_text(text + ".\n")
    done = system.run("vq-newu")

    assert done.returncode == 0, done.stderr
    if "send" in system.processes:
        system.processes["send"].send_signal(signal.SIGHUP)


def home_of(system: module.System, name: str, uid: int, **files: str) -> pathlib.Path:
    """A home of `uid` with dot-qmail files: their names without .qmail, _ for -."""
    path = system.path / name
    path.mkdir()
    path.chmod(0o755)
    os.chown(path, uid, uid)
    for ext, text in files.items():
        (path / (".qmail" + ext.replace("_", "-"))).write_text(text)
        os.chown(path / (".qmail" + ext.replace("_", "-")), uid, uid)
    return path


def mail_in(maildir: pathlib.Path, count: int = 1) -> "list[bytes]":
    """The messages in new/, as soon as there are `count`."""
    new = maildir / "new"
    wait_until(lambda: new.is_dir() and len(list(new.iterdir())) >= count, f"message {count} in {maildir}")
    return sorted(each.read_bytes() for each in new.iterdir())


# domains

def test_a_domain_that_is_added_gets_mail_at_once(system: module.System) -> None:                        # 0-18 0-19
    system.start_all()
    port = system.start_smtp()
    before = system.processes["send"].pid
    system.add_domain("domain1.test", {"bob": "x"})
    done = swaks(port, "bob@domain1.test")

    assert done.returncode == 0, done.stdout
    assert b"\nSubject: for bob@domain1.test\n" in system.wait_for_mail("domain1.test", "bob")[0].read_bytes()
    assert system.processes["send"].poll() is None
    assert system.processes["send"].pid == before
    for uid in (system.owner("domain1.test"), system.domains["domain1.test"]["bob"]):
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)


def test_long_names_of_domains_do_not_collide(system: module.System) -> None:                            # 0-20
    names = ["a-name-of-thirty-letters-and-more1.test", "a-name-of-thirty-letters-and-more12.test"]
    for name in names:
        system.add_domain(name, {"a-name-longer-than-eight": "x", "a-name-longer-than-eight2": "x"})
    system.start_all()
    port = system.start_smtp()
    for name in names:
        assert swaks(port, f"a-name-longer-than-eight@{name}").returncode == 0
    for name in names:
        letter, = system.wait_for_mail(name, "a-name-longer-than-eight")

        assert f"\nSubject: for a-name-longer-than-eight@{name}\n".encode() in letter.read_bytes()
        assert system.mailbox(name, "a-name-longer-than-eight2") == []


def test_what_is_no_domain_among_the_domains_disturbs_nothing(system: module.System) -> None:            # 0-11
    (system.virtual / "lost+found").mkdir(0o700)
    (system.virtual / "README").write_text("the domains\n")
    (system.virtual / ".snapshot").mkdir()
    (system.virtual / "broken").symlink_to("nowhere")
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    port = system.start_smtp()

    assert system.run("vq-newu").returncode == 0
    assert swaks(port, "bob@domain1.test").returncode == 0
    system.wait_for_mail("domain1.test", "bob")
    for name in ("lost+found", "readme", "broken"):
        assert swaks(port, f"bob@{name}").returncode == 24          # no recipient was taken
    assert system.inject("a@far.test", ["bob@domain1.test"], MESSAGE) == 0
    system.wait_for_mail("domain1.test", "bob", 2)


def test_two_hundred_domains_need_no_further_process(system: module.System) -> None:                     # 0-4
    def running() -> int:
        sessions = {each.pid for each in system.processes.values()}
        return sum(session in sessions for _, _, session, _ in supervised.processes())

    system.add_domain("domain0.test", {"bob": "x"})
    system.start_all()
    before = running()
    uid = system.owner("domain0.test")
    for number in range(1, 201):
        (system.virtual / f"domain{number}.test").symlink_to("domain0.test")
    names = [f"domain{number}.test" for number in range(201)]
    system.control("virtualdomains", "".join(f"{each}:domain0.test\n" for each in names))
    system.control("rcpthosts", "".join(f"{each}\n" for each in names))
    system.dotqmail("domain0.test", "default", "./Maildir/\n")
    maildir = system.virtual / "domain0.test/Maildir"
    subprocess.run([system.bin("maildirmake"), maildir], check=True, user=uid, group=uid, cwd=system.virtual / "domain0.test")
    system.processes["send"].send_signal(signal.SIGHUP)
    wait_until(lambda: running() == before, "as many processes as before")
    assert system.inject("a@far.test", [f"bob@{each}" for each in names], MESSAGE) == 0

    assert len(mail_in(maildir, 201)) == 201
    wait_until(system.queue_is_empty, "an empty queue")
    # a worker may stay for the next delivery, but no more than may deliver at once
    assert running() <= before + 10


def test_who_has_moved_is_told_where_to(system: module.System) -> None:                                  # 0-7
    system.add_domain("domain1.test", {"bob": "x", "ann": "x"})
    system.dotqmail("domain1.test", "carl", "|bouncesaying 'Carl has moved to carl@new.test (#5.1.6)'\n")
    system.start_all()
    assert swaks(system.start_smtp(), "carl@domain1.test", "--from", "ann@domain1.test").returncode == 0
    bounce = system.wait_for_mail("domain1.test", "ann")[0].read_bytes()

    assert b"\n<carl@domain1.test>:\nCarl has moved to carl@new.test (#5.1.6)\n" in bounce
    assert b"\nStatus: 5.1.6\n" in bounce


# nobody reads what is not his

CALLS = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(.*)$")


def test_who_has_root_reads_no_byte_of_a_message(system: module.System) -> None:                         # 0-16
    system.add_domain("domain1.test", {"bob": "x"})
    traces = [system.path / f"trace.{name}" for name in ("queue", "send", "virtmailfilter", "smtp")]

    def traced(path: pathlib.Path) -> "tuple[str, ...]":
        return ("strace", "-f", "--seccomp-bpf", "-I", "1", "-qq", "-s", "100000", "-o", str(path), "-e",
                "trace=read,pread64,readv,preadv,recvfrom,recvmsg,mmap,setuid,setresuid,setreuid,clone,clone3,fork,vfork")

    for path, start in zip(traces, (system.start_queue, system.start_send, system.start_filter), strict=False):
        system.prefix = traced(path)
        start()
    system.prefix = traced(traces[-1])
    port = system.start_smtp()
    assert swaks(port, "bob@domain1.test", "--body", "xyzzy and plugh").returncode == 0
    system.wait_for_mail("domain1.test", "bob")
    wait_until(system.queue_is_empty, "an empty queue")
    system.stop()
    readers: dict[int, str] = {}
    for path in traces:
        uids: dict[str, int] = {}               # of each process; strace is started by root
        wanted: dict[str, int] = {}             # what a call asks for that is shown in two lines
        for line in path.read_text(errors="replace").splitlines():
            match = CALLS.match(line)
            if not match:
                continue
            pid, call, rest = match.groups()
            uid = uids.setdefault(pid, 0)
            if call in ("clone", "clone3", "fork", "vfork") and (child := re.search(r"= (\d+)$", rest)):
                uids.setdefault(child[1], uid)
                if uids[child[1]] == 0:
                    uids[child[1]] = uid
            elif call.startswith("set"):
                if to := re.match(r"\((\d+)", rest):
                    wanted[pid] = int(to[1])
                if rest.endswith("= 0"):
                    uids[pid] = wanted[pid]
            elif "xyzzy and plugh" in rest:
                readers[uids[pid]] = f"{path.name}: {pid} {call}{rest[:200]}"
    assert system.domains["domain1.test"]["bob"] in readers, "the trace shows who reads"
    assert 0 not in readers, readers[0]


# disks and services

@pytest.mark.parametrize("small", ["home", "virtual"])
def test_queue_and_mailboxes_may_be_on_different_disks(tmp_path: pathlib.Path, small: str) -> None:      # 2-4
    with contextlib.ExitStack() as stack:
        def mount(path: pathlib.Path) -> None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "none", path], check=True)
            stack.callback(module.unmount, path)

        if small == "home":
            (tmp_path / "home").mkdir()
            mount(tmp_path / "home")
        system = module.System(tmp_path)
        if small == "virtual":
            mount(system.virtual)
        stack.callback(system.stop)
        system.add_domain("domain1.test", {"bob": "x"})
        assert (system.home / "queue").stat().st_dev != system.virtual.stat().st_dev
        system.dotqmail("domain1.test", "all", "&bob@domain1.test\n")
        system.start_all()
        assert swaks(system.start_smtp(), "all@domain1.test").returncode == 0

        assert b"\nSubject: for all@domain1.test\n" in system.wait_for_mail("domain1.test", "bob")[0].read_bytes()
        wait_until(system.queue_is_empty, "an empty queue")


def mail(system: module.System, subject: str) -> "subprocess.CompletedProcess[bytes]":
    """What people type: mail -s SUBJECT bob@domain1.test."""
    nobody = pwd.getpwnam("nobody")
    rc = system.path / "mailrc"
    rc.write_text(f"set sendmail={system.bin('sendmail')}\nset sendwait\n")
    temporary = system.path / "tmp"
    temporary.mkdir(exist_ok=True)
    os.chown(temporary, nobody.pw_uid, nobody.pw_gid)
    return subprocess.run(["bsd-mailx", "-s", subject, "bob@domain1.test"], input=b"hello\n", capture_output=True, check=False,
                          timeout=60, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd="/",
                          env=system.env() | {"MAILRC": str(rc), "HOME": "/nonexistent", "USER": "nobody",
                                              "TMPDIR": str(temporary)})


def test_mail_waits_while_nothing_is_delivered(system: module.System) -> None:                           # 2-18
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_queue()

    assert (mail(system, "first").returncode, mail(system, "second").stderr) == (0, b"")
    assert system.mailbox("domain1.test", "bob") == []

    system.start_filter()
    system.start_send()
    letters = sorted(each.read_bytes() for each in system.wait_for_mail("domain1.test", "bob", 2))

    assert {re.search(rb"\nSubject: (.*)\n", each)[1] for each in letters} == {b"first", b"second"}


def test_mail_is_refused_clearly_while_nobody_takes_it(system: module.System) -> None:                   # 2-18
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_filter()
    system.start_send()
    done = mail(system, "lost?")

    assert done.returncode != 0
    assert done.stderr.startswith(b"vq-inject: no queue service at ")
    assert b"is the service `queue` up?" in done.stderr

    system.start_queue()
    assert mail(system, "not lost").returncode == 0
    letter, = system.wait_for_mail("domain1.test", "bob")

    assert b"\nSubject: not lost\n" in letter.read_bytes()


def test_nobody_puts_a_file_into_the_queue(system: module.System) -> None:                               # 2-18
    nobody = pwd.getpwnam("nobody")
    for folder in ("queue/todo", "queue/pid", "queue/intd", "queue/mess/0", "run/queue", "alias", "users", "control"):
        script = f"touch {system.home / folder}/x || ln /etc/hostname {system.home / folder}/x"
        done = subprocess.run(["sh", "-c", script], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], check=False,
                              capture_output=True)

        assert done.returncode != 0, folder


# no open relay

@pytest.mark.parametrize("recipient", [                                                                  # 2-13
    "victim@far.test", "victim%far.test@host.test", "victim%far.test", '"victim@far.test"', "victim@far.test@",
    '"victim%far.test"@host.test', "@host.test:victim@far.test", "victim@far.test@host.test", "victim@host.test@far.test",
    "far.test!victim", "far.test!victim@host.test", "host.test!victim@far.test", "victim@[192.0.2.1]", "victim@[127.0.0.1]@far.test",
    "victim%far.test@[127.0.0.1]", "@host.test,@far.test:victim@far.test", "victim@host.test.far.test", "victim@.host.test",
    "victim@far.test.", "victim@xhost.test", "victim@host.test%far.test"])
@pytest.mark.parametrize("sender", ["", "bob@host.test"])
def test_strangers_relay_nothing(relay: "tuple[module.System, int]", sender: str, recipient: str) -> None:
    system, port = relay
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
        client.mail(sender)
        code, _ = client.docmd(f"RCPT TO:<{recipient}>")
        if code == 250:
            client.data(f"Subject: {recipient}\r\n\r\nspam\r\n")
    wait_until(system.queue_is_empty, "an empty queue")

    assert " to remote " not in system.log()


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[tuple[module.System, int]]":
    system = module.System(tmp_path_factory.mktemp("relay"))
    system.control("percenthack", "host.test\n")
    system.control("smtproutes", f":127.0.0.1:{module.free_port()}\n")
    system.control("queuelifetime", "0\n")
    system.start_all()
    yield system, system.start_smtp()
    system.stop()


# addresses

BOOK = "example.com:foo\n.example.com:foo-bar\ntwo.example.com:baz\nwaldo@domain.com:qux\ndomain.com:\n:garply\n"
GOES = {                                                                                                 # 3-2 3-3 3-4
    "user@example.com": "local foo-user@example.com",
    "x@something.example.com": "local foo-bar-x@something.example.com",
    "x@two.example.com": "local baz-x@two.example.com",
    "waldo@domain.com": "local qux-waldo@domain.com",
    "other@domain.com": "remote other@domain.com",
    "someone@somewhere.org": "local garply-someone@somewhere.org",
    "joe@host.test": "local joe@host.test",
}


def test_the_six_lines_of_the_book_decide_where_mail_goes(system: module.System) -> None:
    system.control("virtualdomains", BOOK)
    system.control("smtproutes", f":127.0.0.1:{module.free_port()}\n")
    system.control("doublebounceto", "\n")
    names = ("foo", "baz", "qux", "garply", "joe")
    homes = {name: home_of(system, name, JOHN + number, **{"": f"{system.path}/{name}/Maildir/\n",
                                                             "_default": f"{system.path}/{name}/Maildir/\n"})
             for number, name in enumerate(names)}
    for number, name in enumerate(names):
        subprocess.run([system.bin("maildirmake"), homes[name] / "Maildir"], check=True, user=JOHN + number, group=JOHN + number)
    assign(system, "".join(f"={name}:{name}:{JOHN + number}:{JOHN + number}:{homes[name]}:::\n"
                           f"+{name}-:{name}:{JOHN + number}:{JOHN + number}:{homes[name]}:-::\n"
                           for number, name in enumerate(names)))
    system.start_all()
    assert system.inject("a@far.test", list(GOES), MESSAGE) == 0

    for expected in GOES.values():
        wait_until(lambda expected=expected: f" to {expected}\n" in system.log(), expected)
    for name, count in (("foo", 2), ("baz", 1), ("qux", 1), ("garply", 1), ("joe", 1)):
        assert len(mail_in(homes[name] / "Maildir", count)) == count
    assert len(re.findall("starting delivery", system.log())) == len(GOES)


@pytest.fixture
def assigned(system: module.System) -> module.System:
    """users/assign as books print it: john has his name, zeke's, and all that begins with john-."""
    john = home_of(system, "john", JOHN, **{"": "./own/\n", "_test": "./test/\n", ":zeke:": "./zeke/\n"})
    domain = home_of(system, "example.com", JOHN, _bob="./bob/\n", _default="./default/\n")
    for path in (john / "own", john / "test", john / "zeke", domain / "bob", domain / "default"):
        subprocess.run([system.bin("maildirmake"), path], check=True, user=JOHN, group=JOHN)
    system.control("virtualdomains", "example.com:example\n")
    system.control("rcpthosts", "host.test\nexample.com\n")
    system.alias("john-nobody", "./Mailbox\n")
    assign(system, f"=john:john:{JOHN}:{JOHN}:{john}:::\n=zeke:john:{JOHN}:{JOHN}:{john}::zeke:\n"
                   f"=zeko:john:{JOHN}:{JOHN}:{john}:::\n"
                   f"+john-:john:{JOHN}:{JOHN}:{john}:-::\n+example-:john:{JOHN}:{JOHN}:{domain}:-::\n")
    system.start_all()
    return system


@pytest.mark.parametrize(("recipient", "maildir"), [                                                     # 3-12 3-13 3-14
    ("john@host.test", "john/own"), ("JOHN@HOST.TEST", "john/own"), ("zeko@host.test", "john/own"),
    ("john-test@host.test", "john/test"), ("bob@example.com", "example.com/bob"), ("ann@example.com", "example.com/default")])
def test_assigned_names_get_mail(assigned: module.System, recipient: str, maildir: str) -> None:
    assert swaks(assigned.start_smtp(), recipient).returncode == 0

    assert b"\nDelivered-To: " in mail_in(assigned.path / maildir)[0]


@pytest.mark.parametrize("recipient", ["example@host.test", "john-nobody@host.test", "zeke-x@host.test", "johnny@host.test"])
def test_what_is_not_assigned_is_refused(assigned: module.System, recipient: str) -> None:               # 3-7 3-14
    done = swaks(assigned.start_smtp(), recipient)

    assert done.returncode == 24
    assert "550 5.1.1" in done.stdout


def test_a_dot_in_an_alias_is_a_colon_in_its_file(system: module.System) -> None:                        # 4-2
    system.add_domain("domain1.test", {"bob": "x", "ann": "x"})
    system.alias("nonna:papera", "&bob@domain1.test\n&ann@domain1.test\n")
    system.dotqmail("domain1.test", "nonna:papera", "&ann@domain1.test\n")
    system.start_all()
    port = system.start_smtp()
    assert swaks(port, "Nonna.Papera@host.test").returncode == 0
    system.wait_for_mail("domain1.test", "bob")
    system.wait_for_mail("domain1.test", "ann")
    assert swaks(port, "nonna.papera@domain1.test").returncode == 0
    system.wait_for_mail("domain1.test", "ann", 2)
    wait_until(system.queue_is_empty, "an empty queue")

    assert len(system.mailbox("domain1.test", "bob")) == 1


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_each_domain_has_a_name_of_its_own_at_its_own_address(system: module.System, warm: bool) -> None:
    # 0-8
    system.control("hostnames", "127.0.0.12 mail.domain1.test\n127.0.0.13 mail.domain2.test\n")
    port = system.serve("smtp", warm, [], [system.bin("vq-smtpd")], address="0.0.0.0")
    said = {}
    for address in ("127.0.0.12", "127.0.0.13", "127.0.0.14"):
        done = subprocess.run(["swaks", "--server", f"{address}:{port}", "--helo", "client.test", "--quit-after", "EHLO"],
                              capture_output=True, text=True, check=False, timeout=60)
        said[address] = re.findall(r"^<-  (220 \S+|250-mail\S+|250-host\S+|221 .*)", done.stdout, re.MULTILINE)

    assert said == {address: [f"220 {name}", f"250-{name}", f"221 2.0.0 {name}"] for address, name in (
        ("127.0.0.12", "mail.domain1.test"), ("127.0.0.13", "mail.domain2.test"), ("127.0.0.14", "host.test"))}


class Relay(oddservers.Server):
    extensions = ("AUTH PLAIN",)

    def auth(self, session: oddservers.Session, argument: str) -> "str | None":
        session.known = argument == "PLAIN AHVzZXIAcGFzc3dvcmQ="
        return "235 2.7.0 ok" if session.known else "535 5.7.8 no"

    def mail(self, session: oddservers.Session) -> "str | None":
        return "250 2.1.0 ok" if session.known else "530 5.7.0 who are you?"


def test_a_file_with_a_password_that_everybody_can_read_is_told_of_and_used(system: module.System) -> None:
    # 1-27
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(listener, "relay.test")
        path = system.home / "control/authsenders"
        path.write_text(f":127.0.0.1:{listener.getsockname()[1]}|user|password\n")
        path.chmod(0o644)
        system.add_domain("domain1.test", {"bob": "secret"})
        system.start_all()
        done = subprocess.run([system.bin("sendmail"), "-f", "bob@domain1.test", "somebody@far.test"], check=True,
                              input=b"Subject: told\n\nhello\n", capture_output=True, timeout=60)
        wait_until(lambda: relay.taken("Subject: told"), "the message")
        relay.close()

    assert done.stderr == b""
    wait_until(lambda: f"vq-remote: {path}: every user can read the passwords in it; chgrp qmail and chmod 640" in system.log(),
               "the line in the log")
    assert b"passwords" in system.run("vq-showctl").stdout.partition(b"\nauthsenders:")[2].partition(b"\n\n")[0]


def test_three_wrong_passwords_end_the_connection_and_are_logged_with_the_address(system: module.System) -> None:
    # 1-11
    system.add_domain("domain1.test", {"bob": "secret"})
    port = system.start_pop3()
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    answers = []
    for number in range(3):
        client.user("bob@domain1.test" if number else "nobody@domain1.test")
        with pytest.raises(poplib.error_proto) as refused:
            client.pass_(f"wrong {number}")
        answers.append(bytes(refused.value.args[0]))
    with pytest.raises((poplib.error_proto, OSError)):
        client.user("bob@domain1.test")
    client.close()

    assert answers == [b"-ERR [AUTH] authorization failed"] * 2 + [b"-ERR [AUTH] too many logins failed"]
    for line in (r"vq-checkpassword: .* from 127\.0\.0\.1 refused <(?:bob|nobody)@domain1\.test>",
                 r"vq-popup: .* from 127\.0\.0\.1 login failed for <(?:bob|nobody)@domain1\.test>"):
        wait_until(lambda line=line: len(re.findall(line, system.log())) == 3, line)


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_the_log_says_that_a_client_wanted_to_send_without_a_login(system: module.System, warm: bool) -> None:
    port = system.start_smtp(warm, {"SUBMISSION": "1"})
    done = swaks(port, "bob@domain1.test")
    wait_until(lambda: "end quit" in system.log(), "the end of the session")

    assert "530 5.7.0 authentication required" in done.stdout
    assert re.search(r"vq-smtpd: pid \d+ from 127\.0\.0\.1 wanted to send without a login: 530 5\.7\.0 ", system.log())


def test_a_suspended_login_neither_sends_nor_reads_and_still_gets_mail(system: module.System) -> None:
    # 4-17
    system.control("clearauth", "1\n")
    system.add_domain("domain1.test", {"bob": "secret"})
    system.start_all()
    system.start_auth()
    smtp, pop3 = system.start_smtp(), system.start_pop3()

    def may_log_in() -> "tuple[bool, bool]":
        """(for sending, for reading)"""
        sent = subprocess.run(["swaks", "--server", f"127.0.0.1:{smtp}", "--auth", "PLAIN", "--auth-user", "bob@domain1.test",
                               "--auth-password", "secret", "--helo", "client.test", "--quit-after", "AUTH"],
                              capture_output=True, text=True, check=False, timeout=60)
        read = subprocess.run(["curl", "-sS", "-u", "bob@domain1.test:secret", f"pop3://127.0.0.1:{pop3}/"],
                              capture_output=True, check=False, timeout=60)
        return sent.returncode == 0, read.returncode == 0

    assert may_log_in() == (True, True)
    assert system.run("vq-user", "suspend", "--login", "bob@domain1.test").returncode == 0
    assert may_log_in() == (False, False)
    done = swaks(smtp, "bob@domain1.test")
    assert done.returncode == 0, done.stdout
    wait_until(lambda: list((system.virtual / "domain1.test/home/bob/Maildir/new").glob("*")), "the message")
    assert system.run("vq-user", "resume", "--login", "bob@domain1.test").returncode == 0
    assert may_log_in() == (True, True)
