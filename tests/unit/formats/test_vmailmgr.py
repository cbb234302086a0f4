"""Records of VMailMgr's passwd.cdb, written by hand."""

import pytest

from vqmail.formats import vmailmgr

NUMBERS = b"1000000\x00-\x00-\x00500\x00946684800\x00-\x00"


def entry(**changed: object) -> vmailmgr.Entry:
    values = {"password": b"$1$ab$cd", "mailbox": b"./users/bob", "enabled": True, "forwards": [], "personal": b"Bob",
              "hard": 1000000, "soft": None, "size": None, "count": 500, "created": 946684800, "expires": None,
              "flags": []}
    return vmailmgr.Entry(**(values | changed))


def test_version_two() -> None:
    data = b"\x02\x08\x01\x0a\x01\x00$1$ab$cd\x00./users/bob\x00\x00Bob\x00" + NUMBERS

    assert vmailmgr.decode(data) == entry()


def test_version_two_without_flags_and_with_forwards() -> None:
    data = b"\x02\x00$1$ab$cd\x00./users/bob\x00ann@x.test\x00joe\x00\x00Bob\x00" + NUMBERS

    assert vmailmgr.decode(data) == entry(forwards=[b"ann@x.test", b"joe"])


def test_a_flag_of_value_zero_does_not_end_the_flags() -> None:
    data = b"\x02\x08\x00\x63\x01\x00$1$ab$cd\x00./users/bob\x00\x00Bob\x00" + NUMBERS

    assert vmailmgr.decode(data) == entry(enabled=False, flags=[0x63])


def test_the_flag_that_there_is_no_mailbox_counts() -> None:
    data = b"\x02\x0a\x00\x00*\x00./users/bob\x00ann@x.test\x00\x00\x00" + NUMBERS

    assert vmailmgr.decode(data) == entry(password=b"*", mailbox=b"", forwards=[b"ann@x.test"], personal=b"")


def test_version_one() -> None:
    assert vmailmgr.decode(b"\x01$1$ab$cd\x00./users/bob\x00\x00Bob\x00" + NUMBERS) == entry()


def test_numbers_may_be_missing() -> None:
    assert vmailmgr.decode(b"\x01$1$ab$cd\x00./users/bob\x00\x00Bob\x00") == entry(hard=None, count=None, created=None)


@pytest.mark.parametrize(("data", "mailbox", "forwards"), [
    (b":$1$ab$cd:./users/bob", b"./users/bob", []), (b":$1$ab$cd:&ann@x.test", b"", [b"ann@x.test"]),
    (b":$1$ab$cd:/home/d/users/bob\x00", b"/home/d/users/bob", [])])
def test_the_oldest_form(data: bytes, mailbox: bytes, forwards: "list[bytes]") -> None:
    found = vmailmgr.decode(data)

    assert (found.password, found.mailbox, found.forwards) == (b"$1$ab$cd", mailbox, forwards)


@pytest.mark.parametrize("data", [b"", b"\x03\x00", b"\x02\x08", b"\x02\x08\x01", b"\x01abc", b"\x01a\x00b\x00c\x00",
                                  b"\x01a\x00b\x00\x00\x00x\x00", b"bob:x", b":hash"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        vmailmgr.decode(data)


def test_a_record_cut_anywhere_is_refused_or_lacks_numbers_only() -> None:
    data = b"\x02\x08\x01\x00$1$ab$cd\x00./users/bob\x00ann@x.test\x00\x00Bob\x00" + NUMBERS
    for end in range(len(data)):
        try:
            found = vmailmgr.decode(data[:end])
        except ValueError:
            continue
        assert (found.password, found.mailbox, found.forwards) == (b"$1$ab$cd", b"./users/bob", [b"ann@x.test"])
