"""vq-newu, vq-newmrh, vq-pw2u and vq-getpw as a postmaster runs them; what they make is read by tinycdb."""

import hashlib
import os
import pathlib
import pty
import subprocess

import pytest
import support

from vqmail.store import cdb

UID, GID = support.single_ids()
EXAMPLE = """\
=joe:joe:1001:1001:/home/joe:::
+joe-:joe:1001:1001:/home/joe:-::
+example.com-:vpop:89:89:/v/example.com:-::
+:alias:64010:64010:/var/qmail/alias:-::
.
"""
SHA256 = "359b4f7bc0fbb7ba2453d834ae50389e1f890a574ca03f68fa61420ea845d5fe"         # QMAIL interface 22


@pytest.fixture
def site(home: support.Home) -> support.Home:
    """An installation with users/assign and two domains."""
    home.control("virtualroot", f"{home.path}/virtual\n")
    home.write("users/assign", EXAMPLE)
    for domain in "a.test", "b.test":
        home.write(f"virtual/{domain}/etc/passwd", user_line("bob"))
    return home


def user_line(name: str) -> str:
    return f"{name}:$6$hash:{UID}:{GID}::/home/{name}:/bin/false\n"


def tinycdb(path: pathlib.Path, *query: str) -> bytes:
    return subprocess.run(["cdb", *query[:1], str(path), *query[1:]], capture_output=True, check=True).stdout


def read(home: support.Home, name: str) -> bytes:
    return (home.path / name).read_bytes()


def quiet(done: "subprocess.CompletedProcess[bytes]") -> None:
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_users_cdb_is_what_qmail_newu_makes_to_the_byte(site: support.Home) -> None:
    quiet(site.run(["vq-newu"]))

    assert hashlib.sha256(read(site, "users/cdb")).hexdigest() == SHA256
    assert (site.path / "users/cdb").stat().st_mode == 0o100644
    assert not (site.path / "users/cdb.tmp").exists()


@pytest.mark.peers
def test_tinycdb_reads_what_vq_newu_makes(site: support.Home) -> None:
    quiet(site.run(["vq-newu"]))
    table = site.path / "users/cdb"

    assert tinycdb(table, "-q", "!joe-") == b"joe\x001001\x001001\0/home/joe\0-\0"
    assert tinycdb(table, "-q", "") == b"-"
    assert tinycdb(table, "-l").split(b"\n")[:5] == [b"+5:!joe\0", b"+5:!joe-", b"+13:!example.com-", b"+1:!", b"+0:"]
    assert tinycdb(site.path / "virtual/a.test/etc/users.cdb", "-q", "bob") == b"%d\0%d\0/home/bob" % (UID, GID)
    assert tinycdb(site.path / "virtual/b.test/etc/passwd.cdb", "-q", "bob") == b"$6$hash"


def test_only_what_changed_is_compiled_again(site: support.Home) -> None:
    quiet(site.run(["vq-newu"]))
    before = {domain: (site.path / f"virtual/{domain}/etc/users.cdb").stat().st_ino for domain in ("a.test", "b.test")}
    site.write("virtual/b.test/etc/passwd", user_line("bob") + user_line("ann"))
    quiet(site.run(["vq-newu"]))
    after = {domain: (site.path / f"virtual/{domain}/etc/users.cdb").stat().st_ino for domain in ("a.test", "b.test")}

    assert after["a.test"] == before["a.test"]
    assert cdb.find(os.fsencode(site.path / "virtual/b.test/etc/users.cdb"), b"ann") == b"%d\0%d\0/home/ann" % (UID, GID)


def test_plain_files_and_other_directories_are_passed_over(site: support.Home) -> None:
    site.write("virtual/README", "x")
    site.write("virtual/c.test/README", "x")
    site.write("virtual/d.test/etc/other", "x")
    (site.path / "virtual/lost+found").mkdir(mode=0o700)        # root's

    quiet(site.run(["vq-newu"]))


def test_a_site_without_assign_and_without_domains_has_nothing_to_compile(home: support.Home) -> None:
    home.control("virtualroot", f"{home.path}/nowhere\n")

    quiet(home.run(["vq-newu"]))
    assert not (home.path / "users/cdb").exists()


