"""Run deliveries cold (a new process each) and warm (one process for all), with the same arguments."""

import json
import os
import pathlib
import pwd
import subprocess
import typing

import pytest
import support

MESSAGE = b"Subject: hi\nX: y\n\nFrom here on\n>From there\nbody \xe9 without an end"
DTLINE = b"Delivered-To: joe@m.host.example\n"
RPLINE = b"Return-Path: <sender@far.example>\n"
DELIVERED = RPLINE + DTLINE + MESSAGE

# who reads qmail's own text of a queued message: a queue that keeps what it is given
QUEUE = """\
#!/bin/sh
cd {scratch} || exit 81
cat >queued.message
cat <&1 >queued.envelope
exit ${{QUEUE_EXIT-0}}
"""

# The warm process: each job is a line, each answer too; `left` says what a job did to the process.
DRIVER = """\
import json, os, posix, sys
sys.path.insert(0, sys.argv[1])
from vqmail.unix import chain
from vqmail.warm import registry
chain.make_resident(registry.programs())
os.umask(0o027)
def state():
    return sorted(os.listdir("/proc/self/fd")), os.getcwd(), [row for row in open("/proc/self/status")
        if row.startswith(("Umask", "SigIgn", "SigBlk", "SigCgt", "Uid", "Gid"))]
own, answers = os.dup(0), os.dup(1)
jobs = open(own, "rb", closefd=False)
for row in jobs:
    job = json.loads(row)
    argv = [bytes.fromhex(each) for each in job["argv"]]
    env = {bytes.fromhex(name): bytes.fromhex(value) for name, value in job["env"].items()}
    os.chdir(bytes.fromhex(job["directory"]))
    for target, name, flags in ((0, "message", os.O_RDONLY), (1, "output", os.O_WRONLY | os.O_APPEND),
                                (2, "errors", os.O_WRONLY | os.O_APPEND)):
        number = os.open(job[name], flags)
        os.dup2(number, target)
        os.close(number)
    before = state()
    code = chain.call(chain.resident(argv[0], b""), argv, env)
    if not argv[0].endswith(b"vq-local"):       # may leave its directory for its caller to restore
        os.chdir(bytes.fromhex(job["directory"]))
    after = state()
    left = None if before == after else repr((before, after))
    os.write(answers, json.dumps({"code": code, "left": left}).encode() + b"\\n")
"""


class Outcome:
    """What came of a delivery: the exit code, descriptor 1, descriptor 2."""

    def __init__(self, code: int, output: bytes, errors: bytes) -> None:
        self.code = code
        self.output = output
        self.errors = errors


