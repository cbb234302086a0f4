"""vq-qread, vq-qstat, vq-showctl and mailq, as programs, on queues and control directories in every state (QMAIL 17, 11)."""

import json
import os
import pathlib
import pty
import subprocess
import threading

import pytest
import support
from support import Home

BIRTH = 1795238337                      # 21 Nov 2026 05:18:57
TEXT = b"Received: (qmail 1 invoked by uid 0); 21 Nov 2026 05:18:57 -0000\nSubject: x\n\nhi\n"
STRANGER = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def mess(home: Home) -> int:
    """S2: a message's text; its number."""
    draft = home.write("queue/pid/draft", TEXT)
    number = draft.stat().st_ino
    draft.rename(home.path / f"queue/mess/{number % 23}/{number}")
    return number


def part(home: Home, kind: str, number: int, text: bytes) -> pathlib.Path:
    """One more file of message `number`."""
    split = f"{number % 23}/" if kind in ("info", "local", "remote") else ""
    path = home.write(f"queue/{kind}/{split}{number}", text, 0o600)
    os.utime(path, (BIRTH, BIRTH))
    return path


def queued(home: Home, sender: bytes = b"s@x", *recipients: bytes) -> int:
    """S4: in todo/; its number."""
    number = mess(home)
    part(home, "todo", number, b"u0\0p1\0F%s\0" % sender + b"".join(b"T%s\0" % each for each in recipients))
    return number


def preprocessed(home: Home, sender: bytes = b"s@x", local: bytes = b"", remote: bytes = b"") -> int:
    """S5; its number."""
    number = mess(home)
    part(home, "info", number, b"F%s\0" % sender)
    for kind, text in (("local", local), ("remote", remote)):
        if text:
            part(home, kind, number, text)
    return number


def qread(home: Home, *options: str) -> bytes:
    done = home.run(["vq-qread", *options])

    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def head(number: int, sender: str = "s@x", flags: str = "") -> bytes:
    return f"21 Nov 2026 05:18:57 GMT  #{number}  {len(TEXT)}  <{sender}> {flags}\n".encode()


def test_an_empty_queue_is_an_empty_list(home: Home) -> None:
    assert qread(home) == b""
    assert qread(home, "--json") == b""
    assert home.run(["vq-qstat"]).stdout == b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n"


def test_a_preprocessed_message_shows_as_qmail_shows_it(home: Home) -> None:
    number = preprocessed(home, b"list-@x-@[]", b"Dvirt-joe@virt.test\0Tann@here.test\0", b"Tbob@far.test\0")

    assert qread(home) == head(number, "list-@x-@[]") + (
        b"  done\tlocal\tvirt-joe@virt.test\n\tlocal\tann@here.test\n\tremote\tbob@far.test\n")


def test_a_message_that_bounces_says_so(home: Home) -> None:
    number = preprocessed(home, b"", remote=b"Dbob@far.test\0Tann@far.test\0")
    part(home, "bounce", number, b"<bob@far.test>:\nno\n\n")

    assert qread(home) == head(number, "", " bouncing") + b"  done\tremote\tbob@far.test\n\tremote\tann@far.test\n"


def test_a_message_in_todo_shows_where_it_will_go(home: Home) -> None:
    home.control("locals", "here.test\n")
    home.control("virtualdomains", "virt.test:virt\n")
    number = queued(home, b"s@x", b"bob@far.test", b"joe@virt.test", b"ann@here.test", b"nohost")

    assert qread(home) == head(number, flags=" todo") + (
        b"\tlocal\tvirt-joe@virt.test\n\tlocal\tann@here.test\n\tremote\tbob@far.test\n\tremote\tnohost@host.test\n")


def test_a_message_that_is_being_preprocessed_is_shown_once(home: Home) -> None:
    number = queued(home, b"s@x", b"bob@far.test")
    part(home, "info", number, b"Fs@x\0")
    part(home, "remote", number, b"Tbob@far.test\0")

    assert qread(home) == head(number, flags=" todo") + b"\tremote\tbob@far.test\n"


