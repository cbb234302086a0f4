"""The SMTP client machine: whole dialogues, cut anywhere, and face to face with our own server."""

import pytest
import smtp_transcript
from hypothesis import given
from hypothesis import strategies as st

from vqmail.formats import wire
from vqmail.proto import replies
from vqmail.proto import smtp_client as smtp

MAIL = smtp.Mail(b"ann@a.test", [b"bob@b.test"], 42, False)
LOGIN = {"user": b"ann", "password": b"tea"}
EHLO = "S: 220 mx ESMTP\nC: EHLO me.test\n"
HELO = EHLO + "S: 502 what?\nC: HELO me.test\nS: 250 mx\n"
ONE = "C: MAIL FROM:<ann@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 250 ok\nC: DATA\nS: 354 go\nTEXT\nS: 250 taken\n"
GROUP = "C: MAIL FROM:<ann@a.test>\nC: RCPT TO:<bob@b.test>\nC: DATA\n"
TLS = EHLO + "S: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n"

# name, what the session is made with, the mail, the dialogue, and how it ends: the last event's class, stage, code,
# the codes of the recipients
DIALOGUES = [
    ("qmail of old", {}, MAIL, HELO + ONE, ("Done", smtp.SENT, 250, [250])),
    ("offers nothing", {}, MAIL, EHLO + "S: 250 mx\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("pipelining", {}, MAIL, EHLO + "S: 250-mx\nS: 250 pipelining\n" + GROUP
     + "S: 250 ok\nS: 250 ok\nS: 354 go\nTEXT\nS: 250-taken\nS: 250 as 12\n", ("Done", smtp.SENT, 250, [250])),
    ("size and eight bits", {}, smtp.Mail(b"", [b"a b@b.test"], 7, True),
     EHLO + "S: 250-mx\nS: 250-8BITMIME\nS: 250 SIZE 7\nC: MAIL FROM:<> SIZE=7 BODY=8BITMIME\nS: 250 ok\n"
     'C: RCPT TO:<"a b"@b.test>\nS: 250 ok\nC: DATA\nS: 354 go\nTEXT\nS: 250 ok\n', ("Done", smtp.SENT, 250, [250])),
    ("eight bits to a host that does not offer it", {}, smtp.Mail(b"ann@a.test", [b"bob@b.test"], 7, True),
     EHLO + "S: 250-mx\nS: 250 SIZE\n" + ONE.replace("a.test>\nS", "a.test> SIZE=7\nS", 1), ("Done", smtp.SENT, 250, [250])),
    ("only seven bits", {}, MAIL, EHLO + "S: 250-mx\nS: 250 8BITMIME\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("too large", {}, MAIL, EHLO + "S: 250-mx\nS: 250 SIZE 41\n", ("Done", smtp.SIZE, 0, [])),
    ("a size that is none", {}, MAIL, EHLO + "S: 250-mx\nS: 250 SIZE many\n" + ONE.replace("a.test>\nS", "a.test> SIZE=42\nS", 1),
     ("Done", smtp.SENT, 250, [250])),
    ("greeting in two lines", {}, MAIL, "S: 220-wait\nS: 220 mx\nC: EHLO me.test\nS: 250 mx\n" + ONE,
     ("Done", smtp.SENT, 250, [250])),
    ("greeting 554", {}, MAIL, "S: 554 go away\n", ("Refused", smtp.GREETING, 554, None)),
    ("greeting 421", {}, MAIL, "S: 421 busy\n", ("Refused", smtp.GREETING, 421, None)),
    ("greeting 250", {}, MAIL, "S: 250 hello\n", ("Refused", smtp.GREETING, 250, None)),
    ("EHLO 421", {}, MAIL, EHLO + "S: 421 busy\n", ("Refused", smtp.HELO, 421, None)),
    ("EHLO 450", {}, MAIL, EHLO + "S: 450 later\n", ("Refused", smtp.HELO, 450, None)),
    ("HELO 550", {}, MAIL, EHLO + "S: 550 no\nC: HELO me.test\nS: 550 no\n", ("Refused", smtp.HELO, 550, None)),
    ("sender refused", {}, MAIL, HELO + "C: MAIL FROM:<ann@a.test>\nS: 550 you?\n", ("Done", smtp.MAIL, 550, [])),
    ("sender 354", {}, MAIL, HELO + "C: MAIL FROM:<ann@a.test>\nS: 354 what\n", ("Done", smtp.MAIL, 354, [])),
    ("sender refused in a group", {}, MAIL, EHLO + "S: 250-mx\nS: 250 PIPELINING\n" + GROUP
     + "S: 450 later\nS: 503 MAIL first\nS: 503 MAIL first\n", ("Done", smtp.MAIL, 450, [])),
    ("recipient refused", {}, MAIL, HELO + "C: MAIL FROM:<ann@a.test>\nS: 250 ok\nC: RCPT TO:<bob@b.test>\nS: 550 who?\n",
     ("Done", smtp.RCPT, 550, [550])),
    ("recipient refused, and DATA", {}, MAIL, EHLO + "S: 250-mx\nS: 250 PIPELINING\n" + GROUP
     + "S: 250 ok\nS: 550 who?\nS: 554 nobody\n", ("Done", smtp.RCPT, 550, [550])),
    ("recipient refused, and DATA taken all the same", {}, MAIL, EHLO + "S: 250-mx\nS: 250 PIPELINING\n" + GROUP
     + "S: 250 ok\nS: 450 later\nS: 354 go\nC: .\nS: 554 nobody\n", ("Done", smtp.RCPT, 450, [450])),
    ("sender refused, and DATA taken all the same", {}, MAIL, EHLO + "S: 250-mx\nS: 250 PIPELINING\n" + GROUP
     + "S: 550 you?\nS: 550 who?\nS: 354 go\nC: .\nS: 250 thanks\n", ("Done", smtp.MAIL, 550, [])),
    ("three recipients", {}, smtp.Mail(b"", [b"a@b", b"c@d", b"e@f"], 1, False),
     HELO + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@b>\nS: 550 no\nC: RCPT TO:<c@d>\nS: 251 will forward\n"
     "C: RCPT TO:<e@f>\nS: 450 later\nC: DATA\nS: 354 go\nTEXT\nS: 552 full\n", ("Done", smtp.SENT, 552, [550, 251, 450])),
    ("421 to the second recipient counts for the third", {}, smtp.Mail(b"", [b"a@b", b"c@d", b"e@f"], 1, False),
     HELO + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<a@b>\nS: 550 no\nC: RCPT TO:<c@d>\nS: 421 bye\n",
     ("Done", smtp.RCPT, 421, [550, 421, 421])),
    ("DATA refused", {}, MAIL, HELO + ONE.replace("354 go\nTEXT\nS: 250 taken", "451 no disk"), ("Done", smtp.DATA, 451, [250])),
    ("DATA 250", {}, MAIL, HELO + ONE.replace("354 go\nTEXT\nS: 250 taken", "250 ok"), ("Done", smtp.DATA, 250, [250])),
    ("refused after the text", {}, MAIL, HELO + ONE.replace("250 taken", "554 spam"), ("Done", smtp.SENT, 554, [250])),
    ("TLS", {}, MAIL, TLS + "S: 220 go\nSTARTTLS\nC: EHLO me.test\nS: 250 mx\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("what was offered before TLS is forgotten", {}, MAIL,
     EHLO + "S: 250-mx\nS: 250-PIPELINING\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nSTARTTLS\nC: EHLO me.test\nS: 250 mx\n" + ONE,
     ("Done", smtp.SENT, 250, [250])),
    ("TLS is offered again in TLS", {}, MAIL, TLS + "S: 220 go\nSTARTTLS\nC: EHLO me.test\nS: 250-mx\nS: 250 STARTTLS\n" + ONE,
     ("Done", smtp.SENT, 250, [250])),
    ("TLS 454", {}, MAIL, TLS + "S: 454 not now\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("TLS 421", {}, MAIL, TLS + "S: 421 not now\n", ("Refused", smtp.TLS, 421, None)),
    ("TLS must be, 454", {"must": True}, MAIL, TLS + "S: 454 not now\n", ("Refused", smtp.TLS, 454, None)),
    ("TLS must be, not offered", {"must": True}, MAIL, EHLO + "S: 250 mx\n", ("Refused", smtp.TLS, None, None)),
    ("TLS must be, HELO", {"must": True}, MAIL, HELO, ("Refused", smtp.TLS, None, None)),
    ("TLS is not wanted", {"tls": False}, MAIL, EHLO + "S: 250-mx\nS: 250 STARTTLS\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("TLS from the first byte", {"must": True, "encrypted": True}, MAIL, EHLO + "S: 250-mx\nS: 250 STARTTLS\n" + ONE,
     ("Done", smtp.SENT, 250, [250])),
    ("no password where TLS cannot be had", LOGIN, MAIL,
     EHLO + "S: 250-mx\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now\n", ("Refused", smtp.TLS, 454, None)),
    ("PLAIN", LOGIN, MAIL, EHLO + "S: 250-mx\nS: 250 AUTH CRAM-MD5 LOGIN PLAIN\nC: AUTH PLAIN AGFubgB0ZWE=\nS: 235 hello\n" + ONE,
     ("Done", smtp.SENT, 250, [250])),
    ("PLAIN, wrong", LOGIN, MAIL, EHLO + "S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AGFubgB0ZWE=\nS: 535 no\n",
     ("Refused", smtp.AUTH, 535, None)),
    ("LOGIN", LOGIN, MAIL, EHLO + "S: 250-mx\nS: 250-AUTH\nS: 250 AUTH=LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YW5u\n"
     "S: 334 UGFzc3dvcmQ6\nC: dGVh\nS: 235 hello\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("LOGIN, refused at once", LOGIN, MAIL, EHLO + "S: 250-mx\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 454 later\n",
     ("Refused", smtp.AUTH, 454, None)),
    # the example of RFC 2195 section 2
    ("CRAM-MD5", {"user": b"tim", "password": b"tanstaaftanstaaf"}, MAIL,
     EHLO + "S: 250-mx\nS: 250 AUTH CRAM-MD5\nC: AUTH CRAM-MD5\n"
     "S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+\n"
     "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\nS: 235 hello\n" + ONE, ("Done", smtp.SENT, 250, [250])),
    ("no way to log in", LOGIN, MAIL, EHLO + "S: 250-mx\nS: 250 AUTH GSSAPI\n", ("Refused", smtp.AUTH, None, None)),
    ("no AUTH", LOGIN, MAIL, HELO, ("Refused", smtp.AUTH, None, None)),
]


class Client:
    """A session and everything it wanted, in the words of the dialogues."""

    def __init__(self, mail: smtp.Mail, **options: object) -> None:
        self.session = smtp.Session(b"me.test", **options)      # type: ignore[arg-type]
        self.mail = mail
        self.said = ""
        self.last: object = None
        self.run()

    def run(self, received: bytes = b"") -> None:
        self.session.receive(received)
        while True:
            event = self.session.next_event()
            self.said += "".join(f"C: {each}\n" for each in self.session.output().decode("latin-1").split("\r\n")[:-1])
            if event is smtp.READY:
                self.session.give(self.mail)
            elif event is smtp.TEXT:
                self.said += "TEXT\n"
                self.session.text_sent()
            elif event is smtp.START_TLS:
                self.said += "STARTTLS\n"
                self.session.secured()
            else:
                self.last = event
                return

    def ending(self) -> "tuple[object, ...]":
        last = self.last
        assert isinstance(last, (smtp.Done, smtp.Refused))
        recipients = [each.code for each in last.recipients] if isinstance(last, smtp.Done) else None
        return type(last).__name__, last.stage, last.reply.code if last.reply else None, recipients


def turns(dialogue: str) -> "list[tuple[bytes, str]]":
    """What the server says at a time, and what the client has said by then."""
    found: list[tuple[bytes, str]] = []
    client = ""
    server = b""
    for line in dialogue.splitlines(keepends=True):
        if line.startswith("S: "):
            server += line[3:].replace("\n", "\r\n").encode()
        else:
            if server:
                found.append((server, client))
                server = b""
            client += line
    return [*found, (server, client)] if server else found


@pytest.mark.parametrize(("name", "options", "mail", "dialogue", "ending"), DIALOGUES, ids=[each[0] for each in DIALOGUES])
def test_dialogue(name: str, options: "dict[str, object]", mail: smtp.Mail, dialogue: str, ending: object) -> None:
    client = Client(mail, **options)
    for server, said in turns(dialogue):
        assert client.said == said              # it waits for answers where it must
        client.run(server)

    assert "".join(each for each in dialogue.splitlines(keepends=True) if not each.startswith("S: ")) == client.said
    assert ending == client.ending()


@pytest.mark.parametrize(("name", "options", "mail", "dialogue", "ending"), DIALOGUES, ids=[each[0] for each in DIALOGUES])
def test_dialogue_cut_at_every_byte(name: str, options: "dict[str, object]", mail: smtp.Mail, dialogue: str,
                                    ending: object) -> None:
    parts = turns(dialogue)
    for place, (server, _) in enumerate(parts):
        for cut in range(1, len(server)):
            client = Client(mail, **options)
            for number, (whole, _) in enumerate(parts):
                if number == place:
                    client.run(whole[:cut])
                    client.run(whole[cut:])
                else:
                    client.run(whole)

            assert ending == client.ending()


@pytest.mark.parametrize(("name", "options", "mail", "dialogue", "ending"), DIALOGUES, ids=[each[0] for each in DIALOGUES])
def test_dialogue_with_a_server_that_ends_lines_in_lf(name: str, options: "dict[str, object]", mail: smtp.Mail, dialogue: str,
                                                      ending: object) -> None:
    client = Client(mail, **options)
    for server, _ in turns(dialogue):
        client.run(server.replace(b"\r\n", b"\n"))

    assert ending == client.ending()


def test_the_next_mail_on_the_same_connection() -> None:
    client = Client(MAIL)
    for server, _ in turns(HELO + ONE):
        client.run(server)

    assert client.session.reusable
    client.said = ""
    client.session.give(MAIL)
    client.run()
    assert client.said == "C: MAIL FROM:<ann@a.test>\n"


def test_a_mail_that_was_refused_is_reset_before_the_next() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    client.run(b"250 ok\r\n550 no\r\n554 no\r\n")
    client.said = ""
    client.session.give(MAIL)
    client.run()

    assert client.said == "C: RSET\n" + GROUP
    client.run(b"250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    client.run(b"250 taken\r\n")
    assert client.ending() == ("Done", smtp.SENT, 250, [250])


def test_answers_that_nobody_asked_for_are_not_for_the_next_mail() -> None:
    client = Client(MAIL)
    for server, _ in turns(HELO + ONE + "S: 250 ok\nS: 250 ok\nS: 354 go\nS: 250 taken\n"):
        client.run(server)

    assert client.ending() == ("Done", smtp.SENT, 250, [250])
    assert not client.session.reusable


def test_half_an_answer_that_nobody_asked_for_is_not_for_the_next_mail() -> None:
    client = Client(MAIL)
    for server, _ in turns(HELO + ONE):
        client.run(server)
    assert client.session.reusable
    client.session.receive(b"2")

    assert not client.session.reusable


def test_an_answer_to_the_text_before_the_text_is_nonsense() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")

    with pytest.raises(replies.Nonsense):
        client.run(b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
    assert "TEXT" not in client.said
    assert client.session.stage == smtp.DATA


def test_a_server_that_does_not_forget_a_mail_gets_no_other() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    client.run(b"250 ok\r\n550 no\r\n554 no\r\n")
    client.session.give(MAIL)
    client.run()
    client.said = ""
    client.run(b"502 what?\r\n250 ok\r\n250 ok\r\n354 go\r\n")

    assert client.ending() == ("Done", smtp.MAIL, 502, [])
    assert "TEXT" not in client.said


def test_421_after_a_mail_ends_the_connection() -> None:
    client = Client(MAIL)
    for server, _ in turns(HELO + ONE.replace("250 taken", "421 taken nothing")):
        client.run(server)

    assert client.ending() == ("Done", smtp.SENT, 421, [250])
    assert not client.session.reusable


def test_421_to_rset_is_for_the_mail() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250 mx\r\n")
    client.run(b"550 no\r\n")
    client.session.give(MAIL)
    client.run()
    client.run(b"421 enough\r\n")

    assert client.ending() == ("Done", smtp.MAIL, 421, [])


def test_many_recipients_go_in_groups_of_fifty() -> None:
    client = Client(smtp.Mail(b"", [b"u%d@b" % each for each in range(101)], 1, False))
    client.run(b"220 mx\r\n")
    client.said = ""
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    assert client.said.count("\n") == 50

    client.run(b"250 ok\r\n" * 50)
    assert client.said.count("\n") == 100
    client.run(b"250 ok\r\n" * 50)
    assert client.said.split("\n")[100:] == ["C: RCPT TO:<u99@b>", "C: RCPT TO:<u100@b>", "C: DATA", ""]
    client.run(b"250 ok\r\n550 no\r\n354 go\r\n")
    client.run(b"250 ok\r\n")
    assert client.ending() == ("Done", smtp.SENT, 250, [250] * 100 + [550])


def test_a_group_that_is_all_refused_is_not_followed_by_data() -> None:
    client = Client(smtp.Mail(b"", [b"u%d@b" % each for each in range(49)], 1, False))
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    client.run(b"250 ok\r\n" + b"550 ok\r\n" * 49)

    assert "DATA" not in client.said
    assert client.ending() == ("Done", smtp.RCPT, 550, [550] * 49)


def test_a_reply_before_the_end_of_the_text_is_the_answer_if_it_is_no() -> None:
    session = smtp.Session(b"me.test")
    for received in (b"220 mx\r\n", b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        session.receive(received)
        if session.next_event() is smtp.READY:
            session.give(MAIL)
            session.next_event()
    assert session.next_event() is smtp.TEXT
    session.text_broken()
    session.receive(b"552 too large\r\n")

    assert session.next_event() == smtp.Done(smtp.SENT, replies.Reply(552, b"552 too large\n"), [replies.Reply(250, b"250 ok\n")])
    assert not session.reusable


@pytest.mark.parametrize(("received", "ending"), [
    (b"", None),
    (b"250 ok\r\n", None),
    (b"250 ok\r\n250 ok\r\n", None),
    (b"250 ok\r\n550 no\r\n", None),
    (b"550 no\r\n", ("Done", smtp.MAIL, 550, [])),
    (b"550 no\r\n503 no\r\n", ("Done", smtp.MAIL, 550, [])),
    (b"250 ok\r\n550 no\r\n450 no\r\n", ("Done", smtp.RCPT, 450, [550, 450])),
    (b"250 ok\r\n250 ok\r\n450 no\r\n", None),
    (b"250 ok\r\n250 ok\r\n450 no\r\n354 go\r\n", None),
])
def test_what_was_said_before_it_hung_up(received: bytes, ending: object) -> None:
    client = Client(smtp.Mail(b"", [b"a@b", b"c@d"], 1, False))
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    client.run(received)
    client.last = client.session.hung_up()

    assert ending == (client.ending() if client.last else None)
    assert not client.session.reusable


@pytest.mark.parametrize("received", [b"", b"220 mx\r\n", b"220 mx\r\n250 mx\r\n", b"554 no\r\n"])
def test_hung_up_before_any_mail(received: bytes) -> None:
    client = Client(MAIL)
    client.run(received)

    assert client.session.hung_up() is None


def test_421_in_a_group_is_the_last_answer() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 PIPELINING\r\n")
    client.run(b"250 ok\r\n421 bye\r\n")

    assert client.ending() == ("Done", smtp.RCPT, 421, [421])


def test_yes_to_half_a_message_is_nonsense() -> None:
    client = Client(MAIL)
    for server, _ in turns(HELO + ONE)[:-1]:
        client.run(server)
    client.session._whole = False
    with pytest.raises(replies.Nonsense):
        client.run(b"250 taken\r\n")


def test_what_comes_between_starttls_and_the_handshake_is_nonsense() -> None:
    client = Client(MAIL)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 STARTTLS\r\n")
    with pytest.raises(replies.Nonsense):
        client.run(b"220 go\r\n250 mx\r\n")


def test_a_challenge_that_is_not_base64_is_nonsense() -> None:
    client = Client(MAIL, **LOGIN)
    client.run(b"220 mx\r\n")
    client.run(b"250-mx\r\n250 AUTH CRAM-MD5\r\n")
    with pytest.raises(replies.Nonsense):
        client.run(b"334 a\r\n")


words = st.sampled_from([b"220 mx\r\n", b"250 ok\r\n", b"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n", b"250-mx\r\n250 AUTH LOGIN\r\n",
                         b"334 VXNlcm5hbWU6\r\n", b"354 go\r\n", b"421 bye\r\n", b"450 later\r\n", b"550 no\r\n", b"999 ?\r\n", b"x\r\n",
                         b"250-", b"\n", b"000\n"])


@given(st.lists(words, max_size=12), st.booleans(), st.booleans())
def test_whatever_a_server_says_ends_in_an_event_or_nonsense(said: "list[bytes]", must: bool, login: bool) -> None:
    client = Client(smtp.Mail(b"", [b"a@b", b"c@d"], 1, False), must=must, **(LOGIN if login else {}))
    try:
        for each in said:
            client.run(each)
            if isinstance(client.last, (smtp.Done, smtp.Refused)):
                return
        assert client.last is smtp.NEED_DATA
        assert client.session.hung_up() is None or client.session.stage in (smtp.MAIL, smtp.RCPT, smtp.DATA)
    except replies.Nonsense:
        pass


# ---- face to face with our server ----

def over(client_text: "list[bytes]", mail: smtp.Mail) -> smtp_transcript.Driver:
    """A server of ours that was sent `client_text`, the message in its form for the line, by our client."""
    server = smtp_transcript.Driver()
    session = smtp.Session(b"me.test")
    session.receive(server.said)
    while True:
        event = session.next_event()
        if event is smtp.NEED_DATA:
            session.receive(server.send(session.output()))
        elif event is smtp.READY:
            session.give(mail)
        elif event is smtp.TEXT:
            for piece in client_text:
                session.receive(server.send(piece))
            session.text_sent()
        else:
            assert isinstance(event, smtp.Done)
            return server


parts = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n.\r\n", b"\n.\n", b"\x00", b"\xff", b"MAIL FROM:<x@y>\r\n"]))


@given(parts)
def test_our_server_gets_what_our_client_was_given(pieces: "list[bytes]") -> None:
    form = wire.Outgoing()
    text = [form.feed(each) for each in pieces] + [form.end()]
    server = over(text, smtp.Mail(b'a"b@a.test', [b"bob@example.test"], form.octets, True))
    lines = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not lines.endswith(b"\n") and lines:
        lines += b"\n"

    assert server.messages == [(b'a"b@a.test', [b"bob@example.test"], lines)]
    assert server.session.sender is None


def test_our_server_refuses_what_our_client_asks() -> None:
    server = over([b".\r\n"], smtp.Mail(b"bad@sender.test", [b"bob@example.test"], 0, False))

    assert server.messages == []
