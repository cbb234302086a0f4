"""Which hashes must not be computed."""

import pytest

from vqmail import codes
from vqmail.formats import hashcost
from vqmail.store import hashes, passwords

REST = b"$saltsaltsaltsalt$" + b"." * 43


@pytest.mark.parametrize("stored", [
    b"$6$rounds=999999999" + REST, b"$5$rounds=5000001" + REST, b"$6$rounds=99999999999999" + REST,
    b"$2b$31$" + b"." * 53, b"$2y$16$" + b"." * 53, b"$y$jT5" + REST, b"$y$jDz" + REST, b"$gy$jK5" + REST,
    b"$y$j85//" + REST, b"$7$K6..../....salt$" + b"." * 43, b"$7$C6..../z...salt$" + b"." * 43,
    b"$7$Czzzzz/....salt$" + b"." * 43, b"$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    b"$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$aGFzaA", b"$argon2i$m=9999999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    b"$md5,rounds=4000000000$salt$$" + b"." * 22, b"$sha1$4294967295$salt$" + b"." * 28, b"_zzzzsalt" + b"." * 11])
def test_an_owner_of_a_domain_cannot_have_root_compute_for_minutes(stored: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "crypt", lambda *_: pytest.fail("it is computed"))
    monkeypatch.setattr(hashes, "argon2_fits", lambda *_: pytest.fail("it is computed"))

    assert hashcost.is_excessive(stored)
    with pytest.raises(codes.TryLater, match="costs more than a login may"):
        passwords.verify(b"secret", stored, b"")


@pytest.mark.parametrize("stored", [
    b"$6$" + REST, b"$6$rounds=656000" + REST, b"$5$rounds=5000000" + REST, b"$2b$12$" + b"." * 53, b"$2y$15$" + b"." * 53,
    b"$y$j85" + REST, b"$y$j9T" + REST, b"$y$jAT" + REST, b"$gy$j9T" + REST, b"$7$CU..../....salt$" + b"." * 43,
    b"$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA", b"$argon2id$v=19$m=1048576,t=4,p=1$c2FsdHNhbHQ$aGFzaA",
    b"$1$saltsalt$wTLsTBb/.H7e4VHujepbF0", b"saqc9.Bob8aeY", b"_J9..salt" + b"." * 11, b"", b"$", b"$$", b"$x$"])
def test_what_people_have_is_computed(stored: bytes) -> None:
    assert not hashcost.is_excessive(stored)
