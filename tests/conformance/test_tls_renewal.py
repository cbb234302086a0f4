"""The TLS service when certificates come, are renewed, broken and go; and a setup that is told what is wrong with them."""

import os
import pathlib
import socket
import ssl
import subprocess
import time

import pytest
from certificates import names_of
from system import wait_until
from tls_world import DEFAULT, OTHER, Call, World, pair

from vqmail.setup import certificates

pytestmark = pytest.mark.root


@pytest.fixture
def world(tmp_path: pathlib.Path):
    """An installation without certificates; nothing runs yet."""
    each = World(tmp_path, start=False)
    yield each
    each.system.stop()


def shown(world: World, asked: str) -> "list[str]":
    """The names of the certificate that a client gets who asks for `asked`."""
    ours, theirs = pair()
    call = Call(world, theirs)
    context = world.authority.client()
    context.check_hostname = False
    with context.wrap_socket(ours, server_hostname=asked) as client:
        packet, plain = call.answer()
        plain.close()

        assert packet[:1] == b"+"
        return names_of(client)


def serial(world: World) -> str:
    """The number of the certificate that clients get."""
    ours, theirs = pair()
    call = Call(world, theirs)
    with world.authority.client().wrap_socket(ours, server_hostname=DEFAULT) as client:
        _, plain = call.answer()
        plain.close()
        return client.getpeercert()["serialNumber"]


def test_without_a_certificate_it_says_once_what_to_do_and_begins_when_there_is_one(world: World) -> None:
    world.system.start_tls()
    world.said("put certificate, chain and key into")
    ours, theirs = pair()
    packet, plain = Call(world, theirs).answer()

    assert (packet, plain) == (b"-there is no certificate", None)
    ours.close()
    world.write(b"no certificate")
    world.said("servercert.pem: a certificate or its key is not in it, or is damaged")
    world.install(DEFAULT)
    world.said("servercert.pem: loaded")
    assert shown(world, DEFAULT) == [DEFAULT]
    assert world.system.log().count("put certificate, chain and key into") == 1


def test_a_renewed_certificate_is_used_while_a_connection_goes_on(world: World) -> None:
    world.install(DEFAULT)
    world.start()
    old = set(world.workers())
    before = serial(world)
    ours, theirs = pair()
    call = Call(world, theirs)
    client = world.authority.client().wrap_socket(ours, server_hostname=DEFAULT)
    _, plain = call.answer()
    world.install(DEFAULT)
    world.said("servercert.pem: renewed")
    wait_until(lambda: len(set(world.workers()) - old) == 2, "new workers")

    assert serial(world) != before
    client.sendall(b"still there?")
    assert plain.recv(100) == b"still there?"
    plain.sendall(b"yes")
    assert client.recv(100) == b"yes"
    assert client.getpeercert()["serialNumber"] == before
    client.close()
    plain.close()
    wait_until(lambda: not old & set(world.workers()), "the end of the old workers")
    assert "ended with" not in world.system.log()


@pytest.mark.parametrize(("broken", "why"), [
    (b"", "a certificate or its key is not in it"), (b"-----BEGIN CERTIFICATE-----\n", "a certificate or its key is not in it"),
    (None, "the key does not belong to the certificate")])
def test_a_renewed_certificate_that_is_broken_leaves_the_old_one_in_use(world: World, broken: "bytes | None", why: str) -> None:
    world.install(DEFAULT)
    world.start()
    before = serial(world)
    if broken is None:
        mark = b"-----BEGIN PRIVATE"
        broken = world.authority.sign(DEFAULT).partition(mark)[0] + b"".join(world.authority.sign(DEFAULT).partition(mark)[1:])
    world.write(broken)
    world.said(why)

    assert "; the one loaded before stays in use\n" in world.system.log()
    assert serial(world) == before
    world.install(DEFAULT)
    world.said("servercert.pem: renewed")
    wait_until(lambda: serial(world) != before, "the new certificate")
    assert world.system.log().count(why) == 1


