"""A tree of vpopmail's, served where it lies: its .qmail-default, its users' .qmail, one uid for all, POP3."""

import os
import pathlib
import poplib
import typing

import pytest
import system as module

pytestmark = pytest.mark.root
UID = module.FIRST_OWNER
HASH = module.crypt.crypt("secret", "$6$rounds=1000$salt")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """vp.test below a directory of its own, and a link to it where domains are looked for."""
    each = module.System(tmp_path_factory.mktemp("vpopmail"))
    domain = directory(each)
    for folder in (domain, domain / "etc", domain / "carl", domain / "0/dora", domain / "all"):
        folder.mkdir(parents=True)
    (domain / "etc/passwd").write_text(f"carl:{HASH}:{UID}:{UID}:Carl:carl:/bin/false\n"
                                       f"dora:{HASH}:{UID}:{UID}::0/dora:/bin/false\nall:{HASH}:{UID}:{UID}::all:\n")
    (domain / "etc/options").write_text("*:dotqmail=programs\n")
    # as qmailadmin writes it: the whole path of the own Maildir, and a forward
    (domain / "0/dora/.qmail").write_text(f"&carl@vp.test\n{domain}/0/dora/Maildir/\n")
    for top, folders, files in os.walk(domain):
        for name in (".", *folders, *files):
            os.chown(pathlib.Path(top) / name, UID, UID)
            (pathlib.Path(top) / name).chmod(0o600 if name in files else 0o700)
    for folder in (domain, domain / "etc"):
        folder.chmod(0o711)
    (each.virtual / "vp.test").symlink_to(domain)
    each.control("virtualdomains", "vp.test:vp.test\n")
    each.control("rcpthosts", "vp.test\n")
    (each.home / "users/assign").write_text(f"+vp.test-:vp.test:{UID}:{UID}:{domain}:-::\n.\n")
    done = each.run("vq-newu")

    assert done.returncode == 0, done.stderr
    each.start_all()
    yield each
    each.stop()


def directory(world: module.System) -> pathlib.Path:
    return world.path / "vpopmail/domains/0/vp.test"


def default(world: module.System, words: str) -> None:
    path = directory(world) / ".qmail-default"
    path.write_text(f"| {world.bin('vdelivermail')} '' {words}\n")
    path.chmod(0o600)
    os.chown(path, UID, UID)


def send(world: module.System, user: str, subject: str) -> None:
    assert world.inject("a@vp.test", [f"{user}@vp.test"], f"Subject: {subject}\n\nx\n".encode()) == 0
    module.wait_until(world.queue_is_empty, "an empty queue")


def subjects(world: module.System, user: str) -> "list[str]":
    """What a POP3 client finds."""
    port = world.start_pop3()
    client = poplib.POP3("127.0.0.1", port, timeout=60)
    try:
        client.user(f"{user}@vp.test")
        client.pass_("secret")
        found = []
        for number in range(1, client.stat()[0] + 1):
            lines = client.retr(number)[1]
            found += [line.decode() for line in lines if line.startswith(b"Subject: ")]
            client.dele(number)
        return sorted(found)
    finally:
        client.quit()
        world.stop("pop3")


@pytest.mark.parametrize(("words", "user", "whose"), [
    ("bounce-no-mailbox", "carl", {"carl"}), ("bounce-no-mailbox", "CARL-lists", {"carl"}),
    ("bounce-no-mailbox", "dora", {"carl", "dora"}), ("delete", "nobody", set()), ("carl@vp.test", "nobody", {"carl"}),
    ("{domain}/all", "nobody", {"all"})])
def test_mail_goes_where_vpopmail_puts_it(world: module.System, words: str, user: str, whose: "set[str]") -> None:
    default(world, words.format(domain=directory(world)))
    if "{" in words:                            # vpopmail made it with the user
        send(world, "all", "first")
        assert subjects(world, "all") == ["Subject: first"]
    send(world, user, f"for {user}")

    assert {each for each in ("carl", "dora", "all") if subjects(world, each) == [f"Subject: for {user}"]} == whose


def test_nobody_is_nobody(world: module.System) -> None:
    default(world, "bounce-no-mailbox")
    done = world.run("vq-explain", "nobody@vp.test")

    assert (done.returncode, b"argument of virtmailfilter: has no catch-all" in done.stdout) == (100, True)
    send(world, "nobody", "for nobody")
    assert subjects(world, "carl") == []
    assert "_Sorry,_no_mailbox_here_by_that_name._(#5.1.1)" in world.log()
