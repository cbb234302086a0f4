"""Other programs in front of vq-queue, and vq-smtpd in front of other programs: qmail-queue's interface both ways."""

import os
import pathlib
import pwd
import re
import smtplib
import subprocess
import typing

import pytest
import system as module

from vqmail.setup import hier

pytestmark = [pytest.mark.root, pytest.mark.peers]
EXAMPLES = pathlib.Path(__file__).parents[2] / "doc/examples"
TEXT = "From: a@far.test\r\nSubject: hello\r\n\r\nfirst\r\n..dots\r\nlast\r\n"
BODY = b"From: a@far.test\nSubject: hello\n\nfirst\n..dots\nlast\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """One domain with a bob, all services running."""
    system = module.System(tmp_path_factory.mktemp("site"))
    system.add_domain("domain1.test", {"bob": "one"})
    system.start_all()
    yield system
    system.stop()


def said(port: int, recipients: "list[str]", text: str = TEXT, sender: str = "a@far.test") -> "tuple[int, bytes]":
    """What the server says to a message with at least one good recipient."""
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        for each in recipients:
            code, answer = client.rcpt(each)
            assert code == 250, answer
        return client.data(text)


def uid_of(role: str) -> int:
    return pwd.getpwnam(role).pw_uid


def as_daemon() -> "list[str]":
    daemon = pwd.getpwnam(hier.DAEMON)
    return ["-u", str(daemon.pw_uid), "-g", str(daemon.pw_gid)]


def delivered(site: module.System) -> bytes:
    """bob's only message, which is removed."""
    path, = site.wait_for_mail("domain1.test", "bob")
    text = path.read_bytes()
    path.unlink()
    module.wait_until(site.queue_is_empty, "an empty queue")
    return text


def down(site: module.System) -> None:
    """Nobody answers vq-queue any more."""
    site.stop("queue")


# ---- mailfront ----

def mailfront(site: module.System, *options: str, **env: str) -> int:
    """smtpfront-qmail under Debian's tcpserver; its port."""
    if "smtp" in site.processes:
        site.stop("smtp")
    return site.serve("smtp", False, list(options) or as_daemon(), ["/usr/sbin/smtpfront-qmail"],
                      {"QMAILHOME": str(site.home), "QMAILQUEUE": site.bin("vq-queue"), **env})


def test_mailfront_in_front_of_vq_queue(site: module.System) -> None:
    code, answer = said(mailfront(site), ["bob@domain1.test"])

    assert code == 250
    assert answer.startswith(b"2.6.0 Accepted message qp ")

    head, _, body = delivered(site).partition(b"\nFrom: a@far.test\n")
    lines = head.split(b"\n")

    assert b"From: a@far.test\n" + body == BODY
    assert lines[0] == b"Return-Path: <a@far.test>"
    assert lines[1] == b"Delivered-To: bob@domain1.test"
    assert re.fullmatch(rb"Received: \(qmail [0-9]+ invoked from network\); [0-9]+ \w{3} [0-9]{4} [0-9:]{8} -0000", lines[2])
    assert lines[3].startswith(b"Received: from ")


def test_the_trace_line_says_who_really_called(site: module.System) -> None:
    said(mailfront(site, "-u", "12345", "-g", "12345"), ["bob@domain1.test"])

    assert re.search(rb"\nReceived: \(qmail [0-9]+ invoked by uid 12345\); ", delivered(site))


def test_mailfront_refuses_what_our_rcpthosts_does_not_name(site: module.System) -> None:
    port = mailfront(site)
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
        client.ehlo()
        client.mail("a@far.test")

        assert client.rcpt("x@far.test")[0] // 100 == 5
        assert client.rcpt("bob@domain1.test")[0] == 250


def test_mailfront_passes_on_that_the_service_is_down(site: module.System) -> None:
    port = mailfront(site)
    down(site)
    try:
        code, answer = said(port, ["bob@domain1.test"])
    finally:
        site.start_queue()

    assert code // 100 == 4
    assert b"4.3.0 Problem with the qmail home directory." in answer
    assert "no queue service at" in site.log()
    assert site.queue_is_empty()


