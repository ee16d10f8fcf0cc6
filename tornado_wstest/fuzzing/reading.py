"""What an app's source says about the messages that it understands.

The source is read, never run. Which members are looked up, which constants they are compared with, and which
functions that leads to, is put together: ``if message["type"] == "join"`` with a ``message["room"]`` in its
body, or in a function called there, becomes the shape ``{"type": "join", "room": ...}``.

It is a guess, and a generous one: a member too many costs a fuzzer little.
"""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator

from .following import follow, follow_assigned
from .syntax import KINDS_OF_TYPES, Chain, Facts, Path, Scalar, Source, is_scalar, last_name

__all__ = ["parsed", "read_source", "read_trees"]

_CONTEXTS = 8
_NAME = re.compile(r"[A-Za-z][\w.:-]{0,30}")
_SHAPES = 120


def read_source(sources: Iterable[str], skip: frozenset[str] = frozenset()) -> Facts:
    """Return what the sources say, all together. One that is no Python says nothing.

    :arg skip: names of classes that have nothing to do with it
    """
    return read_trees([tree for source in sources if (tree := parsed(source)) is not None], skip)


def read_trees(trees: Iterable[ast.Module], skip: frozenset[str] = frozenset()) -> Facts:
    """Return what sources that are parsed say, all together."""
    read = Source([*trees], skip)
    for _ in range(3):  # what a function is called with is known when all its callers were read, and what it returns
        _read(read)
    _Shapes(read).find()
    read.facts.names.update((text, None) for text in read.facts.texts if _NAME.fullmatch(text))
    return read.facts


def parsed(source: str) -> ast.Module | None:
    """Return a source as a tree, or None if it is no Python."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _read(source: Source) -> None:
    source.reads, source.edges = {}, []
    follow_assigned(source)
    for name, functions in source.functions.items():
        for function in functions:
            follow(source, name, function)
    for one in source.classes:
        _read_fields(source, one)


def _read_fields(source: Source, one: ast.ClassDef) -> None:
    """Annotated fields (of a dataclass, a TypedDict, a model) are members."""
    fields = [item for item in one.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    shape: dict[Path, Scalar | None] = {}
    for field in fields:
        path = (last_name(field.target),)
        literals = [item for item in ast.walk(field.annotation) if is_scalar(item)]
        for literal in literals if "Literal" in ast.unparse(field.annotation) else ():
            source.compared(path, [literal.value])
        shape[path] = next((value for value in source.facts.values.get(path, ()) if literals), None)
        for item in ast.walk(field.annotation):
            source.used_as(path, KINDS_OF_TYPES.get(last_name(item), ""))
    if shape and shape not in source.facts.shapes:
        source.facts.shapes.append(shape)


class _Shapes:
    """Puts together what each branch reads, and what must be so to get there."""

    def __init__(self, source: Source) -> None:
        self.facts = source.facts
        self.reads = source.reads
        self.edges = source.edges

    def find(self) -> None:
        chains = [(function, chain) for function, reads in self.reads.items() for chain, _ in reads]
        chains += [(function, chain) for function, chain, _ in self.edges]
        for function, chain in dict.fromkeys(chains):
            if len(self.facts.shapes) < _SHAPES:
                self._find(function, chain)
        self.facts.shapes.sort(key=len)

    def _find(self, function: str, chain: Chain) -> None:
        for context, known in itertools.islice(self._contexts(function, ()), _CONTEXTS):
            members = [path for path in (*known, *self._reads_under(function, chain, set())) if path]
            for fixed in itertools.islice(_choices((*context, *chain)), _CONTEXTS):
                shape: dict[Path, Scalar | None] = {**dict.fromkeys(members), **fixed}
                shape.pop((), None)  # what the whole is compared with is no member
                if shape and shape not in self.facts.shapes:
                    self.facts.shapes.append(shape)

    def _before(self, function: str, chain: Chain) -> list[Path]:
        """Return what ``function`` reads on the way to the end of ``chain``."""
        return [path for its, path in self.reads.get(function, ()) if chain[: len(its)] == its]

    def _contexts(self, function: str, seen: tuple[str, ...]) -> Iterator[tuple[Chain, list[Path]]]:
        """Yield the conditions under which a function is called, and what was read before."""
        callers = [edge for edge in self.edges if edge[2] == function and edge[0] not in (*seen, function)]
        for caller, chain, _ in callers[:_CONTEXTS]:
            for outer, known in self._contexts(caller, (*seen, function)):
                yield (*outer, *chain), [*known, *self._before(caller, chain)]
        if not callers:
            yield (), []

    def _reads_under(self, function: str, chain: Chain, seen: set[str]) -> Iterator[Path]:
        """Yield what is read on the way to the end of ``chain``, there, and in the functions called there."""
        seen.add(function)
        yield from self._before(function, chain)
        for caller, its, callee in self.edges:
            if caller == function and its == chain and callee not in seen:
                yield from self._reads_under(callee, (), seen)


def _choices(chain: Chain) -> Iterator[dict[Path, Scalar]]:
    """Yield one way after the other for all conditions to be true."""
    merged: dict[Path, tuple[Scalar, ...]] = {path: constants for path, constants in chain if constants}
    for values in itertools.product(*merged.values()):
        yield dict(zip(merged, values, strict=True))
