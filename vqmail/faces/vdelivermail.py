"""vdelivermail: vpopmail's delivery, in a domain's .qmail-default.

SYNOPSIS    | vdelivermail '' delete|bounce-no-mailbox|MAILDIR|ADDRESS

The first argument means nothing.  The second says what happens to mail for nobody: it is dropped, bounced, put into
that maildir of the owner's, sent on to that address.  It is virtmailfilter with that catch-all; who is somebody, where
his mail goes, his .qmail and his quota are as there.

EXIT        0   delivered
            100 no such user; a loop
            111 any trouble; try again later

RUNS AS     the domain's owner, vpopmail

STANDARDS   vpopmail 5.4, vdelivermail.c
"""

from vqmail import codes, vqhome
from vqmail.unix import chain, fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Be virtmailfilter."""
    if len(argv) != 3:
        fd.write_all(1, b"vdelivermail: write | vdelivermail '' delete, bounce-no-mailbox, a maildir or an address\n")
        return codes.TEMPORARY                  # a mistake in a dot-qmail file bounces nothing
    return chain.Next([vqhome.path(b"bin/virtmailfilter"), argv[2]], env)
