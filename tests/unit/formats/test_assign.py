"""users/assign, the records of users/cdb, and which of them controls an address (QMAIL interface 7)."""

import pytest

from vqmail.formats import assign

EXAMPLE = [b"=joe:joe:1001:1001:/home/joe:::", b"+joe-:joe:1001:1001:/home/joe:-::",
           b"+example.com-:vpop:89:89:/v/example.com:-::", b"+:alias:64010:64010:/var/qmail/alias:-::", b"."]
# QMAIL interface 22
RECORDS = [
    (b"!joe\0", b"joe\x001001\x001001\0/home/joe\0\0"),
    (b"!joe-", b"joe\x001001\x001001\0/home/joe\0-\0"),
    (b"!example.com-", b"vpop\x0089\x0089\0/v/example.com\0-\0"),
    (b"!", b"alias\x0064010\x0064010\0/var/qmail/alias\0-\0"),
    (b"", b"-"),
]


def test_the_example_gives_the_records_that_qmail_newu_writes() -> None:
    assert list(assign.records(EXAMPLE)) == RECORDS


def test_the_vpopmail_form_of_a_domain_keeps_its_key() -> None:
    lines = [b"+alias.test-:real.test:89:89:/home/vpopmail/domains/real.test:-::", b"."]

    assert list(assign.records(lines))[0] == (
        b"!alias.test-", b"real.test\x0089\x0089\0/home/vpopmail/domains/real.test\0-\0")


@pytest.mark.parametrize(("line", "record"), [
    (b"=Joe:Joe:7:8:/Home/Joe:-:Ext:", (b"!joe\0", b"Joe\x007\x008\0/Home/Joe\0-\0Ext")),
    (b"+JOE+:j:7:8:/h:-:p:", (b"!joe+", b"j\x007\x008\0/h\0-\0p")),
    (b"=joe:j:7:8:/h:::dropped:too", (b"!joe\0", b"j\x007\x008\0/h\0\0")),
    (b"=joe:j:7:8:/h:::\r", (b"!joe\0", b"j\x007\x008\0/h\0\0")),
    (b"=\xc9\xff:j:7:8:/h:::", (b"!\xc9\xff\0", b"j\x007\x008\0/h\0\0")),
    (b"=:j:7:8:/h:::", (b"!\0", b"j\x007\x008\0/h\0\0")),
    (b"=a b:j:7:8:/h:::", (b"!a b\0", b"j\x007\x008\0/h\0\0")),
])
def test_lines(line: bytes, record: "tuple[bytes, bytes]") -> None:
    assert list(assign.records([line, b"."]))[0] == record


def test_wildchars_are_the_distinct_last_characters_in_lower_case_and_in_order() -> None:
    lines = [b"%s:u:7:7:/h:-::" % each for each in (b"+joe-", b"+listX", b"+ann-", b"+a=", b"+LISTx", b"+", b"=bob!")]

    assert list(assign.records([*lines, b"."]))[-1] == (b"", b"-x=")


def test_without_prefixes_the_wildchars_are_empty_but_there() -> None:
    assert list(assign.records([b"."])) == [(b"", b"")]


def test_everything_after_the_dot_is_ignored() -> None:
    assert list(assign.records([b".", b"# a comment", b"rubbish", b"=joe:j:0:0::::"])) == [(b"", b"")]


def test_the_dot_may_be_followed_by_anything() -> None:
    assert list(assign.records([b". the end\r"])) == [(b"", b"")]


@pytest.mark.parametrize(("lines", "reason"), [
    ([b"=joe:j:7:7:/h:::"], "line 2: the file ends without a line that is just a dot; add one"),
    ([], "line 1: the file ends without a line that is just a dot; add one"),
    ([b"=joe:j:7:7:/h:::", b"", b"."], "line 2: an empty line is not allowed; remove it"),
    ([b" \t", b"."], "line 1: an empty line is not allowed; remove it"),
    ([b"# x", b"."], "line 1: comments may only stand after the line with the dot; move it there"),
    ([b"=joe:j:7:7:/h::", b"."], "line 1: has 6 colons, needs 7: =local:user:uid:gid:home:dash:ext:"),
    ([b"=joe", b"."], "line 1: has 0 colons, needs 7: =local:user:uid:gid:home:dash:ext:"),
    ([b"=jo\0e:j:7:7:/h:::", b"."], "line 1: has a NUL; remove it"),
    ([b":j:7:7:/h::::", b"."], "line 1: begins neither with = (one address) nor with + (all that begin so)"),
    ([b"joe:j:7:7:/h:::", b"."], "line 1: begins neither with = (one address) nor with + (all that begin so)"),
    ([b"=joe:j:joe:7:/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j:7::/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j:-7:7:/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j: 7:7:/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j:1_0:7:/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j:4294967295:7:/h:::", b"."], "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=joe:j:7:99999999999999999999:/h:::", b"."],
     "line 1: the third and fourth fields must be a uid and a gid, as numbers"),
    ([b"=root:root:0:7:/root:::", b"."], "line 1: uid 0: nothing is ever delivered as root; name another user"),
    ([b"=joe:j:7:7:home:::", b"."], "line 1: the fifth field must be a home directory that begins with a slash"),
    ([b"=joe:j:7:7::::", b"."], "line 1: the fifth field must be a home directory that begins with a slash"),
])
def test_a_bad_line_is_refused_with_its_number_and_what_to_do(lines: "list[bytes]", reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        list(assign.records(lines))

    assert str(refused.value) == reason


@pytest.mark.parametrize(("local", "wildchars", "keys"), [
    (b"joe", b"-", [(b"!joe\0", b""), (b"!", b"joe")]),
    (b"joe-a-b", b"-", [(b"!joe-a-b\0", b""), (b"!joe-a-", b"b"), (b"!joe-", b"a-b"), (b"!", b"joe-a-b")]),
    (b"Joe-A", b"-", [(b"!joe-a\0", b""), (b"!joe-", b"A"), (b"!", b"Joe-A")]),
    (b"joe-", b"-", [(b"!joe-\0", b""), (b"!joe-", b""), (b"!", b"joe-")]),
    (b"ab", b"ab", [(b"!ab\0", b""), (b"!ab", b""), (b"!a", b"b"), (b"!", b"ab")]),
    (b"", b"-", [(b"!\0", b""), (b"!", b"")]),
    (b"\xc9-x", b"-", [(b"!\xc9-x\0", b""), (b"!\xc9-", b"x"), (b"!", b"\xc9-x")]),
])
def test_the_longest_prefix_is_tried_first_and_the_rest_keeps_its_case(
        local: bytes, wildchars: bytes, keys: "list[tuple[bytes, bytes]]") -> None:
    assert list(assign.keys(local, wildchars)) == keys


def test_what_follows_the_prefix_is_added_to_the_last_field() -> None:
    assert assign.fields(b"joe\x001001\x001002\0/home/joe\0-\0list-", b"Ext") == [
        b"joe", b"1001", b"1002", b"/home/joe", b"-", b"list-Ext"]


@pytest.mark.parametrize("data", [
    b"", b"joe", b"joe\x001\x001\0/h\0-", b"joe\0\x001\0/h\0-\0", b"joe\x001\0x\0/h\0-\0", b"joe\0-1\x001\0/h\0-\0",
    b"joe\x001\x001\0h\0-\0", b"joe\x001\x00184467440737095516160\0/h\0-\0"])
def test_a_broken_record_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^users/cdb has a broken record$"):
        assign.fields(data, b"")
