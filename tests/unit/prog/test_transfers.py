"""vq-qmtpd and vq-qmqpd with any input: one of their exit codes, and K only for what was queued."""

import os
import subprocess
import sys
import time
import typing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vqmail.formats import objection
from vqmail.prog import qmqpd, qmtpd
from vqmail.store import reception, transfer

GOOD = {qmtpd: b"3:\nx\n,7:a@b.com,20:5:x@y.z,9:here@b.co,,", qmqpd: b"36:3:\nx\n,7:a@b.com,5:x@y.z,9:here@b.co,,"}
PIECES = st.sampled_from([b"0:,", b"1:\n,", b"2:\nx,", b"5:x@y.z,", b"7:a@b.com,", b"20:", b",", b":", b"9", b"2147483648:",
                          b"\n", b"3:a\0b,", b"17:5:x@y.z,5:x@y.z,,"])


class Queue:
    """Stands in for reception and the client: what was queued, and what was said."""

    def __init__(self, pieces: "list[bytes]") -> None:
        self.limit = 10
        self.may_send = True
        self.queued: list[tuple[bytes, bytes, list[bytes]]] = []
        self.said = b""
        self.open = 0
        self._pieces = list(pieces)

    # the client
    def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def write(self, data: bytes) -> None:
        self.said += data

    # what it may do
    def recipient(self, address: bytes) -> bytes:
        return address

    def objection(self, sender: bytes, recipient: bytes, size: int = 0) -> bytes:
        return objection.NO_GATEWAY if sender and recipient.endswith(b"z") else b""

    def close(self) -> None:
        pass


class Message:
    """Stands in for reception.Message."""

    def __init__(self, queue: Queue) -> None:
        self.submission = self
        self.size = 0
        self.qp = 7
        self._text = b""
        self._queue = queue
        queue.open += 1

    def write(self, text: bytes) -> None:
        self._text += text

    def objection(self) -> bytes:
        return b""

    def finish(self, sender: bytes, recipients: "list[bytes]") -> bytes:
        self._queue.queued.append((self._text, sender, recipients))
        return b""

    def close(self) -> None:
        self._queue.open -= 1


def run(program: "typing.Any", pieces: "list[bytes]") -> "tuple[int, Queue]":
    """The exit code of `program`, and what it did."""
    queue = Queue(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer.reception, "Settings", lambda: None)
        patch.setattr(transfer.reception, "Client", lambda settings, env: queue)
        patch.setattr(reception, "Message", lambda env, limit, trace: Message(queue))
        patch.setattr(transfer.stream, "Stream", lambda seconds, longest: queue)
        patch.setattr(transfer.control, "number", lambda name: 1200)
        patch.setattr(transfer.log, "line", lambda name, text: None)
        code = program.main([b"vq-x"], {b"RELAYCLIENT": b""})
    return code, queue


def letters(said: bytes) -> str:
    """The first byte of each answer."""
    found = ""
    while said:
        length, _, rest = said.partition(b":")
        found += rest[:1].decode()
        said = rest[int(length) + 1:]
    return found


@pytest.mark.parametrize(("program", "answers"), [(qmtpd, "DK"), (qmqpd, "K")])
def test_the_good_one(program: "typing.Any", answers: str) -> None:
    code, queue = run(program, [GOOD[program]])

    assert (code, letters(queue.said), queue.open, len(queue.queued)) == (0, answers, 0, 1)


@pytest.mark.parametrize("program", [qmtpd, qmqpd])
def test_one_byte_changed(program: "typing.Any") -> None:
    wire = GOOD[program]
    for at in range(len(wire)):
        for byte in b"09:,\n\r\0x-":
            code, queue = run(program, [wire[:at] + bytes([byte]) + wire[at + 1:]])

            assert code in (0, 1, 100, 111)
            assert ("K" in letters(queue.said)) == bool(queue.queued)
            assert queue.open == 0


@pytest.mark.parametrize("program", [qmtpd, qmqpd])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=st.lists(PIECES | st.binary(max_size=8), max_size=30))
def test_anything(program: "typing.Any", pieces: "list[bytes]") -> None:
    code, queue = run(program, [each for each in pieces if each])

    assert code in (0, 1, 100, 111)
    assert letters(queue.said).count("K") >= len(queue.queued)
    assert ("K" in letters(queue.said)) == bool(queue.queued)
    assert queue.open == 0


CUT_SHORT = """\
import sys
sys.path.insert(0, sys.argv[1])
from vqmail.prog import qmtpd
from vqmail.store import transfer
from vqmail.unix import stream
from vqmail.formats import netstring
transfer.LONGEST = 1
class Reception:
    may_send = True
    limit = 0
    def __init__(self, *rest): pass
    def close(self): pass
transfer.reception.Settings = transfer.reception.Client = Reception
transfer.Transfer.begin = lambda self: None
sys.exit(qmtpd.main([b"vq-qmtpd"], {}))
"""


def test_a_session_has_an_end_however_busy_the_client_is() -> None:
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    process = subprocess.Popen([sys.executable, "-c", CUT_SHORT, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(b"100000:\n")
    try:
        while process.poll() is None:
            process.stdin.write(b"x")
            process.stdin.flush()
            time.sleep(0.05)
    except BrokenPipeError:
        process.wait(60)
    finally:
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass

    assert (process.returncode, process.stdout.read()) == (111, b"")
    assert b"end timeout" in process.stderr.read()
    process.stdout.close()
    process.stderr.close()
