"""Who may import whom, and which call may stand where (the table is the house's ground plan)."""

import ast
import pathlib

import pytest

from vqmail.setup import starts

ROOT = pathlib.Path(__file__).parents[2] / "vqmail"
BOTTOM = {"codes", "record"}
FLOORS = {
    # folder: (folders and modules of ours it may import, modules of Python)
    "formats": (BOTTOM | {"formats"}, {"time", "zlib", "_md5", "_sha1", "_sha2", "_sha256",     # gmtime, crc32, digests:
                                               "_sha512", "_operator", "binascii", "sys"}),         # no clock, no files
    "proto": (BOTTOM | {"formats", "proto"}, {"binascii", "hmac"}),      # base64 and CRAM-MD5 of AUTH
    "unix": (BOTTOM | {"vqhome", "unix"}, {"sys", "gc", "errno", "stat", "time", "_signal", "_socket", "select", "fcntl", "posix",
                                         "ctypes", "resource", "ssl", "docopt"}),
    "store": (BOTTOM | {"vqhome", "formats", "unix", "store"}, {"errno", "stat", "time", "cdbx", "_crypt", "_crypt_r",
                                                               "_hashlib", "argon2", "zlib", "sys", "ctypes", "resource", "stringprep", "unicodedata"}),
    "logins": (BOTTOM | {"vqhome", "formats", "unix", "store", "logins"}, {"time"}),
    "dispatch": (BOTTOM | {"vqhome", "formats", "unix", "store", "dispatch"}, {"time", "heapq", "_collections"}),
    "outgoing": (BOTTOM | {"vqhome", "formats", "proto", "unix", "store", "outgoing"}, {"time", "_socket", "errno", "dns"}),
    "incoming": (BOTTOM | {"vqhome", "formats", "proto", "unix", "store", "logins", "incoming"}, {"time"}),
    "prog": (BOTTOM | {"vqhome", "formats", "proto", "unix", "store", "logins", "dispatch", "incoming", "outgoing"},
             {"errno", "time", "_signal", "pamela"}),
    "admin": (BOTTOM | {"vqhome", "formats", "unix", "store", "admin"}, set()),
    "faces": (BOTTOM | {"vqhome", "formats", "unix", "store", "admin", "faces"}, set()),
    "warm": (BOTTOM | {"vqhome", "formats", "proto", "unix", "store", "logins", "incoming", "outgoing", "prog", "faces",
                      "admin", "warm"},
             {"gc", "errno", "stat", "time", "select", "fcntl", "_signal", "_socket", "_collections"}),
}
# Python's modules that only one file of a floor may import
ONLY_IN = {"posix": {"unix/calls.py"}, "cdbx": {"store/cdb.py"}, "_crypt": {"store/hashes.py"},
           **dict.fromkeys(("_md5", "_sha1", "_sha2", "_sha256", "_sha512"), {"formats/digest.py"}),
           "_hashlib": {"store/hashes.py"}, "argon2": {"store/hashes.py"},
           "ssl": {"unix/tls.py"}, "dns": {"outgoing/nameserver.py"},
           "binascii": {"formats/base64.py", "proto/login.py"}, "hmac": {"proto/login.py"},
           "docopt": {"unix/usage.py"}, "pamela": {"prog/pam.py"}}
CALLED_ONLY_IN = {
    "setuid": {"unix/priv.py"}, "setgid": {"unix/priv.py"}, "setgroups": {"unix/priv.py"},
    "setresuid": {"unix/priv.py"}, "setresgid": {"unix/priv.py"},
    "chroot": {"unix/chain.py"},
    "fsync": {"unix/durable.py"}, "rename": {"unix/durable.py"}, "execve": {"unix/chain.py"},
    # who may give up root, and nobody else
    "drop_to": {"unix/chain.py", "prog/start.py", "prog/virtmailfilter.py", "warm/pool.py",
                "warm/queue_service.py", "warm/tcpserver.py", "warm/tls_service.py"},
    # a missing file and trouble with a file are not the same (DESIGN D13)
    "exists": set(), "isfile": set(), "isdir": set(), "getpwnam": set(), "getpwuid": set(), "system": set(),
    "popen": set(),
}
# the modules of ours that are not imported until a run needs them, and when that is; everything else is imported on top
LATER = {
    "store/submit.py": {"store.direct"},                        # an installation under a single user
    "prog/queue.py": {"store.direct"},                          # the same
    "prog/virtmailfilter.py": {"store.ownersown"},              # a catch-all that sends mail on, or into the owner's maildir
    "store/cdb.py": {"unix.durable"},                           # making one, not looking something up
    "store/reception.py": {"store.quotaquestion"},              # a recipient with a quota
    "incoming/conversation.py": {"incoming.login"},             # a client that logs in
    "logins/admission.py": {"logins.programs", "logins.systemusers"},   # control/loginsources names such a source
    "logins/rehash.py": {"logins.newhash"},                     # a hash that is made anew
    "outgoing/mx.py": {"outgoing.nameserver"},                  # a name is looked up: dnspython takes 60 ms
    "warm/admin_service.py": {"admin.command", "admin.caller"},         # the one service that needs docopt and its kin
}
# what lives for long, or forks: what it would import later is in its memory from the start
# but for what docopt and dnspython cost: where that is needed it is loaded by a call (mx.load), before the first fork
BY_CALL = ("warm/admin_service.py", "outgoing/mx.py")
LASTING = ("prog.send", "warm.lspawn", "warm.rspawn", "warm.service", "warm.tcpserver")
EXEMPT = {"setup"}              # runs by hand, with all of Python's library
ANY = {"admin", "faces"}        # run by hand too, and may import any of Python's, but of ours only what is below


