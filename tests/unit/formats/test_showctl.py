"""Sentences about control files."""

import pytest

from vqmail.formats import showctl
from vqmail.store import control


@pytest.mark.parametrize(("name", "values", "default", "expected"), [
    (b"me", b"host.test", False, b"me: My name is host.test.\n"),
    (b"me", b"", True, b"me: (Default.) I have no name.\n"),
    (b"databytes", 0, True, b"databytes: (Default.) A message may be of any size.\n"),
    (b"databytes", 5000, False, b"databytes: A message from outside may have 5000 bytes.\n"),
    (b"apop", 1, False, b"apop: POP3 clients may log in with APOP.\n"),
    (b"locals", [], False, b"locals: No domain's mail goes to users of this host.\n"),
    (b"locals", [b"a.test", b"b.test"], False,
     b"locals:\nMail for a.test goes to users of this host.\nMail for b.test goes to users of this host.\n"),
    (b"locals", [b"host.test"], True, b"locals: (Default.)\nMail for host.test goes to users of this host.\n"),
    (b"percenthack", [b"a.test"], False, b"percenthack:\nuser%host@a.test means user@host.\n"),
    (b"smtproutes", None, False, b"smtproutes: I cannot read it.\n"),
    (b"locals", [b"a\x1b[2J\r"], False, b"locals:\nMail for a_[2J_ goes to users of this host.\n"),
    (b"authmechanisms", [], True, b"authmechanisms: (Default.) Clients are offered to log in with PLAIN and LOGIN.\n"),
    (b"authmechanisms", [], False, b"authmechanisms: Clients are offered no way to log in.\n"),
    # a file that has no sentence yet
    (b"future", b"x", False, b"future: x (100% new)\n"),
    (b"future", 7, False, b"future: 7 (100% new)\n"),
    (b"future", [b"x", b"y"], False, b"future:\nx (100% new)\ny (100% new)\n"),
    (b"future", [], True, b"future: (Default.) Nothing (100% new).\n"),
])
def test_sentence(name: bytes, values: object, default: bool, expected: bytes) -> None:
    assert showctl.text(name, "100% new", values, default=default) == expected


@pytest.mark.parametrize("name", control.TABLE)
def test_every_file_can_be_shown_whatever_it_says(name: bytes) -> None:
    kind = control.TABLE[name].kind
    for values in ([b"", b"x"] if kind == "line" else [0, 1] if kind == "number" else [[], [b"x%s"]]):
        said = showctl.text(name, control.TABLE[name].meaning, values, default=False)

        assert said.startswith(name + b":") and said.endswith(b"\n") and len(said) > len(name) + 5
