"""What is said of control files that do not mean what their writer meant."""

import pytest
from hypothesis import given, strategies as st

from vqmail.formats import controlcheck
from vqmail.store import control

KNOWN = tuple(control.TABLE)


@pytest.mark.parametrize(("name", "kind", "text"), [
    (b"me", "line", b"host.test\n"),
    (b"me", "line", b"host.test"),
    (b"me", "line", b"host.test\n\n\n"),
    (b"smtpgreeting", "line", b"host.test ESMTP no spam\n"),
    (b"doublebounceto", "line", b"\n"),
    (b"databytes", "number", b"1000000\n"),
    (b"databytes", "number", b"0\n"),
    (b"locals", "list", b"# ours\n\na.test\n.b.test \n"),
    (b"locals", "list", b""),
    (b"virtualdomains", "map", b"a.test:a\n:alias\nbob@b.test:b\nc.test:\n"),
    (b"smtproutes", "list", b":relay.test:587|user|p w\n.a.test:[::1]:2525\nb.test:\n"),
    (b"authsenders", "list", b"@a.test:relay.test:587|user|pass word\n"),
    (b"outgoingip", "list", b"192.0.2.1\na.test:2001:db8::1\n"),
    (b"popdomains", "list", b"192.0.2.1 a.test\n2001:db8::1 b.test\nmail.c.test c.test\n"),
    (b"loginseparators", "line", b"!%:/#\n"),
    (b"loginseparators", "line", b"\n"),
    (b"senders", "list", b"bob@a.test:sales@a.test\n@a.test:@b.test\nbob@a.test:*\n"),
    (b"submissionlimits", "list", b"100 500\na.test:0 0\n"),
    (b"moreipme", "list", b"192.0.2.1\n2001:db8::1\n"),
    (b"qmqpservers", "list", b"192.0.2.1\n"),
])
def test_right_files_are_right(name: bytes, kind: str, text: bytes) -> None:
    assert controlcheck.faults(name, kind, text) == []


@pytest.mark.parametrize(("name", "kind", "text", "expected"), [
    (b"me", "line", b"host.test\r\n",
     ["has carriage returns, which count as part of the entries; remove them: tr -d '\\r'"]),
    (b"me", "line", b"\xef\xbb\xbfhost.test\n", [
        "begins with a byte order mark, which counts as part of the first entry; remove it",
        "a name has ASCII letters only; write the xn-- form"]),
    (b"me", "line", b"\0", ["has NUL bytes; write it anew"]),
    (b"me", "line", b"", ["its first line is empty, and that is what counts; remove the file for the default"]),
    (b"me", "line", b"\nhost.test\n", [
        "its first line is empty, and that is what counts; remove the file for the default",
        "only the first line counts, 1 more is there"]),
    (b"me", "line", b"# my name\nhost.test\n", [
        "comments do not go into this file: its first line is its value", "only the first line counts, 1 more is there"]),
    (b"helohost", "line", b"host.test # mine\n", ["there is a blank in its value"]),
    (b"idhost", "line", b"a.test\nb.test\nc.test\n", ["only the first line counts, 2 more are there"]),
    (b"databytes", "number", b"ten\n", ["does not begin with a number: the default counts"]),
    (b"databytes", "number", b"\n", ["does not begin with a number: the default counts"]),
    (b"databytes", "number", b"20m\n", ["only the digits at its start count, which are 20"]),
    (b"databytes", "number", b"-1\n", ["does not begin with a number: the default counts"]),
    (b"concurrencyremote", "number", b"0\n", ["0: no such delivery is ever made"]),
    (b"concurrencylocal", "number", b"500\n", ["120 run at once at most"]),
    (b"locals", "list", b" a.test\n", ["line 1 begins with a blank, which counts as part of it"]),
    (b"locals", "list", b"\na.test # ours\n", ["line 2 has a blank in it; a comment takes a line of its own"]),
    (b"rcpthosts", "list", "bücher.test\n".encode(), ["line 1 has letters that are not ASCII; a domain goes in its xn-- form"]),
    (b"senders", "list", b"bob@a.test\n", [
        "line 1 makes no sense: write login:sender, such as bob@example.com:sales@example.com"]),
    (b"submissionlimits", "list", b"a.test:5 5\n:5 5\n", [
        "line 2 makes no sense: before the colon goes a domain or a login"]),
    (b"virtualdomains", "map", b"a.test a\n", ["line 1 has a blank in it; a comment takes a line of its own"]),
    (b"virtualdomains", "map", b"a.test\n", ["line 1 has no colon and does not count"]),
    (b"virtualdomains", "map", b"a.test:a\nA.test:b\n", ["line 2 is the second one for A.test: the last one counts"]),
    (b"virtualdomains", "map", b":a\n:b\n", ["line 2 is the second one for all the rest: the last one counts"]),
    (b"smtproutes", "list", b"a.test\n", [
        "line 1 makes no sense: it has no colon; write domain:relay, or :relay for all mail"]),
    (b"moreipme", "list", b"192.0.2.300\n", ["line 1 makes no sense: it is no IP address"]),
    (b"popdomains", "list", b"192.0.2.1\n", ["line 1 makes no sense: write the address or the name, a blank and the domain"]),
    (b"popdomains", "list", b"192.0.2.300 a.test\nlocalhost a.test\n", [
        "line 1 makes no sense: it is no IP address",
        "line 2 makes no sense: it begins with no IP address and no host's name"]),
    (b"hostnames", "list", b"192.0.2.1\nlocalhost a.test\n192.0.2.1 a.test\n", [
        "line 1 makes no sense: write the address, a blank and the name", "line 2 makes no sense: it is no IP address"]),
    (b"loginlimits", "list", b"failures 20\nexempt 192.0.2.7\nexempt 2001:db8::1\nfails 20\ndelay\nexempt mail.test\n", [
        "line 4 makes no sense: write failures, window, lockout or delay and a number, or exempt and an address",
        "line 5 makes no sense: write failures, window, lockout or delay and a number, or exempt and an address",
        "line 6 makes no sense: it is no IP address"]),
    (b"loginsources", "list", b"virtual\nshared passwd\npam imap\ncheckpassword /bin/x a\nvirtual,passwd\npam\nshared\n", [
        f"line {number} makes no sense: write virtual, passwd, pam SERVICE or checkpassword /PROGRAM ARGUMENTS, one on a line"
        for number in (5, 6, 7)]),
    (b"authmechanisms", "list", b"plain\nSCRAM-SHA-256\nPLAIN,LOGIN\n", [
        "line 3 makes no sense: write one on a line; there are PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256"]),
    (b"loginseparators", "line", b"!-%\n", [
        "letters, digits, dots and - and _ part no user from a domain and do not count"]),
])
def test_faults_are_told(name: bytes, kind: str, text: bytes, expected: "list[str]") -> None:
    assert controlcheck.faults(name, kind, text) == expected