def test_names_and_stars_and_the_default(world: World) -> None:
    world.install(DEFAULT)
    world.install(OTHER, OTHER)
    world.install("*.domain2.test", "*.domain2.test")
    world.install("special.domain2.test", "SPECIAL.domain2.test")
    world.start()
    asked = (DEFAULT, OTHER, "pop.domain2.test", "special.domain2.test", "a.b.domain2.test", "domain2.test", "domain3.test")

    assert [shown(world, each) for each in asked] == [
        [DEFAULT], [OTHER], ["*.domain2.test"], ["special.domain2.test"], [DEFAULT], [DEFAULT], [DEFAULT]]
    world.path_of(OTHER).unlink()
    world.said(f"{OTHER}.pem: gone")
    wait_until(lambda: shown(world, OTHER) == [DEFAULT], "the default")


def test_a_new_name_is_there_without_a_restart(world: World) -> None:
    world.install(DEFAULT)
    world.start()

    assert shown(world, OTHER) == [DEFAULT]
    world.install(OTHER, OTHER)
    world.said(f"{OTHER}.pem: loaded")
    wait_until(lambda: shown(world, OTHER) == [OTHER], "the new certificate")


def test_the_last_certificate_gone_means_no_tls(world: World) -> None:
    world.install(DEFAULT)
    world.start()
    world.path_of().unlink()
    world.said("put certificate, chain and key into")
    wait_until(lambda: not world.workers(), "the end of the workers")
    ours, theirs = pair()

    assert Call(world, theirs).answer()[0] == b"-there is no certificate"
    ours.close()


def test_a_key_that_others_can_read_is_complained_of(world: World) -> None:
    world.install(DEFAULT)
    world.path_of().chmod(0o644)
    world.start()

    assert "servercert.pem: others than its owner can read the key; chmod 400 it\n" in world.system.log()


def test_connections_outlive_a_stop_and_the_next_service_takes_the_next(world: World) -> None:
    world.install(DEFAULT)
    world.start()
    ours, theirs = pair()
    call = Call(world, theirs)
    client = world.authority.client().wrap_socket(ours, server_hostname=DEFAULT)
    _, plain = call.answer()
    first = world.system.processes.pop("tls")
    first.terminate()

    assert first.wait(60) == 0
    world.start()
    client.sendall(b"here")
    assert plain.recv(100) == b"here"
    assert shown(world, DEFAULT) == [DEFAULT]
    client.close()
    plain.close()


