"""Payloads as a person reads them: JSON laid out, and bytes in hexadecimal. Nothing of a payload is lost."""

import json
import re
from collections.abc import Iterator

__all__ = ["hex_dump", "laid_out"]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_INDENT = 2
_MAX_GROWTH = 10
"""How many times longer a text may get by being laid out."""


def laid_out(text: str) -> str | None:
    """Return a JSON object or array with each member on a line of its own; None for any other text.

    Only the white space between members is another than in ``text``: numbers, escapes and members that are named
    twice stand as they came. What is nested so deep that it would get much longer comes back as it is.
    """
    if text.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    pieces, length = [], 0
    for piece in _pieces(text):
        length += len(piece)
        if length > _MAX_GROWTH * len(text) + 1000:
            return text
        pieces.append(piece)
    return "".join(pieces)


def _pieces(text: str) -> Iterator[str]:
    """Yield the tokens of a JSON text, and the white space between them."""
    depth, before = 0, ""
    for token in _TOKEN.findall(text):
        if token in ("}", "]"):
            depth -= 1
        is_empty = token in ("}", "]") and before in ("{", "[")
        if before in ("{", "[", ",") or token in ("}", "]"):
            yield "" if is_empty else "\n" + " " * (_INDENT * depth)
        yield ": " if token == ":" else token
        if token in ("{", "["):
            depth += 1
        before = token


def hex_dump(data: bytes, start: int = 0) -> str:
    """Return ``data`` as rows of an offset, sixteen bytes in hexadecimal, and their ASCII characters.

    :arg start: the offset of the first byte
    """
    rows = []
    for place in range(0, len(data), 16):
        row = data[place : place + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        rows.append(f"{start + place:08x}  {row.hex(' '):<47}  {letters}")
    return "\n".join(rows)
