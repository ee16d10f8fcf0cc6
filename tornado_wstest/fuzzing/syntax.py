"""What has a name in an app's source: constants, tables, functions; and what was found out so far."""

import ast
import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Protocol, TypeGuard

__all__ = [
    "KINDS_OF_TYPES",
    "LIST",
    "PATH",
    "QUERY",
    "WORDS",
    "REGISTERED",
    "Chain",
    "Facts",
    "Path",
    "Scalar",
    "Source",
    "index_of",
    "is_member",
    "is_scalar",
    "item_of",
    "last_name",
    "rest_of",
    "settled",
    "table_of",
]

Path = tuple[str, ...]
"""Where something stands in a message: the names of members, from the outside in."""

Scalar = str | int | float

REGISTERED = "@"
"""The table of functions that a decorator with a text registers."""

LIST = "[]"
"""The step of a path from a list to its items. That to its second one alone is ``[1]``, to all from there ``[1:]``."""

WORDS = "[,]"
"""The step of a path from a text that is a member to what it is split into; they count as the text."""

PATH, QUERY = "/", "?"
"""The first step of a path to an argument of the URL; its second step is a number, or a name."""

Chain = tuple[tuple[Path, tuple[Scalar, ...]], ...]
"""What must be so to get to some place: paths, with the constants of which one stands there."""

_CHARACTERS = 16

KINDS_OF_TYPES = {"int": "number", "float": "number", "str": "string", "bool": "bool", "list": "list", "dict": "object"}


@dataclasses.dataclass
class Facts:
    """What was found in some sources."""

    values: dict[Path, list[Scalar]] = dataclasses.field(default_factory=dict)
    """Constants that a member is compared with; those of the message itself are under ``()``."""

    kinds: dict[Path, set[str]] = dataclasses.field(default_factory=dict)
    """How a member is used: as a ``number``, ``string``, ``bool``, ``list`` or ``object``."""

    shapes: list[dict[Path, Scalar | None]] = dataclasses.field(default_factory=list)
    """Objects that lead somewhere: members with their constant, or `None` for any value."""

    sent: list[dict[Path, Scalar | None]] = dataclasses.field(default_factory=list)
    """Objects that the app sends, as far as they stand in its source."""

    words: dict[str, None] = dataclasses.field(default_factory=dict)
    numbers: dict[int | float, None] = dataclasses.field(default_factory=dict)
    lengths: dict[int, None] = dataclasses.field(default_factory=dict)
    pieces: dict[Path, dict[str, None]] = dataclasses.field(default_factory=dict)
    """What a text is asked to have in it, or is split at."""

    patterns: dict[Path, dict[str, None]] = dataclasses.field(default_factory=dict)
    """Regular expressions that a text is matched with."""

    separators: dict[str, None] = dataclasses.field(default_factory=dict)
    arguments: dict[str, None] = dataclasses.field(default_factory=dict)
    names: dict[str, None] = dataclasses.field(default_factory=dict)
    """Strings that may be names of something."""

    texts: list[str] = dataclasses.field(default_factory=list)
    """All strings of the source, for whoever looks for something in them."""

    prefixes: dict[str, None] = dataclasses.field(default_factory=dict)
    """What text messages, or parts of them, are asked to start with."""

    suffixes: dict[str, None] = dataclasses.field(default_factory=dict)
    """What text messages are asked to end with."""

    binary: dict[bytes, None] = dataclasses.field(default_factory=dict)
    """Constants of bytes."""

    formats: dict[str, None] = dataclasses.field(default_factory=dict)
    """What `struct` is asked to unpack."""

    open: dict[Path, None] = dataclasses.field(default_factory=dict)
    """Objects of which each member is looked at, whatever its name."""

    decodes: bool = False
    """Does the source decode JSON, or something like it?"""


