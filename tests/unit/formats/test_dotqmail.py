"""dot-qmail lines and their meanings, by hand from the interface."""

import pathlib
import random
import subprocess

import pytest

from vqmail.formats import dotqmail
from vqmail.formats.dotqmail import FORWARD, MAILDIR, MBOX, PROGRAM, Instruction


@pytest.mark.parametrize(("line", "kind", "what"), [
    (b"|cat >x", PROGRAM, b"cat >x"),
    (b"| cat", PROGRAM, b" cat"),
    (b"./Maildir/", MAILDIR, b"./Maildir/"),
    (b"/home/joe/Maildir/", MAILDIR, b"/home/joe/Maildir/"),
    (b"./Mailbox", MBOX, b"./Mailbox"),
    (b"/var/mail/joe", MBOX, b"/var/mail/joe"),
    (b"&joe@example.com", FORWARD, b"joe@example.com"),
    (b"& joe", FORWARD, b" joe"),
    (b"joe@example.com", FORWARD, b"joe@example.com"),
    (b"joe", FORWARD, b"joe"),
    (b" joe", FORWARD, b" joe"),
    (b"joe@example.com # no comment", FORWARD, b"joe@example.com # no comment"),
    (b"./a b", MBOX, b"./a b"),
    (b"\xe9@example.com", FORWARD, b"\xe9@example.com"),
])
def test_first_byte_decides(line: bytes, kind: bytes, what: bytes) -> None:
    assert [Instruction(kind, what, 1, True)] == dotqmail.parse(line + b"\n")


@pytest.mark.parametrize("line", [b"# comment", b"#", b"+list", b"+", b"+anything"])
def test_lines_that_deliver_nothing(line: bytes) -> None:
    assert dotqmail.parse(line + b"\n") == []


def test_blanks_at_the_end_do_not_count() -> None:
    assert [Instruction(MAILDIR, b"./Maildir/", 1, True)] == dotqmail.parse(b"./Maildir/ \t \n")


def test_last_line_needs_no_newline() -> None:
    assert [Instruction(FORWARD, b"a@b", 1, True), Instruction(FORWARD, b"c@d", 2, True)] == dotqmail.parse(
        b"a@b\nc@d")


def test_empty_lines_after_the_first_count_for_nothing_but_the_number() -> None:
    assert [Instruction(FORWARD, b"a@b", 1, True), Instruction(FORWARD, b"c@d", 4, True)] == dotqmail.parse(
        b"a@b\n\n \t\nc@d\n\n")


@pytest.mark.parametrize("text", [b"", b"\n", b"\n./Maildir/\n", b" \t\n./Maildir/\n"])
def test_blank_first_line_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^first line of \.qmail file is blank\. \(#4\.2\.1\)$"):
        dotqmail.parse(text)


def test_x_bit_allows_only_forwards() -> None:
    assert [(FORWARD, True), (PROGRAM, False), (MAILDIR, False), (MBOX, False)] == [
        (each.kind, each.allowed) for each in dotqmail.parse(b"a@b\n|true\n./Maildir/\n./Mailbox\n", True)]


def test_plus_list_allows_only_forwards_from_there_on() -> None:
    assert [(PROGRAM, True), (PROGRAM, False), (FORWARD, True)] == [
        (each.kind, each.allowed) for each in dotqmail.parse(b"|true\n+list \n|true\na@b\n")]


def test_other_plus_lines_change_nothing() -> None:
    assert [True] == [each.allowed for each in dotqmail.parse(b"+lists\n+List\n|true\n")]


def test_cr_lf_is_complained_about_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"^line 2 ends in CR LF; save the file with UNIX line ends \(LF\)\. "):
        dotqmail.parse(b"# made elsewhere\n./Maildir/\r\n")


def test_blank_line_of_cr_lf_is_complained_about() -> None:
    with pytest.raises(ValueError, match="line 1 ends in CR LF"):
        dotqmail.parse(b"\r\n./Maildir/\r\n")


def test_comment_with_cr_is_a_comment() -> None:
    assert dotqmail.parse(b"# x\r\n") == []


@pytest.mark.parametrize("line", [b"&", b"& \t"])
def test_forwarding_to_nobody_is_complained_about(line: bytes) -> None:
    with pytest.raises(ValueError, match="line 2 forwards to nobody"):
        dotqmail.parse(b"#\n" + line)


def test_nul_is_complained_about() -> None:
    with pytest.raises(ValueError, match="line 1 has a NUL"):
        dotqmail.parse(b"|cat\0\n")


def test_ten_thousand_lines_are_the_limit() -> None:
    assert len(dotqmail.parse(b"a@b\n" * 10_000)) == 10_000

    with pytest.raises(ValueError, match="more than 10000 lines"):
        dotqmail.parse(b"a@b\n" * 10_001)


@pytest.mark.parametrize(("command", "words"), [
    (b" virtmailfilter", [b"virtmailfilter"]),
    (b"/usr/local/bin/virtmailfilter", [b"/usr/local/bin/virtmailfilter"]),
    (b"prog -x\ta=b user@example.com", [b"prog", b"-x", b"a=b", b"user@example.com"]),
    (b"bouncesaying 'No mail, thanks! (#5.2.1) \\n $x'", [b"bouncesaying", b"No mail, thanks! (#5.2.1) \\n $x"]),
    (b"condredirect a@b grep -q \"^X-It's: [a-z]*\"", [b"condredirect", b"a@b", b"grep", b"-q", b"^X-It's: [a-z]*"]),
    (b"a ''  \"\"\t' '\"\xe9\"b", [b"a", b"", b"", b" \xe9b"]),
])
def test_plain_words(command: bytes, words: "list[bytes]") -> None:
    assert words == dotqmail.plain_words(command)


@pytest.mark.parametrize("command", [
    b"", b" ", b"A=b prog", b"prog $EXT", b"a|b", b"a;b", b"a&b", b"a>b", b"a<b", b"`a`", b"(a)", b"a # b", b"a 'b",
    b'a "b', b'a "$b"', b'a "`b`"', b'a "\\b"', b"a 'b\nc'", b"a 'b' c'd", b"'a=b' c", b"''", b"a\\b", b"a*", b"a?", b"a[b]", b"~/a", b"{a,b}", b"a\nb", b"! a", b"a^b", b"a\xe9", b"a\rb", b"a\x0bb"])
def test_what_needs_a_shell(command: bytes) -> None:
    assert dotqmail.plain_words(command) is None


def test_words_are_those_of_the_shell(tmp_path: pathlib.Path) -> None:
    chance = random.Random(822)
    pieces = ["a", "B", "9", "./", "@", "=", "-", ",", ":", "%", " ", "  ", "\t", "'", '"', "''", "!", "$x", "*", "(", ")", "#",
              ";", "|", "\\", "~", "^", "x y", "'x y'", '"x y"']
    pieces = pieces[:13] * 8 + pieces          # most lines of most people are plain
    lines = ["show " + "".join(chance.choices(pieces, k=chance.randrange(12))) for _ in range(4000)]
    understood = {line: words for line in lines if (words := dotqmail.plain_words(line.encode())) is not None}
    script = tmp_path / "script"
    script.write_text("show() { printf '<%s>' \"$@\"; printf '\\n'; }\n" + "\n".join(understood) + "\n")
    done = subprocess.run(["/bin/sh", str(script)], capture_output=True, check=True, cwd=tmp_path)
    expected = done.stdout.split(b"\n")[:-1]

    assert len(understood) > 500
    assert [b"".join(b"<%s>" % each for each in words[1:]) or b"<>" for words in understood.values()] == expected
