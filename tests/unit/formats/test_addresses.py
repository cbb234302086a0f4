"""Lists of addresses: whatever bytes come there is a list or one kind of error; what is not completed stays to the byte.

What each form means is in tests/corpus/inject.
"""

import pytest
from hypothesis import given, settings, strategies as st

from vqmail.formats import addresses, completion

HOSTS = completion.Hosts(b"host.example", b"dom.example", b"plus.example")
PIECES = [b"(", b")", b"<", b">", b"[", b"]", b":", b";", b"@", b"\\", b",", b".", b'"', b" ", b"\n ", b"a", b"bc", b"\xff",
          b"\0", b"\t", b"x@y", b"+", b"a.b", b"=?x?="]
hostile = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)


def envelopes(text: bytes) -> "list[bytes]":
    return [HOSTS.envelope(each) for each in addresses.parse(text).addresses]


def rewritten(text: bytes) -> bytes:
    return completion.rewrite(text, addresses.parse(text), HOSTS, 4)


@settings(max_examples=800, deadline=None)
@given(hostile | st.binary(max_size=60))
def test_whatever_comes_is_a_list_or_malformed(text: bytes) -> None:
    try:
        found = addresses.parse(text)
    except addresses.Malformed:
        return
    for each in found.addresses:
        assert bool(each.local) or not each.domain
        assert not any(byte < 32 or byte == 127 for byte in each.local + each.domain)


@settings(max_examples=800, deadline=None)
@given(hostile)
def test_a_completed_list_means_the_same_and_is_complete(text: bytes) -> None:
    try:
        meant = envelopes(text)
    except addresses.Malformed:
        return
    once = rewritten(text)

    assert envelopes(once) == meant
    assert rewritten(once) == once


@settings(max_examples=1000, deadline=None)
@given(hostile | st.binary(max_size=60))
def test_an_argument_is_an_address_or_malformed(text: bytes) -> None:
    try:
        found = addresses.raw(text)
    except addresses.Malformed:
        return
    assert b"\n" not in HOSTS.envelope(found)


# lists made of parts, so that what they mean is known without parsing them

atom = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~é", min_size=1, max_size=8).map(str.encode)
inside_quotes = st.text("ab @,;:<>()[].é", min_size=1, max_size=8).map(str.encode)
gap = st.sampled_from([b"", b" ", b"\t", b"\n ", b"(c)", b" (a (b) c) ", b"(\\))", b'(" <)'])
local = st.tuples(atom, gap).map(lambda pair: (pair[0], pair[0] + pair[1])) | inside_quotes.map(
    lambda text: (text, b'"' + text + b'"')) | st.tuples(atom, gap, atom).map(
    lambda three: (three[0] + b"." + three[2], three[0] + three[1] + b"." + three[1] + three[2]))
label = st.text("abcdefghij0123456789-", min_size=1, max_size=10).map(str.encode)
domain = st.tuples(label, gap, label).map(lambda three: (three[0] + b"." + three[2], three[0] + b"." + three[1] + three[2])) | st.just(
    (b"[192.0.2.1]", b"[192.0.2.1]"))
spec = st.tuples(local, gap, domain).map(lambda three: (
    three[0][0] + b"@" + three[2][0], three[0][1] + b"@" + three[1] + three[2][1]))
phrase = st.lists(atom | inside_quotes.map(lambda text: b'"' + text + b'"'), max_size=3).map(b" ".join)
mailbox = spec | st.tuples(phrase, spec, gap).map(lambda three: (
    three[1][0], three[0] + b" <" + three[1][1] + b">" + three[2]))
separator = st.sampled_from([b",", b", ", b",\n ", b" ,", b",,", b", (c),\n\t"])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(mailbox, separator), max_size=5))
def test_a_list_means_what_it_was_made_of(made: "list[tuple[tuple[bytes, bytes], bytes]]") -> None:
    text = b"".join(written + between for (_, written), between in made)

    assert envelopes(text) == [meant for (meant, _), _ in made]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(mailbox, separator), max_size=5))
def test_a_complete_list_stays_to_the_byte(made: "list[tuple[tuple[bytes, bytes], bytes]]") -> None:
    text = b"".join(written + between for (_, written), between in made)

    assert rewritten(text) == text


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(mailbox, separator), max_size=5))
def test_a_list_with_one_to_complete_gets_his_host_and_line_breaks(
        made: "list[tuple[tuple[bytes, bytes], bytes]]") -> None:
    text = b"".join(written + between for (_, written), between in made)
    after = rewritten(text + b"joe")

    assert b"".join(after.split()) == b"".join(text.split()) + b"joe@host.example"


@pytest.mark.parametrize(("size", "broken"), [(994, False), (995, True)])
def test_a_line_of_more_than_998_is_broken(size: int, broken: bool) -> None:
    """The name of the field and its colon are four bytes more."""
    text = b"aaaaa@b.example, " * 56 + b"b" * (size - 56 * 17 - 10) + b"@c.example"
    lines = rewritten(text).split(b"\n")

    assert b"".join(lines) == text
    assert (len(lines) > 1) is broken
    assert not broken or all(len(line) <= 78 for line in lines)


@pytest.mark.parametrize("piece", [
    b"(", b"<", b'"', b"[", b"\\", b",", b";", b":", b"@", b".", b"a,", b"a ", b'""', b'"\\"', b"(()", b"<a>,", b"a:;", b"\n ",
    b"@a,", b"(\\", b"\0"])
def test_100_kilobytes_of_anything_do_no_harm(piece: bytes) -> None:
    """What took the square of its length, or a call for each level, would not come back, or not like this."""
    many = piece * (100_000 // len(piece))
    for start in (b"", b"<", b'"', b"(", b"x:", b"<@"):
        try:
            addresses.parse(start + many)
        except addresses.Malformed as why:
            assert len(str(why)) < 200


def test_a_megabyte_of_recipients() -> None:
    text = b",".join(b"someone%d@there.example" % each for each in range(40_000))

    assert envelopes(text) == [b"someone%d@there.example" % each for each in range(40_000)]


def test_one_is_one() -> None:
    assert HOSTS.envelope(addresses.one(b" <joe@x.example> ")) == b"joe@x.example"
    for text in (b"", b"(joe)", b"a, b", b"a:;"):
        with pytest.raises(addresses.Malformed):
            addresses.one(text)
