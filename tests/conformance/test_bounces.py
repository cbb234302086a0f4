"""Bounces and notices of delay through the real programs, read by those who read such things."""

import contextlib
import email
import email.message
import email.policy
import fcntl
import os
import pathlib
import re
import shutil
import struct
import subprocess
import termios
import time

import flufl.bounce
import pytest
import system as module

pytestmark = pytest.mark.root
MESSAGE = b"From: a@far.test\nSubject: hello\n\nFrom here on\n\xff <nobody@else.test>:\n--\nno newline at the end"
ASCII = b"From: a@far.test\nSubject: hello\n\nbody\n"


@pytest.fixture
def site(system: module.System) -> module.System:
    """A domain with bob; the postmaster's mail goes to ann."""
    system.add_domain("domain1.test", {"bob": "one", "ann": "x"})
    system.alias("postmaster", "&ann@domain1.test\n")
    return system


def bounce_for(site: module.System, user: str = "bob") -> bytes:
    """The one message in the Maildir of a user, as it was queued: without what its delivery put on top."""
    path, = site.wait_for_mail("domain1.test", user)
    return path.read_bytes()


def parse(text: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(text, policy=email.policy.default)


def fields(message: email.message.EmailMessage) -> "list[dict[str, str]]":
    """The groups of fields for programs."""
    return [dict(each.items()) for each in list(message.iter_parts())[1].get_payload()]


def words(text: bytes) -> "list[bytes]":
    """What a program that knows QSBMF and no MIME makes of a message, as ezmlm-return does: the recipients."""
    paragraphs = iter(re.findall(rb"(?:[^\n]+\n)*\n|(?:[^\n]+\n?)+", text))
    next(paragraphs)                            # the header

    assert next(paragraphs).startswith(b"Hi. This is the")

    found = []
    for each in paragraphs:
        if each.startswith(b"-"):
            return found
        if each.startswith(b"<"):
            found.append(each.partition(b"\n")[0][1:-2])
    raise AssertionError("no break paragraph")


def test_a_bounce_is_read_by_everybody(site: module.System) -> None:
    site.start_all()
    site.inject("bob@domain1.test", ["nobody@domain1.test", "ann@domain1.test", "no.one@host.test"], MESSAGE)
    text = bounce_for(site)
    message = parse(text)
    both = {b"nobody@domain1.test", b"no.one@host.test"}

    assert text.startswith(b"Return-Path: <>\n")
    assert (message["From"], message["To"], message["Subject"], message["Auto-Submitted"], message["MIME-Version"]) == (
        "MAILER-DAEMON@host.test", "bob@domain1.test", "failure notice", "auto-replied", "1.0")
    assert message["Date"].datetime.year >= 2024
    assert re.fullmatch(r"<\d+\.[0-9a-f]{12}\.bounce@host\.test>", message["Message-ID"])
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Content-Transfer-Encoding"] == "8bit"
    assert [each.get_content_type() for each in message.iter_parts()] == [
        "text/plain", "message/delivery-status", "message/rfc822"]
    assert [each.defects for each in message.walk()] == [[]] * len(list(message.walk()))

    about, *each = fields(message)

    assert about["Reporting-MTA"] == "dns; host.test"
    assert about["X-Vqmail-Sender"] == "rfc822; bob@domain1.test"
    assert sorted((one["Final-Recipient"], one["Action"], one["Status"]) for one in each) == [
        ("rfc822; no.one@host.test", "failed", "5.1.1"), ("rfc822; nobody@domain1.test", "failed", "5.1.1")]
    assert flufl.bounce.scan_message(email.message_from_bytes(text)) == both
    assert set(words(text)) == both
    assert message.preamble == "Hi. This is the qmail-send program at host.test."
    original = text.partition(b"\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n")[2]
    assert re.fullmatch(rb"Return-Path: <bob@domain1\.test>\nReceived: \(qmail [^\n]+\n" + re.escape(MESSAGE)
                        + rb"\n--=_[0-9a-f]{32}--\n", original)
    assert b"Received: (qmail " in text and b" invoked for bounce); " in text


def test_the_part_for_people_alone_is_qsbmf(site: module.System) -> None:
    """For a detector that takes a message apart first, and knows no delivery-status."""
    site.start_all()
    site.inject("bob@domain1.test", ["nobody@domain1.test"], ASCII)
    first = next(parse(bounce_for(site)).iter_parts())

    assert flufl.bounce.scan_message(email.message_from_bytes(b"From: x@y\n" + bytes(first))) == {b"nobody@domain1.test"}
    assert first.get_content().endswith("\n\n--- Below this line is a copy of the message.\n")


def test_an_address_with_a_line_of_its_own_shows_no_prefix(site: module.System) -> None:
    site.control("virtualdomains", "domain1.test:domain1.test\nlone@far.test:domain1.test-x\n.sub.test:domain1.test\n")
    site.dotqmail("domain1.test", "x-lone", "| echo 'Not here. (#5.1.1)'; exit 100\n")
    site.dotqmail("domain1.test", "a", "| echo 'Not here. (#5.1.1)'; exit 100\n")
    site.start_all()
    site.inject("bob@domain1.test", ["lone@far.test", "a@b.sub.test"], ASCII)
    text = bounce_for(site)

    assert flufl.bounce.scan_message(email.message_from_bytes(text)) == {b"lone@far.test", b"a@b.sub.test"}
    assert sorted(words(text)) == [b"a@b.sub.test", b"lone@far.test"]
    assert b"domain1.test-" not in text.partition(b"\n\n")[2]


@pytest.mark.peers
def test_mutt_shows_a_bounce(site: module.System, tmp_path: pathlib.Path) -> None:
    assert shutil.which("mutt"), "mutt is one of the peers that make check installs"
    site.start_all()
    site.inject("bob@domain1.test", ["nobody@domain1.test"], ASCII)
    folder = tmp_path / "folder"
    folder.write_bytes(b"From MAILER-DAEMON Sat Nov 21 05:18:57 2026\n" + bounce_for(site).replace(b"\nFrom ", b"\n>From "))
    ours, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 90, 120, 0, 0))
    mutt = subprocess.Popen(
        ["mutt", "-n", "-F", "/dev/null", "-R", "-f", str(folder), "-e", "set folder=/tmp", "-e", "push <display-message>"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env={"TERM": "vt100", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    os.close(terminal)
    os.set_blocking(ours, False)
    shown = bytearray()

    def sees(words: bytes) -> bool:
        with contextlib.suppress(BlockingIOError, OSError):
            shown.extend(os.read(ours, 65536))
        return words in shown

    try:
        module.wait_until(lambda: sees(b"no mailbox here by that name"), "the words for people")
        module.wait_until(lambda: sees(b"message/delivery-status"), "the part for programs")
        module.wait_until(lambda: sees(b"Status: 5.1.1"), "its fields")
        module.wait_until(lambda: sees(b"Subject: hello"), "the message")
    finally:
        mutt.kill()
        mutt.wait()
        os.close(ours)


def test_a_bounce_of_a_bounce_is_for_the_postmaster_and_then_it_is_enough(site: module.System) -> None:
    site.start_all()
    site.inject("nobody@domain1.test", ["no.one@domain1.test"], ASCII)
    text = bounce_for(site, "ann")
    message = parse(text)

    assert text.startswith(b"Return-Path: <#@[]>\n")
    assert message["To"] == "postmaster@host.test"
    assert words(text) == [b"nobody@domain1.test"]
    assert [each["Final-Recipient"] for each in fields(message)[1:]] == ["rfc822; nobody@domain1.test"]

    inner = list(message.iter_parts())[2].get_payload(0)
    assert inner["To"] == "nobody@domain1.test"
    assert [each["Final-Recipient"] for each in fields(inner)[1:]] == ["rfc822; no.one@domain1.test"]

    site.alias("postmaster", "&never@domain1.test\n")
    site.inject("nobody@domain1.test", ["no.one@domain1.test"], ASCII)
    module.wait_until(lambda: re.search(r"triple bounce: discarding bounce/\d+\n", site.log()), "the end")
    kept, = (site.home / "queue/lost").iterdir()
    assert b"\n--- Below this line is the original bounce.\n" in kept.read_bytes()
    kept.unlink()
    module.wait_until(site.queue_is_empty, "an empty queue")

    assert len(site.mailbox("domain1.test", "ann")) == 1


def test_double_bounces_may_be_thrown_away(site: module.System) -> None:
    site.control("doublebounceto", "\n")
    site.start_all()
    site.inject("", ["no.one@domain1.test"], ASCII)
    module.wait_until(lambda: re.search(r"double bounce: discarding bounce/\d+\n", site.log()), "the end")
    module.wait_until(site.queue_is_empty, "an empty queue")

    assert site.mailbox("domain1.test", "ann") == []


def test_hup_makes_new_limits_count(site: module.System) -> None:
    site.start_all()
    site.control("bouncemaxbytes", "20\n")
    site.control("bouncefrom", "daemon\n")
    site.processes["send"].send_signal(1)
    module.wait_until(lambda: _bounced(site), "a bounce from the new name")


def _bounced(site: module.System) -> bool:
    """A bounce, now; the signal may still be on its way when the first is written."""
    seen = len(site.mailbox("domain1.test", "bob"))
    site.inject("bob@domain1.test", ["nobody@domain1.test"], ASCII)
    module.wait_until(lambda: len(site.mailbox("domain1.test", "bob")) > seen, "a bounce")
    texts = [each.read_bytes() for each in site.mailbox("domain1.test", "bob")]
    return any(b"\nFrom: daemon@host.test\n" in each and b"\nContent-Type: text/rfc822-headers\n" in each for each in texts)


def test_a_bounce_that_cannot_be_queued_waits_and_nobody_gets_the_message_twice(site: module.System) -> None:
    site.start_all()
    go = site.path / "go"
    site.dotqmail("domain1.test", "gone", f"| until test -e {go}; do sleep 0.1; done; echo 'Gone. (#5.2.1)'; exit 100\n")
    site.inject("ann@domain1.test", ["gone@domain1.test", "bob@domain1.test"], ASCII)
    module.wait_until(lambda: "success: " in site.log(), "one delivery")
    site.stop("queue")
    go.touch()
    module.wait_until(lambda: "warning: trouble injecting bounce message" in site.log(), "trouble")
    site.stop("send")

    assert site.mailbox("domain1.test", "ann") == []

    site.start_queue()
    site.start_send()
    text = bounce_for(site, "ann")
    module.wait_until(site.queue_is_empty, "an empty queue")

    assert words(text) == [b"gone@domain1.test"]
    assert len(site.mailbox("domain1.test", "bob")) == 1
    assert site.log().count("bounce msg ") == 1


def _restart_at_age(site: module.System, age: int, off: int = 0) -> None:
    """Stop vq-send, and start it, `off` seconds later by its clock, when the one message has that age and is due."""
    def files(part: str) -> "list[pathlib.Path]":
        return [each for each in (site.home / "queue" / part).rglob("*") if each.is_file()]

    # of a notice that is there vq-send may not know yet that it was delivered
    module.wait_until(lambda: [len(files(part)) for part in ("todo", "info", "local")] == [0, 1, 1], "one message alone")
    site.stop("send")
    then = time.time() - age
    for part in ("info", "local"):
        file, = files(part)
        os.utime(file, (then, then))
    mutex = site.home / "queue/lock/sendmutex"
    assert time.time() - mutex.stat().st_mtime < 300
    os.utime(mutex, (time.time() - off, time.time() - off))
    site.start_send()


def test_the_end_of_the_lifetime_is_one_bounce_and_before_it_comes_one_notice(site: module.System) -> None:
    site.control("queuewarn", "400\n")
    site.control("queuelifetime", "1000\n")
    site.start_all()
    site.dotqmail("domain1.test", "later", "| echo 'Not now. (#4.2.2)'; exit 111\n")
    site.inject("bob@domain1.test", ["later@domain1.test"], ASCII)
    module.wait_until(lambda: "deferral: Not_now._(#4.2.2)/" in site.log(), "a deferral")
    _restart_at_age(site, 450)
    notice = bounce_for(site)
    message = parse(notice)

    assert (message["Subject"], message["Auto-Submitted"]) == ("delivery delayed: still trying", "auto-replied")
    assert [each.get_content_type() for each in message.iter_parts()] == [
        "text/plain", "message/delivery-status", "text/rfc822-headers"]
    assert [(each["Final-Recipient"], each["Action"], each["Status"], "Will-Retry-Until" in each)
            for each in fields(message)[1:]] == [("rfc822; later@domain1.test", "delayed", "4.2.2", True)]
    assert flufl.bounce.all_failures(email.message_from_bytes(notice)) == ({b"later@domain1.test"}, set())
    assert flufl.bounce.scan_message(
        email.message_from_bytes(b"From: x@y\n" + bytes(next(message.iter_parts())))) == set()

    _restart_at_age(site, 900)
    module.wait_until(lambda: site.log().count("deferral: ") == 3, "one more attempt")

    assert site.log().count("delay msg ") == 1

    _restart_at_age(site, 1001)
    module.wait_until(lambda: len(site.mailbox("domain1.test", "bob")) == 2, "the bounce")
    module.wait_until(site.queue_is_empty, "an empty queue")
    last, = (text for each in site.mailbox("domain1.test", "bob") if (text := each.read_bytes()) != notice)

    assert site.log().count("delay msg ") == 1
    assert site.log().count("bounce msg ") == 1
    assert words(last) == [b"later@domain1.test"]
    assert [each["Status"] for each in fields(parse(last))[1:]] == ["5.4.7"]
    assert (b"\n<later@domain1.test>:\nNot now. (#4.2.2)\n"
            b"I'm not going to try again; this message has been in the queue too long.\n\n") in last


def test_what_waited_while_the_machine_was_off_or_its_clock_wrong_is_tried_again_before_it_comes_back(site: module.System) -> None:
    site.start_all()
    site.dotqmail("domain1.test", "later", "| echo 'Not now. (#4.2.2)'; exit 111\n")
    site.inject("bob@domain1.test", ["later@domain1.test"], ASCII)
    module.wait_until(lambda: "deferral: Not_now._(#4.2.2)/" in site.log(), "a deferral")
    _restart_at_age(site, 800_000, off=799_000)
    module.wait_until(lambda: site.log().count("deferral: ") == 2, "the second attempt")
    site.processes["send"].send_signal(module.signal.SIGALRM)
    module.wait_until(lambda: site.log().count("deferral: ") == 3, "the third attempt")

    assert "alert: the clock has jumped, or vq-send did not run: it is " in site.log()
    assert "bounce msg" not in site.log()
    assert site.mailbox("domain1.test", "bob") == []

    site.processes["send"].send_signal(module.signal.SIGALRM)
    assert words(bounce_for(site)) == [b"later@domain1.test"]
