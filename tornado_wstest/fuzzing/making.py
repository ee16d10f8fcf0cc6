"""Messages made of a vocabulary, choice by choice.

Pure: what to make is read off a `Tape`. What a choice is made from is put together once, and pieces of JSON are
kept as text: that is fast, and lets a message be what no value can be (``NaN``, ``1e400``, a name twice).
"""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from ..codec import Message
from .lines import FrameMaker, LineMaker, matching_texts, texts_with
from .oddities import GENERIC_SHAPES, ODD_BINARY, ODD_JSON, ODD_OF_KIND, ODD_VALUES, TYPICAL, long_texts
from .syntax import LIST, Path, index_of
from .tape import Tape
from .uses import USES, plain
from .vocabulary import Vocabulary, name_of

__all__ = ["MessageMaker"]

_FIRST = 96  # of 256: the first value of those that make sense
_FITTING = 192  # of 256: an odd value that fits what is done with it
_SENSIBLE = 128  # of 256: an object as it is, without a mutation
_ODD = 160  # of 256: a mutation that is another value
_OWN = 176  # of 256: an object of a shape that the source knows
_SEEN = 208  # and up to here: one like those that the server sent; up to the next, one that many apps have
_GENERIC = 240
_SHAPES = 3  # times as often as any text that fits
_FEW = 24
_HUGE = 10**15  # numbers from here on have no neighbours
_FIXED_ODD = ("null", '""', "0", "[]", "{}", '"a"', "true", '"__class__"', '"\\ud800"')
_PLAIN = ('"a"', "0", '""', "1", "true", "null", "[]", "{}")

_Pairs = list[tuple[str, str]]


class _Pool:
    """A value: those that make sense, and those that somebody may stumble over."""

    def __init__(self, common: Sequence[str], odd: Sequence[str], *, is_fixed: bool = False) -> None:
        self.common = list(dict.fromkeys(common))
        self.odd = list(odd)
        self.is_fixed = is_fixed

    def make(self, tape: Tape) -> str:
        byte = tape.byte()
        return self.common[byte % len(self.common) if byte >= _FIRST else 0]


class _Object:
    """An object of known members."""

    odd = ODD_OF_KIND["object"]
    is_fixed = False

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = [(_dumps(name), node) for name, node in members.items()]
        # What a branch is chosen by is changed less often.
        self.places = [at for at, (_, node) in enumerate(self.members) for _ in range(1 if node.is_fixed else 3)]

    def pairs(self, tape: Tape) -> _Pairs:
        return [(name, node.make(tape)) for name, node in self.members]

    def make(self, tape: Tape) -> str:
        return _join(self.pairs(tape))

    def mutated(self, maker: "MessageMaker", tape: Tape) -> str:
        """Make one with one thing changed, here or further inside."""
        pairs = self.pairs(tape)
        byte = tape.byte()
        if not pairs or byte >= _ODD:
            return _MUTATIONS[byte % len(_MUTATIONS)](maker, pairs, tape)
        at = tape.choose(self.places)
        name, node = self.members[at]
        inside = isinstance(node, (_Object, _List, _Row)) and byte % 4
        pairs[at] = (name, node.mutated(maker, tape) if inside else maker.odd_value(tape, node.odd))
        return _join(pairs)


class _List:
    """A list of known items: one, mostly."""

    odd = ODD_OF_KIND["list"]
    is_fixed = False

    def __init__(self, item: Any) -> None:
        self.item = item

    def make(self, tape: Tape) -> str:
        return f"[{','.join(self.item.make(tape) for _ in range((1, 1, 2, 0, 3)[tape.below(5)]))}]"

    def mutated(self, maker: "MessageMaker", tape: Tape) -> str:
        """Make one of an odd item, or no list that was meant."""
        if tape.byte() >= 128:
            return maker.odd_value(tape, self.odd)
        if isinstance(self.item, (_Object, _List, _Row)):
            return f"[{self.item.mutated(maker, tape)}]"
        return f"[{maker.odd_value(tape, self.item.odd)}]"


