"""A line of a name in a text: found in any case of letters, and never another one's."""

import pytest

from vqmail.formats import lines

TEXT = b"# bob: of old\nBob:1:x\nann:2\nbobby:3\n#carl:4\nzoe:5"


@pytest.mark.parametrize(("name", "line"), [
    (b"bob", b"Bob:1:x"), (b"ann", b"ann:2"), (b"bobby", b"bobby:3"), (b"zoe", b"zoe:5"),
    (b"bo", None), (b"by", None), (b"carl", None), (b"#carl", None), (b"", None), (b"x", None)])
def test_a_line_is_found_by_its_name(name: bytes, line: "bytes | None") -> None:
    assert line == lines.find(TEXT, name)


def test_an_empty_text_has_no_line() -> None:
    assert lines.find(b"", b"bob") is None
