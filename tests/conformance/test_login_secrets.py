"""A password is nowhere but in the memory of who needs it: looked for everywhere while hundreds of logins run, cold and warm."""

import base64
import concurrent.futures
import contextlib
import os
import pathlib
import pwd
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time
import typing

import login_world
import pytest
import system as module
from certificates import Authority
from login_world import NAME, SERVICE

pytestmark = [pytest.mark.root, pytest.mark.peers, pytest.mark.slow]
A = "a.test"
HOST = "host.test"
TOKEN = os.urandom(9).hex()             # in every password, right or wrong; new each time, so what is found is ours
ROUNDS = 4
OLD = [f"old{each}" for each in range(6)]               # whose hashes are made anew at the first login
PASSWORDS = {"bob": f"{TOKEN}.bob", **{each: f"{TOKEN}.{each}" for each in OLD}}
EXTERNAL = f"{TOKEN}.external"
CORES = pathlib.Path("/proc/sys/kernel/core_pattern")


def forms() -> "list[bytes]":
    """The token as it may be written: as it is, in hex, in base64 wherever it begins."""
    raw = TOKEN.encode()
    coded = [base64.b64encode(bytes(each) + raw)[-(-8 * each // 6):][:20] for each in range(3)]
    return [raw, raw.hex().encode(), *coded]


def holds_token(data: bytes) -> bool:
    return any(each in data for each in forms())


def read(path: pathlib.Path) -> bytes:
    """What is in a file, b"" if it is gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Watcher(threading.Thread):
    """Looks at the command line and environment of all processes, again and again, as ps and /proc show them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: "list[str]" = []
        self.looks = self.processes = 0
        self._done = threading.Event()

    def run(self) -> None:
        own = os.getpid()
        while not self._done.wait(0.02):
            self.looks += 1
            for each in os.listdir("/proc"):
                if each.isdigit() and int(each) != own:
                    self.processes += 1
                    for name in ("cmdline", "environ", "comm"):
                        if holds_token(read(pathlib.Path("/proc", each, name))):
                            self.found.append(f"{each}/{name}")

    def stop(self) -> None:
        self._done.set()
        self.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[module.System]":
    """People with good and old hashes, a user of the system behind PAM, and one whom another program knows."""
    before = login_world.PASSWORD
    login_world.PASSWORD = f"{TOKEN}.pam"
    path = tmp_path_factory.mktemp("secrets")
    traces = path / "trace"
    traces.mkdir(0o777)
    traces.chmod(0o777)
    strace = ("strace", "-ff", "--seccomp-bpf", "-qqq", "-v", "-s", "9999", "-e", "trace=execve", "-e", "signal=none",
              "-o", str(traces / "of"))
    each = module.System(path, prefix=strace)
    try:
        each.add_domain(A, PASSWORDS)
        text = each.virtual / A / "etc/passwd"
        rows = [row.split(":") for row in text.read_text().splitlines()]
        for row in rows:
            if row[0] in OLD:
                row[1] = subprocess.run(["openssl", "passwd", "-1", "-salt", "saltsalt", "-stdin"], capture_output=True,
                                        input=PASSWORDS[row[0]].encode(), check=True).stdout.decode().strip()
        text.write_text("".join(":".join(row) + "\n" for row in rows))
        assert each.run("vq-newu").returncode == 0
        for user, uid in each.domains[A].items():
            for folder in ("Maildir", "Maildir/new", "Maildir/cur", "Maildir/tmp"):
                (each.virtual / A / "home" / user / folder).mkdir()
                os.chown(each.virtual / A / "home" / user / folder, uid, uid)
        login_world.make_users()
        login_world.pam_service("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
        program = login_world.script(each, "knows", f"""\
case "$(tr '\\0' '\\n' <&3)" in "external
{EXTERNAL}"*) exit 0;; "crash"*) kill -SEGV $$;; esac
exit 1
""")
        pathlib.Path(program).chmod(0o700)
        each.control("loginsources", f"virtual\nshared pam {SERVICE}\ncheckpassword {program}\n")
        each.control("authmechanisms", "plain\nlogin\nscram-sha-256\n")
        certificate = each.home / "control/servercert.pem"
        certificate.write_bytes(Authority(path / "authority").sign(HOST))
        certificate.chmod(0o400)
        each.start_queue()
        each.start_tls()
        each.start_auth()
        yield each
    finally:
        login_world.remove_users()
        login_world.PASSWORD = before
        (login_world.PAM_D / SERVICE).unlink(missing_ok=True)
        each.remove()


class Line:
    """A connection, and the line that answers each line."""

    def __init__(self, site: module.System, port: int, tls: bytes) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.file = self.sock.makefile("rwb")
        self.said = self.file.readline()
        self.say(tls)
        self.file.close()
        context = ssl.create_default_context(cafile=os.fspath(site.path / "authority/ca.pem"))
        self.sock = context.wrap_socket(self.sock, server_hostname=HOST)
        self.file = self.sock.makefile("rwb")

    def say(self, text: bytes) -> bytes:
        try:
            self.file.write(text + b"\r\n")
            self.file.flush()
            answer = self.file.readline()
        except OSError:
            return b""
        self.said += answer
        return answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


def coded(text: "str | bytes") -> bytes:
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


def by_smtp(site: module.System, port: int, name: str, password: str) -> bytes:
    """All that is said to a client of SMTP that does everything one can do with that password."""
    line = Line(site, port, b"STARTTLS")
    plain = f"\0{name}\0{password}"
    line.say(b"AUTH PLAIN " + coded(plain + "\0more"))                      # malformed
    line.say(b"AUTH PLAIN " + coded(plain)[:-1] + b"!")
    line.say(b"AUTH LOGIN " + coded(name))
    line.say(b"*")                                                          # cancelled
    line.say(b"AUTH LOGIN " + coded(name))
    line.say(coded(password) + b"x")
    line.say(b"AUTH SCRAM-SHA-256 " + coded(f"n,,n={password},r=nonce"))    # in the wrong place
    line.say(b"*")
    line.say(b"AUTH " + password.encode())
    line.say(b"AUTH PLAIN " + coded(plain))
    line.say(b"MAIL FROM:<%s>" % name.encode())
    line.say(b"QUIT")
    line.close()
    return line.said


def by_pop3(site: module.System, port: int, name: str, password: str) -> bytes:
    """The same for POP3."""
    line = Line(site, port, b"STLS")
    line.say(b"AUTH PLAIN")
    line.say(b"*")
    line.say(b"AUTH PLAIN " + coded(f"\0{name}\0{password}")[:-1] + b"!")
    line.say(b"PASS " + password.encode())                                  # before USER
    line.say(b"USER " + name.encode())
    line.say(b"PASS " + password.encode())
    line.say(b"STAT")
    line.say(b"QUIT")
    line.close()
    return line.said


def people() -> "list[tuple[str, str, bytes, bytes]]":
    """(name, password, what SMTP says in the end, what POP3 says)."""
    yes = [(f"{user}@{A}", password, b"235 ", b"+OK ") for user, password in PASSWORDS.items()]
    others = [
        (NAME, login_world.PASSWORD, b"235 ", b"+OK "),
        ("external", EXTERNAL, b"235 ", b"-ERR"),                           # POP3 wants to know who that is
        ("crash", f"{TOKEN}.crash", b"454 ", b"-ERR")]
    no = [(f"bob@{A}", f"{TOKEN}.wrong", b"535 ", b"-ERR"), (f"nobody@{A}", f"{TOKEN}.nobody", b"535 ", b"-ERR"),
          (NAME, f"{TOKEN}.not.pam", b"535 ", b"-ERR"), ("nobody", f"{TOKEN}\xe9", b"535 ", b"-ERR")]
    return [*yes, *others, *no]


def files_since(begun: float, *roots: str) -> "list[pathlib.Path]":
    """All files below these that were written since then."""
    found = []
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [each for each in folders if each not in ("proc", "sys")]
            for name in names:
                path = pathlib.Path(folder, name)
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if path.is_file() and not path.is_symlink() and max(status.st_mtime, status.st_ctime) >= begun \
                            and status.st_size < 50 << 20:
                        found.append(path)
    return found


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_passwords_are_in_no_list_of_processes_no_log_and_no_file(site: module.System, warm: bool) -> None:
    begun = time.time() - 2
    smtp, pop3 = site.start_smtp(warm), site.start_pop3(warm)
    watcher = Watcher()
    watcher.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            asked = [(threads.submit(do, site, port, name, password), answer, name)
                     for _ in range(ROUNDS) for name, password, *answers in people()
                     for do, port, answer in zip((by_smtp, by_pop3), (smtp, pop3), answers, strict=True)]
            said = [(each.result(), answer, name) for each, answer, name in asked]
    finally:
        watcher.stop()
        site.stop("smtp", "pop3")
    logins = site.log()
    known = {site.path / "knows"}               # the external program has its own password in its text
    places = files_since(begun, os.fspath(site.path), "/tmp", "/var/tmp", "/dev/shm", "/run", "/var/log")  # noqa: S108
    guilty = [each for each in places if each not in known and holds_token(read(each))]

    for text, answer, name in said:             # each did what it was to do
        assert answer in text, (name, text)
        assert not holds_token(text), text
    assert watcher.looks > 10
    assert [] == watcher.found
    assert not holds_token(logins.encode())
    assert "internal error" not in logins
    assert [] == guilty
    assert f"login of <bob@{A}>" in logins
    assert any(b"vq-pam" in read(each) for each in (site.path / "trace").iterdir()), "strace sees what is started"
    if not warm:
        assert any(b"vq-checkpassword" in read(each) for each in (site.path / "trace").iterdir())


def test_hashes_were_made_anew_meanwhile(site: module.System) -> None:
    text = site.virtual / A / "etc/passwd"
    module.wait_until(lambda: "$1$" not in text.read_text() or _one_more_login(site), "the last of them")

    assert not holds_token(text.read_bytes())
    assert all(row.split(":")[1].startswith(("$y$", "$6$")) for row in text.read_text().splitlines())


def _one_more_login(site: module.System) -> bool:
    login_world.ask(site, *[(f"{user}@{A}", PASSWORDS[user]) for user in OLD])
    return False


# ---- what a crash leaves


def below(pid: int) -> "list[int]":
    """The processes that `pid` started, and theirs."""
    try:
        children = [int(each) for each in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [lower for each in children for lower in below(each)]


def cores(folders: "set[str]") -> "set[str]":
    """The images in these folders."""
    return {os.path.join(folder, each) for folder in folders for each in os.listdir(folder) if each.startswith("core")}


@pytest.fixture
def unlimited() -> "typing.Iterator[None]":
    """Whoever crashes leaves an image, if he does not see to it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_who_knows_a_password_or_a_key_leaves_no_image(system: module.System, unlimited: None, warm: bool) -> None:
    begun = system.path / "begun"
    begun.mkdir(0o777)
    begun.chmod(0o777)
    program = login_world.script(system, "slow", f"touch {begun}/$$; exec sleep 50")
    system.add_domain(A, PASSWORDS)
    system.control("loginsources", f"virtual\ncheckpassword {program}\n")
    certificate = system.home / "control/servercert.pem"
    certificate.write_bytes(Authority(system.path / "authority").sign(HOST))
    certificate.chmod(0o400)
    system.start_queue()
    system.start_tls()
    system.start_auth()
    smtp, pop3 = system.start_smtp(warm), system.start_pop3(warm)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        for do, port in ((by_smtp, smtp), (by_pop3, pop3)):
            threads.submit(do, system, port, "slow", f"{TOKEN}.slow")
        module.wait_until(lambda: len(list(begun.iterdir())) == 2, "both checkers")
        tops = {each: system.processes[each].pid for each in ("smtp", "pop3", "auth", "tls")}
        holders = {each: below(pid) for each, pid in tops.items()}
        seen = {each: core_limit_and_folder(each) for pids in holders.values() for each in pids}
        owners = [each for each, what in seen.items() if what is not None]         # the scripts' `touch` may end just now
        limits = {each: what[0] for each, what in seen.items() if what is not None}
        memory = [each for each in owners if each not in holders["tls"] and holds_token(memory_of(each))]
        folders = {what[1] for what in seen.values() if what is not None}
        before = cores(folders)
        for each in owners:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGABRT)
    module.wait_until(lambda: not any(alive(each) for each in owners), "their end")

    assert set(limits.values()) == {("1", "1")}, limits
    assert all(set(pids) & set(owners) for pids in holders.values())
    assert len(memory) >= 3, "the password is in memory, or this test would prove nothing"
    assert before == cores(folders)


def core_limit_and_folder(pid: int) -> "tuple[tuple[str, ...], str] | None":
    """How large an image of a process may be, soft and hard, and where it would lie; None if the process has ended."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
        (line,) = [each for each in lines if each.startswith("Max core file size")]
        return tuple(line.split()[4:6]), os.readlink(f"/proc/{pid}/cwd")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None


def memory_of(pid: int) -> bytes:
    """What is in the writable memory of a process."""
    found = b""
    try:
        with pathlib.Path(f"/proc/{pid}/mem").open("rb", 0) as file:
            for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
                where, rights, *_ = line.split()
                begin, end = (int(each, 16) for each in where.split("-"))
                if rights.startswith("rw") and end - begin < 64 << 20 and "[v" not in line:
                    with contextlib.suppress(OSError, ValueError):
                        file.seek(begin)
                        found += file.read(end - begin)
    except OSError:
        return b""
    return found


def alive(pid: int) -> bool:
    """Whether it still runs."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_who_sets_passwords_leaves_no_image(system: module.System, unlimited: None) -> None:
    system.add_domain(A, PASSWORDS)
    system.start_admin()
    fifo = system.path / "password"
    os.mkfifo(fifo)
    process = subprocess.Popen(f"exec {system.bin('vq-user')} passwd --password-stdin bob@{A} <> {fifo}", shell=True,
                               env=system.env())
    try:
        module.wait_until(lambda: core_limit(process.pid) == "1", "its limit")
        assert {"1"} == {core_limit(each) for each in below(system.processes["admin"].pid)}
    finally:
        process.kill()
        process.wait()


def core_limit(pid: int) -> str:
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return text.partition("Max core file size")[2].split()[0]


def test_others_do_leave_one_here(tmp_path: pathlib.Path, unlimited: None) -> None:
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    process.send_signal(signal.SIGABRT)
    process.wait()

    elsewhere = CORES.read_text().startswith(("|", "/"))        # then the limits, which the tests above look at, must do

    assert (not elsewhere) == len(cores({os.fspath(tmp_path)}))


def test_qmaild_cannot_look_into_who_answers_about_passwords(system: module.System) -> None:
    system.add_domain(A, PASSWORDS)
    system.start_auth()
    login_world.ask(system, (f"bob@{A}", PASSWORDS["bob"]))
    who = pwd.getpwnam("qmaild")
    for pid in below(system.processes["auth"].pid):
        if not alive(pid):
            continue
        done = subprocess.run(["dd", f"if=/proc/{pid}/mem", "bs=1", "count=1"], user=who.pw_uid, group=who.pw_gid,
                              extra_groups=[], capture_output=True, check=False)

        assert b"Permission denied" in done.stderr
