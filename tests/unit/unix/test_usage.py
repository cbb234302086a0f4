"""What a command says of arguments that it does not know."""

import pytest

from vqmail import codes
from vqmail.unix import usage

FEW = """vq-x: a page.

SYNOPSIS    vq-x [--json] [NAME]
            vq-x --help

EXIT        0   done
"""
MANY = """vq-y: another page.

SYNOPSIS    vq-y add USER@DOMAIN [--json]
                     [--host=HOST] [options]
            vq-y delete USER@DOMAIN
            vq-y list DOMAIN [--json]
            vq-y list --all
            vq-y --help

OPTIONS     --name=NAME     what people call him
            --dry           only say what
                            would be done

EXIT        0   done; SYNOPSIS is not looked for here
"""


def test_arguments_are_taken_as_they_were_given() -> None:
    assert usage.parse(MANY, [b"vq-y", b"add", b"b\xf6b@x.test", b"--name=B"])["USER@DOMAIN"] == "b\udcf6b@x.test"


def test_options_are_taken_wherever_they_stand_and_with_or_without_the_sign() -> None:
    asked = usage.parse(MANY, [b"vq-y", b"add", b"--dry", b"--host", b"h", b"bob@x.test", b"--json", b"--name=B"])

    assert ["h", True, True, "B"] == [asked[each] for each in ("--host", "--json", "--dry", "--name")]


@pytest.mark.parametrize(("text", "words", "said"), [
    (FEW, [b"--jsn"], "usage: vq-x [--json] [NAME]; vq-x --help"),
    (MANY, [b"add"], "usage: vq-y add USER@DOMAIN [--json] [--host=HOST] [options]"),
    (MANY, [b"list"], "usage: vq-y list DOMAIN [--json]; vq-y list --all"),
    (MANY, [b"lost"], "usage: vq-y COMMAND ..., and COMMAND is one of: add delete list; vq-y --help says more"),
    (MANY, [], "usage: vq-y COMMAND ..., and COMMAND is one of: add delete list; vq-y --help says more"),
])
def test_what_does_not_fit_is_answered_with_what_would(text: str, words: "list[bytes]", said: str) -> None:
    with pytest.raises(codes.GiveUp) as refused:
        usage.parse(text, [b"/bin/vq-y", *words])

    assert str(refused.value) == said
