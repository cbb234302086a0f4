"""control/ as it is on the disk: what each file says, and what is wrong with it, alone or beside the others."""

import stat

from vqmail import codes, vqhome
from vqmail.formats import controlcheck, controlfile
from vqmail.record import Record
from vqmail.store import control, loginname, rcpthosts, rewrite, roles
from vqmail.unix import calls

DIRECTORY = vqhome.path(b"control")
COMPILED = b"morercpthosts.cdb"         # vq-newmrh makes it of morercpthosts
# rules of tcpserver, texts and compiled, and who POP before SMTP has added (opensmtp)
TCPSERVERS = (b"tcp.smtp", b"tcp.smtp.cdb", b"tcp.pop3", b"tcp.pop3.cdb", b"open-smtp", b"open-smtp6",
              b"open-smtp.lock")
# who a program is, as the owner of the file that roles knows him by; root and what is not here may read anything
ROLE = {"send": roles.SEND, "smtpd": roles.DAEMON, "qmtpd": roles.DAEMON, "qmqpd": roles.DAEMON, "remote": roles.REMOTE}
ANYBODY = ("all", "inject", "qmqpc")    # programs of every user
WHO = {roles.SEND: "qmails", roles.DAEMON: "qmaild", roles.REMOTE: "qmailr"}
NOBODY = (-1, -1)                       # neither owner nor group of anything
READ, SEARCH = 0o4, 0o1
EVERYBODY = 0o077                       # and the group
CERTIFICATES = ("certificate", "certificates")  # kinds that hold keys
PAM = b"/etc/pam.d/"
MOST = 10                               # domains that one complaint names
TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import stat_result


class Found(Record):
    """One control file: whether it is there, and what its readers take it for, without passwords; None: unreadable."""

    __slots__ = ("name", "is_set", "values", "problems")
    name: bytes
    is_set: bool
    values: "bytes | int | list[bytes] | None"
    problems: "list[str]"


def look(name: bytes) -> Found:
    """What control/`name` says and what is wrong with it; one that we cannot read is in trouble like any other."""
    if control.TABLE[name].kind in CERTIFICATES:
        return _certificates(name)
    try:
        text = control.read(name)
        values = _values(name)
    except codes.Failure as failure:
        return Found(name, True, None, [str(failure)])  # noqa: FBT003
    problems = []
    if text is not None:
        problems += controlcheck.faults(name, control.TABLE[name].kind, text) + _rights(name, text)
    try:
        problems += BESIDE[name]() if name in BESIDE else []
    except codes.Failure as failure:            # another file is in trouble, and says so itself
        problems.append("cannot be compared with other files: %s" % failure)
    return Found(name, text is not None, values, problems)


def _certificates(name: bytes) -> Found:
    """Where the certificates are; they are not read, for the keys are with them."""
    path = DIRECTORY + b"/" + name
    several = control.TABLE[name].kind == "certificates"
    there = [path]
    try:
        if several:
            there = [path + b"/" + each for each in sorted(calls.listdir(path)) if each.endswith(b".pem")]
        problems = ["everybody can read the key in %s; chown root and chmod 400" % each.decode("utf-8", "replace")
                    for each in there if calls.stat(each).st_mode & EVERYBODY]
    except FileNotFoundError:
        return Found(name, False, [] if several else b"", [])  # noqa: FBT003
    except OSError as error:
        return Found(name, True, None, ["cannot be looked at: %s" % error.strerror])  # noqa: FBT003
    return Found(name, True, [each.rpartition(b"/")[2] for each in there] if several else path, problems)  # noqa: FBT003


def strangers() -> "list[tuple[bytes, str]]":
    """(name, what to say) of each file in control/ that no program reads.  OSError if we may not look."""
    known = (*control.TABLE, COMPILED, *TCPSERVERS)
    names = sorted(calls.listdir(DIRECTORY))
    return [(name, controlcheck.stranger(name, known)) for name in names if name not in known]


def _values(name: bytes) -> "bytes | int | list[bytes]":
    kind = control.TABLE[name].kind
    if kind == "line":
        return control.line(name)
    if kind == "number":
        return control.number(name)
    if kind == "map":
        return [b"%s:%s" % pair for pair in control.mapping(name).items()]
    text = control.read(name)
    entries = controlfile.entries(text) if text is not None else control.entries(name)
    return [controlcheck.shown(name, each) for each in entries or ()]


