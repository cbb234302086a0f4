"""vq-tcpserver beside Debian's tcpserver: the same environment, the same log, the same rules; and what only ours does."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import support

REAL = "/usr/bin/tcpserver"
OURS = "vq-tcpserver"

# Takes the place of vq-popup in an installation: says in which world it is, leaves a mess, and does as it is told.
PROBE = '''
"""A program for tests."""

import _signal
import _socket

from vqmail.unix import calls, fd


def main(argv, env):
    names = sorted(int(each) for each in calls.listdir(b"/proc/self/fd"))
    umask = calls.umask(0)
    sock = _socket.socket(fileno=0)
    nodelay = sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY)
    sock.detach()
    signals = [number for number in range(1, 32) if callable(_signal.getsignal(number)) and number != 2]
    lines = [b"argv=" + b" ".join(argv[1:]), b"pid=%d" % calls.getpid(), b"uid=%d" % calls.getuid(),
             b"gid=%d" % calls.getgid(), b"groups=%s" % b",".join(b"%d" % each for each in calls.getgroups()),
             b"umask=%03o" % umask, b"cwd=" + calls.readlink(b"/proc/self/cwd"), b"nodelay=%d" % nodelay,
             b"low=%s" % b",".join(b"%d" % each for each in names if each < 100),
             b"many=%d" % len(names), b"signals=%r" % signals]
    lines += [b"env " + name + b"=" + value for name, value in sorted(env.items())]
    fd.write_all(1, b"\\n".join(lines) + b"\\n.\\n")
    word = calls.read(0, 100).strip()
    calls.chdir(b"/tmp")
    calls.umask(0o111)
    for number in range(20):
        calls.dup(0)
    calls.dup2(0, 300)
    _signal.signal(_signal.SIGUSR1, lambda number, frame: None)
    _signal.alarm(3600)
    env[b"LEFT"] = b"over"
    argv.append(b"more")
    calls.environ[b"LEFT"] = b"over"
    if word == b"die":
        calls.kill(calls.getpid(), _signal.SIGKILL)
    if word == b"raise":
        raise RuntimeError("a bug")
    return int(word or b"0")
'''


class Server:
    """A tcpserver on a free port, and what it logs."""

    def __init__(self, tmp_path: pathlib.Path, argv0: str, *argv: str, env: "dict[str, str] | None" = None,
                 log: str = "log", verbose: bool = True) -> None:
        self.log_path = tmp_path / log
        self.env = {"PATH": "/usr/bin:/bin"} | (env or {})
        with self.log_path.open("ab") as out:
            self.process = subprocess.Popen([argv0, *(["-v"] if verbose else []), "-1", *argv], cwd=tmp_path,
                                            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=out,
                                            start_new_session=True)
        line = self.process.stdout.readline()
        assert line, self.log()
        self.port = int(line)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for(self, pattern: str, count: int = 1) -> "list[str]":
        """The matches of `pattern` in the log, once there are `count`."""
        wait_until(lambda: len(re.findall(pattern, self.log(), re.M)) >= count, f"{pattern} in {self.log()}")
        return re.findall(pattern, self.log(), re.M)

    def connect(self, host: str = "127.0.0.1", source: "str | None" = None) -> socket.socket:
        sock = socket.create_connection((host, self.port), timeout=30, source_address=(source, 0) if source else None)
        sock.settimeout(30)
        return sock

    def ask(self, host: str = "127.0.0.1", source: "str | None" = None) -> "tuple[bytes, int]":
        """All that is said to a client who says nothing; the client's port."""
        with self.connect(host, source) as sock:
            sock.shutdown(socket.SHUT_WR)
            return everything(sock), sock.getsockname()[1]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def everything(sock: socket.socket) -> bytes:
    said = b""
    try:
        while piece := sock.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One installation for all tests: none changes it but to renew its library with the same one."""
    made = support.make_home(tmp_path_factory.mktemp("tcpserver") / "home")
    made.write("lib/vqmail/prog/popup.py", PROBE)
    return made


@pytest.fixture
def start(tmp_path, home):
    """start(server, *argv): one of the two servers, in the test's directory."""
    servers: list[Server] = []

    def start_one(which: str, *argv: str, **options) -> Server:
        log = f"log.{len(servers)}"
        servers.append(Server(tmp_path, REAL if which == REAL else home.bin(OURS), *argv, log=log, **options))
        return servers[-1]

    yield start_one
    for each in servers:
        each.stop()


