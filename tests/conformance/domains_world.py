"""An installation without a domain, and what the tests of vq-domain ask of it."""

import os
import pathlib
import subprocess

import pytest
import system


@pytest.fixture
def site(system: "system.System"):
    """An installation without a domain."""
    (system.home / "users/assign").write_text(".\n")
    done(system, "vq-newu")
    return system


def done(site: "system.System", *argv: str, **options) -> str:
    """What a command that must succeed says."""
    ended = site.run(*argv, **options)

    assert (ended.returncode, ended.stderr) == (0, b""), argv
    return ended.stdout.decode()


def refused(site: "system.System", *argv: str, **options) -> str:
    """Why a command that must be refused was."""
    ended = site.run(*argv, **options)

    assert ended.returncode == 100, (argv, ended.stdout, ended.stderr)
    return ended.stderr.decode()


def swaks(port: int, recipient: str) -> int:
    """Send a message with swaks; its exit code."""
    return subprocess.run(["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@sender.test", "--to", recipient, "--silent",
                           "2"], check=False, capture_output=True, timeout=60).returncode


def give_maildir(site: "system.System", domain: str, name: str) -> pathlib.Path:
    """The owner of a domain keeps mail for `name` in a Maildir of his own."""
    directory = site.virtual / domain
    owner = directory.stat()
    subprocess.run([site.bin("maildirmake"), directory / "mail"], check=True, user=owner.st_uid, group=owner.st_gid)
    (directory / f".qmail-{name}").write_text("./mail/\n")
    os.chown(directory / f".qmail-{name}", owner.st_uid, owner.st_gid)
    return directory / "mail/new"


def line_counts(site: "system.System", domain: str) -> "tuple[int, ...]":
    """How many lines the tables have for a domain."""
    paths = [site.home / name for name in ("control/rcpthosts", "control/virtualdomains", "users/assign")]
    texts = [each.read_text().split("\n") if each.exists() else [] for each in paths]
    return (texts[0].count(domain), texts[1].count(f"{domain}:{domain}"),
            sum(each.startswith(f"+{domain}-:") for each in texts[2]))
