"""vq-inject on messages as they are handed in: tests/corpus/inject, whose README has the form."""

import os
import pathlib
import re

import pytest

from vqmail import codes, vqhome
from vqmail.prog import inject
from vqmail.store import submit
from vqmail.unix import calls, chain

CORPUS = pathlib.Path(__file__).parents[2] / "corpus/inject"
CONTROLS = {"me": "me.example", "defaulthost": "host.example", "defaultdomain": "dom.example",
            "plusdomain": "plus.example", "idhost": "id.example"}
NOW = 1795238337                # Sat, 21 Nov 2026 05:18:57 UTC
NAMES = {"CR": b"\r", "NUL": b"\0", "TAB": b"\t", "SP": b" ", "NL": b"\n", "EMPTY": b""}
DATE = b"Sat, 21 Nov 2026 05:18:57 +0000"
ID = b"<20261121051857.123456789.%d.vqmail@id.example>"


def unescaped(text: bytes) -> bytes:
    """`text` with its {...} as bytes."""
    text = text.removesuffix(b"{EOF}\n") if text.endswith(b"{EOF}\n") else text
    return re.sub(rb"\{(CR|NUL|TAB|SP|NL|EMPTY|x[0-9A-F]{2})\}",
                  lambda found: NAMES.get(found[1].decode()) if found[1][:1] != b"x" else bytes.fromhex(found[1][1:].decode()),
                  text)


def words(text: bytes) -> "list[bytes]":
    return [unescaped(each) for each in text.split()]


class Case:
    """One case of the corpus."""

    def __init__(self, text: bytes) -> None:
        start, _, rest = text.partition(b"-- input\n")
        title, *settings = start.strip(b"\n").split(b"\n")
        self.title = title.decode()
        given = {}
        for each in settings:
            key, _, value = each.partition(b": ")

            assert key in (b"args", b"env", b"sender", b"to", b"error"), each
            assert key not in given, each
            given[key] = value
        self.args = words(given.get(b"args", b""))
        self.env = {b"USER": b"me"} | dict(each.split(b"=", 1) for each in words(given.get(b"env", b"")))
        unique = b"%d.%d" % (NOW, os.getpid())
        sender = unescaped(given.get(b"sender", b"me@host.example")).replace(b"UNIQUE", unique)
        self.sender = b"" if sender == b"<>" else sender
        self.recipients = words(given.get(b"to", b""))
        self.error = unescaped(given.get(b"error", b""))
        source, _, output = rest.partition(b"-- output\n")
        self.input = unescaped(source)
        added = [b"Date: DATE", b"Message-ID: ID", b"From: me@host.example"]
        lines = []
        in_body = False
        for line in output.split(b"\n"):
            if not in_body and line in (b"*", b"+"):
                lines += added[:2] if line == b"+" else added
            elif not in_body and line == b"=":
                lines += self.input.partition(b"\n\n")[0].removesuffix(b"\n").split(b"\n")
            else:
                lines.append(line)
            in_body = in_body or not line
        text = unescaped(b"\n".join(lines)).replace(b"Date: DATE\n", b"Date: " + DATE + b"\n").replace(
            b"Message-ID: ID\n", b"Message-ID: " + ID % os.getpid() + b"\n")
        self.output = text if b"\n\n" in text else text + b"\n"


def cases() -> "list[Case]":
    found = []
    for path in sorted(CORPUS.glob("*.txt")):
        found += [Case(each + b"\n") for each in
                  path.read_bytes().removeprefix(b"=== ").removesuffix(b"\n").split(b"\n=== ")]
    return found


def run(case: Case, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, piece: int = 65536) -> "tuple[int, bytes, list]":
    """Exit code, what went to the log, and what was queued."""
    (tmp_path / "control").mkdir(exist_ok=True)
    for name, value in CONTROLS.items():
        (tmp_path / "control" / name).write_text(value + "\n")
    queued = []
    real_read = calls.read
    source = [case.input]

    class Played(submit.Submission):
        def __init__(self, env) -> None:
            self.text = b""

        def write(self, data: bytes) -> None:
            self.text += data

        def finish(self, sender: bytes, recipients: "list[bytes]") -> bytes:
            self.qp = 1
            queued.append((sender, recipients, self.text))
            return b""

        def close(self) -> None:
            pass

    def read(number: int, size: int) -> bytes:
        if number:
            return real_read(number, size)
        data, source[0] = source[0][:piece], source[0][piece:]
        return data

    said = []
    monkeypatch.setattr(vqhome, "VQHOME", bytes(tmp_path))
    monkeypatch.setattr(submit, "Submission", Played)
    monkeypatch.setattr(calls, "read", read)
    monkeypatch.setattr(inject.time, "time_ns", lambda: NOW * 10**9 + 123456789)
    monkeypatch.setattr(chain.log, "line", lambda name, text: said.append(text.encode("utf-8", "surrogateescape")))
    code = chain.run(inject.main, [b"vq-inject", *case.args], dict(case.env))
    return code, b"\n".join(said), queued


@pytest.mark.parametrize("piece", [65536, 1, 7])
@pytest.mark.parametrize("case", cases(), ids=lambda each: each.title.replace(" ", "-"))
def test_corpus(case: Case, piece: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, queued = run(case, tmp_path, monkeypatch, piece)

    if case.error:
        assert (code, queued) == (codes.PERMANENT, [])
        assert case.error in said
    else:
        assert (code, said) == (codes.OK, b"")
        (sender, recipients, text), = queued
        assert text == case.output
        assert recipients == case.recipients
        assert sender == case.sender


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    titles = [each.title for each in cases()]

    assert len(titles) >= 200
    assert len(set(titles)) == len(titles), sorted(each for each in titles if titles.count(each) > 1)