@pytest.mark.parametrize(("bad", "reason"), [
    (EXAMPLE.replace("+joe-:joe:1001", "+joe-:joe:x"), "line 2: the third and fourth fields must be a uid and a gid, as numbers"),
    (EXAMPLE.replace("=joe:joe:1001", "=joe:joe:0"), "line 1: uid 0: nothing is ever delivered as root; name another user"),
    (EXAMPLE[:-2], "line 5: the file ends without a line that is just a dot; add one"),
    (EXAMPLE.replace("+:", "\n+:"), "line 4: an empty line is not allowed; remove it"),
    ("# example\n" + EXAMPLE, "line 1: comments may only stand after the line with the dot; move it there"),
    (EXAMPLE.replace("/home/joe:-::", "/home/joe:-:"), "line 2: has 6 colons, needs 7: =local:user:uid:gid:home:dash:ext:"),
    ("", "line 1: the file ends without a line that is just a dot; add one"),
])
def test_a_bad_assign_is_refused_with_line_and_reason_and_the_rest_is_done(site: support.Home, bad: str, reason: str) -> None:
    quiet(site.run(["vq-newu"]))
    site.write("users/assign", bad)
    site.write("virtual/a.test/etc/passwd", user_line("ann"))
    done = site.run(["vq-newu"])

    assert (done.returncode, done.stdout) == (111, b"")
    assert done.stderr.decode() == f"vq-newu: {site.path}/users/assign: {reason} (users/cdb is as it was)\n"
    assert hashlib.sha256(read(site, "users/cdb")).hexdigest() == SHA256
    assert cdb.find(os.fsencode(site.path / "virtual/a.test/etc/users.cdb"), b"ann") is not None
    assert sorted(os.listdir(site.path / "users")) == ["assign", "cdb", "lock"]


def test_a_bad_domain_does_not_stop_the_others(site: support.Home) -> None:
    quiet(site.run(["vq-newu"]))
    site.write("users/assign", ".\n")
    site.write("virtual/a.test/etc/passwd", user_line("ann") + "carl:x:1\n")
    site.write("virtual/b.test/etc/passwd", user_line("ann"))
    done = site.run(["vq-newu"])

    assert (done.returncode, done.stderr.decode()) == (111, (
        f"vq-newu: {site.path}/virtual/a.test/etc/passwd: line 2: has 2 colons, needs 6: "
        "name:hash:uid:gid:gecos:home:shell (its compiled users are as they were)\n"))
    assert [cdb.find(os.fsencode(site.path / f"virtual/{each}/etc/users.cdb"), b"ann") is None
            for each in ("a.test", "b.test")] == [True, False]
    assert cdb.find(os.fsencode(site.path / "users/cdb"), b"!joe-") is None


@pytest.mark.parametrize(("what", "reason"), [
    ("assign", "users/assign: no such file, but there is a users/cdb, which still counts; remove it too"),
    ("passwd", "virtual/a.test/etc/passwd: no such file, but users.cdb beside it; remove that too, or put the text back"),
])
def test_a_text_that_is_gone_is_noticed(site: support.Home, what: str, reason: str) -> None:
    quiet(site.run(["vq-newu"]))
    (site.path / {"assign": "users/assign", "passwd": "virtual/a.test/etc/passwd"}[what]).unlink()
    done = site.run(["vq-newu"])

    assert (done.returncode, done.stderr.decode()) == (111, f"vq-newu: {site.path}/{reason}\n")


@pytest.mark.parametrize("name", ["A.test", ".a.test", "a..test"])
def test_a_directory_that_no_mail_can_reach_is_noticed(site: support.Home, name: str) -> None:
    site.write(f"virtual/{name}/etc/passwd", user_line("bob"))
    done = site.run(["vq-newu"])

    assert (done.returncode, done.stderr.decode()) == (
        111, f"vq-newu: {site.path}/virtual/{name}: no domain is called so; domains are in lower case\n")


def test_a_user_below_minuid_is_refused_where_he_stands(site: support.Home) -> None:
    site.write("virtual/a.test/etc/passwd", user_line("bob") + "root:x:0:0::/home/root:\n")
    done = site.run(["vq-newu"])

    assert (done.returncode, done.stderr.decode()) == (111, (
        f"vq-newu: {site.path}/virtual/a.test/etc/passwd: line 2: uid 0 or gid 0 of root is below 100 "
        "(control/minuid): not allowed (its compiled users are as they were)\n"))


