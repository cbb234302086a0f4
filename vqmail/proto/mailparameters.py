"""What may stand behind the sender in MAIL: SIZE (RFC 1870), BODY (RFC 6152), and AUTH (RFC 4954)."""

from vqmail.proto import path, reply


def size(parameters: "list[tuple[bytes, bytes]]", limit: int, *, auth: bool) -> int:
    """The size that `parameters` announce, 0 if they do not.  path.Refused if they make no sense, or announce more
    than `limit` (0: none)."""
    announced = 0
    for keyword, value in parameters:
        if keyword == b"SIZE":                                                  # RFC 1870 4
            if not value.isdigit() or len(value) > 20:
                raise path.Refused(reply.PARAMETER_VALUE)
            announced = int(value)
            if limit and announced > limit:                                     # RFC 1870 6.1
                raise path.Refused(reply.TOO_BIG)
        elif keyword == b"BODY":                                                # RFC 6152 2
            if value.upper() not in (b"7BIT", b"8BITMIME"):
                raise path.Refused(reply.PARAMETER_VALUE)
        elif keyword == b"AUTH" and auth:                                       # RFC 4954 5
            if not value:
                raise path.Refused(reply.PARAMETER_VALUE)       # else it is taken as <>: we vouch for nobody's word
        else:
            raise path.Refused(reply.PARAMETER)                                 # RFC 5321 4.1.1.11
    return announced
