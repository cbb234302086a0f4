"""vq-tcpserver's POP3 sessions: each in a process of its user's uid, which is kept a while and then serves the next."""

import os
import pathlib
import poplib
import re
import signal

import pytest
import supervised
import system as module

pytestmark = pytest.mark.root


@pytest.fixture
def world(system: module.System) -> module.System:
    """bob and ann of domain1.test with a message each; bob of domain2.test has the uid of the first bob."""
    system.add_domain("domain1.test", {"bob": "one", "ann": "two"})
    system.add_domain("domain2.test", {"bob": "three"})
    uid = system.domains["domain1.test"]["bob"]
    passwd = system.virtual / "domain2.test/etc/passwd"
    passwd.write_text(re.sub(r":\d+:\d+:", f":{uid}:{uid}:", passwd.read_text()))
    os.chown(system.virtual / "domain2.test/home/bob", uid, uid)
    system.domains["domain2.test"]["bob"] = uid
    for domain, user in (("domain1.test", "bob"), ("domain1.test", "ann"), ("domain2.test", "bob")):
        path = system.maildir(domain, user) / "new" / "1700000000.M1P1.host.test"
        path.write_text(f"Subject: for {user} of {domain}\n\n")
        os.chown(path, system.domains[domain][user], system.domains[domain][user])
    system.port = system.start_pop3()
    module.wait_until(lambda: ends(system) == 1, "the end of the connection that found it listening")
    return system


def ends(world: module.System) -> int:
    """How many connections the server knows to be over."""
    return world.log().count("tcpserver: end ")


def leave(world: module.System, client: poplib.POP3) -> None:
    """QUIT, and wait until the server knows: until then the session's process serves nobody else."""
    before = ends(world)
    client.quit()
    module.wait_until(lambda: ends(world) > before, "the end of the session")


