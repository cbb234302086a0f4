"""What imports make of other systems' words, without a disk but for where they come from."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.admin.imports import found, secrets, unix_users, vmail_sql, vpopmail
from vqmail.store import passwords

HEX = b"5ebe2294ecd0e0f08eab7690d2a6ee69"       # md5sum of: secret


@pytest.mark.parametrize(("old", "new"), [
    (b"dom1bob", (b"bob", b"d1.test")), (b"dom2-ann", (b"ann", b"d2.test")), (b"dom2-", None), (b"bob_d3", (b"bob", b"d3.test")),
    (b"dom1bobby", None), (b"", None)])
def test_a_map_undoes_made_up_names(old: bytes, new: "tuple[bytes, bytes] | None") -> None:
    by_map = unix_users.Map([("1", b"dom1bob=bob@D1.test"), ("2", b"dom2-*  *@d2.test"), ("3", b"*_d3:*@d3.test"),
                             ("4", b"dom1bob other@d1.test")])

    assert by_map.find(old) == new


@pytest.mark.parametrize("rule", [b"", b"bob", b"bob=", b"bob=ann", b"=ann@d.test", b"a*b*=*@d.test", b"a*=ann@d.test",
                                  b"a=@d.test", b"a=b@"])
def test_a_rule_that_is_none_is_named(rule: bytes) -> None:
    with pytest.raises(codes.GiveUp, match="the third: write"):
        unix_users.Map([("the third", rule)])


@pytest.mark.parametrize(("stored", "here"), [
    (b"$1$ab$cdefgh", b"$1$ab$cdefgh"), (b"abDs3PeCxmQ2Q", b"abDs3PeCxmQ2Q"), (b"x", b"*"), (b"", b"*"), (b"!", b"*"),
    (b"!!", b"*"), (b"!$6$a$b", b"*"), (b"$0$secret", b"{CLEAR}secret"), (b"$2y$05$abc", b"$2y$05$abc")])
def test_hashes_of_crypt(stored: bytes, here: bytes) -> None:
    assert secrets.crypted(stored)[0] == here


@pytest.mark.parametrize("stored", [b"secret", b"$1$a b$c", b"$1$a:b$c", b"$9$a$b", b"$6$", b"a" * 13 + b"\n", b"\xff" * 13])
def test_what_is_no_hash_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        secrets.crypted(stored)


@pytest.mark.parametrize(("stored", "here"), [
    (HEX, b"{PLAIN-MD5}" + HEX), (HEX.upper(), b"{PLAIN-MD5}" + HEX), (b"Xr4ilOzQ4PCOq3aQ0qbuaQ==", b"{PLAIN-MD5}" + HEX),
    (b"{md5}" + HEX, b"{PLAIN-MD5}" + HEX), (b"{crypt}abDs3PeCxmQ2Q", b"abDs3PeCxmQ2Q"),
    (b"{crypt_md5}$1$ab$cdefgh", b"$1$ab$cdefgh"), (b"{plaintext}a:b", b"{CLEAR}a:b")])
def test_tpop3ds_forms(stored: bytes, here: bytes) -> None:
    assert secrets.tagged(stored)[0] == here


@pytest.mark.parametrize("stored", [b"{sha1}abc", b"{mysql}123", b"{md5}abc", b"{plaintext}a\nb", HEX[1:]])
def test_forms_that_no_login_could_be_compared_with_are_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        secrets.tagged(stored)


def test_what_was_in_clear_is_hashed_unless_it_is_to_stay_so() -> None:
    stored = secrets.to_store(b"{CLEAR}secret", keep_clear=False)

    assert passwords.verify(b"secret", stored, b"")
    assert not stored.startswith(b"{")
    assert secrets.to_store(b"{CLEAR}secret", keep_clear=True) == b"{CLEAR}secret"
    assert b":" not in secrets.to_store(b"{CLEAR}se:cret", keep_clear=True)         # would be two fields
    assert secrets.same(b"{CLEAR}secret", stored)
    assert not secrets.same(b"{CLEAR}Secret", stored)
    assert secrets.same(b"*", stored)           # he was given one since
    assert not secrets.same(stored, b"*")


@pytest.mark.parametrize("text", [b"|/bin/sh", b'"|/bin/sh"', b" | /bin/sh", b"/etc/passwd", b":include:/etc/passwd",
                                  b"bob@d.test, /dev/null", b"./x", b"", b" , "])
def test_a_database_names_no_program_and_no_file(text: bytes) -> None:
    with pytest.raises(ValueError):
        vmail_sql._targets(text, b"d.test")


def test_a_list_of_a_database_is_taken_apart() -> None:
    assert vmail_sql._targets(b"bob, Ann <ann@x.test>,joe@y.test,", b"d.test") == [
        b"bob@d.test", b"ann@x.test", b"joe@y.test"]


@pytest.mark.parametrize(("directory", "home"), [
    (b"/there/d.test/bob", b"/bob"), (b"/home/vpopmail/domains/0/d.test/A/bob", b"/A/bob"), (b"/elsewhere/bob", b""),
    (b"/home/d.test/d.test/bob", b"/bob")])
def test_a_home_is_found_wherever_the_tree_is_now(directory: bytes, home: bytes) -> None:
    assert vpopmail._below(directory, b"d.test", b"/there/d.test") == home


def test_no_link_of_a_source_is_followed(tmp_path: pathlib.Path) -> None:
    root = os.fsencode(tmp_path)
    (tmp_path / "vpasswd").symlink_to("/etc/shadow")
    (tmp_path / "etc").symlink_to("/etc")
    (tmp_path / "box").symlink_to(tmp_path)

    with pytest.raises(codes.TryLater):
        found.read(root, b"/vpasswd")
    with pytest.raises(codes.TryLater):
        found.read(root, b"/etc/passwd")
    assert found.names(root, b"/etc") == []
    assert found.mail(root, b"/box/Maildir") is None
    assert found.read(root, b"/nothing") is None