def modules() -> "list[tuple[str, ast.Module]]":
    """Every module of the house, with its path below vqmail/."""
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in sorted(ROOT.rglob("*.py"))
            if path.relative_to(ROOT).parts[0] not in EXEMPT]


def imports(tree: ast.Module) -> "list[tuple[int, str]]":
    """(line, module) of every import that happens, those for the type checker left out."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for each in ast.walk(node):
                each.ignored = True             # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if getattr(node, "ignored", False):
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, each.name) for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "vqmail":
            found += [(node.lineno, "vqmail." + each.name) for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.lineno, node.module or "")]
    return found


@pytest.mark.parametrize(("name", "tree"), modules(), ids=lambda each: each if isinstance(each, str) else "")
def test_imports_go_down(name: str, tree: ast.Module) -> None:
    floor = name.partition("/")[0]
    ours, pythons = FLOORS.get(floor, (BOTTOM, set()))
    for line, module in imports(tree):
        first, _, rest = module.partition(".")
        if first == "vqmail":
            assert rest.partition(".")[0] in ours, f"{name}:{line} imports {module}: {floor} may not"
            assert not (floor == "prog" and rest.startswith("prog")), f"{name}:{line}: a program imports a program"
        elif floor not in ANY:
            assert first in pythons, f"{name}:{line} imports {module}: it costs time, or does not belong on this floor"
            assert name in ONLY_IN.get(first, {name}), f"{name}:{line} imports {module}, which has one address"


@pytest.mark.parametrize(("name", "tree"), modules(), ids=lambda each: each if isinstance(each, str) else "")
def test_our_own_modules_are_imported_on_top(name: str, tree: ast.Module) -> None:
    later = set()
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)):
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vqmail."):
                    later |= {f"{node.module}.{each.name}".removeprefix("vqmail.") for each in node.names}
                assert not (isinstance(node, ast.Import) and any(each.name.startswith("vqmail") for each in node.names))

    assert later == LATER.get(name, set()), f"{name}: an import in a function is a row of LATER, or stands on top"


@pytest.mark.parametrize("module", LASTING)
def test_what_lasts_has_everything_in_memory_from_the_start(module: str) -> None:
    loaded = {each.removeprefix("vqmail.") for each in starts.order("vqmail." + module)}
    for name, later in LATER.items():
        if name not in BY_CALL and name.removesuffix(".py").replace("/", ".") in loaded:
            assert later <= loaded, f"{module} can come to {name}, which imports {later - loaded}: import it in {module}, too"


@pytest.mark.parametrize(("name", "tree"), modules(), ids=lambda each: each if isinstance(each, str) else "")
def test_each_dangerous_call_has_one_address(name: str, tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            allowed = CALLED_ONLY_IN.get(node.func.attr, {name})
            # a floor's own face of the call, durable.rename, is what others use
            if isinstance(node.func.value, ast.Name) and node.func.value.id in (
                    "durable", "pathlib", "domains", "mailboxes"):
                continue
            assert name in allowed, f"{name}:{node.lineno} calls {node.func.attr}"


def test_a_planted_late_import_is_found() -> None:
    with pytest.raises(AssertionError):
        test_our_own_modules_are_imported_on_top("prog/planted.py", ast.parse("def f():\n    from vqmail.unix import fd"))


@pytest.mark.parametrize("source", ["import re", "from vqmail.unix import calls", "import os"])
def test_the_ground_plan_can_be_broken(source: str) -> None:
    with pytest.raises(AssertionError):
        test_imports_go_down("proto/planted.py", ast.parse(source))


@pytest.mark.parametrize("source", ["calls.setgid(0)", "calls.fsync(3)", "priv.drop_to(1, 1)", "os.path.exists(b'x')"])
def test_a_planted_call_is_found(source: str) -> None:
    with pytest.raises(AssertionError):
        test_each_dangerous_call_has_one_address("prog/planted.py", ast.parse(source))


def test_every_drop_says_who_is_above_and_who_below() -> None:
    for name in CALLED_ONLY_IN["drop_to"]:
        lines = (ROOT / name).read_text().split("\n")
        for number, line in enumerate(lines):
            if "priv.drop_to(" in line:
                above = "\n".join(lines[max(0, number - 3):number])
                assert "---- root above" in above, f"{name}:{number + 1} drops without saying so"


def test_a_command_changes_only_what_is_its_callers_now() -> None:
    """Whose a domain is is asked under the lock, by caller.change; vq-passwd asks a user for his old password instead."""
    for name, tree in modules():
        if (name.startswith("faces/") or name.endswith("_command.py")) and name != "admin/passwd_command.py":
            for node in ast.walk(tree):
                if isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call):
                    assert not ast.unparse(node.context_expr).endswith("Transaction()"), f"{name}: with caller.change(...)"


def test_no_module_keeps_state() -> None:
    """Module globals are functions, classes, modules and constants; chain._resident is the one exception."""
    for name, tree in modules():
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else (
                [node.target] if isinstance(node, ast.AnnAssign) else [])
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(getattr(node, "value", None),
                                                               (ast.Dict, ast.List, ast.Set, ast.ListComp)):
                    assert target.id.isupper() or (name, target.id) == ("unix/chain.py", "_resident"), (
                        f"{name}:{node.lineno} {target.id} can be changed")
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Global), f"{name}:{node.lineno} has a global statement"


def test_files_stay_small() -> None:
    for name, _ in modules():
        lines = len((ROOT / name).read_text().split("\n"))

        assert lines <= 420, f"{name} has {lines} lines: something in it belongs elsewhere"
