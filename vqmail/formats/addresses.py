"""Lists of addresses in header fields (RFC 5322 3.4, and 4.4 for the forms of old), on bytes, without loss.

    joe@there, Mary <mary@there>, (comment) Friends: <@a,@b:ann@there>, "a b"@[192.0.2.1];

parse() finds the addresses and where each stands, so that completion.rewrite() can complete one and leave every other
byte of the field as it is.  What the world writes and means is taken: empty elements, `;` between addresses, a group
without its end, dots anywhere in a local part, any words before `<`, bytes above 127.  What may mean something else,
such as two words in a row without brackets, is Malformed: nobody is left out by a guess.  One pass, no recursion:
comments nest as deep as they like.
"""

from vqmail.record import Record

SPECIALS = frozenset(b'()<>[]:;@\\,."')
BLANKS = frozenset(b" \t\r\n")
NO_ATOM = SPECIALS | BLANKS
SHOWN = 60                      # bytes of a field that an error shows

ATOM, QUOTED, LITERAL, ODD = "atom", "quoted string", "literal", "odd"
# a token is (kind, start, end); the kind of a special is the special
AT, DOT, COMMA, SEMICOLON, COLON, LEFT, RIGHT = "@", ".", ",", ";", ":", "<", ">"
ENDS = {ord('"'): (QUOTED, "quotes"), ord("["): (LITERAL, "square brackets")}
KINDS = {ord(each): each for each in (AT, DOT, COMMA, SEMICOLON, COLON, LEFT, RIGHT)}
WORDS = (ATOM, QUOTED)

TYPE_CHECKING = False
if TYPE_CHECKING:
    Token = tuple[str, int, int]


class Malformed(ValueError):
    """This is no list of addresses; the text says why, and shows where."""


class Address(Record):
    """One address.  `local` and `domain` are as in an envelope: without quotes, comments and source route.

    `route` is where the source route stands.  `end` is where a host, or the rest of one, is to be added, and from
    there to `tail` stand dots that mean nothing.  `at` says whether there is an @.  `<>` has neither local nor domain.
    """

    __slots__ = ("local", "domain", "route", "end", "tail", "at")
    local: bytes
    domain: bytes
    route: "tuple[int, int]"
    end: int
    tail: int
    at: bool


class List(Record):
    """What a field says.  `commas` are the ends of the commas, `semicolons` the places of those that stand for one,
    `is_open` says that the end of a group is missing."""

    __slots__ = ("addresses", "commas", "semicolons", "is_open")
    addresses: "list[Address]"
    commas: "list[int]"
    semicolons: "list[int]"
    is_open: bool


def parse(text: bytes) -> List:
    """The list that the value `text` of a field is.  Malformed if it is none."""
    found = List([], [], [], False)
    element: list[Token] = []
    in_group = in_angle = False
    for token in _tokens(text):
        kind, start, end = token
        if kind is LEFT or kind is RIGHT:
            if in_angle is (kind is LEFT):
                raise _malformed(text, start, "an angle bracket too many")
            in_angle = not in_angle
        elif not in_angle and kind is COLON:
            if in_group or any(each[0] in (LEFT, AT) for each in element):
                raise _malformed(text, element[0][1] if element else start, "a colon that begins no group")
            in_group = True
            element = []
            continue
        elif not in_angle and (kind is COMMA or kind is SEMICOLON):
            _add(text, element, found)
            if kind is COMMA or not in_group:
                found.commas.append(end)
            if kind is SEMICOLON and not in_group:
                found.semicolons.append(start)
            if kind is SEMICOLON:
                in_group = False
            element = []
            continue
        element.append(token)
    if in_angle:
        raise _malformed(text, element[0][1], "an angle bracket without its end")
    _add(text, element, found)
    found.is_open = in_group
    return found


def one(text: bytes) -> Address:
    """The only address in `text`.  Malformed if there is none, or another."""
    found = parse(text).addresses
    if len(found) != 1:
        raise _malformed(text, 0, "no address" if not found else "more than one address")
    return found[0]


def raw(text: bytes) -> Address:
    """`text` as on a command line: an address of an envelope, without quotes, its local part of any bytes.  If there
    are brackets, quotes or a source route in it, it is one address as in a header.  Malformed if it is neither."""
    if b"<" in text or b'"' in text or text.startswith(b"@"):
        return one(text)
    local, at, domain = text.rpartition(b"@")
    if not at:
        local, domain = domain, b""
    if not local:
        raise _malformed(text, 0, "no address")
    if b"@" in local.partition(b",")[0] and b"," in local:
        raise _malformed(text, 0, "more than one address")
    if _has_controls(text):
        raise _malformed(text, 0, "a control character")
    end = len(local)
    return Address(local, domain.rstrip(b"."), (end, end), end, end, bool(at))


def _tokens(text: bytes) -> "list[Token]":
    """The tokens of `text`, without blanks and comments."""
    tokens: list[Token] = []
    at = 0
    size = len(text)
    while at < size:
        byte = text[at]
        start = at
        at += 1
        if byte not in NO_ATOM:
            while at < size and text[at] not in NO_ATOM:
                at += 1
            tokens.append((ATOM, start, at))
        elif byte in BLANKS:
            continue
        elif byte in ENDS:
            kind, name = ENDS[byte]
            at = _closing(text, at, kind)
            if at < 0:
                raise _malformed(text, start, name + " without their end")
            tokens.append((kind, start, at))
        elif byte == 40:                        # (
            at = _end_of_comment(text, at)
            if at < 0:
                raise _malformed(text, start, "a comment without its end")
        else:
            tokens.append((KINDS.get(byte, ODD), start, at))
    return tokens


