"""What the exit code of a qmail-queue program means to the one who called it (QMAIL interface 2.2).

An answer is b"" when the message is queued, else text that begins with D (for ever) or Z (for now).
"""

from vqmail import codes

TEXT = {
    codes.QUEUE_ADDRESS_TOO_LONG: b"Denvelope address too long for the queue (#5.1.3)",
    codes.QUEUE_REFUSED: b"Dmail server permanently rejected message (#5.3.0)",
    codes.QUEUE_NO_MEMORY: b"Zqueue is out of memory (#4.3.0)",
    codes.QUEUE_TIMEOUT: b"Zqueue timed out (#4.3.0)",
    codes.QUEUE_WRITE_ERROR: b"Zqueue cannot write, perhaps the disk is full (#4.3.0)",
    codes.QUEUE_READ_ERROR: b"Zqueue could not read the message to its end (#4.3.0)",
    codes.QUEUE_NO_CONFIGURATION: b"Zqueue cannot read its configuration (#4.3.0)",
    codes.QUEUE_NO_NETWORK: b"Zqueue cannot make a network connection (#4.3.0)",
    codes.QUEUE_NO_HOME: b"Zqueue cannot enter its home (#4.3.0)",
    codes.QUEUE_NO_QUEUE: b"Zqueue directory cannot be entered (#4.3.0)",
    codes.QUEUE_NO_PID_FILE: b"Zqueue cannot create files (#4.3.0)",
    codes.QUEUE_NO_MESS: b"Zqueue cannot link into mess (#4.3.0)",
    codes.QUEUE_NO_INTD: b"Zqueue cannot create the envelope (#4.3.0)",
    codes.QUEUE_NO_TODO: b"Zqueue cannot link into todo (#4.3.0)",
    codes.QUEUE_REFUSED_FOR_NOW: b"Zmail server temporarily rejected message (#4.3.0)",
    codes.QUEUE_CONNECT_TIMEOUT: b"Zconnection to mail server timed out (#4.4.1)",
    codes.QUEUE_CONNECT_REFUSED: b"Zconnection to mail server rejected (#4.4.1)",
    codes.QUEUE_CONNECTION_BROKE: b"Zcommunication with mail server failed (#4.4.2)",
    codes.QUEUE_BUG: b"Zinternal error in the queue (#4.3.0)",
    codes.QUEUE_ENVELOPE_FORMAT: b"Zqueue does not understand this envelope (#4.3.0)",
    codes.QUEUE_CANNOT_EXEC: b"Zcannot run the queue program (#4.3.0)",
    115: b"Denvelope address too long for the queue (#5.1.3)",
}
CUSTOM_LIMIT = 255              # bytes read from descriptor 6


def queue(code: int, custom: bytes = b"") -> bytes:
    """The answer for exit code `code`; negative is a signal.  `custom` is what came on descriptor 6."""
    if code == codes.OK:
        return b""
    if code == codes.QUEUE_CUSTOM:
        if len(custom) > 2 and custom[:1] in (b"D", b"Z"):
            return custom[:CUSTOM_LIMIT]
        return b"Zqueue had a problem and did not say which (#4.3.0)"
    if code in TEXT:
        return TEXT[code]
    if 11 <= code <= 40:
        return b"Dqueue rejected the message (#5.3.0)"
    return b"Zqueue had an unknown problem (#4.3.0)"
