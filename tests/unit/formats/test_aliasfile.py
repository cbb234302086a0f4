"""Lines of a dot-qmail file, as the commands for aliases see them."""

import pytest

from vqmail.formats import aliasfile


@pytest.mark.parametrize(("line", "kind", "what"), [
    (b"&a@x.test", b"forward", b"a@x.test"), (b"a@x.test \t", b"forward", b"a@x.test"), (b"& a@x.test", b"forward", b"a@x.test"),
    (b"| virtmailfilter", b"copy", b""), (b"|/var/vqmail/bin/virtmailfilter", b"copy", b""),
    (b"| virtmailfilter delete", b"foreign", b""), (b"| virtmailfilter; rm x", b"foreign", b""),
    (b"| vq-autorespond a b", b"responder", b""), (b"| autorespond 1 2 a b", b"foreign", b""), (b"./Maildir/", b"foreign", b""),
    (b"/box", b"foreign", b""), (b"# &a@x.test", b"silent", b""), (b"+x", b"silent", b"")])
def test_kinds_of_lines(line: bytes, kind: bytes, what: bytes) -> None:
    found, = aliasfile.parse(line + b"\n")

    assert (found.kind, found.what, found.text) == (kind, what, line)


@pytest.mark.parametrize("text", [b"#\n\n&a@x.test\n\n", b"| a 'b\n./c\n+list\n&d\n"])
def test_what_is_parsed_is_written_back_to_the_byte(text: bytes) -> None:
    assert aliasfile.text(aliasfile.parse(text)) == text


def test_no_blank_line_comes_first() -> None:
    lines = aliasfile.parse(b"&a@x.test\n \n\n# b\n\n&c@x.test\n")

    assert aliasfile.text(lines[1:]) == b"# b\n\n&c@x.test\n"


@pytest.mark.parametrize("text", [b"", b"\n&a\n", b"&\n", b"&a\r\n", b"&a\0\n", b"+list\n| virtmailfilter\n"])
def test_what_delivery_refuses_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="line"):
        aliasfile.parse(text)


@pytest.mark.parametrize("arguments", [b"a b; c", b"$x y", b"a\nb", b"`a` b", b"'a b", b"'a' b", b"a&b"])
def test_nothing_for_a_shell_comes_into_a_responder(arguments: bytes) -> None:
    with pytest.raises(ValueError, match="shell"):
        aliasfile.responder(arguments)
