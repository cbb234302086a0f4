"""Make the manual pages: a program's docstring is its page, and the table of control files is another.

usage: python -m vqmail.setup.man FOLDER
"""

import ast
import pathlib
import sys

from vqmail.setup import install
from vqmail.store import control

SOURCE = pathlib.Path(__file__).parent.parent
# the words that begin a section at the start of a line
SECTIONS = ("SYNOPSIS", "READS", "WRITES", "ENVIRONMENT", "CONTROL FILES", "FILES", "SIGNALS", "EXIT", "RUNS AS",
            "SECURITY", "STANDARDS")


def page_of(module: str) -> str:
    """The docstring of vqmail.`module`, without importing it."""
    text = (SOURCE / (module.replace(".", "/") + ".py")).read_text()
    return ast.get_docstring(ast.parse(text), clean=True) or ""


def escaped(line: str) -> str:
    """`line` as troff text."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + line if line.startswith((".", "'")) else line


def sections(page: str) -> "list[tuple[str, list[str]]]":
    """(heading, lines) of a page; the first part has the heading of its program's name."""
    first, *rest = page.split("\n")
    found: list[tuple[str, list[str]]] = [("NAME", [first])]
    for line in rest:
        heading = next((each for each in SECTIONS if line == each or line.startswith(each + " ")), None)
        if heading:
            found.append((heading, [" " * len(heading) + line[len(heading):]]))
        elif line and not line.startswith(" ") and found[-1][0] != "DESCRIPTION":
            found.append(("DESCRIPTION", [line]))
        else:
            found[-1][1].append(line)
    return found


def troff(name: str, section: int, page: str) -> str:
    """A manual page.  Lines keep their shape: the columns of these pages are their beauty."""
    title, _, what = page.partition("\n")[0].partition(": ")
    text = [f'.TH {name.upper()} {section} "" "vqmail"', ".SH NAME",
            f"{escaped(title)} \\- {escaped(what.rstrip('.'))}"]
    for heading, lines in sections(page)[1:]:
        while lines and not lines[0].strip():
            lines.pop(0)
        while lines and not lines[-1].strip():
            lines.pop()
        indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        text += [f".SH {heading}", ".nf", *(escaped(line[indent:]) for line in lines), ".fi"]
    return "\n".join(text) + "\n"


def control_page() -> str:
    """The page of all control files."""
    lines = ["vq-control: the files in VQHOME/control.", ""]
    for name, setting in sorted(control.TABLE.items()):
        default = setting.default
        shown = default.decode() if isinstance(default, bytes) else "none" if default is None else str(default)
        shown = "what control/me says" if default is control.ME else shown
        lines += [f"{name.decode()} ({setting.kind}; default: {shown}; read by {setting.readers})",
                  f"    {setting.meaning}", ""]
    return "\n".join(lines)


def main(arguments: "list[str]") -> int:
    """Write all pages below the folder."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 100
    folder = pathlib.Path(arguments[0])
    for section in (5, 8):
        (folder / f"man{section}").mkdir(parents=True, exist_ok=True)
    for name, module in install.programs().items():
        (folder / "man8" / f"{name}.8").write_text(troff(name, 8, page_of(module)))
    (folder / "man5/vq-control.5").write_text(troff("vq-control", 5, control_page()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
