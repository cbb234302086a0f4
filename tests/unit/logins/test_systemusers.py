"""/etc/passwd and /etc/shadow as a source of logins."""

import pathlib
import warnings

import pytest

from vqmail import codes
from vqmail.logins import account, systemusers
from vqmail.store import control

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import crypt

HASH = crypt.crypt("secret", "$6$rounds=1000$salt")
TODAY = 20_000                  # days since 1970
ANN = account.Account(b"ann", b"", 1001, 1002, b"/home/ann", b"/bin/sh")


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "read", lambda _name: None)
    monkeypatch.setattr(systemusers.time, "time", lambda: TODAY * 86400 + 5)


def check(tmp_path: pathlib.Path, shadow: str, passwd: str = "ann:x:1001:1002:Ann:/home/ann:/bin/sh\n", name: bytes = b"ann",
          secret: bytes = b"secret") -> "account.Account | bytes":
    (tmp_path / "passwd").write_text("root:x:0:0::/root:/bin/sh\n" + passwd)
    (tmp_path / "shadow").write_text(shadow)
    return systemusers.check(name, secret, b"", bytes(tmp_path / "passwd"), bytes(tmp_path / "shadow"))


@pytest.mark.parametrize(("rest", "answer"), [
    ("19000:0:99999:7:::", ANN),
    ("::::::", ANN),
    ("19000:0:99999:7::20001:", ANN),
    ("19000:0:99999:7::20000:", b"account expired"),
    ("19000:0:99999:7::0:", b"account expired"),
    ("0:0:99999:7:::", b"password must be changed first"),
    ("19900:0:100:7:::", ANN),
    ("19899:0:100:7:::", b"password expired"),
    ("19899:0:100:7:5::", ANN),
    ("19894:0:100:7:5::", b"password expired"),
    ("19000", ANN),                             # a short line
])
def test_what_the_shadow_line_allows(tmp_path: pathlib.Path, rest: str, answer: object) -> None:
    assert answer == check(tmp_path, f"ann:{HASH}:{rest}\n")


@pytest.mark.parametrize("stored", ["", "*", "!", "!!", "!" + HASH, "*LK*"])
def test_without_a_password_nobody_gets_in(tmp_path: pathlib.Path, stored: str) -> None:
    assert [b"wrong password"] * 2 == [check(tmp_path, f"ann:{stored}:19000:0:99999:7:::\n", secret=each)
                                       for each in (b"secret", b"")]


def test_expired_account_is_not_told_to_who_does_not_know_the_password(tmp_path: pathlib.Path) -> None:
    assert b"wrong password" == check(tmp_path, f"ann:{HASH}:19000:0:99999:7::0:\n", secret=b"x")


def test_hash_in_passwd_itself(tmp_path: pathlib.Path) -> None:
    assert ANN == check(tmp_path, "", f"ann:{HASH}:1001:1002:Ann:/home/ann:/bin/sh\n")
    assert b"wrong password" == check(tmp_path, "", "ann::1001:1002:Ann:/home/ann:/bin/sh\n", secret=b"")


@pytest.mark.parametrize("name", [b"nobody", b"an", b"anna", b"Ann", b"", b"ann:x", b"ann\nroot", b"+", b"+@group", b"#x", b"root"])
def test_unknown(tmp_path: pathlib.Path, name: bytes) -> None:
    assert b"" == check(tmp_path, f"ann:{HASH}:19000:0:99999:7:::\n",
                        "ann:x:1001:1002:Ann:/home/ann:/bin/sh\n+::::::\n+@group::::::\n#x:x:1001:1002::/:\n", name)


@pytest.mark.parametrize("line", ["ann:x:99:1002::/home/ann:", "ann:x:1001:99::/home/ann:", "ann:x:0:0::/:"])
def test_small_uids_and_gids_are_unknown(tmp_path: pathlib.Path, line: str) -> None:
    assert b"" == check(tmp_path, f"ann:{HASH}:19000:0:99999:7:::\n", line + "\n")


@pytest.mark.parametrize("line", ["ann:x:1001", "ann", "ann:x:-1:1002::/home/ann:", "ann:x:1001:many::/home/ann:",
                                  "ann:x:1001:1002::/home/ann"])
def test_line_without_sense_is_trouble_or_nobody_s(tmp_path: pathlib.Path, line: str) -> None:
    if line == "ann":
        assert b"" == check(tmp_path, "", line + "\n")
        return
    with pytest.raises(codes.TryLater, match="the line of ann makes no sense"):
        check(tmp_path, "", line + "\n")


def test_missing_shadow_line_or_file_is_trouble(tmp_path: pathlib.Path) -> None:
    with pytest.raises(codes.TryLater, match="there is no line for ann: run pwconv"):
        check(tmp_path, "bob:x:1::::::\n")
    with pytest.raises(codes.TryLater, match=r"cannot read .*/nothing: No such file or directory"):
        systemusers.check(b"ann", b"secret", b"", bytes(tmp_path / "passwd"), bytes(tmp_path / "nothing"))
