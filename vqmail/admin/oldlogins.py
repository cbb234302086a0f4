"""Old names to log in with (store/loginaliases) lead to the same people after these have got other names."""

from vqmail.admin import transaction
from vqmail.store import loginaliases, virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def user_renamed(t: transaction.Transaction, domain: bytes, old: bytes, new: bytes) -> None:
    """Let old names of the user `old` lead to him under his name `new`."""
    of_domain = virtual.domain_directory(domain) + virtual.ETC + loginaliases.OF_DOMAIN
    _rewrite(t, of_domain, lambda who: new if who == old else who)
    at = b"@" + domain
    _rewrite(t, loginaliases.TEXT, lambda who: new + at if who == old + at else who)


def domain_renamed(t: transaction.Transaction, old: bytes, new: bytes) -> None:
    """Let old names of the users of `old` lead to them in `new`."""
    at = b"@" + old
    _rewrite(t, loginaliases.TEXT, lambda who: who.removesuffix(at) + b"@" + new if who.endswith(at) else who)


def _rewrite(t: transaction.Transaction, path: bytes, renamed: "Callable[[bytes], bytes]") -> None:
    text = t.read(path) if t.kind(path) is not None else None
    if text is None:
        return
    lines = []
    for line in text.split(b"\n"):
        name, colon, who = line.partition(b":")
        before = who.strip().lower()
        lines.append(line if not colon or line.startswith(b"#") or renamed(before) == before
                     else name + colon + renamed(before))
    after = b"\n".join(lines)
    if after != text:
        t.write(path, after)
