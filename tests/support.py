"""What tests share: an installation made for them, and ways to run its programs."""

import os
import pathlib
import subprocess

from vqmail.setup import install

# The sender in a From_ line of maildir2mbox when the message has no Return-Path: qmail's maildir2mbox writes these three
# letters, and ours writes what qmail's does, for whoever looks for them in an old mbox.
NO_SENDER = b"XXX"
SINGLE = (45001, 45001)         # who owns an installation under a single user when the tests run as root


def single_ids() -> "tuple[int, int]":
    """uid and gid of the user of a single-user installation."""
    return SINGLE if os.geteuid() == 0 else (os.getuid(), os.getgid())


def make_home(path: pathlib.Path) -> "Home":
    """An installation under a single user in `path`, with control/me and nothing else set."""
    for parent in path.parents:                 # pytest's directories are 0700: let our user through
        if parent.stat().st_uid == os.geteuid() and parent != pathlib.Path("/"):
            parent.chmod(parent.stat().st_mode | 0o711)
    install.install(path, install.Ids(single_ids()))
    home = Home(path)
    home.control("me", "host.test\n")
    home.control("loginlimits", "failures 0\n")      # who tests wrong passwords does not wait for it
    return home


class Home:
    """An installation that belongs to one test."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def control(self, name: str, text: "str | bytes") -> None:
        """Write control/`name`."""
        self.write("control/" + name, text)

    def write(self, name: str, text: "str | bytes", mode: int = 0o644) -> pathlib.Path:
        """Write a file of the home, owned by its user."""
        target = self.path / name
        for folder in reversed(target.relative_to(self.path).parents):
            if not (self.path / folder).exists():
                (self.path / folder).mkdir()
                os.chown(self.path / folder, *single_ids())
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        target.chmod(mode)
        os.chown(target, *single_ids())
        return target

    def bin(self, name: str) -> str:
        """The path of a program."""
        return str(self.path / "bin" / name)

    def run(self, argv: "list[str | bytes]", input: bytes = b"", env: "dict[str, str] | None" = None,
            **options: "object") -> "subprocess.CompletedProcess[bytes]":
        """Run a program of this home as its user, cold; argv[0] is its bare name."""
        uid, gid = single_ids()
        who = {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [self.bin(str(argv[0])), *argv[1:]], input=input, capture_output=True, timeout=120,
            env={"PATH": f"{self.path}/bin:/usr/bin:/bin"} | (env or {}), check=False, **who, **options)
