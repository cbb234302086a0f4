"""What vpopmail's lines say, with the facts of its own manual."""

import pytest

from vqmail.formats import vpasswd


def test_a_line_is_taken_apart() -> None:
    line = b"Bob:$1$ab$xyz:0:0:Bob B:/home/vpopmail/domains/d.test/bob:1000000S,100C:sec:ret"

    assert vpasswd.parse(line) == vpasswd.Entry(
        b"bob", b"$1$ab$xyz", False, 0, b"Bob B", b"/home/vpopmail/domains/d.test/bob", b"1000000S,100C", b"sec:ret")


def test_the_third_field_is_a_way_to_log_in_and_no_uid() -> None:
    assert (False, True) == (vpasswd.parse(b"a:x:0:0::/d/a:NOQUOTA").apop, vpasswd.parse(b"a:x:1:0::/d/a:NOQUOTA").apop)


@pytest.mark.parametrize(("flags", "suspended"), [
    (0, []), (0x2, [b"login"]), (0x10, [b"receive"]), (0x800, [b"send"]), (0x20 | 0x800, [b"send"]),
    (0x2 | 0x10 | 0x800, [b"login", b"receive", b"send"]), (0x1000, [])])
def test_the_fourth_field_says_what_is_forbidden(flags: int, suspended: "list[bytes]") -> None:
    assert vpasswd.suspended(flags) == suspended


def test_what_has_nothing_like_it_here_is_said() -> None:
    assert vpasswd.remarks(0x1 | 0x8) == ["may not change the password", "no IMAP"]


@pytest.mark.parametrize("line", [b"", b"bob", b"bob:x:y:0::/d", b"bob:x:0:-1::/d/bob:NOQUOTA",
                                  b"bob:x:0:99999999999999999999999::/d"])
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        vpasswd.parse(line)


@pytest.mark.parametrize(("line", "fate"), [
    (b"| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox", b"bounce"),
    (b"| /home/vpopmail/bin/vdelivermail '' delete", b"delete"),
    (b"|/x/vdelivermail '' bob@d.test", b"bob@d.test"),
    (b"| /x/vdelivermail '' /home/vpopmail/domains/d.test/bob", b"/home/vpopmail/domains/d.test/bob"),
    (b"| /usr/bin/procmail", None), (b"&bob@d.test", None)])
def test_what_happens_to_mail_for_nobody(line: bytes, fate: "bytes | None") -> None:
    assert vpasswd.default(line) == fate


def test_limits_become_options() -> None:
    text = (b"maxpopaccounts: 10\nmaxaliases: 5\nmaxforwards: -1\nquota: 20\nmaxmsgcount: 300\ndefault_quota: 5000\n"
            b"disable_pop: 1\ndisable_smtp: 0\nnonsense\n")

    assert vpasswd.limits(text) == ({b"mailboxes": b"10", b"aliases": b"5", b"quota": b"20971520S,300C"},
                                    {b"quota": b"5000S"}, ["disable_pop"])
