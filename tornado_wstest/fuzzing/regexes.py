"""Strings that a regular expression matches, the simplest first.

A route's path is a regex, and Python has none that is read backwards. This reads the tree that Python's own
compiler makes of a pattern, and writes some strings for it. What a tree does not tell (look-aheads, anchors,
back references) is passed over: whoever asks matches the strings afterwards, and takes those that fit.

Private parts, CPython 3.11 to 3.14: ``re._parser`` and ``re._constants``, the names of the tree's nodes.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from re import _constants as names  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["matching_strings"]

_ALPHABET = "a0A-_.~b1 !$&'()*+,;=:@/%B9zZ"
_VARIANTS = 40  # of one place in a pattern
_STRINGS = 120  # of one pattern
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    names.CATEGORY_DIGIT: str.isdecimal,
    names.CATEGORY_NOT_DIGIT: lambda char: not char.isdecimal(),
    names.CATEGORY_SPACE: str.isspace,
    names.CATEGORY_NOT_SPACE: lambda char: not char.isspace(),
    names.CATEGORY_WORD: lambda char: char.isalnum() or char == "_",
    names.CATEGORY_NOT_WORD: lambda char: not (char.isalnum() or char == "_"),
}


def matching_strings(regex: re.Pattern[str], words: Iterable[str] = ()) -> Iterator[str]:
    """Yield some strings that ``regex`` matches, the simplest first, each once.

    ::

        list(matching_strings(re.compile("/room/([0-9]+)")))        # ["/room/0", "/room/1", ...]

    :arg words: are tried wherever the pattern takes any text, such as ``.*``
    """
    try:
        places = _Reader(words).places(parser.parse(regex.pattern, regex.flags))
    except RecursionError:
        return
    found = set()
    for text in _mixed(places):
        if text not in found and regex.match(text):
            found.add(text)
            yield text


def _mixed(places: list[list[str]]) -> Iterator[str]:
    """Yield the first variants of all places, then each variant of one, then those of all side by side."""
    first = [variants[0] for variants in places]
    yield "".join(first)
    count = 1
    for number, variants in enumerate(places):
        for variant in variants[1:]:
            yield "".join([*first[:number], variant, *first[number + 1 :]])
            count += 1
            if count > _STRINGS:
                return
    for turn in range(1, max(map(len, places), default=0)):
        yield "".join(variants[turn % len(variants)] for variants in places)


class _Reader:
    """Writes variants of each node of a tree. There is always one, be it empty."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = list(words)
        self._groups: dict[int, list[str]] = {}

    def places(self, tree: Any) -> list[list[str]]:
        """Return the variants of each place of a sequence of nodes."""
        return [self._variants(operation, argument)[:_VARIANTS] or [""] for operation, argument in tree]

    def _sequence(self, tree: Any) -> list[str]:
        return list(dict.fromkeys(_mixed(self.places(tree))))

    def _variants(self, operation: Any, argument: Any) -> list[str]:
        if operation is names.LITERAL:
            return [chr(argument)]
        if operation is names.ANY:
            return [".", *_characters(operation, argument)]  # a dot alone is most often one that nobody escaped
        if operation in (names.NOT_LITERAL, names.IN):
            return _characters(operation, argument)
        if operation is names.BRANCH:
            branches = [self._sequence(branch) for branch in argument[1]]
            return [
                branch[turn] for turn in range(max(map(len, branches))) for branch in branches if turn < len(branch)
            ]
        if operation is names.SUBPATTERN:
            self._groups[argument[0]] = variants = self._sequence(argument[3])
            return variants
        if operation is names.ATOMIC_GROUP:
            return self._sequence(argument)
        if operation is names.GROUPREF:
            return self._groups.get(argument, [""])
        if operation is names.GROUPREF_EXISTS:
            return self._sequence(argument[1])
        if operation in (names.MAX_REPEAT, names.MIN_REPEAT, names.POSSESSIVE_REPEAT):
            return self._repeated(*argument)
        return [""]  # an anchor or an assertion

    def _repeated(self, least: int, most: Any, tree: Any) -> list[str]:
        times = max(int(least), 1) if most else 0
        is_dot = len(tree) == 1 and tree[0][0] is names.ANY
        items = _characters(*tree[0]) if is_dot else self._sequence(tree)
        variants = [item * times for item in items[:1]] + [items[0] * int(least)]
        if len(tree) == 1 and tree[0][0] in (names.ANY, names.NOT_LITERAL, names.IN):
            variants += [word for word in self._words if _consists(word, tree[0], int(least), int(most))]
        return list(dict.fromkeys(variants + [item * times for item in items[1:]]))


def _consists(word: str, node: Any, least: int, most: int) -> bool:
    return bool(least <= len(word) <= most and all(_is_member(char, *node) for char in word))


def _characters(operation: Any, argument: Any) -> list[str]:
    """Return some characters that one node takes: common ones, or the first of its own ranges."""
    found = [char for char in _ALPHABET if _is_member(char, operation, argument)]
    if operation is names.IN and not found:
        firsts = [value[0] if kind is names.RANGE else value for kind, value in argument]
        found = [chr(first) for first in firsts if isinstance(first, int) and first <= sys.maxunicode]
    return found


def _is_member(char: str, operation: Any, argument: Any) -> bool:
    if operation is names.ANY:
        return char != "\n"
    if operation is names.NOT_LITERAL:
        return bool(ord(char) != argument)
    negated = argument[0][0] is names.NEGATE
    return any(_is_in(char, kind, value) for kind, value in argument) is not bool(negated)


def _is_in(char: str, kind: Any, value: Any) -> bool:
    if kind is names.LITERAL:
        return bool(ord(char) == value)
    if kind is names.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    if kind is names.CATEGORY:
        return _CATEGORIES.get(value, str.isalnum)(char)
    return False
