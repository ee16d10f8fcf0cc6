"""Values that change from run to run, by their looks: ids, times, tokens."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

__all__ = ["EPOCH", "KINDS", "TIME", "Kind", "Part", "is_near", "parts"]

_DAY = 86400
_NEAR = 400 * _DAY
"""Seconds before and after now: a last login, the end of a subscription."""
_UNITS = (1, 1e3, 1e6, 1e9)


class Kind(NamedTuple):
    """One kind of volatile text.

    :arg pattern: what it looks like, without groups
    :arg looks: is this match one, now?
    """

    name: str
    pattern: re.Pattern[str]
    looks: Callable[[re.Match[str], float], bool]


class Part(NamedTuple):
    """Where in a text there is a volatile value."""

    start: int
    end: int
    kind: Kind
    text: str


def is_near(value: float, now: float) -> bool:
    """Is this number the time of a day not far from ``now``, in any of the usual units?"""
    return any(abs(value - now * unit) < _NEAR * unit for unit in _UNITS)


def parts(text: str, now: float) -> list[Part]:
    """Return the volatile parts of ``text``, in order."""
    found: list[Part] = []
    for kind in KINDS:
        for match in kind.pattern.finditer(text):
            if kind.looks(match, now) and not any(match.start() < p.end and p.start < match.end() for p in found):
                found.append(Part(match.start(), match.end(), kind, match[0]))
    return sorted(found)


def _is_mixed(text: str) -> bool:
    return any(c.isdigit() for c in text) and any(c.isalpha() for c in text)


def _is_hex(match: re.Match[str], _: float) -> bool:
    return _is_mixed(match[0])


def _is_token(match: re.Match[str], _: float) -> bool:
    """Tell a token from a CamelCaseName by its digits, and from a piece of a picture in base64 by what is around."""
    text = match[0]
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    is_piece = before == "+" or after in ("+", "/", "=")
    return _is_mixed(text) and text != text.lower() and text != text.upper() and not is_piece


def _is_epoch(match: re.Match[str], now: float) -> bool:
    return is_near(float(match[0]), now)


def _always(_: re.Match[str], __: float) -> bool:
    return True


def _kinds() -> Iterator[Kind]:
    hexadecimal = "[0-9a-fA-F]"
    clock = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?"
    yield Kind("UUID", re.compile(rf"\b{hexadecimal}{{8}}(?:-{hexadecimal}{{4}}){{3}}-{hexadecimal}{{12}}\b"), _always)
    yield Kind("TIME", re.compile(rf"\b\d{{4}}-\d\d-\d\d[T ]{clock}(?:Z|[+-]\d\d:?\d\d)?\b"), _always)
    yield Kind("HEX", re.compile(rf"\b{hexadecimal}{{16,}}\b"), _is_hex)
    yield Kind("TOKEN", re.compile(r"[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*"), _is_token)
    yield Kind("EPOCH", re.compile(r"\b\d{10}(?:\d{3})?(?:\.\d+)?\b"), _is_epoch)


KINDS = tuple(_kinds())
"""Of two that overlap, the first counts."""
TIME, EPOCH = KINDS[1], KINDS[4]
