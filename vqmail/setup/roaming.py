"""What is wrong with the rules of tcpserver, POP before SMTP, files of vq-virtuald, and old names to log in with."""

import pathlib
import stat

from vqmail.formats import controlfile, logins, tcprules, virtualhosts


def complaints(home: pathlib.Path) -> "list[str]":
    """Each names the path, what is, and what mends it."""
    control = home / "control"
    virtual = pathlib.Path(_line(control / "virtualroot") or "/virtual")
    found = _hosts(virtual) + _old_names(home / "users/logins", whole=True)
    for path in sorted(virtual.glob("*/etc/logins")):
        found += _old_names(path, whole=False)
    words = _line(control / "opensmtp").split()
    places = {control} | {pathlib.Path(each) for each in words if each.startswith("/")}
    for place in sorted(places):
        remake = {"tcp.smtp": f"run {home}/bin/vq-clearopensmtp", "tcp.pop3": "run tcprules"}
        for name, remedy in remake.items():
            found += _rules(place / name, place / (name + ".cdb"), remedy)
        for name in ("tcp.smtp.cdb", "open-smtp", "open-smtp6", "open-smtp.lock"):
            if not (place == control and (place / name).is_symlink() and len(places) > 1):
                found += _rights(place / name, place)
    if words and words[-1].isdigit() and int(words[-1]):
        place = pathlib.Path(words[0]) if words[0].startswith("/") else control
        if not place.is_dir():
            found.append(f"{place} is missing, and {control}/opensmtp names it; make it")
        elif not (place / "tcp.smtp.cdb").is_file():
            found.append(f"{place}/tcp.smtp.cdb is missing, so nobody is let in by POP before SMTP; run "
                         f"{home}/bin/vq-clearopensmtp and restart service/smtpd")
        elif place != control:
            found += _link(control / "tcp.smtp.cdb", place / "tcp.smtp.cdb")
    return found


def _hosts(virtual: pathlib.Path) -> "list[str]":
    """The conf.* of vq-virtuald."""
    found = []
    for path in sorted(virtual.glob("conf.*")):
        if not path.is_file():
            continue
        hosts, faults = virtualhosts.parse(path.read_bytes())
        found += [f"{path}: line {number} {fault}" for number, fault in faults]
        for where in hosts.values():
            text = where.decode("utf-8", "surrogateescape")
            directory = pathlib.Path(text) if text.startswith("/") else virtual / virtualhosts.domain_of(where).decode()
            if not directory.is_dir():
                found.append(f"{path}: there is no directory {directory}; make the domain or remove the line")
    return found


def _old_names(path: pathlib.Path, *, whole: bool) -> "list[str]":
    """A file of old names with a line that makes no sense: whoever is not found elsewhere is put off."""
    try:
        if path.is_file():
            list(logins.records(path.read_bytes().split(b"\n"), whole))
    except ValueError as error:
        return [f"{path}: {error}"]
    return []


def _rules(text: pathlib.Path, compiled: pathlib.Path, remedy: str) -> "list[str]":
    if not text.is_file():
        return []
    try:
        list(tcprules.records(text.read_bytes().split(b"\n")))
    except ValueError as error:
        return [f"{text}: {error}"]
    if compiled.is_file() and compiled.stat().st_mtime < text.stat().st_mtime:
        return [f"{compiled} is older than {text.name}, whose changes do not count yet; {remedy}"]
    return []


def _rights(path: pathlib.Path, place: pathlib.Path) -> "list[str]":
    """Whoever ran tcprules as somebody else, or with another umask, left what POP before SMTP cannot live with."""
    try:
        status, wanted = path.lstat(), place.stat()
    except FileNotFoundError:
        return []
    found = []
    if not stat.S_ISREG(status.st_mode):
        return [f"{path} is no plain file; move it away"]
    if status.st_uid not in (0, wanted.st_uid):
        found.append(f"{path} belongs to uid {status.st_uid}, should belong to {wanted.st_uid}, whose {place} is; "
                     f"chown {wanted.st_uid} {path}")
    if status.st_mode & 0o022:
        found.append(f"{path} has mode {stat.S_IMODE(status.st_mode):o}: others may open addresses; chmod go-w {path}")
    if path.suffix == ".cdb" and not status.st_mode & 0o004:
        found.append(f"{path} has mode {stat.S_IMODE(status.st_mode):o}: tcpserver cannot read it as qmaild and lets "
                     f"nobody in; chmod 644 {path}")
    return found


def _link(used: pathlib.Path, made: pathlib.Path) -> "list[str]":
    """The service reads the cdb in control/."""
    if used.exists() and used.samefile(made):
        return []
    return [f"service/smtpd reads {used}, POP before SMTP writes {made}; ln -sf {made} {used}"]


def _line(path: pathlib.Path) -> str:
    try:
        return controlfile.line(path.read_bytes()).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""
