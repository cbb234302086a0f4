"""dot-qmail files: one delivery instruction a line (QMAIL interface 6.5).

    first byte      the line says
    (none)          nothing; but not as the first line of the file
    #               nothing
    |               run the rest with /bin/sh
    . or /          append to this mbox; deliver into this maildir if it ends with a slash
    &               forward to the rest
    +               `+list`: only forwards from here on; anything else: nothing
    other           forward to the line

Spaces and tabs at the end of a line do not count; the last line need not end in a newline.
"""

from vqmail.record import Record

LINES = 10_000                  # more than that is not a dot-qmail file

PROGRAM = b"program"
MAILDIR = b"maildir"
MBOX = b"mbox"
FORWARD = b"forward"

# What a program line may consist of to be run without a shell: words, blanks, and nothing a shell would look at twice.
PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=@%+,:- \t"


class Instruction(Record):
    """One delivery.  `allowed` is False for a program or a file where only forwards may stand."""

    __slots__ = ("kind", "what", "line", "allowed")
    kind: bytes
    what: bytes
    line: int
    allowed: bool


def parse(text: bytes, forward_only: bool = False) -> "list[Instruction]":
    """The instructions in `text`, in order.  `forward_only` says that the file's x bit is set.

    ValueError, which names the line, if the file cannot mean what its author meant.
    """
    lines = text.removesuffix(b"\n").split(b"\n")        # no text at all is a blank first line too
    if len(lines) > LINES:
        raise ValueError("it has more than %d lines" % LINES)
    found = []
    for number, each in enumerate(lines, 1):
        line = each.rstrip(b" \t")
        first = line[:1]
        if first == b"":
            if number == 1:
                raise ValueError("first line of .qmail file is blank. (#4.2.1)")
            continue
        if first == b"#":
            continue
        if line[-1:] == b"\r":                  # qmail would deliver to a file, or a user, called CR
            raise ValueError("line %d ends in CR LF; save the file with UNIX line ends (LF). (#4.3.5)" % number)
        if b"\0" in line:
            raise ValueError("line %d has a NUL in it. (#4.3.5)" % number)
        if first == b"+":
            forward_only = forward_only or line == b"+list"
        elif first == b"|":
            found.append(Instruction(PROGRAM, line[1:], number, not forward_only))
        elif first in b"./":
            found.append(Instruction(MAILDIR if line[-1:] == b"/" else MBOX, line, number, not forward_only))
        elif line == b"&":
            raise ValueError("line %d forwards to nobody. (#4.3.5)" % number)
        else:
            found.append(Instruction(FORWARD, line[1:] if first == b"&" else line, number, True))
    return found


def plain_words(command: bytes) -> "list[bytes] | None":
    """The words of a program line in which a shell has nothing to do but to split it, None for any other.

    Quotes are understood, where there is nothing in them that a shell would replace.
    """
    words: list[bytes] = []
    word: bytes | None = None                   # None between words: '' is a word
    rest = command
    while rest:
        quote, rest = rest[:1], rest[1:]
        if quote in (b"'", b'"'):
            text, end, rest = rest.partition(quote)
            if not end or b"\n" in text or (quote == b'"' and text.translate(None, b"$`\\") != text):
                return None
            word = (word or b"") + text
        elif quote in (b" ", b"\t"):
            words += [] if word is None else [word]
            word = None
        elif quote in PLAIN:
            word = (word or b"") + quote
        else:
            return None
    words += [] if word is None else [word]
    if not words or not words[0] or b"=" in words[0]:       # an assignment
        return None
    return words