def test_what_is_only_being_written_is_not_shown_but_counted(home: Home) -> None:
    mess(home)
    waiting = queued(home, b"s@x", b"bob@far.test")
    settled = preprocessed(home, remote=b"Tbob@far.test\0")

    assert sorted(line for line in qread(home).splitlines() if b"#" in line) == sorted(
        each.rstrip(b"\n") for each in (head(waiting, flags=" todo"), head(settled)))
    assert home.run(["vq-qstat"]).stdout == b"messages in queue: 3\nmessages in queue but not yet preprocessed: 1\n"
    assert home.run(["vq-qstat", "--json"]).stdout == b'{"messages": 3, "todo": 1}\n'


def test_a_message_without_its_text_is_trouble_and_the_others_are_shown(home: Home) -> None:
    broken = preprocessed(home, remote=b"Tbob@far.test\0")
    lost = queued(home, b"s@x", b"bob@far.test")
    whole = preprocessed(home, remote=b"Tann@far.test\0")
    for number in (broken, lost):
        (home.path / f"queue/mess/{number % 23}/{number}").unlink()
    said = qread(home)

    assert head(whole) + b"\tremote\tann@far.test\n" in said
    for number in (broken, lost):
        assert b"warning: trouble with #%d: No such file or directory\n" % number in said


@pytest.mark.parametrize(("kind", "text", "why"), [
    ("info", b"Fs@x", b"cut in the middle of a record"),
    ("info", b"", b"an info file is F and the sender"),
    ("remote", b"Tbob@far.test", b"cut in the middle of a record"),
    ("remote", b"Xbob@far.test\0", b"unknown record b'X'"),
    ("todo", b"u0\0p1\0Fs@x\0Q\0", b"unknown record b'Q'"),
])
def test_a_broken_file_is_trouble(home: Home, kind: str, text: bytes, why: bytes) -> None:
    number = queued(home) if kind == "todo" else preprocessed(home, remote=b"Tbob@far.test\0")
    part(home, kind, number, text)

    assert qread(home) == b"warning: trouble with #%d: %s\n" % (number, why)


def test_json_is_a_line_for_each_message(home: Home) -> None:
    number = preprocessed(home, b"s\xff@x", remote=b"Dbob@far.test\0Tann@far.test\0")
    lines = qread(home, "--json").splitlines()

    assert [json.loads(each) for each in lines] == [{
        "number": number, "arrived": BIRTH, "bytes": len(TEXT), "sender": "s\udcff@x", "bouncing": False, "todo": False,
        "recipients": [{"channel": "remote", "address": "bob@far.test", "done": True},
                       {"channel": "remote", "address": "ann@far.test", "done": False}]}]


def test_messages_that_vanish_while_we_look_are_no_trouble(home: Home) -> None:
    numbers = [preprocessed(home, remote=b"Tbob@far.test\0") for _ in range(60)]
    numbers += [queued(home, b"s@x", b"bob@far.test") for _ in range(60)]

    def vanish() -> None:
        for number in numbers:
            for kind in ("remote", "info"):
                (home.path / f"queue/{kind}/{number % 23}/{number}").unlink(missing_ok=True)
            (home.path / f"queue/todo/{number}").unlink(missing_ok=True)
            (home.path / f"queue/mess/{number % 23}/{number}").unlink()

    for _ in range(3):
        thread = threading.Thread(target=vanish)
        thread.start()
        said = qread(home)
        thread.join()

        assert b"warning" not in said
        numbers = [preprocessed(home, remote=b"Tbob@far.test\0") for _ in range(100)]


