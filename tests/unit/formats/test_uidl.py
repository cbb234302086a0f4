"""Unique-ids as other servers gave them."""

import pytest

from vqmail.formats import maildirname, uidl

LIST = b"""3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1
25006 :1276528487.M364837P9451.kurkku,S=1355:2,
25017 W2481 :1276533073.M242911P3632.kurkku:2,F
25018 Pold-one W1 :a
25019 P\xff :b
25020 W1 :colon:in:name
x :c
25021 :d
25022 :half"""


def test_tpop3d_is_md5_of_the_name_without_flags() -> None:
    # printf %s 1276528487.M364837P9451.kurkku | md5sum
    assert uidl.tpop3d(b"1276528487.M364837P9451.kurkku:2,S") == b"e437f51a56ad4a8f5a298d1d4d75e8ed"


def test_dovecots_list() -> None:
    assert uidl.dovecot_list(LIST) == {
        b"1276528487.M364837P9451.kurkku,S=1355": b"000061ae4c0907b0",
        b"1276533073.M242911P3632.kurkku": b"000061b94c0907b0",
        b"a": b"old-one",
        b"b": b"000061bb4c0907b0",
        b"colon": b"000061bc4c0907b0",
        b"d": b"000061bd4c0907b0",
    }


def test_dovecots_old_list() -> None:
    assert uidl.dovecot_list(b"1 1275660208 4\n1 1.x:2,S\n3 2.x\n") == {
        b"1.x": b"000000014c0907b0", b"2.x": b"000000034c0907b0"}


@pytest.mark.parametrize("text", [b"", b"\n", b"3 N1\n", b"1\n", b"2 V1\n", b"3 V-1 N2\n", b"3 V12345678901 N2\n", b"x"])
def test_what_is_no_list(text: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        uidl.dovecot_list(text)


def test_what_was_kept_comes_back() -> None:
    known = {b"1.x y": b"a", b"2.z": b"b"}

    assert uidl.parse_kept(uidl.kept(known)) == known
    assert uidl.parse_kept(b"\n \nx\n\xff y\n" + b"x" * 71 + b" z\nok 1\n") == {b"1": b"ok"}


def test_no_two_are_equal_and_those_that_were_not_stay() -> None:
    made = uidl.different([b"1", b"2", b"3", b"4"], [b"same", b"other", b"same", b"same"])

    assert made[:2] == [b"same", b"other"]
    assert len(set(made)) == 4
    assert all(maildirname.is_unique_id(each) for each in made)
    assert made == uidl.different([b"1", b"2", b"3", b"4"], [b"same", b"other", b"same", b"same"])
