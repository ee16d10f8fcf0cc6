"""How values look in a failure: short, whole at both ends, and never an error of their own."""

import difflib
import os
from collections.abc import Iterable
from typing import Any

import tornado

__all__ = ["elide", "is_library", "is_own", "nearest", "one_line", "plural", "show", "show_error"]

_HERE, _TORNADO, _PYTHON = (
    os.path.dirname(os.path.abspath(file_name)) + os.sep for file_name in (__file__, tornado.__file__, os.__file__)
)


def show(value: Any, width: int = 200) -> str:
    """Return ``repr(value)`` in at most ``width`` characters, whatever the value's ``repr`` does."""
    try:
        # A megabyte of text needs no repr of a megabyte: its ends are enough.
        if isinstance(value, (str, bytes)) and len(value) > 4 * width:
            half = 2 * width
            return elide(repr(value[:half]) + repr(value[-half:]), width)
        return elide(repr(value), width)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def show_error(error: BaseException, width: int = 200) -> str:
    """Return the name and the text of ``error`` in at most ``width`` characters, whatever its ``str`` does."""
    name = type(error).__name__
    try:
        return elide(f"{name}: {error}", width)
    except Exception as another:
        return f"{name} whose str raised {type(another).__name__}"


def one_line(text: str) -> str:
    """Return ``text`` with a space for each line break."""
    return " ".join(text.splitlines())


def is_library(file_name: str) -> bool:
    """Is this a file of Python's, Tornado's or ours, and none of the user's?"""
    if file_name.startswith(_PYTHON) and "site-packages" not in file_name:
        return True
    return file_name.startswith((_HERE, _TORNADO))


def is_own(file_name: str) -> bool:
    """Is this a file of this package?"""
    return file_name.startswith(_HERE)


def elide(text: str, width: int = 200) -> str:
    """Cut the middle out of ``text`` so that it fits into ``width`` characters."""
    if len(text) <= width:
        return text
    head = (width - 5) * 2 // 3
    return f"{text[:head]} ... {text[len(text) - (width - 5 - head) :]}"


def plural(count: int, noun: str) -> str:
    """Return ``"1 message"``, ``"2 messages"``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Name the valid name that is closest to ``name``, or all of them where none is close."""
    valid = sorted(valid)
    close = difflib.get_close_matches(name, valid, n=1)
    return f"did you mean {close[0]!r}?" if close else f"valid are: {', '.join(valid)}"