@pytest.fixture
def rules(tmp_path):
    """rules(text): a file of rules made by Debian's tcprules."""
    def make(text: str) -> str:
        subprocess.run(["/usr/bin/tcprules", tmp_path / "rules.cdb", tmp_path / "rules.tmp"], input=text.encode(), check=True)
        return str(tmp_path / "rules.cdb")

    return make


@pytest.fixture
def probe(home):
    """The path of a program of this home that tells about its world."""
    return home.bin("vq-popup")


class World:
    """What the probe said on a connection."""

    def __init__(self, server: Server, host: str = "127.0.0.1", source: "str | None" = None) -> None:
        self.sock = server.connect(host, source)
        self.port = self.sock.getsockname()[1]
        said = b""
        while not said.endswith(b"\n.\n"):
            piece = self.sock.recv(65536)
            assert piece, said
            said += piece
        self.lines = said.decode().split("\n")[:-2]
        self.facts = dict(each.split("=", 1) for each in self.lines if not each.startswith("env "))
        self.env = dict(each[4:].split("=", 1) for each in self.lines if each.startswith("env "))

    def end(self, word: bytes = b"0") -> None:
        """Tell it to end, and wait for that."""
        self.sock.sendall(word + b"\n")
        assert everything(self.sock) == b""
        self.sock.close()


def normal(text: str, server: Server) -> str:
    """A log in which only numbers that differ from run to run are replaced."""
    text = text.replace(f":{server.port} ", ":PORT ")
    text = re.sub(r"(pid|ok|deny|end) \d+", r"\1 N", text)
    return re.sub(r":\d+$", ":CLIENT", text, flags=re.M)


def environment(said: bytes, server: Server, client_port: int) -> "list[str]":
    text = said.decode().replace(f"TCPLOCALPORT={server.port}\n", "TCPLOCALPORT=PORT\n")
    return sorted(text.replace(f"TCPREMOTEPORT={client_port}\n", "TCPREMOTEPORT=CLIENT\n").splitlines())


# the contract, beside the real one

@pytest.mark.parametrize("options", [
    ["-H", "-R", "-l", "0"],
    ["-HRl", "mx.host.test"],
    ["-R", "-H", "-l0", "-x", "rules.cdb"],
    ["-H", "-R", "-l", "", "-c5", "-b", "9", "-o", "-D"],
])
def test_the_environment_is_that_of_tcpserver(start, rules, options):
    rules('127.0.0.1:allow,RELAYCLIENT="",QMAILQUEUE="/a b=c"\n')
    env = {"TCPREMOTEHOST": "forged", "TCPREMOTEINFO": "forged", "TCPLOCALHOST": "forged", "PROTO": "X", "KEEP": "me"}
    real, ours = (start(which, *options, "127.0.0.1", "0", "/usr/bin/env", env=env) for which in (REAL, OURS))
    expected, actual = (environment(*((said, server, port))) for server in (real, ours) for said, port in [server.ask()])

    assert expected == actual
    assert "TCPREMOTEIP=127.0.0.1" in actual
    assert "KEEP=me" in actual
    assert not [each for each in actual if "forged" in each]


def test_a_warm_program_finds_the_world_of_a_cold_one(start, rules, probe):
    path = rules('127.0.0.1:allow,RELAYCLIENT=""\n')
    worlds = []
    for which in (REAL, OURS):
        server = start(which, "-D", "-H", "-R", "-l", "mx", "-x", path, "127.0.0.1", "0", probe, "a", "b c")
        world = World(server)
        world.end()
        for changing in ("pid", "low", "many"):
            del world.facts[changing]
        world.env["TCPLOCALPORT"] = world.env["TCPLOCALPORT"].replace(str(server.port), "PORT")
        world.env["TCPREMOTEPORT"] = world.env["TCPREMOTEPORT"].replace(str(world.port), "CLIENT")
        worlds.append((world.facts, world.env))

    assert worlds[0] == worlds[1]
    assert worlds[1][1]["RELAYCLIENT"] == ""
    assert worlds[1][0]["argv"] == "a b c"


