"""Asking the auth service: what happens when nobody is there."""

import os
import pathlib

import pytest

from vqmail.logins import account, authentication


def test_a_service_that_is_down_is_trouble_and_one_line_in_the_log(tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str],
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication.roles, "single_user", lambda: False)
    monkeypatch.setattr(authentication, "SOCKET", os.fsencode(tmp_path / "socket"))
    exchange = authentication.Exchange({b"TCPREMOTEIP": b"192.0.2.1"}, account.SMTP)

    exchange.check(b"bob@a.test", b"secret", b"")
    answer = exchange.answer()
    exchange.close()

    assert authentication.TROUBLE == answer
    said = capfd.readouterr().err.splitlines()
    assert 1 == len(said)
    assert said[0].startswith("auth: cannot reach the auth service: No such file or directory; is it running? svstat ")
