r"""The rows of an SQL dump, as mysqldump and hands write them.

    CREATE TABLE `popbox` (`domain_name` char(255) NOT NULL, ...);      says the columns, if INSERT does not
    INSERT INTO popbox (local_part, ...) VALUES ('bob', ...), ('o''neil', ...);

Values are 'text', "text" with \ and doubled quotes, numbers, NULL, 0xHEX, TRUE and FALSE; names may stand in `s.
Comments are skipped: --, #, /* */; what mysqldump hides in /*! */ is nothing we need.  Other statements are skipped
as a whole, with the words in them, so that no text can look like a statement.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # kind, text, line.  Kinds: word, text (a literal), name (in backquotes), mark (one character)
    Token = tuple[str, bytes, int]
    # table, line, its columns and their values; None is NULL
    Row = tuple[bytes, int, dict[bytes, bytes | None]]

WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$.+-@"
ESCAPES = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
CONSTRAINTS = (b"primary", b"key", b"unique", b"index", b"constraint", b"fulltext", b"foreign", b"check", b"spatial")


def rows(text: bytes, problem: "Callable[[int, str], None]") -> "Iterator[Row]":
    """All rows of all tables.  Each statement that cannot be understood is told to `problem`, with its line.

    ValueError if a quote or comment has no end: nothing behind it can be trusted.
    """
    columns: dict[bytes, list[bytes]] = {}
    for statement in _statements(text):
        first = statement[0][1].lower() if statement[0][0] == "word" else b""
        try:
            if first == b"create":
                _create(statement, columns)
            elif first in (b"insert", b"replace"):
                yield from _insert(statement, columns)
        except (ValueError, IndexError) as error:
            problem(statement[0][2], "cannot understand this statement: %s" % (
                "it ends too soon" if isinstance(error, IndexError) else error))


def _statements(text: bytes) -> "Iterator[list[Token]]":
    found: list[Token] = []
    for token in _tokens(text):
        if token[:2] == ("mark", b";"):
            if found:
                yield found
            found = []
        else:
            found.append(token)
    if found:
        yield found


def _create(statement: "list[Token]", columns: "dict[bytes, list[bytes]]") -> None:
    place = 1
    while _is(statement[place], b"temporary"):
        place += 1
    if not _is(statement[place], b"table"):
        return
    place += 1
    if _is(statement[place], b"if"):
        place += 3
    table, place = _name(statement, place)
    if statement[place][1] != b"(":
        return
    found = []
    depth, fresh = 0, False
    for kind, text, _ in statement[place:]:
        if kind == "mark" and text in b"()":
            depth += 1 if text == b"(" else -1
            fresh = depth == 1 and text == b"("
            if not depth:
                break
        elif kind == "mark" and text == b"," and depth == 1:
            fresh = True
        elif fresh:
            fresh = False
            if kind == "name" or text.lower() not in CONSTRAINTS:
                found.append(text.lower())
    columns[table] = found


def _insert(statement: "list[Token]", columns: "dict[bytes, list[bytes]]") -> "Iterator[Row]":
    place = 1
    while statement[place][0] == "word" and statement[place][1].lower() in (
            b"into", b"ignore", b"low_priority", b"delayed", b"high_priority"):
        place += 1
    table, place = _name(statement, place)
    names = columns.get(table, [])
    if statement[place][1] == b"(" and statement[place][0] == "mark":
        names, place = [], place + 1
        while statement[place][1] != b")":
            if statement[place][0] != "mark":
                names.append(statement[place][1].lower())
            place += 1
        place += 1
    if not _is(statement[place], b"values", b"value"):
        raise ValueError("only INSERT ... VALUES is understood")
    if not names:
        raise ValueError("neither it nor a CREATE TABLE before it names the columns of %s" % table.decode(
            "ascii", "replace"))
    place += 1
    while place < len(statement):
        line = statement[place][2]
        values, place = _values(statement, place)
        if len(values) != len(names):
            raise ValueError("line %d: %d values for the %d columns of %s" % (
                line, len(values), len(names), table.decode("ascii", "replace")))
        yield table, line, dict(zip(names, values, strict=True))
        if place < len(statement):
            if statement[place][1] != b",":
                break                           # ON DUPLICATE KEY UPDATE ...
            place += 1


def _values(statement: "list[Token]", place: int) -> "tuple[list[bytes | None], int]":
    if statement[place][:2] != ("mark", b"("):
        raise ValueError("line %d: a row must begin with (" % statement[place][2])
    values: list[bytes | None] = []
    place += 1
    while True:
        kind, text, line = statement[place]
        if kind == "word" and text[:1] == b"_" and statement[place + 1][0] == "text":
            place += 1                          # _binary 'text'
            kind, text, line = statement[place]
        values.append(text if kind == "text" else _plain(kind, text, line))
        place += 1
        mark = statement[place]
        place += 1
        if mark[:2] == ("mark", b")"):
            return values, place
        if mark[:2] != ("mark", b","):
            raise ValueError("line %d: a comma is missing" % mark[2])


def _plain(kind: str, text: bytes, line: int) -> "bytes | None":
    lower = text.lower()
    if kind == "word":
        if lower == b"null":
            return None
        if lower in (b"true", b"false"):
            return b"%d" % (lower == b"true")
        if lower[:2] == b"0x":
            try:
                return bytes.fromhex(text[2:].decode("ascii"))
            except ValueError:
                raise ValueError("line %d: %s is no number" % (line, text.decode("ascii"))) from None
        if not lower.translate(None, b"0123456789+-.e"):
            return text
    raise ValueError("line %d: %s is no value" % (line, text[:50].decode("ascii", "replace")))


def _name(statement: "list[Token]", place: int) -> "tuple[bytes, int]":
    """A table's name, without that of the database, and the place behind it."""
    name = statement[place][1]
    place += 1
    while statement[place][:2] in (("mark", b"."), ("word", b".")):
        name = statement[place + 1][1]
        place += 2
    return name.lower().rpartition(b".")[2], place


