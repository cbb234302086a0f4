"""Who is asked about a login: POP3 under the real tcpserver, with real uids; and the auth service, for SMTP."""

import os
import pwd
import subprocess
import typing

import login_world
import pytest
from login_world import EXPIRED, LOCKED, NAME, PASSWORD, SERVICE, ask
from system import System

IN, WRONG, TROUBLE = 0, 1, 111
SHOW = ("/bin/sh", "-c", 'echo "$HOME|$USER|$SHELL|$(pwd)|$(id -u):$(id -g):$(id -G)"')
OWN_UID = 45777


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[System]":
    system = System(tmp_path_factory.mktemp("sources"))
    system.add_domain("example.test", {"bob": "secret", NAME: "virtual"})
    system.add_domain("other.test", {"bob": "other"})         # a bare name has no domain then
    login_world.make_users()
    system.start_auth()
    yield system
    system.stop()
    login_world.remove_users()
    (login_world.PAM_D / SERVICE).unlink(missing_ok=True)


def sources(world: System, text: str) -> None:
    world.control("loginsources", text)


def checkpassword(world: System, name: str, password: str, *program: str, challenge: str = "",
                  env: "dict[str, str] | None" = None) -> "tuple[int, str]":
    """(exit code, what the program behind it wrote)."""
    out, into = os.pipe()
    os.write(into, f"{name}\0{password}\0{challenge}\0".encode())
    os.close(into)
    try:
        done = subprocess.run([world.bin("vq-checkpassword"), *(program or ("/bin/true",))], capture_output=True,
                              preexec_fn=lambda: os.dup2(out, 3), pass_fds=(3,), timeout=60, check=False,
                              env=world.env() | {"TCPREMOTEIP": "192.0.2.1"} | (env or {}))
    finally:
        os.close(out)
    with world.log_path.open("ab") as log:
        log.write(done.stderr)
    return done.returncode, done.stdout.decode()


def test_passwd_and_shadow(world: System) -> None:
    sources(world, "virtual\npasswd\n")
    who = pwd.getpwnam(NAME)
    show = f"{who.pw_dir}|{NAME}|/bin/sh|{who.pw_dir}|{who.pw_uid}:{who.pw_gid}:{who.pw_gid}\n"

    assert (IN, show) == checkpassword(world, NAME, PASSWORD, *SHOW)
    assert [WRONG, WRONG, WRONG, WRONG, WRONG] == [checkpassword(world, *each)[0] for each in (
        (NAME, "wrong"), (EXPIRED, PASSWORD), (LOCKED, PASSWORD), ("nobody.here", PASSWORD), ("root", PASSWORD))]
    assert f"refused <{EXPIRED}>: account expired" in world.log()
    assert PASSWORD not in world.log()


def test_pop3_of_each_kind_under_tcpserver(world: System) -> None:
    sources(world, f"virtual\npam {SERVICE}\n")
    login_world.pam_service("auth required pam_unix.so\naccount required pam_unix.so\n")
    port = world.start_pop3(warm=False)
    try:
        said = [login_world.pop3(port, *each) for each in (
            ("bob@example.test", "secret"), (NAME, PASSWORD), (NAME, "wrong"), ("bob@example.test", PASSWORD))]
    finally:
        world.stop("pop3")

    assert [b"+OK +OK +OK +OK +OK"] * 2 == said[:2]
    assert [b"+OK +OK -ERR"] * 2 == [each[:12] for each in said[2:]]


def test_auth_service_knows_the_same_people(world: System) -> None:
    sources(world, "virtual\npasswd\n")

    assert [[IN, "bob@example.test"], [IN, f"{NAME}@host.test"], [WRONG, ""], [WRONG, ""], [WRONG, ""]] == login_world.ask(
        world, ("Bob@Example.test", "secret"), (NAME, PASSWORD), (NAME, "wrong"), ("bob@example.test", PASSWORD),
        ("nobody", "x"))