def test_arguments_are_refused(site: support.Home) -> None:
    for name in "vq-newu", "vq-newmrh":
        done = site.run([name, "x"])

        assert (done.returncode, done.stderr.decode()) == (100, f"{name}: usage: {name}\n")


def test_progress_is_shown_on_a_terminal_only(site: support.Home) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.run([site.bin("vq-newu")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                                 check=False, timeout=60)
        said = b""
        while not said.endswith(b"\n"):         # the kernel may hand it over in pieces
            said += os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(theirs)

    assert (process.returncode, process.stdout) == (0, b"")
    assert said == b"\rvq-newu: 1 of 2 domains\rvq-newu: 2 of 2 domains\r\n"


FAULTS = [f"{call}:{fault}:when={when}" for call in ("openat", "write", "pwrite64", "fsync", "rename", "unlink", "fchmod", "close")
          for fault in ("signal=SIGKILL", "error=EIO", "error=ENOSPC") for when in (1, 2, 3)]


@pytest.mark.peers
@pytest.mark.parametrize("fault", FAULTS)
def test_killed_or_failing_anywhere_it_leaves_the_old_tables_or_the_new_ones(site: support.Home, fault: str) -> None:
    quiet(site.run(["vq-newu"]))
    tables = "users/cdb", "virtual/a.test/etc/users.cdb", "virtual/a.test/etc/passwd.cdb"
    old = [read(site, each) for each in tables]
    site.write("users/assign", EXAMPLE.replace("1001", "1003"))
    site.write("virtual/a.test/etc/passwd", user_line("ann"))
    # -P: only calls on these; the counting begins there
    paths = [word for each in tables for word in ("-P", str(site.path / each), "-P", f"{site.path / each}.tmp")]
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", *paths, "-e", f"inject={fault}", "--", site.bin("vq-newu")],
                          capture_output=True, check=False, timeout=60)
    now = [read(site, each) for each in tables]
    clean = done.returncode == 0
    quiet(site.run(["vq-newu"]))
    new = [read(site, each) for each in tables]

    assert all(each in (before, after) for each, before, after in zip(now, old, new, strict=True))
    assert not clean or now == new
    assert cdb.find(os.fsencode(site.path / "users/cdb"), b"!joe-") == b"joe\x001003\x001003\0/home/joe\0-\0"
    assert not list(site.path.glob("**/*.cdb.tmp"))


@pytest.mark.slow
def test_a_million_users_need_no_gigabytes(site: support.Home) -> None:
    count = 1_000_000
    with (site.path / "users/assign").open("w") as file:
        file.writelines(f"+user{number}-:user{number}:1001:1001:/home/user{number}:-::\n" for number in range(count))
        file.write(".\n")
    (site.path / "virtual/a.test/etc/passwd").write_text("".join(user_line(f"user{number}") for number in range(100_000)))
    limit = f"ulimit -v {400 << 10}; exec {site.bin('vq-newu')}"
    done = subprocess.run(["sh", "-c", limit], capture_output=True, check=False, timeout=600)

    assert (done.returncode, done.stderr) == (0, b"")
    table = os.fsencode(site.path / "users/cdb")
    assert cdb.find(table, b"!user999999-") == b"user999999\x001001\x001001\0/home/user999999\0-\0"
    assert cdb.find(table, b"") == b"-"
    assert cdb.find(os.fsencode(site.path / "virtual/a.test/etc/users.cdb"), b"user99999") == b"%d\0%d\0/home/user99999" % (UID, GID)


# vq-newmrh

def test_more_domains_are_compiled_in_lower_case(home: support.Home) -> None:
    home.control("morercpthosts", "Example.COM \n# no\n\n.Sub.Example.com\t\nlast.test")
    quiet(home.run(["vq-newmrh"]))
    table = os.fsencode(home.path / "control/morercpthosts.cdb")

    assert [cdb.find(table, each) for each in (b"example.com", b".sub.example.com", b"last.test")] == [b"", b"", b""]
    assert [cdb.find(table, each) for each in (b"Example.COM", b"# no", b"no", b"")] == [None] * 4
    assert os.stat(table).st_mode == 0o100644


def test_without_more_domains_there_is_nothing_to_compile(home: support.Home) -> None:
    done = home.run(["vq-newmrh"])

    assert (done.returncode, done.stderr.decode()) == (111, (
        f"vq-newmrh: cannot read {home.path}/control/morercpthosts: No such file or directory "
        "(control/morercpthosts.cdb is as it was)\n"))


