"""control/loginsources: who is asked about a login, in turn (doc/LOGINS.md).

    virtual                             the users of our domains
    passwd                              the users of the system, /etc/passwd and /etc/shadow
    pam SERVICE                         PAM, as /etc/pam.d/SERVICE says
    checkpassword /PATH/PROGRAM ARG...  any checkpassword program

    unknown     the next one is asked
    wrong       it is over: nobody's password is tried on somebody else of the same name further down; unless the line
                begins with the word `shared`, which says that two sources may know the same name
    trouble     it is over, for now (111): a source that cannot be asked might have known him

What a checkpassword program means by "no" cannot be told, so its no is `unknown`.
"""

from vqmail import codes
from vqmail.record import Record
from vqmail.store import control

VIRTUAL, PASSWD, PAM, PROGRAM = b"virtual", b"passwd", b"pam", b"checkpassword"
SHARED = b"shared"
SLOW = (PAM, PROGRAM)           # may take their time: a server keeps them apart
SERVICE = bytes(each for each in range(33, 127) if each not in b"/.")


class Source(Record):
    """One line.  `shared`: after a wrong password there the next one is asked, too."""

    __slots__ = ("kind", "words", "shared")
    kind: bytes
    words: "list[bytes]"
    shared: bool

    @property
    def slow(self) -> bool:
        """Whether it is somebody else's program that answers."""
        return self.kind in SLOW


def read() -> "list[Source]":
    """The sources in turn.  TryLater if a line makes no sense: without it the wrong one would be asked."""
    text = control.text_entries(b"loginsources")
    if text is None:
        return [Source(VIRTUAL, [], False)]
    found = [_source(each) for each in text]
    if not found:
        raise codes.TryLater("control/loginsources names no source: write `virtual`, or remove it")
    return found


def _source(line: bytes) -> Source:
    words = line.split()
    shared = words[:1] == [SHARED]
    kind, *rest = [*words[shared:], b""] if len(words) == shared else words[shared:]
    right = {VIRTUAL: not rest, PASSWD: not rest,
             PAM: len(rest) == 1 and not rest[0].translate(None, SERVICE),
             PROGRAM: bool(rest) and rest[0].startswith(b"/")}.get(kind, False)
    if not right:
        raise codes.TryLater("control/loginsources: %s: write virtual, passwd, pam SERVICE, or checkpassword /PROGRAM "
                             "ARGUMENTS, or one of these behind `shared`" % line.decode("utf-8", "replace"))
    return Source(kind, rest, shared)