def test_a_file_full_of_faults_does_not_fill_the_screen() -> None:
    assert len(controlcheck.faults(b"locals", "list", b" x\n" * 1000)) == 10


@pytest.mark.parametrize(("name", "entry", "expected"), [
    (b"authsenders", b"@a.test:relay.test:587|joe|s3cret", b"@a.test:relay.test:587 as joe"),
    (b"authsenders", b"joe@a.test|joe|s3cret", b"joe@a.test: as joe"),
    (b"smtproutes", b":relay.test|joe|s3cret|x", b":relay.test as joe"),
    (b"smtproutes", b"a.test:relay.test:26", b"a.test:relay.test:26"),
    # what is a password in a line that is none cannot be known
    (b"authsenders", b"@a.test:relay.test:587:joe:s3cret", b"@a.test:..."),
    (b"authsenders", b"@a.test|joe:s3cret", b"@a.test:..."),
    (b"smtproutes", b"a.test:relay.test:587:joe:s3cret", b"a.test:..."),
    (b"smtproutes", b"a.test:relay s3cret", b"a.test:..."),
    (b"locals", b"a|b:c", b"a|b:c"),
])
def test_entries_show_no_passwords(name: bytes, entry: bytes, expected: bytes) -> None:
    assert controlcheck.shown(name, entry) == expected
    assert b"s3cret" not in " ".join(controlcheck.faults(name, "list", entry)).encode()


@pytest.mark.parametrize(("name", "expected"), [
    (b"locals~", "a copy of locals that an editor or a package left; nobody reads it"),
    (b"#locals#", "a copy of locals that an editor or a package left; nobody reads it"),
    (b".locals.swp", "a copy of locals that an editor or a package left; nobody reads it"),
    (b"locals.dpkg-old", "a copy of locals that an editor or a package left; nobody reads it"),
    (b"locals.2026.bak", "a copy of locals that an editor or a package left; nobody reads it"),
    (b"local", "nobody reads it; perhaps locals is meant"),
    (b"Locals", "nobody reads it; perhaps locals is meant"),
    (b"rcpthost", "nobody reads it; perhaps rcpthosts is meant"),
    (b"rctphosts", "nobody reads it; perhaps rcpthosts is meant"),
    (b"virtualdomain", "nobody reads it; perhaps virtualdomains is meant"),
    (b"virtua1domains", "nobody reads it; perhaps virtualdomains is meant"),
    (b"spfbehavior", "no program of this version reads it"),
    (b"\xff\n", "no program of this version reads it"),
])
def test_strangers_are_explained(name: bytes, expected: str) -> None:
    assert controlcheck.stranger(name, KNOWN) == expected


@given(st.sampled_from(KNOWN), st.one_of(st.binary(max_size=60), st.lists(
    st.sampled_from([b"a.test", b":", b"|", b"\n", b" ", b"#", b"[", b"]", b"@", b"1.2.3.4", b"s3cret", b"\r", b"5"])).map(b"".join)))
def test_whatever_the_text_faults_are_lines_without_passwords(name: bytes, text: bytes) -> None:
    for each in controlcheck.faults(name, control.TABLE[name].kind, text):
        assert each
        assert "s3cret" not in each or name not in controlcheck.SECRET
    for line in text.split(b"\n"):
        controlcheck.shown(name, line)


@given(st.binary(min_size=1, max_size=20))
def test_whatever_the_name_of_a_stranger_there_is_something_to_say(name: bytes) -> None:
    assert controlcheck.stranger(name, KNOWN)
