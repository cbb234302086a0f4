"""The small commands from a shell: their message may be a pipe, their environment is the test's."""

import subprocess
import typing

from local_world import DELIVERED, DTLINE, MESSAGE, RPLINE, User  # noqa: F401

SENDER = b"sender@far.example"

LINES = {"UFLINE": "From s@a Sat Nov 21 05:18:57 2026\n", "RPLINE": "Return-Path: <s@a>\n",
         "DTLINE": "Delivered-To: joe@b\n"}


def run(user: User, argv: "list[str | bytes]", message: "bytes | None" = None, env: "dict[str, str] | None" = None,
        **options: typing.Any) -> "subprocess.CompletedProcess[bytes]":
    """Run a program with `message` in a pipe; what is queued goes to the user's queue."""
    return user.world.installation.run(argv, MESSAGE if message is None else message,
                                       {"QMAILQUEUE": str(user.queue)} | (env or {}), cwd=user.home, **options)
