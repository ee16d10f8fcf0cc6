"""One draw for many choices.

A draw costs Hypothesis some 20 microseconds, and a sequence of JSON objects takes dozens of choices. So a whole
sequence is one draw: some bytes of a fixed number, a tape, and each choice reads the next byte of it. Hypothesis
shrinks such bytes one by one towards zero, so that a zero is always the simplest choice. Where the tape ends, it
goes on with zeros.
"""

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Tape"]

T = TypeVar("T")


class Tape:
    """Choices, read off ``data`` from ``start`` on, as far as ``end``."""

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    def byte(self) -> int:
        """Return the next byte, 0 where there is none."""
        at = self._at
        if at >= self._end:
            return 0
        self._at = at + 1
        return self._data[at]

    def below(self, count: int) -> int:
        """Return a number from 0 to ``count - 1``."""
        if count <= 256:
            return self.byte() % count
        return (self.byte() * 256 + self.byte()) % count

    def choose(self, items: Sequence[T]) -> T:
        """Return one of the items; the first one is the simplest."""
        return items[self.below(len(items))]
