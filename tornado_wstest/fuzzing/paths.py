"""Paths that lead to a route, and what is asked in their query."""

import itertools
from urllib.parse import quote

from .lines import matching_texts, random_text, texts_with
from .oddities import ODD_TEXTS
from .regexes import matching_strings
from .routes import Route
from .syntax import PATH, QUERY, Facts, Path
from .tape import Tape
from .uses import texts_of
from .vocabulary import Vocabulary

__all__ = ["PathMaker", "QueryMaker"]

_BASES = 12
_WORDS = (
    "a", "0", "1", "2", "-1", "00", "1.5", "2147483648", "9223372036854775808", "9" * 40, "-9" + "9" * 30, "A",
    "a-b", "a_b", "null", "None", "NaN", "true", "..", ".", "a.b", "%20", "a%20b", "%00", "%0A", "%2F", "%2e%2e%2f",
    "%C3%A9", "%E2%82%AC", "%F0%9F%98%80", "%FF", "%C3%28", "%27", "%22", "%3Cb%3E", "%7B0%7D", "a+b", "a:b", "a@b",
    "a/b", "%25", "%25s", "00000000-0000-0000-0000-000000000000", "d41d8cd98f00b204e9800998ecf8427e", "2024-02-30",
    "a" * 300,
)  # fmt: skip
"""What may stand in a path as it is. ``%FF`` is no UTF-8, which Tornado refuses with 400."""

_GENERIC_ARGUMENTS = ("id", "name", "token", "room", "q")
_RANDOM = 232


class PathMaker:
    """Makes paths for a route: its simplest ones, with other values for its arguments.

    ``simplest`` is `Route.example_path`, and None where no path is known.
    """

    def __init__(self, route: Route, vocabulary: Vocabulary) -> None:
        self._route = route
        self.simplest: str | None = route.example_path
        self._words = [*dict.fromkeys([*_WORDS[:4], *map(_quoted, vocabulary.words), *_WORDS])]
        self._facts = vocabulary.facts
        regexes = route.path_regexes
        found = itertools.chain.from_iterable(matching_strings(regex, self._words) for regex in reversed(regexes))
        fitting = (path for path in found if route.accepts(path))
        paths = [self.simplest, *itertools.islice(fitting, _BASES)] if self.simplest else []
        self._bases = [(path, self._places(path)) for path in dict.fromkeys(paths)]

    def _places(self, path: str) -> list[tuple[int, int, list[str]]]:
        """Return where each argument stands in a path, from the last one on, and what else may stand there."""
        match = self._route.regex.match(path) if self._route.regex else None
        if match is None:
            return [(1, len(path), [path[1:], *(word for word in self._words if self._route.accepts(f"/{word}"))])]
        spans = {match.span(number) for number in range(1, match.re.groups + 1)} - {(-1, -1)}
        return [
            (
                start,
                end,
                [path[start:end], *(word for word in self._own_words(place) if self._fits(path, start, end, word))],
            )
            for place, (start, end) in reversed([*enumerate(sorted(spans))])
        ]

    def _own_words(self, place: int) -> list[str]:
        """Return what an argument may be, first of all what it is compared with, or what it chokes on."""
        known = known_texts(self._facts, (PATH, str(place)))
        return [*(_quoted(text) for text in known for _ in range(4)), *self._words]

    def _fits(self, path: str, start: int, end: int, word: str) -> bool:
        return self._route.accepts(path[:start] + word + path[end:])

    def make(self, tape: Tape) -> str:
        """Make a path. One that would not match is not made: then it is the simplest."""
        base, places = tape.choose(self._bases)
        path = base
        for start, end, words in places:
            byte = tape.byte()
            word = words[(byte + tape.byte() * 8) % len(words)] if byte < _RANDOM else _quoted(random_text(tape))
            path = path[:start] + word + path[end:]
        return path if self._route.accepts(path) else base


class QueryMaker:
    """Makes query arguments: those that the handler asks for, mostly."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._names = vocabulary.arguments
        common = ["", "a", "0", "1", *vocabulary.words, *ODD_TEXTS]
        self._values = {name: [*known_texts(vocabulary.facts, (QUERY, name)), *common] for name in self._names}
        self._common = common

    def make(self, tape: Tape) -> tuple[tuple[str, str], ...]:
        """Make pairs of names and values."""
        names = [name for name in self._names for _ in range((0, 1, 1, 1, 1, 1, 1, 2)[tape.below(8)])]
        if tape.byte() >= _RANDOM:
            names.append(tape.choose(_GENERIC_ARGUMENTS))
        return tuple((name, tape.choose(self._values.get(name, self._common))) for name in names)


def known_texts(facts: Facts, path: Path) -> list[str]:
    """Return texts that an argument is compared with, that its pattern matches, and that it may choke on."""
    known = [str(value) for value in facts.values.get(path, ())]
    known += [text for pattern in facts.patterns.get(path, ()) for text in matching_texts(pattern)]
    known += [text for piece in facts.pieces.get(path, ()) for text in texts_with(piece)]
    return known + [text for kind in sorted(facts.kinds.get(path, ())) for text in texts_of(kind)]


def _quoted(word: str) -> str:
    return quote(word, safe="", errors="replace")
