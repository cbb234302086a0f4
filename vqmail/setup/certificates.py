"""What is wrong with the certificates in control/: each complaint names the file and what mends it.

That there is none is wrong only where a door of TLS is open: service/NAME without a file `down`.
"""

import pathlib
import ssl
import stat
import time

from vqmail.setup import services

SOON = 14                       # days
DAY = 86400
TLS_DOORS = ("smtps", "pop3s")


def complaints(home: pathlib.Path, owner: int) -> "list[str]":
    """What is wrong with servercert.pem and servercerts/ of the installation in `home`; `owner` should own them."""
    own = home / "control/servercert.pem"
    folder = home / "control/servercerts"
    found = []
    doors = [each for each in TLS_DOORS
             if (home / "service" / each / "run").exists() and not services.is_down(home, each)]
    if own.exists():
        found += _of_file(own, _first_line(home / "control/me"), "control/me says", owner)
    elif doors:
        found.append(f"{own} is missing, and {' and '.join(doors)} cannot work without; put certificate, chain and key "
                     f"into it, chmod 400, or touch {home}/service/{doors[0]}/down")
    for each in sorted(folder.glob("*.pem")) if folder.is_dir() else ():
        found += _of_file(each, each.stem.lower(), "its file's name says", owner)
    return found


def _of_file(path: pathlib.Path, name: str, said_by: str, owner: int) -> "list[str]":
    status = path.stat()
    found = []
    if status.st_mode & 0o077 or status.st_uid != owner:
        found.append(f"{path} holds a key, and has mode {stat.S_IMODE(status.st_mode):o} and owner {status.st_uid}; "
                     f"chown {owner} {path}; chmod 400 {path}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
        text = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # nothing public reads one that expired
    except ssl.SSLError as error:
        why = ("its key does not belong to its certificate" if "MISMATCH" in str(error.reason)
               else "it is damaged, or lacks certificate or key, or the key has a passphrase")
        return [*found, f"{path} cannot be used: {why}; put certificate, chain and key into it"]
    except OSError as error:
        return [*found, f"{path} cannot be read: {error.strerror}"]
    now = time.time()
    ends = ssl.cert_time_to_seconds(text["notAfter"])
    if ends <= now:
        found.append(f"{path} expired on {text['notAfter']}; renew it")
    elif ends < now + SOON * DAY:
        found.append(f"{path} expires in {int((ends - now) // DAY)} days, on {text['notAfter']}; renew it")
    if ssl.cert_time_to_seconds(text["notBefore"]) > now:
        found.append(f"{path} is not valid before {text['notBefore']}; is the clock right?")
    names = [value.lower() for kind, value in text.get("subjectAltName", ()) if kind == "DNS"]
    if name and not any(_covers(each, name) for each in names):
        found.append(f"{path} is for {', '.join(names) or 'no host'}, not for {name}, as {said_by}; clients would "
                     "complain; get one for that name too")
    return found


def _covers(pattern: str, name: str) -> bool:
    """Whether a certificate for `pattern` proves `name`, which may be a wildcard itself."""
    return pattern == name or (pattern.startswith("*.") and pattern[2:] == name.partition(".")[2])


def _first_line(path: pathlib.Path) -> str:
    return path.read_text().partition("\n")[0].strip().lower() if path.is_file() else ""
