"""JSON as scripts get it."""

import json

import pytest

from vqmail.formats import jsonline


@pytest.mark.parametrize(("value", "expected"), [
    (None, b"null"),
    (True, b"true"),
    (False, b"false"),
    (0, b"0"),
    (-5, b"-5"),
    (b"", b'""'),
    (b'a "quoted" \\ word\n\t\x01', b'"a \\"quoted\\" \\\\ word\\n\\t\\u0001"'),
    ("é", b'"\\u00e9"'),
    (b"\xff", b'"\\udcff"'),
    ("𝄞", b'"\\ud834\\udd1e"'),
    ([], b"[]"),
    ([1, [b"x"]], b'[1, ["x"]]'),
    ({}, b"{}"),
    ({b"a": 1, b"b": None}, b'{"a": 1, "b": null}'),
    (b"\x7f", b'"\\u007f"'),
])
def test_value_as_json(value: object, expected: bytes) -> None:
    assert jsonline.encode(value) == expected
    json.loads(expected)