def test_the_log_is_that_of_tcpserver(start, rules):
    path = rules("127.0.0.2:deny\n:allow\n")
    logs = []
    for which in (REAL, OURS):
        server = start(which, "-H", "-R", "-l", "a b:c%d", "-c", "3", "-x", path, "127.0.0.1", "0", "/bin/sh", "-c",
                       'read how; case "$how" in kill) kill -9 $$;; *) exit 3;; esac')
        for number, (source, word) in enumerate([("127.0.0.1", b""), ("127.0.0.2", b""), ("127.0.0.3", b"kill\n")], 1):
            with server.connect(source=source) as sock:
                sock.sendall(word)
                sock.shutdown(socket.SHUT_WR)
                everything(sock)
            server.wait_for("^tcpserver: status: 0/3$", number + 1)
        logs.append(normal(server.log(), server))

    assert logs[0] == logs[1]
    assert logs[1] == """\
tcpserver: status: 0/3
tcpserver: status: 1/3
tcpserver: pid N from 127.0.0.1
tcpserver: ok N a?b?c?d:127.0.0.1:PORT :127.0.0.1::CLIENT
tcpserver: end N status 768
tcpserver: status: 0/3
tcpserver: status: 1/3
tcpserver: pid N from 127.0.0.2
tcpserver: deny N a?b?c?d:127.0.0.1:PORT :127.0.0.2::CLIENT
tcpserver: end N status 25600
tcpserver: status: 0/3
tcpserver: status: 1/3
tcpserver: pid N from 127.0.0.3
tcpserver: ok N a?b?c?d:127.0.0.1:PORT :127.0.0.3::CLIENT
tcpserver: end N status 9
tcpserver: status: 0/3
"""


def test_the_log_of_a_warm_program_reads_the_same(start, rules, probe):
    path = rules("127.0.0.2:deny\n:allow\n")
    logs = []
    for which in (REAL, OURS):
        server = start(which, "-H", "-R", "-l", "0", "-x", path, "127.0.0.1", "0", probe)
        World(server).end(b"3")
        server.wait_for("^tcpserver: status: 0/40$", 2)
        assert server.ask(source="127.0.0.2")[0] == b""
        server.wait_for("^tcpserver: status: 0/40$", 3)
        World(server).end(b"die")
        server.wait_for("^tcpserver: status: 0/40$", 4)
        logs.append(re.sub("^pool: .*\n", "", normal(server.log(), server), flags=re.M))

    assert logs[0] == logs[1]
    assert "end N status 768\n" in logs[1]
    assert "end N status 25600\n" in logs[1]
    assert "end N status 9\n" in logs[1]


RULES = """\
joe@127.0.0.1:allow,X="never: no ident"
127.0.0.1:allow,X="one"
127.0.0.2-4:allow,X="range"
127.0.0.:allow,X="net"
127.0.1.:deny
127.:allow,X="big net",Y="two"
"""


def test_rules_made_by_tcprules_decide_as_with_tcpserver(start, rules):
    path = rules(RULES)
    sources = ["127.0.0.1", "127.0.0.3", "127.0.0.5", "127.0.1.1", "127.0.2.1", "127.1.1.1"]
    answers = []
    for which in (REAL, OURS):
        server = start(which, "-H", "-R", "-l", "0", "-x", path, "127.0.0.1", "0", "/bin/sh", "-c", 'echo "$X $Y"')
        answers.append([server.ask(source=each)[0] for each in sources])

    assert answers[0] == answers[1]
    assert answers[1] == [b"one \n", b"range \n", b"net \n", b"", b"big net two\n", b"big net two\n"]


def test_new_rules_count_from_the_next_connection_on(start, rules, probe):
    path = rules('127.0.0.1:allow,X="old"\n')
    server = start(OURS, "-H", "-l", "0", "-x", path, "127.0.0.1", "0", probe)
    World(server).end()
    rules('127.0.0.1:allow,X="new"\n')
    world = World(server)

    assert world.env["X"] == "new"

    rules("127.0.0.1:deny\n")

    assert server.ask()[0] == b""