def _is(token: "Token", *words: bytes) -> bool:
    return token[0] == "word" and token[1].lower() in words


def _tokens(text: bytes) -> "Iterator[Token]":
    place, line, size = 0, 1, len(text)
    while place < size:
        start, first = place, text[place:place + 1]
        two = text[place:place + 2]
        if first in b" \t\r\n\f\v":
            place += 1
        elif first == b"#" or (two == b"--" and text[place + 2:place + 3] in (b"", b" ", b"\t", b"\n", b"\r")):
            place = _end(text, b"\n", place, line)
        elif two == b"/*":
            place = _end(text, b"*/", place + 2, line) + 2
            if place > size:
                raise ValueError("line %d: this comment has no end" % line)
        elif first in (b"'", b'"'):
            found, place = _text(text, place, line)
            while first == text[place:place + 1]:       # '' in a text is a quote
                more, place = _text(text, place, line)
                found += first + more
            yield "text", found, line
        elif first == b"`":
            place = text.find(b"`", place + 1) + 1
            if not place:
                raise ValueError("line %d: this ` has no end" % line)
            yield "name", text[start + 1:place - 1], line
        elif first in WORD:
            while text[place:place + 1] and text[place:place + 1] in WORD:
                place += 1
            yield "word", text[start:place], line
        else:
            place += 1
            yield "mark", first, line
        line += text.count(b"\n", start, place)


def _end(text: bytes, mark: bytes, place: int, line: int) -> int:
    found = text.find(mark, place)
    if found >= 0:
        return found
    if mark == b"\n":
        return len(text)
    raise ValueError("line %d: this comment has no end" % line)


def _text(text: bytes, place: int, line: int) -> "tuple[bytes, int]":
    """The literal that begins at `place`, and the place behind its second quote."""
    quote = text[place:place + 1]
    parts = []
    place += 1
    while True:
        end = text.find(quote, place)
        if end < 0:
            raise ValueError("line %d: this quote has no end" % line)
        escape = text.find(b"\\", place, end)
        if escape < 0:
            parts.append(text[place:end])
            return b"".join(parts), end + 1
        following = text[escape + 1:escape + 2]
        parts += [text[place:escape], ESCAPES.get(following, following)]
        place = escape + 2
