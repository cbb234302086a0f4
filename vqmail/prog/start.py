"""vq-start: start vq-send with its spawners around it.

SYNOPSIS    vq-start [defaultdelivery [logger arg ...]]

Starts vq-lspawn, vq-rspawn and vq-clean, each under its own user, with pipes between them, and then
becomes vq-send: the process that a supervisor knows is the one that understands TERM, ALRM and HUP.

`defaultdelivery` is what happens to mail for a user without a .qmail file, ./Mailbox if it is not
given, usually ./Maildir/ .  With a logger vq-send's log goes to that program's descriptor 0, otherwise
to vq-start's descriptor 1.

WRITES      1   the log of vq-send

EXIT        111 cannot start

RUNS AS     root, when there are users to become; the owner of a single-user installation starts all
            of it as himself

STANDARDS   qmail-start(8)
"""

from vqmail import codes, vqhome
from vqmail.store import roles
from vqmail.unix import calls, chain, fd, priv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

MAILBOX = b"./Mailbox"


def main(argv: "list[bytes]", env: "Env") -> "chain.Next":
    """Start the others and become vq-send."""
    calls.chdir(b"/")
    calls.umask(0o077)
    env = env | {b"PATH": vqhome.path(b"bin") + b":" + env.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin")}
    null = calls.open(b"/dev/null", calls.O_RDWR)
    while null < 7:                             # the pipes must not land where they are going to be put
        null = calls.dup(null)
    alias_empty = argv[1] if len(argv) > 1 else MAILBOX
    log = 1
    if len(argv) > 2:
        log_out, log = calls.pipe2(calls.O_CLOEXEC)
        _start([*argv[2:]], env, {0: log_out, 1: 1, 2: 2}, roles.LOG)
        calls.close(log_out)
    commands = []
    for role, program in ((None, [b"vq-lspawn", alias_empty]), (roles.REMOTE, [b"vq-rspawn"]),
                          (roles.QUEUE, [b"vq-clean"])):
        there_out, there_in = calls.pipe2(calls.O_CLOEXEC)
        back_out, back_in = calls.pipe2(calls.O_CLOEXEC)
        # what the children say to us and to nobody else goes where our own complaints go
        _start(program, env, {0: there_out, 1: back_in, 2: 2}, role)
        calls.close(there_out)
        calls.close(back_in)
        commands += [there_in, back_out]
    numbers = [log, *commands]
    copies = []
    for number in numbers:
        copy = calls.dup(number)
        while copy < 7:
            copy = calls.dup(copy)
        copies.append(copy)
    errors = calls.dup(2)
    for target, number in enumerate(copies):
        fd.move(target, number)
    calls.set_inheritable(errors, False)
    # ---- root above, vq-send's user below ----
    priv.drop_to(*roles.ids(roles.SEND))
    return chain.Next([vqhome.path(b"bin/vq-send")], env)


def _start(argv: "list[bytes]", env: "Env", descriptors: "dict[int, int]", role: "bytes | None") -> None:
    """Start a program under `role`; None stays who we are."""
    pid = calls.fork()
    if pid:
        return
    code = codes.TEMPORARY
    try:
        copies = {}
        for target, number in descriptors.items():
            copy = calls.dup(number)
            while copy < 7:
                copy = calls.dup(copy)
            copies[target] = copy
        for target, copy in copies.items():
            fd.move(target, copy)
        calls.chdir(vqhome.path(b"queue/mess"))
        if role is not None:
            # ---- root above, the role below ----
            priv.drop_to(*roles.ids(role))
        program = vqhome.path(b"bin/" + argv[0]) if argv[0].startswith(b"vq-") else argv[0]
        chain.become([program, *argv[1:]], env)
    except codes.Failure as failure:
        fd.write_all(2, b"vq-start: %s\n" % str(failure).encode())
    finally:
        calls._exit(code)
