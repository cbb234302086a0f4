"""vq-tls and the TLS service with real clients, under our tcpserver and Debian's, with real users."""

import email
import os
import pathlib
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from certificates import Client, names_of
from system import wait_until
from tls_world import DEFAULT, OTHER, STRANGER, Call, World, children, pair, s_client

pytestmark = pytest.mark.root
MESSAGE = b"From: ann@far.test\r\nTo: bob@domain1.test\r\nSubject: by smtps\r\n\r\nhello\r\n"
BOTH = pytest.mark.parametrize("warm", [True, False], ids=["vq-tcpserver", "tcpserver"])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A service with two certificates that nobody renews, and a domain with a bob."""
    each = World(tmp_path_factory.mktemp("tls"))
    try:
        each.system.add_domain("domain1.test", {"bob": "blue-heron"})
        each.system.start_all()
        yield each
    finally:
        each.system.stop()


def door(world: World, warm: bool, *program: str) -> int:
    """A port with TLS in front of a program, as qmaild; with the same program it is the same."""
    doors = world.__dict__.setdefault("doors", {})
    if (warm, program) not in doors:
        qmaild = pwd.getpwnam("qmaild")
        name = f"door{len(doors)}"
        options = [] if "popup" in program[0] else ["-u", str(qmaild.pw_uid), "-g", str(qmaild.pw_gid)]
        doors[warm, program] = world.system.serve(name, warm, options, [world.system.bin("vq-tls"), *program])
        doors[doors[warm, program]] = world.system.processes[name]
    return doors[warm, program]


def smtps(world: World, warm: bool) -> int:
    return door(world, warm, world.system.bin("vq-smtpd"))


def pop3s(world: World, warm: bool) -> int:
    bins = [world.system.bin(each) for each in ("vq-popup", "vq-checkpassword", "vq-pop3d")]
    return door(world, warm, bins[0], DEFAULT, *bins[1:], "Maildir")


def curl(world: World, url: str, port: int, *options: str, text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """curl to a URL whose host is here, its certificate proved."""
    host = url.split("/")[2]
    return subprocess.run(["curl", "-sS", "--max-time", "60", "--cacert", str(world.authority.ca),
                           "--resolve", f"{host}:{port}:127.0.0.1", url.replace(host, f"{host}:{port}", 1), *options],
                          input=text, capture_output=True, timeout=60, check=False)


# ---- clients


@BOTH
def test_curl_sends_by_smtps_and_reads_by_pop3s(world: World, warm: bool) -> None:
    before = len(world.system.mailbox("domain1.test", "bob"))
    sent = curl(world, f"smtps://{DEFAULT}/client.test", smtps(world, warm), "--mail-from", "ann@far.test",
                "--mail-rcpt", "bob@domain1.test", "-T", "-", text=MESSAGE)

    assert (sent.returncode, sent.stderr) == (0, b"")
    world.system.wait_for_mail("domain1.test", "bob", before + 1)
    read = curl(world, f"pop3s://{OTHER}/1", pop3s(world, warm), "-u", "bob@domain1.test:blue-heron")
    assert (read.returncode, read.stderr) == (0, b"")
    assert email.message_from_bytes(read.stdout)["Subject"] == "by smtps"


@BOTH
def test_a_wrong_password_is_refused_in_tls(world: World, warm: bool) -> None:
    read = curl(world, f"pop3s://{DEFAULT}/", pop3s(world, warm), "-u", "bob@domain1.test:wrong")

    assert read.returncode == 67        # curl: login denied
    assert "login failed for <bob@domain1.test>" in world.system.log()


@BOTH
def test_the_name_that_is_asked_for_chooses_certificate_and_variable(world: World, warm: bool) -> None:
    port = door(world, warm, "/usr/bin/env")
    found = {}
    for asked in (DEFAULT, OTHER.upper()):
        with world.authority.connect(port, asked) as connection:
            text = b"".join(iter(lambda: connection.recv(4096), b""))  # noqa: B023
            variables = dict(line.partition(b"=")[::2] for line in text.split(b"\n"))
            found[asked] = (names_of(connection), variables[b"SSL_TLS_SNI_SERVERNAME"].decode(), variables[b"SSL_PROTOCOL"])

            assert variables[b"SSL_CIPHER"].decode() == connection.cipher()[0]
            assert variables[b"TCPREMOTEIP"] == b"127.0.0.1"
    assert found == {DEFAULT: ([DEFAULT], DEFAULT, b"TLSv1.3"), OTHER.upper(): ([OTHER], OTHER, b"TLSv1.3")}


def test_without_a_name_there_is_no_variable_and_a_forged_one_is_gone(world: World) -> None:
    done = s_client(door(world, False, "/usr/bin/env", "-0"), "-noservername", "-quiet", "-tls1_2", "-ign_eof")

    assert b"\0SSL_PROTOCOL=TLSv1.2\0" in done.stdout
    assert b"SNI" not in done.stdout


@pytest.mark.parametrize(("option", "expected"), [("-tls1_3", b"TLSv1.3"), ("-tls1_2", b"TLSv1.2")])
def test_openssl_gets_the_version_it_wants(world: World, option: str, expected: bytes) -> None:
    done = s_client(smtps(world, True), option, "-CAfile", str(world.authority.ca), "-ign_eof",
                    "-servername", DEFAULT, "-verify_hostname", DEFAULT, text=b"QUIT\r\n")

    assert done.returncode == 0, done.stderr
    assert b"Verify return code: 0 (ok)" in done.stdout
    assert b"New, " + expected + b", Cipher is " in done.stdout
    assert b"\n221 2.0.0 host.test" in done.stdout.replace(b"\r", b"")


@pytest.mark.parametrize("option", ["-tls1", "-tls1_1"])
def test_openssl_gets_nothing_older(world: World, option: str) -> None:
    done = s_client(smtps(world, True), option, "-cipher", "DEFAULT:@SECLEVEL=0", text=b"QUIT\r\n")

    assert done.returncode != 0
    assert b"alert protocol version" in done.stderr


def test_renegotiation_is_refused(world: World) -> None:
    done = s_client(door(world, False, "/bin/cat"), "-tls1_2", text=b"R\n")

    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert b"no renegotiation" in done.stderr


def test_the_end_is_told_before_the_connection_is_closed(world: World) -> None:
    done = s_client(smtps(world, True), "-msg", "-tls1_2", "-ign_eof", text=b"QUIT\r\n")

    assert b"<<< TLS 1.2, Alert [length 0002], warning close_notify" in done.stdout


@BOTH
def test_who_speaks_no_tls_is_disconnected_and_logged(world: World, warm: bool) -> None:
    before = world.system.log().count("vq-tls: pid")
    with socket.create_connection(("127.0.0.1", smtps(world, warm)), timeout=60) as connection:
        connection.sendall(b"EHLO client.test\r\n")
        heard = b"".join(iter(lambda: connection.recv(4096), b""))

    assert b"220" not in heard
    wait_until(lambda: "from 127.0.0.1: no TLS: wrong version number\n" in world.system.log(), "the line in the log")
    assert world.system.log().count("vq-tls: pid") > before


def test_a_name_that_is_no_text_costs_one_client_and_no_page_of_the_log(world: World) -> None:
    client = Client(world.authority.client(), DEFAULT)
    client.handshake()
    with socket.create_connection(("127.0.0.1", smtps(world, True)), timeout=60) as connection:
        connection.sendall(client.output().replace(DEFAULT.encode(), b"mail.h\xefst.test"))
        heard = b"".join(iter(lambda: connection.recv(4096), b""))

    assert heard[:1] == b"\x15"         # an alert
    assert "Traceback" not in world.system.log()


# ---- the connection


def secured(world: World, name: str = DEFAULT, context: "ssl.SSLContext | None" = None):
    """(the client's end, TLS; the program's end; what the service said)."""
    ours, theirs = pair()
    call = Call(world, theirs)
    client = (context or world.authority.client()).wrap_socket(ours, server_hostname=name)
    packet, plain = call.answer()

    assert packet[:1] == b"+"
    return client, plain, packet


def test_a_client_that_sends_one_byte_at_a_time_is_served_and_others_beside_it(world: World) -> None:
    ours, theirs = pair()
    ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    call = Call(world, theirs)
    client = Client(world.authority.client(), DEFAULT)
    for _ in range(4):
        over = client.handshake()
        for byte in client.output():
            ours.sendall(bytes([byte]))
        if over:
            break
        client.receive(ours.recv(65536))
    other, its, _ = secured(world)
    packet, plain = call.answer()

    assert b"SSL_PROTOCOL=TLSv1.3\0" in packet
    client.tls.write(b"EHLO\r\n")
    for byte in client.output():
        ours.sendall(bytes([byte]))
    heard = b""
    while len(heard) < 6:
        heard += plain.recv(100)
    assert heard == b"EHLO\r\n"
    for each in (ours, plain, other, its):
        each.close()


def test_the_client_may_end_first_and_hear_on(world: World) -> None:
    port = door(world, False, "/bin/sh", "-c", "wc -c; echo more")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = world.authority.client()
        context.maximum_version = version
        client = Client(context, DEFAULT)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            while not client.handshake():
                connection.sendall(client.output())
                client.receive(connection.recv(65536))
            client.tls.write(b"x" * 1000)
            connection.sendall(client.output() + client.goodbye())
            connection.shutdown(socket.SHUT_WR)
            heard = b""
            while records := connection.recv(65536):
                client.receive(records)
                while text := client.read():
                    heard += text

            assert heard == b"1000\nmore\n"


def test_the_program_may_end_first_and_hear_on(world: World) -> None:
    client, plain, _ = secured(world)
    plain.sendall(b"bye")
    plain.shutdown(socket.SHUT_WR)

    assert [client.recv(100), client.recv(100)] == [b"bye", b""]
    client.sendall(b"more")
    client.close()
    assert b"".join(iter(lambda: plain.recv(100), b"")) == b"more"


def test_what_the_program_said_last_arrives_after_its_end(world: World) -> None:
    text = os.urandom(1 << 20)
    client, plain, _ = secured(world)
    thread = threading.Thread(target=lambda: (plain.sendall(text), plain.close()))
    thread.start()
    client.sendall(b"something that nobody reads")
    heard = b"".join(iter(lambda: client.recv(65536), b""))
    thread.join()

    assert heard == text


def test_both_directions_at_once_lose_nothing(world: World) -> None:
    up, down = os.urandom(3 << 20), os.urandom(3 << 20)
    ours, theirs = pair()
    call = Call(world, theirs)
    client = Client(world.authority.client(), DEFAULT)
    while not client.handshake():
        ours.sendall(client.output())
        client.receive(ours.recv(65536))
    ours.sendall(client.output())
    client.tls.write(up)
    records = client.output() + client.goodbye()
    _, plain = call.answer()
    heard: "dict[str, bytes]" = {}

    def reads(name: str, sock: socket.socket) -> None:
        heard[name] = b"".join(iter(lambda: sock.recv(65536), b""))

    def says(sock: socket.socket, text: bytes) -> None:
        sock.sendall(text)
        sock.shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=what, args=args) for what, args in (
        (reads, ("plain", plain)), (says, (plain, down)), (reads, ("ours", ours)), (says, (ours, records)))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    client.receive(heard["ours"])

    assert heard["plain"] == up
    assert b"".join(iter(client.read, b"")) == down
    ours.close()
    plain.close()


def memory(pid: int) -> int:
    """KiB of a process that are no file's."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0])


