"""The installation's tables that name domains: rcpthosts, morercpthosts, virtualdomains, locals, users/assign.

A line is added or taken out; all others stay what they are, to the byte.
"""

from vqmail import codes, vqhome
from vqmail.admin import transaction
from vqmail.formats import controlfile
from vqmail.store import compiled, control

RCPTHOSTS = vqhome.path(b"control/rcpthosts")
VIRTUALDOMAINS = vqhome.path(b"control/virtualdomains")
LOCALS = vqhome.path(b"control/locals")
FEW = 50                        # names in rcpthosts; vq-smtpd reads it whole for each session, the others are looked up
END = b"."                      # the line that ends users/assign


def receive(t: transaction.Transaction, domain: bytes) -> None:
    """Receive mail for `domain`: a line in rcpthosts, or, when it has many, in morercpthosts."""
    if any(domain in _names(t.read(path)) for path in (RCPTHOSTS, compiled.MORE)):
        return
    text = t.read(RCPTHOSTS) or b""
    if len(controlfile.entries(text)) < FEW:
        t.write(RCPTHOSTS, _append(text, domain))
    else:
        t.write(compiled.MORE, _append(t.read(compiled.MORE) or b"", domain))
        t.compile_hosts()


def receive_no_more(t: transaction.Transaction, domain: bytes) -> None:
    """Receive no mail for `domain`."""
    _take_out(t, RCPTHOSTS, domain)
    if _take_out(t, compiled.MORE, domain):
        t.compile_hosts()


def prefix(t: transaction.Transaction, domain: bytes) -> "bytes | None":
    """What virtualdomains gives just this domain; None if it has no line."""
    return controlfile.mapping(t.read(VIRTUALDOMAINS) or b"").get(domain)


def make_virtual(t: transaction.Transaction, domain: bytes, owner: bytes) -> None:
    """Give mail for `domain` to the prefix `owner`; it is no domain of this host's own users any more."""
    text = t.read(VIRTUALDOMAINS) or b""
    t.write(VIRTUALDOMAINS, _append(text, domain + b":" + owner))
    there = t.read(LOCALS)
    if there is not None:
        _take_out(t, LOCALS, domain)
    elif control.line(b"me").lower() == domain:
        t.write(LOCALS, b"")                    # without the file it would be the one local domain
    t.reload()


def make_virtual_no_more(t: transaction.Transaction, domain: bytes) -> None:
    """Take the line of `domain` out of virtualdomains."""
    text = t.read(VIRTUALDOMAINS) or b""
    kept = [line for line in text.split(b"\n") if not _is_key(line, domain)]
    t.write(VIRTUALDOMAINS, b"\n".join(kept))
    t.reload()


def assigned(t: transaction.Transaction, owner: bytes) -> "bytes | None":
    """The line of users/assign for the prefix `owner` and a dash; None if there is none."""
    for line in _before_the_end(t.read(compiled.ASSIGN) or b""):
        if _is_assigned(line, owner):
            return line
    return None


def assign(t: transaction.Transaction, line: bytes) -> None:
    """Add a line to users/assign, before the first prefix that is greater, or before the end."""
    text = t.read(compiled.ASSIGN)
    lines = (text if text is not None else END + b"\n").split(b"\n")
    for number, each in enumerate(lines):
        if each.startswith(END) or (each.startswith(b"+") and each.partition(b":")[0] > line.partition(b":")[0]):
            lines.insert(number, line)
            break
    else:
        raise codes.GiveUp("users/assign has no line that is just a dot; add one at its end")
    t.write(compiled.ASSIGN, b"\n".join(lines))
    t.compile()


def assign_no_more(t: transaction.Transaction, owner: bytes) -> None:
    """Take the line of the prefix `owner` out of users/assign."""
    text = t.read(compiled.ASSIGN) or b""
    count = len(_before_the_end(text))
    lines = text.split(b"\n")
    kept = [each for each in lines[:count] if not _is_assigned(each, owner)]
    t.write(compiled.ASSIGN, b"\n".join(kept + lines[count:]))
    t.compile()


def _is_assigned(line: bytes, owner: bytes) -> bool:
    return line.startswith(b"+") and line[1:].partition(b":")[0].lower() == owner.lower() + b"-"


def _before_the_end(text: bytes) -> "list[bytes]":
    lines = text.split(b"\n")
    for number, each in enumerate(lines):
        if each.startswith(END):
            return lines[:number]
    return lines


def _names(text: "bytes | None") -> "set[bytes]":
    return {each.lower() for each in controlfile.entries(text or b"")}


def _is_key(line: bytes, domain: bytes) -> bool:
    """Whether a line of a map is that of `domain`."""
    return domain in controlfile.mapping(line)


def _take_out(t: transaction.Transaction, path: bytes, domain: bytes) -> bool:
    """Take the lines of `domain` out of a list; whether there were any."""
    text = t.read(path)
    if domain not in _names(text):
        return False
    t.write(path, b"\n".join([each for each in (text or b"").split(b"\n") if domain not in _names(each)]))
    return True


def _append(text: bytes, line: bytes) -> bytes:
    return text + (b"" if not text or text.endswith(b"\n") else b"\n") + line + b"\n"
