"""Which channel an address goes to, and as what (QMAIL interface 8, REQUIREMENTS 3-3)."""

import pathlib

import pytest

from vqmail import codes, vqhome
from vqmail.store import rewrite

L, R = rewrite.LOCAL, rewrite.REMOTE


@pytest.fixture
def control(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The directory of control files, with control/me in it."""
    monkeypatch.setattr(vqhome, "VQHOME", str(tmp_path).encode())
    (tmp_path / "control").mkdir()
    (tmp_path / "control/me").write_text("host.test\n")
    return tmp_path / "control"


def rules(control: pathlib.Path, **files: "str | bytes") -> rewrite.Rules:
    for name, text in files.items():
        (control / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return rewrite.Rules()


HOWTO = "example.com:foo\n.example.com:foo-bar\ntwo.example.com:baz\nwaldo@domain.com:qux\ndomain.com:\n:garply\n"


@pytest.mark.parametrize(("address", "channel", "stored"), [
    (b"user@example.com", L, b"foo-user@example.com"),
    (b"User@Example.COM", L, b"foo-User@Example.COM"),
    (b"x@something.example.com", L, b"foo-bar-x@something.example.com"),
    (b"x@a.b.example.com", L, b"foo-bar-x@a.b.example.com"),
    (b"x@two.example.com", L, b"baz-x@two.example.com"),
    (b"x@one.two.example.com", L, b"foo-bar-x@one.two.example.com"),
    (b"waldo@domain.com", L, b"qux-waldo@domain.com"),
    (b"WALDO@Domain.Com", L, b"qux-WALDO@Domain.Com"),
    (b"other@domain.com", R, b"other@domain.com"),
    (b"waldo@sub.domain.com", L, b"garply-waldo@sub.domain.com"),
    (b"someone@somewhere.org", L, b"garply-someone@somewhere.org"),
    (b"joe@notexample.com", L, b"garply-joe@notexample.com"),
    (b"joe@host.test", L, b"joe@host.test"),
    (b"@example.com", L, b"foo-@example.com"),
    (b"a@b@example.com", L, b"foo-a@b@example.com"),
    (b"joe@", L, b"garply-joe@"),
    (b"@", L, b"garply-@"),
    (b"", L, b"@host.test"),
    (b"joe", L, b"joe@host.test"),
    (b"joe@.example.com", L, b"foo-bar-joe@.example.com"),
    (b"\xff@example.com", L, b"foo-\xff@example.com"),
])
def test_the_six_lines_of_the_book(control: pathlib.Path, address: bytes, channel: int, stored: bytes) -> None:
    assert rules(control, virtualdomains=HOWTO).rewrite(address) == (channel, stored)


@pytest.mark.parametrize(("files", "address", "channel", "stored"), [
    # no host
    ({"envnoathost": "else.test\n"}, b"joe", R, b"joe@else.test"),
    ({"envnoathost": "else.test\n", "locals": "else.test\n"}, b"joe", L, b"joe@else.test"),
    ({"envnoathost": "hub.test\n", "percenthack": "hub.test\n"}, b"a%b.test", R, b"a@b.test"),
    # the percent hack
    ({"percenthack": "c.test\n"}, b"a%b.test@c.test", R, b"a@b.test"),
    ({"percenthack": "c.test\n"}, b"a%b.test@C.TEST", R, b"a@b.test"),
    ({"percenthack": "c.test\n"}, b"a%b.test@other.test", R, b"a%b.test@other.test"),
    ({"percenthack": "c.test\n"}, b"a@c.test", R, b"a@c.test"),
    ({"percenthack": "c.test\n"}, b"a%b.test%c.test@c.test", R, b"a@b.test"),
    ({"percenthack": "c.test\n"}, b"a%b.test%d.test@c.test", R, b"a%b.test@d.test"),
    ({"percenthack": "c.test\n"}, b"a%host.test@c.test", L, b"a@host.test"),
    ({"percenthack": "c.test\n"}, b"%@c.test", R, b"@"),
    ({"percenthack": "c.test\n", "locals": "x.test\n"}, b"a%b@x.test@c.test", L, b"a@b@x.test"),
    ({"percenthack": "c.test\n", "virtualdomains": "a@b.test:v\n"}, b"a%b.test@c.test", L, b"v-a@b.test"),
    # locals
    ({"locals": ""}, b"joe@host.test", R, b"joe@host.test"),
    ({"locals": "A.test \n# no\n\nb.test\n"}, b"joe@a.TEST", L, b"joe@a.TEST"),
    ({"locals": "a.test\n"}, b"joe@x.a.test", R, b"joe@x.a.test"),
    ({"locals": ".a.test\n"}, b"joe@x.a.test", R, b"joe@x.a.test"),
    ({"locals": "a.test\n", "virtualdomains": "joe@a.test:v\na.test:v\n:v\n"}, b"joe@a.test", L, b"joe@a.test"),
    ({"locals": "a.test\r\n"}, b"joe@a.test", R, b"joe@a.test"),
    # virtualdomains
    ({"virtualdomains": "a.test:one\na.test:two\n"}, b"joe@a.test", L, b"two-joe@a.test"),
    ({"virtualdomains": "a.test:one\nA.TEST:two\n"}, b"joe@a.test", L, b"two-joe@a.test"),
    ({"virtualdomains": "a.test:\na.test:two\n"}, b"joe@a.test", L, b"two-joe@a.test"),
    ({"virtualdomains": "a.test:one\na.test:\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "a.test\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "#a.test:one\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "a.test:one \t\n"}, b"joe@a.test", L, b"one-joe@a.test"),
    ({"virtualdomains": "a.test: one\n"}, b"joe@a.test", L, b" one-joe@a.test"),
    ({"virtualdomains": "a.test :one\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": " a.test:one\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "a.test:o:ne\n"}, b"joe@a.test", L, b"o:ne-joe@a.test"),
    ({"virtualdomains": "a.test:One\n"}, b"joe@a.test", L, b"One-joe@a.test"),
    ({"virtualdomains": ".:dot\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": ".a.test:one\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": ".test:one\n"}, b"joe@a.test", L, b"one-joe@a.test"),
    ({"virtualdomains": "@a.test:one\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "joe@a.test:\na.test:v\n"}, b"joe@a.test", R, b"joe@a.test"),
    ({"virtualdomains": "joe@a.test:\na.test:v\n"}, b"ann@a.test", L, b"v-ann@a.test"),
    ({"virtualdomains": ".a.test:\n:v\n"}, b"joe@x.a.test", R, b"joe@x.a.test"),
    ({"virtualdomains": "a.test:one\r\n"}, b"joe@a.test", L, b"one\r-joe@a.test"),
    # the address is as long as it likes
    ({"virtualdomains": ":v\n"}, b"x" * 900 + b"@" + b"a." * 60 + b"test", L, b"v-" + b"x" * 900 + b"@" + b"a." * 60 + b"test"),
])
def test_rewriting(control: pathlib.Path, files: "dict[str, str]", address: bytes, channel: int, stored: bytes) -> None:
    assert rules(control, **files).rewrite(address) == (channel, stored)


def test_without_any_name_of_ours_nothing_is_local(control: pathlib.Path) -> None:
    (control / "me").unlink()

    assert rules(control).rewrite(b"joe@") == (R, b"joe@")
    assert rules(control).rewrite(b"joe") == (R, b"joe@")


def test_a_control_file_that_cannot_be_read_is_trouble(control: pathlib.Path) -> None:
    (control / "virtualdomains").mkdir()

    with pytest.raises(codes.TryLater, match="virtualdomains: Is a directory"):
        rewrite.Rules()


@pytest.mark.parametrize(("stored", "address"), [
    (b"foo-user@example.com", b"user@example.com"),
    (b"foo-User@Example.COM", b"User@Example.COM"),
    (b"foo-bar-x@something.example.com", b"x@something.example.com"),
    (b"foo-bar-bar-x@something.example.com", b"bar-x@something.example.com"),
    (b"baz-x-y@two.example.com", b"x-y@two.example.com"),
    (b"qux-waldo@domain.com", b"waldo@domain.com"),
    (b"garply-someone@somewhere.org", b"someone@somewhere.org"),
    (b"foo-@example.com", b"@example.com"),
    (b"foo-foo-x@example.com", b"foo-x@example.com"),
    # not ours to strip
    (b"foo-user@domain.com", b"foo-user@domain.com"),
    (b"joe-list@host.test", b"joe-list@host.test"),
    (b"foo@example.com", b"foo@example.com"),
    (b"Foo-user@example.com", b"Foo-user@example.com"),
    (b"foo", b"foo"),
    (b"", b""),
])
def test_the_sender_of_a_bounce_sees_the_address_he_wrote(control: pathlib.Path, stored: bytes, address: bytes) -> None:
    assert rules(control, virtualdomains=HOWTO).strip_prefix(stored) == address


@pytest.mark.parametrize(("domain", "prefix"), [
    (b"example.com", b"foo"), (b"Example.com", b"foo"), (b"x.example.com", b"foo-bar"), (b"domain.com", b""),
    (b"elsewhere.org", b"garply"), (b"host.test", b"")])
def test_whose_a_domain_is(control: pathlib.Path, domain: bytes, prefix: bytes) -> None:
    assert rules(control, virtualdomains=HOWTO).owned_by(domain) == prefix


def test_the_domains_with_a_prefix(control: pathlib.Path) -> None:
    assert rules(control, virtualdomains=HOWTO).domains() == [b"example.com", b"two.example.com"]
