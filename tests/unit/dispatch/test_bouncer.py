"""Bounces and notices to the byte, as they are handed to the queue."""

import pathlib
import tracemalloc

import pytest

from vqmail import codes
from vqmail.dispatch import bouncer
from vqmail.store import control, lost, queue, submit
from vqmail.unix import calls

BIRTH = 1_795_238_337           # 21 Nov 2026 05:18:57
CONTROL = {b"me": b"here.test"}


class Submission:
    """Keeps what is queued."""

    def __init__(self, queued: "list[tuple[bytes, list[bytes], bytes]]", answer: bytes) -> None:
        self.qp = 4711
        self._queued = queued
        self._answer = answer
        self._text: list[bytes] = []

    def __enter__(self) -> "Submission":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, data: bytes) -> None:
        self._text.append(data)

    def finish(self, sender: bytes, recipients: "list[bytes]") -> bytes:
        self._queued.append((sender, recipients, b"".join(self._text)))
        return self._answer


class World:
    """A queue with message 26, and control files."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.control = dict(CONTROL)
        self.queued: list[tuple[bytes, list[bytes], bytes]] = []
        self.answer = b""
        (path / "bounce").mkdir()
        (path / "mess/3").mkdir(parents=True)
        self.message(b"Received: (qmail 1 invoked by uid 7); 21 Nov 2026 05:18:57 -0000\nSubject: x\n\nbody\n")

    def message(self, text: bytes) -> None:
        (self.path / "mess/3/26").write_bytes(text)

    def failed(self, recipient: bytes, report: bytes) -> None:
        bouncer.Bouncer({}).add(26, recipient, report)

    def send(self, sender: bytes) -> "list[bytes]":
        return bouncer.Bouncer({}).send(26, sender, BIRTH)

    def bounce_left(self) -> bool:
        return (self.path / "bounce/26").exists()

    def text(self) -> bytes:
        """The one message that was queued."""
        (_, _, text), = self.queued
        return text


@pytest.fixture
def world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(queue, "QUEUE", str(tmp_path).encode())
    monkeypatch.setattr(queue, "BOUNCE", str(tmp_path).encode() + b"/bounce")
    monkeypatch.setattr(lost, "LOST", str(tmp_path).encode() + b"/lost")
    monkeypatch.setattr(control, "read", world.control.get)
    monkeypatch.setattr(submit, "Submission", lambda _env: Submission(world.queued, world.answer))
    monkeypatch.setattr(calls, "urandom", lambda size: bytes(range(size)))
    monkeypatch.setattr(bouncer.time, "time", lambda: BIRTH + 60.5)
    return world


HEADER = b"""\
Date: 21 Nov 2026 05:19:57 -0000
From: MAILER-DAEMON@here.test
To: s@x
Subject: failure notice
Message-ID: <1795238397.000102030405.bounce@here.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="=_000102030405060708090a0b0c0d0e0f"

"""
BOUNCE = HEADER + b"""\
Hi. This is the qmail-send program at here.test.
--=_000102030405060708090a0b0c0d0e0f
Content-Type: text/plain; charset=us-ascii

Hi. This is the qmail-send program at here.test.
Your message could not be delivered to the addresses below, and I have given up.
What each of them answered follows its name.

