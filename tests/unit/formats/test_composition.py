"""What becomes of any header: it goes out whole or not at all, and only for reasons we can name."""

from hypothesis import given, settings, strategies as st

from vqmail.formats import completion, composition, fields

HOSTS = completion.Hosts(b"host.example", b"dom.example", b"plus.example")
WRITER = composition.Writer(b"me", b"", b"", b"me", b"")
STAMP = composition.Stamp(b"DATE", b"ID", b"UNIQUE")
NAMES = [b"To", b"Cc", b"Bcc", b"From", b"Reply-To", b"Resent-To", b"Resent-Bcc", b"Return-Path", b"Subject", b"Received", b"TO",
         b"Message-ID", b"Date", b"Apparently-To", b"Content-Length", b"Sender"]
VALUES = [b"joe", b"ann@x.example", b" , ", b"\n ", b"<", b">", b"(", b")", b'"', b":", b";", b" bob ", b"@", b"", b"\xff", b"\0"]
field = st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=6).map(b"".join)).map(
    lambda pair: pair[0] + b":" + pair[1] + b"\n")
ADDED = (b"Date: DATE", b"Message-ID: <ID>", b"From: me@host.example", b"Cc: recipient list not shown: ;", b"Resent-")
GONE = (b"bcc", b"resent-bcc", b"return-path", b"content-length")


def composed(given: "list[bytes]", *recipients: bytes, from_header: bool = True,
             letters: bytes = b"") -> composition.Composer:
    order = composition.Order(frozenset(b"%c" % each for each in letters), None, from_header, list(recipients))
    composer = composition.Composer(order, HOSTS, WRITER, STAMP, [])
    composer.compose(given)
    return composer


def read(header: bytes) -> "list[bytes]":
    reader = fields.Reader()
    reader.feed(header)

    assert reader.complete
    assert not reader.stray
    assert reader.rest == b""
    return reader.fields()


@settings(max_examples=800, deadline=None)
@given(st.lists(field, max_size=6), st.sampled_from([b"", b"f", b"i", b"rmcs", b"fi"]))
def test_any_header_goes_out_well_formed_or_is_unsendable(given: "list[bytes]", letters: bytes) -> None:
    given = read(b"".join(given) + b"\n") if all(b"\n\n" not in each and b"\n \n" not in each for each in given) else []
    try:
        composer = composed(given, letters=letters)
    except composition.Unsendable as why:
        assert "\n" not in str(why)
        return
    names = [fields.name(each) for each in read(composer.header)]

    assert not any(each in GONE for each in names)
    assert b"date" in names or b"resent-date" in names
    assert all(b"\0" not in each and b"\n" not in each and b"@" in each for each in composer.recipients)


@settings(max_examples=800, deadline=None)
@given(st.lists(field, max_size=6))
def test_what_went_out_goes_out_again_as_it_is(given: "list[bytes]") -> None:
    given = read(b"".join(given) + b"\n") if all(b"\n\n" not in each and b"\n \n" not in each for each in given) else []
    try:
        once = composed(given, b"joe@x.example", from_header=False)
    except composition.Unsendable:
        return
    twice = composed(read(once.header), b"joe@x.example", from_header=False)

    assert twice.header == once.header


@settings(max_examples=800, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"To", b"cc", b"BCC", b"Apparently-To", b"Subject", b"Reply-To"]),
                          st.lists(st.integers(0, 20), max_size=4)), max_size=8))
def test_everyone_who_is_named_gets_one_and_nobody_else(named: "list[tuple[bytes, list[int]]]") -> None:
    given = [b"%s: %s\n" % (name, b", ".join(b"N <n%d@x.example>" % each for each in who)) for name, who in named]
    wanted = dict.fromkeys(b"n%d@x.example" % each for name, who in named if name not in (b"Subject", b"Reply-To")
                           for each in who)

    assert composed(given).recipients == list(wanted)
