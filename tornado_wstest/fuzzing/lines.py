"""Messages that are no JSON: lines of text that begin with a command, and binary ones that begin with a code."""

import itertools
import re
import struct
from collections.abc import Iterable

from .oddities import ODD_TEXTS, long_texts
from .regexes import matching_strings
from .syntax import Facts
from .tape import Tape
from .uses import texts_of
from .vocabulary import Vocabulary

__all__ = ["FrameMaker", "LineMaker", "matching_texts", "random_text", "texts_with"]

_ALONE = 112  # of 256: a command without arguments
_SELDOM = 224  # and where the app seems to split nothing
_FIELDS = 8  # of a record
_BOUND = 64  # codes and commands
_FILLED = 300  # characters that a text is filled up to
_PAIRS = 16  # with names that may mean something
_MATCHING = 24  # texts for one pattern
_ARGUMENTS = ("a", "1", "0", "b", "a b", "2")
_ODD_ARGUMENTS = (
    "", "-1", "a", "1.5", "NaN", "a b c d", "1e400", " ", "é", "😀" * 100, "a" * 300, "9" * 5000, "{", "(", "[",
    "1000000000000", "0", "٣", "\x00", "\n", "40000000",
)  # fmt: skip


class LineMaker:
    """Makes texts of the commands that an app knows.

    :arg max_size: bytes of the longest text; what is made may still be longer
    """

    def __init__(self, vocabulary: Vocabulary, max_size: int) -> None:
        facts = vocabulary.facts
        known = [text for text in vocabulary.texts if len(text.encode()) < max_size // 8 and text.isprintable()]
        matching = [text for pattern in facts.patterns.get((), ()) for text in matching_texts(pattern)]
        self.commands: list[str] = [*dict.fromkeys([*matching, *known])][:_BOUND]
        uses = facts.kinds.get((), set())
        fitting = [texts_of(use) for use in sorted(uses)]
        self._prefixes = facts.prefixes
        self._separators = [*facts.separators][:4] or [" "]
        self._splits = bool(facts.separators)
        self._good = [*(texts[0] for texts in fitting if texts), *_ARGUMENTS, *(word for word in known if word)]
        pieces = [text for piece in facts.pieces.get((), ()) for text in texts_with(piece, vocabulary.names)]
        self._suffixes = ["", *facts.suffixes]
        fits = [*itertools.chain(*(texts[1:] for texts in fitting)), *pieces]
        sizes = [size for size in facts.lengths if size < _FILLED]
        begins = ["", *self._prefixes]
        filled = [(begin + fill * size)[:size] for size in sizes for begin in begins for fill in "0z"]
        self.whole: list[str] = matching + filled
        self._bad = [*dict.fromkeys([*fits, *_ODD_ARGUMENTS])]
        self._fits = len(self._bad) - len(_ODD_ARGUMENTS)
        plain = ["", *known, *(texts[0] for texts in fitting if texts), "a", "0"]
        others = [word for word in vocabulary.words if word not in known]
        self._plain = [*dict.fromkeys([*plain, *fits, *others[:8], *self.whole])]
        self._odd = (*ODD_TEXTS, *long_texts(max_size), *vocabulary.keys, *self._bad)

    def any(self, tape: Tape) -> str:
        """Make a line: a command, what is common, or what is odd."""
        byte = tape.byte()
        if byte < 96 or not self.commands:
            return tape.choose(self._plain) if byte < 144 else self.odd(tape)
        if byte < 192:
            command = tape.choose(self.commands)
            return self.mutated(command, tape) if byte % 2 else self.valid(command, tape)
        return self.odd(tape)

    def valid(self, command: str | None, tape: Tape) -> str:
        """Make a line that begins with a command; without one, a text that makes sense."""
        if command is None:
            return tape.choose(self._plain)
        byte = tape.byte()
        if byte < (_ALONE if self._splits or command in self._prefixes else _SELDOM):
            return command
        return self._with_arguments(command, tape.choose(self._good), byte, tape)

    def mutated(self, command: str | None, tape: Tape) -> str:
        """Make a line that does not quite do what the command wants; without one, a text that somebody chokes on."""
        if command is None:
            return tape.choose([*self.commands, *self.whole, *self._bad[: self._fits]] or self._odd)
        byte = tape.byte()
        if byte < 176:
            # What fits what is done with it comes as often as all the rest.
            fits = self._fits if self._fits and tape.byte() >= 80 else len(self._bad)
            return self._with_arguments(command, self._bad[tape.below(fits)], byte, tape)
        separator = tape.choose(self._separators)
        forms = (
            command + separator, command.upper(), command[:-1], f"{command}x", f" {command} ", command * 2,
            separator.join([command, *"abcdef"]), separator + command,
        )  # fmt: skip
        return tape.choose(forms)

    def ended(self, text: str, tape: Tape) -> str:
        """Return a text with the end that texts should have, mostly."""
        return text + self._suffixes[-1 if tape.byte() < 224 else 0] if len(self._suffixes) > 1 else text

    def joined(self, words: Iterable[str], tape: Tape) -> str:
        """Make a line of these words."""
        return tape.choose(self._separators).join(words)

    def odd(self, tape: Tape) -> str:
        """Make a text that nobody meant."""
        return tape.choose(self._odd) if tape.byte() < 160 else random_text(tape)

    def _with_arguments(self, command: str, argument: str, byte: int, tape: Tape) -> str:
        separator = tape.choose(self._separators)
        if command in self._prefixes and (byte % 2 or not command[-1:].isalnum()):
            return command + argument
        more = [tape.choose(self._good) for _ in range((0, 0, 0, 1, 2)[tape.below(5)])]
        return separator.join([command, argument, *more])


class FrameMaker:
    """Makes binary messages of the codes and records that an app knows."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        facts = vocabulary.facts
        self._records = [record for text in facts.formats if (record := _record_of(text)) is not None]
        sizes = [record.size for record in self._records]
        self._sizes = [*dict.fromkeys([*sizes, *itertools.accumulate(sizes), 0, 1])]
        self._numbers = [*dict.fromkeys([*(one for one in vocabulary.numbers if isinstance(one, int)), 0, 1, 2])]
        self._fields = [facts.values.get((f"[{place}]",), []) for place in range(_FIELDS)]
        self.codes: list[bytes | struct.Struct] = [*self._records, *_codes(facts)]
        """What messages begin with, if anything is known of it."""
        self.words: list[bytes] = [b"", *(word.encode() for word in vocabulary.words)]
        """Words of the app, as bytes."""

    def valid(self, begin: bytes | struct.Struct, tape: Tape) -> bytes:
        """Make a message with a record behind its code."""
        code = self._begun(begin, tape)
        if self._records and tape.byte() >= 128:
            return code + self._begun(tape.choose(self._records), tape)
        size = self._sizes[tape.below(len(self._sizes))]
        return code + bytes([tape.choose((0, 1, 97))]) * size

    def mutated(self, begin: bytes | struct.Struct, tape: Tape) -> bytes:
        """Make one that is too short, too long, or has any bytes in it."""
        code = self._begun(begin, tape)
        byte = tape.byte()
        if byte < 64:
            return code[: tape.below(len(code) + 1)] + bytes([tape.choose((0, 255, 1, 128))])
        if byte < 128:
            size = max(tape.choose(self._sizes) + tape.choose((-1, 1, 2, 7)), 0)
            return code + bytes([tape.choose((0, 1, 255, 97))]) * size
        if byte < 176:
            return code + b"\xff" * tape.choose(self._sizes)
        return code + bytes(tape.byte() for _ in range(tape.below(12)))

    def _begun(self, begin: bytes | struct.Struct, tape: Tape) -> bytes:
        """Return a code as it is, and a record with numbers in it that the app knows."""
        if isinstance(begin, bytes):
            return begin
        fields = [*self._fields, *[()] * begin.size][: len(begin.unpack(bytes(begin.size)))]
        try:
            return begin.pack(
                *(tape.choose(self._numbers if tape.byte() >= 192 else known or self._numbers) for known in fields)
            )
        except struct.error:  # a text, or a number that is too large
            return bytes(begin.size)


def texts_with(piece: str, names: Iterable[str] = ()) -> list[str]:
    """Return texts that have a piece in them, somewhere; pairs of a name and a value, if it is ``=`` or ``:``."""
    forms = ("a{0}", "{0}", "{0}a", "1{0}2", "1{0}", "{0}1", "2{0}1", "{0}{0}", "a{0}b{0}")
    pairs = [f"{name}{piece}a" for name in itertools.islice(names, _PAIRS)] if piece in ("=", ":") else []
    return [form.format(piece) for form in forms] + pairs


def matching_texts(pattern: str) -> list[str]:
    """Return texts that a regular expression matches."""
    try:
        return [*itertools.islice(matching_strings(re.compile(pattern)), _MATCHING)]
    except (re.error, RecursionError, OverflowError):
        return []


def random_text(tape: Tape) -> str:
    """Make a short text of characters of any plane of Unicode; there are no surrogates in it, which cannot travel."""
    points = [
        (tape.byte() * 65536 + tape.byte() * 256 + tape.byte() + ord("a")) % 0x110000 for _ in range(tape.below(8))
    ]
    return "".join(chr(point) for point in points if not 0xD800 <= point <= 0xDFFF)


def _codes(facts: Facts) -> list[bytes]:
    """Return bytes that messages may begin with: constants, and numbers that the first byte may be compared with."""
    found = dict.fromkeys(code for code in facts.binary if 0 < len(code) < 64)
    if facts.formats or found:
        numbers = [number for number in facts.numbers if isinstance(number, int) and 0 <= number < 256]
        found.update((bytes([number]), None) for number in numbers)
        found[b""] = None
    return [*found][:_BOUND]


def _record_of(text: str) -> struct.Struct | None:
    try:
        record = struct.Struct(text)
    except struct.error:
        return None
    return record if record.size < 4096 else None
