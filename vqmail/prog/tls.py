"""vq-tls: secure a client's connection by TLS, then run a program on it.

SYNOPSIS    vq-tls prog [arg ...]

READS       0   the client, who begins to speak TLS at once
WRITES      2   the log: with whom no TLS was possible, and why

Hands the connection to the service `vq-service tls`, and becomes prog when the client and the service
have agreed: prog reads and writes plain text on 0 and 1.  For smtps and pop3s:

    tcpserver ... 465 vq-tls vq-smtpd
    tcpserver ... 995 vq-tls vq-popup pop.example.org vq-checkpassword vq-pop3d Maildir

Has no access to the key, and needs none; prog may be any program that tcpserver can run.

ENVIRONMENT SSL_PROTOCOL    is set for prog, such as TLSv1.3: the session is secured
            SSL_CIPHER      is set, such as TLS_AES_256_GCM_SHA384
            SSL_TLS_SNI_SERVERNAME  is set to the name that the client asked for, or unset
            PROTO TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT are set if they were not, as under inetd

EXIT        1   no TLS with that client
            100 wrong usage
            111 the service is not there
            otherwise that of prog

RUNS AS     root, or qmaild: nobody else is served

STANDARDS   RFC 8314 (implicit TLS), 8446, 5246
"""

from vqmail import codes
from vqmail.formats import header
from vqmail.store import secure
from vqmail.unix import calls, chain, fd, inetd, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vqmail.unix.chain import Env

VARIABLES = (b"SSL_PROTOCOL", b"SSL_CIPHER", b"SSL_TLS_SNI_SERVERNAME")


def main(argv: "list[bytes]", env: "Env") -> "int | chain.Next":
    """Have 0 secured and become the program."""
    if len(argv) < 2:
        raise codes.GiveUp("usage: vq-tls prog [arg ...]")
    env = inetd.environment(0, env)
    env = without_variables(env)
    upgrade = secure.Upgrade(0)
    try:
        plain, variables = upgrade.answer()
    except secure.Failed as failure:
        log.line(log.name_of(argv), failed(calls.getpid(), env, failure))
        return codes.SESSION_BROKEN
    finally:
        upgrade.close()
    fd.move(0, plain)
    calls.dup2(0, 1, inheritable=True)
    return chain.Next(argv[1:], env | variables)


def without_variables(env: "Env") -> "Env":
    """The environment without what only a handshake may say."""
    return {name: value for name, value in env.items() if name not in VARIABLES}


def failed(pid: int, env: "Env", why: Exception) -> bytes:
    """What the log is told of a handshake that was none."""
    return b"pid %d from %s: no TLS: %s" % (
        pid, header.safe(env.get(b"TCPREMOTEIP", b"unknown")), str(why).encode())
