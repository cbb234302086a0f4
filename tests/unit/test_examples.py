"""The examples in control/ and users/ are working ones."""

import pathlib

import pytest
import support

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def example(home: support.Home) -> support.Home:
    """An installation with the examples as its settings."""
    for folder in ("control", "users"):
        for path in (ROOT / folder).iterdir():
            if path.name != "README":
                home.write(f"{folder}/{path.name}", path.read_bytes())
    home.control("virtualroot", f"{home.path}/virtual\n")
    return home


def test_vq_newu_compiles_the_examples(example: support.Home) -> None:
    example.write("virtual/domain1.test/etc/passwd", (ROOT / "users/domain1.passwd").read_bytes())
    done = example.run(["vq-newu"])

    assert (done.returncode, done.stderr) == (0, b"")
    assert (example.path / "users/cdb").stat().st_size > 2048


def test_the_readme_of_users_says_what_the_example_does(example: support.Home) -> None:
    said = [line.split()[0] for line in (ROOT / "users/README").read_text().splitlines() if line.startswith("    ")]
    lines = (ROOT / "users/assign").read_text().splitlines()

    assert set(said) <= set(lines)
    assert lines[-1] == "."


def test_the_password_of_the_example_is_one() -> None:
    stored = next(line.split(":")[1] for line in (ROOT / "users/domain1.passwd").read_text().splitlines()
                  if line.startswith("bob:"))

    assert stored.startswith("$6$")
    assert len(stored.rpartition("$")[2]) == 86


@pytest.mark.parametrize("name", sorted(each.name for each in (ROOT / "control").iterdir() if each.name != "README"))
def test_each_example_is_a_control_file_we_know(name: str) -> None:
    from vqmail.store import control

    assert name.encode() in control.TABLE


def test_smtpd_reads_the_examples(example: support.Home) -> None:
    def talk(*lines: str) -> "list[str]":
        done = example.run(["vq-smtpd"], "".join(line + "\r\n" for line in ("HELO x", *lines, "QUIT")).encode(),
                           {"TCPREMOTEIP": "192.0.2.9", "PROTO": "TCP"})
        return [line[:3] for line in done.stdout.decode().splitlines()]

    # greeting, HELO, MAIL, RCPT, QUIT
    assert talk("MAIL FROM:<a@far.test>", "RCPT TO:<x@elsewhere.test>") == ["220", "250", "250", "553", "221"]
    assert talk("MAIL FROM:<x@bulk.test>", "RCPT TO:<x@host.test>")[3][0] == "5"
    assert talk("MAIL FROM:<someone@sender.test>", "RCPT TO:<x@host.test>")[3][0] == "5"
