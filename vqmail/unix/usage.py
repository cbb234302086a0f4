"""The arguments of the commands that people type, by their usage text."""

from vqmail import codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def parse(text: str, argv: "list[bytes]") -> "dict[str, Any]":
    """The arguments as docopt finds them by the usage `text`.  GiveUp with that text if they do not fit."""
    import docopt                               # and re with it: half of a start's time

    try:
        return docopt.docopt(text, [each.decode("utf-8", "replace") for each in argv[1:]], default_help=False)
    except docopt.DocoptExit:
        raise codes.GiveUp(text.replace("\n      ", ",")) from None
