"""What users of a domain may have together."""

import pytest

from vqmail import codes
from vqmail.admin import quotas

TOTAL = {b"@": {b"quota": b"1000S,10C"}}


def of(**each: bytes) -> "dict[bytes, dict[bytes, bytes]]":
    """Options of users and of the domain."""
    return TOTAL | {b"*" if name == "all" else name.encode(): {b"quota": value} for name, value in each.items()}


@pytest.mark.parametrize(("before", "after"), [
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann", b"bob"], of(ann=b"500S,5C", bob=b"500S,5C"))),
    (([], of(all=b"100S,1C")), ([b"%d" % each for each in range(10)], of(all=b"100S,1C"))),
    (([b"ann", b"bob"], of(ann=b"900S,5C", bob=b"900S,5C")), ([b"ann", b"bob"], of(ann=b"900S,5C", bob=b"800S,5C"))),
    (([b"ann", b"bob"], of(bob=b"900S,5C")), ([b"ann"], of())),
    (([b"ann", b"bob"], of(bob=b"900S,5C")), ([b"ann", b"bob"], of(bob=b"800S,5C"))),
    (([b"ann", b"bob"], {}), ([b"ann", b"bob", b"eve"], {})),
    (([b"ann"], {b"@": {b"quota": b"NOQUOTA"}}), ([b"ann"], {b"@": {b"quota": b"NOQUOTA"}, b"ann": {b"quota": b"9G"}})),
    (([b"ann"], {b"@": {b"quota": b"10C"}, b"ann": {b"quota": b"10C"}}),
     ([b"ann"], {b"@": {b"quota": b"10C"}, b"ann": {b"quota": b"9G,10C"}}))])
def test_what_fits_or_makes_it_better(before: "tuple[list[bytes], dict[bytes, dict[bytes, bytes]]]",
                                      after: "tuple[list[bytes], dict[bytes, dict[bytes, bytes]]]") -> None:
    quotas.keep(b"domain1.test", b"bob", before, after)


@pytest.mark.parametrize(("before", "after"), [
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann", b"bob"], of(ann=b"500S,5C", bob=b"501S,5C"))),
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann", b"bob"], of(ann=b"500S,5C", bob=b"500S,6C"))),
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann", b"bob"], of(ann=b"500S,5C"))),
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann"], of(ann=b"NOQUOTA"))),
    (([b"ann"], of(ann=b"500S,5C")), ([b"ann", b"bob"], of(ann=b"500S,5C", bob=b"500S"))),
    (([b"ann", b"bob"], of(ann=b"900S,5C", bob=b"900S,5C")), ([b"ann", b"bob"], of(ann=b"900S,5C", bob=b"901S,5C"))),
    (([b"ann", b"bob"], of(all=b"500S,5C")), ([b"ann", b"bob"], of(all=b"501S,5C")))])
def test_what_would_be_too_much(before: "tuple[list[bytes], dict[bytes, dict[bytes, bytes]]]",
                                after: "tuple[list[bytes], dict[bytes, dict[bytes, bytes]]]") -> None:
    with pytest.raises(codes.GiveUp, match="may have 1000S,10C together .* give bob, or others, a smaller quota"):
        quotas.keep(b"domain1.test", b"bob", before, after)