def fill(sock) -> int:
    """Bytes that `sock` takes until it is full."""
    sock.settimeout(1)
    taken = 0
    try:
        while taken < 64 << 20:
            taken += sock.send(bytes(65536))
    except (TimeoutError, BlockingIOError, ssl.SSLWantWriteError):
        pass
    return taken


def test_who_does_not_read_stops_the_other_and_no_memory_fills(world: World) -> None:
    clients = [secured(world) for _ in range(4)]
    before = {pid: memory(pid) for pid in world.workers()}
    took = [fill(clients[0][0]), fill(clients[1][0]), fill(clients[2][1]), fill(clients[3][1])]

    assert max(took) < 32 << 20, "the kernel's buffers and one piece, not more"
    assert all(memory(pid) - before[pid] < 8192 for pid in before)
    for client, plain, _ in clients:
        client.close()
        plain.close()


UPDATES = """\
import ctypes, os, select
ssl = ctypes.CDLL("libssl.so.3")
for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(ssl, name).restype = ctypes.c_void_p
connection = ctypes.c_void_p(ssl.SSL_new(ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))))
ssl.SSL_set_fd(connection, 0)
assert ssl.SSL_connect(connection) == 1
print("secured", flush=True)
os.set_blocking(0, False)
sent = 0
while sent < 800_000 and select.select([], [0], [], 3)[1]:
    for _ in range(100):                        # "I have a new key; give me a new one of yours", and the answer is not read
        sent += ssl.SSL_key_update(connection, 1) == 1 and ssl.SSL_do_handshake(connection) == 1
print(sent, flush=True)
os.read(3, 1)
"""