class Source:
    """Some modules as trees: what has a name in them, and what is found in their functions.

    :arg skip: names of classes that have nothing to do with it
    """

    def __init__(self, trees: list[ast.Module], skip: frozenset[str]) -> None:
        self.facts: Facts = Facts()
        self.constants: dict[str, Scalar] = {}
        self.tables: dict[str, dict[str, str]] = {}
        self.members: dict[str, list[Scalar]] = {}
        self.functions: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        self.classes: list[ast.ClassDef] = []
        self.called_with: dict[str, dict[int, Path]] = {}
        self.unpacked: dict[str, Path] = {}
        self.reads: dict[str, list[tuple[Chain, Path]]] = {}
        self.edges: list[tuple[str, Chain, str]] = []
        self.returns: dict[str, Path] = {}
        self.fields: set[str] = set()
        self.attributes: dict[str, Path] = {}
        self.patterns: dict[str, str] = {}
        self.assigned: list[ast.expr] = []
        for tree in trees:
            self._collect(tree.body, skip)
            self.facts.texts += [
                node.value for node in ast.walk(tree) if is_scalar(node) and isinstance(node.value, str)
            ]

    def _collect(self, body: list[ast.stmt], skip: frozenset[str]) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name not in skip:
                self.classes.append(node)
                self._register(node)
                self.fields.update(last_name(item.target) for item in node.body if isinstance(item, ast.AnnAssign))
                self._collect(node.body, skip)
                self._collect_members(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions.setdefault(node.name, []).append(node)
                self._register(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self._collect_names([name for target in targets if (name := last_name(target))], node.value)
                self.assigned.append(node.value)
            elif isinstance(node, (ast.If, ast.Try, ast.With)):
                self._collect(node.body, skip)

    def _collect_members(self, node: ast.ClassDef) -> None:
        """Note the constants of a class, their names if it is an enumeration, and what it is made with."""
        constants = {
            last_name(item.targets[0]): item.value.value
            for item in node.body
            if isinstance(item, ast.Assign) and is_scalar(item.value)
        }
        self.members[node.name] = [*constants.values()]
        if any(last_name(base).endswith(("Enum", "Flag")) for base in node.bases):
            self.tables[node.name] = dict.fromkeys(constants, "")
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                self.functions.setdefault(node.name, []).append(item)

    def _collect_names(self, names: list[str], value: ast.expr) -> None:
        for name in names:
            if is_scalar(value):
                self.constants[name] = value.value
            elif isinstance(value, ast.Dict):
                self.tables[name] = table_of(value)
            elif constants := self.constants_of(value):
                self.members[name] = constants
            elif isinstance(value, ast.Call) and last_name(value.func) == "compile" and value.args:
                self.patterns.update((name, text) for text in self.constants_of(value.args[0]) if isinstance(text, str))

    def _register(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        """``@command("join")`` puts a function or a class into a table, under this constant."""
        for one in node.decorator_list:
            if isinstance(one, ast.Call):
                names = [argument.value for argument in one.args if is_scalar(argument)]
                table = self.tables.setdefault(REGISTERED, {})
                table.update({name: node.name for name in names if isinstance(name, str)})

    def constants_of(self, node: ast.expr) -> list[Scalar]:
        """Return the constants that an expression stands for: one, or those of a tuple, set or list."""
        if is_scalar(node):
            return [node.value]
        if isinstance(node, (ast.Tuple, ast.Set, ast.List)):
            return [constant for item in node.elts for constant in self.constants_of(item)]
        if isinstance(node, ast.Call) and node.args and last_name(node.func) in ("frozenset", "set", "tuple", "list"):
            return self.constants_of(node.args[0])
        if isinstance(node, ast.Attribute) and node.attr == "value":
            return self.constants_of(node.value)
        name = last_name(node)
        if name in self.constants:
            return [self.constants[name]]
        return self.members.get(name) or list(self.tables.get(name, ()))

    def group_of(self, node: ast.expr) -> list[Scalar]:
        """Return the constants that something is ``in``: of a text, its characters."""
        constants = self.constants_of(node)
        return [*str(constants[0])[:_CHARACTERS]] if is_scalar(node) and isinstance(node.value, str) else constants

    def compared(self, path: Path | None, constants: Iterable[Scalar]) -> None:
        """Note that what is at the path is compared with these."""
        for constant in constants:
            if isinstance(constant, str):
                self.facts.words[constant] = None
            else:
                self.facts.numbers[constant] = None
            # What a list is asked to begin with may as well be what a text begins with.
            places = [] if path is None else [(), ("[0]",)] if settled(path) == ("[0]",) else [settled(path)]
            for place in places:
                if constant not in (values := self.facts.values.setdefault(place, [])):
                    values.append(constant)

    def used_as(self, path: Path | None, kind: str) -> None:
        """Note what is done with what is at the path."""
        if path is not None and kind:
            self.facts.kinds.setdefault(settled(path), set()).add(kind)

    def has_piece(self, path: Path | None, piece: Scalar) -> None:
        """Note that the text at the path is asked for this."""
        if path is not None and isinstance(piece, str) and piece:
            self.facts.pieces.setdefault(settled(path), {})[piece] = None

    def matched(self, path: Path | None, pattern: Scalar) -> None:
        """Note that the text at the path is matched with a regular expression."""
        if path is not None and isinstance(pattern, str) and pattern:
            self.facts.patterns.setdefault(settled(path), {})[pattern] = None


def item_of(path: Path, index: int) -> Path:
    """Return the path of one item of a list: of one word, if it is a text that was split."""
    if path[-1:] == (WORDS,):
        return path[:-1]
    if index < 0:
        return (*path, LIST) if path else path
    return (*path[:-1], f"[{_first(path) + index}]") if _is_rest(path) else (*path, f"[{index}]")


def rest_of(path: Path, index: int) -> Path:
    """Return the path of all items from one on."""
    if path[-1:] == (WORDS,):
        return path
    return (*path[:-1], f"[{_first(path) + index}:]") if _is_rest(path) else (*path, f"[{index}:]")


def index_of(step: str) -> int | None:
    """Return 1 for the step ``[1]``, and None for one that leads to no item with a number."""
    match = re.fullmatch(r"\[(\d{1,3})\]", step)
    return int(match[1]) if match else None


def is_member(path: Path | None) -> TypeGuard[Path]:
    """Is it a part of a message, and not the whole, and no argument of the URL?"""
    return bool(path) and path is not None and path[0] not in (PATH, QUERY)


def settled(path: Path) -> Path:
    """Return what is meant where something is said of several items: the first of them, or the text they are of."""
    return item_of(path, 0) if path[-1:] == (WORDS,) or _is_rest(path) else path


def _is_rest(path: Path) -> bool:
    return bool(path) and re.fullmatch(r"\[\d+:\]", path[-1]) is not None


def _first(path: Path) -> int:
    return int(path[-1][1:-2])


def table_of(node: ast.Dict) -> dict[str, str]:
    """Return the constant keys of a dict, and the name of what each leads to."""
    return {
        key.value: last_name(value)
        for key, value in zip(node.keys, node.values, strict=True)
        if key is not None and is_scalar(key) and isinstance(key.value, str)
    }


class _ScalarNode(Protocol):
    value: Scalar


def is_scalar(node: object) -> TypeGuard[_ScalarNode]:
    """Is this node of a tree a constant that JSON has?"""
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float))


def last_name(node: Any) -> str:
    """Return ``c`` of ``a.b.c``, of ``c`` and of ``lambda: c()``."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
