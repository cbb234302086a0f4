"""vq-user and vq-passwd as a postmaster uses them, and what mail programs see of it at once."""

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import time

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
A, B = "a.test", "b.test"


@pytest.fixture
def site(system: module.System) -> module.System:
    """Two domains with a bob each, and all services."""
    system.add_domain(A, {"bob": "one"})
    system.add_domain(B, {"bob": "two"})
    return system


def user(site: module.System, *arguments: str, password: "str | None" = None, code: int = 0) -> str:
    """Run vq-user to its end; what it says."""
    more = ("--password-stdin",) if password is not None else ()
    done = site.run("vq-user", *arguments, *more, input=(password or "").encode() + b"\n")

    assert code == done.returncode, done.stderr
    assert password is None or password.encode() not in done.stdout + done.stderr
    return (done.stdout + done.stderr).decode()


def swaks(port: int, recipient: str, text: str = "hello") -> str:
    """Send a message to `recipient`; what was said."""
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", "x@far.test", "--to", recipient, "--helo", "far.test",
                           "--body", text], capture_output=True, text=True, check=False, timeout=60).stdout


def curl(port: int, login: str, password: str, path: str = "") -> "tuple[int, str]":
    """A POP3 session; curl's exit code, and what it got.  67 is a password that was refused."""
    done = subprocess.run(["curl", "-sS", f"pop3://127.0.0.1:{port}/{path}", "-u", f"{login}:{password}"], capture_output=True,
                          text=True, check=False, timeout=60)
    return done.returncode, done.stdout


def lines_of(site: module.System, domain: str) -> "list[list[str]]":
    return [each.split(":") for each in (site.virtual / domain / "etc/passwd").read_text().splitlines() if ":" in each]


def test_a_script_that_adds_a_user_gets_all_there_is_to_know_of_him(site: module.System) -> None:
    done = site.run("vq-user", "add", f"carl@{A}", "--generate", "--json", "--quota", "5M")

    assert 0 == done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert ("carl", A, "5M", 16) == (found["name"], found["domain"], found["quota"], len(found["generated"]))


def test_old_names_to_log_in_with_lead_to_whoever_has_got_another_name(site: module.System) -> None:
    pop3 = site.start_pop3()
    (site.home / "users/logins").write_text(f"# kept\ndom1bob:Bob@{A}\ndom2bob:bob@{B}\n")
    (site.virtual / A / "etc/logins").write_text("bobby:bob\nann:ann\n")
    site.run("vq-newu")
    before = curl(pop3, "dom1bob", "one")[0]
    user(site, "rename", f"bob@{A}", "robert")
    renamed = curl(pop3, "dom1bob", "one")[0], curl(pop3, f"bobby@{A}", "one")[0], curl(pop3, "dom2bob", "two")[0]
    moved = site.run("vq-domain", "rename", A, "new.test").returncode
    after = curl(pop3, "dom1bob", "one")[0], curl(pop3, "bobby@new.test", "one")[0], curl(pop3, "dom2bob", "two")[0]

    assert (0, (0, 0, 0), 0, (0, 0, 0)) == (before, renamed, moved, after)
    assert f"# kept\ndom1bob:robert@new.test\ndom2bob:bob@{B}\n" == (site.home / "users/logins").read_text()
    assert "bobby:robert\nann:ann\n" == (site.virtual / "new.test/etc/logins").read_text()


def test_a_new_user_gets_mail_and_reads_it_at_once(site: module.System) -> None:
    site.start_all()
    smtp, pop3 = site.start_smtp(), site.start_pop3()
    before = swaks(smtp, f"carl@{A}")
    user(site, "add", f"Carl@{A}", "--name=Carl C.", "--quota=5M", password="geheim: und mehr")
    after = swaks(smtp, f"carl@{A}", "for carl")
    site.wait_for_mail(A, "carl")

    assert "550 5.1.1" in before
    assert "250 " in after.partition("<** ")[0]
    assert curl(pop3, f"carl@{A}", "geheim: und mehr")[0] == 0
    assert "for carl" in curl(pop3, f"carl@{A}", "geheim: und mehr", "1")[1]
    assert curl(pop3, f"carl@{A}", "geheim")[0] == 67
    assert curl(pop3, f"carl@{B}", "geheim: und mehr")[0] == 67


