"""Command lines of sendmail as real programs write them."""

import pytest
from hypothesis import given, strategies as st

from vqmail.formats import sendmailoptions
from vqmail.formats.sendmailoptions import ALIASES, DELIVER, QUEUE, RUN, SMTP, Options


@pytest.mark.parametrize(("line", "expected"), [
    ("bob@x", Options(DELIVER, None, None, False, [b"bob@x"])),
    # cron of Debian, vixie-cron, at, mdadm and logwatch, smartd
    ("-i -FCronDaemon -B8BITMIME -oem root", Options(DELIVER, None, b"CronDaemon", False, [b"root"])),
    ("-FCronDaemon -odi -oem root", Options(DELIVER, None, b"CronDaemon", False, [b"root"])),
    ("-i bob", Options(DELIVER, None, None, False, [b"bob"])),
    ("-t", Options(DELIVER, None, None, True, [])),
    ("-t -i -oem", Options(DELIVER, None, None, True, [])),
    ("-oi -oem -t", Options(DELIVER, None, None, True, [])),
    # PHP, with a fifth argument of mail()
    ("-t -i -fbob@x", Options(DELIVER, b"bob@x", None, True, [])),
    ("-ti", Options(DELIVER, None, None, True, [])),
    # mutt, git send-email
    ("-oem -oi -f bob@x -- ann@y joe@z", Options(DELIVER, b"bob@x", None, False, [b"ann@y", b"joe@z"])),
    ("-i -f bob@x ann@y", Options(DELIVER, b"bob@x", None, False, [b"ann@y"])),
    # mutt with use_8bitmime and dsn_notify
    ("-oem -oi -f bob@x -B8BITMIME -N failure,delay -R hdrs -- ann@y", Options(DELIVER, b"bob@x", None, False, [b"ann@y"])),
    # bsd-mailx, s-nail
    ("-i -m ann@y", Options(DELIVER, None, None, False, [b"ann@y"])),
    ("-i -r bob@x -- ann@y", Options(DELIVER, b"bob@x", None, False, [b"ann@y"])),
    # fetchmail, procmail, majordomo, mailman 2, Exim's and Postfix's own
    ("-i -f bob@x -- ann@y", Options(DELIVER, b"bob@x", None, False, [b"ann@y"])),
    ("-oi -om -fowner-list@x list-out@x", Options(DELIVER, b"owner-list@x", None, False, [b"list-out@x"])),
    ("-G -i -L lists -X /tmp/log -Ac -O DeliveryMode=b -odb -h 3 -p TCP:x -d0.1 -V id -n -U ann@y",
     Options(DELIVER, None, None, False, [b"ann@y"])),
    ("-o i -B 8BITMIME -e m -C /etc/other.cf -D /tmp/d -M a ann@y", Options(DELIVER, None, None, False, [b"ann@y"])),
    # msmtp
    ("--read-recipients --from=bob@x", Options(DELIVER, b"bob@x", None, True, [])),
    # options among the addresses, a lone dash, what stands behind --
    ("ann@y -f bob@x joe@z -i", Options(DELIVER, b"bob@x", None, False, [b"ann@y", b"joe@z"])),
    ("- -- -f --", Options(DELIVER, None, None, False, [b"-", b"-f", b"--"])),
    # the last one counts; -r is -f
    ("-f bob@x -r ann@y joe@z", Options(DELIVER, b"ann@y", None, False, [b"joe@z"])),
    # the null sender
    ("-f <> joe@z", Options(DELIVER, b"", None, False, [b"joe@z"])),
    ("-f<bob@x> joe@z", Options(DELIVER, b"bob@x", None, False, [b"joe@z"])),
    # cron with MAILTO=ann,joe@z
    ("-i ann,joe@z,<bob@x>,", Options(DELIVER, None, None, False, [b"ann", b"joe@z", b"bob@x"])),
    ('"a,b"@x', Options(DELIVER, None, None, False, [b'"a,b"@x'])),
    ("-bm joe@z", Options(DELIVER, None, None, False, [b"joe@z"])),
    ("-bs", Options(SMTP, None, None, False, [])),
    ("-b s", Options(SMTP, None, None, False, [])),
    ("-bp", Options(QUEUE, None, None, False, [])),
    ("-bi", Options(ALIASES, None, None, False, [])),
    ("-I", Options(ALIASES, None, None, False, [])),
    ("-q", Options(RUN, None, None, False, [])),
    ("-q15m -v", Options(RUN, None, None, False, [])),
    ("-qIabc", Options(RUN, None, None, False, [])),
])
def test_command_line_means(line: str, expected: Options) -> None:
    assert sendmailoptions.parse(line.encode().split()) == expected


def test_an_empty_sender_is_the_null_sender() -> None:
    assert sendmailoptions.parse([b"-f", b"", b"joe@z"]) == Options(DELIVER, b"", None, False, [b"joe@z"])


@pytest.mark.parametrize(("line", "text"), [
    ("-f", "-f needs a value"),
    ("ann@x,joe@y@z", "no place for this: @z"),
    ("-bd", "-bd is not for this mailer: the daemon is vq-start, and vq-smtpd under a tcpserver"),
    ("-bd -q30m", "-bd is not for this mailer: the daemon is vq-start, and vq-smtpd under a tcpserver"),
    ("-bv joe@z", "-bv is not for this mailer: addresses are not verified here"),
    ("-bq", "-bq is not for this mailer: only -bm, -bs, -bp and -bi are"),
    ("-a account joe@z", "there is no option -a; put -- before an address that begins with a dash"),
    ("-tk", "there is no option -k; put -- before an address that begins with a dash"),
    ("--read-envelope-from", "there is no option --read-envelope-from; put -- before an address that begins with a dash"),
    ("--account=x joe", "there is no option --account=x; put -- before an address that begins with a dash"),
])
def test_what_cannot_be_obeyed_is_refused(line: str, text: str) -> None:
    with pytest.raises(ValueError) as refused:
        sendmailoptions.parse(line.encode().split())

    assert str(refused.value) == text


@given(st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([b"--", b"-f", b"-t", b"-", b"a@b,c", b"<>", b"-b"])), max_size=8))
def test_whatever_the_words_it_is_options_or_a_value_error(words: "list[bytes]") -> None:
    try:
        found = sendmailoptions.parse(words)
    except ValueError as refused:
        assert str(refused)
    else:
        assert found.mode in (ALIASES, DELIVER, QUEUE, RUN, SMTP)