@pytest.mark.parametrize("which", [REAL, OURS])
@pytest.mark.parametrize(("options", "expected"), [([], b""), (["-X"], b"in\n")])
def test_without_the_rules_nobody_is_let_in_but_with_capital_x(start, tmp_path, which, options, expected):
    server = start(which, "-H", "-R", "-l", "0", "-x", "missing.cdb", *options, "127.0.0.1", "0", "/bin/echo", "in")

    assert server.ask()[0] == expected
    server.wait_for("^tcpserver: end [0-9]+ status %s$" % ("0" if options else "28416"))
    if not options:
        assert re.search("^tcpserver: warning: dropping connection, unable to read .*missing.cdb: file does not exist",
                         server.log(), re.M)


def test_broken_rules_let_nobody_in(start, tmp_path, probe):
    (tmp_path / "broken.cdb").write_bytes(b"\xff" * 2048)
    server = start(OURS, "-H", "-X", "-l", "0", "-x", "broken.cdb", "127.0.0.1", "0", probe)

    assert server.ask()[0] == b""
    server.wait_for("^tcpserver: warning: dropping connection, unable to read .*broken.cdb")
    server.wait_for("^tcpserver: end [0-9]+ status 28416$")


@pytest.mark.parametrize("which", [REAL, OURS])
def test_the_banner_comes_first(start, which):
    server = start(which, "-H", "-R", "-l", "0", "-B", "hello\r\n", "127.0.0.1", "0", "/bin/echo", "there")

    assert server.ask()[0] == b"hello\r\nthere\n"


def test_the_banner_comes_first_before_a_warm_program(start, probe):
    server = start(OURS, "-H", "-l", "0", "-B", "hello\r\n", "127.0.0.1", "0", probe)

    assert server.ask()[0].startswith(b"hello\r\nargv=")


@pytest.mark.parametrize("which", [REAL, OURS])
@pytest.mark.parametrize("warm", [False, True])
def test_no_more_than_the_limit_at_once(start, probe, which, warm):
    server = start(which, "-c", "1", "-H", "-R", "-l", "0", "127.0.0.1", "0", *([probe] if warm else ["/bin/cat"]))
    first = server.connect()
    server.wait_for("^tcpserver: ok")
    second = server.connect()
    second.sendall(b"0\n")
    first.shutdown(socket.SHUT_WR)
    everything(first)
    server.wait_for("^tcpserver: ok", 2)
    second.shutdown(socket.SHUT_WR)

    assert everything(second).endswith(b".\n" if warm else b"0\n")
    server.wait_for("^tcpserver: status: 0/1$", 3)
    assert "status: 2/1" not in server.log()
    lines = [each for each in server.log().splitlines() if " ok " in each or " end " in each]
    assert [each.split()[1] for each in lines] == ["ok", "end", "ok", "end"]


@pytest.mark.parametrize("which", [REAL, OURS])
@pytest.mark.parametrize("warm", [False, True])
def test_term_ends_the_server_and_nobody_who_is_connected(start, probe, which, warm):
    server = start(which, "-H", "-R", "-l", "0", "127.0.0.1", "0", *([probe] if warm else ["/bin/cat"]))
    if warm:
        world = World(server)
    else:
        sock = server.connect()
        sock.sendall(b"here\n")
        assert sock.recv(10) == b"here\n"
    server.process.terminate()

    assert server.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    if warm:
        world.end()
    else:
        sock.sendall(b"there\n")
        assert sock.recv(10) == b"there\n"
        sock.close()


def test_ident_says_the_same_to_both(start):
    answers = []
    with socket.socket() as ident:
        ident.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ident.bind(("127.0.77.1", 113))
        ident.listen()
        questions = []

        def answer(text):
            sock, _ = ident.accept()
            questions.append(sock.recv(100))
            sock.sendall(text)
            sock.close()

        for text in (b"1, 2 : USERID : UNIX : jo e\r\n", b"1,2:ERROR:NO-USER\r\n", b"1,2:USERID:OTHER,utf-8: a:b \r\n",
                     b"1 , 2 : USERID", b"1:2:3:" + b"x" * 300 + b"\r\n"):
            for which in (REAL, OURS):
                server = start(which, "-r", "-H", "-l", "0", "127.0.0.1", "0", "/bin/sh", "-c", 'echo "${TCPREMOTEINFO-none}"')
                thread = threading.Thread(target=answer, args=(text,))
                thread.start()
                said, port = server.ask(source="127.0.77.1")
                thread.join()
                assert questions[-1] == b"%d , %d\r\n" % (port, server.port)
                answers.append(said)

    assert answers[0::2] == answers[1::2]
    assert answers[1::2] == [b"joe\n", b"\n", b"a:b\n", b"none\n", b"x" * 257 + b"\n"]