def test_suspended_users_cannot_log_in_but_get_mail_and_the_other_way_round(site: module.System) -> None:
    site.start_all()
    smtp, pop3 = site.start_smtp(), site.start_pop3()
    user(site, "suspend", f"bob@{A}", "--login")
    user(site, "suspend", f"bob@{B}", "--receive")
    said = [swaks(smtp, f"bob@{each}") for each in (A, B)]
    site.wait_for_mail(A, "bob")

    assert curl(pop3, f"bob@{A}", "one")[0] == 67
    assert curl(pop3, f"bob@{B}", "two")[0] == 0
    assert re.search(rf"vq-checkpassword: pid \d+ parent \d+ from 127\.0\.0\.1 refused <bob@{A}>: suspended in etc/options of {A}", site.log())
    assert "550 5.2.1" not in said[0]
    assert "550 5.2.1" in said[1]
    user(site, "resume", f"bob@{A}")
    user(site, "resume", f"bob@{B}", "--receive")

    assert curl(pop3, f"bob@{A}", "one")[0] == 0
    assert "550 " not in swaks(smtp, f"bob@{B}")
    site.wait_for_mail(B, "bob")


def test_who_has_moved_is_not_here_and_the_sender_is_told_where(site: module.System) -> None:
    site.start_all()
    smtp, pop3 = site.start_smtp(), site.start_pop3()
    user(site, "set", f"bob@{A}", "--moved=bob@new.example", "name=Bob")
    said = swaks(smtp, f"bob@{A}")

    assert "551 5.1.6 sorry, this user has moved; please try <bob@new.example> (#5.1.6)" in said
    assert "bob@new.example" in user(site, "info", f"bob@{A}")
    assert site.run("vq-explain", f"bob@{A}").stdout.startswith(f"bob@{A}".encode())
    assert curl(pop3, f"bob@{A}", "one")[0] == 0
    assert "551 " not in swaks(smtp, f"bob@{B}")
    assert "has that already" in user(site, "set", f"bob@{A}", "--moved=bob@new.example", code=100)
    for wrong in ("--moved=nowhere", "--moved=", "--no-moved"):
        user(site, "set", f"ann@{A}", wrong, code=100)
    user(site, "set", f"bob@{A}", "--moved=a b@c", code=100)
    user(site, "set", f"bob@{A}", code=100)
    user(site, "set", f"bob@{A}", "--no-moved")
    assert "has that already" in user(site, "set", f"bob@{A}", "--no-moved", code=100)

    assert "551 " not in swaks(smtp, f"bob@{A}")
    site.wait_for_mail(A, "bob")


def test_deleted_restored_and_renamed(site: module.System) -> None:
    site.start_all()
    smtp, pop3 = site.start_smtp(), site.start_pop3()
    for each in A, B:
        swaks(smtp, f"bob@{each}", f"for {each}")
        site.wait_for_mail(each, "bob")
    user(site, "delete", f"bob@{A}")

    assert "550 5.1.1" in swaks(smtp, f"bob@{A}")
    assert curl(pop3, f"bob@{A}", "one")[0] == 67
    assert curl(pop3, f"bob@{B}", "two", "1")[1].count(f"for {B}") == 1
    user(site, "restore", f"bob@{A}")

    assert curl(pop3, f"bob@{A}", "one", "1")[1].count(f"for {A}") == 1
    user(site, "rename", f"bob@{A}", "robert")

    assert curl(pop3, f"robert@{A}", "one", "1")[1].count(f"for {A}") == 1
    assert "550 5.1.1" in swaks(smtp, f"bob@{A}")
    swaks(smtp, f"robert@{A}", "again")
    # curl moved the first one to cur/
    site.wait_for_mail(A, "robert")
    assert user(site, "list", A).split() == [f"robert@{A}"]