class _Row:
    """A list whose items each have a place: ``["join", room]``, or the words of a line."""

    odd = ODD_OF_KIND["list"]
    is_fixed = False

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def items(self, tape: Tape) -> list[str]:
        return [item.make(tape) for item in self._items]

    def mutated_items(self, maker: "MessageMaker", tape: Tape) -> list[str]:
        """Return items of which one is odd, or is missing, or is too much."""
        items = self.items(tape)
        byte, at = tape.byte(), tape.below(len(items))
        if byte >= 208:
            return [*items, maker.odd_value(tape)]
        if byte >= _ODD:
            return items[:at]
        at = at or tape.below(len(items))  # the first one is a command, mostly
        inner = self._items[at]
        inside = isinstance(inner, (_Object, _List, _Row)) and byte % 4
        items[at] = inner.mutated(maker, tape) if inside else maker.odd_value(tape, inner.odd)
        return items

    def make(self, tape: Tape) -> str:
        return f"[{','.join(self.items(tape))}]"

    def mutated(self, maker: "MessageMaker", tape: Tape) -> str:
        """Make one of an odd item, or no list that was meant."""
        if tape.byte() >= 208:
            return maker.odd_value(tape, self.odd)
        return f"[{','.join(self.mutated_items(maker, tape))}]"


