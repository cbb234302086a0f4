"""What a domain may be called (the command's own test has what it makes of it)."""

import pytest

from vqmail import codes
from vqmail.admin import names


@pytest.mark.parametrize(("given", "name"), [
    ("A.Example", b"a.example"), ("a1.example", b"a1.example"), ("1.example", b"1.example"), ("a--b.example", b"a--b.example"),
    ("xn--bcher-kva.example", b"xn--bcher-kva.example"), ("B\u00dcCHER.example", b"xn--bcher-kva.example"),
    ("bu\u0308cher.example", b"xn--bcher-kva.example"), ("\u4f8b\u3048\u3002jp", b"xn--r8jz45g.jp"),
    ("x" * 63 + ".example", b"x" * 63 + b".example"), ("a.xn--p1ai", b"a.xn--p1ai")])
def test_it_may(given: str, name: bytes) -> None:
    assert names.domain(given.encode()) == name


@pytest.mark.parametrize("given", [
    b"", b"a", b"ab", b"example", b".a.example", b"a.example.", b"a..example", b"-a.example", b"a-.example", b"a.-example",
    b"a_b.example", b"a b.example", b"a@b.example", b"a/b.example", b"a:b.example", b"a\0b.example", b"a\nb.example",
    b"x" * 64 + b".example", b"a." * 45 + b"example", b"a.b", b"a.1", b"10.0.0.1", b"\xff.example",
    "stra\u00dfe.example".encode(), "\u03bf\u03b4\u03bf\u03c2.example".encode(), "a\u200db.example".encode(),
    "a\u2028b.example".encode()])
def test_it_may_not(given: bytes) -> None:
    with pytest.raises(codes.GiveUp):
        names.domain(given)


@pytest.mark.parametrize(("name", "shown"), [(b"a.example", "a.example"), (b"xn--bcher-kva.example", "b\u00fccher.example"),
                                             (b"xn--.example", "xn--.example"), (b"xn--99999999999.example", "xn--99999999999.example")])
def test_it_is_shown(name: bytes, shown: str) -> None:
    assert names.shown(name) == shown