def test_ident_is_asked_before_a_warm_program_and_rules_know_the_answer(start, rules, probe):
    path = rules('joe@127.0.77.2:allow,WHO="joe"\n:deny\n')
    server = start(OURS, "-r", "-H", "-l", "0", "-x", path, "127.0.0.1", "0", probe)
    with socket.socket() as ident:
        ident.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ident.bind(("127.0.77.2", 113))
        ident.listen()
        worlds = []
        thread = threading.Thread(target=lambda: worlds.append(World(server, source="127.0.77.2")))
        thread.start()
        sock, _ = ident.accept()
        sock.sendall(b"1,2:USERID:UNIX:joe\r\n")
        sock.close()
        thread.join()
    (world,) = worlds

    assert world.env["TCPREMOTEINFO"] == "joe"
    assert world.env["WHO"] == "joe"
    server.wait_for(r"^tcpserver: ok \d+ 0:127.0.0.1:\d+ :127.0.77.2:joe:\d+$")
    assert server.ask(source="127.0.0.1")[0] == b""
    world.end()


def test_names_are_looked_up_unless_told_otherwise(start, rules, probe):
    path = rules('=localhost:allow,KNOWN="by name"\n:deny\n')
    server = start(OURS, "-p", "-x", path, "127.0.0.1", "0", probe)
    world = World(server)

    assert world.env["TCPREMOTEHOST"] == "localhost"
    assert world.env["TCPLOCALHOST"] == "localhost"
    assert world.env["KNOWN"] == "by name"
    server.wait_for(r"^tcpserver: ok \d+ localhost:127.0.0.1:\d+ localhost:127.0.0.1::\d+$")
    world.end()


@pytest.mark.parametrize("warm", [False, True])
def test_the_server_gives_up_root_before_it_serves(start, probe, warm, tmp_path):
    program = [probe] if warm else ["/bin/sh", "-c", "echo uid=$(id -u); echo gid=$(id -g); echo groups=$(id -G); echo .; read x"]
    for options, env in ((["-u", "45002", "-g", "45003"], {}), (["-U"], {"UID": "45002", "GID": "45003"})):
        server = start(OURS, *options, "-H", "-l", "0", "127.0.0.1", "0", *program, env=env)
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        world = World(server)

        assert re.findall(r"^Uid:\s+(.*)$", status, re.M) == ["45002\t45002\t45002\t45002"]
        assert re.findall(r"^Gid:\s+(.*)$", status, re.M) == ["45003\t45003\t45003\t45003"]
        assert re.findall(r"^Groups:\s*(.*?)\s*$", status, re.M) == ["45003"]
        assert (world.facts["uid"], world.facts["gid"], world.facts["groups"]) == ("45002", "45003", "45003")
        world.end()


@pytest.mark.parametrize(("argv", "code", "text"), [
    (["127.0.0.1", "25"], 100, "usage: vq-tcpserver"),
    (["-Z", "127.0.0.1", "0", "true"], 100, "there is no option -Z"),
    (["-c", "x", "127.0.0.1", "0", "true"], 100, "-c wants a number, not 'x'"),
    (["-c", "0", "127.0.0.1", "0", "true"], 100, "-c 0 would serve nobody"),
    (["-u", "71", "127.0.0.1", "0", "true"], 100, "-u and -g belong together"),
    (["-U", "127.0.0.1", "0", "true"], 111, "-U finds no UID and GID in the environment"),
    (["127.0.0.1", "65536", "true"], 100, "port 65536: there are 65535"),
    (["127.0.0.1", "no-such-port", "true"], 111, "there is no port no-such-port"),
    (["192.0.2.1", "0", "true"], 111, "cannot listen on 192.0.2.1 port 0: Cannot assign requested address; this machine"),
])
def test_why_it_does_not_start(home, argv, code, text):
    done = home.run(["vq-tcpserver", *argv])

    assert done.returncode == code
    assert done.stderr.decode().startswith("vq-tcpserver: " + text)


