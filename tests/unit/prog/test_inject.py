"""vq-inject: what does not depend on the shape of a header. The queue is played, descriptors are real."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.prog import inject
from vqmail.store import submit
from vqmail.unix import chain


class Played:
    """What was queued, and what the queue says."""

    def __init__(self) -> None:
        self.queued: list[tuple[bytes, list[bytes], bytes]] = []
        self.answer = b""
        self.begun = 0


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Played:
    queue = Played()

    class Submission(submit.Submission):
        def __init__(self, env) -> None:
            queue.begun += 1
            self.qp = 1
            self.text = b""

        def write(self, data: bytes) -> None:
            self.text += data

        def finish(self, sender: bytes, recipients: "list[bytes]") -> bytes:
            queue.queued.append((sender, recipients, self.text))
            return queue.answer

        def close(self) -> None:
            pass

    (tmp_path / "control").mkdir()
    (tmp_path / "control/me").write_text("me.example\n")
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    monkeypatch.setattr(submit, "Submission", Submission)
    return queue


@pytest.fixture
def run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Run it on a message; exit code, what it printed, what it logged."""
    said: list[bytes] = []
    monkeypatch.setattr(chain.log, "line", lambda name, text: said.append(text.encode("utf-8", "surrogateescape")))

    def run(message: bytes, *args: bytes, output: "pathlib.Path | None" = None, **env: str) -> "tuple[int, bytes, bytes]":
        source, target = tmp_path / "in", output or tmp_path / "out"
        source.write_bytes(message)
        saved = os.dup(0), os.dup(1)
        fds = os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY | os.O_CREAT | (0 if output else os.O_TRUNC), 0o600)
        said.clear()
        try:
            for number in (0, 1):
                os.dup2(fds[number], number)
            code = chain.run(inject.main, [b"vq-inject", *args], {
                name.encode(): os.fsencode(value) for name, value in {"USER": "me", **env}.items()})
        finally:
            for number in (0, 1):
                os.dup2(saved[number], number)
                os.close(saved[number])
                os.close(fds[number])
        return code, b"" if output else target.read_bytes(), b"\n".join(said)

    return run


WHOLE = b"Date: d\nMessage-ID: <i>\nFrom: f@x.example\nTo: joe@x.example\n\nbody\n"


def test_defaults_come_from_me(run, played) -> None:
    run(b"To: joe\nFrom: a@b\nDate: d\n\n")
    (sender, recipients, text), = played.queued

    assert (sender, recipients) == (b"me@me.example", [b"joe@me.example"])
    assert text.startswith(b"Message-ID: <") and b".vqmail@me.example>\n" in text
    assert b"\nFrom: a@b.me.example\n" in b"\n" + text


def test_without_me_nothing_goes(run, played, tmp_path) -> None:
    (tmp_path / "control/me").unlink()
    code, _, said = run(WHOLE)

    assert (code, played.begun) == (codes.TEMPORARY, 0)
    assert b"control/me" in said


def test_without_me_the_environment_will_do(run, played, tmp_path) -> None:
    (tmp_path / "control/me").unlink()
    code, _, _ = run(WHOLE, QMAILDEFAULTHOST="a.example", QMAILDEFAULTDOMAIN="b", QMAILPLUSDOMAIN="c", QMAILIDHOST="d")

    assert code == 0
    assert played.queued == [(b"me@a.example", [b"joe@x.example"], WHOLE)]


def test_the_host_of_message_ids_is_made_harmless(run, played) -> None:
    run(b"To: joe\n\n", QMAILIDHOST="a>\nBcc: b@c")

    assert b".vqmail@a?" in played.queued[0][2]
    assert b"\nBcc" not in played.queued[0][2]


def test_each_message_has_an_id_of_its_own(run, played) -> None:
    for _ in range(3):
        run(b"To: joe\n\n")

    assert len({text for _, _, text in played.queued}) == 3


def test_print(run, played) -> None:
    code, output, _ = run(WHOLE + b"more\0\xff", b"-n", b"-f", b"a b@y.example")

    assert (code, played.begun) == (0, 0)
    assert output == b'Return-Path: <"a b"@y.example>\n' + WHOLE + b"more\0\xff"


def test_print_a_message_for_nobody_from_nobody(run, played) -> None:
    code, output, _ = run(WHOLE.replace(b"To:", b"X:"), b"-n", b"-f", b"")

    assert code == 0
    assert output == b"Return-Path: <>\nCc: recipient list not shown: ;\n" + WHOLE.replace(b"To:", b"X:")


def test_print_does_not_show_bcc(run, played) -> None:
    assert b"secret" not in run(b"To: joe\nBcc: secret@x.example\n\n", b"-n")[1]


def test_print_refuses_what_cannot_be_understood(run, played) -> None:
    assert run(b"To: Joe Bloggs\n\n", b"-n")[0] == codes.PERMANENT


def test_print_to_a_full_disk(run, played) -> None:
    assert run(WHOLE, b"-n", output=pathlib.Path("/dev/full"))[0] == codes.TEMPORARY


def test_the_last_of_n_and_N_counts(run, played) -> None:
    assert run(WHOLE, b"-nN")[1] == b""
    assert run(WHOLE, b"-N", b"-n")[1] != b""
    assert played.begun == 1