def test_mailfront_passes_on_that_an_address_is_too_long(site: module.System) -> None:
    code, answer = said(mailfront(site), ["bob@domain1.test"], sender="x" * 1003 + "@far.test")

    assert (code, answer) == (554, b"5.1.3 Address too long.")
    module.wait_until(site.queue_is_empty, "an empty queue")


def test_a_large_message_by_way_of_mailfront(site: module.System) -> None:
    text = "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 20_000

    assert said(mailfront(site), ["bob@domain1.test"], text)[0] == 250
    assert delivered(site).endswith(b"\n\n" + (b"x" * 76 + b"\n") * 20_000)


# ---- qpsmtpd ----

@pytest.fixture(scope="module")
def qpsmtpd(site: module.System) -> int:
    """The port of qpsmtpd-forkserver, its queue plugin pointed at vq-queue."""
    config = site.path / "qpsmtpd"
    spool = site.path / "qpsmtpd.spool"
    for each in (config, spool):
        each.mkdir()
    spool.chmod(0o700)
    os.chown(spool, uid_of(hier.DAEMON), -1)
    for name, text in (("plugins", f"rcpt_ok\nqueue/qmail-queue {site.bin('vq-queue')}\n"), ("me", "host.test\n"),
                       ("logging", "logging/warn LOGWARN\n"), ("loglevel", "4\n"), ("rcpthosts", "domain1.test\n"),
                       ("plugin_dirs", "/usr/share/qpsmtpd/plugins\n"), ("spool_dir", f"{spool}\n")):
        (config / name).write_text(text)
    port = module.free_port()
    site.start("qpsmtpd", "/usr/bin/qpsmtpd-forkserver", "-l", "127.0.0.1", "-p", str(port), "-u", hier.DAEMON,
               "-H", env={"QPSMTPD_CONFIG": str(config)})
    module.wait_until(lambda: module._listening(port), "qpsmtpd")
    return port


def test_qpsmtpd_in_front_of_vq_queue(site: module.System, qpsmtpd: int) -> None:
    code, answer = said(qpsmtpd, ["bob@domain1.test"])

    assert code == 250
    assert answer.startswith(b"Queued! ")

    text = delivered(site)

    assert re.search(rb"\nReceived: \(qmail [0-9]+ invoked from network\); ", text)
    assert text.endswith(b"\nSubject: hello\n\nfirst\n..dots\nlast\n")


def test_qpsmtpd_passes_on_that_the_service_is_down(site: module.System, qpsmtpd: int) -> None:
    down(site)
    try:
        code, answer = said(qpsmtpd, ["bob@domain1.test"])
    finally:
        site.start_queue()

    assert (code, answer) == (451, b"Unable to queue message (61)")
    assert "no queue service at" in site.log()
    assert site.queue_is_empty()


# ---- tables made by tinycdb ----

def tinycdb(path: pathlib.Path, records: "list[tuple[bytes, bytes]]") -> None:
    """Make a table with Debian's cdb."""
    text = b"".join(b"+%d,%d:%s->%s\n" % (len(key), len(data), key, data) for key, data in records) + b"\n"
    subprocess.run(["/usr/bin/cdb", "-c", "-t", f"{path}.tmp", path], input=text, check=True, timeout=60)
    path.chmod(0o644)


def test_mail_finds_its_way_by_a_users_cdb_of_tinycdb(site: module.System) -> None:
    table = site.home / "users/cdb"
    ours = table.read_bytes()
    folder = site.path / "carol"
    folder.mkdir()
    (folder / ".qmail-x").write_text("./Mailbox\n")
    for each in (folder, folder / ".qmail-x"):
        os.chown(each, 45990, 45991)
    tinycdb(table, [(b"", b"-"), (b"!carol-", b"carol\x0045990\x0045991\0%s\0-\0" % os.fsencode(folder))])
    try:
        assert site.inject("a@far.test", ["carol-x@host.test"], BODY) == 0
        module.wait_until(site.queue_is_empty, "an empty queue")
    finally:
        table.write_bytes(ours)

    assert BODY in (folder / "Mailbox").read_bytes()
    assert ((folder / "Mailbox").stat().st_uid, (folder / "Mailbox").stat().st_gid) == (45990, 45991)