def test_a_taken_port_is_named(home, start):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", "/bin/true")
    done = home.run(["vq-tcpserver", "127.0.0.1", str(server.port), "/bin/true"])

    assert done.returncode == 111
    assert done.stderr.decode() == (f"vq-tcpserver: cannot listen on 127.0.0.1 port {server.port}: Address already in use; "
                                    "another server is there; stop it or take another port\n")


def test_without_verbose_it_says_nothing(start, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe, verbose=False)
    World(server).end()
    server.process.terminate()

    assert server.process.wait(20) == 0
    assert server.log() == ""


# IPv6

@pytest.mark.parametrize("host", ["::", "::1"])
def test_ipv6(start, tmp_path, probe, host):
    import cdbx

    cdb = cdbx.CDB.make(str(tmp_path / "six.cdb"))
    cdb.add(b"0:0:0:0:0:0:0:", b"+SIX=yes\0")
    cdb.add(b"", b"D\0")
    cdb.commit().close()
    server = start(OURS, "-H", "-l", "0", "-x", "six.cdb", host, "0", probe)
    world = World(server, "::1")

    assert {name: world.env[name] for name in ("PROTO", "TCPLOCALIP", "TCPREMOTEIP", "TCPREMOTEPORT", "SIX")} == {
        "PROTO": "TCP6", "TCPLOCALIP": "::1", "TCPREMOTEIP": "::1", "TCPREMOTEPORT": str(world.port), "SIX": "yes"}
    assert {name: world.env[name] for name in world.env if name.startswith("TCP6")} == {
        f"TCP6{name}": world.env[f"TCP{name}"] for name in ("LOCALIP", "LOCALPORT", "LOCALHOST", "REMOTEIP", "REMOTEPORT")}
    server.wait_for(r"^tcpserver: pid \d+ from ::1$")
    server.wait_for(rf"^tcpserver: ok \d+ 0:::1:{server.port} :::1::{world.port}$")
    world.end()


def test_any_ipv6_leaves_ipv4_to_another_server(start, probe):
    six = start(OURS, "-H", "-l", "0", "::", "0", probe)
    with pytest.raises(ConnectionRefusedError):
        six.connect("127.0.0.1")


@pytest.mark.parametrize("host", ["0", "", "localhost"])
def test_hosts_that_mean_ipv4(start, probe, host):
    server = start(OURS, "-H", "-l", "0", host, "0", probe)
    world = World(server)

    assert world.env["TCPLOCALIP"] == "127.0.0.1"
    world.end()


# workers

def test_a_worker_takes_one_connection_after_the_other(start, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe)
    pids = []
    for _ in range(5):
        world = World(server)
        pids.append(world.facts["pid"])
        world.end()
        server.wait_for("^tcpserver: status: 0/40$", len(pids) + 1)

    assert len(set(pids)) == 1
    assert server.wait_for(r"^tcpserver: end (\d+) status 0$", 5) == pids


@pytest.mark.parametrize("word", [b"0", b"3", b"raise"])
def test_nothing_of_a_connection_is_left_for_the_next(start, probe, word, rules, tmp_path):
    path = rules('127.0.0.2:allow,SECRET="of the other"\n:allow\n')
    server = start(OURS, "-H", "-l", "0", "-x", path, "127.0.0.1", "0", probe, "x")
    worlds = []
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
        world = World(server, source=source)
        world.end(word)
        server.wait_for("^tcpserver: status: 0/40$", len(worlds) + 2)
        world.env["TCPREMOTEPORT"] = world.env["TCPREMOTEPORT"].replace(str(world.port), "CLIENT")
        worlds.append((world.facts, world.env))

    assert worlds[0] == worlds[2]
    assert worlds[1][1]["SECRET"] == "of the other"
    assert worlds[0][0]["cwd"] == str(tmp_path)
    assert worlds[0][0]["low"] == "0,1,2,3"       # 3 is the directory that the probe lists
    assert worlds[0][0]["nodelay"] == "1"


def test_the_connection_ends_with_the_program(start, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe)
    world = World(server)
    world.end()             # the probe has left twenty descriptors open; the client must see the end all the same

    assert not server.log().count("internal error")


