"""vq-domain with the real programs around it: what it makes receives mail at once, what it deletes comes back."""

import json
import os
import pathlib
import pty
import random
import signal
import socket
import subprocess
import termios
import threading
import time

import pytest
import support
import system

pytestmark = [pytest.mark.root, pytest.mark.peers]


@pytest.fixture
def site(system: "system.System"):
    """An installation without a domain."""
    (system.home / "users/assign").write_text(".\n")
    done(system, "vq-newu")
    return system


def done(site: "system.System", *argv: str, **options) -> str:
    """What a command that must succeed says."""
    ended = site.run(*argv, **options)

    assert (ended.returncode, ended.stderr) == (0, b""), argv
    return ended.stdout.decode()


def refused(site: "system.System", *argv: str, **options) -> str:
    """Why a command that must be refused was."""
    ended = site.run(*argv, **options)

    assert ended.returncode == 100, (argv, ended.stdout, ended.stderr)
    return ended.stderr.decode()


def swaks(port: int, recipient: str) -> int:
    """Send a message with swaks; its exit code."""
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@sender.test", "--to", recipient, "--silent",
                           "2"], check=False, capture_output=True, timeout=60).returncode


def give_maildir(site: "system.System", domain: str, name: str) -> pathlib.Path:
    """The owner of a domain keeps mail for `name` in a Maildir of his own."""
    directory = site.virtual / domain
    owner = directory.stat()
    subprocess.run([site.bin("maildirmake"), directory / "mail"], check=True, user=owner.st_uid, group=owner.st_gid)
    (directory / f".qmail-{name}").write_text("./mail/\n")
    os.chown(directory / f".qmail-{name}", owner.st_uid, owner.st_gid)
    return directory / "mail/new"


def line_counts(site: "system.System", domain: str) -> "tuple[int, ...]":
    """How many lines the tables have for a domain."""
    paths = [site.home / name for name in ("control/rcpthosts", "control/virtualdomains", "users/assign")]
    texts = [each.read_text().split("\n") if each.exists() else [] for each in paths]
    return (texts[0].count(domain), texts[1].count(f"{domain}:{domain}"),
            sum(each.startswith(f"+{domain}-:") for each in texts[2]))


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