def login(world: module.System, address: str, password: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", world.port, timeout=30)
    client.user(address)
    client.pass_(password)
    return client


def subject(client: poplib.POP3) -> bytes:
    return client.retr(1)[1][0]


def of_users(world: module.System) -> "dict[int, str]":
    """pid and uid of the server's processes that are not root's."""
    processes = [pid for pid, _ in supervised.members(world.processes["pop3"].pid)]
    found = {pid: supervised.identity(pid)[0] for pid in processes}
    return {pid: min(users) for pid, users in found.items() if users != {"root"}}


def test_a_session_is_a_process_with_its_users_rights_alone(world: module.System) -> None:
    client = login(world, "bob@domain1.test", "one")
    uid = str(world.domains["domain1.test"]["bob"])
    (pid, owner), = of_users(world).items()
    _, groups, further = supervised.identity(pid)
    where = pathlib.Path(f"/proc/{pid}/cwd").readlink()
    client.quit()

    assert (uid, {uid}, [uid], world.virtual / "domain1.test/home/bob") == (owner, groups, further, where)


def test_the_next_session_of_a_user_is_in_the_same_process_and_nobody_elses_is(world: module.System) -> None:
    leave(world, login(world, "bob@domain1.test", "one"))
    first = of_users(world)
    leave(world, login(world, "bob@domain1.test", "one"))
    second = of_users(world)
    login(world, "ann@domain1.test", "two").quit()
    both = of_users(world)

    assert first == second
    assert 1 == len(first)
    assert sorted(both.values()) == [str(world.domains["domain1.test"][user]) for user in ("bob", "ann")]


def test_two_users_of_one_uid_share_a_process_and_no_mail(world: module.System) -> None:
    one = login(world, "bob@domain1.test", "one")
    first = subject(one)
    leave(world, one)
    other = login(world, "bob@domain2.test", "three")
    second = subject(other)
    other.quit()

    assert (b"Subject: for bob of domain1.test", b"Subject: for bob of domain2.test") == (first, second)
    assert 1 == len(of_users(world))


def test_two_sessions_of_a_user_at_once(world: module.System) -> None:
    one, other = (login(world, "bob@domain1.test", "one") for _ in range(2))

    assert 2 == len(of_users(world))
    assert (1, 1) == (one.stat()[0], other.stat()[0])
    one.quit()
    other.quit()


def test_a_session_that_is_killed_takes_nobody_with_it(world: module.System) -> None:
    ann = login(world, "ann@domain1.test", "two")
    bob = login(world, "bob@domain1.test", "one")
    uid = str(world.domains["domain1.test"]["bob"])
    (pid,) = [pid for pid, owner in of_users(world).items() if owner == uid]
    os.kill(pid, signal.SIGKILL)
    with pytest.raises((poplib.error_proto, ConnectionError)):
        bob.stat()

    assert b"Subject: for ann of domain1.test" == subject(ann)
    ann.quit()
    again = login(world, "bob@domain1.test", "one")
    assert b"Subject: for bob of domain1.test" == subject(again)
    again.quit()


def test_an_idle_process_that_was_killed_is_not_missed(world: module.System) -> None:
    leave(world, login(world, "bob@domain1.test", "one"))
    (pid,) = of_users(world)
    os.kill(pid, signal.SIGKILL)
    module.wait_until(lambda: not of_users(world), "its end")
    client = login(world, "bob@domain1.test", "one")

    assert b"Subject: for bob of domain1.test" == subject(client)
    client.quit()


def test_who_is_logging_in_when_the_server_is_told_to_stop_gets_his_session(world: module.System) -> None:
    client = poplib.POP3("127.0.0.1", world.port, timeout=30)
    client.user("bob@domain1.test")
    world.processes["pop3"].send_signal(signal.SIGTERM)
    world.processes["pop3"].wait(30)
    client.pass_("one")

    assert b"Subject: for bob of domain1.test" == subject(client)
    client.quit()


def test_a_session_goes_on_when_the_server_is_told_to_stop(world: module.System) -> None:
    client = login(world, "bob@domain1.test", "one")
    world.processes["pop3"].send_signal(signal.SIGTERM)
    world.processes["pop3"].wait(30)

    assert b"Subject: for bob of domain1.test" == subject(client)
    client.quit()


def test_a_home_that_he_cannot_enter_is_told_to_the_client_and_the_remedy_to_the_log(world: module.System) -> None:
    home = world.virtual / "domain1.test/home/bob"
    home.chmod(0o600)
    with pytest.raises(poplib.error_proto) as refused:
        login(world, "bob@domain1.test", "one")

    assert refused.value.args[0].startswith(b"-ERR [SYS/TEMP] ")
    assert re.search(rf"^vq-checkpassword: uid \d+ cannot enter {home}: it belongs to uid \d+, mode 600; see "
                     r"chown, and chmod u\+x$", world.log(), re.MULTILINE)


def test_a_control_file_that_cannot_be_read_is_told_to_the_client(world: module.System) -> None:
    world.control("logindelay", "0\n")
    (world.home / "control/logindelay").chmod(0o600)                    # root reads it, and the user does not
    with pytest.raises(poplib.error_proto) as refused:
        login(world, "bob@domain1.test", "one")

    assert refused.value.args[0].startswith(b"-ERR [SYS/TEMP] ")
    assert "control/logindelay" in world.log()


def test_every_line_of_a_connection_has_the_number_that_tcpservers_has(world: module.System) -> None:
    login(world, "bob@domain1.test", "one").quit()
    number = re.search(r"^vq-checkpassword: pid (\d+) ", world.log(), re.MULTILINE)[1]
    module.wait_until(lambda: f"tcpserver: end {number} status 0\n" in world.log(), "its end in the log")

    assert f"tcpserver: pid {number} from 127.0.0.1\n" in world.log()
    assert f"vq-pop3d: pid {number} from 127.0.0.1 user bob@domain1.test end quit " in world.log()