def test_who_wants_new_keys_and_takes_none_fills_no_memory(world: World) -> None:
    ours, theirs = pair()
    ours.setblocking(True)                      # noqa: FBT003  the child has it as it is
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    call = Call(world, theirs)
    before = {pid: memory(pid) for pid in world.workers()}
    out, into = os.pipe()
    asking = subprocess.Popen([sys.executable, "-c", UPDATES], stdin=ours, stdout=subprocess.PIPE, text=True,
                              preexec_fn=lambda: os.dup2(out, 3), pass_fds=(3,))
    assert asking.stdout.readline() == "secured\n"
    _, plain = call.answer()
    sent = int(asking.stdout.readline())
    grown = max(memory(pid) - before[pid] for pid in before)
    os.close(into)
    os.close(out)
    asking.wait(60)
    plain.close()
    ours.close()

    assert sent > 20_000, "or this test shows nothing"
    assert grown < 3072, f"{grown} KiB after {sent} changes of keys"


def test_200_clients_at_once(world: World) -> None:
    context = world.authority.client()
    found = [None] * 200

    def begin(number: int) -> None:
        found[number] = secured(world, OTHER if number % 2 else DEFAULT, context)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(len(found))]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)

    assert all(found)
    for number, (client, plain, _) in enumerate(found):
        client.sendall(b"ask %d" % number)
        plain.sendall(b"answer %d" % number)
    heard = [(plain.recv(100), client.recv(100), names_of(client)) for client, plain, _ in found]
    assert heard == [(b"ask %d" % number, b"answer %d" % number, [OTHER if number % 2 else DEFAULT])
                     for number in range(len(found))]
    for client, plain, _ in found:
        client.close()
        plain.close()