@pytest.mark.parametrize("warm", [False, True])
def test_more_rcpthosts_in_a_table_of_tinycdb(site: module.System, warm: bool) -> None:
    tinycdb(site.home / "control/morercpthosts.cdb", [(b"more.test", b""), (b".wide.test", b"")])
    if "smtp" in site.processes:
        site.stop("smtp")
    port = site.start_smtp(warm=warm)
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as client:
        client.ehlo()
        client.mail("a@far.test")
        codes = [client.rcpt(f"x@{each}")[0] for each in ("more.test", "MORE.test", "a.wide.test", "wide.test", "none.test")]

    assert codes == [250, 250, 250, 553, 553]


# ---- vq-smtpd in front of another program ----

@pytest.fixture(scope="module", params=["cold", "warm"])
def wrapped(request: pytest.FixtureRequest, site: module.System) -> "tuple[int, pathlib.Path]":
    """(the port of vq-smtpd, the program that it queues with)."""
    program = site.path / f"wrapper-{request.param}"
    script(program, "exit 71")
    if "smtp" in site.processes:
        site.stop("smtp")
    env = {"QMAILQUEUE": str(program), "VQ_QUEUE": site.bin("vq-queue"), "OUT": str(site.path / "out")}
    (site.path / "out").mkdir(exist_ok=True)
    (site.path / "out").chmod(0o777)
    return site.start_smtp(warm=request.param == "warm", env=env), program