def test_the_owner_may_do_some_things_in_his_domain_and_nothing_elsewhere(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    done(site, "vq-domain", "add", "hers.example", "--owner=3002:3002")
    site.start_admin()

    assert done(site, "vq-domain", "list", uid=3001) == "his.example\n"
    assert json.loads(done(site, "vq-domain", "info", "his.example", "--json", uid=3001))["uid"] == 3001
    done(site, "vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert (site.virtual / "his.example/etc/options").read_text().endswith("\n@:catchall=delete\n")
    for argv in (["info", "hers.example"], ["set", "hers.example", "catchall=x"], ["info", "nosuch.example"]):
        assert "is no domain of yours (you are uid 3001)" in refused(site, "vq-domain", *argv, uid=3001)
    for argv in (["add", "x.example"], ["delete", "his.example"], ["rename", "his.example", "x.example"],
                 ["alias", "x.example", "his.example"], ["unalias", "x.example"], ["suspend", "his.example"],
                 ["resume", "his.example"], ["set", "his.example", "mailboxes=1000"], ["set", "his.example", "forwarding=yes"],
                 ["set", "his.example", "--users", "dotqmail=programs"], ["trash"], ["restore", "x.example"], ["purge", "--all"]):
        assert "only the postmaster (root) may" in refused(site, "vq-domain", *argv, uid=3001)
    assert done(site, "vq-domain", "list", uid=3003) in ("", "\n")


def test_without_the_service_nobody_is_served_but_root(site: "system.System") -> None:
    ended = site.run("vq-domain", "list", uid=3001)

    assert (ended.returncode, b"is the service `admin` up?" in ended.stderr) == (111, True)


def test_what_an_owner_puts_in_the_way_is_not_followed(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    secret = site.path / "secret"
    secret.write_text("@:catchall=secret\n")
    secret.chmod(0o600)
    site.start_admin()
    directory = site.virtual / "his.example"

    def as_owner(script: str) -> None:
        subprocess.run(["/bin/sh", "-c", script], cwd=directory, check=True, user=3001, group=3001, extra_groups=[])

    as_owner("mv etc was; mkdir etc; cp was/options etc/passwd 2>/dev/null; echo '#' > etc/passwd; "
             f"ln -s {secret} etc/options")
    assert b"secret" not in site.run("vq-domain", "info", "his.example", uid=3001).stdout
    site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert secret.read_text() == "@:catchall=secret\n"

    as_owner(f"rm -r etc; ln -s {site.home}/control etc")
    ended = site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001)
    assert ended.returncode == 111
    assert not (site.home / "control/options").exists()

    as_owner("rm etc; mkfifo etc")
    assert site.run("vq-domain", "set", "his.example", "catchall=delete", uid=3001, timeout=60).returncode == 111

    done(site, "vq-domain", "add", "next.example")                      # nobody else is held up
    done(site, "vq-domain", "delete", "his.example")
    done(site, "vq-domain", "purge", "--all")
    assert secret.read_text() == "@:catchall=secret\n"
    assert list((site.virtual / ".trash").iterdir()) == []


def test_a_caller_who_hangs_keeps_nobody_waiting(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    site.start_admin()
    full, into = os.pipe()
    os.set_blocking(into, False)
    try:
        while True:
            os.write(into, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(into, True)
    hanging: list[subprocess.Popen] = []

    def refused_now() -> bool:
        """Whether there are as many as one may have; the question itself may have taken the place of one who hangs."""
        hanging.append(subprocess.Popen([site.bin("vq-domain"), "--help"], stdout=into, stderr=into, user=3001, group=3001,
                                        stdin=subprocess.DEVNULL, extra_groups=[], env=site.env()))
        return site.run("vq-domain", "list", uid=3001).returncode == 111

    try:
        system.wait_until(refused_now, "the limit of one caller", 120)

        assert done(site, "vq-domain", "list", uid=3002) in ("", "\n")
        done(site, "vq-domain", "set", "his.example", "catchall=delete")
    finally:
        for each in hanging:
            each.kill()
            each.wait()
        os.close(full)
        os.close(into)


def legal(site: "system.System") -> "set[str]":
    """The domains that there are, after a look at each: all of it is there, or nothing."""
    done(site, "vq-newu")
    present = {each.name for each in site.virtual.iterdir() if not each.name.startswith(".")}
    named = set((site.home / "control/virtualdomains").read_text().replace(":", "\n").split())

    assert present == named
    for each in present:
        assert line_counts(site, each) == (1, 1, 1), each
        owner = (site.virtual / each).stat()
        assert f"+{each}-:{each}:{owner.st_uid}:{owner.st_gid}:{site.virtual / each}:-::" in (
            site.home / "users/assign").read_text()
        assert sorted(os.listdir(site.virtual / each)) == sorted(EMPTY)
        assert sorted(os.listdir(site.virtual / each / "etc")) == ["passwd", "passwd.cdb", "users.cdb"]
    leftovers = [str(each) for place in ("control", "users") for each in (site.home / place).iterdir()
                 if each.suffix in (".tmp", ".vq-new") or each.name == "journal"]
    assert leftovers == []
    return present


def test_two_administrators_at_once_lose_nothing(site: "system.System") -> None:
    done(site, "vq-domain", "add", "first.example")
    EMPTY[:] = os.listdir(site.virtual / "first.example")

    def work(letter: str) -> None:
        for number in range(15):
            ended = site.run("vq-domain", "add", f"{letter}{number}.example")
            if ended.returncode or ended.stderr.strip(b"\n") not in (b"", WAITING):
                failed.append(ended)

    failed: list = []
    workers = [threading.Thread(target=work, args=(each,)) for each in "abc"]
    for each in workers:
        each.start()
    for each in workers:
        each.join()

    assert failed == []
    assert legal(site) == {"first.example", *(f"{letter}{number}.example" for letter in "abc" for number in range(15))}
    assert len({(site.virtual / each).stat().st_uid for each in legal(site)}) == 46


WAITING = b"vqmail: somebody else is changing settings; waiting, 60 seconds at most"
EMPTY: "list[str]" = []         # what is in the directory of a new domain


@pytest.mark.slow
def test_kill_9_at_random_moments_leaves_no_half_domain(site: "system.System") -> None:
    done(site, "vq-domain", "add", "first.example")
    EMPTY[:] = os.listdir(site.virtual / "first.example")
    chance = random.Random(4)
    expected = {"first.example"}
    killed = 0
    for number in range(300):
        name = f"d{chance.randrange(12)}.example"
        word = "delete" if name in expected else "add"
        process = subprocess.Popen([site.bin("vq-domain"), word, name], env=site.env(), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        if chance.random() < 0.7:
            time.sleep(chance.uniform(0.015, 0.09))
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode == -9:
            killed += 1
        else:
            assert process.returncode == 0, said
        if process.returncode == -9 or number % 25 == 24:
            found = legal(site)
            assert found ^ expected in (set(), {name})
            expected = found
        else:
            expected ^= {name}

    assert legal(site) == expected
    assert killed > 50


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


def on_a_terminal(argv: "list[str]", env: "dict[str, str]", uid: int, lines: "list[str]") -> "tuple[int, str]":
    """(exit code, all that appeared) of a program on a terminal of its own, where `lines` are typed, each when asked."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.execve(argv[0], argv, env)
    seen = b""
    for line in lines:
        asked = seen.count(b": ")
        while seen.count(b": ") == asked:
            seen += os.read(terminal, 1000)
        os.write(terminal, line.encode() + b"\n")
    try:
        while piece := os.read(terminal, 1000):
            seen += piece
    except OSError:                             # it has ended
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def test_passwords_are_asked_for_on_the_terminal_here_and_by_the_service(site: "system.System") -> None:
    code, seen = on_a_terminal([site.bin("vq-domain"), "add", "a.example", "--owner=3001:3001", "--mailbox"], site.env(), 0,
                               ["first secret", "first secret"])

    assert (code, "first secret" in seen) == (0, False), seen

    site.start_admin()
    code, seen = on_a_terminal([site.bin("vq-passwd"), "postmaster@a.example"], site.env(), 3001,
                               ["second secret", "second secret"])

    assert (code, "second secret" in seen) == (0, False), seen
    port = site.start_pop3()
    assert [subprocess.run(["curl", "-s", "-u", f"postmaster@a.example:{word} secret", f"pop3://127.0.0.1:{port}/"],
                           check=False).returncode for word in ("first", "second")] == [67, 0]


@pytest.mark.parametrize("packet", [b"", b"x", b"1\0000,1,2\0/bin/sh", b"1\0000,1,2\0vq-newu", b"1\0000,1\0vq-domain",
                                    b"1\0000,1,2,200\0vq-domain", b"9\0000,1,2\0vq-domain", b"\xff" * 1000])
def test_the_service_does_nothing_it_does_not_know(site: "system.System", packet: bytes) -> None:
    site.start_admin()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(site.home / "run/admin/socket"))
        socket.send_fds(client, [packet], [0, 1, 2])
        client.settimeout(60)

        assert client.recv(100) == b"111"
    assert done(site, "vq-domain", "list", uid=3001) in ("", "\n")


@pytest.mark.parametrize("size", ["size=200k", "nr_inodes=12"])
def test_a_disk_that_is_full_leaves_all_as_it_was(site: "system.System", size: str) -> None:
    done(site, "vq-domain", "add", "first.example")
    done(site, "vq-domain", "delete", "first.example")
    done(site, "vq-domain", "purge", "--all")
    subprocess.run(["mount", "-t", "tmpfs", "-o", size + ",mode=755", "none", site.virtual], check=True)
    try:
        added = []
        for number in range(100):
            ended = site.run("vq-domain", "add", f"d{number}.example")
            if ended.returncode:
                break
            added.append(f"d{number}.example")

        assert (ended.returncode, b"nothing was changed" in ended.stderr) == (111, True), ended.stderr
        assert done(site, "vq-domain", "list").split() == sorted(added)
        assert sorted(each.name for each in site.virtual.iterdir() if each.name[0] != ".") == sorted(added)
        assert not (site.home / "users/journal").exists()
        if added:
            done(site, "vq-domain", "delete", added[0])
    finally:
        subprocess.run(["umount", site.virtual], check=True)


def test_a_prompt_that_is_left_by_control_c_is_left_by_the_service_too(site: "system.System") -> None:
    done(site, "vq-domain", "add", "a.example", "--owner=3001:3001", "--generate")
    site.start_admin()
    before = (site.virtual / "a.example/etc/passwd").read_bytes()
    for uid in (0, 3001):
        pid, terminal = pty.fork()
        if pid == 0:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.execve(site.bin("vq-passwd"), ["vq-passwd", "postmaster@a.example"], site.env())
        seen = b""
        while b": " not in seen:
            seen += os.read(terminal, 1000)
        os.write(terminal, b"\x03")

        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 111
        if uid:
            system.wait_until(lambda: "uid 3001: vq-passwd postmaster@a.example: 111" in site.log(), "the end of the job")
        assert termios.tcgetattr(terminal)[3] & termios.ECHO
        os.close(terminal)
    assert (site.virtual / "a.example/etc/passwd").read_bytes() == before


def test_an_owner_who_exchanges_directories_all_the_time_gets_nothing_written_elsewhere(site: "system.System") -> None:
    done(site, "vq-domain", "add", "his.example", "--owner=3001:3001")
    done(site, "vq-domain", "add", "hers.example", "--owner=3002:3002")
    site.start_admin()

    def elsewhere() -> "dict[str, tuple]":
        return {str(each): (each.lstat().st_mode, each.lstat().st_uid, each.read_bytes() if each.is_file() else b"")
                for place in (site.home / "control", site.virtual / "hers.example") for each in place.rglob("*")}

    before = elsewhere()
    script = (f"while :; do mv etc was; ln -s {site.home}/control etc; rm etc; ln -s ../hers.example/etc etc; rm etc; "
              f"mv was etc; mv home old; ln -s {site.home}/control home; rm home; mv old home; done 2>/dev/null")
    racing = subprocess.Popen(["/bin/sh", "-c", script], cwd=site.virtual / "his.example", user=3001, group=3001,
                              extra_groups=[], start_new_session=True)
    try:
        outcomes = []
        for number in range(40):
            argv = (["vq-domain", "set", "his.example", f"warn={number}"], ["vq-user", "add", f"u{number}@his.example", "--no-password"],
                    ["vq-user", "delete", f"u{number - 1}@his.example"], ["vq-alias", "add", f"a{number}@his.example", "x@y.example"])
            outcomes.append(site.run(*argv[number % 4], uid=3001).returncode)
    finally:
        os.killpg(racing.pid, signal.SIGKILL)
        racing.wait()

    assert set(outcomes) <= {0, 100, 111}
    assert elsewhere() == before
    done(site, "vq-domain", "suspend", "hers.example", "--send")


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
