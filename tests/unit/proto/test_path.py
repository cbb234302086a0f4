"""The arguments of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vqmail.proto import path, reply


@pytest.mark.parametrize(("argument", "address"), [
    (b"FROM:<>", b""),
    (b"FROM:<a@b.test>", b"a@b.test"),
    (b"from:<a@b.test>", b"a@b.test"),
    (b"FROM: <a@b.test>", b"a@b.test"),
    (b"FROM:a@b.test", b"a@b.test"),
    (b"FROM:<a>", b"a"),
    (b"FROM:<a@[192.0.2.1]>", b"a@[192.0.2.1]"),
    (b'FROM:<"a b"@c.test>', b"a b@c.test"),
    (b'FROM:<"a>b"@c.test>', b"a>b@c.test"),
    (b'FROM:<"a\\"b"@c.test>', b'a"b@c.test'),
    (b"FROM:<a\\ b@c.test>", b"a b@c.test"),
    (b"FROM:<@x.test,@y.test:a@b.test>", b"a@b.test"),
    (b"FROM:<list-@b.test-@[]>", b"list-@b.test-@[]"),
    (b"FROM:<#@[]>", b"#@[]"),
    (b"FROM:<" + b"a" * 892 + b"@b.test>", b"a" * 892 + b"@b.test"),
])
def test_sender(argument: bytes, address: bytes) -> None:
    assert path.Path(address, []) == path.reverse(argument)


@pytest.mark.parametrize(("argument", "answer"), [
    (b"", reply.SYNTAX),
    (b"FROM", reply.SYNTAX),
    (b"FROM:", reply.SYNTAX),
    (b"TO:<a@b.test>", reply.SYNTAX),
    (b"<a@b.test>", reply.SYNTAX),
    (b"FROM:<a@b.test>>", reply.SYNTAX),
    (b"FROM:<a@b.test", reply.BAD_SENDER),
    (b"FROM:<a<b@c.test>", reply.BAD_SENDER),
    (b"FROM:a>b@c.test", reply.BAD_SENDER),
    (b'FROM:<"a@b.test>', reply.BAD_SENDER),
    (b"FROM:<a\\", reply.BAD_SENDER),
    (b"FROM:<@b.test>", reply.BAD_SENDER),
    (b"FROM:<@x.test>SIZE=1:y@b.test>", reply.BAD_SENDER),
    (b"FROM:<a@>", reply.BAD_SENDER),
    (b"FROM:<a\rb@c.test>", reply.BAD_SENDER),
    (b'FROM:<"a\0"@c.test>', reply.BAD_SENDER),
    (b"FROM:<\xc3\xa4@c.test>", reply.NOT_ASCII),
    (b"FROM:<" + b"a" * 893 + b"@b.test>", reply.TOO_LONG),
    (b"FROM:<" + b'"' + b"a" * 893 + b'"' + b"@b.test>", reply.TOO_LONG),
])
def test_malformed_sender(argument: bytes, answer: bytes) -> None:
    with pytest.raises(path.Refused) as refused:
        path.reverse(argument)

    assert refused.value.reply == answer


def test_parameters_have_upper_case_names_and_their_own_values() -> None:
    expected = path.Path(b"a@b.test", [(b"SIZE", b"12"), (b"BODY", b"8bitMIME"), (b"SMTPUTF8", b"")])

    assert expected == path.reverse(b"FROM:<a@b.test> size=12  Body=8bitMIME SMTPUTF8 ")


@pytest.mark.parametrize(("argument", "address"), [
    (b"TO:<bob@example.test>", b"bob@example.test"),
    (b"TO:<Postmaster>", b"Postmaster"),
    (b'TO:<"bob@example.test"@elsewhere.test>', b"bob@example.test@elsewhere.test"),
    (b"TO:<bob%elsewhere.test@example.test>", b"bob%elsewhere.test@example.test"),
    (b"TO:<@example.test:bob@elsewhere.test>", b"bob@elsewhere.test"),
])
def test_recipient(argument: bytes, address: bytes) -> None:
    assert path.Path(address, []) == path.forward(argument)


@pytest.mark.parametrize("argument", [b"TO:<>", b"TO:<@example.test>", b'TO:<"">', b"TO:<bob@>", b"TO:<b\tb@x.test>"])
def test_malformed_recipient(argument: bytes) -> None:
    with pytest.raises(path.Refused) as refused:
        path.forward(argument)

    assert refused.value.reply == reply.BAD_RECIPIENT


@given(st.binary(max_size=60).map(lambda text: b"TO:<" + text + b">") | st.binary(max_size=60))
def test_any_argument_is_a_printable_address_or_refused(argument: bytes) -> None:
    try:
        address = path.forward(argument).address
    except path.Refused as refused:
        assert refused.reply.endswith(b"\r\n")
    else:
        assert all(32 <= each < 127 for each in address)
        assert address
