"""Texts with a line for each name, NAME:...: one line is changed, all others stay what they are, to the byte."""


def find(text: bytes, name: bytes) -> "bytes | None":
    """The line of `name`, in any case of letters, without its newline; None if there is none."""
    # not line by line: commands that show all users ask for each
    at = (b"\n" + text.lower()).find(b"\n" + name + b":")
    end = text.find(b"\n", at)
    return None if at < 0 or name.startswith(b"#") else text[at:end if end >= 0 else len(text)]


def replace(text: bytes, name: bytes, line: "bytes | None") -> bytes:
    """The text with `line` in the place of that of `name`, or at its end if there is none; None takes it away.

    What is left without a line has a comment: an empty text looks like one that somebody is just writing.
    """
    lines = text.split(b"\n")
    done = False
    kept = []
    for each in lines:
        if not _is_of(each, name):
            kept.append(each)
        elif line is not None and not done:
            kept.append(line)
            done = True
    text = b"\n".join(kept)
    if line is not None and not done:
        text += (b"" if not text or text.endswith(b"\n") else b"\n") + line + b"\n"
    return text if text.strip(b"\n") else b"#\n"


def _is_of(line: bytes, name: bytes) -> bool:
    found, colon, _ = line.partition(b":")
    return bool(colon) and found.lower() == name and not line.startswith(b"#")
