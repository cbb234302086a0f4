"""The first thing that an installed program runs: put what it needs into place, without asking for each module by name.

Runs before anything of ours is loaded, in the namespace of the script in bin/, which has `modules` from one file that
starts.py wrote.  A module whose source is no longer what it was made of ends it: from there on all is imported as ever.
Where the library is the script has said; the file does not know it: a copy of an installation is one of its own.
"""

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

    modules: "list[tuple[str, str, bool, tuple[int, int], CodeType]]"

library = sys.path[0] + "/"
for name, path, is_package, made_of, code in modules:   # noqa: F821  the script has it
    origin = library + path
    try:
        source = posix.stat(origin)
    except OSError:
        break
    if (int(source.st_mtime), source.st_size) != made_of:
        break
    module = sys.modules[name] = type(sys)(name)
    module.__file__ = origin
    if is_package:
        module.__path__ = [origin.rpartition("/")[0]]
    parent, _, leaf = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], leaf, module)
    exec(code, module.__dict__)
