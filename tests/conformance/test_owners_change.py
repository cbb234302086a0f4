"""A domain may become somebody else's while a command of its owner waits for the lock: then it is too late for it."""

import fcntl
import os
import subprocess

import pytest
import system as module

pytestmark = pytest.mark.root
HIS, HERS = "his.test", "hers.test"
AT_ONCE = 3                     # the service has so many of one caller's at a time, and one more
WAITING = "somebody else is changing settings"
COMMANDS = [
    f"vq-user add eva@{HIS} --no-password", f"vq-user delete bob@{HIS}", f"vq-user restore old@{HIS}",
    f"vq-user purge old@{HIS}", f"vq-user rename bob@{HIS} rob", f"vq-user suspend bob@{HIS}", f"vq-user resume ann@{HIS}",
    f"vq-user set bob@{HIS} name=Bob", f"vq-passwd bob@{HIS} --password-stdin", f"vq-alias add info@{HIS} bob",
    f"vq-alias set sales@{HIS} ann", f"vq-alias remove sales@{HIS}", f"vq-alias catchall {HIS} bob", f"vq-alias roles {HIS} bob",
    f"vq-alias autorespond bob@{HIS} --message=-", f"vq-domain set {HIS} catchall=delete",
    f"vadduser -n eva@{HIS}", f"vdeluser bob@{HIS}", f"vpasswd bob@{HIS} of-a-thief", f"vmoduser -p bob@{HIS}",
    f"vmoduser -p {HIS}", f"vsetuserquota bob@{HIS} 5M", f"vsetuserquota {HIS} 5M", f"valias -i bob info@{HIS}",
    f"valias -r bob sales@{HIS}", f"valias -d sales@{HIS}", f"vmkpasswd {HIS}", f"VE-popbox add {HIS} eva",
    f"VE-forwarder add {HIS} info bob@{HIS}", f"VE-forwarder add {HIS} _default_ bob@{HIS}", f"VE-passwd bob@{HIS} of-a-thief"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    """his.test of uid 45100 with a few people, and hers.test of 45200; the service for their owners."""
    each = module.System(tmp_path_factory.mktemp("owners"))
    each.add_domain(HIS, {"bob": "one", "ann": "two", "old": "three"})
    each.add_domain(HERS, {"bob": "four"})
    for argv in (["vq-user", "delete", f"old@{HIS}"], ["vq-user", "suspend", f"ann@{HIS}"],
                 ["vq-alias", "add", f"sales@{HIS}", "bob", "ann"]):
        done = each.run(*argv)
        assert done.returncode == 0, done.stderr
    each.start_admin()
    yield each
    each.stop()


def content(site: module.System) -> "dict[str, bytes]":
    return {str(each): each.read_bytes() for each in sorted((site.virtual / HIS).rglob("*")) if each.is_file()}


@pytest.mark.parametrize("lines", [COMMANDS[number:number + AT_ONCE] for number in range(0, len(COMMANDS), AT_ONCE)],
                         ids=lambda lines: lines[0].split(" ")[0])
def test_who_was_the_owner_when_he_asked_is_refused(site: module.System, lines: "list[str]") -> None:
    table = site.home / "control/virtualdomains"
    kept, before = table.read_text(), content(site)
    lock = os.open(site.home / "users/lock", os.O_RDWR | os.O_CREAT, 0o600)
    said = [site.path / f"said.{number}" for number in range(len(lines))]
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = []
        for line, file in zip(lines, said, strict=True):
            with file.open("wb") as into:
                one = subprocess.Popen([site.bin(line.split()[0]), *line.split()[1:]], stdin=subprocess.PIPE, stdout=into,
                                       stderr=into, env=site.env(), user=45100, group=45100, extra_groups=[])
            one.stdin.write(b"some words\n")
            one.stdin.close()
            waiting.append(one)
        module.wait_until(lambda: all(WAITING in each.read_text() for each in said), "a command that waits")
        table.write_text(kept.replace(f"{HIS}:{HIS}", f"{HIS}:{HERS}"))
        os.close(lock)
        lock = -1
        ended = [each.wait(60) for each in waiting]

        for line, code, file in zip(lines, ended, said, strict=True):
            assert code == 100, (line, file.read_text())
            assert f"{HIS} is no domain of yours (you are uid 45100)" in file.read_text(), line
        assert content(site) == before
    finally:
        if lock >= 0:
            os.close(lock)
        table.write_text(kept)