def _rights(name: bytes, text: bytes) -> "list[str]":
    """What is wrong with the modes of control/`name`, and of the way to it."""
    path = DIRECTORY + b"/" + name
    try:
        status, way = calls.stat(path), calls.stat(DIRECTORY)
    except OSError as error:
        return ["cannot be looked at: %s" % error.strerror]
    problems = []
    readers = control.TABLE[name].readers.split()
    secret = name in controlcheck.SECRET and b"|" in text
    if secret and status.st_mode & READ:
        problems.append("every user can read the passwords in it; chgrp qmail and chmod 640")
    if status.st_mode & stat.S_IWOTH:
        problems.append("every user can write it; chmod o-w")
    everybody = _may(NOBODY, status, READ) and _may(NOBODY, way, SEARCH)
    if any(each in ANYBODY for each in readers) and not everybody:
        problems.append("not every user can read it, and vq-inject runs as any; chmod 644")
    for role in dict.fromkeys(ROLE[each] for each in readers if each in ROLE):
        try:
            who = roles.ids(role)
        except codes.Failure:                   # setup check speaks of that; or we may not look
            continue
        if not (_may(who, status, READ) and _may(who, way, SEARCH)):
            problems.append("%s (uid %d) cannot read it; %s" % (
                WHO[role], who[0], "chgrp qmail and chmod 640" if secret else "chmod 644"))
    return problems


def _may(who: "tuple[int, int]", status: "stat_result", right: int) -> bool:
    uid, gid = who
    place = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
    return uid == 0 or bool(status.st_mode >> place & right)


def _beside_me() -> "list[str]":
    name = control.line(b"me")
    if control.read(b"me") is None:
        return ["is missing; put the full name of this host into it"]
    return ["is no full host name: there is no dot in it"] if name and b"." not in name else []


def _beside_rcpthosts() -> "list[str]":
    hosts = rcpthosts.RcptHosts()
    if hosts.missing:
        return ["is missing: put the domains into it that mail from outside is received for"]
    rules = rewrite.Rules()
    ours = dict.fromkeys([*(control.entries(b"locals") or ()), *rules.domains()])
    lacking = [each for each in ours if b"." in each.strip(b".") and not hosts.accept(b"x@" + each)]
    return ["lacks %s: nobody outside can send there, though it is ours" % _named(lacking)] if lacking else []


def _beside_virtualdomains() -> "list[str]":
    here = frozenset(control.entries(b"locals") or ())
    double = [key for key in control.mapping(b"virtualdomains") if key and key.rpartition(b"@")[2] in here]
    return ["%s: the domain is in locals, too, which wins" % _named(double)] if double else []


def _beside_morercpthosts() -> "list[str]":
    text, compiled = _time(b"morercpthosts"), _time(COMPILED)
    if text is None:
        return ["is missing, and %s still counts" % COMPILED.decode()] if compiled is not None else []
    if compiled is None:
        return ["is not compiled and does not count; run vq-newmrh"]
    problems = ["was edited after it was compiled; run vq-newmrh"] if text > compiled else []
    if control.read(b"rcpthosts") is None:
        problems.append("does not count without rcpthosts")
    return problems


def _beside_popdomains() -> "list[str]":
    domains = dict.fromkeys(words[1].lower() for words in _words(b"popdomains") if len(words) > 1)
    lacking = [each for each in domains if not loginname.has_users(each)]
    return ["%s: there is no such domain with users, so nobody gets in there without his domain" % _named(lacking)
            ] if lacking else []


def _beside_loginsources() -> "list[str]":
    if control.read(b"loginsources") is None:
        return []
    lines = _words(b"loginsources")
    problems = []
    for line in lines:
        kind, *rest = line[1:] if line[0] == b"shared" and len(line) > 1 else line
        path = PAM + rest[0] if kind == b"pam" and rest else rest[0] if kind == b"checkpassword" and rest else b""
        if path and _absent(path):
            shown = [each.decode("utf-8", "replace") for each in (path, b" ".join(line))]
            problems.append("%s is missing, so whoever is looked for there cannot log in for now; make it, or take the "
                            "line `%s` out" % tuple(shown))
    return problems or ([] if lines else ["names no source, so nobody can log in; write `virtual`, or remove it"])


def _words(name: bytes) -> "list[list[bytes]]":
    """The words of each line that has any."""
    return [each.split() for each in control.entries(name) or () if each.strip()]


def _absent(path: bytes) -> bool:
    try:
        calls.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:                             # we may not look; its reader may
        return False
    return False


def _time(name: bytes) -> "int | None":
    try:
        return calls.stat(DIRECTORY + b"/" + name).st_mtime_ns
    except FileNotFoundError:
        return None
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (name.decode(), error.strerror)) from None


def _named(names: "list[bytes]") -> str:
    more = ", and %d more" % (len(names) - MOST) if len(names) > MOST else ""
    return ", ".join(each.decode("ascii", "replace") for each in names[:MOST]) + more


BESIDE = {b"me": _beside_me, b"rcpthosts": _beside_rcpthosts, b"virtualdomains": _beside_virtualdomains,
          b"morercpthosts": _beside_morercpthosts, b"popdomains": _beside_popdomains,
          b"loginsources": _beside_loginsources}
