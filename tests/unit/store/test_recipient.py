"""Who gets mail for a name in a domain of virtual users: the order, the options, and values that nobody may write."""

import os
import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import cdb, recipient, rewrite, virtual, virtualcompile

USERS = "bob ann bob-smith a b=c".split()
MAILBOX, NOBODY, DELETE, FORWARD, MAILDIR, SUSPENDED = (
    recipient.MAILBOX, recipient.NOBODY, recipient.DELETE, recipient.FORWARD, recipient.MAILDIR, recipient.SUSPENDED)


@pytest.fixture(params=["text", "compiled"])
def domain(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> "Domain":
    monkeypatch.setattr(vqhome, "VQHOME", str(tmp_path).encode())
    return Domain(tmp_path, request.param == "compiled")


class Domain:
    """a.test with USERS, and b.test."""

    def __init__(self, path: pathlib.Path, compiled: bool) -> None:
        self.root = path / "virtual"
        self._compiled = compiled
        (path / "control").mkdir()
        self.control = path / "control"
        for name, text in (("me", "host.test\n"), ("virtualroot", f"{self.root}\n"), ("virtualdomains", "a.test:a\n"),
                           ("locals", "host.test\n")):
            (path / "control" / name).write_text(text)
        for name in ("a.test", "b.test"):
            (self.root / name / "etc").mkdir(parents=True)
        self.passwd(*USERS)

    def passwd(self, *users: str) -> None:
        (self.root / "a.test/etc/passwd").write_text("".join(f"{each}:x:1001:1001::/home/{each}:\n" for each in users))

    def decide(self, name: bytes, options: str = "", argument: "bytes | None" = None,
               domain: bytes = b"a.test") -> recipient.Verdict:
        if options:
            (self.root / "a.test/etc/options").write_text(options + "\n")
        if self._compiled:
            virtualcompile.compile_domain(b"a.test")
        return recipient.decide(domain, name, rewrite.Rules(), argument)


def told(verdict: recipient.Verdict) -> "tuple[bytes, bytes | None, bytes | None]":
    return verdict.kind, verdict.user.name if verdict.user else None, verdict.ext


@pytest.mark.parametrize(("name", "options", "expected"), [
    (b"bob", "", (MAILBOX, b"bob", None)),
    (b"BOB", "", (MAILBOX, b"bob", None)),
    (b"bob-x", "", (MAILBOX, b"bob", b"x")),
    (b"Bob+X-y", "", (MAILBOX, b"bob", b"x-y")),
    (b"bob-", "", (MAILBOX, b"bob", b"")),
    (b"bob-smith", "", (MAILBOX, b"bob-smith", None)),
    (b"bob-smith-x", "", (MAILBOX, b"bob-smith", b"x")),
    (b"bob-smithx", "", (MAILBOX, b"bob", b"smithx")),
    (b"bobx", "", (NOBODY, None, None)),
    (b"bob=x", "", (NOBODY, None, None)),
    (b"bob=x", "@:extensions=-=", (MAILBOX, b"bob", b"x")),
    (b"bob+x", "@:extensions=-=", (NOBODY, None, None)),
    (b"bob-x", "@:extensions=", (NOBODY, None, None)),
    (b"bob-smith", "@:extensions=", (MAILBOX, b"bob-smith", None)),
    (b"-bob", "", (NOBODY, None, None)),
    (b"+", "", (NOBODY, None, None)),
    (b"a-" + b"-" * 200, "", (MAILBOX, b"a", b"-" * 200)),
    (b"x-" * 100, "", (NOBODY, None, None)),
    # the catch-all takes nothing from a mailbox
    (b"bob", "@:catchall=ann", (MAILBOX, b"bob", None)),
    (b"bob-x", "@:catchall=delete", (MAILBOX, b"bob", b"x")),
    (b"nobody", "@:catchall=ann", (MAILBOX, b"ann", None)),
    (b"nobody-x", "@:catchall=ANN", (MAILBOX, b"ann", None)),
    (b"nobody", "@:catchall=delete", (DELETE, None, None)),
    (b"nobody", "@:catchall=", (NOBODY, None, None)),
    (b"", "@:catchall=ann", (NOBODY, None, None)),
    (b"..", "@:catchall=ann", (NOBODY, None, None)),
    (b"x/y", "@:catchall=ann", (NOBODY, None, None)),
    (b"x y", "@:catchall=ann", (NOBODY, None, None)),
    (b"x\n", "@:catchall=ann", (NOBODY, None, None)),
    (b"x" * 256, "@:catchall=ann", (NOBODY, None, None)),
    # suspended
    (b"bob", "bob:suspended=receive", (SUSPENDED, b"bob", None)),
    (b"bob-x", "bob:suspended=login,receive", (SUSPENDED, b"bob", b"x")),
    (b"bob", "bob:suspended=login,send", (MAILBOX, b"bob", None)),
    (b"bob", "*:suspended=receive", (SUSPENDED, b"bob", None)),
    (b"bob", "@:suspended=receive", (SUSPENDED, b"bob", None)),
    (b"nobody", "@:suspended=receive", (NOBODY, None, None)),
    (b"nobody", "@:suspended=receive:catchall=delete", (SUSPENDED, None, None)),
    (b"nobody", "ann:suspended=receive\n@:catchall=ann", (SUSPENDED, b"ann", None)),
    (b"bob-x", "bob:moved=bob@new.test", (recipient.MOVED, b"bob", b"x")),
    (b"bob", "bob:moved=bob@new.test:suspended=receive", (SUSPENDED, b"bob", None)),
    (b"ann", "bob:moved=bob@new.test", (MAILBOX, b"ann", None)),
    (b"bob", "bob:moved=", (MAILBOX, b"bob", None)),
])
def test_order(domain: Domain, name: bytes, options: str, expected: "tuple[bytes, bytes | None, bytes | None]") -> None:
    assert told(domain.decide(name, options)) == expected


@pytest.mark.parametrize(("argument", "options", "kind", "target"), [
    (b"delete", "", DELETE, b""),
    (b"bounce-no-mailbox", "@:catchall=ann", NOBODY, b""),
    (b"", "@:catchall=ann", NOBODY, b""),
    (b"joe@far.test", "@:catchall=ann", FORWARD, b"joe@far.test"),
    (b"ann", "@:catchall=delete", MAILBOX, b""),
    (b"/home/all/Maildir/", "", MAILDIR, b"/home/all/Maildir/"),
    (None, "@:catchall=joe@far.test", FORWARD, b"joe@far.test"),
    (None, "@:catchall=joe@host.test:forwarding=no", FORWARD, b"joe@host.test"),
    (None, "@:catchall=joe@a.test:forwarding=no", FORWARD, b"joe@a.test"),
])
def test_catchalls(domain: Domain, argument: "bytes | None", options: str, kind: bytes, target: bytes) -> None:
    verdict = domain.decide(b"nobody", options, argument)

    assert (verdict.kind, verdict.target) == (kind, target)


@pytest.mark.parametrize(("argument", "options", "words"), [
    (None, "@:catchall=carl", "catch-all carl is no user of a.test"),
    (b"carl", "", "argument of virtmailfilter: catch-all carl is no user"),
    (b"|sh", "", "is no user"),
    (b"./Maildir/", "", "is no user"),
    (b"joe@", "", "is no address"),
    (b"@far.test", "", "is no address"),
    (b"joe@far.test joe@x", "", "is no address"),
    (b"|joe@far.test", "", "is no address"),
    (b"j\n@far.test", "", "is no address"),
    (None, "@:catchall=joe@far.test:forwarding=no", "is elsewhere, but .* has forwarding=no"),
])
def test_a_catchall_that_cannot_be_is_trouble(domain: Domain, argument: "bytes | None", options: str, words: str) -> None:
    with pytest.raises(codes.TryLater, match=words):
        domain.decide(b"nobody", options, argument)

    assert told(domain.decide(b"bob", options, argument)) == (MAILBOX, b"bob", None)


@pytest.mark.parametrize("value", [b"/etc/passwd", b"/home/all/Maildir/", b"|sh", b"&joe@far.test", b"./Maildir/", b"joe@far.test|sh"])
def test_an_option_is_no_path_and_no_program_even_if_somebody_compiled_it(domain: Domain, value: bytes) -> None:
    domain.decide(b"bob")
    etc = domain.root / "a.test/etc"
    if not (etc / "users.cdb").exists():
        (etc / "options").write_bytes(b"@:catchall=" + value + b"\n")
    else:
        identity = cdb.find(os.fsencode(etc / "users.cdb"), b"")
        assert identity is not None
        cdb.make(os.fsencode(etc / "users.cdb"), [(b"", identity), (b"@", b"catchall=" + value)], 0o644)
    with pytest.raises(codes.TryLater):
        domain.decide(b"nobody") if not (etc / "users.cdb").exists() else recipient.decide(b"a.test", b"nobody", rewrite.Rules())


# ---- alias domains ----

def test_an_alias_domain_has_the_users_of_the_other(domain: Domain) -> None:
    (domain.root / "other.test").symlink_to("a.test")
    verdict = domain.decide(b"bob-x", domain=b"Other.TEST")

    assert (told(verdict), verdict.domain) == ((MAILBOX, b"bob", b"x"), b"a.test")


def test_a_directory_elsewhere_is_no_other_name(domain: Domain) -> None:
    (domain.root / "a.test").rename(domain.root.parent / "disk2")
    (domain.root / "a.test").symlink_to("../disk2")
    assert (domain.root / "a.test/etc/passwd").exists()

    assert recipient.decide(b"a.test", b"bob", rewrite.Rules()).domain == b"a.test"


@pytest.mark.parametrize(("target", "words"), [
    ("second.test", "is a link to a link"), (".", "cannot be a domain's name"), ("..", "cannot be a domain's name"),
    ("A.test", "cannot be a domain's name"), ("gone.test", "No such file")])
def test_links_that_are_mistakes_are_trouble(domain: Domain, target: str, words: str) -> None:
    (domain.root / "second.test").symlink_to("a.test")
    (domain.root / "other.test").symlink_to(target)
    with pytest.raises(codes.TryLater, match=words):
        domain.decide(b"bob", domain=b"other.test")


@pytest.mark.root
def test_a_link_that_root_did_not_make_is_not_followed(domain: Domain) -> None:
    (domain.root / "other.test").symlink_to("a.test")
    os.chown(domain.root / "other.test", 45001, 45001, follow_symlinks=False)
    with pytest.raises(codes.TryLater, match="uid 45001 made; only root may"):
        domain.decide(b"bob", domain=b"other.test")


def test_the_steps_name_the_files(domain: Domain) -> None:
    (domain.root / "other.test").symlink_to("a.test")
    (domain.root / "a.test/etc/options").write_text("@:catchall=delete\n")
    steps: list[tuple[bytes, bytes]] = []
    recipient.decide(b"other.test", b"x-y", rewrite.Rules(), None, steps)
    root = os.fsencode(domain.root)

    assert steps == [
        (root + b"/other.test", b"is a link: the users are those of a.test"),
        (root + b"/a.test/etc/passwd", b"has no user x-y"), (root + b"/a.test/etc/passwd", b"has no user x"),
        (root + b"/a.test/etc/options", b"catch-all delete")]


@pytest.mark.parametrize("name", ["passwd", "options"])
def test_an_owners_link_shows_nobody_what_is_behind_it(domain: Domain, name: str) -> None:
    """The service that looks is root, and its complaints are for the owner to read."""
    secret = domain.root / "shadow"
    secret.write_text("root:$6$secret:19000:0:99999:7:::\n")
    path = domain.root / "a.test/etc" / name
    path.unlink(missing_ok=True)
    path.symlink_to(secret)
    with pytest.raises((codes.TryLater, virtualcompile.Broken, OSError)) as caught:
        domain.decide(b"bob")
    with pytest.raises(codes.TryLater) as later:
        recipient.decide(b"a.test", b"bob", rewrite.Rules())

    assert "secret" not in str(caught.value) + str(later.value)


def test_who_has_moved_is_told(domain: Domain) -> None:
    assert domain.decide(b"bob", "bob:moved=bob@new.test").target == b"bob@new.test"


def test_many_separators_are_one_reading_of_the_text(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    domain.decide(b"bob")
    opened: list[bytes] = []
    real = virtual.calls.open
    monkeypatch.setattr(virtual.calls, "open", lambda path, *rest, **more: (opened.append(path), real(path, *rest, **more))[1])
    recipient.decide(b"a.test", b"x-" * 50, rewrite.Rules())

    assert len([each for each in opened if isinstance(each, bytes) and each.endswith(b"etc/passwd")]) <= 1
