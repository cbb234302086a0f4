"""vq-popup with checkers of all kinds behind it, and the whole chain on transcripts; cold and warm."""

import base64
import hashlib
import hmac
import pathlib
import re
import time
import typing

import pop_transcript
import pop_world
import pytest
import support

FAILED = b"-ERR [AUTH] authorization failed\r\n"
TOO_OFTEN = b"-ERR [AUTH] too many logins failed\r\n"
BYE = b"+OK see you\r\n"
TRY_LATER = b"-ERR [SYS/TEMP] cannot look that up now, try again later\r\n"


@pytest.fixture(scope="module", params=["cold", "warm"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "typing.Iterator[pop_world.World]":
    home = support.make_home(tmp_path_factory.mktemp("pop") / "home")
    world = pop_world.World(home, warm=request.param == "warm")
    yield world
    world.close()


@pytest.fixture(autouse=True)
def messages(world: pop_world.World) -> "typing.Iterator[None]":
    """The messages of the transcripts."""
    for name in world.files():
        (world.virtual / "example.test/home/ann/Maildir" / name).unlink()
    for name, (text, _, _) in pop_transcript.MESSAGES.items():
        world.put("new/" + name, text)
    yield
    world.hang_up()


@pytest.mark.parametrize("name", pop_transcript.names())
def test_transcript(world: pop_world.World, name: str) -> None:
    transcript = pop_transcript.Transcript(name)
    session = world.popup()
    for sent, expected in transcript.parts:
        session.send(sent)
        said = b""
        while len(said) < len(expected):
            line = session.line()
            if not line:
                break
            said += line

        assert expected == said
    if transcript.closed:
        assert b"" == session.rest()
    session.code()


@pytest.mark.parametrize("name", ["pipelined.txt", "errors.txt", "plain.txt", "auth-pipelined.txt", "second.txt"])
def test_transcript_at_once(world: pop_world.World, name: str) -> None:
    transcript = pop_transcript.Transcript(name)
    session = world.popup()
    session.send(transcript.client)

    assert transcript.server == session.rest()


def test_checker_gets_name_password_and_challenge_on_3(world: pop_world.World) -> None:
    out = world.home.write("scratch/got", "", 0o666)
    world.home.control("apop", "1\n")
    try:
        session = world.popup(world.checker(f"cat <&3 >{out}; exec ls -l /proc/self/fd >{out}.fds\n"))
        challenge = re.fullmatch(rb"\+OK (<\d+\.\d+\.[0-9a-f]{16}@pop\.example\.test>)\r\n", session.line())
        session.send(b"USER Bob@Example.TEST\r\nPASS  with spaces \r\n")
        said = session.rest()
        code = session.code()
    finally:
        (world.home.path / "control/apop").unlink()

    assert challenge
    assert (b"+OK \r\n", 0) == (said, code)
    assert b"Bob@Example.TEST\0 with spaces \0" + challenge[1] + b"\0" == out.read_bytes()

    opened = [row.split()[-3:] for row in pathlib.Path(f"{out}.fds").read_text().splitlines() if "->" in row]

    assert ["0", "1", "2", "3"] == [number for number, _, path in opened if not path.endswith("/fd")]   # ls's own


def test_challenge_is_another_one_each_time(world: pop_world.World) -> None:
    world.home.control("apop", "1\n")
    try:
        greetings = set()
        for _ in range(5):
            session = world.popup()
            greetings.add(session.line())
            session.code()
    finally:
        (world.home.path / "control/apop").unlink()

    assert 5 == len(greetings)


def test_apop_hands_over_the_digest(world: pop_world.World) -> None:
    out = world.home.write("scratch/got", "", 0o666)
    session = world.popup(world.checker(f"cat <&3 >{out}; exit 0\n"))
    session.line()
    digest = hashlib.md5(b"x").hexdigest().encode()
    session.send(b"APOP bob@example.test %s\r\n" % digest)
    session.code()

    assert out.read_bytes().startswith(b"bob@example.test\0%s\0<" % digest)


@pytest.mark.parametrize(("how", "answer", "logged"), [
    ("exit 1", FAILED, "login failed"),
    ("exit 3", FAILED, "login failed"),                     # vchkpw
    ("exit 2", TRY_LATER, "checker ended with 2"),
    ("exit 111", TRY_LATER, "checker ended with 111"),
    ("exit 100", TRY_LATER, "checker ended with 100"),
    ("exit 127", TRY_LATER, "checker ended with 127"),
    ("exec 3<&-; exit 1", FAILED, "login failed"),          # it never wanted to hear the password
    ("kill -9 $$", b"-ERR [SYS/TEMP] aack, child crashed\r\n", "checker was killed by signal 9"),
])
def test_every_end_of_the_checker(world: pop_world.World, how: str, answer: bytes, logged: str) -> None:
    session = world.popup(world.checker(how + "\n"), TCPREMOTEIP="192.0.2.77")
    session.line()
    session.send(b"USER b\x1bob\r\nPASS x\r\nQUIT\r\n")

    assert b"+OK \r\n" + answer + (BYE if answer == FAILED else b"") == session.rest()
    assert 1 == session.code()
    assert f"from 192.0.2.77 {logged} for <b\\x1bob>\n" in world.log()
    assert re.search(r"^vq-popup: pid \d+ from 192\.0\.2\.77 ", world.log(), re.MULTILINE)


def test_checker_that_does_not_exist_is_no_wrong_password(world: pop_world.World) -> None:
    session = world.popup(str(world.home.path / "scratch/nothing"))
    session.line()
    session.send(b"USER bob\r\nPASS x\r\n")

    assert b"+OK \r\n" + TRY_LATER == session.rest()
    assert "nothing: cannot run it: No such file or directory" in world.log()


def test_log_of_the_checker_is_ours(world: pop_world.World) -> None:
    session = world.popup(world.checker("echo so it says >&2; exit 0\n"))
    session.send(b"USER bob\r\nPASS x\r\n")
    session.rest()

    assert "so it says\n" in world.log()


@pytest.mark.parametrize("secret", [b"x\0y", b"x" * 400])
def test_password_that_no_checker_can_be_told_is_wrong(world: pop_world.World, secret: bytes) -> None:
    out = world.home.path / "scratch/started"
    session = world.popup(world.checker(f"touch {out}\n"))
    session.line()
    session.send(b"USER %s\r\nPASS %s\r\nQUIT\r\n" % (b"b" * 100, secret))

    assert b"+OK \r\n" + FAILED + BYE == session.rest()
    assert not out.exists()


def test_refusal_takes_its_time_whoever_was_asked_for(world: pop_world.World) -> None:
    session = world.popup(world.checker("exit 1\n"), TCPREMOTEIP="192.0.2.33")
    session.line()
    for seconds in (1, 2, 3):                   # never less; how much more is the machine's affair
        begun = time.monotonic()
        session.send(b"USER bob\r\nPASS x\r\n")
        session.line()

        assert session.line() == (TOO_OFTEN if seconds == 3 else FAILED)
        assert time.monotonic() - begun >= seconds

    assert b"" == session.rest()
    assert world.log().count("from 192.0.2.33 login failed for <bob>\n") == 3
    assert "from 192.0.2.33 closed after 3 wrong passwords\n" in world.log()


def test_half_a_password_is_none(world: pop_world.World) -> None:
    out = world.home.path / "scratch/started"
    session = world.popup(world.checker(f"touch {out}\n"))
    session.line()
    session.send(b"USER bob\r\nPASS half")
    session.sock.shutdown(1)

    assert b"+OK \r\n" == session.rest()
    assert 1 == session.code()
    assert not out.exists()


def test_client_that_hangs_up_while_being_checked_is_no_crash(world: pop_world.World) -> None:
    session = world.popup(world.checker("exit 1\n"))
    session.line()
    session.send(b"USER bob\r\nPASS x\r\n")

    assert 1 == session.code()


def test_wrong_usage(world: pop_world.World) -> None:
    session = world.run(["vq-popup", "host"], {})

    assert (b"", 100) == (session.rest(), session.code())


def test_nobody_gets_in_with_another_domains_password(world: pop_world.World) -> None:
    session = world.popup()
    session.send(b"USER bob@other.test\r\nPASS secret\r\nQUIT\r\n")

    assert session.rest().endswith(FAILED + BYE)


def test_login_can_be_followed_in_the_log(world: pop_world.World) -> None:
    session = world.popup(TCPREMOTEIP="192.0.2.42")
    session.send(b"USER ANN!example.test\r\nPASS one two \r\nRETR 2\r\nDELE 1\r\nQUIT\r\n")
    session.rest()
    session.code()
    login = re.search(r"^vq-checkpassword: pid (\d+) parent (\d+) from 192\.0\.2\.42 login of <ANN!example\.test> as "
                      r"ann@example\.test$", world.log(), re.MULTILINE)

    assert login
    assert str(session.pid) in login.groups()
    assert (f"vq-pop3d: pid {login[1]} from 192.0.2.42 user ann@example.test end quit messages 3 retrieved 1 deleted 1\n"
            in world.log())


def test_password_is_never_logged(world: pop_world.World) -> None:
    for command in (b"PASS geheimnis", b"USER x\r\nPASS geheimnis", b"USER bob@example.test\r\nPASS geheimnis"):
        session = world.popup()
        session.send(command + b"\r\nQUIT\r\n")
        session.rest()

    assert "geheimnis" not in world.log()


def test_a_new_user_without_a_maildir_has_an_empty_mailbox(world: pop_world.World) -> None:
    home = world.user("example.test", "new", "x")
    for each in ("new", "cur", "tmp", ""):
        (home / "Maildir" / each).rmdir()
    session = world.popup()
    session.send(b"USER new@example.test\r\nPASS x\r\nSTAT\r\nQUIT\r\n")

    assert session.rest().endswith(b"\r\n+OK 0 0\r\n+OK see you\r\n")
    assert 0 == session.code()
    assert ["cur", "new", "tmp"] == sorted(each.name for each in (home / "Maildir").iterdir())


def test_home_that_is_missing_is_trouble_and_no_wrong_password(world: pop_world.World) -> None:
    home = world.user("example.test", "gone", "x")
    home.rename(home.with_name("moved"))
    session = world.popup()
    session.send(b"USER gone@example.test\r\nPASS x\r\n")

    assert session.rest().endswith(TRY_LATER)
    assert "the home home/gone is missing; make it and chown it" in world.log()



def cram(challenge: bytes, name: bytes, secret: bytes) -> bytes:
    digest = hmac.new(secret, base64.b64decode(challenge), "md5").hexdigest().encode()
    return base64.b64encode(name + b" " + digest)


def test_cram_md5_hands_over_the_digest_and_its_own_challenge(world: pop_world.World) -> None:
    out = world.home.write("scratch/got", "", 0o666)
    world.home.control("authmechanisms", "cram-md5\nscram-sha-256\nplain\n")
    try:
        session = world.popup(world.checker(f"cat <&3 >>{out}; exit 1\n"))
        session.line()
        session.send(b"CAPA\r\n")
        said = [session.line() for _ in range(12)]
        challenges = []
        for _ in range(2):
            session.send(b"AUTH CRAM-MD5\r\n")
            challenges.append(session.line().removeprefix(b"+ ").strip())
            session.send(cram(challenges[-1], b"bob@example.test", b"secret") + b"\r\n")

            assert FAILED == session.line()
        session.send(b"QUIT\r\n")
        session.rest()
    finally:
        (world.home.path / "control/authmechanisms").unlink()
    first, second = map(base64.b64decode, challenges)

    assert b"SASL CRAM-MD5 PLAIN\r\n" in said      # what a checkpassword program can answer
    assert first != second
    assert out.read_bytes() == b"".join(
        b"bob@example.test\0%s\0%s\0" % (hmac.new(b"secret", each, "md5").hexdigest().encode(), each) for each in (first, second))


@pytest.mark.parametrize(("clear", "allowed"), [("pop3", True), ("smtp pop3", True), ("1", True), ("smtp", False), ("0", False),
                                                ("", False)])
def test_clearauth_says_who_may_send_a_password_in_the_clear(world: pop_world.World, clear: str, allowed: bool) -> None:  # noqa: FBT001
    world.home.control("clearauth", clear + "\n")
    try:
        told = []
        for env in ({}, {"SSL_PROTOCOL": "TLSv1.3"}):
            session = world.popup(**env)
            session.send(b"CAPA\r\nUSER ann@example.test\r\nPASS one two \r\nAUTH\r\nQUIT\r\n")
            told.append(session.rest())
    finally:
        (world.home.path / "control/clearauth").unlink()

    for text, may in zip(told, (allowed, True), strict=True):
        assert (b"\r\nUSER\r\nSASL PLAIN LOGIN\r\n" in text) == may
        assert text.endswith(b".\r\n+OK \r\n+OK \r\n-ERR unimplemented\r\n" + BYE if may else NOT_IN_CLEAR * 3 + BYE)


NOT_IN_CLEAR = b"-ERR not without TLS: use STLS, or the port of POP3 over TLS\r\n"


def test_expiry_and_delay_are_told_before_the_login_and_after(world: pop_world.World) -> None:
    world.home.control("popexpire", "60\n")
    world.home.control("logindelay", "90\n")
    try:
        session = world.popup()
        session.send(b"CAPA\r\nUSER ann@example.test\r\nPASS one two \r\nCAPA\r\nQUIT\r\n")
        said = session.rest()
        session = world.popup()
        session.send(b"USER ann@example.test\r\nPASS one two \r\nSTAT\r\n")
        again = session.rest()
    finally:
        for each in ("popexpire", "logindelay"):
            (world.home.path / "control" / each).unlink()
        (world.virtual / "example.test/home/ann/Maildir/vqpop3login").unlink()

    assert said.count(b"\r\nEXPIRE 60\r\nLOGIN-DELAY 90\r\n") == 2
    assert again.endswith(b"\r\n+OK \r\n-ERR [LOGIN-DELAY] 90 seconds must lie between two logins\r\n")
    assert "user ann@example.test refused: it logged in less than 90 seconds ago\n" in world.log()
