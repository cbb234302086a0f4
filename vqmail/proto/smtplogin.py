"""When a client may ask for TLS (RFC 3207 4) and log in (RFC 4954 4): the reply that says why not now, b"" for yes."""

from vqmail.proto import reply, smtpevents


def offers(terms: smtpevents.Terms, *, logged_in: bool) -> bytes:
    """The lines of EHLO that say so."""
    starttls = reply.MAY_START_TLS if terms.starttls else b""
    return starttls + (reply.MAY_LOG_IN % b" ".join(terms.mechanisms) if terms.mechanisms and not logged_in else b"")


def starttls(terms: smtpevents.Terms, argument: bytes) -> bytes:
    """To STARTTLS with `argument`."""
    if terms.secured:
        return reply.TLS_ALREADY
    if not terms.starttls:
        return reply.UNIMPLEMENTED
    return reply.SYNTAX if argument else b""


def auth(terms: smtpevents.Terms, mechanism: bytes, *, logged_in: bool, sending: bool) -> bytes:
    """To AUTH with `mechanism` from a client that is `logged_in`, or `sending` a message, already."""
    if logged_in:
        return reply.LOGIN_ALREADY
    if terms.locked:
        return reply.TLS_FOR_LOGIN
    if not terms.mechanisms:
        return reply.UNIMPLEMENTED
    if sending:
        return reply.LOGIN_LATE
    if not mechanism:
        return reply.SYNTAX
    return b"" if mechanism in terms.mechanisms else reply.MECHANISM


def mail(terms: smtpevents.Terms, *, logged_in: bool) -> bytes:
    """To MAIL."""
    if not terms.login_first or logged_in:
        return b""
    return reply.TLS_FIRST if terms.locked and terms.starttls else reply.LOGIN_FIRST