@pytest.mark.root
@pytest.mark.parametrize(("program", "words"), [
    ("vq-qread", b"vq-qread: must be root, or the user of vq-send, to read "),
    ("vq-qstat", b"vq-qstat: must be root, or in the queue's group, to read "),
    ("mailq", b"vq-qread: must be root, or the user of vq-send, to read "),
])
def test_others_are_told_in_one_line_that_they_may_not(home: Home, program: str, words: bytes) -> None:
    done = subprocess.run([home.bin(program)], capture_output=True, check=False, timeout=60, **STRANGER)

    assert (done.returncode, done.stdout, done.stderr) == (111, b"", words + b"%s/queue\n" % bytes(home.path))


def test_mailq_is_qread_whatever_options_sendmails_mailq_has(home: Home) -> None:
    number = preprocessed(home, remote=b"Tbob@far.test\0")
    expected = head(number) + b"\tremote\tbob@far.test\n"

    for command in (["mailq"], ["mailq", "-Ac", "-v"], ["sendmail", "-bp"], ["sendmail", "-v", "-bp"]):
        assert home.run(command).stdout == expected
    assert json.loads(home.run(["mailq", "--json"]).stdout)["number"] == number


@pytest.mark.parametrize("program", ["vq-qread", "vq-qstat", "vq-showctl"])
def test_help_is_the_page_and_nonsense_is_refused(home: Home, program: str) -> None:
    asked = home.run([program, "--help"])
    refused = home.run([program, "--nonsense"])

    assert (asked.returncode, asked.stderr) == (0, b"")
    assert asked.stdout.startswith(program.encode() + b": ") and b"\nSYNOPSIS    " in asked.stdout
    assert (refused.returncode, refused.stdout) == (100, b"")
    assert refused.stderr.startswith(program.encode() + b": usage: " + program.encode())
    assert refused.stderr.count(b"\n") == 1


@pytest.mark.parametrize("program", ["vq-qread", "vq-qstat", "vq-showctl"])
def test_output_that_cannot_be_written_is_no_success(home: Home, program: str) -> None:
    preprocessed(home, remote=b"Tbob@far.test\0")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([home.bin(program)], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60)

    assert (done.returncode, done.stderr.count(b"\n")) == (111, 1)


