"""What vq-popup tells a client when the checker ends: a wrong password only if the checker said so."""

import os

import pytest

from vqmail.prog import popup
from vqmail.proto import pop3, pop3login
from vqmail.unix import child


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch):
    """Asks a checker that ends with a code; what the client is told."""
    def ask(code: int) -> bytes:
        monkeypatch.setattr(child, "start", lambda *_: 4711)
        monkeypatch.setattr(child, "wait", lambda _: code)
        outcome = popup._check(pop3login.Login(b"bob", bytearray(b"secret"), None), b"<1@host>", [b"checker"], {})
        assert isinstance(outcome, int)
        return popup._complaint(outcome)[0] if outcome else b""

    before = len(os.listdir("/proc/self/fd"))
    yield ask

    assert len(os.listdir("/proc/self/fd")) == before


def test_only_1_and_3_mean_a_wrong_password(ends) -> None:
    told = {code: ends(code) for code in range(-64, 256)}

    assert [code for code, text in told.items() if text == b""] == [0]
    assert [code for code, text in told.items() if text.startswith(b"-ERR [AUTH] ")] == [1, 3]
    assert all(text.startswith(b"-ERR [SYS/TEMP] ") for code, text in told.items() if code not in (0, 1, 3))
