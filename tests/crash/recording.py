"""Record what a program does to a tree of files, by strace: every call that changes it, syncs it, or says something.

A call that is not understood, a symbolic link in the tree, and a link or rename across its border end the reading with
an error: a call that is overlooked is a fault that is not seen.
"""

import dataclasses
import os
import pathlib
import re
import typing

PAGE = 4096                     # bytes that reach the disk together or not at all
TRACED = ("open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fsync,fdatasync,syncfs,link,linkat,"
          "rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,lseek,dup,dup2,dup3,fcntl,close,"
          "chdir,fchdir,clone,clone3,fork,vfork,sendto,sendmsg,exit_group,sendfile,copy_file_range,splice,fallocate,"
          "io_uring_setup,sync_file_range")
LINE = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)\) += (-?\d+|\?)")
BEGUN = re.compile(r"^(?:(\d+) +)?(\w+)\((.*) <unfinished \.\.\.>$")
RESUMED = re.compile(r"^(?:(\d+) +)?<\.\.\. (\w+) resumed>(.*)$")
ARGUMENT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|(\w+)<([^>]*)>')
FORKS = ("fork", "vfork", "clone", "clone3")


def command(log: pathlib.Path, argv: "list[str]") -> "list[str]":
    """The command line that runs `argv`, and all it starts, recorded in `log`."""
    names = ",".join("?" + each for each in TRACED.split(","))
    return ["strace", "-f", "-y", "-xx", "-s", "1000000", "-qq", "-e", "signal=none", "-e", "trace=" + names, "-o", str(log),
            "--", *argv]


@dataclasses.dataclass
class Call:
    """One thing that happened.  `kind` is data, size, cut, names, sync or said."""

    kind: str
    text: str                   # for people
    inode: int = 0              # data, size, cut; of a sync, 0 is everything
    at: int = 0
    data: bytes = b""
    names: "tuple[tuple[str, int | None], ...]" = ()        # path -> inode, None: removed; one name(s) call is atomic
    covers: int = 0             # sync: it keeps what happened before this place in the list
    directory: "str | None" = None


@dataclasses.dataclass
class Recording:
    """The disk before, and what was done to it."""

    names: "dict[str, int]"     # path below the root -> inode
    files: "dict[int, bytes]"   # what is in the files; directories are not in here
    calls: "list[Call]"


def snapshot(root: pathlib.Path) -> Recording:
    """The tree below `root` as it is, all of it on the disk."""
    recording = Recording({"": 1}, {}, [])
    for number, path in enumerate(sorted(root.rglob("*")), 2):
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link")
        recording.names[str(path.relative_to(root))] = number
        if path.is_file():
            recording.files[number] = path.read_bytes()
    return recording


class Argument(typing.NamedTuple):
    """A string, or a descriptor with what is behind it."""

    text: bytes
    number: str
    where: bytes


def read(log: pathlib.Path, root: pathlib.Path, before: Recording, cwd: pathlib.Path) -> Recording:
    """What `log` says of the tree below `root`, which was as `before`; the first process began in `cwd`."""
    return _Reader(root, before, cwd).read(log)