@pytest.mark.parametrize(("answer", "code"), [
    (b"Dmail server permanently rejected message (#5.3.0)", 100), (b"Zqueue cannot write (#4.3.0)", 111)])
def test_what_the_queue_says(run, played, answer: bytes, code: int) -> None:
    played.answer = answer

    assert run(WHOLE)[0::2] == (code, b"fatal: " + answer[1:])


def test_a_large_body_is_copied(run, played) -> None:
    body = bytes(range(256)) * 5000
    run(WHOLE + body)

    assert played.queued[0][2] == WHOLE + body


def test_a_large_body_with_crlf(run, played) -> None:
    run(WHOLE.replace(b"\n", b"\r\n") + b"line\r\n" * 100_000)

    assert played.queued[0][2] == WHOLE + b"line\n" * 100_000


def test_a_message_that_cannot_be_read(run, played) -> None:
    code, _, said = run(WHOLE, b"-n")

    assert code == 0
    saved = os.dup(0)
    folder = os.open("/", os.O_RDONLY)
    try:
        os.dup2(folder, 0)
        code = chain.run(inject.main, [b"vq-inject"], {})
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(folder)

    assert (code, played.begun) == (codes.TEMPORARY, 0)


def test_a_header_that_is_too_large(run, played) -> None:
    code, _, said = run(b"To: joe\n" + b"X: " + b"y" * (1 << 20) + b"\n\n")

    assert (code, played.begun) == (codes.PERMANENT, 0)
    assert b"too large" in said


def test_a_large_header(run, played) -> None:
    message = WHOLE.replace(b"\n\n", b"\n" + b"X: y\n" * 200_000 + b"\n")
    run(message)

    assert played.queued[0][2] == message


def test_a_hundred_thousand_recipients(run, played) -> None:
    run(b"To: " + b",\n ".join(b"%x" % each for each in range(100_000)) + b"\n\n")

    assert len(played.queued[0][1]) == 100_000
    assert played.queued[0][1][-1] == b"1869f@me.example"


def test_one_more_is_refused(run, played) -> None:
    code, _, said = run(b"To: " + b",\n ".join(b"%x" % each for each in range(100_001)) + b"\n\n")

    assert (code, played.begun) == (codes.PERMANENT, 0)
    assert b"100000 recipients" in said


def test_what_is_hidden_far_behind_a_stray_line_is_still_seen(run, played) -> None:
    code, _, said = run(b"To: joe\nstray\n" + b"x" * 60_000 + b"\nCc: ann\n\n")

    assert (code, played.begun) == (codes.PERMANENT, 0)
    assert b"Cc: ann" in said


# ---- Mail-Followup-To ----

MFT = b"Date: d\nMessage-ID: <i>\nFrom: f@x.example\n"


@pytest.fixture
def lists(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "lists"
    path.write_text("# lists I read\nLIST@lists.example\n\nother@lists.example  \n")
    return str(path)


def test_a_message_to_a_list(run, played, lists) -> None:
    message = MFT + b'To: The List <list@lists.example>, joe\nCc: "a b"@x.example, Joe@me.example\nBcc: z\n\n'
    run(message, QMAILMFTFILE=lists)

    assert played.queued[0][2] == (
        b'Mail-Followup-To: list@lists.example,\n  joe@me.example,\n  "a b"@x.example\n' + MFT +
        b'To: The List <list@lists.example>, joe@me.example\nCc: "a b"@x.example, Joe@me.example\n\n')


@pytest.mark.parametrize("rest", [
    b"To: joe@x.example\n\n", b"To: joe@x.example\nBcc: list@lists.example\n\n",
    b"To: list@lists.example\nMail-Followup-To: me@x.example\n\n"])
def test_a_message_that_gets_no_followup(run, played, lists, rest: bytes) -> None:
    run(MFT + rest, QMAILMFTFILE=lists)

    assert played.queued[0][2] == MFT + rest.replace(b"Bcc: list@lists.example\n", b"")


def test_a_resent_message_gets_no_followup(run, played, lists) -> None:
    run(MFT + b"To: list@lists.example\nResent-To: a@x.example\n\n", QMAILMFTFILE=lists)

    assert b"Followup" not in played.queued[0][2]


def test_a_file_of_lists_that_is_not_there(run, played, tmp_path) -> None:
    assert run(WHOLE, QMAILMFTFILE=str(tmp_path / "none"))[0] == 0


def test_a_file_of_lists_that_cannot_be_read(run, played, tmp_path) -> None:
    code, _, said = run(WHOLE, QMAILMFTFILE=str(tmp_path))

    assert (code, played.begun) == (codes.TEMPORARY, 0)
    assert b"QMAILMFTFILE" in said


# ---- a reused process ----

def test_a_thousand_messages_in_one_process_leave_nothing_behind(run, played) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1000):
        code, _, _ = run(b"To: Joe Bloggs\n\n" if number % 2 else WHOLE)

        assert code == (codes.PERMANENT if number % 2 else 0)
    assert len(played.queued) == 500
    assert len(os.listdir("/proc/self/fd")) == before
