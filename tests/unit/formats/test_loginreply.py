"""What a checkpassword program's last word about an account may be."""

import pytest

from vqmail.formats import loginreply


def test_account_comes_back() -> None:
    reply = loginreply.decode(b"1000\x00100\0/home/bob\0bob@a.test\0/bin/sh")

    assert (reply.uid, reply.gid, reply.home, reply.user, reply.shell) == (1000, 100, b"/home/bob", b"bob@a.test", b"/bin/sh")


@pytest.mark.parametrize("data", [
    b"", b"1000", b"0\x000\0/root\0root\0/bin/sh", b"00\x00100\0/home/bob\0bob\0", b"1000\x00100\0home\0bob\0",
    b"-1\x00100\0/home/bob\0bob\0", b"1_0\x00100\0/home/bob\0bob\0", b"1000\x00100\0/home/bob\0bob\0/bin/sh\0more",
    b"1000\x00100\0/home/bob\0a\nb@a.test\0/bin/sh",            # it becomes USER, and a line of a header
    b"1000\x00100\0/home/bob\0a\x7f\0/bin/sh"])
def test_what_is_no_account_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not uid|nobody who may|control characters"):
        loginreply.decode(data)
