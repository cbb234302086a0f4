"""A domain's quota (option quota of @): what its users may have together.

It is kept where quotas are given, not where mail comes in: nobody's quota may grow, and nobody may come, if the sum
would be more than that.  A domain that is over it already, or has a user without a quota, is no reason to refuse what
makes it better.
"""

from vqmail import codes
from vqmail.formats import options, quota
from vqmail.store import domainsettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    Options = dict[bytes, dict[bytes, bytes]]

TOO_MUCH = ("the users of %s may have %s together (option quota of the domain), and would be allowed more: "
            "give %s, or others, a smaller quota")


def keep(domain: bytes, who: bytes, before: "tuple[Collection[bytes], Options]",
         after: "tuple[Collection[bytes], Options]") -> None:
    """GiveUp if `who` gets a quota that does not fit; `before` and `after` are (users, options of the domain)."""
    text = after[1].get(options.DOMAIN, {}).get(b"quota", b"")
    total = quota.parse(text)
    if total is None or total == quota.NONE:
        return
    then, now = _quotas(*after), _quotas(*before)
    if quota.fits_into(total, then):
        return
    for kind in "size", "count":
        if _load(then, kind) > _load(now, kind) and not quota.fits_into(_only(total, kind), then):
            raise codes.GiveUp(TOO_MUCH % (domain.decode(), text.decode(), who.decode("utf-8", "replace")))


def _quotas(users: "Collection[bytes]", chosen: "Options") -> "list[quota.Limits | None]":
    return [quota.parse(domainsettings.of_user(chosen, each)[0]) for each in users]


def _load(limits: "list[quota.Limits | None]", kind: str) -> "tuple[int, int]":
    """(how many have no limit, what the others may have together)."""
    each = [getattr(one, kind) if one is not None else 0 for one in limits]
    return each.count(0), sum(each)


def _only(total: "quota.Limits", kind: str) -> "quota.Limits":
    return quota.Limits(total.size, 0) if kind == "size" else quota.Limits(0, total.count)
