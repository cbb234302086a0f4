"""Whatever a power cut leaves of vq-send's work: everybody gets the message or is spoken of in a bounce."""

import os
import pathlib
import re
import tempfile
import time

import pytest
import support
from crash import recovery, replay, test_replay

# Two lives of vq-send, with spawners that answer by the recipient's name.  What it says is what is true of the world:
# a delivery has happened before it is reported.
SCRIPT = r"""
import sys, posix, time
sys.path.insert(0, sys.argv[1])
from vqmail.dispatch import bouncer, scheduler
from vqmail.store import queue, submit
posix.umask(0o077)
now = int(time.time())
def say(text):
    posix.write(1, text)
class Spawner:
    limit = 10
    def __init__(self):
        self.waiting = []
    running = property(lambda self: len(self.waiting))
    def free(self):
        return self.running < self.limit
    def start(self, message, sender, recipient, done):
        self.waiting.append((message, recipient, done))
    def answer(self, when):
        for message, recipient, done in self.waiting[:]:
            self.waiting.pop(0)
            verdict = {b"no": b"D", b"la": b"ZZK"[when:when + 1], b"ne": b"ZZD"[when:when + 1]}.get(recipient[:2], b"K")
            if verdict == b"K":
                text = open(queue.MESS + b"/" + message, "rb").read()
                say(b"delivered " + recipient + b" " + text)
            done(verdict + b"words\n")
class Cleaner:
    def ask(self, request, done):
        number = int(request[5:])
        queue.remove(queue.split(b"mess", number) if request[:4] == b"foop" else queue.TODO + b"/%d" % number)
        done(True)
    def idle(self):
        return True
class Rules:
    def rewrite(self, address):
        return (0 if address.endswith(b"@here.test") else 1), address
    def strip_prefix(self, address):
        return address
with submit.Submission({}) as message:
    while data := posix.read(0, 65536):
        message.write(data)
    assert message.finish(b"sender@here.test", [each.encode() for each in sys.argv[2:]]) == b""
say(b"queued")
for when in (0, 1, 2):
    local, remote = Spawner(), Spawner()
    it = scheduler.Scheduler(Rules(), [local, remote], Cleaner(), bouncer.Bouncer({}), 604800,
                             5000 * any(each.startswith("lazy") for each in sys.argv))
    it.start(now + 10000 * when)
    it.look()
    it.run(now + 10000 * when)
    while local.waiting or remote.waiting:
        local.answer(when)
        remote.answer(when)
        it.look()
        it.run(now + 10000 * when)
    if when == 1:
        it.stop()                               # a clean end; the first was none
say(b"end")
"""

# plants: a place in the library of the recorded run, what stands there, what stands there then
BUGS = {
    "todo goes before info is there": ("store/queued.py", '    _write(queue.split(b"info", number), b"F%s\\0" % message.sender, message.birth)\n',
                                       ""),
    "directories of info and the channels are not synced": (
        "store/queued.py", '    durable.sync_dir(path.rpartition(b"/")[0])\n\n\ndef has_text', "\n\ndef has_text"),
    "info and the channels are not synced": (
        "store/queued.py", "(birth, birth))     # info's mtime is the arrival, and the others' the next attempt\n        "
        "durable.sync_fd(number)", "(birth, birth))"),
    "a bounce is not synced": ("store/queued.py", "fd.write_all(file, paragraph)\n            durable.sync_fd(file)",
                               "fd.write_all(file, paragraph)"),
    "a bounce's directory is not synced": ("store/queued.py", "durable.sync_dir(queue.BOUNCE)", "pass"),
    "the mark comes before the bounce": (
        "dispatch/deliveries.py", "        if letter in (b\"K\", b\"D\") and",
        "        if letter == b\"D\" and recipient.offset >= 0:\n            self._mark(each, recipient, letter)\n"
        "        if letter in (b\"K\", b\"D\") and"),
    "the bounce is forgotten before it is queued": (
        "dispatch/bouncer.py", "            envelope = bounce.envelope(", "            queued.remove_bounce(number)\n            envelope = bounce.envelope("),
}


def plant(home: pathlib.Path, bug: str) -> None:
    """Put one of BUGS into the library of this installation."""
    if bug:
        name, there, then = BUGS[bug]
        path = home / "lib/vqmail" / name
        text = path.read_text()

        assert text.count(there) == 1

        path.write_text(text.replace(there, then))
        for each in path.parent.glob(f"__pycache__/{path.stem}.*"):
            each.unlink()


class Check:
    """Recovers each state, and looks who got what"""

    def __init__(self, ground: recovery.Ground, recipients: "list[bytes]") -> None:
        self.ground = ground
        self.recipients = recipients
        self.now = int(time.time())

    def __call__(self, disk: replay.Disk) -> "str | None":
        if "queued" not in disk.said:
            return None
        delivered, bounces, left = self.ground.recover(disk.files, self.now)
        said = [each.encode("latin-1").split(b" ", 2)[1:] for each in disk.said if each.startswith("delivered ")]
        got = {who for who, text in [*said, *delivered] if test_replay.BODY in text}
        told = b"".join([*bounces, *(text for who, text in [*said, *delivered] if who == b"sender@here.test")])
        for each in self.recipients:
            if each not in got and b"<%s>:\nwords" % each not in told:
                return f"{each.decode()} has nothing and nobody knows"
        for who, text in delivered:
            if who != b"sender@here.test" and (who not in self.recipients or not text.endswith(test_replay.BODY)):
                return f"{who.decode()} got {text[:300]!r}"
        # an orphan of local/ or remote/ is no loss, and nobody obeys it
        return f"never done: {left}" if any(each.startswith(("todo", "info", "bounce")) for each in left) else None


# in todo/ and done there; in todo/ and bounced from there; written down, tried later, bounced; the sender is told that it
# waits
STORIES = {
    "delivered": [b"a@here.test", b"b@far.test"],
    "failed": [b"a@here.test", b"no@here.test"],
    "deferred": [b"a@here.test", b"later@here.test", b"no@here.test", b"never@far.test"],
    "waits": [b"a@here.test", b"lazy@here.test", b"lazy@far.test", b"no@here.test"],
    "many": [b"r%d@here.test" % each for each in range(17)] + [b"no@here.test"],
}


@pytest.mark.parametrize(("story", "bug"), [
    *((each, "") for each in STORIES),
    *(("deferred", each) for each in BUGS if "mark" not in each), ("many", "the mark comes before the bounce")])
def test_nobody_is_forgotten(home: support.Home, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, story: str,
                             bug: str) -> None:
    plant(home.path, bug)
    it = test_replay.record(home.path / "queue", ["/usr/bin/python3", "-ISB", "-c", SCRIPT, str(home.path / "lib"),
                                                     *map(os.fsdecode, STORIES[story])], tmp_path / "log",
                            input=test_replay.BODY)
    said = [each.text for each in it.calls if each.kind == "said"]

    assert "end" in said
    if not bug:                                 # the story went as it should
        assert len([each for each in said if re.match(r"delivered (a|b|later|lazy|r\d+)@", each)]) == len(
            [each for each in STORIES[story] if not each.startswith(b"n")])
        assert any(each.startswith("delivered sender@") for each in said) == any(
            each.startswith(b"n") for each in STORIES[story])
        told = [each for each in said if each.startswith("delivered sender@") and "Action: delayed" in each]
        assert len(told) == (story == "waits")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:          # thousands of states
        check = Check(recovery.Ground(pathlib.Path(memory), monkeypatch), STORIES[story])
        test_replay.judge(replay.violations(it, check), bug)
