"""Aliases and automatic answers, with real users, services and clients: what vq-alias says is what mail does."""

import json
import os
import pathlib
import smtplib
import subprocess

import pytest
import system as support

D = "d.test"


@pytest.fixture
def site(system: support.System) -> support.System:
    """Two domains, each with its owner and bobs and anns."""
    for domain in (D, "e.test"):
        system.add_domain(domain, {"ann": "a", "bob": "b"})
    return system


def alias(site: support.System, *arguments: str, **options) -> "subprocess.CompletedProcess[bytes]":
    return site.run("vq-alias", *arguments, **options)


def done(site: support.System, *arguments: str, **options) -> bytes:
    """What a command that must succeed wrote."""
    found = alias(site, *arguments, **options)

    assert found.returncode == 0, found.stderr
    return found.stdout


def swaks(port: int, to: str, *options: str, sender: str = "joe@x.test") -> int:
    """Send a message with swaks, which names `to` in To; its exit code."""
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", sender, "--to", to, "--helo", "x.test",
                           *options], capture_output=True, check=False, timeout=60).returncode


def replies(port: int, address: str) -> int:
    """What the door says to RCPT."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo("x.test")
        client.mail("joe@x.test")
        return client.rcpt(address)[0]


def settled(site: support.System) -> None:
    support.wait_until(site.queue_is_empty, "an empty queue")


@pytest.mark.root
def test_two_targets_dots_capitals_and_nobody_any_more_without_a_restart(site: support.System) -> None:
    site.start_all()
    port = site.start_smtp()

    assert replies(port, f"nonna.papera@{D}") == 550
    done(site, "add", f"Nonna.Papera@{D}", "bob", f"ann@{D}")

    assert (site.virtual / D / ".qmail-nonna:papera").read_text() == f"&bob@{D}\n&ann@{D}\n"
    assert swaks(port, f"NONNA.papera@{D.upper()}") == 0
    site.wait_for_mail(D, "bob")
    site.wait_for_mail(D, "ann")
    settled(site)

    assert [len(site.mailbox(D, each)) for each in ("ann", "bob")] == [1, 1]
    done(site, "remove", f"nonna.papera@{D}")

    assert replies(port, f"nonna.papera@{D}") == 550


@pytest.mark.root
def test_a_copy_stays_in_the_mailbox_and_a_catchall_steals_nobodys_mail(site: support.System) -> None:
    site.start_all()
    port = site.start_smtp()
    done(site, "add", "--copy", f"bob@{D}", "ann@e.test")
    done(site, "catchall", D, "ann")

    assert (site.virtual / D / ".qmail-bob").read_text() == "| virtmailfilter\n&ann@e.test\n"
    for each in (f"bob@{D}", f"Nobody.Known@{D}"):
        assert swaks(port, each, "--header", f"Subject: {each}") == 0
    site.wait_for_mail(D, "bob")
    site.wait_for_mail("e.test", "ann")
    caught = site.wait_for_mail(D, "ann")
    settled(site)

    assert [b"Subject: Nobody.Known@d.test" in each.read_bytes() for each in caught] == [True]
    assert [len(site.mailbox(*each)) for each in ((D, "bob"), ("e.test", "ann"), ("e.test", "bob"))] == [1, 1, 0]
    done(site, "catchall", D, "bounce")

    assert replies(port, f"nobody@{D}") == 550


@pytest.mark.root
def test_a_wildcard_gets_what_begins_with_it(site: support.System) -> None:
    site.start_all()
    done(site, "add", "--wildcard", f"lists@{D}", "bob")

    assert (site.virtual / D / ".qmail-lists-default").read_text() == f"&bob@{D}\n"
    assert site.inject("joe@x.test", [f"lists-anything@{D}"], b"Subject: x\n\n") == 0
    site.wait_for_mail(D, "bob")


@pytest.mark.root
def test_an_automatic_answer_once_for_a_person_none_for_lists_and_bounces(site: support.System) -> None:
    site.start_all()
    port = site.start_smtp()
    text = "Subject: Grüße\n\nIch bin weg.\n"
    done(site, "autorespond", f"bob@{D}", "--message=-", input=text.encode())
    to = f"bob@{D}"
    for sender, more in (("bob@e.test", ()), ("bob@e.test", ()), ("list-bounces@e.test", ()), ("<>", ()),
                         ("ann@e.test", ("--header", "List-Id: <x.e.test>")), ("ann@e.test", ("--header", "Precedence: bulk")),
                         ("ann@e.test", ("--header", "Auto-Submitted: auto-generated")),
                         ("ann@e.test", ("--header", "To: somebody@x.test"))):
        assert swaks(port, to, *more, sender=sender) == 0
    site.wait_for_mail(D, "bob", 8)
    answers = site.wait_for_mail("e.test", "bob")
    settled(site)

    assert [len(site.mailbox(*each)) for each in ((D, "bob"), ("e.test", "bob"), ("e.test", "ann"))] == [8, 1, 0]
    answer, = answers
    head, _, body = answer.read_bytes().partition(b"\n\n")

    assert body == "Ich bin weg.\n".encode()
    for line in (b"Return-Path: <>", b"From: <bob@d.test>", b"To: <bob@e.test>", b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=",
                 b"Auto-Submitted: auto-replied"):
        assert line in head.split(b"\n")
    assert b"\nIn-Reply-To: <" in head

    done(site, "autorespond", f"bob@{D}", "--off")

    assert not (site.virtual / D / ".qmail-bob").exists()
    assert swaks(port, to, sender="ann@e.test") == 0
    site.wait_for_mail(D, "bob", 9)
    settled(site)

    assert len(site.mailbox("e.test", "ann")) == 0


@pytest.mark.root
def test_an_owner_looks_after_his_own_domain_and_no_other(site: support.System, tmp_path: pathlib.Path) -> None:
    site.start_queue()
    site.start_admin()
    owner = site.owner(D)
    done(site, "add", f"info@{D}", "bob", uid=owner)

    path = site.virtual / D / ".qmail-info"
    assert (path.read_text(), path.stat().st_uid) == (f"&bob@{D}\n", owner)
    refused = alias(site, "add", "info@e.test", "bob", uid=owner)

    assert (refused.returncode, (site.virtual / "e.test/.qmail-info").exists()) == (100, False)
    assert b"no domain of yours" in refused.stderr
    assert json.loads(done(site, "list", D, "--json", uid=owner))[0]["targets"] == [f"bob@{D}"]
    for target in ("|/bin/sh", "./Maildir/", "/tmp/x"):
        assert alias(site, "add", f"info@{D}", target, uid=owner).returncode == 100
    done(site, "catchall", D, "ann", uid=owner)
    assert (site.virtual / D / "etc/options").read_text().endswith("@:catchall=ann\n")
    # a file that only root can read is not read for him
    secret = tmp_path / "secret"
    secret.write_text("root's\n")
    secret.chmod(0o600)
    assert alias(site, "autorespond", f"info@{D}", f"--message={secret}", uid=owner).returncode == 100
    mine = tmp_path / "mine"
    mine.write_text("mine\n")
    os.chown(mine, owner, owner)
    support.let_through(tmp_path)
    done(site, "autorespond", f"info@{D}", "--message", str(mine), uid=owner)
    assert (site.virtual / D / ".autorespond/info/message").read_text() == "mine\n"


@pytest.mark.root
def test_lines_that_a_person_wrote_stay_and_still_work(site: support.System) -> None:
    site.start_all()
    site.dotqmail(D, "info", "# by hand\n| cat > /dev/null\n")
    done(site, "add", f"info@{D}", "bob")
    said = alias(site, "remove", f"info@{D}", "bob")

    assert (site.virtual / D / ".qmail-info").read_text() == "# by hand\n| cat > /dev/null\n"
    assert (said.returncode, b"| cat > /dev/null" in said.stderr) == (0, True)
    site.dotqmail(D, "odd", "| x \x1b]0;y\x07\n")
    assert not {0x1b, 7} & set(done(site, "list", D) + done(site, "list", D, "--json"))
    twice = alias(site, "remove", f"info@{D}", "bob")

    assert (twice.returncode, b"nothing was changed" in twice.stderr) == (100, True)


@pytest.mark.root
def test_role_addresses_of_a_domain(site: support.System) -> None:
    site.start_all()
    made = done(site, "roles", D, "bob").split()

    assert made == [f"{each}@{D}".encode() for each in (
        "postmaster", "abuse", "hostmaster", "webmaster", "noc", "security", "mailer-daemon", "root")]
    assert alias(site, "roles", D, "ann").returncode == 100
    assert site.inject("joe@x.test", [f"Postmaster@{D}", f"abuse@{D}"], b"Subject: x\n\n") == 0
    site.wait_for_mail(D, "bob", 2)


@pytest.mark.root
@pytest.mark.parametrize("form", [("{d}/message", "{d}/memory"), ("86400", "1", "{d}/message", "{d}/memory", "0", "+")])
def test_autorespond_by_hand_in_a_unix_users_file(site: support.System, form: "tuple[str, ...]") -> None:
    """The arguments of autorespond(1) as old files have them, and ours; in an alias of the host."""
    site.start_all()
    place = site.home / "alias/answers"
    place.mkdir()
    (place / "message").write_text("Subject: here\n\nI got it.\n")
    status = (site.home / "alias").stat()
    os.chown(place, status.st_uid, status.st_gid)
    site.alias("robot", "| vq-autorespond " + " ".join(form).format(d=place) + "\n")
    for _ in range(2):
        assert site.inject(f"bob@{D}", ["robot@host.test"], b"To: robot@host.test\nMessage-ID: <1@x.test>\n\nx\n") == 0
    answer, = site.wait_for_mail(D, "bob")
    settled(site)

    assert len(site.mailbox(D, "bob")) == 1
    head = answer.read_bytes().partition(b"\n\n")[0].split(b"\n")
    for line in (b"From: <robot@host.test>", b"Subject: here", b"In-Reply-To: <1@x.test>"):
        assert line in head


@pytest.mark.root
def test_an_alias_of_another_name_of_the_domain_is_the_domains(site: support.System) -> None:
    assert site.run("vq-domain", "alias", "other.test", D).returncode == 0
    done(site, "add", "--copy", "bob@other.test", "ann@e.test")
    site.start_all()
    port = site.start_smtp()

    assert (site.virtual / D / ".qmail-bob").read_text() == "| virtmailfilter\n&ann@e.test\n"
    for each in ("bob@other.test", f"bob@{D}"):
        assert swaks(port, each) == 0
    site.wait_for_mail(D, "bob", 2)
    site.wait_for_mail("e.test", "ann", 2)
    listed = done(site, "list", "other.test").decode().split(None, 1)

    assert listed == [f"bob@{D}", "the mailbox, ann@e.test\n"]


@pytest.mark.root
def test_of_two_who_make_the_last_alias_one_is_told_so(site: support.System) -> None:
    assert site.run("vq-domain", "set", D, "aliases=1").returncode == 0
    both = [subprocess.Popen([site.bin("vq-alias"), "add", f"{each}@{D}", "bob"], stderr=subprocess.PIPE, env=site.env())
            for each in ("a", "b")]
    said = sorted((each.wait(60), each.communicate()[1]) for each in both)

    assert [code for code, _ in said] == [0, 100]
    assert b"may have 1 aliases" in said[1][1]
    assert len(json.loads(done(site, "list", D, "--json"))) == 1


@pytest.mark.root
def test_a_new_domain_has_its_role_addresses_and_says_which_reach_nobody(site: support.System) -> None:
    assert site.run("vq-domain", "add", "new.test", "--postmaster", f"bob@{D}").returncode == 0
    site.start_all()
    port = site.start_smtp()
    roles = ("postmaster", "ABUSE", "hostmaster", "webmaster", "noc", "security", "Mailer-Daemon", "root")

    assert [replies(port, f"{each}@new.test") for each in roles] == [250] * 8
    assert swaks(port, "Abuse@new.test") == 0
    site.wait_for_mail(D, "bob")
    done(site, "remove", "abuse@new.test")
    problems = json.loads(site.run("vq-domain", "info", "new.test", "--json").stdout)["problems"]

    assert problems == ["nobody gets mail for abuse@new.test; vq-alias roles makes such addresses"]
