"""The command line of sendmail, as the programs of thirty years wrote it.

    without a value     -c -E -G -I -i -J -m -n -s -T -t -U -v -x
    with a value        -A -B -b -C -D -e -F -f -h -L -M -N -O -o -p -R -r -V -X, the value attached or the next word
    -d -q               a value only if it is attached

Options without a value may share a dash (-ti).  `--` ends the options; before it they may stand among the addresses,
as Postfix and msmtp read them.  Of what is accepted only these mean something:

    -bMODE   m deliver, s SMTP on 0 and 1, p list the queue, i rebuild aliases
    -f -r    the envelope sender; <> and nothing are the null sender
    -F       the full name        -t  recipients from the header, too        -I  -bi        -q  nothing to do

msmtp's --from=ADDRESS and --read-recipients are -f and -t.  Recipients may stand in one word with commas between them.
"""

from vqmail.formats import addresses, quoting
from vqmail.record import Record

FLAGS = b"cEGIiJmnsTtUvx"
VALUED = b"ABbCDeFfhLMNOopRrVX"
ATTACHED = b"dq"
DELIVER, SMTP, QUEUE, ALIASES, RUN = b"m", b"s", b"p", b"i", b"q"
UNKNOWN = "there is no option %s; put -- before an address that begins with a dash"
# modes of other mailers, and what there is instead
ELSEWHERE = {
    b"d": "the daemon is vq-start, and vq-smtpd under a tcpserver",
    b"D": "the daemon is vq-start, and vq-smtpd under a tcpserver",
    b"l": "the daemon is vq-start, and vq-smtpd under a tcpserver",
    b"v": "addresses are not verified here",
    b"t": "there are no rewriting rules to try",
}


class Options(Record):
    """What is asked for.  `sender` is None if it was not given, `name` too."""

    __slots__ = ("mode", "sender", "name", "from_header", "recipients")
    mode: bytes
    sender: "bytes | None"
    name: "bytes | None"
    from_header: bool
    recipients: "list[bytes]"


def parse(words: "list[bytes]") -> Options:
    """The options in `words`, which are the arguments.  ValueError, with text for a user, if one cannot be obeyed."""
    given: dict[bytes, bytes] = {}
    recipients = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == b"--":
            recipients += rest
            break
        if word.startswith(b"--"):
            _long(word, given)
        elif word.startswith(b"-") and word != b"-":
            _letters(word[1:], rest, given)
        else:
            recipients.append(word)
    mode = given.get(b"b", RUN if b"q" in given else ALIASES if b"I" in given else DELIVER)
    if mode not in (DELIVER, SMTP, QUEUE, ALIASES, RUN) or given.get(b"b") == RUN:
        raise ValueError("-b%s is not for this mailer: %s" % (
            _shown(mode), ELSEWHERE.get(mode, "only -bm, -bs, -bp and -bi are")))
    sender = given.get(b"f")
    if sender is not None and sender.startswith(b"<") and sender.endswith(b">"):
        sender = sender[1:-1]
    each = [one for word in recipients for one in _addresses(word)]
    return Options(mode, sender, given.get(b"F"), b"t" in given, each)


def _addresses(word: bytes) -> "list[bytes]":
    """The addresses in one argument, which is a list in a crontab with MAILTO=ann,joe."""
    if b"," not in word:
        return [word]
    found = addresses.parse(word).addresses
    return [quoting.quote(each.local + b"@" + each.domain if each.at else each.local) for each in found]


def _letters(letters: bytes, rest: "list[bytes]", given: "dict[bytes, bytes]") -> None:
    while letters:
        letter, letters = letters[:1], letters[1:]
        if letter in FLAGS:
            given[letter] = b""
        elif letter in ATTACHED:
            given[letter] = letters
            return
        elif letter in VALUED:
            if not letters and not rest:
                raise ValueError("-%s needs a value" % letter.decode())
            given[b"f" if letter == b"r" else letter] = letters or rest.pop(0)
            return
        else:
            raise ValueError(UNKNOWN % ("-" + _shown(letter)))


def _long(word: bytes, given: "dict[bytes, bytes]") -> None:
    name, equals, value = word.partition(b"=")
    if name == b"--from" and equals:
        given[b"f"] = value
    elif word == b"--read-recipients":
        given[b"t"] = b""
    else:
        raise ValueError(UNKNOWN % _shown(word))


def _shown(text: bytes) -> str:
    return text.decode("ascii", "replace")
