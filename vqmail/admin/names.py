"""Names of domains, as people give them and as the system has them."""

from encodings import idna

from vqmail import codes

LONGEST = 96
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
ALLOWED = LETTERS + b"0123456789-."
# What Python's IDNA, that of 2003, takes for something else than everybody does today: sharp s, final sigma, joiners
CHANGED = "\u00df\u1e9e\u03c2\u200c\u200d"


def domain(given: bytes) -> bytes:
    """The name of a domain in lower case, one of another script in its xn-- form.  GiveUp says what is wrong."""
    name = _ascii(given).lower()
    shown = given.decode("utf-8", "replace")
    if not 3 <= len(name) <= LONGEST:
        raise codes.GiveUp("%s: a domain's name has 3 to %d characters" % (shown, LONGEST))
    if name.translate(None, ALLOWED):
        raise codes.GiveUp("%s: a domain's name has letters, digits, - and . only" % shown)
    labels = name.split(b".")
    if any(not each or each.startswith(b"-") or each.endswith(b"-") or len(each) > 63 for each in labels):
        raise codes.GiveUp("%s: the parts between the dots have 1 to 63 characters, the first and last no -" % shown)
    if len(labels) < 2 or len(labels[-1]) < 2 or labels[-1].isdigit():
        raise codes.GiveUp("%s: a domain's name ends in a dot and a top level domain, such as .com" % shown)
    return name


def shown(name: bytes) -> str:
    """A domain's name for people to read: in its own script where it is one."""
    labels = []
    for each in name.decode("ascii", "replace").split("."):
        try:
            labels.append(idna.ToUnicode(each))
        except UnicodeError:
            labels.append(each)
    return ".".join(labels)


def _ascii(given: bytes) -> bytes:
    if given.isascii():
        return given
    try:
        text = given.decode("utf-8")
    except UnicodeError:
        raise codes.GiveUp("a name in another script must be given in UTF-8") from None
    for each in CHANGED:
        if each in text:
            raise codes.GiveUp("%s: %s means different things to different programs; give the name in its xn-- form" % (
                text, each))
    try:
        return b".".join(idna.ToASCII(each) for each in idna.dots.split(text))
    except UnicodeError as error:
        raise codes.GiveUp("%s cannot be a domain's name: %s" % (text, error)) from None
