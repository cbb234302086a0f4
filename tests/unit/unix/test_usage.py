"""What a command says of arguments that it does not know."""

import pytest

from vqmail import codes
from vqmail.unix import usage

FEW = """usage: vq-x [--json] [NAME]
       vq-x --help"""
MANY = """Usage:
  vq-y add ADDRESS [options]
  vq-y delete ADDRESS
  vq-y list DOMAIN [--json]
  vq-y list --all
  vq-y --help

Options:
  --name=NAME
"""


def test_arguments_are_taken_as_they_were_given() -> None:
    assert usage.parse(MANY, [b"vq-y", b"add", b"b\xf6b@x.test", b"--name=B"])["ADDRESS"] == "b\udcf6b@x.test"


@pytest.mark.parametrize(("text", "words", "said"), [
    (FEW, [b"--jsn"], "usage: vq-x [--json] [NAME]; vq-x --help"),
    (MANY, [b"add"], "usage: vq-y add ADDRESS [options]"),
    (MANY, [b"list"], "usage: vq-y list DOMAIN [--json]; vq-y list --all"),
    (MANY, [b"lost"], "usage: vq-y COMMAND ..., and COMMAND is one of: add delete list; vq-y --help says more"),
    (MANY, [], "usage: vq-y COMMAND ..., and COMMAND is one of: add delete list; vq-y --help says more"),
])
def test_what_does_not_fit_is_answered_with_what_would(text: str, words: "list[bytes]", said: str) -> None:
    with pytest.raises(codes.GiveUp) as refused:
        usage.parse(text, [b"/bin/vq-y", *words])

    assert str(refused.value) == said
