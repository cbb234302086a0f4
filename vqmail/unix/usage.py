"""The arguments of the commands that people type, by their usage text."""

from vqmail import codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FEW = 3                         # lines of usage that can be shown as they are


def parse(text: str, argv: "list[bytes]") -> "dict[str, Any]":
    """The arguments as docopt finds them by the usage `text`.  GiveUp, saying what fits, if they do not fit it."""
    import docopt                               # and re with it: half of a start's time

    words = [each.decode("utf-8", "surrogateescape") for each in argv[1:]]
    try:
        return docopt.docopt(text, words, default_help=False)
    except docopt.DocoptExit:
        raise codes.GiveUp(_fitting(text, words[:1])) from None


def _fitting(text: str, command: "list[str]") -> str:
    """The lines of usage for `command`; the names of the commands there are if it is none of many."""
    lines = [each.strip() for each in text.partition(":")[2].strip().partition("\n\n")[0].split("\n")]
    found = [each for each in lines if each.split()[1:2] == command]
    if found or len(lines) <= FEW:
        return "usage: " + "; ".join(found or lines)
    program = lines[0].split()[0]
    names = dict.fromkeys(each.split()[1] for each in lines)
    return "usage: %s COMMAND ..., and COMMAND is one of: %s; %s --help says more" % (
        program, " ".join(each for each in names if each != "--help"), program)