class _Reader:
    """Turns strace's lines into calls."""

    def __init__(self, root: pathlib.Path, before: Recording, cwd: pathlib.Path) -> None:
        self.root = os.fsencode(root)
        self.it = before
        self.names = dict(before.names)             # as the running system sees them
        self.sizes = {number: len(data) for number, data in before.files.items()}
        self.next_inode = max(self.names.values()) + 1
        self.files: dict[tuple[str, int], list[typing.Any]] = {}    # (process, descriptor) -> [inode, offset, appends]
        self.cwd: dict[str, bytes] = {}
        self.first_cwd = os.fsencode(cwd)
        self.begun: dict[str, tuple[str, str, int]] = {}

    def read(self, log: pathlib.Path) -> Recording:
        for line in log.read_text("latin-1").splitlines():
            since = len(self.it.calls)
            if match := BEGUN.match(line):
                self._meet(match[1])
                self.begun[match[1]] = (match[2], match[3], since)
                continue
            if match := RESUMED.match(line):
                _, first, since = self.begun.pop(match[1])
                line = f"{match[1]} {match[2]}({first}{match[3]}"
            if match := LINE.match(line):
                self._meet(match[1])
                self._call(match[1], match[2], match[3], match[4], since)
        return self.it

    def _meet(self, pid: str) -> None:
        """A child may be seen before its parent has come back from the fork."""
        if pid not in self.cwd:
            parents = [each for each, (name, _, _) in self.begun.items() if name in FORKS]
            self._fork(parents[0] if parents else "", pid)

    def _call(self, pid: str, name: str, rest: str, result: str, since: int) -> None:
        if name == "exit_group":
            self._add("said", f"exit {rest}")
        elif result.startswith("-") or result == "?":
            return
        elif name in FORKS:
            if "CLONE_FILES" in rest and "CLONE_VFORK" not in rest:
                raise ValueError("threads are not modelled")
            if result not in self.cwd:
                self._fork(pid, result)
        else:
            arguments = [Argument(_bytes(text), number, _bytes(where)) for text, number, where in ARGUMENT.findall(rest)]
            handler = {"pwrite64": "pwrite", "dup2": "dup", "dup3": "dup", "renameat2": "rename"}.get(name, name)
            getattr(self, "_do_" + handler, self._other)(pid, arguments, rest, int(result), since)

    def _other(self, _pid: str, arguments: "list[Argument]", rest: str, _result: int, _since: int) -> None:
        if any(self._below(each.where) is not None for each in arguments):
            raise ValueError(f"not modelled: {rest[:200]}")

    # names

    def _below(self, path: bytes) -> "str | None":
        """`path` relative to the root, None if it is not in the tree."""
        path = os.path.normpath(path or b"/")
        if path == self.root:
            return ""
        return os.fsdecode(path[len(self.root) + 1:]) if path.startswith(self.root + b"/") else None

    def _path(self, pid: str, text: bytes, directory: bytes = b"") -> "str | None":
        return self._below(os.path.join(directory or self.cwd.get(pid, self.first_cwd), text))

    def _do_openat(self, pid: str, arguments: "list[Argument]", rest: str, result: int, _since: int) -> None:
        self.files.pop((pid, result), None)
        path = self._path(pid, arguments[1].text, arguments[0].where)
        if path is None:
            return
        if "O_TMPFILE" in rest:
            self.files[pid, result] = [self._new(), 0, False]
            return
        if path not in self.names:
            assert "O_CREAT" in rest, rest
            self._name(f"create {path}", (path, self._new()))
        inode = self.names[path]
        if "O_TRUNC" in rest and self.sizes.get(inode):
            self._cut(inode, 0)
        self.files[pid, result] = [inode, 0, "O_APPEND" in rest]

    def _new(self) -> int:
        self.next_inode += 1
        self.sizes[self.next_inode] = 0
        self.it.files[self.next_inode] = b""
        return self.next_inode

    def _name(self, text: str, *changes: "tuple[str, int | None]") -> None:
        for path, inode in changes:
            if inode is None:
                self.names.pop(path, None)
            else:
                self.names[path] = inode
        self._add("names", text, names=changes)

    def _do_link(self, pid: str, arguments: "list[Argument]", rest: str, _result: int, _since: int) -> None:
        old, new = arguments[0].text, arguments[1].text
        self._linked(self._path(pid, old), self._path(pid, new), rest)

    def _do_linkat(self, pid: str, arguments: "list[Argument]", rest: str, _result: int, _since: int) -> None:
        (_, _, at), (old, _, _), (_, _, there), (new, _, _) = arguments
        target = self._path(pid, new, there)
        if old.startswith(b"/proc/self/fd/"):
            inode = self.files.get((pid, int(old.rpartition(b"/")[2])), [None])[0]
            if target is not None and inode is not None:
                self._name(f"link {target}", (target, inode))
            elif (target is None) != (inode is None):
                raise ValueError(f"a link across the border of the tree: {rest}")
            return
        self._linked(self._path(pid, old, at), target, rest)

    def _linked(self, old: "str | None", new: "str | None", rest: str) -> None:
        if (old is None) != (new is None):
            raise ValueError(f"a link across the border of the tree: {rest}")
        if old is not None and new is not None:
            self._name(f"link {new}", (new, self.names[old]))

    def _do_rename(self, pid: str, arguments: "list[Argument]", rest: str, _result: int, _since: int) -> None:
        texts = [each.text for each in arguments if not each.number]
        directories = [each.where for each in arguments if each.number] or [b"", b""]
        old, new = (self._path(pid, text, where) for text, where in zip(texts, directories, strict=True))
        if (old is None) != (new is None):
            raise ValueError(f"a rename across the border of the tree: {rest}")
        if old is not None and new is not None:
            self._name(f"rename {old} {new}", (new, self.names[old]), (old, None))

    _do_renameat = _do_rename

    def _do_unlink(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        path = self._path(pid, arguments[-1].text, arguments[0].where)
        if path is not None:
            self._name(f"unlink {path}", (path, None))

    _do_unlinkat = _do_rmdir = _do_unlink

    def _do_mkdir(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        path = self._path(pid, arguments[-1].text, arguments[0].where)
        if path is not None:
            self.next_inode += 1
            self._name(f"mkdir {path}", (path, self.next_inode))

    _do_mkdirat = _do_mkdir

    # data

    def _open_file(self, pid: str, argument: Argument) -> "list[typing.Any] | None":
        """The file of the tree behind a descriptor; None if strace says that it is something else by now."""
        inside = bool(argument.where) and self._below(argument.where) is not None
        return self.files.get((pid, int(argument.number))) if inside else None

    def _do_write(self, pid: str, arguments: "list[Argument]", _rest: str, result: int, _since: int) -> None:
        file = self._open_file(pid, arguments[0])
        if file is None:
            self._add("said", b"".join([each.text for each in arguments]).decode("latin-1"))
            return
        if file[0] not in self.sizes:               # the trigger, a pipe with a name
            return
        at = self.sizes[file[0]] if file[2] else file[1]
        self._put(file[0], at, arguments[1].text[:result])
        file[1] = at + result

    def _do_writev(self, pid: str, arguments: "list[Argument]", rest: str, result: int, since: int) -> None:
        whole = b"".join([each.text for each in arguments[1:]])
        self._do_write(pid, [arguments[0], Argument(whole, "", b"")], rest, result, since)

    def _do_sendto(self, _pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        self._add("said", b"".join([each.text for each in arguments]).decode("latin-1"))

    _do_sendmsg = _do_sendto

    def _do_pwrite(self, pid: str, arguments: "list[Argument]", rest: str, result: int, _since: int) -> None:
        file = self._open_file(pid, arguments[0])
        if file is not None:
            self._put(file[0], int(rest.rpartition(",")[2]), arguments[1].text[:result])

    def _put(self, inode: int, at: int, data: bytes) -> None:
        end = at + len(data)
        if end > self.sizes[inode]:
            self.sizes[inode] = end
            self._add("size", f"size {end} of {self._who(inode)}", inode, end)
        while data:
            length = PAGE - at % PAGE
            self._add("data", f"{len(data[:length])} bytes at {at} of {self._who(inode)}", inode, at, data[:length])
            at, data = at + length, data[length:]

    def _do_ftruncate(self, pid: str, arguments: "list[Argument]", rest: str, _result: int, _since: int) -> None:
        file = self._open_file(pid, arguments[0])
        if file is not None:
            self._cut(file[0], int(rest.rpartition(",")[2]))

    def _cut(self, inode: int, size: int) -> None:
        self.sizes[inode] = size
        self._add("cut", f"cut {self._who(inode)} to {size}", inode, size)

    def _do_lseek(self, pid: str, arguments: "list[Argument]", _rest: str, result: int, _since: int) -> None:
        file = self._open_file(pid, arguments[0])
        if file is not None:
            file[1] = result

    def _who(self, inode: int) -> str:
        return next((path for path, number in self.names.items() if number == inode), f"nameless {inode}")

    # syncs

    def _do_fsync(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, since: int) -> None:
        file = self._open_file(pid, arguments[0])
        if file is not None:
            where = next((path for path, number in self.names.items() if number == file[0]), None)
            self._add("sync", f"fsync {self._who(file[0])}", file[0], covers=since,
                      directory=where if file[0] not in self.sizes else None)

    _do_fdatasync = _do_fsync

    def _do_syncfs(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, since: int) -> None:
        if self._below(arguments[0].where) is not None:
            self._add("sync", "syncfs", covers=since)

    # processes and their descriptors

    def _do_close(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        if arguments:
            self.files.pop((pid, int(arguments[0].number)), None)

    def _do_dup(self, pid: str, arguments: "list[Argument]", _rest: str, result: int, _since: int) -> None:
        file = self._open_file(pid, arguments[0])
        self.files.pop((pid, result), None)
        if file is not None:
            self.files[pid, result] = file          # one offset for both

    def _do_fcntl(self, pid: str, arguments: "list[Argument]", rest: str, result: int, since: int) -> None:
        if "F_DUPFD" in rest:
            self._do_dup(pid, arguments, rest, result, since)

    def _do_chdir(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        self.cwd[pid] = os.path.join(self.cwd.get(pid, self.first_cwd), arguments[0].text)

    def _do_fchdir(self, pid: str, arguments: "list[Argument]", _rest: str, _result: int, _since: int) -> None:
        self.cwd[pid] = arguments[0].where

    def _fork(self, pid: str, child: str) -> None:
        for (process, number), file in list(self.files.items()):
            if process == pid:
                self.files[child, number] = file
        self.cwd[child] = self.cwd.get(pid, self.first_cwd)

    def _add(self, kind: str, text: str, inode: int = 0, at: int = 0, data: bytes = b"", **more: typing.Any) -> None:
        self.it.calls.append(Call(kind, text, inode, at, data, **more))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()