class World:
    """Runs programs of one installation as one user, cold or warm."""

    def __init__(self, installation: support.Home, warm: bool, ids: "tuple[int, int]") -> None:
        self.installation = installation
        self.ids = ids
        root = os.geteuid() == 0
        self.who: dict[str, typing.Any] = {"user": ids[0], "group": ids[1], "extra_groups": []} if root else {}
        self.before: list[str] = []             # a command that runs ours
        self.driver: subprocess.Popen[bytes] | None = None
        if warm:
            # not `with`: it lives as long as the tests that use this world
            self.driver = subprocess.Popen(  # noqa: S603
                ["/usr/bin/python3", "-IS", "-c", DRIVER, str(installation.path / "lib")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env={}, **self.who)

    def close(self) -> None:
        """End the warm process."""
        if self.driver:
            self.driver.communicate(timeout=60)

    def run(self, argv: "list[bytes]", env: "dict[bytes, bytes]", directory: pathlib.Path, message: bytes,
            scratch: pathlib.Path) -> Outcome:
        """Run argv, whose first word is the bare name of a program, in `directory`, with a file as its 0."""
        files = {name: scratch / name for name in ("message", "output", "errors")}
        for name, path in files.items():
            path.write_bytes(message if name == "message" else b"")
            os.chown(path, *self.ids)
        argv = [os.fsencode(self.installation.bin(argv[0].decode())), *argv[1:]]
        if self.driver is None:
            with files["message"].open("rb") as zero, files["output"].open("wb") as one, files["errors"].open(
                    "wb") as two:
                code = subprocess.run([*self.before, *argv], stdin=zero, stdout=one, stderr=two, env=env,
                                      cwd=directory, check=False, timeout=120, **self.who).returncode
        else:
            job = {"argv": [each.hex() for each in argv],
                   "env": {name.hex(): value.hex() for name, value in env.items()},
                   "directory": os.fsencode(directory).hex(), **{name: str(path) for name, path in files.items()}}
            assert self.driver.stdin
            assert self.driver.stdout
            self.driver.stdin.write(json.dumps(job).encode() + b"\n")
            self.driver.stdin.flush()
            answer = json.loads(self.driver.stdout.readline())
            assert answer["left"] is None
            code = answer["code"]
        return Outcome(code, files["output"].read_bytes(), files["errors"].read_bytes())


class User:
    """A recipient with a home of their own; vq-local runs for them."""

    def __init__(self, world: World, path: pathlib.Path) -> None:
        self.world = world
        self.home = path / "joe"
        self.scratch = path / "scratch"
        for each in (self.home, self.scratch):
            each.mkdir()
            each.chmod(0o755)
            os.chown(each, *world.ids)
        for each in (path, *path.parents):
            if each.stat().st_uid == os.geteuid() and each != pathlib.Path("/"):
                each.chmod(each.stat().st_mode | 0o711)
        self.maildir("Maildir")
        self.queue = path / "queue"
        self.queue.write_text(QUEUE.format(scratch=self.scratch))
        self.queue.chmod(0o755)
        self.extra: dict[bytes, bytes] = {}

    def write(self, name: str, content: "str | bytes", mode: int = 0o600) -> pathlib.Path:
        """Write a file in the home."""
        target = self.home / name
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(mode)
        os.chown(target, *self.world.ids)
        return target

    def maildir(self, name: str) -> pathlib.Path:
        """Make a maildir in the home."""
        for each in ("", "cur", "new", "tmp"):
            folder = self.home / name / each
            folder.mkdir(mode=0o700)
            os.chown(folder, *self.world.ids)
        return self.home / name

    def deliver(self, ext: "bytes | None" = None, dash: bytes = b"-", sender: bytes = b"sender@far.example",
                domain: bytes = b"m.host.example", aliasempty: bytes = b"./Maildir/", message: bytes = MESSAGE,
                options: "tuple[bytes, ...]" = (b"--",)) -> Outcome:
        """Deliver `message` to joe, or to joe-EXT."""
        local = b"joe" if ext is None else b"joe-" + ext
        argv = [b"vq-local", *options, b"joe", os.fsencode(self.home), local, b"" if ext is None else dash, ext or b"",
                domain, sender, aliasempty]
        env = {b"PATH": b"%s/bin:/usr/bin:/bin" % os.fsencode(self.world.installation.path),
               b"QMAILQUEUE": os.fsencode(self.queue), b"DEFAULT": b"inherited"} | self.extra
        return self.world.run(argv, env, self.scratch, message, self.scratch)

    def new(self, name: str = "Maildir") -> "list[bytes]":
        """The messages in new/ of a maildir."""
        return sorted(each.read_bytes() for each in (self.home / name / "new").iterdir())

    def read(self, name: str) -> "bytes | None":
        """A file of the home, None if there is none."""
        return (self.home / name).read_bytes() if (self.home / name).exists() else None

    def envelope(self) -> "bytes | None":
        """The envelope of what was forwarded."""
        return (self.scratch / "queued.envelope").read_bytes() if (self.scratch / "queued.envelope").exists() else None

    def queued(self) -> bytes:
        """The message that was forwarded."""
        return (self.scratch / "queued.message").read_bytes()


def ids_with_a_name() -> "tuple[int, int]":
    """A user whom getpwuid knows, for helpers that insist on one."""
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


# ---- fixtures: who needs them imports them ----

@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> support.Home:
    return support.make_home(tmp_path_factory.mktemp("local") / "home")


@pytest.fixture(scope="module", params=["cold", "warm"])
def world(request: pytest.FixtureRequest, installation: support.Home) -> "typing.Iterator[World]":
    world = World(installation, request.param == "warm", ids_with_a_name())
    yield world
    world.close()


@pytest.fixture
def user(world: World, tmp_path: pathlib.Path) -> User:
    return User(world, tmp_path)


@pytest.fixture(scope="module")
def shell(installation: support.Home) -> World:
    """The same programs from a shell: their message may be a pipe, their environment is the test's."""
    return World(installation, warm=False, ids=support.single_ids())


@pytest.fixture
def joe(shell: World, tmp_path: pathlib.Path) -> User:
    return User(shell, tmp_path)
