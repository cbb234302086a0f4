"""Dates as they stand in messages and From_ lines; UTC but for zoned()."""

import time


def header(now: float) -> bytes:
    """`21 Nov 2026 05:18:57 -0000`: qmail's form, the day without a leading zero (RFC 5322 3.3)."""
    year, month, day, hour, minute, second = time.gmtime(now)[:6]
    return b"%d %s %d %02d:%02d:%02d -0000" % (day, MONTHS[month - 1], year, hour, minute, second)


def sent(now: float) -> bytes:
    """`Sat, 21 Nov 2026 05:18:57 +0000`, of a message written here: what nobody's filter takes for strange."""
    year, month, day, hour, minute, second, weekday = time.gmtime(now)[:7]
    return b"%s, %02d %s %d %02d:%02d:%02d +0000" % (
        DAYS[weekday], day, MONTHS[month - 1], year, hour, minute, second)


def compact(now: float) -> bytes:
    """`20261121051857`, for a Message-ID."""
    return b"%d%02d%02d%02d%02d%02d" % time.gmtime(now)[:6]


def zoned(when: time.struct_time) -> bytes:
    """`21 Nov 2026 06:18:57 +0100`: the local time `when`, which knows its offset (RFC 5322 3.3)."""
    year, month, day, hour, minute, second = when[:6]
    offset = when.tm_gmtoff
    minutes = (abs(offset) + 30) // 60
    return b"%d %s %d %02d:%02d:%02d %c%02d%02d" % (
        day, MONTHS[month - 1], year, hour, minute, second, b"-" if offset < 0 else b"+", minutes // 60, minutes % 60)


def from_line(now: float) -> bytes:
    """`Sat Nov 21 05:18:57 2026`: asctime, the day with a leading zero, as in an mbox."""
    year, month, day, hour, minute, second, weekday = time.gmtime(now)[:7]
    return b"%s %s %02d %02d:%02d:%02d %d" % (DAYS[weekday], MONTHS[month - 1], day, hour, minute, second, year)


MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
