"""When a message is tried again (QMAIL interface 4.3): at the ages 0, c2, (2c)2, (3c)2 ... seconds."""

SKIP = (10, 20)                 # c of the local and the remote channel
TROUBLE = 123                   # seconds until trouble with a file of the queue is tried again


def next_attempt(birth: int, now: int, channel: int) -> int:
    """The time of the attempt after the one that starts at `now`; of a message from the future, which came before the
    clock was set back, it is as of one that came now."""
    age = max(now - birth, 0)
    return now - age + (_root(age) + SKIP[channel]) ** 2


def _root(number: int) -> int:
    """The integer square root."""
    guess = number
    while guess * guess > number:
        guess = (guess + number // guess) // 2
    return guess