# vq-pw2u

@pytest.fixture
def homes(home: support.Home) -> support.Home:
    """alias, joe and Bob own their homes; ann's belongs to root, carl's is missing."""
    for name in "alias", "joe", "Bob", "ann":
        (home.path / "h" / name).mkdir(parents=True)
        if name != "ann":
            os.chown(home.path / "h" / name, UID, GID)
    return home


def passwd(home: support.Home, *names: str) -> bytes:
    return "".join(f"{name}:x:{0 if name == 'root' else UID}:{GID}:Name,,:{home.path}/h/{name}:/bin/sh\n"
                   for name in names).encode()


def pw2u(home: support.Home, *options: str, names: "tuple[str, ...]" = ("root", "alias", "joe", "Bob", "ann", "carl")) -> str:
    done = home.run(["vq-pw2u", *options], input=passwd(home, *names))

    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().replace(f"{UID}:{GID}:{home.path}/h/", "IDS:")


ALIAS = "+:alias:IDS:alias:-::\n=alias:alias:IDS:alias:::\n+alias-:alias:IDS:alias:-::\n"
JOE = "=joe:joe:IDS:joe:::\n+joe-:joe:IDS:joe:-::\n"
BOB = "=Bob:Bob:IDS:Bob:::\n+Bob-:Bob:IDS:Bob:-::\n"
CARL = "=carl:carl:IDS:carl:::\n+carl-:carl:IDS:carl:-::\n"
ANN = "=ann:ann:IDS:ann:::\n+ann-:ann:IDS:ann:-::\n"


@pytest.mark.parametrize(("options", "expected"), [
    ((), ALIAS + JOE),
    (("-o", "-U"), ALIAS + JOE),
    (("-u",), ALIAS + JOE + BOB),
    (("-H",), ALIAS + JOE + ANN + CARL),
    (("-uH",), ALIAS + JOE + BOB + ANN + CARL),
    (("-C",), "+:alias:IDS:alias:-::\n=alias:alias:IDS:alias:::\n=joe:joe:IDS:joe:::\n"),
    (("-c+",), ALIAS.replace("alias-", "alias+") + JOE.replace("joe-", "joe+")),
    (("-c", "+"), ALIAS.replace("alias-", "alias+") + JOE.replace("joe-", "joe+")),
    (("-/",), ALIAS.replace(":-:", ":-/:") + JOE.replace(":-:", ":-/:")),
])
def test_passwd_becomes_assign(homes: support.Home, options: "tuple[str, ...]", expected: str) -> None:
    assert pw2u(homes, *options) == expected + ".\n"


@pytest.mark.parametrize(("files", "expected"), [
    ({"include": "alias\n"}, ALIAS),
    ({"exclude": "joe\n# x\n"}, ALIAS),
    ({"mailnames": "joe:joseph:j.doe:\n"}, ALIAS + "=joseph:joe:IDS:joe:::\n+joseph-:joe:IDS:joe:-::\n"
                                                    "=j.doe:joe:IDS:joe:::\n+j.doe-:joe:IDS:joe:-::\n"),
    ({"subusers": "info:joe:i:\n"}, ALIAS + JOE + "=info:joe:IDS:joe:-:i:\n+info-:joe:IDS:joe:-:i-:\n"),
    ({"append": "=x:x:7:7:/x:::"}, ALIAS + JOE + "=x:x:7:7:/x:::\n"),
    ({"append": "=x:x:7:7:/x:::\n"}, ALIAS + JOE + "=x:x:7:7:/x:::\n"),
])
def test_files_of_users_change_the_rules(homes: support.Home, files: "dict[str, str]", expected: str) -> None:
    for name, text in files.items():
        homes.write("users/" + name, text)

    assert pw2u(homes) == expected + ".\n"


def test_what_vq_pw2u_writes_vq_newu_compiles(homes: support.Home) -> None:
    homes.control("virtualroot", f"{homes.path}/nowhere\n")
    homes.write("users/assign", homes.run(["vq-pw2u", "-u"], input=passwd(homes, "alias", "Bob")).stdout)
    quiet(homes.run(["vq-newu"]))

    assert cdb.find(os.fsencode(homes.path / "users/cdb"), b"!bob-") == f"Bob\0{UID}\0{GID}\0{homes.path}/h/Bob\0-\0".encode()