def script(path: pathlib.Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(f"#!/bin/sh\n{text}\n")
    fresh.chmod(0o755)
    fresh.rename(path)


def test_a_shell_script_queues(site: module.System, wrapped: "tuple[int, pathlib.Path]") -> None:
    port, program = wrapped
    script(program, 'cat >"$OUT/message"; cat <&1 >"$OUT/envelope"; exit 0')
    code, answer = said(port, ["bob@domain1.test", "postmaster@host.test"])

    assert code == 250
    assert answer.startswith(b"2.0.0 ok ")
    assert (site.path / "out/envelope").read_bytes() == b"Fa@far.test\0Tbob@domain1.test\0Tpostmaster@host.test\0\0"
    assert re.fullmatch(rb"Received: from [^\n]+\n(  [^\n]+\n)+" + re.escape(BODY), (site.path / "out/message").read_bytes())


@pytest.mark.parametrize(("ending", "code", "answer"), [
    ("exit 31", 554, b"5.3.0 mail server permanently rejected message"),
    ("exit 11", 554, b"5.1.3 envelope address too long for the queue"),
    ("exit 53", 451, b"4.3.0 queue cannot write, perhaps the disk is full"),
    ("exit 71", 451, b"4.3.0 mail server temporarily rejected message"),
    ("exit 1", 451, b"4.3.0 "),
    ("kill -9 $$", 451, b"4.3.0 "),
    ("printf 'DWe do not like you (#5.7.1)' >&6; exit 82", 554, b"5.7.1 We do not like you"),
    ("printf 'ZCome back at noon (#4.7.0)' >&6; exit 82", 451, b"4.7.0 Come back at noon"),
    ("printf 'Dno code\\r\\nin here' >&6; exit 82", 554, b"5.3.0 "),
    ("exit 82", 451, b"4.3.0 "),
])
def test_what_a_script_exits_with_is_what_the_client_hears(
        wrapped: "tuple[int, pathlib.Path]", ending: str, code: int, answer: bytes) -> None:
    port, program = wrapped
    script(program, f"cat >/dev/null; cat <&1 >/dev/null; {ending}")
    heard = said(port, ["bob@domain1.test"])

    assert heard[0] == code
    assert heard[1].startswith(answer)


def test_a_script_that_reads_nothing_refuses(wrapped: "tuple[int, pathlib.Path]") -> None:
    port, program = wrapped
    script(program, "exit 31")

    assert said(port, ["bob@domain1.test"], "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 20_000)[0] == 554


def test_a_script_that_reads_nothing_cannot_accept(wrapped: "tuple[int, pathlib.Path]") -> None:
    port, program = wrapped
    script(program, "exit 0")

    assert said(port, ["bob@domain1.test"], "Subject: large\r\n\r\n" + ("x" * 76 + "\r\n") * 20_000)[0] == 451


def test_a_filter_and_then_vq_queue(site: module.System, wrapped: "tuple[int, pathlib.Path]") -> None:
    port, program = wrapped
    script(program, 'sed "s/^first/second/" | "$VQ_QUEUE"')

    # sh gives each part of the pipe the same descriptor 1 but for sed's, and that of vq-queue is the envelope
    assert said(port, ["bob@domain1.test"])[0] == 250
    assert delivered(site).endswith(b"\n\nsecond\n..dots\nlast\n")


# ---- the examples ----

@pytest.fixture(scope="module")
def spamd(site: module.System) -> int:
    """The port of a spamd that asks nobody else."""
    port = module.free_port()
    home = site.path / "spamd"
    home.mkdir()
    site.start("spamd", "/usr/sbin/spamd", "-L", "-x", "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-u", "nobody",
               "-H", str(home), "-s", "stderr", env={"HOME": str(home), "LANG": "C"})
    module.wait_until(lambda: module._listening(port), "spamd")
    return port


GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def test_the_example_for_spamassassin(site: module.System, spamd: int) -> None:
    if "smtp" in site.processes:
        site.stop("smtp")
    port = site.start_smtp(env={"QMAILQUEUE": str(EXAMPLES / "queue-spamassassin"), "SPAMD_PORT": str(spamd),
                                "QUEUE_PROGRAM": site.bin("vq-queue")})

    assert said(port, ["bob@domain1.test"], TEXT + GTUBE + "\r\n")[0] == 250
    spam = delivered(site)
    assert said(port, ["bob@domain1.test"])[0] == 250
    ham = delivered(site)

    assert b"\nX-Spam-Flag: YES\n" in spam
    assert b"X-Spam-Flag" not in ham
    assert b"\nX-Spam-Checker-Version: SpamAssassin" in ham
    assert ham.endswith(b"\n\nfirst\n..dots\nlast\n")


def test_the_example_for_spamassassin_lets_nothing_through_when_spamd_is_down(site: module.System) -> None:
    if "smtp" in site.processes:
        site.stop("smtp")
    port = site.start_smtp(env={"QMAILQUEUE": str(EXAMPLES / "queue-spamassassin"),
                                "SPAMD_PORT": str(module.free_port()), "QUEUE_PROGRAM": site.bin("vq-queue")})

    assert said(port, ["bob@domain1.test"])[0] == 451
    assert site.queue_is_empty()


class Switch:
    """The example that chooses between two homes: what is in the queue of each."""

    def __init__(self, path: pathlib.Path) -> None:
        self.homes = []
        for name in ("first", "second"):
            (path / name).mkdir()
            home = module.System(path / name)
            home.start_queue()
            self.homes.append(home)
        self.program = path / "switch"
        text = (EXAMPLES / "queue-by-sender-domain").read_text()
        for number, old in ((0, "/var/vqmail/"), (1, "/var/vqmail2/")):
            assert old in text
            text = text.replace(old, f"{self.homes[number].home}/")
        self.program.write_text(text)
        self.program.chmod(0o755)
        self.scratch = path / "scratch"
        self.scratch.mkdir(mode=0o777)
        self.scratch.chmod(0o777)

    def run(self, envelope: bytes, message: bytes = BODY) -> int:
        """Its exit code.  The message goes to its end before the envelope begins, as qmail's programs do it."""
        (message_out, message_in), (envelope_out, envelope_in) = os.pipe(), os.pipe()
        with subprocess.Popen([self.program], stdin=message_out, stdout=envelope_out, user=12345, group=12345,
                              extra_groups=[], cwd="/", env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.scratch)}) as it:
            os.close(message_out)
            os.close(envelope_out)
            for number, data in ((message_in, message), (envelope_in, envelope)):
                with open(number, "wb") as pipe:
                    pipe.write(data)
            return it.wait(60)

    def queued(self) -> "list[list[bytes]]":
        """The envelopes in the queue of each home; they are removed."""
        found = []
        for home in self.homes:
            paths = list((home.home / "queue/todo").iterdir())
            found.append([re.sub(rb"\Au[0-9]+\0p[0-9]+\0", b"", each.read_bytes()) for each in paths])
            for each in paths:
                each.unlink()
        return found

    def close(self) -> None:
        for home in self.homes:
            home.stop()


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[Switch]":
    switch = Switch(tmp_path_factory.mktemp("switch"))
    yield switch
    switch.close()


