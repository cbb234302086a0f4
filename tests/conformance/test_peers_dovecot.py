"""Dovecot's checkpassword driver asks vq-checkpassword, and reads what we delivered."""

import os
import poplib
import subprocess
import typing

import pytest
import system as module

pytestmark = [pytest.mark.root, pytest.mark.peers]
MESSAGE = b"From: a@far.test\nSubject: hello\n\nFrom here on\n.dot\n"


class Dovecot:
    """A Dovecot with nothing of its own but `base`: POP3 on `port`, users by way of vq-checkpassword."""

    def __init__(self, system: module.System, options: str = "-n", more: str = "") -> None:
        self.system = system
        self.port = module.free_port()
        base = system.path / "dovecot"
        base.mkdir(mode=0o755)
        self.config = base / "dovecot.conf"
        driver = f"driver = checkpassword\n  args = {system.bin('vq-checkpassword')} {options}"
        self.config.write_text(f"""\
protocols = pop3
listen = 127.0.0.1
base_dir = {base}/run
state_dir = {base}/run
instance_name = vqmail-test
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
auth_failure_delay = 0
log_path = {system.path}/dovecot.log
mail_location = maildir:~/Maildir
first_valid_uid = 1000
service auth {{
  user = root
}}
service anvil {{
  unix_listener anvil-auth-penalty {{           # or each refused login takes longer than the last
    mode = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  {driver}
}}
userdb {{
  driver = prefetch
}}
userdb {{
  {driver}
}}
{more}
""")
        system.start("dovecot", "/usr/sbin/dovecot", "-F", "-c", str(self.config))
        module.wait_until(lambda: module._listening(self.port), "Dovecot")

    def login(self, user: str, password: str) -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", self.port, timeout=60)
        client.user(user)
        client.pass_(password)
        return client

    def log(self) -> str:
        path = self.system.path / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def doveadm(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(["/usr/bin/doveadm", "-c", str(self.config), *argv], capture_output=True, text=True,
                              check=False, timeout=60)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """Two domains with a bob each, and a message for each."""
    system = module.System(tmp_path_factory.mktemp("site"))
    system.add_domain("domain1.test", {"bob": "one two", "ann": "x"})
    system.add_domain("domain2.test", {"bob": "two"})
    system.start_all()
    for domain in ("domain1.test", "domain2.test"):
        assert system.inject("a@far.test", [f"bob@{domain}"], MESSAGE + domain.encode()) == 0
        system.wait_for_mail(domain, "bob")
    yield system
    system.stop()


@pytest.fixture(scope="module")
def dovecot(site: module.System) -> Dovecot:
    return Dovecot(site)


def test_each_bob_reads_his_own(site: module.System, dovecot: Dovecot) -> None:
    for name, password, domain in (("bob@domain1.test", "one two", "domain1.test"),
                                   ("BOB@Domain2.Test", "two", "domain2.test")):
        client = dovecot.login(name, password)
        lines = client.retr(1)[1]
        client.quit()

        assert lines[0] == b"Return-Path: <a@far.test>"
        assert lines[-3:] == [b"From here on", b".dot", domain.encode()]

        maildir = site.virtual / domain / "home/bob/Maildir"
        # Dovecot tidies up after the last answer
        module.wait_until(lambda: {each.stat().st_uid for each in maildir.iterdir()} == {  # noqa: B023
            site.domains[domain]["bob"]}, "files of his own only")  # noqa: B023


@pytest.mark.parametrize(("name", "password"), [
    ("bob@domain1.test", "two"), ("bob@domain2.test", "one two"), ("bob@domain1.test", ""),
    ("nobody@domain1.test", "x"), ("bob@nowhere.test", "one two"), ("bob@../domain1.test", "one two")])
def test_the_wrong_password_and_nobody_are_refused(dovecot: Dovecot, name: str, password: str) -> None:
    with pytest.raises(poplib.error_proto, match="AUTH"):
        dovecot.login(name, password)


def test_the_login_is_in_our_log_with_the_address(site: module.System, dovecot: Dovecot) -> None:
    dovecot.login("ann@domain1.test", "x").quit()
    # Dovecot takes what a checkpassword program says into its own log, by way of another process

    module.wait_until(lambda: "from 127.0.0.1 login of <ann@domain1.test> as ann@domain1.test" in site.log() + dovecot.log(),
                      "the line about the login")


def test_doveadm_finds_a_user_without_a_password(site: module.System, dovecot: Dovecot) -> None:
    done = dovecot.doveadm("user", "bob@domain2.test")
    fields = dict(line.split("\t") for line in done.stdout.splitlines()[1:])
    uid = site.domains["domain2.test"]["bob"]

    assert done.returncode == 0, done.stderr
    assert (fields["uid"], fields["gid"]) == (str(uid), str(uid))
    assert fields["home"] == str(site.virtual / "domain2.test/home/bob")


def test_doveadm_is_told_that_there_is_no_such_user(dovecot: Dovecot) -> None:
    done = dovecot.doveadm("user", "nobody@domain2.test")

    assert done.returncode == 67                # EX_NOUSER
    assert "doesn't exist" in done.stdout + done.stderr


def test_trouble_is_not_a_wrong_password(site: module.System, dovecot: Dovecot) -> None:
    passwd = site.virtual / "domain1.test/etc/passwd"
    text = passwd.read_text()
    passwd.write_text("half a li")
    try:
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            dovecot.login("ann@domain1.test", "x")
    finally:
        passwd.write_text(text)

    module.wait_until(lambda: "exited with status 111" in dovecot.log(), "the exit code in the log")
    module.wait_until(lambda: "its last line has no end" in site.log() + dovecot.log(), "the reason in the log")


def run(site: module.System, *argv: str, data: bytes = b"ann@domain1.test\0x\0\0",
        env: "dict[str, str] | None" = None) -> "tuple[int, str]":
    """(exit code, output) of vq-checkpassword with `data` on descriptor 3."""
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    try:
        done = subprocess.run(["/bin/bash", "-c", f'exec 3<&{out}; exec "$@"', "bash", site.bin("vq-checkpassword"), *argv],
                              pass_fds=[out], capture_output=True, text=True, check=False, timeout=60,
                              env=site.env() | (env or {}))
    finally:
        os.close(out)
    return done.returncode, done.stdout


SHOW = ("/bin/sh", "-c", 'echo $(id -u) $HOME $USER $userdb_uid $userdb_gid $EXTRA $AUTHORIZED')


def test_minus_n_names_the_user_and_stays(site: module.System) -> None:
    uid = site.domains["domain1.test"]["ann"]
    home = site.virtual / "domain1.test/home/ann"

    assert run(site, "-n", *SHOW) == (0, f"0 {home} ann@domain1.test {uid} {uid} userdb_uid userdb_gid\n")
    assert run(site, *SHOW) == (0, f"{uid} {home} ann@domain1.test\n")


@pytest.mark.parametrize(("argv", "data", "authorized", "code"), [
    (["-n"], b"ann@domain1.test\0wrong\0\0", "", 1), (["-n"], b"ann@domain1.test\0wrong\0\0", "0", 1),
    (["-n"], b"ann@domain1.test\0\0\0", "1", 0), (["-n"], b"eve@domain1.test\0\0\0", "1", 3),
    ([], b"ann@domain1.test\0wrong\0\0", "1", 1), ([], b"eve@domain1.test\0\0\0", "1", 1)])
def test_only_minus_n_believes_that_dovecot_needs_no_password(
        site: module.System, argv: "list[str]", data: bytes, authorized: str, code: int) -> None:
    assert run(site, *argv, "/bin/true", data=data, env={"AUTHORIZED": authorized})[0] == code


def test_minus_n_needs_a_program_too(site: module.System) -> None:
    assert run(site, "-n")[0] == 2


def test_a_home_that_is_not_the_users_is_trouble(site: module.System, dovecot: Dovecot) -> None:
    home = site.virtual / "domain1.test/home/ann"
    os.chown(home, 0, 0)
    try:
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            dovecot.login("ann@domain1.test", "x")
    finally:
        uid = site.domains["domain1.test"]["ann"]
        os.chown(home, uid, uid)

    assert dovecot.login("ann@domain1.test", "x").stat() == (0, 0)
