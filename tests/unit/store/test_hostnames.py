"""Our name at each of our addresses."""

import pytest
from vqmail.store import control, hostnames


@pytest.mark.parametrize(("address", "expected"), [
    (b"192.0.2.2", b"Mail.a.test"),
    (b"::ffff:192.0.2.2", b"Mail.a.test"),
    (b"192.0.2.9", b"host.test ESMTP no spam"),
    (b"2001:DB8::0:5", b"six.a.test"),
    (b"192.0.2.4", b"host.test ESMTP no spam"),
    (b"", b"host.test ESMTP no spam"),
    (b"unknown", b"host.test ESMTP no spam"),
])
def test_the_name_at_an_address(monkeypatch: pytest.MonkeyPatch, address: bytes, expected: bytes) -> None:
    text = b"# ours\n192.0.2.2 Mail.a.test\n2001:db8::5\tsix.a.test\n192.0.2.2 second.test\n192.0.2.4\nx y\n"
    monkeypatch.setattr(control, "read", lambda name: text if name == b"hostnames" else None)

    assert hostnames.HostNames().at(address, b"host.test ESMTP no spam") == expected
