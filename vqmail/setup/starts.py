"""What each program of the pipeline loads at its start, as one file of compiled code: lib/start/NAME.TAG.

To find and open eighty modules costs a cold Python twice what it costs to run them (doc/DECISIONS.md).
"""

import ast
import functools
import importlib.util
import marshal
import pathlib
import sys

PACKAGE = pathlib.Path(__file__).parent.parent
LOADER = pathlib.Path(__file__).parent / "preload.py"
FIRST = "vqmail.unix.chain"     # what a script loads besides its program
HEADER = 16                     # bytes of a .pyc before the code


def has_one(module: str) -> bool:
    """Whether the program whose `module` this is, such as prog.smtpd, gets such a file: not what people run by hand."""
    return module.startswith("prog.")


def file_name(program: str) -> str:
    """The file's name below lib/start; TAG is of the Python whose code it is, as in the names of .pyc files."""
    return f"{program}.{sys.implementation.cache_tag}"


def write(folder: pathlib.Path, library: pathlib.Path, programs: "dict[str, str]") -> None:
    """Make the files of all `programs` (name: module) in `folder`, from the `library` as it was just compiled."""
    folder.mkdir(exist_ok=True)
    names = {each: file_name(each) for each, module in programs.items() if has_one(module)}
    for each in folder.iterdir():
        if each.name not in names.values():
            each.unlink()
    rows: dict[str, tuple[object, ...]] = {}
    loader = compile(LOADER.read_text(), "preload", "exec")
    for name, file in names.items():
        wanted = order("vqmail." + programs[name])
        rows |= {module: _row(library, module) for module in wanted if module not in rows}
        temporary = folder / (file + ".new")
        temporary.write_bytes(marshal.dumps((loader, [rows[module] for module in wanted])))
        temporary.replace(folder / file)


def order(module: str) -> "list[str]":
    """Every module of ours that `module` loads, each behind those that it imports, itself last but for FIRST's."""
    found: dict[str, None] = {}
    for each in (module, FIRST):
        _visit(each, found, [])
    return list(found)


def _visit(module: str, found: "dict[str, None]", above: "list[str]") -> None:
    if module in found or module in above:
        return
    parent = module.rpartition(".")[0]
    if parent:
        _visit(parent, found, [*above, module])
    for each in _imports(module):
        _visit(each, found, [*above, module])
    found[module] = None


@functools.cache
def _imports(module: str) -> "tuple[str, ...]":
    """Modules of ours that `module` imports when it is loaded."""
    found = []
    for node in ast.parse(_source(PACKAGE.parent, module).read_text()).body:
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.partition(".")[0] == "vqmail"]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "vqmail":
            inner = [node.module + "." + each.name for each in node.names]
            found += [each if _source(PACKAGE.parent, each).is_file() else node.module for each in inner]
    return tuple(found)


def _source(library: pathlib.Path, module: str) -> pathlib.Path:
    path = library.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _row(library: pathlib.Path, module: str) -> "tuple[object, ...]":
    source = _source(library, module)
    status = source.stat()
    compiled = pathlib.Path(importlib.util.cache_from_source(str(source))).read_bytes()
    made_of = (int(status.st_mtime), status.st_size)
    is_package = source.name == "__init__.py"
    return module, str(source.relative_to(library)), is_package, made_of, marshal.loads(compiled[HEADER:])
