"""The arguments of the commands that people type, by what their page says in SYNOPSIS and OPTIONS."""

from vqmail import codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FEW = 3                         # lines of usage that can be shown as they are


def parse(page: "str | None", argv: "list[bytes]") -> "dict[str, Any]":
    """The arguments as docopt finds them by the page.  GiveUp, saying what fits, if they do not fit it."""
    import docopt                               # and re with it: half of a start's time

    words = [each.decode("utf-8", "surrogateescape") for each in argv[1:]]
    forms = _forms(page or "")
    text = "Usage:\n  " + "\n  ".join(forms) + "\n\nOptions:\n  " + "\n  ".join(_chapter(page or "", "OPTIONS"))
    try:
        return docopt.docopt(text, words, default_help=False)
    except docopt.DocoptExit:
        raise codes.GiveUp(_fitting(forms, words[:1])) from None


def _forms(page: str) -> "list[str]":
    """The forms of the command, one a line; on the page the longer ones take several."""
    found: list[str] = []
    for each in _chapter(page, "SYNOPSIS"):
        if found and each.split()[0] != found[0].split()[0]:
            found[-1] += " " + each
        else:
            found.append(each)
    return found


def _chapter(page: str, name: str) -> "list[str]":
    """The lines of the first paragraph of a chapter; none if there is no such chapter."""
    _, _, after = page.partition("\n" + name + " ")
    return [each.strip() for each in after.partition("\n\n")[0].split("\n")] if after else []


def _fitting(forms: "list[str]", command: "list[str]") -> str:
    """The forms for `command`; the names of the commands there are if it is none of many."""
    found = [each for each in forms if each.split()[1:2] == command]
    if found or len(forms) <= FEW:
        return "usage: " + "; ".join(found or forms)
    program = forms[0].split()[0]
    names = dict.fromkeys(each.split()[1] for each in forms)
    return "usage: %s COMMAND ..., and COMMAND is one of: %s; %s --help says more" % (
        program, " ".join(each for each in names if each != "--help"), program)
