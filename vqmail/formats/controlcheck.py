"""What is wrong with the text of a control file, in words that say what to do.

Each reader of a control file takes what it can use and passes over the rest in silence, as qmail's do.  Here nothing is
passed over.  No text quotes a line of a file that may hold passwords.
"""

from vqmail.formats import controlfile, ip, senders, sendlimits, smtproutes

MOST = 10                       # faults told of one file
SPAWNER = 120                   # deliveries of one kind at most: the spawners say so
ADDRESSES = (b"moreipme", b"notipme")
# several words on a line
WORDY = (b"hostnames", b"loginlimits", b"loginsources", b"popdomains", b"submissionlimits")
FREE = (b"smtpgreeting", b"clearauth", b"opensmtp")      # a line of words
SCHEMES = (b"yescrypt", b"sha512", b"bcrypt", b"argon2id", b"scram-sha-256", b"clear", b"keep")
MAY_BE_EMPTY = (b"doublebounceto", b"loginseparators")
WORDS = {b"clearauth": (b"pop3", b"smtp", b"1", b"0"), b"uidlstyle": (b"qmail", b"tpop3d", b"dovecot")}
MECHANISMS = (b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-256")
SECRET = (b"authsenders", b"smtproutes")
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def faults(name: bytes, kind: str, text: bytes) -> "list[str]":
    """What is wrong with `text`, the content of control/`name`."""
    found = _of_bytes(text)
    if kind == "line":
        found += _of_line(name, text)
    elif kind == "number":
        found += _of_number(name, text)
    else:
        found += _of_list(name, kind, text)
    return found[:MOST]


def shown(name: bytes, entry: bytes) -> bytes:
    """An entry without the password in it."""
    if name not in SECRET:
        return entry
    try:
        key, value = (smtproutes.split_route if name == b"smtproutes" else smtproutes.split_sender)(entry)
        user = smtproutes.relay(value).user
    except ValueError:                          # who knows what is where in it
        return entry.partition(b"|")[0].partition(b":")[0] + b":..."
    place = value.partition(b"|")[0]
    return b"%s:%s%s" % (key, place, b" as " + user if user else b"")


def stranger(name: bytes, known: "tuple[bytes, ...]") -> str:
    """What to say of a file `name` that no program reads; `known` are the names that are read."""
    for pattern in (name.removesuffix(b"~"), name.strip(b"#"), name.removeprefix(b".").rpartition(b".")[0],
                    name.rpartition(b".")[0], name.partition(b".")[0]):
        if pattern in known and pattern != name:
            return "a copy of %s that an editor or a package left; nobody reads it" % pattern.decode()
    for each in known:
        if _alike(name.lower(), each):
            return "nobody reads it; perhaps %s is meant" % each.decode()
    return "no program of this version reads it"


def _of_bytes(text: bytes) -> "list[str]":
    found = []
    if text.startswith(b"\xef\xbb\xbf"):
        found.append("begins with a byte order mark, which counts as part of the first entry; remove it")
    if b"\r" in text:
        found.append("has carriage returns, which count as part of the entries; remove them: tr -d '\\r'")
    if b"\0" in text:
        found.append("has NUL bytes; write it anew")
    return found


def _of_line(name: bytes, text: bytes) -> "list[str]":
    value = controlfile.line(text)
    found = []
    if not value and name not in MAY_BE_EMPTY:
        found.append("its first line is empty, and that is what counts; remove the file for the default")
    elif value.startswith(b"#"):
        found.append("comments do not go into this file: its first line is its value")
    elif name not in FREE and any(blank in value for blank in (b" ", b"\t")):
        found.append("there is a blank in its value")
    elif name in WORDS and not all(each.lower() in WORDS[name] for each in value.split()):
        found.append("there may stand " + ", ".join(each.decode() for each in WORDS[name]))
    elif name == b"popexpire" and not value.isdigit() and value.upper() != b"NEVER":
        found.append("there may stand a number of days, or NEVER")
    elif name == b"opensmtp" and not _is_opensmtp(value.split()):
        found.append("write minutes, such as 180, and before them a directory, if not here")
    elif name == b"loginseparators" and any(chr(each).isalnum() or each in b".-_" for each in value):
        found.append("letters, digits, dots and - and _ part no user from a domain and do not count")
    elif name == b"passwordscheme" and value.lower() not in SCHEMES:
        found.append("there is no such scheme; there are %s" % b", ".join(SCHEMES).decode())
    if not value.isascii() and name not in FREE:
        found.append("a name has ASCII letters only; write the xn-- form")
    more = sum(1 for each in text.split(b"\n")[1:] if each.strip())
    if more:
        found.append("only the first line counts, %d more %s there" % (more, "is" if more == 1 else "are"))
    return found


def _is_opensmtp(words: "list[bytes]") -> bool:
    return words[-1:] != [] and words[-1].isdigit() and len(words) <= 2 and all(
        each.startswith(b"/") for each in words[:-1])


def _of_number(name: bytes, text: bytes) -> "list[str]":
    value = controlfile.number(text)
    if value is None:
        return ["does not begin with a number: the default counts"]
    found = _of_line(name, text)
    if not controlfile.line(text).isdigit():
        found.append("only the digits at its start count, which are %d" % value)
    if name.startswith(b"concurrency"):
        if value == 0:
            found.append("0: no such delivery is ever made")
        if value > SPAWNER:
            found.append("%d run at once at most" % SPAWNER)
    return found


def _of_list(name: bytes, kind: str, text: bytes) -> "list[str]":
    found = []
    seen = set()
    judge = JUDGES.get(name)
    for number, entry in controlfile.numbered(text):
        wrong = ""
        if entry[:1] in (b" ", b"\t"):
            wrong = "begins with a blank, which counts as part of it"
        elif not entry.isascii():
            wrong = "has letters that are not ASCII; a domain goes in its xn-- form"
        elif name not in (*WORDY, *SECRET) and any(blank in entry for blank in (b" ", b"\t")):
            wrong = "has a blank in it; a comment takes a line of its own"
        elif judge is not None:
            wrong = _judged(name, judge, entry)
        elif kind == "map":
            key, colon, _ = entry.partition(b":")
            if not colon:
                wrong = "has no colon and does not count"
            elif key.lower() in seen:
                wrong = "is the second one for %s: the last one counts" % (key.decode("ascii") or "all the rest")
            seen.add(key.lower())
        if wrong:
            found.append("line %d %s" % (number, wrong))
    return found


def _judged(name: bytes, judge: "Callable[[bytes], object]", entry: bytes) -> str:
    try:
        judge(entry)
    except ValueError as error:
        # only the words about host names quote what they are about
        secret = name in SECRET and "no host name" in str(error)
        return "makes no sense: %s" % ("a host in it has no proper name" if secret else error)
    return ""


def _route(entry: bytes) -> None:
    smtproutes.relay(smtproutes.split_route(entry)[1])


def _sender(entry: bytes) -> None:
    smtproutes.authenticated_relay(smtproutes.split_sender(entry)[1])


def _address(entry: bytes) -> None:
    if ip.pack(entry) is None:
        raise ValueError("it is no IP address")


def _popdomain(entry: bytes) -> None:
    if len(entry.split()) != 2:
        raise ValueError("write the address or the name, a blank and the domain")
    place = entry.split()[0]
    if b":" in place or not place.translate(None, b"0123456789."):      # no name looks so
        _address(place)
    elif b"." not in place or b"/" in place:
        raise ValueError("it begins with no IP address and no host's name")


def _host_name(entry: bytes) -> None:
    if len(entry.split()) != len((b"address", b"name")):
        raise ValueError("write the address, a blank and the name")
    _address(entry.split()[0])


def _mechanism(entry: bytes) -> None:
    if entry.upper() not in MECHANISMS:
        raise ValueError("write one on a line; there are %s" % b", ".join(MECHANISMS).decode())


def _source(entry: bytes) -> None:
    words = entry.split()
    shared = words[:1] == [b"shared"]
    kind, rest = words[shared:shared + 1], words[shared + 1:]
    right = {b"virtual": not rest, b"passwd": not rest, b"pam": len(rest) == 1,
             b"checkpassword": bool(rest) and rest[0].startswith(b"/")}
    if not any(right.get(each) for each in kind):
        raise ValueError("write virtual, passwd, pam SERVICE or checkpassword /PROGRAM ARGUMENTS, one on a line")


def _login_limit(entry: bytes) -> None:
    word, *values = entry.split()
    if word == b"exempt" and len(values) == 1:
        _address(values[0])
    elif word not in (b"failures", b"window", b"lockout", b"delay") or len(values) != 1 or not values[0].isdigit():
        raise ValueError("write failures, window, lockout or delay and a number, or exempt and an address")


JUDGES: "dict[bytes, Callable[[bytes], object]]" = {
    b"smtproutes": _route, b"authsenders": _sender, b"outgoingip": smtproutes.split_address,
    b"senders": senders.parse, b"submissionlimits": sendlimits.parse,
    b"tlshosts": smtproutes.tls_host, b"popdomains": _popdomain, b"hostnames": _host_name,
    b"authmechanisms": _mechanism, b"loginsources": _source, b"loginlimits": _login_limit,
    **dict.fromkeys(ADDRESSES, _address)}


def _alike(one: bytes, other: bytes) -> bool:
    """Whether a single letter is missing, too much or wrong, or two have changed places."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    rest, rest_too = one[start:], other[start:]
    return (rest[1:] in (rest_too, rest_too[1:]) or rest == rest_too[1:]
            or (rest[:2] == rest_too[1::-1] and rest[2:] == rest_too[2:]))
