"""Says where in a text something is, so that a model finds it."""


def placed(text: str, index: int) -> str:
    """`, line 1, column 8` for the character at `index`; nothing for an index that is not in the text."""
    if not 0 <= index <= len(text):
        return ""
    before = text[:index]
    return f", line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def placed_byte(text: str, byte: int) -> str:
    """The same for a byte of the text in UTF-8, which is what the parse tree tells; nothing for 0, "unknown"."""
    return placed(text, characters(text, byte)) if byte > 0 else ""


def characters(text: str, count: int) -> int:
    """How many characters the first `count` bytes of a text in UTF-8 are."""
    return count if text.isascii() else len(text.encode()[:count].decode(errors="ignore"))
