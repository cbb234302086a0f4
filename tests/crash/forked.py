"""Run an installation's programs in forks of one process that has loaded them, broken at any call that changes something.

    python -IS forked.py LIBRARY        one job in a line of standard input, one answer in a line of standard output

Job: [program, arguments, fault], where fault is null or [call, n, what]: the n-th call of that name kills the process
before it is made, or fails with the errno `what`.  Answer: [exit code, what it said, the names of the calls it made].
What a library in C does is not seen here: strace is for that.
"""

import json
import os
import signal
import sys

CHANGING = ("write", "fsync", "rename", "link", "unlink", "mkdir", "symlink", "rmdir", "fchmod", "fchown", "pwrite",
            "ftruncate", "kill")
LATER = ("docopt", "cdbx", "vqmail.unix.usage")         # what programs load when they need it: once is enough
MODULES = {"vq-domain": "vqmail.admin.domain_command", "vq-newu": "vqmail.prog.newu"}


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import importlib

    from vqmail.unix import calls, chain

    programs = {name: importlib.import_module(module).main for name, module in MODULES.items()}
    for each in LATER:
        importlib.import_module(each)
    for line in sys.stdin:
        program, arguments, fault = json.loads(line)
        said, into = os.memfd_create("said"), os.memfd_create("made")
        child = os.fork()
        if child == 0:
            os.dup2(said, 1)
            os.dup2(said, 2)
            instrument(calls, fault, into)
            code = 99
            try:
                code = chain.run(programs[program], [program.encode(), *(each.encode() for each in arguments)],
                                 dict(os.environb))
            finally:
                os._exit(code if isinstance(code, int) else 98)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answer = [status, content(said).decode(errors="replace"), content(into).decode().split()]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def instrument(calls: object, fault: "list | None", into: int) -> None:
    """Count, and break, the calls of a module through which all the others make them."""
    counts = dict.fromkeys(CHANGING, 0)
    kill, note = os.kill, os.write

    def wrap(name: str, real: object) -> object:
        def call(*arguments: object, **options: object) -> object:
            counts[name] += 1
            note(into, name.encode() + b"\n")
            if fault and fault[:2] == [name, counts[name]]:
                if fault[2] == "kill":
                    kill(os.getpid(), signal.SIGKILL)
                raise OSError(fault[2], os.strerror(fault[2]))
            return real(*arguments, **options)          # type: ignore[operator]
        return call

    for name in CHANGING:
        if hasattr(calls, name):
            setattr(calls, name, wrap(name, getattr(calls, name)))


def content(number: int) -> bytes:
    """All of a file in memory, which is closed."""
    try:
        return os.pread(number, 1 << 24, 0)
    finally:
        os.close(number)


if __name__ == "__main__":
    main()
