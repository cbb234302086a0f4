"""vpopbull: a message into all mailboxes of a domain, or of all domains, by each user himself."""

import email
import os
import poplib
import subprocess

import pytest
import system as module

pytestmark = pytest.mark.root
BULLETIN = "From: postmaster@host.test\nSubject: The power goes\n\nTomorrow at ten.\n"


@pytest.fixture
def site(system: module.System) -> module.System:
    """a.test with bob and ann, b.test with bob; other.test is another name of a.test."""
    system.add_domain("a.test", {"bob": "one", "ann": "two"})
    system.add_domain("b.test", {"bob": "three"})
    system.say = system.path / "news"
    system.say.write_text(BULLETIN)
    return system


def bull(site: module.System, *arguments: str, code: int = 0, **options) -> str:
    done = site.run("vpopbull", *arguments, **options)
    said = (done.stdout + done.stderr).decode()

    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def counts(site: module.System) -> "list[int]":
    return [len(site.mailbox(*each)) for each in (("a.test", "bob"), ("a.test", "ann"), ("b.test", "bob"))]


def test_everybody_gets_a_copy_of_his_own(site: module.System) -> None:
    (site.virtual / "other.test").symlink_to("a.test")
    site.control("virtualdomains", "a.test:a.test\nb.test:b.test\nother.test:a.test\n")

    assert bull(site, "-V", "-f", str(site.say)).split() == ["bob@a.test", "ann@a.test", "bob@b.test"]
    assert counts(site) == [1, 1, 1]
    letter, = site.mailbox("a.test", "ann")
    found = email.message_from_bytes(letter.read_bytes())
    assert (found["To"], found["Subject"], found["Delivered-To"]) == ("ann@a.test", "The power goes", "ann@a.test")
    assert found["Date"].endswith("+0000")
    assert found.get_payload() == "Tomorrow at ten.\n"
    assert (letter.stat().st_uid, letter.stat().st_nlink, letter.stat().st_mode & 0o777) == (
        site.domains["a.test"]["ann"], 1, 0o600)
    client = poplib.POP3("127.0.0.1", site.start_pop3(), timeout=60)
    client.user("ann@a.test")
    client.pass_("two")
    assert client.stat()[0] == 1
    client.close()


def test_domains_exclusions_and_a_look_first(site: module.System) -> None:
    out = site.path / "exclude"
    out.write_text("Bob@a.test\nnobody@a.test\n")

    assert bull(site, "-n", "-V", "-e", str(out), "a.test", "b.test").split() == ["ann@a.test", "bob@b.test"]
    assert counts(site) == [0, 0, 0]
    assert bull(site, "-c", "-f", str(site.say), "-e", str(out), "a.test") == ""
    assert counts(site) == [0, 1, 0]
    bull(site, "-h", "-f", "-", "b.test", input=BULLETIN.encode())
    assert counts(site) == [0, 1, 1]


def test_links_to_one_file(site: module.System) -> None:
    bull(site, "-s", "-f", str(site.say), "a.test", code=111)           # nobody has a Maildir yet
    bull(site, "-f", str(site.say), "a.test")
    assert "ann@a.test" in bull(site, "-V", "-s", "-f", "news", "a.test", cwd=site.path)
    links = [each for name in ("bob", "ann") for each in site.mailbox("a.test", name) if each.is_symlink()]

    assert [os.readlink(each) for each in links] == [str(site.say)] * 2
    client = poplib.POP3("127.0.0.1", site.start_pop3(), timeout=60)
    client.user("bob@a.test")
    client.pass_("one")
    read = [client.retr(number)[1] for number in (1, 2)]
    assert BULLETIN.encode().splitlines() in read
    for number in (1, 2):
        client.dele(number)
    client.quit()
    assert (counts(site)[0], site.say.read_text()) == (0, BULLETIN)
    site.say.chmod(0o600)
    assert "not everybody may read it" in bull(site, "-s", "-f", str(site.say), "a.test", code=100)


def test_who_is_full_gets_none_and_the_others_do(site: module.System) -> None:
    assert site.run("vq-user", "set", "bob@a.test", "quota=100S").returncode == 0

    assert "bob@a.test has not got it: " in bull(site, "-f", str(site.say), "a.test", code=111)
    assert counts(site) == [0, 1, 0]


def test_what_is_in_a_home_is_followed_with_nobodys_rights_but_its_users(site: module.System) -> None:
    bull(site, "-f", str(site.say), "a.test")
    home = site.virtual / "a.test/home/bob"
    target = site.path / "elsewhere"
    target.mkdir()
    uid = site.domains["a.test"]["bob"]
    subprocess.run(["/bin/sh", "-c", f"rm -r Maildir/new Maildir/tmp; ln -s {target} Maildir/new; ln -s {target} Maildir/tmp"],
                   cwd=home, check=True, user=uid, group=uid, extra_groups=[])

    for how in ("-c", "-s"):
        assert "bob@a.test has not got it" in bull(site, how, "-f", str(site.say), "a.test", code=111)
    assert list(target.iterdir()) == []
    assert counts(site)[1] == 3


def test_the_owner_tells_his_own_and_reads_only_what_he_may(site: module.System) -> None:
    site.start_admin()
    owner = site.owner("a.test")
    secret = site.path / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)

    assert bull(site, "-V", "-f", str(site.say), uid=owner).split() == ["bob@a.test", "ann@a.test"]
    assert "no domain of yours" in bull(site, "-f", str(site.say), "b.test", uid=owner, code=100)
    assert "cannot read" in bull(site, "-f", str(secret), uid=owner, code=100)
    assert "cannot read" in bull(site, "-f", str(site.say), "-e", str(secret), uid=owner, code=100)
    assert "only the postmaster" in bull(site, "-s", "-f", str(site.say), uid=owner, code=100)
    assert counts(site) == [1, 1, 0]


def test_wrong_usage_is_said_and_does_nothing(site: module.System) -> None:
    empty = site.path / "empty"
    empty.touch()
    for arguments in ((), ("a.test",), ("-f", "/nonexistent", "a.test"), ("-f", str(empty), "a.test"), ("-Z",),
                      ("-f", str(site.say), "no.test"), ("-f", str(site.say), "a.test", "no.test"), ("-s", "-f", "-", "a.test")):
        assert bull(site, *arguments, code=100, input=BULLETIN.encode()).strip(), arguments
    assert bull(site, "--help").startswith("vpopbull: ")
    assert counts(site) == [0, 0, 0]