def on_terminal(home: Home, *argv: str, **env: str) -> bytes:
    """What a program of `home` shows on a terminal that is its 1 and 2."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run([home.bin(argv[0]), *argv[1:]], stdout=slave, stderr=slave, check=False, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "TERM": "xterm"} | env)
        os.close(slave)
        slave = -1
        said = b""
        try:
            while piece := os.read(master, 65536):
                said += piece
        except OSError:                         # Linux's way to say that a terminal's other end is closed
            pass
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)

    assert done.returncode == 0
    return said.replace(b"\r\n", b"\n")


def test_colours_and_a_total_are_for_terminals_only(home: Home) -> None:
    number = preprocessed(home, remote=b"Dbob@far.test\0Tann@far.test\0")
    part(home, "bounce", number, b"<bob@far.test>:\nno\n\n")
    total = b"total: 1 message, 1 recipient to do, %d bytes\n" % len(TEXT)
    said = on_terminal(home, "vq-qread")

    assert b"\x1b[31m bouncing\x1b[0m" in said
    assert b"\x1b[32m  done\x1b[0m\tremote\tbob@far.test\n" in said
    assert total in said
    assert on_terminal(home, "vq-qread", NO_COLOR="1") in (qread(home) + total, total + qread(home))


# control files

def paragraphs(home: Home, *argv: str) -> "dict[str, str]":
    """name -> what vq-showctl says of it."""
    done = home.run(["vq-showctl", *argv])

    assert (done.returncode, done.stderr) == (0, b"")
    return {each.partition(":")[0]: each for each in done.stdout.decode("utf-8", "replace").split("\n\n")}


def test_showctl_says_where_it_is_and_shows_every_control_file(home: Home) -> None:
    from vqmail.store import control

    home.control("rcpthosts", "host.test\n")
    said = paragraphs(home)
    uid, gid = support.single_ids()
    first = said["qmail home directory"]

    assert first.startswith(f"qmail home directory: {home.path}.\nsystem host name: ")
    assert "\nsubdirectory split: 23.\n" in first
    assert f"\nuser ids: alias {uid}, qmaild {uid}, qmaill {uid}, qmailq {uid}, qmailr {uid}, qmails {uid}, vqtls {uid}.\n" in first
    assert {name.decode() for name in control.TABLE} == set(said) - {"qmail home directory"}
    assert said["me"] == "me: My name is host.test."
    assert said["locals"] == "locals: (Default.)\nMail for host.test goes to users of this host."
    assert said["databytes"] == "databytes: (Default.) A message may be of any size."
    assert "Problem" not in "".join(said.values())


def test_showctl_names_the_domains_and_sources_of_logins_that_there_are_not(home: Home) -> None:
    home.control("virtualroot", f"{home.path}/virtual\n")
    (home.path / "virtual/domain1.test/etc").mkdir(parents=True)
    (home.path / "virtual/domain1.test/etc/passwd").touch()
    home.control("popdomains", "192.0.2.2 domain1.test\n192.0.2.3 domian1.test\n")
    home.control("loginsources", "virtual\nshared pam vq-none\ncheckpassword /nonexistent/check word\n")
    said = paragraphs(home)

    assert said["popdomains"].endswith(
        "\nProblem: domian1.test: there is no such domain with users, so nobody gets in there without his domain.")
    assert said["loginsources"] == (
        "loginsources:\nAsked about a login, in turn: virtual.\nAsked about a login, in turn: shared pam vq-none.\n"
        "Asked about a login, in turn: checkpassword /nonexistent/check word.\n"
        "Problem: /etc/pam.d/vq-none is missing, so whoever is looked for there cannot log in for now; make it, or take the "
        "line `shared pam vq-none` out.\n"
        "Problem: /nonexistent/check is missing, so whoever is looked for there cannot log in for now; make it, or take the "
        "line `checkpassword /nonexistent/check word` out.")
    home.control("loginsources", "# nobody\n")
    assert paragraphs(home)["loginsources"] == (
        "loginsources: Nobody is asked about a login.\n"
        "Problem: names no source, so nobody can log in; write `virtual`, or remove it.")


def test_showctl_shows_one_file_if_it_is_named(home: Home) -> None:
    home.control("databytes", "5000\n")
    expected = b"databytes: A message from outside may have 5000 bytes.\n"

    assert home.run(["vq-showctl", "databytes"]).stdout == expected
    assert home.run(["vq-showctl", "control/databytes"]).stdout == expected


def test_showctl_knows_no_file_that_nobody_reads(home: Home) -> None:
    done = home.run(["vq-showctl", "lokals"])

    assert (done.returncode, done.stderr) == (
        100, b"vq-showctl: there is no control file lokals; vq-showctl shows those that there are\n")


def test_an_installation_without_me_and_rcpthosts_is_told_so(home: Home) -> None:
    (home.path / "control/me").unlink()
    said = paragraphs(home)

    assert said["me"] == ("me: (Default.) I have no name.\n"
                          "Problem: is missing; put the full name of this host into it.")
    assert said["rcpthosts"] == (
        "rcpthosts: (Default.) Nobody outside can send to anybody.\n"
        "Problem: is missing: put the domains into it that mail from outside is received for.")


def test_faults_stand_under_their_files(home: Home) -> None:
    home.control("me", "host\n")
    home.control("locals", "host.test\nboth.test\n")
    home.control("virtualdomains", "both.test:both\nbob@host.test:bob\nvirt.test:virt\n")
    home.control("rcpthosts", "host.test\r\n")
    home.control("databytes", "20m\n")
    said = paragraphs(home)

    assert said["me"].endswith("\nProblem: is no full host name: there is no dot in it.")
    assert said["virtualdomains"].endswith(
        "\nProblem: both.test, bob@host.test: the domain is in locals, too, which wins.")
    assert "\nProblem: has carriage returns, which count as part of the entries; remove them: tr -d '\\r'." in (
        said["rcpthosts"])
    assert said["rcpthosts"].endswith(
        "\nProblem: lacks host.test, both.test, virt.test: nobody outside can send there, though it is ours.")
    assert said["databytes"] == ("databytes: A message from outside may have 20 bytes.\n"
                                 "Problem: only the digits at its start count, which are 20.")


def test_more_rcpthosts_count_when_they_are_compiled(home: Home) -> None:
    home.control("rcpthosts", "host.test\n")
    home.control("virtualdomains", "virt.test:virt\n")
    home.control("morercpthosts", "virt.test\n")
    before = paragraphs(home)

    assert before["morercpthosts"].endswith("\nProblem: is not compiled and does not count; run vq-newmrh.")
    assert before["rcpthosts"].endswith("\nProblem: lacks virt.test: nobody outside can send there, though it is ours.")

    assert home.run(["vq-newmrh"]).returncode == 0
    after = paragraphs(home)

    assert "Problem" not in after["morercpthosts"] + after["rcpthosts"]

    home.control("morercpthosts", "other.test\n")
    later = (home.path / "control/morercpthosts.cdb").stat().st_mtime + 5
    os.utime(home.path / "control/morercpthosts", (later, later))

    assert paragraphs(home)["morercpthosts"].endswith("\nProblem: was edited after it was compiled; run vq-newmrh.")


def test_files_that_nobody_reads_are_named(home: Home) -> None:
    for name in ("locals~", "rcpthost", "spfbehavior"):
        home.control(name, "x\n")
    said = paragraphs(home)

    assert said["locals~"] == "locals~: a copy of locals that an editor or a package left; nobody reads it."
    assert said["rcpthost"] == "rcpthost: nobody reads it; perhaps rcpthosts is meant."
    assert said["spfbehavior"] == "spfbehavior: no program of this version reads it.\n"


def test_passwords_are_not_shown(home: Home) -> None:
    home.control("authsenders", "@a.test:relay.test:587|joe|s3cret\n@b.test:relay.test:587:joe:s3cret\n")
    home.control("smtproutes", ":relay.test|joe|s3cret\n")
    (home.path / "control/smtproutes").chmod(0o640)
    said = paragraphs(home)

    assert said["authsenders"] == (
        "authsenders:\n"
        "Mail of a sender goes through a relay, with a password: @a.test:relay.test:587 as joe.\n"
        "Mail of a sender goes through a relay, with a password: @b.test:....\n"
        "Problem: line 2 makes no sense: its port is no number from 1 to 65535; "
        "an IPv6 address with a port is written [address]:port.\n"
        "Problem: every user can read the passwords in it; chgrp qmail and chmod 640.")
    assert said["smtproutes"] == "smtproutes:\nMail for a domain goes to a relay: :relay.test as joe."
    assert "s3cret" not in "".join(said.values())
    assert b"s3cret" not in home.run(["vq-showctl", "--json"]).stdout


def test_json_has_all_of_it(home: Home) -> None:
    home.control("rcpthosts", "host.test\n")
    home.control("virtualdomains", "virt.test:virt\n")
    home.control("spfbehavior", "x\n")
    done = home.run(["vq-showctl", "--json"])
    said = json.loads(done.stdout)
    files = {each["name"]: each for each in said["files"]}

    assert said["home"] == str(home.path)
    assert said["split"] == 23
    assert said["ids"]["qmails"] == {"uid": support.single_ids()[0], "gid": support.single_ids()[1]}
    assert said["strangers"] == [{"name": "spfbehavior", "problem": "no program of this version reads it"}]
    assert files["virtualdomains"]["value"] == ["virt.test:virt"]
    assert files["rcpthosts"]["problems"] == ["lacks virt.test: nobody outside can send there, though it is ours"]
    assert {key: files["databytes"][key] for key in ("set", "value", "default", "readers", "problems")} == {
        "set": False, "value": 0, "default": 0, "readers": ["smtpd", "qmtpd", "qmqpd"], "problems": []}
    assert files["helohost"]["default"] == "host.test"
    assert json.loads(home.run(["vq-showctl", "--json", "me"]).stdout) == files["me"]


@pytest.mark.root
def test_a_file_that_we_may_not_read_is_said_to_be_so(home: Home) -> None:
    home.control("authsenders", "@a.test:relay.test:587|joe|s3cret\n")
    (home.path / "control/authsenders").chmod(0o640)
    done = subprocess.run([home.bin("vq-showctl"), "authsenders"], capture_output=True, check=False, timeout=60, **STRANGER)

    assert (done.returncode, done.stdout) == (
        0, b"authsenders: I cannot read it.\nProblem: cannot read %s/control/authsenders: Permission denied.\n" % bytes(home.path))


def test_colours_of_problems_are_for_terminals_only(home: Home) -> None:
    (home.path / "control/me").unlink()
    line = b"Problem: is missing; put the full name of this host into it.\n"

    assert on_terminal(home, "vq-showctl", "me").endswith(b"\n\x1b[31m" + line[:-1] + b"\x1b[0m\n")
    assert on_terminal(home, "vq-showctl", "me", NO_COLOR="1").endswith(b".\n" + line)


# real users

@pytest.mark.root
def test_files_must_be_readable_for_their_readers(system) -> None:
    control = system.home / "control"
    modes = {"locals": 0o600, "helohost": 0o600, "defaulthost": 0o640, "bouncefrom": 0o666, "authsenders": 0o600}
    for name, mode in modes.items():
        system.control(name, "@a.test:r.test|u|s3cret\n" if name == "authsenders" else "host.test\n")
        (control / name).chmod(mode)
    files = {each["name"]: each["problems"] for each in json.loads(system.run("vq-showctl", "--json").stdout)["files"]}
    import pwd
    ids = {user: pwd.getpwnam(user).pw_uid for user in ("qmaild", "qmailr", "qmails")}

    assert files["locals"] == [f"{user} (uid {ids[user]}) cannot read it; chmod 644" for user in ("qmails", "qmaild")]
    assert files["helohost"] == [f"qmailr (uid {ids['qmailr']}) cannot read it; chmod 644"]
    assert files["defaulthost"] == ["not every user can read it, and vq-inject runs as any; chmod 644"]
    assert files["bouncefrom"] == ["every user can write it; chmod o-w"]
    assert files["authsenders"] == [f"qmailr (uid {ids['qmailr']}) cannot read it; chgrp qmail and chmod 640"]
    assert files["me"] == []


@pytest.mark.root
def test_what_vq_queue_queued_is_listed_and_what_vq_send_settled_too(system) -> None:
    system.control("virtualdomains", "")
    system.start_queue()

    assert system.inject("s@far.test", [f"postmaster@{system.name}"], b"Subject: x\n\nhi\n") == 0
    listed = json.loads(system.run("mailq", "--json").stdout)

    assert (listed["sender"], listed["todo"], listed["recipients"]) == (
        "s@far.test", True, [{"channel": "local", "address": f"postmaster@{system.name}", "done": False}])
    assert system.run("vq-qstat").stdout == b"messages in queue: 1\nmessages in queue but not yet preprocessed: 1\n"

    import pwd
    group = pwd.getpwnam("qmailr").pw_gid
    stranger = system.run("vq-qstat", uid=65534)
    member = system.run("vq-qstat", uid=pwd.getpwnam("qmailr").pw_uid, gid=group)
    sender = system.run("vq-qread", uid=pwd.getpwnam("qmails").pw_uid, gid=group)

    assert (stranger.returncode, member.returncode, sender.returncode) == (111, 0, 0)
    assert sender.stdout.startswith(system.run("vq-qread").stdout[:20])

    (system.home / "alias/.qmail-postmaster").write_text("|exit 111\n")
    system.start_send()
    from system import wait_until
    settled = wait_until(lambda: [each for each in map(json.loads, system.run("mailq", "--json").stdout.splitlines())
                                  if not each["todo"]], "the message in info/")

    assert settled == [listed | {"todo": False}]
