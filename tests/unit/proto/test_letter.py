"""What SMTP says with a number, QMTP and QMQP say with a letter."""

import pytest

from vqmail.formats import objection
from vqmail.proto import reply


@pytest.mark.parametrize(("said", "expected"), [
    (objection.NO_GATEWAY, b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    (objection.NO_MAILBOX, b"Dsorry, no mailbox here by that name (#5.1.1)"),
    (objection.BAD_MAIL_FROM, b"Dsorry, your envelope sender is in my badmailfrom list (#5.7.1)"),
    (objection.TOO_BIG, b"Dsorry, that message size exceeds my databytes limit (#5.3.4)"),
    (objection.LOOPING, b"Dtoo many hops, this message is looping (#5.4.6)"),
    (objection.TOO_LONG, b"Dsyntax error, address too long (#5.5.4)"),
    (objection.NO_QUEUE, b"Zqqt failure (#4.3.0)"),
    (reply.CANNOT_LOOK, b"Zsorry, i cannot look for that mailbox now (#4.3.0)"),
    (reply.TOO_MANY_RECIPIENTS, b"Ztoo many recipients, send the others in another message (#4.5.3)"),
    (b"Dno\nway", b"Dno?way"),
    (b"Zwait", b"Zwait"),
    (b"what is this", b"Zhat is this"),
    (b"", b"Z"),
    (b"D" + b"x" * 1000, b"D" + b"x" * 400),
])
def test_letter(said: bytes, expected: bytes) -> None:
    assert expected == reply.letter(said)


def test_there_are_words_for_each_objection() -> None:
    assert {*reply.OBJECTIONS, *reply.ABOUT} == {value for name, value in vars(objection).items() if name.isupper()}


def test_who_has_moved_is_told_with_the_address_and_no_more() -> None:
    assert reply.objection_to(b"moved max@new.test") == (
        b"551 5.1.6 sorry, this user has moved; please try <max@new.test> (#5.1.6)\r\n")
    assert reply.letter(b"moved max@new.test") == b"Dsorry, this user has moved; please try <max@new.test> (#5.1.6)"
    assert reply.objection_to(b"moved a@b\r\n250 ok").count(b"\r\n") == 1


@pytest.mark.parametrize(("word", "expected"), [
    (b"not-yours bob@a.test", b"553 5.7.1 sorry, that sender is not an address of bob@a.test; send as one of your own, or "
                              b"have the postmaster list it in control/senders (#5.7.1)\r\n"),
    (b"forced-sender bob@a.test", b"503 5.7.1 sorry, here you must send as bob@a.test, as whom you logged in (#5.7.1)\r\n"),
    (b"null-sender bob@a.test", b"550 5.7.1 sorry, no message without a sender here; send as bob@a.test (#5.7.1)\r\n"),
    (b"sending-suspended bob@a.test", b"550 5.7.1 sorry, bob@a.test may not send for now; ask your postmaster (#5.7.1)\r\n"),
    (b"too-many 10 messages for b\r\n", b"452 4.7.1 sorry, too many: 10 messages for b?? is the limit of an hour; "
                                        b"try again later (#4.7.1)\r\n"),
    (b"moved ann@b.test", b"551 5.1.6 sorry, this user has moved; please try <ann@b.test> (#5.1.6)\r\n"),
])
def test_an_objection_that_says_what_it_is_about(word: bytes, expected: bytes) -> None:
    assert reply.objection_to(word) == expected
    assert len(reply.objection_to(word + b"x" * 9999)) <= 512                   # RFC 5321 4.5.3.1.5