def test_vq_tls_says_when_the_service_is_down(world: World) -> None:
    ours, theirs = pair()
    done = subprocess.run([world.system.bin("vq-tls"), "/bin/echo"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    theirs.close()

    assert done.returncode == 111
    assert done.stderr.endswith(b"run/tls/socket: No such file or directory; is the service `tls` up?\n")
    assert ours.recv(10) == b""
    ours.close()


# ---- what the check says


def complaints(world: World) -> "list[str]":
    return [each.replace(str(world.system.home) + "/", "") for each in certificates.complaints(world.system.home, 0)]


@pytest.fixture
def checked(world: World) -> World:
    world.system.control("me", DEFAULT + "\n")
    return world


def test_good_certificates_and_none_are_no_complaint(checked: World) -> None:
    assert complaints(checked) == []
    checked.install(DEFAULT)
    checked.install("*.domain2.test", "*.domain2.test")
    assert complaints(checked) == []


def test_a_door_that_is_open_without_a_certificate_is(checked: World) -> None:
    service = checked.system.home / "service/smtps"
    service.mkdir(parents=True)
    (service / "run").touch()

    assert complaints(checked) == ["control/servercert.pem is missing, and smtps cannot work without; put certificate, chain "
                                   "and key into it, chmod 400, or touch service/smtps/down"]
    (service / "down").touch()
    assert complaints(checked) == []


def test_a_certificate_that_expired(checked: World) -> None:
    checked.write(checked.authority.sign(DEFAULT, days=-1))

    found = complaints(checked)
    assert len(found) == 1
    assert found[0].startswith("control/servercert.pem expired on ")


def test_a_certificate_that_expires_soon(checked: World) -> None:
    checked.write(checked.authority.sign(DEFAULT, days=13))

    found = complaints(checked)
    assert len(found) == 1
    assert found[0].startswith("control/servercert.pem expires in 12 days, on ")


def test_a_key_that_others_can_read(checked: World) -> None:
    checked.install(DEFAULT)
    checked.path_of().chmod(0o644)
    os.chown(checked.path_of(), 45001, 45001)

    assert complaints(checked) == ["control/servercert.pem holds a key, and has mode 644 and owner 45001; chown 0 "
                                   "control/servercert.pem; chmod 400 control/servercert.pem"]


def test_a_key_of_another_certificate(checked: World) -> None:
    mark = b"-----BEGIN PRIVATE"
    checked.write(checked.authority.sign(DEFAULT).partition(mark)[0]
                  + b"".join(checked.authority.sign(DEFAULT).partition(mark)[1:]))

    assert complaints(checked) == ["control/servercert.pem cannot be used: its key does not belong to its certificate; put "
                                   "certificate, chain and key into it"]


@pytest.mark.parametrize(("asked", "problem"), [
    ("", f"control/servercert.pem is for wrong.test, not for {DEFAULT}, as control/me says; clients would complain; get one "
         "for that name too"),
    (OTHER, f"control/servercerts/{OTHER}.pem is for wrong.test, not for {OTHER}, as its file's name says; clients would "
            "complain; get one for that name too")])
def test_a_certificate_for_another_name(checked: World, asked: str, problem: str) -> None:
    checked.install("wrong.test", asked)

    assert complaints(checked) == [problem]


# ---- somebody else's TLS in front


def test_stunnel_in_front_works_the_same(world: World, tmp_path: pathlib.Path) -> None:
    world.system.add_domain("domain1.test", {"bob": "blue-heron"})
    world.system.start_all()
    plain = {"smtps": world.system.start_smtp(True, {"SSL_PROTOCOL": "TLSv1.3"}),
             "pop3s": world.system.start_pop3(True, {"SSL_PROTOCOL": "TLSv1.3"})}
    ports = {}
    pem = tmp_path / "stunnel.pem"
    pem.write_bytes(world.authority.sign(DEFAULT))
    text = f"foreground = yes\npid =\nsyslog = no\ndebug = 3\ncert = {pem}\n"
    for name, port in plain.items():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports[name] = probe.getsockname()[1]
        text += f"[{name}]\naccept = 127.0.0.1:{ports[name]}\nconnect = 127.0.0.1:{port}\n"
    (tmp_path / "stunnel.conf").write_text(text)
    world.system.start("stunnel", "stunnel", str(tmp_path / "stunnel.conf"))
    wait_until(lambda: _answers(world, ports["smtps"]), "stunnel")
    host = ["curl", "-sS", "--max-time", "60", "--cacert", str(world.authority.ca)]
    sent = subprocess.run([*host, "--resolve", f"{DEFAULT}:{ports['smtps']}:127.0.0.1", f"smtps://{DEFAULT}:{ports['smtps']}/me",
                           "--mail-from", "ann@far.test", "--mail-rcpt", "bob@domain1.test", "-T", "-"],
                          input=b"Subject: through stunnel\r\n\r\nhello\r\n", capture_output=True, check=False)

    assert (sent.returncode, sent.stderr) == (0, b"")
    world.system.wait_for_mail("domain1.test", "bob")
    read = subprocess.run([*host, "--resolve", f"{DEFAULT}:{ports['pop3s']}:127.0.0.1", f"pop3s://{DEFAULT}:{ports['pop3s']}/1",
                           "-u", "bob@domain1.test:blue-heron"], capture_output=True, check=False)
    assert (read.returncode, read.stderr) == (0, b"")
    assert b"Subject: through stunnel\r\n" in read.stdout
    with world.authority.connect(ports["smtps"], DEFAULT) as client:
        client.recv(100)
        client.sendall(b"EHLO client.test\r\n")
        assert b"STARTTLS" not in client.recv(4096)


def _answers(world: World, port: int) -> bool:
    try:
        with world.authority.connect(port, DEFAULT, 5) as client:
            return client.recv(3) == b"220"
    except (OSError, ssl.SSLError):
        time.sleep(0.05)
        return False
