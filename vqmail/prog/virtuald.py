"""vq-virtuald: find the domain of the address that the client connected to, then run a program.

SYNOPSIS    vq-virtuald [-r] conf prog [arg ...]

conf, such as /virtual/conf.pop, has a line for each address of ours, IPv4 or IPv6, and * for all others:

    # address       directory of the domain, or the domain itself
    10.0.0.2        /virtual/domain1.com
    10.0.0.3        /virtual/domain2.com
    2001:db8::3     domain2.com
    *               domain1.com

A client at an address without a line is sent away.  Stands between tcpserver and vq-popup, so that a
bare `bob` is bob@domain1.com on one address and bob@domain2.com on the other:

    tcpserver -u 0 -g 0 0 pop-3 vq-virtuald /virtual/conf.pop vq-popup host vq-checkpassword vq-pop3d Maildir

A line that makes no sense hurts only addresses that no other line names: they are told to try later.
The check of the installation (make check-setup) tells of such lines in conf.* below control/virtualroot.

With -r prog runs with the directory as its root, and in it.  Only what is inside is there for it then:

    a program executed      itself, and all that it opens, must be inside: a static binary, or one with its
                            libraries.  vq-popup and its kin cannot be executed so, for there is no Python
    vq-popup, vq-checkpassword, vq-pop3d under vq-tcpserver
                            named by their whole paths, are loaded already and run inside without a file
                            of theirs.  control/, users/ and run/ outside are out of sight, so defaults count,
                            wrong passwords do not, as the log says, and no last login is noted; the users
                            are found if virtual/DOMAIN inside is a link to / (mkdir virtual;
                            ln -s / virtual/DOMAIN)

conf, and with -r the directory, must be root's, and nobody else may write there: programs run as root.  So with -r
the owner of the domain has no dot-qmail files there of his own making.

READS       conf
WRITES      2   the log: who was sent away

ENVIRONMENT TCPLOCALIP  the address that the client connected to; without it the connection on 0 is asked
            VQ_DOMAIN   is set for prog: the domain, in lower case
            TCPLOCALHOST is set to it, too, as checkvpw and others like to have it

CONTROL FILES
            virtualroot

EXIT        100 wrong usage; no line for this address
            111 trouble; conf cannot be read; a line makes no sense that may be the one
            otherwise that of prog

RUNS AS     whoever runs prog; with -r root

SECURITY    The domain decides only whose name a bare login is completed with, and so whose password counts.

STANDARDS   Virtual Services HOWTO: virtuald
"""

from vqmail import codes
from vqmail.formats import header, virtualhosts
from vqmail.store import virtual
from vqmail.unix import calls, chain, fd, inetd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from posix import stat_result

    from vqmail.unix.chain import Env

USAGE = "usage: vq-virtuald [-r] conf prog [arg ...]"
LIMIT = 4 << 20                 # bytes of conf


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Say which domain it is, and become the program."""
    inside = argv[1:2] == [b"-r"]
    words = argv[2:] if inside else argv[1:]
    if len(words) < 2 or words[0].startswith(b"-"):
        raise codes.GiveUp(USAGE)
    conf, *program = words
    env = inetd.environment(0, env)
    address = env.get(b"TCPLOCALIP", b"")
    where = _lookup(conf, address)
    if not where:
        log.line(log.name_of(argv), b"%s has no line for %s: %s sent away" % (
            conf, header.safe(address or b"an unknown address"), header.safe(env.get(b"TCPREMOTEIP", b"a client"))))
        return codes.PERMANENT
    domain = virtualhosts.domain_of(where)
    env = env | {b"VQ_DOMAIN": domain, b"TCPLOCALHOST": domain}
    if not inside:
        return chain.Next(program, env)
    return chain.Next(program, env, root=_root(where if where.startswith(b"/") else virtual.domain_directory(domain)))


def _lookup(conf: bytes, address: bytes) -> bytes:
    shown = conf.decode("utf-8", "replace")
    try:
        _trusted(calls.stat(conf), shown)
        hosts, faults = virtualhosts.parse(fd.read_file(conf, LIMIT))
    except OSError as error:
        raise codes.TryLater("cannot read %s: %s" % (shown, error.strerror)) from None
    except ValueError as error:
        raise codes.TryLater("%s is too large: %s" % (shown, error)) from None
    others = hosts.pop(virtualhosts.OTHERS, b"")
    where = virtualhosts.lookup(hosts, address)
    if where:
        return where
    if faults:                                  # one of them may be the line of this address
        raise codes.TryLater("%s: line %d %s" % (shown, *faults[0]))
    return others


def _root(directory: bytes) -> bytes:
    shown = directory.decode("utf-8", "replace")
    try:
        found = calls.stat(directory)
    except OSError as error:
        raise codes.TryLater("cannot look at %s: %s" % (shown, error.strerror)) from None
    _trusted(found, shown)
    return directory


def _trusted(found: "stat_result", shown: str) -> None:
    """Whoever can write to it decides what root does, and whose password counts."""
    if found.st_uid not in (0, calls.geteuid()) or found.st_mode & 0o022:
        raise codes.TryLater("%s is writable for others than root: chown root and chmod go-w it" % shown)