@pytest.mark.parametrize(("sender", "number"), [
    (b"ann@domain1.test", 0), (b"ann@domain2.test", 1), (b"ANN@Domain2.TEST", 1), (b"", 0), (b"#@[]", 0),
    (b"domain2.test", 0), (b"ann@domain2.test@domain1.test", 0), (b'"an n"@domain2.test', 1),
    (b"it's $(touch /x) `x` \"q\" *@domain2.test", 1), (b"-n@domain2.test", 1), (b"ann@notdomain2.test", 0),
    (b"\xff\\n@domain2.test", 1), (b"ann\n@domain2.test", 1)])
def test_the_sender_chooses_the_queue(switch: Switch, sender: bytes, number: int) -> None:
    envelope = b"F" + sender + b"\0T\"two words\"@far.test\0Tit's@far.test\0\0"
    expected: list[list[bytes]] = [[], []]
    expected[number] = [envelope[:-1]]

    assert switch.run(envelope) == 0
    assert switch.queued() == expected
    assert list(switch.scratch.iterdir()) == []


def test_a_thousand_recipients_and_a_large_message_pass_the_switch(switch: Switch) -> None:
    envelope = b"Fann@domain2.test\0" + b"".join(b"Tuser%d@far.test\0" % each for each in range(1000)) + b"\0"

    assert switch.run(envelope, BODY + b"x" * 1_000_000) == 0
    assert switch.queued() == [[], [envelope[:-1]]]


@pytest.mark.parametrize(("envelope", "code"), [
    (b"Fann@domain2.test\0Tx@far.test\0", 54), (b"Fann@domain2.test", 54), (b"", 54),
    (b"Xann@domain2.test\0Tx@far.test\0\0", 91), (b"Fann@domain2.test\0T" + b"x" * 1100 + b"\0\0", 11)])
def test_the_switch_keeps_the_exit_codes(switch: Switch, envelope: bytes, code: int) -> None:
    assert switch.run(envelope) == code
    assert switch.queued() == [[], []]
    assert list(switch.scratch.iterdir()) == []


def test_the_switch_says_when_its_queue_is_down(switch: Switch) -> None:
    switch.homes[1].stop("queue")
    try:
        assert switch.run(b"Fann@domain2.test\0Tx@far.test\0\0") == 61
        assert switch.run(b"Fann@domain1.test\0Tx@far.test\0\0") == 0
    finally:
        switch.homes[1].start_queue()
    assert switch.queued() == [[b"Fann@domain1.test\0Tx@far.test\0"], []]


def test_vq_smtpd_in_front_of_the_switch(switch: Switch) -> None:
    first, _ = switch.homes
    port = first.start_smtp(env={"QMAILQUEUE": str(switch.program)})

    assert said(port, ["postmaster@host.test"], sender="ann@domain2.test")[0] == 250
    assert said(port, ["postmaster@host.test"], sender="")[0] == 250
    assert switch.queued() == [[b"F\0Tpostmaster@host.test\0"], [b"Fann@domain2.test\0Tpostmaster@host.test\0"]]