def _closing(text: bytes, at: int, kind: str) -> int:
    """The end of the quoted string or literal whose inside begins at `at`; -1 if there is none."""
    end = b'"' if kind is QUOTED else b"]"
    found = text.find(end, at)
    escape = text.find(b"\\", at, found)
    while found >= 0 and escape >= 0:           # what the backslash stands before is no end
        at = escape + 2
        if found < at:
            found = text.find(end, at)
        escape = text.find(b"\\", at, found)
    return found + 1 if found >= 0 else -1


def _end_of_comment(text: bytes, at: int) -> int:
    depth = 1
    size = len(text)
    while at < size:
        byte = text[at]
        at += 1
        if byte == 92:                          # backslash
            at += 1
        elif byte == 40:                        # (
            depth += 1
        elif byte == 41:                        # )
            depth -= 1
            if not depth:
                return at
    return -1


def _add(text: bytes, element: "list[Token]", found: List) -> None:
    """Append the address that the tokens between two commas are to `found`; no tokens are none."""
    if not element:
        return
    kinds = [each[0] for each in element]
    if LEFT not in kinds:
        found.addresses.append(_address(text, element, element[0][1]))
        return
    left = kinds.index(LEFT)
    if kinds[-1] is not RIGHT or kinds.count(LEFT) > 1:
        right = kinds.index(RIGHT)
        raise _malformed(text, element[min(right + 1, len(element) - 1)][1], "a comma missing before this")
    inside = element[left + 1:-1]
    # joe@there <joe@there> and 'joe@there' <joe@there> are one; joe@there Mary <mary@there> would lose Joe
    if AT in kinds[:left] and _written(text, element[:left]).strip(b"'") != _written(text, inside):
        raise _malformed(text, element[0][1], "a comma missing, or quotes around the name")
    found.addresses.append(_address(text, inside, element[left][2]))


def _written(text: bytes, tokens: "list[Token]") -> bytes:
    return b"".join([text[start:end] for _, start, end in tokens]).lower()


def _address(text: bytes, tokens: "list[Token]", start: int) -> Address:
    """The address that the tokens are; it begins at `start`."""
    route = start, start
    if tokens and tokens[0][0] in (AT, COMMA):                                          # RFC 5322 4.4
        colon = next((place for place, each in enumerate(tokens) if each[0] is COLON), -1)
        if colon < 0:
            raise _malformed(text, start, "no address")
        route = tokens[0][1], tokens[colon][2]
        tokens = tokens[colon + 1:]
        if not tokens:
            raise _malformed(text, start, "no address")
    if not tokens:
        return Address(b"", b"", route, start, start, False)
    kinds = [each[0] for each in tokens]
    at = kinds.index(AT) if AT in kinds else len(kinds)
    local = _joined(text, tokens[:at], WORDS)
    right = tokens[at + 1:]
    tail = end = tokens[-1][2]
    while right and right[-1][0] is DOT:                                                # a.name. is a.name
        right.pop()
        end = right[-1][2] if right else tokens[at][2]
    domain = _joined(text, right, (ATOM, LITERAL))
    if not local.strip(b".") and QUOTED not in kinds[:at]:
        raise _malformed(text, start, "no local part")
    if not local:
        raise _malformed(text, start, "an empty local part")
    if domain.startswith(b"."):
        raise _malformed(text, start, "a host that begins with a dot")
    return Address(local, domain, route, end, tail, at < len(kinds))


def _joined(text: bytes, tokens: "list[Token]", wanted: "tuple[str, str]") -> bytes:
    """The words and dots of `tokens` as in an envelope.  Malformed if two words stand in a row or are not `wanted`."""
    parts = []
    after_word = False
    for kind, start, end in tokens:
        if kind is DOT:
            parts.append(b".")
            after_word = False
            continue
        if kind not in wanted:
            raise _malformed(text, start, "no place for this")
        if after_word:
            raise _malformed(text, start, "a comma or angle brackets missing before this")
        after_word = True
        word = text[start:end] if kind is ATOM else _unquoted(text[start:end], kind)
        if _has_controls(word):
            raise _malformed(text, start, "a control character")
        parts.append(word)
    return b"".join(parts)


def _unquoted(word: bytes, kind: str) -> bytes:
    """A quoted string without its quotes, or a literal in its brackets without blanks; no escapes, no line ends."""
    word = word.replace(b"\r\n", b"").replace(b"\n", b"")
    if kind is LITERAL:
        word = b"".join(word.split())
    else:
        word = word[1:-1]
    if b"\\" in word:
        pieces = word.split(b"\\\\")            # of what is left, each backslash stands before another byte
        word = b"\\".join([each.replace(b"\\", b"") for each in pieces])
    return word


def _has_controls(word: bytes) -> bool:
    return any(each < 32 or each == 127 for each in word)


def _malformed(text: bytes, at: int, why: str) -> Malformed:
    shown = b" ".join(text[at:at + 4 * SHOWN].split())
    cut = shown[:SHOWN] + b"..." if len(shown) > SHOWN else shown
    return Malformed("%s: %s" % (why, cut.decode("utf-8", "surrogateescape") or "nothing"))