def test_bare_user_of_the_only_domain_comes_first_and_a_wrong_password_ends_it(world: System) -> None:
    sources(world, "virtual\npasswd\n")
    world.control("popdomains", "192.0.2.9 example.test\n")
    local = {"TCPLOCALIP": "192.0.2.9"}
    try:
        alone = [checkpassword(world, NAME, each, env=local)[0] for each in ("virtual", PASSWORD)]
        sources(world, "shared virtual\npasswd\n")
        shared = [checkpassword(world, NAME, each, env=local)[0] for each in ("virtual", PASSWORD, "wrong")]
    finally:
        (world.home / "control/popdomains").unlink()

    assert [[IN, WRONG], [IN, IN, WRONG]] == [alone, shared]


def test_pam_unix(world: System) -> None:
    sources(world, f"pam {SERVICE}\n")
    login_world.pam_service("auth required pam_unix.so\naccount required pam_unix.so\n")

    assert [IN, WRONG, WRONG, WRONG, WRONG] == [checkpassword(world, *each)[0] for each in (
        (NAME, PASSWORD), (NAME, "wrong"), (EXPIRED, PASSWORD), (LOCKED, PASSWORD), ("nobody.here", "x"))]
    assert [[IN, f"{NAME}@host.test"], [WRONG, ""]] == login_world.ask(world, (NAME, PASSWORD), (NAME, "wrong"))


def test_pam_with_a_program_sees_the_password_and_the_address(world: System) -> None:
    seen = world.path / "seen"
    program = login_world.script(world, "pam-program", f'''
read password
echo "$PAM_USER $PAM_RHOST $password" >{seen}
test "$password" = open
''')
    login_world.pam_service(f"auth [success=1 default=ignore] pam_exec.so expose_authtok quiet {program}\n"
                            "auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n")
    sources(world, f"pam {SERVICE}\n")

    assert [IN, WRONG] == [checkpassword(world, NAME, each)[0] for each in ("open", "closed")]
    assert f"{NAME} 192.0.2.1 closed" == seen.read_text().strip().replace("\0", "")


@pytest.mark.parametrize(("service", "text"), [
    (SERVICE, "auth required pam_no_such_module.so\n"),
    ("vqlogin-no-such-service", None),
], ids=["no such module", "no such service"])
def test_trouble_in_pam_is_no_refusal(world: System, service: str, text: "str | None") -> None:
    if text:
        login_world.pam_service(text)
    sources(world, f"pam {service}\npasswd\n")

    assert TROUBLE == checkpassword(world, NAME, PASSWORD)[0]
    assert [[TROUBLE, ""]] == login_world.ask(world, (NAME, PASSWORD))


def checker(world: System, name: str, tail: str) -> str:
    """A checkpassword program that knows mary, with the password let me in."""
    return login_world.script(world, name, f'''
three=$(tr '\\0' '\\n' <&3)
[ "$three" = "$(printf 'mary@else.test\\nlet me in\\n%s' "$STAMP")" ] || exit 1
{tail}''')


def test_checkpassword_program_that_drops(world: System) -> None:
    home = world.path / "mary"
    home.mkdir(exist_ok=True)
    os.chown(home, OWN_UID, OWN_UID)
    program = checker(world, "dropping", f'''exec 3<&-; cd {home}
HOME={home} USER=mary@else.test SHELL=/bin/bash exec setpriv --reuid {OWN_UID} --regid {OWN_UID} --clear-groups "$@"''')
    sources(world, f"virtual\ncheckpassword {program} -\npasswd\n".replace(" -\n", "\n"))

    assert (IN, f"{home}|mary@else.test|/bin/bash|{home}|{OWN_UID}:{OWN_UID}:{OWN_UID}\n") == checkpassword(
        world, "mary@else.test", "let me in", *SHOW)
    assert [WRONG, IN] == [checkpassword(world, *each)[0] for each in (("mary@else.test", "x"), (NAME, PASSWORD))]
    assert [[IN, "mary@else.test"], [WRONG, ""]] == login_world.ask(
        world, ("mary@else.test", "let me in"), ("mary@else.test", "x"))


