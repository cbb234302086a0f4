"""The channel between vq-send and its spawners (QMAIL interface 5).

    greeting    one byte: how many deliveries at once
    command     delivery number (one byte), then message NUL sender NUL recipient NUL
    report      delivery number (one byte), K Z or D, text NUL
"""

from vqmail import codes

SPAWN = 120                     # deliveries at once, as qmail is compiled
REPORT_LIMIT = 10_000           # bytes vq-send takes of a report
OUTPUT_LIMIT = 3_000            # bytes vq-lspawn takes of a delivery's output
ADDRESS_LIMIT = 4_096           # bytes of an address; VERP and prefixes make them longer than the envelope's 1002
TYPE_CHECKING = False


def command(slot: int, message: bytes, sender: bytes, recipient: bytes) -> bytes:
    """A command, as vq-send writes it."""
    return b"%c%s\0%s\0%s\0" % (slot, message, sender, recipient)


def report(slot: int, text: bytes) -> bytes:
    """A report; `text` begins with its letter and is cut at its first NUL."""
    return b"%c%s\0" % (slot, text.partition(b"\0")[0])


class Commands:
    """Commands as they arrive, in pieces."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> "list[tuple[int, bytes, bytes, bytes]]":
        """(delivery number, message, sender, recipient) of each command that is now complete."""
        data = self._data + data
        found = []
        start = 0
        while True:
            fields = data[start + 1:].split(b"\0", 3) if start < len(data) else []
            if len(fields) < 4:
                break
            found.append((data[start], fields[0], fields[1], fields[2]))
            start = len(data) - len(fields[3])
        self._data = data[start:]
        return found


class Reports:
    """Reports as they arrive, in pieces."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> "list[tuple[int, bytes]]":
        """(delivery number, letter and text) of each report that is now complete."""
        data = self._data + data
        found = []
        start = 0
        while (end := data.find(b"\0", start + 1)) >= 0:
            found.append((data[start], data[start + 1:end][:REPORT_LIMIT]))
            start = end + 1
        rest = data[start:]
        self._data = rest if len(rest) <= REPORT_LIMIT + 1 else rest[:REPORT_LIMIT + 1]
        return found


# What an exit code of vq-local means, where its output is not to be used (QMAIL interface 5.2).
LOCAL = {
    112: b"ZInternal error: vq-local was called wrongly. (#4.3.0)\n",
    113: b"ZNot allowed to perform deliveries as root. (#4.3.5)\n",
    115: b"ZTrouble with a network file system while looking at the home. (#4.3.0)\n",
    116: b"ZThere is no alias user. (#4.3.5)\n",
    117: b"ZTrouble reading users/cdb: run vq-newu. (#4.3.0)\n",
    118: b"ZTrouble looking up the user. (#4.3.0)\n",
    119: b"ZOut of memory. (#4.3.0)\n",
    120: b"ZTemporary failure starting vq-local. (#4.3.0)\n",
    121: b"ZCannot run vq-getpw. (#4.3.0)\n",
    126: b"DCannot run vq-local. (#4.3.0)\n",
}
TEMPORARY = (codes.TEMPORARY, 71, 74, 75)


def local_report(code: int, output: bytes) -> bytes:
    """Letter and text for a delivery that ended with `code` (minus a signal) after writing `output`.

    A code that vq-local does not have is a crash of some kind: nobody's mail is sent back for that.
    """
    if len(output) > OUTPUT_LIMIT:
        output = output[:OUTPUT_LIMIT] + b"\nError report too long, sorry.\n"
    if code == codes.OK:
        return b"K" + output
    if code < 0:
        return b"Zvq-local crashed. (#4.3.0)\n"
    if code in LOCAL:
        return LOCAL[code]
    if code == codes.PERMANENT:
        return b"D" + output
    if code in TEMPORARY:
        return b"Z" + output
    return b"Z" + output + b"vq-local ended with %d. (#4.3.0)\n" % code
