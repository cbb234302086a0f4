"""vq-domain with the real programs around it: what it makes receives mail at once, what it deletes comes back."""

import json
import os
import subprocess

import pytest
import support
import system
from domains_world import done, give_maildir, line_counts, refused, swaks
from domains_world import site  # noqa: F401

pytestmark = [pytest.mark.root, pytest.mark.peers]


def test_a_new_domain_receives_at_once_and_a_deleted_one_no_more_and_its_mail_comes_back(site: "system.System") -> None:
    site.start_all()
    port = site.start_smtp()

    assert swaks(port, "bob@example.com") != 0

    done(site, "vq-domain", "add", "example.com")
    new = give_maildir(site, "example.com", "bob")

    assert swaks(port, "bob@example.com") == 0
    system.wait_until(lambda: list(new.iterdir()), "mail for bob")

    done(site, "vq-domain", "alias", "other.example", "example.com")

    assert swaks(port, "bob@other.example") == 0
    system.wait_until(lambda: len(list(new.iterdir())) == 2, "mail by the other name")

    done(site, "vq-domain", "rename", "example.com", "third.example")
    new = site.virtual / "third.example/mail/new"

    assert (swaks(port, "bob@third.example"), swaks(port, "bob@other.example")) == (0, 0)
    assert swaks(port, "bob@example.com") != 0
    system.wait_until(lambda: len(list(new.iterdir())) == 4, "mail by the new name")

    done(site, "vq-domain", "delete", "third.example")

    assert (swaks(port, "bob@third.example") != 0, swaks(port, "bob@other.example") != 0) == (True, True)
    assert not new.exists()

    done(site, "vq-domain", "restore", "third.example")

    assert len(list(new.iterdir())) == 4
    assert (swaks(port, "bob@third.example"), swaks(port, "bob@other.example")) == (0, 0)
    system.wait_until(lambda: len(list(new.iterdir())) == 6, "mail after the return")


def test_the_three_ways_to_own_a_domain_stand_side_by_side(site: "system.System") -> None:
    done(site, "vq-domain", "add", "one.example", "--owner=3001:3002")
    done(site, "vq-domain", "add", "two.example", "--owner=3001:3002", "uids=owner")
    done(site, "vq-domain", "add", "three.example")
    done(site, "vq-domain", "add", "four.example", "--owner=new")
    owners = [(site.virtual / f"{each}.example").stat() for each in ("one", "two", "three", "four")]

    assert [(each.st_uid, each.st_gid) for each in owners[:2]] == [(3001, 3002)] * 2
    assert len({each.st_uid for each in owners}) == 3
    assert owners[2].st_uid == owners[2].st_gid


def test_a_unix_user_owns_a_domain(site: "system.System") -> None:
    subprocess.run(["useradd", "-M", "-u", "45901", "-U", "vqowner"], check=False, capture_output=True)
    try:
        done(site, "vq-domain", "add", "user.example", "--owner=vqowner")
        assign = (site.home / "users/assign").read_text()
    finally:
        subprocess.run(["userdel", "vqowner"], check=False, capture_output=True)

    assert f"+user.example-:vqowner:45901:45901:{site.virtual}/user.example:-::\n.\n" == assign


def test_nobody_owns_a_domain_who_must_not(site: "system.System") -> None:
    queue = (site.home / "queue/mess").stat().st_uid

    assert "uid 0 or gid 0 is below 100 (control/minuid)" in refused(site, "vq-domain", "add", "a.example", "--owner=root")
    assert "below 100" in refused(site, "vq-domain", "add", "a.example", "--owner=99:1000")
    assert "minuid" in refused(site, "vq-domain", "add", "a.example", f"--owner={queue}:1000") or queue >= 100
    assert "there is no UNIX user nosuchuser" in refused(site, "vq-domain", "add", "a.example", "--owner=nosuchuser")
    assert "is no UID:GID" in refused(site, "vq-domain", "add", "a.example", "--owner=3000:")
    assert line_counts(site, "a.example") == (0, 0, 0)