def test_checkpassword_program_that_names_the_user_as_for_dovecot(world: System) -> None:
    home = world.path / "named"
    home.mkdir(exist_ok=True)
    os.chown(home, OWN_UID, OWN_UID)
    program = checker(world, "naming",
                      f'HOME={home} USER=mary@else.test userdb_uid={OWN_UID} userdb_gid={OWN_UID} exec "$@"')
    sources(world, f"checkpassword {program}\n")

    assert (IN, f"{home}|mary@else.test|/bin/false|{home}|{OWN_UID}:{OWN_UID}:{OWN_UID}\n") == checkpassword(
        world, "mary@else.test", "let me in", *SHOW)


@pytest.mark.parametrize(("name", "text", "pop3", "smtp"), [
    ("no", "exit 1", WRONG, WRONG),
    ("vchkpw", "exit 3", WRONG, WRONG),
    ("busy", "exit 111", TROUBLE, TROUBLE),
    ("odd", "exit 2", TROUBLE, TROUBLE),
    ("crash", "kill -SEGV $$", TROUBLE, TROUBLE),
    ("root", 'HOME=/root USER=root exec "$@"', TROUBLE, TROUBLE),
    ("silent", "exit 0", TROUBLE, IN),          # all that an AUTH patch looks at
    ("gone", None, TROUBLE, TROUBLE),
])
def test_checkpassword_program_that_ends_otherwise(world: System, name: str, text: "str | None", pop3: int,
                                                   smtp: int) -> None:
    path = login_world.script(world, name, text) if text is not None else "/nonexistent/checker"
    sources(world, f"checkpassword {path}\n")

    assert pop3 == checkpassword(world, "mary@else.test", "x")[0]
    assert [smtp] == [each[0] for each in login_world.ask(world, ("mary@else.test", "x"))]


def test_user_cannot_speak_for_another(world: System) -> None:
    program = login_world.script(world, "liar", f'''
exec setpriv --reuid {OWN_UID} --regid {OWN_UID} --clear-groups /usr/bin/python3 -c 'import os
os.write(4, b"45001\\0" b"45001\\0/tmp\\0bob@example.test\\0/bin/sh")' ''')
    sources(world, f"checkpassword {program}\n")

    assert TROUBLE == checkpassword(world, "mary@else.test", "x")[0]
    assert f"uid {OWN_UID} says it is 45001" in world.log()


@pytest.mark.parametrize("text", ["ldap\n", "pam\n", "pam ../x\n", "checkpassword relative\n", "virtual x\n", "shared\n", "#\n"])
def test_line_without_sense_is_trouble(world: System, text: str) -> None:
    sources(world, text)

    assert TROUBLE == checkpassword(world, "bob@example.test", "secret")[0]
    assert [[TROUBLE, ""]] == login_world.ask(world, ("bob@example.test", "secret"))


def test_smtp_auth_patch_hands_over_a_digest(world: System) -> None:
    sources(world, "virtual\n")
    passwd = world.virtual / "example.test/etc/passwd"
    uid = world.owner("example.test") + 1
    kept = passwd.read_text()
    passwd.write_text(kept + f"clara:{{CLEAR}}tanstaaftanstaaf:{uid}:{uid}::/home/bob:/bin/false\n")
    # RFC 2195 2
    challenge, digest = "<1896.697170952@postoffice.reston.mci.net>", "b913a602c7eda7a495b4e6e7334d3890"
    try:
        assert [IN, WRONG, WRONG] == [checkpassword(world, "clara@example.test", *each[:1], challenge=each[1])[0] for each in (
            (digest, challenge), (digest, "<1@x>"), (digest, ""))]
        assert [[IN, "clara@example.test"]] == login_world.ask(world, ("clara@example.test", digest, challenge))
    finally:
        passwd.write_text(kept)


def test_empty_password_is_nobodys_whoever_would_say_yes_to_it(world: System) -> None:
    program = login_world.script(world, "anybody", "exit 0")
    sources(world, f"virtual\ncheckpassword {program}\n")

    assert [IN, WRONG, WRONG] == [checkpassword(world, "ann", each, env={"SERVICE": "smtp"})[0]
                                  for each in ("x", "", "\0")]
    assert [[IN, "ann@host.test"], [WRONG, ""]] == ask(world, ("ann", "x"), ("ann", ""))
