"""The lines of vq-qread."""

import json

from vqmail.formats import queuelist
from vqmail.formats.queuelist import Listed

PLAIN = Listed(2205760, 1795238337, 345, b"list-@example.org-@[]", False, False,
               [(0, b"virt.example-joe@virt.example", True), (1, b"ann@remote.example", False)])


def test_a_message_is_shown_to_the_byte_as_qmail_qread_does() -> None:
    assert queuelist.text(PLAIN) == (b"21 Nov 2026 05:18:57 GMT  #2205760  345  <list-@example.org-@[]> \n"
                                     b"  done\tlocal\tvirt.example-joe@virt.example\n"
                                     b"\tremote\tann@remote.example\n")


def test_bouncing_is_said_and_so_is_todo() -> None:
    one = Listed(7, 1767225600, 1, b"", True, False, [])
    both = Listed(7, 1767225600, 1, b"", True, True, [])

    assert queuelist.text(one) == b"1 Jan 2026 00:00:00 GMT  #7  1  <>  bouncing\n"
    assert queuelist.text(both) == b"1 Jan 2026 00:00:00 GMT  #7  1  <>  bouncing todo\n"


def test_no_address_can_forge_a_line() -> None:
    evil = Listed(7, 1767225600, 1, b"a\n\tlocal\tb\x1b[2J", False, False, [(0, b"\xc3\xa9\n@x", False)])

    assert queuelist.text(evil) == b"1 Jan 2026 00:00:00 GMT  #7  1  <a__local_b_[2J> \n\tlocal\t___@x\n"


def test_colours_are_added_only_where_they_are_wanted() -> None:
    one = Listed(7, 1767225600, 1, b"", True, True, [(1, b"a@b", True)])

    assert queuelist.text(one, colours=True) == (
        b"1 Jan 2026 00:00:00 GMT  #7  1  <> \x1b[31m bouncing\x1b[0m\x1b[33m todo\x1b[0m\n"
        b"\x1b[32m  done\x1b[0m\tremote\ta@b\n")


def test_json_says_the_same() -> None:
    assert queuelist.json(PLAIN) == (
        b'{"number": 2205760, "arrived": 1795238337, "bytes": 345, "sender": "list-@example.org-@[]", '
        b'"bouncing": false, "todo": false, "recipients": ['
        b'{"channel": "local", "address": "virt.example-joe@virt.example", "done": true}, '
        b'{"channel": "remote", "address": "ann@remote.example", "done": false}]}\n')


def test_json_gives_back_the_very_bytes() -> None:
    address = bytes(range(256)) + "é𝄞".encode()
    line = queuelist.json(Listed(1, 2, 3, address, False, False, []))

    assert line.isascii()
    assert json.loads(line)["sender"].encode("utf-8", "surrogateescape") == address


def test_totals() -> None:
    assert queuelist.total(1, 1, 10) == b"total: 1 message, 1 recipient to do, 10 bytes\n"
    assert queuelist.total(0, 2, 0) == b"total: 0 messages, 2 recipients to do, 0 bytes\n"


def test_trouble_has_qmails_words() -> None:
    assert queuelist.trouble(9, "No such file\n") == b"warning: trouble with #9: No such file_\n"
