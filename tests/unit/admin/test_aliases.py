"""Aliases: what is written for the owner of a domain, what never is, and what somebody else's lines stay."""

import os
import pathlib

import pytest

from vqmail import codes
from vqmail.admin import aliases, catchall, mailboxes, tables, transaction, usertrash
from vqmail.store import compiled, sender, users
from vqmail.store import journal as changes

ME, MINE = os.getuid() or 45001, os.getgid() or 45001
D = b"d.test"


class Site:
    """An installation in a temporary directory, with the domain d.test, its mailboxes ann and bob, and m.test."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.d = path / "virtual/d.test"
        for each in ("control", "users", "virtual/d.test/etc", "virtual/m.test"):
            (path / each).mkdir(parents=True)
        (path / "virtual/other.test").symlink_to("d.test")
        (path / "control/me").write_text("host.test\n")
        (path / "control/virtualroot").write_text(f"{path}/virtual\n")
        (path / "control/virtualdomains").write_text("d.test:d.test\nother.test:d.test\n")
        (path / "users/assign").write_text(f"+d.test-:o:{ME}:{MINE}:{self.d}:-::\n.\n")
        (self.d / "etc/passwd").write_text("".join(f"{each}:x:{ME}:{MINE}::/home/{each}:\n" for each in ("ann", "bob")))
        self.write("default", "| virtmailfilter\n")

    def write(self, name: str, text: "str | bytes", mode: int = 0o644) -> None:
        path = self.d / f".qmail-{name}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        os.chown(path, ME, MINE)

    def options(self, text: str) -> None:
        (self.d / "etc/options").write_text(text)

    def text(self, name: str) -> "str | None":
        path = self.d / f".qmail-{name}"
        return path.read_text("latin-1") if path.exists() else None

    def do(self, change, *arguments, **named):
        """One change, in a transaction of its own."""
        with transaction.Transaction() as t:
            found = change(t, D, *arguments, **named)
            t.commit()
        return found


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    each = Site(tmp_path)
    monkeypatch.setattr("vqmail.vqhome.VQHOME", str(tmp_path).encode())
    for module, name, file in ((changes, "LOCK", "users/lock"), (changes, "PATH", "users/journal"),
                               (compiled, "ASSIGN", "users/assign"), (compiled, "USERS", "users/cdb"),
                               (users, "PATH", "users/cdb"), (sender, "MUTEX", "queue/lock/sendmutex"),
                               (tables, "VIRTUALDOMAINS", "control/virtualdomains")):
        monkeypatch.setattr(module, name, str(tmp_path / file).encode())
    return each


def test_an_alias_is_a_dot_qmail_file_of_the_domains_owner(site: Site) -> None:
    site.do(aliases.add, b"info", [b"bob", b"Carol@Elsewhere.TEST"])
    status = (site.d / ".qmail-info").stat()

    assert site.text("info") == "&bob@d.test\n&Carol@elsewhere.test\n"
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (ME, MINE, 0o644)


def test_a_new_file_is_as_private_as_the_domains_default(site: Site) -> None:
    (site.d / ".qmail-default").chmod(0o600)
    site.do(aliases.add, b"info", [b"bob"])

    assert (site.d / ".qmail-info").stat().st_mode & 0o777 == 0o600


def test_a_dot_in_a_name_is_a_colon_in_the_file_and_capitals_are_small(site: Site) -> None:
    name = aliases.name_of(b"Nonna.Papera")
    site.do(aliases.add, name, [b"bob"])

    assert site.text("nonna:papera") == "&bob@d.test\n"
    assert aliases.names(D) == [b"nonna.papera"]


@pytest.mark.parametrize("name", [b"", b"a/b", b"../x", b".x", b"x.", b"a..b", b"a:b", b"a b", b"a\nb", b"a\0b", b"a@b",
                                  b"\xfcber", b"x" * 201, b"default", b"Default", b"lists-default"])
def test_names_that_no_alias_has(name: bytes) -> None:
    with pytest.raises(codes.GiveUp):
        aliases.name_of(name)


@pytest.mark.parametrize("given", [b"lists", b"lists-", b"lists-default"])
def test_a_wildcard_is_the_default_file_of_its_extensions(given: bytes) -> None:
    assert aliases.name_of(given, wildcard=True) == b"lists-default"


@pytest.mark.parametrize("target", [b"|/bin/sh", b"|/bin/sh@d.test", b"./Maildir/", b"/tmp/x", b"/tmp/x@d.test", b".x@d.test",
                                    b"&|/bin/sh@d.test", b"&&bob@d.test", b"bob@d.test\n|/bin/sh", b"bob@x.test\n", b"",
                                    b"@x.test", b"bob@", b"bob@x..test", b"bob @x.test", b"b\0b@x.test", b"bob@x.test\r",
                                    b"a,b@x.test", b"<bob@x.test>", b"x" * 1100 + b"@x.test", b"\xff@x.test"])
def test_what_never_becomes_a_target(site: Site, target: bytes) -> None:
    for change in (aliases.add, aliases.replace):
        with pytest.raises(codes.GiveUp):
            site.do(change, b"info", [target])

    assert site.text("info") is None


def test_a_target_in_the_domain_must_be_somebodys(site: Site) -> None:
    with pytest.raises(codes.GiveUp, match="nobody@d.test is neither a mailbox nor an alias"):
        site.do(aliases.add, b"info", [b"nobody"])
    site.do(aliases.add, b"info", [b"bob-lists@other.test"])

    assert site.text("info") == "&bob-lists@d.test\n"


def test_lines_of_other_kinds_stay_to_the_byte(site: Site) -> None:
    odd = "# mine \t\n|a  program $HOME\n./box\n\n+x\n&old@x.test  \nbare@x.test\n"
    site.write("info", odd, 0o640)
    site.do(aliases.add, b"info", [b"ann"])

    assert site.text("info") == odd + "&ann@d.test\n"
    site.do(aliases.remove, b"info", [b"ann", b"bare@X.test"])

    assert site.text("info") == odd.replace("bare@x.test\n", "")
    assert site.do(aliases.remove, b"info")[0].endswith("|a  program $HOME; ./box")
    assert site.text("info") == odd.replace("bare@x.test\n", "").replace("&old@x.test  \n", "")
    assert (site.d / ".qmail-info").stat().st_mode & 0o777 == 0o640


def test_a_last_line_without_its_end_gets_one(site: Site) -> None:
    site.write("info", "&a@x.test")
    site.do(aliases.add, b"info", [b"b@x.test"])

    assert site.text("info") == "&a@x.test\n&b@x.test\n"


def test_added_twice_it_says_so_and_changes_nothing(site: Site) -> None:
    site.do(aliases.add, b"info", [b"bob", b"bob@d.test", b"bob@OTHER.test"])
    with pytest.raises(transaction.Already):
        site.do(aliases.add, b"info", [b"bob"])
    with pytest.raises(transaction.Already):
        site.do(aliases.replace, b"info", [b"bob"])

    assert site.text("info") == "&bob@d.test\n"


def test_an_alias_without_a_target_is_no_more(site: Site) -> None:
    site.write("info", "# for the fair\n&bob@d.test\n&ann@d.test\n")
    site.do(aliases.remove, b"info", [b"ann"])
    site.do(aliases.remove, b"info", [b"bob"])

    assert site.text("info") is None
    with pytest.raises(transaction.Already):
        site.do(aliases.remove, b"info")


def test_a_target_that_is_not_there_cannot_be_removed(site: Site) -> None:
    site.do(aliases.add, b"info", [b"bob"])
    with pytest.raises(transaction.Already):
        site.do(aliases.remove, b"info", [b"ann"])

    assert site.text("info") == "&bob@d.test\n"


def test_set_gives_other_targets_and_keeps_the_rest(site: Site) -> None:
    site.write("info", "&bob@d.test\n| mine\n&x@x.test\n")
    site.do(aliases.replace, b"info", [b"x@x.test", b"ann"])

    assert site.text("info") == "| mine\n&x@x.test\n&ann@d.test\n"
    assert aliases.targets(D, b"info") == [b"x@x.test", b"ann@d.test"]


def test_a_copy_for_the_mailbox_is_virtmailfilters(site: Site) -> None:
    site.do(aliases.add, b"bob", [b"x@x.test", b"bob"])

    assert site.text("bob") == "| virtmailfilter\n&x@x.test\n"
    assert aliases.targets(D, b"bob") == [b"bob@d.test", b"x@x.test"]
    site.do(aliases.remove, b"bob", [b"bob@other.test"])

    assert site.text("bob") == "&x@x.test\n"
    with pytest.raises(codes.GiveUp, match="info@d.test is no mailbox"):
        site.do(aliases.add, b"info", [b"info"])


def test_a_file_that_would_only_keep_the_copy_goes(site: Site) -> None:
    site.do(aliases.add, b"bob", [b"x@x.test", b"bob"])
    site.do(aliases.remove, b"bob", [b"x@x.test"])

    assert site.text("bob") is None


def test_no_circle_is_made(site: Site) -> None:
    site.do(aliases.add, b"a", [b"bob"])
    site.do(aliases.add, b"b", [b"a"])
    with pytest.raises(codes.GiveUp, match="circle"):
        site.do(aliases.add, b"a", [b"B@other.test"])


def test_what_has_its_x_bit_gets_no_program(site: Site) -> None:
    site.write("bob", "&x@x.test\n", 0o744)
    with pytest.raises(codes.GiveUp, match="x bit"):
        site.do(aliases.add, b"bob", [b"bob"])
    site.do(aliases.add, b"bob", [b"y@x.test"])

    assert (site.text("bob"), (site.d / ".qmail-bob").stat().st_mode & 0o777) == ("&x@x.test\n&y@x.test\n", 0o744)


@pytest.mark.parametrize("text", ["", "\n&a@x.test\n", "&a@x.test\r\n"])
def test_a_file_that_delivery_refuses_is_for_a_person_to_mend(site: Site, text: str) -> None:
    site.write("info", text)
    with pytest.raises(codes.GiveUp, match="mend it"):
        site.do(aliases.add, b"info", [b"bob"])

    assert (site.d / ".qmail-info").read_bytes() == text.encode()


def test_links_and_files_with_two_names_are_not_touched(site: Site) -> None:
    secret = site.path / "secret"
    secret.write_text("&x@x.test\n")
    (site.d / ".qmail-a").symlink_to(secret)
    (site.d / ".qmail-b").hardlink_to(secret)
    for name in (b"a", b"b"):
        with pytest.raises((codes.GiveUp, codes.TryLater)):
            site.do(aliases.add, name, [b"bob"])

    assert secret.read_text() == "&x@x.test\n"


def test_aliases_have_a_limit_and_forwards_another(site: Site) -> None:
    site.options("@:aliases=1:forwards=1\n")
    site.do(aliases.add, b"a", [b"bob"])
    site.do(aliases.add, b"a", [b"ann"])
    site.do(aliases.add, b"f", [b"x@x.test"])
    with pytest.raises(codes.GiveUp, match="may have 1 aliases"):
        site.do(aliases.add, b"b", [b"bob"])
    with pytest.raises(codes.GiveUp, match="may have 1 forwards"):
        site.do(aliases.add, b"a", [b"x@x.test"])
    site.do(aliases.remove, b"a")
    site.do(aliases.add, b"b", [b"bob"])

    assert aliases.names(D) == [b"b", b"f"]


def test_role_addresses_count_for_no_limit(site: Site) -> None:
    site.options("@:aliases=0:forwards=0:forwarding=no\n")
    site.write("abuse", "| mine\n")
    made = site.do(aliases.add_roles, b"bob")

    assert made == [b"postmaster", b"hostmaster", b"webmaster", b"noc", b"security", b"mailer-daemon", b"root"]
    assert (site.text("abuse"), site.text("root")) == ("| mine\n", "&bob@d.test\n")
    assert site.do(aliases.add_roles, b"bob") == []


def test_a_role_that_has_a_mailbox_keeps_it(site: Site) -> None:
    with (site.d / "etc/passwd").open("a") as file:
        file.write(f"postmaster:x:{ME}:{MINE}::/home/postmaster:\n")
    site.do(aliases.add_roles, b"postmaster@d.test")

    assert (site.text("postmaster"), site.text("abuse")) == (None, "&postmaster@d.test\n")


def test_a_domain_that_may_not_forward_has_no_target_elsewhere(site: Site) -> None:
    site.write("old", "&x@x.test\n")
    site.options("@:forwarding=no\n")
    for targets in ([b"x@x.test"], [b"bob", b"x@d.example"]):
        with pytest.raises(codes.GiveUp, match="may not forward"):
            site.do(aliases.add, b"a", targets)
    with pytest.raises(codes.GiveUp, match="may not forward"):
        site.do(catchall.set_to, b"x@x.test")
    site.do(aliases.add, b"a", [b"bob@other.test"])
    site.do(aliases.add, b"old", [b"bob"])

    assert (site.text("a"), site.text("old")) == ("&bob@d.test\n", "&x@x.test\n&bob@d.test\n")


@pytest.mark.parametrize(("what", "line"), [(b"bob", "@:catchall=bob\n"), (b"Bob@other.test", "@:catchall=bob\n"),
                                            (b"delete", "@:catchall=delete\n"), (b"x@x.test", "@:catchall=x@x.test\n")])
def test_the_catchall_is_an_option(site: Site, what: bytes, line: str) -> None:
    site.options("# mine\nbob:quota=5M\n")
    site.do(catchall.set_to, what)

    assert (site.d / "etc/options").read_text() == "# mine\nbob:quota=5M\n" + line
    assert catchall.of(D) == line.strip().partition("=")[2].encode()
    with pytest.raises(transaction.Already):
        site.do(catchall.set_to, what)
    site.do(catchall.set_to, b"bounce")

    assert ((site.d / "etc/options").read_text(), catchall.of(D)) == ("# mine\nbob:quota=5M\n", b"bounce")


@pytest.mark.parametrize("what", [b"nobody", b"|/bin/sh", b"/tmp/x", b"./Maildir/", b"x@x.test:quota=", b"nobody@d.test"])
def test_what_is_no_catchall(site: Site, what: bytes) -> None:
    with pytest.raises(codes.GiveUp):
        site.do(catchall.set_to, what)

    assert not (site.d / "etc/options").exists()


@pytest.mark.parametrize("line", ["| virtmailfilter delete\n", "| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n"])
def test_a_catchall_in_the_default_file_gives_way_to_the_option(site: Site, line: str) -> None:
    site.write("default", line)
    before = catchall.of(D)
    site.do(catchall.set_to, b"bob")

    assert (before, catchall.of(D)) == (line.split()[-1].encode(), b"bob")
    assert site.text("default") == "| virtmailfilter\n"


def test_a_default_file_that_does_something_else_decides(site: Site) -> None:
    site.write("default", "| mine\n")
    with pytest.raises(codes.GiveUp, match="whoever wrote it decides"):
        site.do(catchall.set_to, b"bob")


def test_an_automatic_answer_for_a_mailbox_leaves_the_mailbox_its_mail(site: Site) -> None:
    site.do(aliases.set_autoresponder, b"bob", b"I am away\n", 86400)
    message = site.d / ".autorespond/bob/message"

    assert site.text("bob") == ("| vq-autorespond -t 86400 .autorespond/bob/message .autorespond/bob\n"
                                "| virtmailfilter\n")
    assert (message.read_text(), message.stat().st_uid, message.stat().st_mode & 0o777) == ("I am away\n", ME, 0o600)
    assert aliases.info(D, b"bob")["autoresponder"] is True
    with pytest.raises(transaction.Already):
        site.do(aliases.set_autoresponder, b"bob", b"I am away\n", 86400)
    site.do(aliases.set_autoresponder, b"bob", b"I am back\n")

    assert message.read_text() == "I am back\n"
    site.do(aliases.remove_autoresponder, b"bob")

    assert (site.text("bob"), message.exists()) == (None, False)
    with pytest.raises(transaction.Already):
        site.do(aliases.remove_autoresponder, b"bob")


def test_an_automatic_answer_of_an_alias_leaves_its_targets(site: Site) -> None:
    site.write("a`b", "# x\n&x@x.test\n")
    site.do(aliases.set_autoresponder, b"a`b", b"away")

    assert site.text("a`b") == ("| vq-autorespond .autorespond/a=60b/message .autorespond/a=60b\n# x\n&x@x.test\n")
    site.do(aliases.remove_autoresponder, b"a`b")

    assert site.text("a`b") == "# x\n&x@x.test\n"


def test_automatic_answers_have_a_limit(site: Site) -> None:
    site.options("@:autoresponders=1:aliases=0:forwards=0\n")
    site.do(aliases.set_autoresponder, b"bob", b"away")
    with pytest.raises(codes.GiveUp, match="may have 1 autoresponders"):
        site.do(aliases.set_autoresponder, b"ann", b"away")

    assert site.text("ann") is None


def test_an_owner_whose_files_lie_elsewhere_keeps_them_to_himself(site: Site) -> None:
    (site.path / "users/assign").write_text(f"+d.test-:o:{ME}:{MINE}:/home/o:-::\n.\n")
    with pytest.raises(codes.GiveUp, match="only he may change them"):
        site.do(aliases.add, b"info", [b"bob"])


def test_there_is_no_alias_in_no_domain(site: Site) -> None:
    for domain in (b"nowhere.test", b"m.test", b"other.test"):
        with pytest.raises(codes.GiveUp), transaction.Transaction() as t:
            aliases.add(t, domain, b"info", [b"bob@d.test"])


def test_a_mailbox_that_gets_nothing_any_more_is_spoken_of(site: Site) -> None:
    odd = site.do(aliases.add, b"bob", [b"ann"])

    assert odd == ["bob@d.test is a mailbox, too, and gets no mail while there is this alias; vq-alias add --copy keeps it there"]
    assert site.do(aliases.add, b"bob", [b"bob"]) == []
    assert site.do(aliases.replace, b"bob", [b"bob", b"x@x.test"]) == []


def test_who_still_goes_to_an_alias_that_is_no_more_is_spoken_of(site: Site) -> None:
    site.do(aliases.add, b"a", [b"bob"])
    site.do(aliases.add, b"b", [b"a", b"ann"])
    site.do(catchall.set_to, b"a@d.test")
    odd = site.do(aliases.remove, b"a")

    assert odd == ["b@d.test still goes there, where nobody is now", "it was the catch-all of d.test; name another"]


def test_many_in_one_change(site: Site) -> None:
    with transaction.Transaction() as t:
        aliases.add(t, D, b"a", [b"bob"])
        aliases.add(t, D, b"b", [b"a"])
        aliases.add(t, D, b"a", [b"ann"])
        aliases.remove(t, D, b"b")
        aliases.add(t, D, b"c", [b"a"])
        t.commit()

    assert [site.text(each) for each in "abc"] == ["&bob@d.test\n&ann@d.test\n", None, "&a@d.test\n"]


def test_a_mailbox_that_goes_leaves_no_copy_to_nobody(site: Site) -> None:
    (site.d / "home/bob").mkdir(parents=True)
    site.do(aliases.add, b"bob", [b"x@x.test", b"bob"])
    site.do(aliases.add, b"info", [b"ann"])

    assert site.do(usertrash.delete, b"bob") == ["mail for bob@d.test goes on to where the alias of that name says"]
    assert site.text("bob") == "&x@x.test\n"


def test_who_goes_to_a_mailbox_that_is_no_more_is_spoken_of(site: Site) -> None:
    (site.d / "home/bob").mkdir(parents=True)
    site.do(aliases.add, b"info", [b"bob", b"ann"])

    assert site.do(mailboxes.rename, b"bob", b"robert") == ["info@d.test still goes there, where nobody is now"]
    assert site.text("info") == "&bob@d.test\n&ann@d.test\n"