class MessageMaker:
    """Makes messages of each kind.

    :arg vocabulary: as it is now; what it learns later does not count
    :arg max_size: bytes of the longest message
    """

    def __init__(self, vocabulary: Vocabulary, max_size: int) -> None:
        self._max_size = max_size
        self._vocabulary = vocabulary
        self._values = {name: [_dumps(value) for value in values] for name, values in vocabulary.values.items()}
        self._words = [_dumps(word) for word in vocabulary.words]
        self._odd_values = [*ODD_VALUES, *self._words[:_FEW]]
        self._keys = [
            _dumps(key) for key in [*vocabulary.keys, "a", "", "id", "type", "__proto__", "x" * 300] if key != LIST
        ]
        self._rows: list[_Row] = []
        own, seen, generic = self._own_shapes(), self._seen_shapes(), self._generic_shapes()
        self._tiers = (own or seen or generic, seen or own or generic, generic)
        self._lines = LineMaker(vocabulary, max_size)
        self._frames = FrameMaker(vocabulary)
        self._long_binary = [text.encode() for text in long_texts(max_size)]
        shapes = own or (seen if self.speaks_json else [])
        self.templates: list[tuple[str, Any]] = [("json", shape) for shape in shapes] * _SHAPES
        """What the app takes as it seems, with the kind of message that it is."""
        if not shapes or self._lines.whole or "loads" in vocabulary.facts.kinds.get((), ()):
            self.templates.append(("text", None))
        self.templates += [("text", command) for command in self._lines.commands]
        self.templates += [("text", row) for row in self._rows]
        self.templates += [("binary", code) for code in self._frames.codes]

    @property
    def speaks_json(self) -> bool:
        """Does the app seem to? What it sends tells only where its source does not."""
        facts = self._vocabulary.facts
        return bool(facts.decodes or (self._vocabulary.samples and not facts.texts))

    @property
    def speaks_text(self) -> bool:
        """Are there texts that mean something to the app?"""
        return bool(self._vocabulary.texts)

    def valid(self, template: tuple[str, Any], tape: Tape) -> Message:
        """Make a message that the app may well take."""
        kind, what = template
        if isinstance(what, _Row) and kind == "text":
            return self._ended(self._lines.joined(map(plain, what.items(tape)), tape), tape)
        if kind == "text":
            return self._ended(self._lines.valid(what, tape), tape)
        return self._bounded(what.make(tape)) if kind == "json" else self._frames.valid(what, tape)[: self._max_size]

    def mutated(self, template: tuple[str, Any], tape: Tape) -> Message:
        """Make one that it would take, were one thing not changed."""
        kind, what = template
        if isinstance(what, _Row) and kind == "text":
            return self._ended(self._lines.joined(map(plain, what.mutated_items(self, tape)), tape), tape)
        if kind == "text":
            return self._ended(self._lines.mutated(what, tape), tape)
        if kind == "binary":
            return self._frames.mutated(what, tape)[: self._max_size]
        return self._bounded(what.mutated(self, tape) if hasattr(what, "mutated") else self.odd_value(tape, what.odd))

    def noise(self, kind: str, tape: Tape) -> Message:
        """Make a message that has nothing to do with the app."""
        if kind == "json":
            return self._bounded(tape.choose(ODD_JSON))
        if kind == "text":
            return self._bounded(self._lines.odd(tape))
        return self._odd_binary(tape)[: self._max_size]

    def text(self, tape: Tape) -> str:
        """Make a text message."""
        return self._bounded(self._lines.any(tape))

    def json(self, tape: Tape) -> str:
        """Make a text message that is JSON, or was until something happened to it."""
        byte = tape.byte()
        if byte >= _GENERIC:
            return self._bounded(tape.choose(ODD_JSON))
        shapes = self._tiers[0 if byte < _OWN else 1 if byte < _SEEN else 2]
        mutation, shape = tape.byte(), tape.choose(shapes)
        is_whole = mutation < _SENSIBLE or not isinstance(shape, (_Object, _List, _Row))
        return self._bounded(str(shape.make(tape) if is_whole else shape.mutated(self, tape)))

    def binary(self, tape: Tape) -> bytes:
        """Make a binary message."""
        return self._unbounded_binary(tape)[: self._max_size]

    def _unbounded_binary(self, tape: Tape) -> bytes:
        byte = tape.byte()
        if byte < 64:
            code = tape.choose(self._frames.codes or self._frames.words)
            return self._frames.mutated(code, tape) if byte % 2 else self._frames.valid(code, tape)
        if byte < 144:
            return self.json(tape).encode()
        if byte < 176:
            return self.text(tape).encode()
        return self._odd_binary(tape)

    def _odd_binary(self, tape: Tape) -> bytes:
        byte = tape.byte()
        if byte < 160:
            return tape.choose(ODD_BINARY)
        if byte < 192:
            return tape.choose(self._long_binary)
        return bytes(tape.byte() for _ in range(tape.below(16)))

    def odd_value(self, tape: Tape, fitting: Sequence[str] = ()) -> str:
        """Make a JSON value that nobody meant, as JSON.

        :arg fitting: those that may be odd in this place
        """
        byte = tape.byte()
        return tape.choose(fitting if fitting and byte < _FITTING else self._odd_values)

    def any_key(self, tape: Tape) -> str:
        """Make the name of a member, as JSON."""
        return tape.choose(self._keys)

    def _ended(self, text: str, tape: Tape) -> str:
        return self._bounded(self._lines.ended(text, tape))

    def _bounded(self, text: str) -> str:
        if 4 * len(text) > self._max_size and len(text.encode()) > self._max_size:
            return text[: self._max_size // 4]
        return text

    def _own_shapes(self) -> list[Any]:
        """Return what leads somewhere, smallest first; lists of it, if the app looks for lists."""
        facts = self._vocabulary.facts
        chosen = {path for path in facts.values if "word" not in facts.kinds.get(path, ())}
        shapes: list[Any] = [self._compiled(_tree(shape)) for shape in _largest(facts.shapes, chosen)]
        if facts.separators:
            self._rows = [shape for shape in shapes if isinstance(shape, _Row)]
        if not facts.decodes:
            shapes = [shape for shape in shapes if not isinstance(shape, _Row)]
        for path in facts.open:
            shapes += [self._compiled(_tree({(*path, name): None})) for name in self._vocabulary.names[:_FEW]]
        if "list" in facts.kinds.get((), ()):
            shapes += [_List(shape) for shape in shapes[:_FEW]] or [_List(_Pool(_PLAIN, ODD_VALUES))]
        return shapes

    def _seen_shapes(self) -> list[Any]:
        """Return objects and arrays like those that the server sent, or that its source sends."""
        sent = [self._compiled(_tree(shape)) for shape in self._vocabulary.facts.sent]
        return [self._seen(sample) for sample in self._vocabulary.samples] + sent

    def _generic_shapes(self) -> list[Any]:
        return [self._compiled(_tree(dict.fromkeys((name,) for name in names))) for names in GENERIC_SHAPES]

    def _compiled(self, tree: Any, path: Path = ()) -> Any:
        places = [place for step in tree or () if (place := index_of(step)) is not None] if _is_tree(tree) else []
        has_names = _is_tree(tree) and not places and LIST not in tree
        has_items = not has_names and (*path, LIST) in self._vocabulary.facts.kinds
        if places and (not has_items or max(places)):
            steps = [f"[{place}]" for place in range(min(max(places), _FEW) + 1)]
            return _Row([self._compiled(tree.get(step, tree.get(LIST)), (*path, step)) for step in steps])
        if places or has_items or (_is_tree(tree) and LIST in tree):
            return _List(self._compiled(tree.get(LIST) if _is_tree(tree) else None, (*path, LIST)))
        if isinstance(tree, dict):
            return _Object({name: self._compiled(node, (*path, name)) for name, node in tree.items()})
        return self._pool(path, tree)

    def _seen(self, sample: Any, path: Path = ()) -> Any:
        """Return what makes values like one that was seen."""
        if isinstance(sample, dict) and len(path) < 6:
            return _Object({name: self._seen(item, (*path, name)) for name, item in sample.items()})
        if isinstance(sample, list) and sample and len(path) < 6:
            return _List(self._seen(sample[0], (*path, LIST)))
        if isinstance(sample, (dict, list)):
            return _Pool(["{}" if isinstance(sample, dict) else "[]"], ODD_VALUES)
        odd = ODD_OF_KIND["number" if isinstance(sample, (int, float)) else "string"]
        return _Pool([_dumps(sample), *self._values.get(path[-1] if path else "", ())], odd)

    def _pool(self, path: Path, constant: Any) -> _Pool:
        """Return the values of one member: its constant, or what it is compared with, or what is common."""
        if constant is not None:
            return _Pool([_dumps(constant)], [*_FIXED_ODD, *self._others(path, constant)], is_fixed=True)
        facts = self._vocabulary.facts
        known = [*facts.values.get(path, ())]
        known += self._vocabulary.values.get(name_of(path), ()) if name_of(path) else ()
        items = facts.kinds.get((*path[:-1], LIST), set()) if path[:-1] in facts.open else set()
        kinds = sorted(facts.kinds.get(path, items), key=lambda kind: (kind not in USES, kind))
        matching = [text for pattern in facts.patterns.get(path, ()) for text in matching_texts(pattern)]
        pieces = [text for piece in facts.pieces.get(path, ()) for text in texts_with(piece, self._vocabulary.names)]
        if "int" in kinds:
            pieces += 2 * [text for text in pieces if text.strip("12") != text]  # numbers
        common = [_dumps(value) for value in [*known, *matching]]
        common += [USES[kind][0] for kind in kinds if kind in USES]
        common += [value for kind in kinds for value in TYPICAL.get(kind, ())]
        if "string" in kinds or not kinds:
            common += [_dumps("a" * (size + more)) for size in facts.lengths for more in (0, 1) if size < 5000]
        if not known and not kinds:
            common += _PLAIN
        if "word" in kinds or (not known and {"string", "hash", "index"}.issuperset(kinds)):
            common += [*self._words[:8], *map(_dumps, self._vocabulary.names[:_FEW])]
        own = [_dumps(text) for text in [*_neighbours(known), *pieces, *matching]]
        own += [value for kind in kinds for value in USES.get(kind, ())[1:]]
        others = [value for kind in kinds for value in ODD_OF_KIND.get(kind, ())] or ODD_OF_KIND["unknown"]
        # What its own functions choke on is worth as much as what is odd for all.
        return _Pool(common or _PLAIN, [*own * (len(others) // (len(own) or 1) + 1), *others])

    def _others(self, path: Path, constant: Any) -> list[str]:
        return [_dumps(value) for value in self._vocabulary.facts.values.get(path, ()) if value != constant]


def _neighbours(known: Sequence[Any]) -> list[int | float]:
    """Return numbers around, and between, those that are known."""
    known = [value for value in known if isinstance(value, (int, float)) and not isinstance(value, bool)]
    numbers = sorted({value for value in known if abs(value) < _HUGE})
    middles = [(one + other) // 2 for one, other in itertools.pairwise(numbers)]
    return [*(value + 1 for value in numbers), *(value - 1 for value in numbers), *middles]


def _dumps(value: Any) -> str:
    return json.dumps(value)


def _largest(shapes: list[dict[Path, Any]], chosen: set[Path]) -> list[dict[Path, Any]]:
    """Return the shapes that are no part of another: what is left out of one, a mutation leaves out.

    :arg chosen: members of which the constants are known; any other value there is a mutation, too
    """

    def is_part(shape: dict[Path, Any], other: dict[Path, Any]) -> bool:
        needed = {path: value for path, value in shape.items() if value is not None or path not in chosen}
        return len(shape) < len(other) and shape.keys() <= other.keys() and needed.items() <= other.items()

    return [shape for shape in shapes if not any(is_part(shape, other) for other in shapes)]


def _is_tree(tree: Any) -> bool:
    return isinstance(tree, dict)


def _join(pairs: _Pairs) -> str:
    return "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"


def _tree(shape: dict[Path, Any]) -> dict[str, Any]:
    """Return nested dicts for paths: ``{("a", "b"): 1}`` is ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for path, constant in shape.items():
        node = tree
        for step in path[:-1]:
            inner = node.get(step)
            node[step] = node = inner if isinstance(inner, dict) else {}
        if not isinstance(node.get(path[-1]), dict):
            node[path[-1]] = constant
    return tree


def _replace(pairs: _Pairs, tape: Tape, change: Callable[[str], str]) -> str:
    if pairs:
        at = tape.below(len(pairs))
        pairs[at] = (pairs[at][0], change(pairs[at][1]))
    return _join(pairs)


def _drop_all(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    kept = tape.below(max(len(pairs), 1))
    return _join(pairs[kept : kept + 1])


def _drop(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    if pairs:
        del pairs[tape.below(len(pairs))]
    return _join(pairs)


def _null(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _replace(pairs, tape, lambda value: "null")


def _empty(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    empty = {'"': '""', "[": "[]", "{": "{}"}
    return _replace(pairs, tape, lambda value: empty.get(value[:1], "0"))


def _other(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _replace(pairs, tape, lambda value: maker.odd_value(tape))


def _listed(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _replace(pairs, tape, lambda value: f"[{value}]")


def _nested(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _replace(pairs, tape, lambda value: f'{{"a":{value}}}')


def _as_text(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _replace(
        pairs, tape, lambda value: value[1:-1] if value[:1] == '"' and value[1:-1].isdecimal() else _dumps(value)
    )


def _add(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    pairs.append((maker.any_key(tape), maker.odd_value(tape)))
    return _join(pairs)


def _rename(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    if pairs:
        at = tape.below(len(pairs))
        name, value = pairs[at]
        new = (maker.any_key(tape), name.upper() if "\\" not in name else name, name[:-1] + ' "')
        pairs[at] = (tape.choose(new), value)
    return _join(pairs)


def _twice(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    if pairs:
        pairs.append((tape.choose(pairs)[0], maker.odd_value(tape)))
    return _join(pairs)


def _in_list(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return f"[{_join(pairs)}]"


def _cut(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    text = _join(pairs)
    return text[: len(text) - 1 - tape.below(max(len(text) - 1, 1))]


def _encoded_twice(maker: MessageMaker, pairs: _Pairs, tape: Tape) -> str:
    return _dumps(_join(pairs))


_MUTATIONS = (
    _drop, _drop, _drop, _drop, _drop_all, _null, _null, _empty, _other, _listed, _listed, _nested, _as_text, _add,
    _rename, _twice, _in_list, _cut, _encoded_twice,
)  # fmt: skip
