"""The arguments of the commands that people type, by their usage text."""

from vqmail import codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(text: str, argv: "list[bytes]") -> "dict[str, Any]":
    """The arguments as docopt finds them by the usage `text`.  GiveUp with the best of its lines if they do not."""
    import docopt                               # and re with it: half of a start's time

    words = [each.decode("utf-8", "surrogateescape") for each in argv[1:]]
    try:
        return docopt.docopt(text, words, default_help=False)
    except docopt.DocoptExit:
        lines = [each.strip() for each in text.partition(":")[2].split("\n") if each.strip()]
        fitting = [each for each in lines if each.split()[1:2] == words[:1]]
        raise codes.GiveUp("usage: " + "; ".join(fitting or lines)) from None