<a@b>:
no such user (#5.1.1)

<c@d>:
192.0.2.1 does not like recipient.
Remote host said: 554 5.7.1 no
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

--=_000102030405060708090a0b0c0d0e0f
Content-Type: message/delivery-status

Reporting-MTA: dns; here.test
Arrival-Date: 21 Nov 2026 05:18:57 -0000
X-Vqmail-Queue-ID: 26
X-Vqmail-Sender: rfc822; s@x

Final-Recipient: rfc822; a@b
Action: failed
Status: 5.1.1

Final-Recipient: rfc822; c@d
Action: failed
Status: 5.7.1
Remote-MTA: dns; [192.0.2.1]
Diagnostic-Code: smtp; 554 5.7.1 no

--=_000102030405060708090a0b0c0d0e0f
Content-Type: message/rfc822

Return-Path: <s@x>
Received: (qmail 1 invoked by uid 7); 21 Nov 2026 05:18:57 -0000
Subject: x

body

--=_000102030405060708090a0b0c0d0e0f--
"""


def test_a_bounce_to_the_byte(world: World) -> None:
    world.failed(b"a@b", b"no such user (#5.1.1)\n")
    world.failed(b"c@d", b"192.0.2.1 does not like recipient.\nRemote host said: 554 5.7.1 no\nGiving up on 192.0.2.1.\n")

    assert world.send(b"s@x") == [b"bounce msg 26 qp 4711\n"]
    assert world.queued == [(b"", [b"s@x"], BOUNCE)]
    assert not world.bounce_left()


def test_nobody_failed(world: World) -> None:
    assert (world.send(b"s@x"), world.queued) == ([], [])


def test_a_double_bounce_to_the_byte(world: World) -> None:
    world.control |= {b"doublebounceto": b"trash", b"doublebouncehost": b"far.test", b"bouncefrom": b"daemon",
                      b"bouncehost": b"mx.here.test"}
    world.failed(b"s@x", b"no\n")
    text = BOUNCE[:BOUNCE.index(b"<a@b>")]
    text = text.replace(b"To: s@x", b"To: trash@far.test").replace(b"MAILER-DAEMON@", b"daemon@").replace(
        b"here.test", b"mx.here.test").replace(
        b"Your message could not be delivered to the addresses below, and I have given up.\n"
        b"What each of them answered follows its name.\n", b"A bounce that I sent could not be delivered.\n")

    assert world.send(b"") == [b"bounce msg 26 qp 4711\n"]
    assert [each[:2] for each in world.queued] == [(b"#@[]", [b"trash@far.test"])]
    assert world.text().startswith(text + b"<s@x>:\nno\n\n--- Below this line is the original bounce.\n\n--=_")
    assert b"X-Vqmail-Sender: rfc822; \n\nFinal-Recipient: rfc822; s@x\nAction: failed\nStatus: 5.0.0\n" in world.text()
    assert b"\nContent-Type: message/rfc822\n\nReturn-Path: <>\nReceived: " in world.text()


def test_a_triple_bounce_is_kept_for_the_postmaster_and_logged(world: World) -> None:
    (world.path / "lost").mkdir()
    world.failed(b"postmaster@here.test", b"no\n")
    said = world.send(b"#@[]")
    kept, = (world.path / "lost").iterdir()
    text = kept.read_bytes()

    assert said == [b"triple bounce: discarding bounce/26\n", b"alert: a bounce that even the postmaster did not get is kept in "
                    b"%s; see control/doublebounceto\n" % bytes(kept)]
    assert (world.queued, world.bounce_left()) == ([], False)
    assert b"\nTo: postmaster@here.test\nSubject: failure notice\n" in text
    assert b"\n<postmaster@here.test>:\nno\n\n--- Below this line is the original bounce.\n" in text
    assert b"\nReturn-Path: <#@[]>\nReceived: (qmail 1 invoked by uid 7); 21 Nov 2026 05:18:57 -0000\nSubject: x\n\nbody\n" in text
    assert kept.stat().st_mode & 0o777 == 0o600


def test_of_triple_bounces_the_last_hundred_are_kept_and_not_much_of_each(world: World) -> None:
    (world.path / "lost").mkdir()
    for number in range(105):
        (world.path / "lost" / f"1000000{number:03}.1").touch()
    world.message(b"Subject: x\n\n" + b"x" * 1_000_000)
    world.failed(b"postmaster@here.test", b"no\n")
    world.send(b"#@[]")
    names = sorted(each.name for each in (world.path / "lost").iterdir())

    assert (len(names), names[0]) == (100, "1000000006.1")
    assert (world.path / "lost" / names[-1]).stat().st_size < 3000
    assert not world.bounce_left()


def test_a_triple_bounce_without_a_place_for_it_is_thrown_away_and_logged(world: World) -> None:
    world.failed(b"postmaster@here.test", b"no\n")

    assert world.send(b"#@[]") == [b"triple bounce: discarding bounce/26\n", (
        b"alert: a bounce that even the postmaster did not get is lost: no queue/lost; run setup\n")]
    assert (world.queued, world.bounce_left()) == ([], False)


@pytest.mark.parametrize("sender", [b"", b"-@[]"])
def test_double_bounces_for_nobody_are_thrown_away_and_logged(world: World, sender: bytes) -> None:
    world.control[b"doublebounceto"] = b"\n"
    world.failed(b"s@x", b"no\n")

    assert world.send(sender) == [b"double bounce: discarding bounce/26\n"]
    assert (world.queued, world.bounce_left()) == ([], False)


def test_the_sender_of_a_list_hears_at_the_address_before_its_suffix(world: World) -> None:
    world.failed(b"a@b", b"no\n")
    world.send(b"list-@lists.test-@[]")

    assert world.queued[0][:2] == (b"", [b"list-@lists.test"])
    assert b"\nTo: list-@lists.test\n" in world.text()
    assert b"\nReturn-Path: <list-@lists.test>\n" in world.text()


@pytest.mark.parametrize(("report", "message", "sender", "declared"), [
    (b"caf\xc3\xa9", b"Subject: x\n\nb\n", b"s@x", [b"header", b"text/plain; charset=utf-8"]),
    (b"no", b"Subject: x\n\n\xff\n", b"s@x", [b"header", b"message/rfc822"]),
    (b"no", b"Subject: x\n\nb\n", b"s\xff@x", [b"header", b"message/rfc822"]),
])
def test_eight_bits_are_declared_where_they_are(world: World, report: bytes, message: bytes, sender: bytes,
                                                declared: "list[bytes]") -> None:
    world.message(message)
    world.failed(b"a@b", report)
    world.send(sender)
    header, _, body = world.text().partition(b"\n\n")
    found = [b"header"] if header.endswith(b"\nContent-Transfer-Encoding: 8bit") else []
    found += [each.partition(b"\nContent-Type: ")[2].partition(b"\n")[0] for each in body.split(b"\n--=_")[1:]
              if b"\nContent-Transfer-Encoding: 8bit\n\n" in each]

    assert found == declared


LARGE = b"Subject: x\nX-Long: " + b"y" * 100 + b"\n\n" + b"body\n" * 100


@pytest.mark.parametrize(("limit", "kind", "rest"), [
    (b"0", b"message/rfc822", LARGE),
    (b"%d" % len(LARGE), b"message/rfc822", LARGE),
    (b"%d" % (len(LARGE) - 1), b"text/rfc822-headers", LARGE[:120]),
    (b"60", b"text/rfc822-headers", b"Subject: x\n"),
])
def test_what_is_longer_than_bouncemaxbytes_comes_back_as_its_header(world: World, limit: bytes, kind: bytes,
                                                                    rest: bytes) -> None:
    world.control[b"bouncemaxbytes"] = limit
    world.message(LARGE)
    world.failed(b"a@b", b"no\n")
    world.send(b"s@x")
    words = b"copy of the message" if kind == b"message/rfc822" else b"copy of the mail header"

    assert b"\n\n--- Below this line is a %s.\n\n--=_" % words in world.text()
    assert world.text().endswith(b"\nContent-Type: %s\n\nReturn-Path: <s@x>\n%s"
                                 b"\n--=_000102030405060708090a0b0c0d0e0f--\n" % (kind, rest))


def test_a_message_without_a_last_newline_comes_back_without_one(world: World) -> None:
    world.message(b"Subject: x\n\nno newline")
    world.failed(b"a@b", b"no\n")
    world.send(b"s@x")

    assert world.text().endswith(b"\n\nno newline\n--=_000102030405060708090a0b0c0d0e0f--\n")


def test_boundaries_are_never_the_same_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    each = bouncer.Bouncer.__new__(bouncer.Bouncer)
    boundaries = {each._boundary() for _ in range(100)}

    assert len(boundaries) == 100
    assert {len(each) for each in boundaries} == {34}


def test_a_bounce_that_the_queue_refuses_stays_to_be_sent(world: World) -> None:
    world.failed(b"a@b", b"no\n")
    world.answer = b"Zthe disk is full (#4.3.0)"

    with pytest.raises(OSError, match="the disk is full"):
        world.send(b"s@x")
    assert world.bounce_left()


def test_a_queue_that_is_not_there_is_trouble(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_env: object) -> None:
        raise codes.TryLater("no queue service")

    monkeypatch.setattr(submit, "Submission", none)
    world.failed(b"a@b", b"no\n")

    with pytest.raises(OSError, match="no queue service"):
        world.send(b"s@x")
    assert world.bounce_left()


def test_a_large_message_and_many_recipients_are_never_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.message(b"Subject: x\n\n" + b"x" * 79 * 1_000_000)
    (world.path / "bounce/26").write_bytes(b"<someone@far.test>:\nno such user (#5.1.1)\n\n" * 100_000)
    monkeypatch.setattr(Submission, "write", lambda _self, data: sizes.append(len(data)))
    sizes: list[int] = []
    tracemalloc.start()
    try:
        world.send(b"s@x")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(sizes) > 79 * 1_000_000 + 10_000_000
    assert peak < 2_000_000


NOTICE = HEADER.replace(b"failure notice", b"delivery delayed: still trying") + b"""\

--=_000102030405060708090a0b0c0d0e0f
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered yet to the addresses below.
There is no need to send it again: the host here.test
will try until 28 Nov 2026 05:18:57 -0000, and tell you if it gives up.

    a@b
        busy (#4.4.2)

    c@d


--=_000102030405060708090a0b0c0d0e0f
Content-Type: message/delivery-status

Reporting-MTA: dns; here.test
Arrival-Date: 21 Nov 2026 05:18:57 -0000
X-Vqmail-Queue-ID: 26
X-Vqmail-Sender: rfc822; s@x

Final-Recipient: rfc822; a@b
Action: delayed
Status: 4.4.2
Will-Retry-Until: 28 Nov 2026 05:18:57 -0000

Final-Recipient: rfc822; c@d
Action: delayed
Status: 4.0.0
Will-Retry-Until: 28 Nov 2026 05:18:57 -0000

--=_000102030405060708090a0b0c0d0e0f
Content-Type: text/rfc822-headers

Return-Path: <s@x>
Received: (qmail 1 invoked by uid 7); 21 Nov 2026 05:18:57 -0000
Subject: x

--=_000102030405060708090a0b0c0d0e0f--
"""
WAITING = [(b"a@b", b"busy (#4.4.2)\n"), (b"c@d", b"")]


def test_a_notice_of_delay_to_the_byte(world: World) -> None:
    lines = bouncer.Bouncer({}).delay(26, b"s@x", BIRTH, BIRTH + 604_800, WAITING)

    assert lines == [b"delay msg 26 qp 4711\n"]
    assert world.queued == [(b"", [b"s@x"], NOTICE)]


@pytest.mark.parametrize(("sender", "header"), [
    (b"", b"Subject: x\n"), (b"#@[]", b"Subject: x\n"), (b"list-@lists.test-@[]", b"Subject: x\n"),
    (b"s@x", b"Precedence: bulk\n"), (b"s@x", b"List-Id: <l.lists.test>\n"), (b"s@x", b"Auto-Submitted: auto-replied\n"),
])
def test_lists_and_programs_hear_of_no_delay(world: World, sender: bytes, header: bytes) -> None:
    world.message(header + b"\nbody\n")

    assert bouncer.Bouncer({}).delay(26, sender, BIRTH, BIRTH + 604_800, WAITING) == []
    assert world.queued == []