def test_a_session_is_resumed_whichever_worker_takes_it(world: World) -> None:
    context = world.authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client, plain, _ = secured(world, OTHER, context)
    session = client.session
    reused = []
    for _ in range(12):
        ours, theirs = pair()
        call = Call(world, theirs)
        again = context.wrap_socket(ours, server_hostname=OTHER, session=session)
        packet, its = call.answer()
        reused.append((again.session_reused, f"SSL_TLS_SNI_SERVERNAME={OTHER}\0".encode() in packet))
        again.close()
        its.close()

    assert reused == [(True, True)] * 12
    client.close()
    plain.close()


def test_a_worker_that_is_killed_costs_its_own_clients_only(world: World) -> None:
    connections = [secured(world) for _ in range(12)]
    victim = world.workers()[0]
    os.kill(victim, signal.SIGKILL)
    lost = []
    for client, plain, _ in connections:
        try:
            client.sendall(b"still there?")
            lost.append(plain.recv(100) != b"still there?")
        except OSError:
            lost.append(True)
    wait_until(lambda: len(world.workers()) == 2 and victim not in world.workers(), "another worker")

    assert 0 < sum(lost) < len(lost), "each of the two workers had some"
    assert f"tls: worker {victim} ended with -9; its connections are lost\n" in world.system.log()
    client, plain, _ = secured(world)
    client.sendall(b"here")
    assert plain.recv(100) == b"here"
    for client, plain, _ in [*connections, (client, plain, b"")]:
        client.close()
        plain.close()


# ---- who may, and who knows the key


def test_nobody_but_root_and_qmaild_is_served(world: World) -> None:
    program = [world.system.bin("vq-tls"), "/bin/echo", "no"]
    ours, theirs = pair()
    done = subprocess.run(program, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, user=STRANGER, group=STRANGER,
                          extra_groups=[], timeout=60, check=False)
    theirs.close()

    assert done.returncode in (1, 111), "he may have been hung up on before he had asked"
    assert ours.recv(10) == b""
    assert f"tls: uid {STRANGER} may not use this service\n" in world.system.log()
    ours.close()