def test_done_twice_it_says_so_and_changes_nothing(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example")
    done(site, "vq-domain", "alias", "b.example", "a.example")
    done(site, "vq-domain", "suspend", "a.example", "--login")
    before = {name: (site.home / name).read_bytes() for name in ("control/rcpthosts", "control/virtualdomains", "users/assign")}

    assert "a.example is there already" in refused(site, "vq-domain", "add", "a.example")
    assert "b.example is another name of a.example already" in refused(site, "vq-domain", "add", "b.example")
    assert "b.example is another name of a.example already" in refused(site, "vq-domain", "alias", "b.example", "a.example")
    assert "a.example: login suspended already" in refused(site, "vq-domain", "suspend", "a.example", "--login")
    assert "there is no domain c.example here" in refused(site, "vq-domain", "delete", "c.example")
    assert "vq-domain unalias b.example takes the other name away, and no mail" in refused(site, "vq-domain", "delete", "b.example")
    assert before == {name: (site.home / name).read_bytes() for name in before}


def test_other_lines_stay_to_the_byte_and_the_new_one_stands_in_its_order(site: "system.System") -> None:
    assign = "=joe:joe:1001:1001:/home/joe:-::\n+b.example-:b:1002:1002:/b:-::\n+x.example-:x:1003:1003:/x:-::\n.\n# kept\n"
    (site.home / "users/assign").write_text(assign)
    (site.home / "control/virtualdomains").write_text("# a comment \nx.example:alias-x  \n\n:last")
    (site.home / "control/locals").write_text("host.test\nC.example \n# end")
    done(site, "vq-domain", "add", "c.example", "--owner=3001:3001")

    assert (site.home / "users/assign").read_text() == assign.replace(
        "+x.", f"+c.example-:c.example:3001:3001:{site.virtual}/c.example:-::\n+x.", 1)
    assert (site.home / "control/virtualdomains").read_text() == "# a comment \nx.example:alias-x  \n\n:last\nc.example:c.example\n"
    assert (site.home / "control/locals").read_text() == "host.test\n# end"

    done(site, "vq-domain", "delete", "c.example")

    assert (site.home / "users/assign").read_text() == assign
    assert (site.home / "control/virtualdomains").read_text() == "# a comment \nx.example:alias-x  \n\n:last\n"


def test_many_domains_go_into_morercpthosts(site: "system.System") -> None:
    (site.home / "control/rcpthosts").write_text("".join(f"d{number}.example\n" for number in range(50)))
    done(site, "vq-domain", "add", "more.example")

    assert (site.home / "control/morercpthosts").read_text() == "more.example\n"
    port = site.start_smtp()
    site.start_queue()
    assert swaks(port, "postmaster@more.example") == 0

    done(site, "vq-domain", "delete", "more.example")

    assert swaks(port, "postmaster@more.example") != 0


@pytest.mark.parametrize(("given", "name"), [
    ("Example.COM", "example.com"), ("b\u00fccher.example", "xn--bcher-kva.example"), ("a-b.c-d.example", "a-b.c-d.example"),
    ("\u4f8b\u3048.jp", "xn--r8jz45g.jp")])
def test_a_domain_may_be_called(site: "system.System", given: str, name: str) -> None:
    done(site, "vq-domain", "add", given)

    assert done(site, "vq-domain", "list") == f"{name}\n"


@pytest.mark.parametrize("given", [
    "example", "-a.example", "a-.example", "a..example", ".example", "example.", "a_b.example", "a b.example", "../etc",
    "a/b.example", "a.b", "a.1", "127.0.0.1", "x" * 64 + ".example", "a." * 45 + "example", "stra\u00dfe.example", "a\nb.example", ""])
def test_a_domain_may_not_be_called(site: "system.System", given: str) -> None:
    assert refused(site, "vq-domain", "add", given)
    assert done(site, "vq-domain", "list") in ("", "\n")


def test_another_name_of_another_name_is_one_of_the_domain(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example")
    done(site, "vq-domain", "alias", "b.example", "a.example")

    assert done(site, "vq-domain", "alias", "c.example", "b.example") == "c.example is another name of a.example now\n"
    assert done(site, "vaddaliasdomain", "d.example", "c.example") == ""
    assert json.loads(done(site, "vq-domain", "info", "d.example", "--json"))["aliases"] == ["b.example", "c.example", "d.example"]


def test_owners_and_modes_that_keep_mail_away_or_show_a_hash_are_named(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example", "--owner=3001:3001")
    done(site, "vq-user", "add", "bob@a.example", "--generate", "--uid=3002")
    place = site.virtual / "a.example"
    os.chown(place / "home/bob", 3003, 3003)
    os.chown(place, 3004, 3001)
    (place / "etc/passwd").chmod(0o644)
    place.chmod(0o1777)

    assert json.loads(done(site, "vq-domain", "info", "a.example", "--json"))["problems"] == [
        f"{place} belongs to 3004:3001, and users/assign says 3001:3001: chown it",
        f"everybody may write {place}, so its mail waits: chmod o-w it",
        f"{place} is sticky, which its owner makes it to edit in peace, so its mail waits: chmod -t it",
        f"{place}/etc/passwd has the hashes of passwords, and everybody may read it: chmod 640 it",
        f"{place}/etc/passwd, bob: the home /home/bob belongs to 3003:3003, not to 3002:3002: chown it"]


def test_json_is_for_scripts(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example", "--owner=3001:3001", "mailboxes=10")
    done(site, "vq-domain", "alias", "b.example", "a.example")
    done(site, "vq-domain", "set", "a.example", "--users", "quota=5M")

    assert json.loads(done(site, "vq-domain", "list", "--json")) == [
        {"domain": "a.example", "alias_of": None}, {"domain": "b.example", "alias_of": "a.example"}]
    assert json.loads(done(site, "vq-domain", "info", "b.example", "--json")) == {
        "domain": "a.example", "directory": f"{site.virtual}/a.example", "aliases": ["b.example"], "owner": "a.example",
        "uid": 3001, "gid": 3001, "mailboxes": 0, "options": {"mailboxes": "10"}, "defaults": {"quota": "5M"}, "trash": [],
        "problems": []}


def test_a_domain_has_its_role_addresses_and_a_postmaster_with_a_password_if_wanted(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example")
    done(site, "vq-domain", "add", "b.example", "--postmaster=joe@elsewhere.example")
    done(site, "vq-domain", "add", "c.example", "--password-stdin", input=b"secret word\n")
    said = done(site, "vq-domain", "add", "d.example", "--generate")
    texts = {each: (site.virtual / each / ".qmail-abuse").read_text() for each in ("a.example", "b.example", "c.example")}

    assert texts == {"a.example": "&postmaster@host.test\n", "b.example": "&joe@elsewhere.example\n",
                     "c.example": "&postmaster@c.example\n"}
    assert (site.virtual / "a.example/.qmail-postmaster").read_text() == "&postmaster@host.test\n"
    assert (site.virtual / "c.example/home/postmaster/Maildir/new").is_dir()
    assert said.startswith("postmaster@d.example has the password ")

    port = site.start_pop3()
    for domain, secret in (("c.example", "secret word"), ("d.example", said.split()[4])):
        ended = subprocess.run(["curl", "-s", "-u", f"postmaster@{domain}:{secret}", f"pop3://127.0.0.1:{port}/"], check=False)

        assert ended.returncode == 0


def test_the_first_domain_makes_the_directory_of_all_domains(site: "system.System") -> None:
    site.virtual.rmdir()
    done(site, "vq-domain", "add", "a.example", "--owner=3001:3001")

    assert (site.virtual.stat().st_uid, oct(site.virtual.stat().st_mode)) == (0, "0o40755")
    assert (site.virtual / "a.example/etc/users.cdb").is_file()


def test_a_domain_on_a_file_system_of_its_own_is_not_half_moved(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example")
    subprocess.run(["mount", "-t", "tmpfs", "none", site.virtual / "a.example"], check=True)
    try:
        said = refused(site, "vq-domain", "delete", "a.example")
    finally:
        subprocess.run(["umount", site.virtual / "a.example"], check=True)

    assert "it is on a file system of its own; move it by hand" in said
    assert line_counts(site, "a.example") == (1, 1, 1)


def test_an_installation_under_one_user_needs_neither_root_nor_the_service(home: "support.Home") -> None:
    home.control("virtualroot", f"{home.path}/virtual\n")
    home.write("users/assign", ".\n")
    uid, gid = support.single_ids()
    told = home.run(["vq-domain", "add", "a.example", "--generate"])

    assert (told.returncode, told.stderr) == (0, b"")
    assert f"+a.example-:a.example:{uid}:{gid}:{home.path}/virtual/a.example:-::\n.\n" == (home.path / "users/assign").read_text()
    assert home.run(["vq-domain", "add", "b.example", "--owner=3001:3001"]).returncode == 100
    assert home.run(["vq-domain", "delete", "a.example"]).returncode == 0
    assert home.run(["vq-domain", "restore", "a.example"]).returncode == 0
    assert home.run(["vq-domain", "list"]).stdout == b"a.example\n"