def test_a_new_password_is_the_only_one(site: module.System) -> None:
    pop3 = site.start_pop3()
    done = site.run("vq-passwd", f"bob@{A}", "--password-stdin", input=b"neu\n")
    generated = site.run("vq-passwd", f"bob@{B}", "--generate")

    assert (done.returncode, done.stdout, done.stderr, generated.stderr) == (0, b"", b"", b"")
    assert [curl(pop3, f"bob@{A}", each)[0] for each in ("one", "neu")] == [67, 0]
    assert [curl(pop3, f"bob@{B}", each)[0] for each in ("two", generated.stdout.decode().strip())] == [67, 0]
    assert re.fullmatch(r"[A-Za-z0-9]{16}\n", generated.stdout.decode())


@pytest.mark.parametrize(("options", "begin"), [((), "$y$"), (("--scheme=sha512",), "$6$"), (("--scheme=clear",), "{CLEAR}")])
def test_schemes(site: module.System, options: "tuple[str, ...]", begin: str) -> None:
    pop3 = site.start_pop3()
    user(site, "add", f"carl@{A}", *options, password="geheim")

    assert lines_of(site, A)[-1][1].startswith(begin)
    assert curl(pop3, f"carl@{A}", "geheim")[0] == 0


@pytest.mark.parametrize(("arguments", "reason"), [
    (("add", f"bob@{A}", "--generate"), "is there already; nothing was changed"),
    (("add", "carl@c.test", "--generate"), "there is no domain c.test"),
    (("add", f"ca/rl@{A}", "--generate"), "a user's name has letters, digits and"),
    (("add", f"carl@{A}", "--hash=secret"), "no hash of a kind that crypt(3) knows here"),
    (("add", f"carl@{A}", "--hash=a:b"), "is no hash of a password"),
    (("add", f"carl@{A}", "--generate", "--scheme=rot13"), "there is no scheme rot13; there are yescrypt, sha512, bcrypt, argon2id, scram-sha-256, clear"),
    (("add", f"carl@{A}", "--generate", "--quota=lots"), "quota cannot be lots"),
    (("add", f"carl@{A}", "--generate", "--uid=5"), "uid 5 is below 100"),
    (("add", f"carl@{A}", "--generate", "--password=x"), "usage:"),
    (("add", "carl", "--generate"), "write USER@DOMAIN"),
    (("add", f"carl@{A}"), "there is no terminal to ask for the password"),
    (("add", f"carl@{A}", "--password="), "an empty password is none"),
    (("add", f"carl@{A}", "--password=" + "x" * 200), "has 128 bytes at most"),
    (("delete", f"carl@{A}"), "there is no carl@a.test"),
    (("restore", f"carl@{A}"), "there is no carl@a.test in the trash"),
    (("set", f"bob@{A}", "colour=red"), "colour is no option of a user"),
    (("set", f"bob@{A}", "quota"), "write KEY=VALUE"),
    (("rename", f"bob@{A}", f"bob@{B}"), "cannot move to another domain"),
    ((), "usage:"),
])
def test_refused_with_a_reason_and_nothing_changed(site: module.System, arguments: "tuple[str, ...]", reason: str) -> None:
    before = [(site.virtual / each / "etc/passwd").read_bytes() for each in (A, B)]
    done = site.run("vq-user", *arguments, start_new_session=True)

    assert done.returncode == 100
    assert reason in done.stderr.decode()
    assert done.stdout == b""
    assert [(site.virtual / each / "etc/passwd").read_bytes() for each in (A, B)] == before


def test_two_creations_at_the_limit_and_one_is_refused(site: module.System) -> None:
    (site.virtual / A / "etc/options").write_text("@:mailboxes=2\n")
    two = [subprocess.Popen([site.bin("vq-user"), "add", f"{each}@{A}", "--no-password"], stderr=subprocess.PIPE)
           for each in ("carl", "dora")]
    said = [each.communicate(timeout=60)[1].decode() for each in two]

    assert sorted(each.returncode for each in two) == [0, 100]
    assert "a.test has 2 mailboxes and may have 2" in "".join(said)
    assert len(lines_of(site, A)) == 2