def test_many_at_once_each_by_a_worker_of_its_own(start, probe):
    server = start(OURS, "-c", "12", "-H", "-l", "0", "127.0.0.1", "0", probe)
    worlds = [World(server) for _ in range(12)]

    assert len({each.facts["pid"] for each in worlds}) == 12
    for each in worlds:
        each.end()
    server.wait_for("^tcpserver: status: 0/12$", 2)


def test_a_worker_that_is_killed_takes_only_its_own_connection_along(start, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe)
    one, other = World(server), World(server)
    os.kill(int(one.facts["pid"]), signal.SIGKILL)

    assert everything(one.sock) == b""
    server.wait_for(f"^tcpserver: end {one.facts['pid']} status 9$")
    server.wait_for(f"^pool: worker {one.facts['pid']} ended with -9$")
    other.end()
    third = World(server)
    assert third.facts["pid"] != one.facts["pid"]
    third.end()


def test_workers_that_keep_dying_do_not_make_it_fork_like_mad(start, probe):
    server = start(OURS, "-c", "40", "-H", "-l", "0", "127.0.0.1", "0", probe)
    worlds = [World(server) for _ in range(20)]
    for each in worlds:
        os.kill(int(each.facts["pid"]), signal.SIGKILL)
    server.wait_for("^tcpserver: warning: [0-9]+ workers died in a second; no connection is taken for the next$")

    World(server).end()     # and then it goes on


# fills the table of descriptors, but for some, before it becomes the server
FULL = """
import os, resource, sys
while (number := os.open("/dev/null", os.O_RDONLY)) < 400:
    os.set_inheritable(number, True)
resource.setrlimit(resource.RLIMIT_NOFILE, (412, 412))
os.close(number)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_too_few_descriptors_are_reported_and_outlived(home, probe, tmp_path):
    wrapper = tmp_path / "full"
    wrapper.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{FULL}' {home.bin(OURS)} \"$@\"\n")
    wrapper.chmod(0o755)
    server = Server(tmp_path, str(wrapper), "-H", "-l", "0", "127.0.0.1", "0", probe)
    try:
        socks = [server.connect() for _ in range(15)]
        server.wait_for("^tcpserver: warning: cannot take a connection: Too many open files; is the limit of open files")
        for each in socks:
            each.close()
        server.wait_for("^tcpserver: status: 0/40$", 2)

        World(server).end()
    finally:
        server.stop()


def test_workers_end_with_a_server_that_was_killed(start, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe)
    busy, idle = World(server), World(server)
    idle.end()
    server.process.kill()
    server.process.wait()
    busy.end()
    for each in (busy, idle):
        wait_until(lambda each=each: gone(int(each.facts["pid"])), "the end of worker " + each.facts["pid"])


def gone(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_renewed_library_makes_it_leave_after_who_is_at_the_door(start, home, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", probe)
    old = World(server)
    shutil.copytree(home.path / "lib/vqmail", home.path / "lib/vqmail.new")
    shutil.rmtree(home.path / "lib/vqmail")
    (home.path / "lib/vqmail.new").rename(home.path / "lib/vqmail")

    def leaves():
        try:
            World(server).end()
        except ConnectionError:
            pass
        return server.process.poll() is not None

    wait_until(leaves, "the server to leave")

    assert server.process.returncode == 0
    old.end()


def test_a_program_named_by_path_runs_warm_if_it_is_ours(start, home, probe):
    server = start(OURS, "-H", "-l", "0", "127.0.0.1", "0", "vq-popup", env={"PATH": f"{home.path}/bin:/usr/bin:/bin"})
    pids = []
    for _ in range(2):
        world = World(server)
        pids.append(world.facts["pid"])
        world.end()
        server.wait_for("^tcpserver: status: 0/40$", len(pids) + 1)

    assert pids[0] == pids[1]


def test_closed_standard_descriptors_do_not_become_sockets(home, tmp_path):
    port = free_port()
    process = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" 0<&- 1>&-', "sh", home.bin(OURS), "-v", "-H", "-l", "0",
                                "127.0.0.1", str(port), "/bin/sh", "-c", "ls -l /proc/$$/fd"],
                               stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin"})
    try:
        assert process.stderr.readline() == b"tcpserver: status: 0/40\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            said = everything(sock).decode()
        numbers = re.findall(r" (\d+) -> (\w+)", said)

        assert numbers == [("0", "socket"), ("1", "socket"), ("2", "pipe")]
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
