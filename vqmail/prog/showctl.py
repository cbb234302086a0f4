"""vq-showctl: show what the control files say, and what is wrong with them.

SYNOPSIS    vq-showctl [--json] [NAME]
            vq-showctl --help

WRITES      1   where this installation lies and who its users are; each control file, or just NAME, in a sentence or
                one for each of its lines, with `(Default.)` if there is no such file; files that nobody reads
            2   what is wrong with the command

Under each file stands what is wrong with it: carriage returns, a second line that does not count, a number that is
none, a line that its reader passes over, modes that keep the reader out, or let everybody read passwords; domains in
virtualdomains that are in locals, too; domains of ours that rcpthosts lacks; a morercpthosts that was not compiled.
Passwords are not shown.

With --json this is one object: home, host, split, ids, files (name, set, value, default, readers, meaning, problems)
and strangers (name, problem); with NAME it is one of those files.

ENVIRONMENT NO_COLOR    no colours, not even on a terminal

CONTROL FILES
            me, and all the others

EXIT        0   shown, with or without problems
            100 wrong usage, or there is no control file NAME
            111 control/ cannot be read

RUNS AS     anybody; root sees most

STANDARDS   qmail-showctl(8)
"""

from vqmail import codes, vqhome
from vqmail.formats import jsonline, paint, showctl
from vqmail.store import control, inspection, queue, roles
from vqmail.unix import calls, fd, terminal, usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

USERS = ((b"alias", roles.ALIAS), (b"qmaild", roles.DAEMON), (b"qmaill", roles.LOG), (b"qmailq", roles.QUEUE),
         (b"qmailr", roles.REMOTE), (b"qmails", roles.SEND), (b"vqtls", roles.TLS))


def main(argv: "list[bytes]", env: "Env") -> int:
    """Show control/, or the page."""
    asked = usage.parse(__doc__, argv)
    name = (asked["NAME"] or "").removeprefix("control/").encode()
    if name and name not in control.TABLE:
        raise codes.GiveUp("there is no control file %s; vq-showctl shows those that there are" % name.decode())
    try:
        if asked["--help"]:
            text = (__doc__ or "").encode()
        elif asked["--json"]:
            text = jsonline.encode(_file(inspection.look(name)) if name else _object()) + b"\n"
        else:
            colours = terminal.colours(env)
            text = _paragraph(inspection.look(name), colours=colours) if name else _everything(colours=colours)
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (inspection.DIRECTORY.decode(), error.strerror)) from None
    try:
        fd.write_all(1, text)
    except BrokenPipeError:                     # whoever reads us has seen enough
        return codes.TEMPORARY
    except OSError as error:
        raise codes.TryLater("cannot write: %s" % error.strerror) from None
    return codes.OK


def _everything(*, colours: bool) -> bytes:
    ids = _ids()
    # other programs look for these words of qmail-showctl's
    head = (b"qmail home directory: %s.\nsystem host name: %s.\nsubdirectory split: %d.\n"
            b"user ids: %s.\ngroup ids: %s.\n") % (
        vqhome.VQHOME, _host(), queue.SPLIT,
        b", ".join([b"%s %d" % (user, uid) for user, (uid, _) in ids.items()]) or b"unknown",
        b", ".join([b"%s %d" % (user, gid) for user, (_, gid) in ids.items()]) or b"unknown")
    paragraphs = [_paragraph(inspection.look(name), colours=colours) for name in control.TABLE]
    strangers = [paint.paint(showctl.safe(b"%s: %s." % (name, why.encode())), paint.YELLOW, wanted=colours) + b"\n"
                 for name, why in inspection.strangers()]
    return b"\n".join([head, *paragraphs, *strangers])


def _paragraph(found: inspection.Found, *, colours: bool) -> bytes:
    problems = [paint.paint(showctl.safe(b"Problem: %s." % each.encode("utf-8", "replace")), paint.RED, wanted=colours)
                + b"\n" for each in found.problems]
    meaning = control.TABLE[found.name].meaning
    return showctl.text(found.name, meaning, found.values, default=not found.is_set) + b"".join(problems)


def _object() -> "dict[bytes, jsonline.Value]":
    return {b"home": vqhome.VQHOME, b"host": _host(), b"split": queue.SPLIT,
            b"ids": {user: {b"uid": uid, b"gid": gid} for user, (uid, gid) in _ids().items()},
            b"files": [_file(inspection.look(name)) for name in control.TABLE],
            b"strangers": [{b"name": name, b"problem": why} for name, why in inspection.strangers()]}


def _file(found: inspection.Found) -> "dict[bytes, jsonline.Value]":
    setting = control.TABLE[found.name]
    default = control.line(b"me") if setting.default is control.ME else setting.default
    return {b"name": found.name, b"set": found.is_set, b"value": found.values, b"default": default,
            b"readers": setting.readers.split(), b"meaning": setting.meaning, b"problems": found.problems}


def _host() -> bytes:
    return calls.uname().nodename.encode()


def _ids() -> "dict[bytes, tuple[int, int]]":
    """User and group id of each role that we may look at."""
    found = {}
    for user, role in USERS:
        try:
            found[user] = roles.ids(role)
        except codes.Failure:                   # setup check speaks of that
            continue
    return found