def test_what_is_no_connection_is_refused(world: World) -> None:
    reading, writing = os.pipe()
    service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    service.connect(os.fspath(world.system.home / "run/tls/socket"))
    socket.send_fds(service, [b"+"], [reading])

    assert service.recv(100) == b"-that is no connection"
    for each in (reading, writing):
        os.close(each)
    service.close()


def test_workers_are_vqtls_and_the_others_root(world: World) -> None:
    service = world.system.processes["tls"].pid
    uids = [pathlib.Path(f"/proc/{pid}").stat().st_uid for pid in (service, *children(service))]
    status = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in world.workers()]
    vqtls = pwd.getpwnam("vqtls")

    assert uids == [0, 0]
    assert len(status) == 2
    for each in status:
        assert f"Uid:\t{vqtls.pw_uid}\t{vqtls.pw_uid}\t{vqtls.pw_uid}\t{vqtls.pw_uid}\n" in each
        assert f"Groups:\t{vqtls.pw_gid} \n" in each
    limits = [pathlib.Path(f"/proc/{pid}/limits").read_text() for pid in world.workers()]
    assert all("Max core file size        1 " in each for each in limits)      # more than 0: unix/limits.py says why


def test_the_uid_that_parses_mail_cannot_read_the_key(world: World) -> None:
    for user in ("qmaild", "vqtls"):
        who = pwd.getpwnam(user)
        done = subprocess.run(["cat", world.path_of()], user=who.pw_uid, group=who.pw_gid, extra_groups=[],
                              capture_output=True, check=False)

        assert (done.returncode, done.stdout) == (1, b"")


def maps(pid: int) -> bytes:
    """All that a process can read of its memory."""
    found = []
    with pathlib.Path(f"/proc/{pid}/mem").open("rb", 0) as whole:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            begin, end = (int(each, 16) for each in place.split("-"))
            if rights[0] == "r" and end < 1 << 47:
                try:
                    whole.seek(begin)
                    found.append(whole.read(end - begin))
                except OSError:
                    continue
    return b"".join(found)


def secrets_of(path: pathlib.Path) -> "list[bytes]":
    """The private number of an EC key in the forms in which a process may have it."""
    text = subprocess.run(["openssl", "pkey", "-in", path, "-text", "-noout"], capture_output=True, text=True, check=True).stdout
    number = bytes.fromhex(text.partition("priv:")[2].partition("pub:")[0].replace(":", "").replace(" ", "").replace("\n", ""))
    number = number[-32:]
    lines = path.read_text().partition("PRIVATE KEY-----\n")[2].split("\n")
    return [number, number[::-1], lines[1].encode()]


@BOTH
def test_the_key_is_in_the_memory_of_no_process_that_parses_mail(world: World, warm: bool) -> None:
    secrets = [secret for path in (world.path_of(), world.path_of(OTHER)) for secret in secrets_of(path)]
    with world.authority.connect(smtps(world, warm), DEFAULT) as client:
        assert client.recv(100) == b"220 host.test ESMTP\r\n"
        server = world.doors[smtps(world, warm)].pid
        qmaild = pwd.getpwnam("qmaild").pw_uid
        parsers = children(server)

        assert parsers
        assert {pathlib.Path(f"/proc/{pid}").stat().st_uid for pid in parsers} == {qmaild}
        for pid in (server, *parsers):
            memory = maps(pid)
            assert len(memory) > 1 << 20
            assert not any(each in memory for each in secrets)
    holders = [maps(pid) for pid in world.workers()]
    assert all(any(each in memory for each in secrets[:3]) for memory in holders), "or this test would see nothing"


def test_no_core_and_no_debugger_for_another_process_of_vqtls(world: World) -> None:
    who = pwd.getpwnam("vqtls")
    pid = world.workers()[0]
    done = subprocess.run(["dd", f"if=/proc/{pid}/mem", "bs=1", "count=1"], user=who.pw_uid, group=who.pw_gid, extra_groups=[],
                          capture_output=True, check=False)

    assert done.returncode == 1
    assert b"Permission denied" in done.stderr
