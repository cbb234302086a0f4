"""A thousand messages from twenty sessions, and a disk that is full."""

import collections
import pathlib
import re
import smtplib
import subprocess

import pytest
import system as module

pytestmark = pytest.mark.root
SOURCE = "/usr/sbin/smtp-source"


@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_thousand_messages_none_lost_none_twice(system: module.System, warm: bool) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    system.add_domain("domain2.test", {"bob": "x"})
    system.control("concurrencylocal", "20\n")
    system.start_all()
    port = system.start_smtp(warm=warm)
    for domain in ("domain1.test", "domain2.test"):
        subprocess.run([SOURCE, "-s", "20", "-m", "500", "-l", "3000", "-f", "s@far.test", "-t", f"bob@{domain}",
                        f"127.0.0.1:{port}"], check=True, timeout=200, capture_output=True)
    for domain in ("domain1.test", "domain2.test"):
        found = [each.read_bytes() for each in system.wait_for_mail(domain, "bob", 500)]
        qps = collections.Counter(re.search(rb"\(qmail (\d+) invoked from network\)", each)[1] for each in found)

        assert len(found) == 500
        assert set(qps.values()) == {1}
        assert max(map(len, found)) - min(map(len, found)) < 20, "all of one length, but for digits in their trace lines"
    module.wait_until(system.queue_is_empty, "an empty queue")


@pytest.fixture
def small_disk(tmp_path: pathlib.Path):
    """An installation whose home is on a disk of its own, of 24 MB."""
    (tmp_path / "home").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "none", tmp_path / "home"], check=True)
    system = module.System(tmp_path)
    yield system
    system.stop()
    module.unmount(tmp_path / "home")


def test_a_full_disk_defers_and_keeps_nothing_half_done(small_disk: module.System) -> None:
    small_disk.add_domain("domain1.test", {"bob": "x"})
    small_disk.start_all()
    port = small_disk.start_smtp()
    filler = small_disk.home / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(65536))
                file.flush()
        except OSError:
            pass
    text = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + b"y" * 70 * 1000 + b"\r\n"
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("a@far.test", ["bob@domain1.test"], b"Subject: x\r\n\r\n" + b"line\r\n" * 20_000)

    assert refused.value.smtp_code == 451
    assert small_disk.inject("a@far.test", ["bob@domain1.test"], text) == 53
    module.wait_until(small_disk.queue_is_empty, "an empty queue")
    assert "No space left on device" in small_disk.log()

    filler.unlink()
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        client.sendmail("a@far.test", ["bob@domain1.test"], b"Subject: x\r\n\r\n" + b"line\r\n" * 20_000)

    assert small_disk.wait_for_mail("domain1.test", "bob")[0].read_bytes().endswith(b"line\n" * 20_000)


def test_a_users_table_cut_in_half_defers_and_says_what_to_do(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    table = system.home / "users/cdb"
    whole = table.read_bytes()
    # the records are there, the tables behind them are not
    table.write_bytes(whole[:len(whole) // 2 + 1024])
    system.inject("a@far.test", ["bob@domain1.test"], b"Subject: x\n\nhello\n")
    module.wait_until(lambda: "deferral" in system.log(), "a deferral")

    assert "failure:" not in system.log()
    assert "run vq-newu" in system.log()

    assert system.run("vq-newu").returncode == 0
    system.processes["send"].send_signal(module.signal.SIGALRM)
    system.wait_for_mail("domain1.test", "bob")


def test_a_maildir_that_is_a_file_defers_until_it_is_mended(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    system.start_all()
    path = system.virtual / "domain1.test/home/bob/Maildir"
    path.write_text("no maildir\n")
    system.inject("a@far.test", ["bob@domain1.test"], b"Subject: x\n\nhello\n")
    module.wait_until(lambda: "deferral: " in system.log(), "a deferral")

    assert "Maildir" in system.log().partition("deferral: ")[2].partition("\n")[0]
    path.unlink()
    system.processes["send"].send_signal(module.signal.SIGALRM)
    system.wait_for_mail("domain1.test", "bob")


def test_a_message_survives_kill_9_of_everything(system: module.System) -> None:
    system.add_domain("domain1.test", {"bob": "x"})
    for round_ in range(4):
        system.start_all()
        for number in range(20):
            assert system.inject("a@far.test", ["bob@domain1.test"], b"Subject: x\n\nmessage %d-%d\n" % (round_, number)) == 0
        for name in ("send", "virtmailfilter", "queue"):
            system.kill(name)
    system.start_all()
    module.wait_until(system.nothing_waits, "a queue in which nobody waits")
    texts = collections.Counter(each.read_bytes().rpartition(b"\nmessage ")[2] for each in system.mailbox("domain1.test", "bob"))

    assert set(texts) == {b"%d-%d\n" % (round_, number) for round_ in range(4) for number in range(20)}
