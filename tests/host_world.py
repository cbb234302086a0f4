"""host.test and domains with virtual users in a directory, looked up in this process: for tests of what is decided there."""

import pathlib

import pytest

from vqmail import vqhome
from vqmail.formats import assign
from vqmail.store import cdb, users


class World:
    """host.test is local: joe, and alias for the rest.  Each of `owners` has a home of that name and, in users/cdb, what
    begins with it and a dash; x.test of each of `virtual` has an etc/ for its users."""

    def __init__(self, path: pathlib.Path, patch: pytest.MonkeyPatch, owners: str, virtual: str) -> None:
        self.path = path
        patch.setattr(vqhome, "VQHOME", bytes(path))
        patch.setattr(users, "PATH", bytes(path / "users/cdb"))
        for name in ("control", "users", "alias", "joe", *owners, *(f"virtual/{each}.test/etc" for each in virtual)):
            (path / name).mkdir(parents=True)
            (path / name).chmod(0o755)
        self.write("control/me", "host.test\n")
        self.write("control/virtualroot", f"{path}/virtual\n")
        self.assign(*owners)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file of the world's."""
        (self.path / name).write_text(text)
        (self.path / name).chmod(mode)

    def assign(self, *owners: str) -> None:
        """users/cdb of joe, of alias, and of owners with a home of their name; their uids are 2002 and the next ones."""
        lines = []
        for uid, name in enumerate(("joe", *owners), 2001):
            lines += [f"={name}:{name}:{uid}:{uid}:{self.path}/{name}:::", f"+{name}-:{name}:{uid}:{uid}:{self.path}/{name}:-::"]
        lines += [f"+:alias:2999:2999:{self.path}/alias:-::", "."]
        cdb.make(users.PATH, assign.records([each.encode() for each in lines]), 0o644)
