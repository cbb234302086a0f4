"""make setup, make check-setup, and the service directories under Debian's svscan, with real users."""

import os
import pathlib
import shutil
import stat
import subprocess
import sys

import pytest

from vqmail.setup import install

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.root


def setup(home: pathlib.Path, *options: str, **more) -> "subprocess.CompletedProcess[str]":
    """What make setup runs (with --check: what make check-setup runs)."""
    return subprocess.run([sys.executable, "-m", "vqmail.setup", *options, str(home)], text=True, timeout=120,
                          capture_output=True, check=False, **{"cwd": ROOT, **more})


def let_everybody_in(path: pathlib.Path) -> pathlib.Path:
    """pytest's directories are root's alone; the programs run under other users."""
    for each in (path, *path.parents):
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(each.stat().st_mode | 0o055)
    return path


def tree(home: pathlib.Path) -> "dict[str, tuple[object, ...]]":
    """Mode, owner and content of every file below `home`."""
    return {str(each.relative_to(home)): (oct(each.stat().st_mode), each.stat().st_uid, each.stat().st_gid,
                                          each.read_bytes() if each.is_file() else b"")
            for each in (home, *home.rglob("*")) if each.suffix != ".pyc" and each.parent.name != "start"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> pathlib.Path:
    """An installation as make setup leaves it.  Nobody changes it."""
    home = let_everybody_in(tmp_path_factory.mktemp("fresh")) / "vqmail"
    done = setup(home)

    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def copy(fresh: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """An installation that a test may spoil."""
    home = let_everybody_in(tmp_path) / "vqmail"

    assert setup(home).returncode == 0
    return home


def test_after_setup_everything_is_as_it_should_be(fresh: pathlib.Path) -> None:
    done = setup(fresh, "--check")

    assert (done.stdout, done.stderr) == (f"{fresh}: every owner, mode, program and service is as it should be\n", "")
    assert done.returncode == 0


@pytest.mark.parametrize(("path", "mode", "owner", "group"), [
    ("", 0o755, "root", "qmail"), ("alias", 0o2755, "alias", "qmail"), ("queue", 0o750, "qmailq", "qmail"),
    ("queue/pid", 0o700, "qmailq", "qmail"), ("queue/intd", 0o700, "qmailq", "qmail"),
    ("queue/todo", 0o750, "qmailq", "qmail"), ("queue/mess/22", 0o750, "qmailq", "qmail"),
    ("queue/info/0", 0o700, "qmails", "qmail"), ("queue/local/7", 0o700, "qmails", "qmail"),
    ("queue/remote/7", 0o700, "qmails", "qmail"), ("queue/bounce", 0o700, "qmails", "qmail"),
    ("queue/lock", 0o750, "qmailq", "qmail"), ("queue/lock/sendmutex", 0o600, "qmails", "qmail"),
    ("queue/lock/tcpto", 0o644, "qmailr", "qmail"), ("queue/lock/trigger", 0o622, "qmails", "qmail"),
    ("control", 0o755, "root", "qmail"), ("users", 0o755, "root", "qmail"), ("bin", 0o755, "root", "qmail"),
    ("bin/vq-queue", 0o755, "root", "qmail"), ("lib/vqmail/codes.py", 0o644, "root", "qmail"),
    ("service/smtpd/run", 0o755, "root", "qmail"), ("service/smtpd/log/main", 0o755, "qmaill", "nofiles"),
])
def test_modes_and_owners_are_qmails(fresh: pathlib.Path, path: str, mode: int, owner: str, group: str) -> None:
    there = fresh / path

    assert (oct(stat.S_IMODE(there.stat().st_mode)), there.owner(), there.group()) == (oct(mode), owner, group)


def test_nothing_is_set_uid_and_only_the_trigger_is_for_others_to_write(fresh: pathlib.Path) -> None:
    for each in fresh.rglob("*"):
        mode = each.lstat().st_mode

        assert not mode & stat.S_ISUID, each
        assert not mode & 0o022 or each == fresh / "queue/lock/trigger", each


def test_a_second_setup_changes_nothing(copy: pathlib.Path) -> None:
    (copy / "control/me").write_text("other.test\n")
    (copy / "control/rcpthosts").write_text("# mine\nother.test\n")
    (copy / "users/assign").write_text("=joe:joe:45900:45900:/home/joe:::\n.\n")
    (copy / "alias/.qmail-postmaster").write_text("&joe\n")
    (copy / "service/smtpd/env/PORT").write_text("2525\n")
    (copy / "service/smtpd/log/main/current").write_text("a line\n")
    (copy / "alias/Maildir/new/1").write_text("mail\n")
    subprocess.run([copy / "bin/vq-newu"], check=True)
    before = tree(copy)

    assert setup(copy).returncode == 0
    assert tree(copy) == before


def test_setup_mends_what_the_check_complains_of(copy: pathlib.Path) -> None:
    (copy / "queue/todo").chmod(0o777)
    os.chown(copy / "queue/mess", 0, 0)
    (copy / "queue/lock/trigger").unlink()
    (copy / "bin/vq-smtpd").write_text("#!/bin/sh\n")
    (copy / "lib/vqmail/codes.py").write_text("")
    shutil.rmtree(copy / "service/send")

    assert len(setup(copy, "--check").stdout.splitlines()) == 5 + 7      # of send: 4 directories, 2 scripts, DELIVERY
    assert setup(copy).returncode == 0
    assert setup(copy, "--check").returncode == 0


@pytest.mark.parametrize(("spoil", "words"), [
    ("chmod 777 queue/todo", "{0}/queue/todo has mode 40777, should have 40750; chmod 750 {0}/queue/todo"),
    ("chown root queue/mess", "{0}/queue/mess belongs to root:qmail, should belong to qmailq:qmail; "
                              "chown qmailq:qmail {0}/queue/mess"),
    ("rmdir run/queue", "{0}/run/queue is missing; make setup makes it"),
    ("rm queue/lock/trigger", "{0}/queue/lock/trigger is missing; make setup makes it"),
    ("rm queue/lock/trigger; touch queue/lock/trigger; chown qmails:qmail queue/lock/trigger",
     "{0}/queue/lock/trigger has mode 100644, should have 10622; move it away and make setup"),
    ("rm bin/vq-local", "{0}/bin/vq-local is missing; make setup makes it"),
    ("echo >> bin/vq-local", "{0}/bin/vq-local is not what this version installs; make setup renews it"),
    ("echo >> lib/vqmail/unix/priv.py", "{0}/lib/vqmail/unix/priv.py is not what this version installs; "
                                        "make setup renews it"),
    ("chmod 666 lib/vqmail/unix/priv.py", "{0}/lib/vqmail/unix/priv.py has mode 100666, should have 100644; "
                                          "chmod 644 {0}/lib/vqmail/unix/priv.py"),
    ("rm lib/start/vq-local.*", "{0}/lib/start/vq-local.%s is missing; make setup makes it" % sys.implementation.cache_tag),
    ("touch lib/re.py; chgrp qmail lib/re.py; chmod 666 lib/re.py",
     "{0}/lib/re.py has mode 100666, should have 100644; chmod 644 {0}/lib/re.py"),
    ("chmod 644 service/send/run", "{0}/service/send/run has mode 100644, should have 100755; "
                                   "chmod 755 {0}/service/send/run"),
    ("echo >> service/send/log/run", "{0}/service/send/log/run is not what this version installs; make setup renews it"),
    ("chown root service/send/log/main", "{0}/service/send/log/main belongs to root:nofiles, should belong to "
                                         "qmaill:nofiles; chown qmaill:nofiles {0}/service/send/log/main"),
    ("rm service/smtpd/env/PORT", "{0}/service/smtpd/env/PORT is missing; make setup writes it"),
    ("rm control/me", "{0}/control/me is missing; echo the name of this host into it"),
    ("echo pam vq-none > control/loginsources",
     "{0}/control/loginsources: /etc/pam.d/vq-none is missing, so whoever is looked for there cannot log in for now; "
     "make it, or take the line `pam vq-none` out"),
    ("echo 192.0.2.2 domian1.test > control/popdomains",
     "{0}/control/popdomains: domian1.test: there is no such domain with users, so nobody gets in there without his domain"),
    ("rm users/cdb", "{0}/users/cdb is missing; run {0}/bin/vq-newu"),
])
def test_the_check_names_what_is_wrong_and_what_mends_it(fresh: pathlib.Path, tmp_path: pathlib.Path, spoil: str,
                                                         words: str) -> None:
    home = tmp_path / "home"
    subprocess.run(["cp", "-a", fresh, home], check=True)
    for script in (*(home / "bin").iterdir(), *(home / "service").glob("*/run")):      # they name the home
        script.write_text(script.read_text().replace(str(fresh), str(home)))
    subprocess.run(["sh", "-ec", spoil], cwd=home, check=True)
    done = setup(home, "--check")

    assert done.stdout.splitlines() == [words.format(home)]
    assert done.returncode == 1


def test_what_other_projects_made_is_installed_too(fresh: pathlib.Path) -> None:
    """Installed programs see their own library and Python's, and no place where pip or Debian put modules."""
    python = (fresh / "bin/vq-auth").read_text().partition(" ")[0].removeprefix("#!")
    words = (f"import sys; sys.path.insert(0, '{fresh}/lib'); import pamela; from argon2 import low_level; "
             "print(low_level.verify_secret(b'$argon2id$v=19$m=64,t=1,p=1$c2FsenNhbHo$78WbFDdea6bE5j8bPkxxDA', b'geheim', low_level.Type.ID))")

    done = subprocess.run([python, "-IS", "-c", words], capture_output=True, text=True, timeout=30, check=False)

    assert ("True\n", "") == (done.stdout, done.stderr)


def test_modules_of_debians_are_found_where_the_python_that_installs_does_not_look(tmp_path: pathlib.Path) -> None:
    (tmp_path / "vq_somebodys").mkdir()
    (tmp_path / "vq_somebodys/__init__.py").touch()

    assert tmp_path / "vq_somebodys" == install.source_of("vq_somebodys", tmp_path)
    assert install.source_of("vq_nobodys", tmp_path) is None


@pytest.mark.parametrize("name", ["bin/qmail-send", "bin/qmail-queue"])
def test_the_home_of_a_qmail_is_not_touched(tmp_path: pathlib.Path, name: str) -> None:
    home = let_everybody_in(tmp_path) / "qmail"
    (home / "bin").mkdir(parents=True)
    (home / name).write_text("")
    before = tree(home)
    done = setup(home)

    assert done.returncode == 111
    assert done.stderr == (f"{home} is the home of a qmail ({name} is there); choose another: "
                           "make setup VQHOME=/var/vqmail\n")
    assert tree(home) == before


def test_somebody_elses_directory_is_not_touched(tmp_path: pathlib.Path) -> None:
    home = let_everybody_in(tmp_path) / "vqmail"
    (home / "queue").mkdir(parents=True)
    before = tree(home)

    assert setup(home).returncode == 111
    assert tree(home) == before


@pytest.mark.parametrize(("home", "words"), [
    ("relative/home", "usage"), ("/var/has blank", "characters that scripts stumble over"),
    ("/var/vq:mail", "characters that scripts stumble over"),
])
def test_a_home_that_cannot_be_is_refused(home: str, words: str) -> None:
    done = setup(pathlib.Path(home))

    assert done.returncode in {100, 111}
    assert words in done.stderr
    assert not pathlib.Path(home).exists()


def test_a_home_that_others_cannot_enter_is_refused(tmp_path: pathlib.Path) -> None:
    private = let_everybody_in(tmp_path) / "private"
    private.mkdir(mode=0o700)
    done = setup(private / "vqmail")

    assert done.returncode == 111
    assert f"may not enter {private} (mode 700); chmod a+x it" in done.stderr
    assert list(private.iterdir()) == []


def test_only_root_sets_up(tmp_path: pathlib.Path) -> None:
    home = let_everybody_in(tmp_path) / "vqmail"
    code = (f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from vqmail.setup import __main__ as setup\n"
            f"os.setgid(45001); os.setuid(45001); sys.exit(setup.main([{str(home)!r}]))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 111
    assert done.stderr.startswith("make setup must be run by root")
    assert not home.exists()


def test_a_private_umask_and_source_do_no_harm(tmp_path: pathlib.Path) -> None:
    source = let_everybody_in(tmp_path) / "source"
    shutil.copytree(ROOT / "vqmail", source / "vqmail", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "go=", source], check=True)
    home = tmp_path / "vqmail"
    code = f"import os, sys; os.umask(0o077); from vqmail.setup import __main__ as setup; sys.exit(setup.main(['{home}']))"

    assert subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, check=False).returncode == 0
    assert setup(home, "--check").stdout == f"{home}: every owner, mode, program and service is as it should be\n"


def test_make_setup_takes_vqhome_and_never_home(tmp_path: pathlib.Path) -> None:
    home = let_everybody_in(tmp_path) / "vqmail"
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(["make", "-n", "setup", "check-setup", f"VQHOME={home}"], cwd=ROOT, capture_output=True,
                          text=True, check=True, env=os.environ | {"HOME": str(tmp_path / "elsewhere")})

    assert f"-m vqmail.setup {home}\n" in done.stdout
    assert f"-m vqmail.setup --check {home}\n" in done.stdout
    assert "elsewhere" not in done.stdout
    assert setup(home, env=os.environ | {"HOME": str(tmp_path / "elsewhere")}).returncode == 0
    assert list((tmp_path / "elsewhere").iterdir()) == []
