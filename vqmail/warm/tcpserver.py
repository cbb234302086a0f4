"""vq-tcpserver: run a program for each TCP connection; the programs of this home run warm.

SYNOPSIS    vq-tcpserver [-qQvX1UpPhHrRoOdD] [-c max] [-b backlog] [-x rules.cdb] [-B banner]
                         [-u uid] [-g gid] [-l localname] [-t seconds] host port program [arg ...]

WRITES      1   with -1, the port
            2   the log

Keeps tcpserver's contract: descriptors 0 and 1 of program are the connection, the TCP* variables say
who is at its ends, rules made by tcprules allow, deny and set variables, and with -v there are lines
`status`, `pid`, `ok`, `deny` and `end` in the log, written as tcpserver writes them.

If program is vq-smtpd, vq-qmtpd, vq-qmqpd or vq-popup of this home it is not executed: worker processes have it loaded
and take one connection after the other.  Any other program is executed for each connection.

host is 0 for every IPv4 address, :: for every IPv6 address, an address of either kind, or a name, whose
first address is taken, an IPv4 one if there is one.  port is a number or a name; 0 takes a free one.

OPTIONS     -c n    at most n connections at once; 40
            -b n    so many more may wait; 128
            -x f    the rules; without the file nobody is let in, with -X everybody
            -u -g   give up root for this uid and gid as soon as the port is ours; -U takes those
                    in $UID and $GID; 0 stays root
            -l n    the local name is n; it is not looked up
            -h -H   look up the client's name (default), or not
            -p -P   and drop a name that does not lead back to the client, or not (default)
            -r -R   ask the client's host who connects, or not (default)
            -t n    how many seconds it may think about that; 26
            -B s    send s at once
            -1      print the port
            -q -Q -v    say nothing but why we cannot start; errors too (default); everything
            -o -O   obey IP options that a client sets, or not (default)
            -d -D   let the kernel wait for more to send, or not (default)

Not as tcpserver does: -R and -D are the default, for ident tells nothing these days and the wait is
what makes POP3 slow; names come from the system's resolver, so /etc/hosts counts; -u and -g are only
accepted together.

Leaves, to be started again, when setup has renewed the library; who is connected is served on.

ENVIRONMENT PROTO TCPLOCALIP TCPLOCALPORT TCPLOCALHOST TCPREMOTEIP TCPREMOTEPORT TCPREMOTEHOST
            TCPREMOTEINFO   are set or unset for program; with IPv6 PROTO is TCP6, and each is there
                            as TCP6..., too
            UID GID         with -U

EXIT        0   stopped by TERM, or the library was renewed
            100 wrong usage
            111 cannot listen

RUNS AS     root until the port is bound, then -u and -g

SECURITY    The process that accepts reads nothing that a client sends.  A rule for a name or a prefix
            holds whatever letters are capital in a name and however an IPv6 address is written.

STANDARDS   tcpserver(1), tcp-environ(5), tcprules(1); RFC 1413 (-r)
"""

import _socket
import errno

from vqmail import codes
from vqmail.unix import calls, fd, priv
from vqmail.warm import acceptor, tcpoptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from vqmail.unix.chain import Env

ANY = b"0.0.0.0"
REMEDIES = {
    errno.EADDRINUSE: "another server is there; stop it or take another port",
    errno.EACCES: "only root may take a port below 1024; start it as root and give -u and -g",
    errno.EADDRNOTAVAIL: "this machine does not have that address; see `ip address`",
}


def main(argv: "list[bytes]", env: "Env") -> int:
    """Serve until TERM."""
    options = tcpoptions.Options(argv, env)
    null = _open_null()
    listener = _listen(options)
    if options.owner is not None:
        # ---- root above, the server's user below ----
        priv.drop_to(*options.owner)
    if options.prints_port:
        fd.write_all(1, b"%d\n" % listener.getsockname()[1])
    for each in (0, 1):                         # a program must not find our input in the place of its client
        calls.dup2(null, each, inheritable=True)
    calls.close(null)
    return acceptor.Server(options, listener, env).run()


def _open_null() -> int:
    """/dev/null, and none of 0, 1 and 2 closed: they must not become sockets of ours."""
    while (null := calls.open(b"/dev/null", calls.O_RDWR | calls.O_CLOEXEC)) <= 2:
        calls.set_inheritable(null, True)
    return null


def _listen(options: tcpoptions.Options) -> "socket":
    family, address = _address(options)
    listener = _socket.socket(family, _socket.SOCK_STREAM)
    listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
    if family == _socket.AF_INET6:              # 0 and :: may be two servers
        listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
    if not options.delays:                      # connections inherit it
        listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    try:
        listener.bind(address)
        listener.listen(options.backlog)
    except OSError as error:
        raise codes.TryLater("cannot listen on %s port %d: %s%s" % (
            address[0], address[1], error.strerror,
            "; " + REMEDIES[error.errno] if error.errno in REMEDIES else "")) from None
    listener.setblocking(False)
    return listener


def _address(options: tcpoptions.Options) -> "tuple[int, tuple[str, int]]":
    """(family, address) to listen at."""
    port = _port(options.port)
    host = options.host if options.host not in (b"", b"0") else ANY
    try:
        # bytes, not str: for a str the interpreter would load its machinery for international names
        found = _socket.getaddrinfo(host, None, 0, _socket.SOCK_STREAM)
    except OSError as error:
        raise codes.TryLater("there is no address of host %s: %s" % (
            host.decode("ascii", "replace"), error.strerror)) from None
    family, _, _, _, address = min(found, key=lambda each: each[0] != _socket.AF_INET)
    return family, (str(address[0]), port, *address[2:])


def _port(text: bytes) -> int:
    if text.isdigit():
        if len(text) > 5 or int(text) > 0xFFFF:
            raise codes.GiveUp("port %s: there are 65535" % text[:20].decode())
        return int(text)
    try:
        return _socket.getservbyname(text.decode("ascii", "replace"), "tcp")
    except OSError:
        raise codes.TryLater("there is no port %s; give its number, or put it into /etc/services"
                             % text.decode("ascii", "replace")) from None