@pytest.mark.slow
def test_two_hundred_users_by_four_administrators_at_once(site: module.System) -> None:
    script = 'for each in $(seq 50); do "$0" add "u$1x$each@$2" --no-password || exit 1; done'
    four = [subprocess.Popen(["/bin/sh", "-c", script, site.bin("vq-user"), str(each), (A, B)[each % 2]], stderr=subprocess.PIPE)
            for each in range(4)]
    said = [each.communicate(timeout=800)[1].decode() for each in four]
    found = lines_of(site, A) + lines_of(site, B)
    uids = [int(each[2]) for each in found if each[0] != "bob"]

    assert ([each.returncode for each in four], [line for each in said for line in each.splitlines() if "somebody else" not in line]) == (
        [0] * 4, [])
    assert {each[0] for each in found} == {"bob", *(f"u{one}x{other}" for one in range(4) for other in range(1, 51))}
    assert len(set(uids)) == len(uids) == 200
    assert all((site.virtual / domain / "home" / each[0] / "Maildir/new").stat().st_uid == int(each[2])
               for domain in (A, B) for each in lines_of(site, domain) if each[0] != "bob")


def test_the_password_is_in_nobodys_list_of_processes(site: module.System, tmp_path: pathlib.Path) -> None:
    secret = b"sehr-geheim-4711"
    process = subprocess.Popen([site.bin("vq-user"), "add", f"carl@{A}", "--password-stdin"], stdin=subprocess.PIPE,
                               env=site.env(), stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(secret + b"\n")
    process.stdin.flush()
    seen = set()
    while process.poll() is None:
        for name in os.listdir("/proc"):
            for file in ("cmdline", "environ"):
                try:
                    text = pathlib.Path("/proc", name, file).read_bytes() if name.isdigit() else b""
                except (OSError, ProcessLookupError):
                    continue
                if f"carl@{A}".encode() in text:
                    seen.add(name)
                assert secret not in text, (name, file)
    process.stdin.close()

    assert process.returncode == 0
    assert str(process.pid) in seen
    assert secret not in site.log().encode() + (process.stderr.read() if process.stderr else b"")
    for path in site.path.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def at_terminal(argv: "list[str]", answers: "list[tuple[bytes, bytes]]", env: "dict[str, str]", uid: int = 0) -> "tuple[int, bytes]":
    """Run a program at a terminal of its own and type each answer when its question has come; exit code and what was seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.execve(argv[0], argv, env)
        finally:
            os._exit(99)
    seen = b""
    try:
        for question, answer in answers:
            mark = len(seen)
            deadline = time.monotonic() + 100
            while question not in seen[mark:] and time.monotonic() < deadline:
                seen += os.read(terminal, 1000)
            assert question in seen[mark:], seen
            os.write(terminal, answer + b"\n")
        try:
            while part := os.read(terminal, 1000):
                seen += part
        except OSError:                         # the other end is closed: EIO
            pass
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)


@pytest.mark.parametrize(("again", "code", "reason"), [(b"geheim", 0, b""), (b"gehein", 100, b"the two passwords differ; nothing was changed")])
def test_asked_for_twice_on_a_terminal_and_not_seen_there(site: module.System, again: bytes, code: int, reason: bytes) -> None:
    answered, seen = at_terminal([site.bin("vq-user"), "add", f"carl@{A}"], [
        (f"New password for carl@{A}: ".encode(), b"geheim"), (b"The same again: ", again)], site.env())

    assert code == answered, seen
    assert reason in seen
    assert b"gehei" not in seen
    assert (len(lines_of(site, A)) == 2) == (code == 0)


# by the service

def test_owners_look_after_their_own_users_and_nobody_elses(site: module.System) -> None:
    site.start_admin()
    owner = site.owner(A)
    added = site.run("vq-user", "add", f"carl@{A}", "--password-stdin", uid=owner, input=b"geheim\n")
    listed = site.run("vq-user", "list", A, uid=owner)
    refused = [site.run("vq-user", *each, uid=owner) for each in (
        ("add", f"carl@{B}", "--no-password"), ("list", B), ("info", f"bob@{B}"), ("delete", f"bob@{B}"), ("list", "c.test"),
        ("add", f"dora@{A}", "--no-password", "--uid=45999"), ("set", f"bob@{A}", "dotqmail=programs"))]

    assert (added.returncode, added.stderr) == (0, b"")
    assert listed.stdout.decode().split() == [f"bob@{A}", f"carl@{A}"]
    assert [each.returncode for each in refused] == [100] * 7
    assert [b"is no domain of yours" in each.stderr for each in refused] == [True] * 5 + [False] * 2
    assert [each[0] for each in lines_of(site, A)] == ["bob", "carl"]
    assert [each[0] for each in lines_of(site, B)] == ["bob"]


def test_users_change_their_own_password_if_they_know_it(site: module.System) -> None:
    site.start_admin()
    pop3 = site.start_pop3()
    right = site.run("vq-passwd", f"bob@{A}", "--password-stdin", uid=45901, input=b"one\nneu\n")
    wrong = site.run("vq-passwd", f"bob@{B}", "--password-stdin", uid=45901, input=b"one\nneu\n")
    nobody = site.run("vq-passwd", f"nobody@{B}", "--password-stdin", uid=45901, input=b"one\nneu\n")

    assert (right.returncode, right.stderr) == (0, b"")
    assert [(each.returncode, b"that is not the password of" in each.stderr) for each in (wrong, nobody)] == [(100, True)] * 2
    assert [curl(pop3, f"bob@{A}", each)[0] for each in ("one", "neu")] == [67, 0]
    assert curl(pop3, f"bob@{B}", "two")[0] == 0
    code, seen = at_terminal([site.bin("vq-passwd"), f"bob@{B}"], [
        (f"Old password of bob@{B}: ".encode(), b"two"), (f"New password for bob@{B}: ".encode(), b"drei"), (b"again: ", b"drei")],
        site.env(), uid=45901)

    assert (code, b"drei" in seen) == (0, False)
    assert curl(pop3, f"bob@{B}", "drei")[0] == 0


def test_without_the_service_it_says_so(site: module.System) -> None:
    done = site.run("vq-user", "list", A, uid=site.owner(A))

    assert done.returncode == 111
    assert b"is the service `admin` up?" in done.stderr


def test_another_name_of_a_domain_is_the_domain(site: module.System) -> None:
    (site.virtual / "alias.test").symlink_to(A)
    user(site, "add", "carl@alias.test", "--no-password")

    assert user(site, "list", "alias.test").split() == user(site, "list", A).split() == [f"bob@{A}", f"carl@{A}"]
    assert "is there already" in user(site, "add", f"carl@{A}", "--no-password", code=100)


def test_options_by_hand_and_vq_newu_says_what_is_wrong_with_them(site: module.System) -> None:
    pop3 = site.start_pop3()
    options = site.virtual / A / "etc/options"
    options.write_text("# ours\nbob:suspended=login\n")
    first = site.run("vq-newu")
    options.write_text("# ours\nbob:suspended=logins\n")
    second = site.run("vq-newu")

    assert (first.returncode, first.stderr) == (0, b"")
    assert (second.returncode, second.stderr.decode()) == (
        111, f"vq-newu: {options}: line 2: suspended cannot be logins: write login, receive, send, with commas between "
             "(its compiled users are as they were)\n")
    # what is broken is trouble: nobody is let in, and nobody is told that his password is wrong
    assert curl(pop3, f"bob@{B}", "two")[0] == 0
    assert f"{options}: line 2: suspended cannot be logins" in user(site, "resume", f"bob@{A}", code=100)
    options.unlink()
    site.run("vq-newu")

    assert curl(pop3, f"bob@{A}", "one")[0] == 0
