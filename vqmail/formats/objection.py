"""Why mail is not taken, one word each: store/reception.py says them, proto/reply.py has the words for a client."""

BAD_MAIL_FROM = b"badmailfrom"
NO_GATEWAY = b"no-gateway"
NO_MAILBOX = b"no-mailbox"
OVER_QUOTA = b"over-quota"
FULL_FOR_NOW = b"full-for-now"
SUSPENDED = b"suspended"
MOVED = b"moved "               # and the new address
TOO_LONG = b"too-long"
TOO_BIG = b"too-big"
LOOPING = b"looping"
NO_QUEUE = b"no-queue"

# these end with a blank and what they are about: a login, or so much of what an hour
NOT_YOURS = b"not-yours "
FORCED_SENDER = b"forced-sender "
NULL_SENDER = b"null-sender "
SENDING_SUSPENDED = b"sending-suspended "
TOO_MANY = b"too-many "
