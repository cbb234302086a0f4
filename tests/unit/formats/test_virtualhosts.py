"""Lines of /virtual/conf.pop."""

import pytest

from vqmail.formats import virtualhosts

CONF = b"""\
# the addresses of this machine

10.0.0.2 /virtual/domain1.com
10.0.0.3\t/virtual/Domain2.com/
  10.0.0.4   domain3.com
2001:DB8:0:0::3 /virtual/domain2.com
"""


@pytest.mark.parametrize(("address", "where", "domain"), [
    (b"10.0.0.2", b"/virtual/domain1.com", b"domain1.com"),
    (b"10.0.0.3", b"/virtual/Domain2.com", b"domain2.com"),
    (b"10.0.0.4", b"domain3.com", b"domain3.com"),
    (b"::ffff:10.0.0.4", b"domain3.com", b"domain3.com"),
    (b"2001:db8::3", b"/virtual/domain2.com", b"domain2.com"),
    (b"10.0.0.5", b"", b""),
    (b"", b"", b""),
    (b"*", b"", b""),
])
def test_an_address_has_its_domain(address: bytes, where: bytes, domain: bytes) -> None:
    hosts, faults = virtualhosts.parse(CONF)

    assert faults == []
    assert virtualhosts.lookup(hosts, address) == where
    assert virtualhosts.domain_of(where) == domain


def test_all_others_have_one_if_there_is_a_star() -> None:
    hosts, faults = virtualhosts.parse(CONF + b"* domain9.com")

    assert faults == []
    assert [virtualhosts.lookup(hosts, each) for each in (b"10.0.0.5", b"10.0.0.4", b"")] == [
        b"domain9.com", b"domain3.com", b"domain9.com"]


@pytest.mark.parametrize(("line", "fault"), [
    (b"10.0.0.2", "has 1 words; write the address and the directory or domain"),
    (b"10.0.0.2 /virtual/a b", "has 3 words; write the address and the directory or domain"),
    (b"10.0.0.300 a.test", "does not begin with an IP address of ours or *"),
    (b"pop.a.test a.test", "does not begin with an IP address of ours or *"),
    (b"10.0.0.2:/virtual/a.test x", "does not begin with an IP address of ours or *"),
    (b"10.0.0.2 /", "does not end in a directory that is called as a domain, or in a domain"),
    (b"10.0.0.2 /virtual/..", "does not end in a directory that is called as a domain, or in a domain"),
    (b"10.0.0.2 virtual/a.test", "does not end in a directory that is called as a domain, or in a domain"),
    (b"10.0.0.2 \xff.test", "does not end in a directory that is called as a domain, or in a domain"),
    (b"10.0.0.9 a.test\n::ffff:10.0.0.9 b.test", "is the second one for its address; remove one"),
])
def test_a_line_that_makes_no_sense_is_told_and_the_others_count(line: bytes, fault: str) -> None:
    hosts, faults = virtualhosts.parse(b"#\n" + line + b"\n10.0.0.4 domain3.com\n")

    assert [words for _, words in faults] == [fault]
    assert faults[0][0] == 2 + line.count(b"\n")
    assert virtualhosts.lookup(hosts, b"10.0.0.4") == b"domain3.com"
