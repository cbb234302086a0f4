"""A program with the rights of a virtual user, in the directory of his domain: what is in a home may be anything."""

import subprocess

from vqmail import codes
from vqmail.store import roles, virtual

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def run(domain: bytes, user: virtual.User, argv: "list[bytes]", env: "Env", patience: float,
        text: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run `argv` to its end, with `text` on descriptor 0.  TryLater if the home is not his, or it takes too long."""
    virtual.home_directory(domain, user)
    who = {} if roles.single_user() else {"user": user.uid, "group": user.gid, "extra_groups": [user.gid]}
    try:
        return subprocess.run(argv, cwd=virtual.domain_directory(domain), env=env, input=text,  # type: ignore[call-overload, no-any-return]
                              capture_output=True, check=False, timeout=patience, **who)
    except subprocess.TimeoutExpired:
        raise codes.TryLater("%s did not end within %d seconds" % (argv[0].decode(), patience)) from None
