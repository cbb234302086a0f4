"""What becomes of vq-remote's reports: the whole table of QMAIL interface 5.3."""

import pytest

from vqmail.formats import remotereport

TABLE = [
    # output of vq-remote, report for vq-send
    (b"r\0Kok\0", b"Kok"),
    (b"r\0Zlater\0", b"Zlater"),
    (b"r\0Dno\0", b"Dno"),
    (b"sgrey\n\0Kok\0", b"Zgrey\n"),
    (b"sgrey\n\0Zlater\0", b"Zgrey\nlater"),
    (b"sgrey\n\0Dgiving up\n\0", b"Zgrey\ngiving up\n"),
    (b"hwho\n\0Kok\0", b"Dwho\n"),
    (b"hwho\n\0Zlater\0", b"Dwho\n"),
    (b"hwho\n\0Dgiving up\n\0", b"Dwho\ngiving up\n"),
    (b"Kok\0", b"Kok"),
    (b"Zlater\0", b"Zlater"),
    (b"Dno\0", b"Dno"),
    # more than one recipient: the first decides
    (b"r\0hwho\0Kok\0", b"Kok"),
    (b"hwho\0r\0Kok\0", b"Dwho"),
    (b"sgrey\0r\0Kok\0", b"Zgrey"),
    # what follows the message's report is nobody's business
    (b"Kok\0Dno\0", b"Kok"),
    (b"r\0Kok\0Dno\0", b"Kok"),
    # not complete
    (b"r\0", b"Z"),
    (b"r\0Kok", b"Z"),
    (b"sgrey\0", b"Zgrey"),
    (b"hwho\0", b"Dwho"),
    (b"", b"Zvq-remote said nothing. (#4.3.0)\n"),
    (b"Kok", b"Zvq-remote's report makes no sense. (#4.3.0)\n"),
    (b"\0Kok\0", b"Zvq-remote's report makes no sense. (#4.3.0)\n"),
    (b"Traceback\0Kok\0", b"Zvq-remote's report makes no sense. (#4.3.0)\n"),
]


@pytest.mark.parametrize(("output", "report"), TABLE)
def test_exit_code_0(output: bytes, report: bytes) -> None:
    assert report == remotereport.for_vq_send(output, 0)


@pytest.mark.parametrize("code", range(1, 256))
def test_every_other_exit_code_is_temporary(code: int) -> None:
    assert b"Zvq-remote had trouble and ended with %d. (#4.3.0)\n" % code == remotereport.for_vq_send(b"r\0Kok\0", code)


@pytest.mark.parametrize("code", range(-64, 0))
def test_every_signal_is_temporary(code: int) -> None:
    assert remotereport.for_vq_send(b"r\0Kok\0", code) == b"Zvq-remote crashed. (#4.3.0)\n"


@pytest.mark.parametrize(("recipients", "message", "output"), [
    ([], b"Dno", b"Dno\0"),
    ([b"r", b"hwho", b"sgrey"], b"Kok", b"r\0hwho\0sgrey\0Kok\0"),
    ([b"ha\0b"], b"Dc\0d", b"ha?b\0Dc?d\0"),
])
def test_encode(recipients: "list[bytes]", message: bytes, output: bytes) -> None:
    assert output == remotereport.encode(recipients, message)
