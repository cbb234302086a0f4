"""What vq-remote says on its descriptor 1, and what vq-rspawn makes of it (QMAIL interface 5.3, 13.1).

    output      ( recipient NUL )*  message NUL
    recipient   r accepted, h refused for ever, s refused for now; then text
    message     K sent, D failed for ever, Z failed for now; then text

For one recipient they become one report, whose letter is in this table and nowhere else:

                    message K   Z   D
    recipient r             K   Z   D
              s             Z   Z   Z
              h             D   D   D
    none                    K   Z   D
"""

LETTERS = {
    b"r": {b"K": b"K", b"Z": b"Z", b"D": b"D"},
    b"s": {b"K": b"Z", b"Z": b"Z", b"D": b"Z"},
    b"h": {b"K": b"D", b"Z": b"D", b"D": b"D"},
}
RANK = {b"K": 1, b"Z": 0, b"D": -1}

CRASHED = b"Zvq-remote crashed. (#4.3.0)\n"
TROUBLE = b"Zvq-remote had trouble and ended with %d. (#4.3.0)\n"
SILENT = b"Zvq-remote said nothing. (#4.3.0)\n"
MANGLED = b"Zvq-remote's report makes no sense. (#4.3.0)\n"


def encode(recipient_reports: "list[bytes]", message_report: bytes) -> bytes:
    """What vq-remote writes; a report is a letter and text."""
    return b"".join([each.replace(b"\0", b"?") + b"\0" for each in [*recipient_reports, message_report]])


def for_vq_send(output: bytes, code: int) -> bytes:
    """Letter and text for vq-send, when vq-remote ended with `code` (minus a signal) after writing `output`.

    Only 0 is an agreed code, and only a report that is complete counts: whatever else there is passes, and nobody's
    mail is sent back for it.
    """
    if code < 0:
        return CRASHED
    if code:
        return TROUBLE % code
    if not output:
        return SILENT
    reports = output.split(b"\0")[:-1]          # what has no NUL behind it is not complete
    first = reports[0] if reports else b""
    message = next((each for each in reports if each[:1] in RANK), b"")
    if first[:1] in RANK:
        return first
    if first[:1] not in LETTERS:
        return MANGLED
    rank = RANK.get(message[:1], 0)             # none: it did not come to its end
    letter = LETTERS[first[:1]][message[:1] or b"Z"]
    return letter + first[1:] + (message[1:] if rank <= RANK[letter] else b"")