@pytest.mark.parametrize(("options", "input_names", "more", "code", "reason"), [
    ((), ("joe",), b"", 111, "there is no user alias, or it does not own its home: mail for nobody needs it"),
    (("-h",), ("alias", "carl"), b"", 111, "cannot look at the home HOME/carl: No such file or directory"),
    ((), ("alias",), b"bad:x:y:1::/h:\n", 111, "line 2 of the passwd file is broken; mend it"),
    ((), ("alias",), b"bad\n", 111, "line 2 of the passwd file is broken; mend it"),
    (("-x",), ("alias",), b"", 100, "usage: vq-pw2u [ -/ohHuUC ] [ -c char ] < passwd > assign"),
    (("-c",), ("alias",), b"", 100, "usage: vq-pw2u [ -/ohHuUC ] [ -c char ] < passwd > assign"),
    (("file",), ("alias",), b"", 100, "usage: vq-pw2u [ -/ohHuUC ] [ -c char ] < passwd > assign"),
])
def test_what_vq_pw2u_cannot_do_it_says_and_ends_without_the_dot(
        homes: support.Home, options: "tuple[str, ...]", input_names: "tuple[str, ...]", more: bytes, code: int, reason: str) -> None:
    done = homes.run(["vq-pw2u", *options], input=passwd(homes, *input_names) + more)

    assert (done.returncode, done.stderr.decode()) == (code, f"vq-pw2u: {reason}\n".replace("HOME", f"{homes.path}/h"))
    assert not done.stdout.endswith(b"\n.\n")


def test_a_subuser_of_nobody_is_refused(homes: support.Home) -> None:
    homes.write("users/subusers", "info:joe:i:\nx:nobody:y:\n")
    done = homes.run(["vq-pw2u"], input=passwd(homes, "alias", "joe"))

    assert (done.returncode, done.stderr) == (111, b"vq-pw2u: users/subusers line 2: there is no such user; remove the line\n")


def test_nis_lines_comments_and_empty_ones_are_passed_over(homes: support.Home) -> None:
    done = homes.run(["vq-pw2u"], input=b"+::::::\n# x\n\n-joe::::::\n" + passwd(homes, "alias").rstrip(b"\n"))

    assert (done.returncode, done.stdout.count(b"\n")) == (0, 4)


# vq-getpw

def test_what_nobody_controls_belongs_to_alias(home: support.Home) -> None:
    done = home.run(["vq-getpw", "no-such-User"])

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"alias\0%d\0%d\0%s\0-\0no-such-User\0" % (UID, GID, os.fsencode(home.path / "alias"))


def test_under_a_single_user_nobody_else_is_a_user(home: support.Home) -> None:
    done = home.run(["vq-getpw", "root"])

    assert done.stdout.split(b"\0")[0] == b"alias"


@pytest.mark.parametrize("argv", [[], ["a", "b"]])
def test_vq_getpw_wants_one_address(home: support.Home, argv: "list[str]") -> None:
    done = home.run(["vq-getpw", *argv])

    assert (done.returncode, done.stderr) == (100, b"vq-getpw: usage: vq-getpw local\n")


@pytest.mark.parametrize(("fault", "code"), [
    ("openat:error=EIO", 118), ("openat:error=EMFILE", 118), ("openat:error=EACCES", 118), ("read:error=EIO", 118)])
@pytest.mark.peers
def test_a_passwd_file_that_cannot_be_read_is_trouble_not_nobody(home: support.Home, fault: str, code: int) -> None:
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-P", "/etc/passwd", "-e", f"inject={fault}", "--",
                           home.bin("vq-getpw"), "joe"], capture_output=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.startswith(b"vq-getpw: cannot read /etc/passwd: ")


def test_an_installation_without_alias_says_so(home: support.Home) -> None:
    (home.path / "alias").rmdir()
    done = home.run(["vq-getpw", "joe"])

    assert (done.returncode, done.stdout) == (116, b"")


def test_a_line_behind_the_dot_is_told_of(home: support.Home) -> None:
    home.write("users/assign", "=a:a:1000:1000:/home/a:::\n.\n# a remark\n=b:b:1000:1000:/home/b:::\n")
    done = home.run(["vq-newu"])

    assert done.returncode == 0
    assert b"`=b:b:1000:1000:/home/b:::` stands behind the line with the dot" in done.stderr
