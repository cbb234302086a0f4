"""The client's end of SCRAM-SHA-256, by hashlib: what the server's end is compared with."""

import base64
import hashlib
import hmac


class Client:
    """One login.  `header` is the GS2 header, `nonce` the client's."""

    def __init__(self, name: bytes, password: bytes, nonce: bytes = b"rOprNGfwEbeRWgbNEkqO", header: bytes = b"n,,") -> None:
        self._header = header
        self._nonce = nonce
        self._password = password
        self._bare = b"n=" + name.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=" + nonce

    def first(self) -> bytes:
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(each.split(b"=", 1) for each in server_first.split(b","))
        assert fields[b"r"].startswith(self._nonce) and len(fields[b"r"]) > len(self._nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        without = b"c=" + base64.b64encode(self._header) + b",r=" + fields[b"r"]
        message = self._bare + b"," + server_first + b"," + without
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        self.expected = b"v=" + base64.b64encode(
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
        return without + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))
