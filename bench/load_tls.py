"""Sessions over TLS with a login, one after the other in each of some processes; the same for every server measured.

    load_tls.py smtp|pop3 PORT COUNT AT-ONCE CA PASSWORD MESSAGES SIZE LOGINS...

smtp: STARTTLS, AUTH PLAIN, one message of SIZE bytes from each login to himself.  pop3: TLS from the first byte, USER,
PASS, STAT, LIST, RETR MESSAGES times.  Every session is a full handshake.  Writes one line of JSON, as load.py does.
"""

import base64
import json
import os
import resource
import socket
import ssl
import sys
import time

import load

HOST = "host.bench.test"


class Client:
    """One connection of which every reply is expected."""

    def __init__(self, port: int, context: "ssl.SSLContext") -> None:
        self.context = context
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self) -> None:
        """The handshake."""
        self.socket = self.context.wrap_socket(self.socket, server_hostname=HOST)

    def say(self, text: bytes, begin: bytes, end: bytes = b"\r\n") -> None:
        """Say it; SystemExit with the reply if that is not as expected."""
        if text:
            self.socket.sendall(text)
        got = b""
        while not got.endswith(end) or (begin == b"250" and got.rstrip().rpartition(b"\n")[2][3:4] == b"-"):
            data = self.socket.recv(65536)
            if not data:
                break
            got += data
        if not got.startswith(begin):
            raise SystemExit(f"after {text[:60]!r}: expected {begin!r}, got {got[:200]!r}")


def log_in(port: int, context: "ssl.SSLContext", login: bytes, password: bytes) -> Client:
    """An SMTP session in which `login` may send."""
    client = Client(port, context)
    client.say(b"", b"220")
    client.say(b"EHLO bench.test\r\n", b"250")
    client.say(b"STARTTLS\r\n", b"220")
    client.secure()
    client.say(b"EHLO bench.test\r\n", b"250")
    client.say(b"AUTH PLAIN " + base64.b64encode(b"\0" + login + b"\0" + password) + b"\r\n", b"235")
    return client


def smtp(port: int, context: "ssl.SSLContext", login: bytes, password: bytes, number: int, size: int) -> None:
    """One message."""
    client = log_in(port, context, login, password)
    client.say(b"MAIL FROM:<" + login + b">\r\n", b"250")
    client.say(b"RCPT TO:<" + login + b">\r\n", b"250")
    client.say(b"DATA\r\n", b"354")
    client.say(load.message(number, login, size), b"250")
    client.say(b"QUIT\r\n", b"221")
    client.socket.close()


def pop3(port: int, context: "ssl.SSLContext", login: bytes, password: bytes, messages: int) -> None:
    """One reading of a mailbox."""
    client = Client(port, context)
    client.secure()
    client.say(b"", b"+OK")
    for line in (b"USER " + login, b"PASS " + password, b"STAT"):
        client.say(line + b"\r\n", b"+OK")
    for line in (b"LIST", *(b"RETR %d" % each for each in range(1, messages + 1))):
        client.say(line + b"\r\n", b"+OK", b"\r\n.\r\n")
    client.say(b"QUIT\r\n", b"+OK")
    client.socket.close()


def main(argv: "list[str]") -> None:
    kind, port, count, at_once, ca, password, messages, size, *names = argv
    logins = [each.encode() for each in names]
    started = time.monotonic()
    children = []
    for first in range(int(at_once)):
        pid = os.fork()
        if pid == 0:
            context = ssl.create_default_context(cafile=ca)
            for number in range(first, int(count), int(at_once)):
                login = logins[number % len(logins)]
                if kind == "smtp":
                    smtp(int(port), context, login, password.encode(), number, int(size))
                else:
                    pop3(int(port), context, login, password.encode(), int(messages))
            os._exit(0)
        children.append(pid)
    if any([os.waitpid(pid, 0)[1] for pid in children]):
        raise SystemExit("a client failed")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"start": started, "end": time.monotonic(), "cpu": used.ru_utime + used.ru_stime,
                      "done": int(count)}))


if __name__ == "__main__":
    main(sys.argv[1:])
