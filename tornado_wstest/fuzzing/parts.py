"""Which part of a message an expression is, as far as a source tells."""

import ast
import builtins

from .syntax import KINDS_OF_TYPES, LIST, PATH, QUERY, WORDS, Path, Source, item_of, last_name, rest_of, settled
from .uses import MATCHERS

__all__ = ["ARGUMENTS", "DECODERS", "LOOKUPS", "STRINGS", "Parts"]

DECODERS = frozenset(
    [
        "loads", "json_decode", "decode", "from_json", "parse", "unpackb", "json_loads", "model_validate",
        "model_validate_json",
    ]
)  # fmt: skip
LOOKUPS = ("get", "pop", "setdefault")
STRINGS = frozenset(
    [
        "strip", "lstrip", "rstrip", "lower", "upper", "casefold", "title", "capitalize", "startswith", "endswith",
        "split", "rsplit", "partition", "splitlines", "encode", "replace", "removeprefix", "removesuffix",
    ]
)  # fmt: skip
ARGUMENTS = ("get_argument", "get_query_argument", "get_arguments", "get_query_arguments")
_SPLITTERS = ("split", "rsplit", "partition", "splitlines")
_OPAQUE = {*vars(builtins)} - {
    *KINDS_OF_TYPES, "tuple", "set", "sorted", "reversed", "iter", "next", "abs", "min", "max", "enumerate", "map",
    "filter", "repr",
}  # fmt: skip
"""Functions that make something else of what they get."""


class Parts:
    """Knows which names hold parts of the message, in one function.

    A call of what is not known is taken for what it is called with, if that is one part of the message:
    ``cast(Join, message)``, ``checked(message["room"])``.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.names: dict[str, Path | None] = {}

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """Read ``target = value``."""
        if isinstance(value, ast.IfExp):
            value = value.body if self.of(value.orelse) is None else value.orelse
        if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
            for one, its in zip(target.elts, value.elts, strict=False):
                self.assign(one, its)
        elif isinstance(target, (ast.Tuple, ast.List)) and _is_partition(value):
            path = self.of(value)
            places = [None, None, None] if path is None else [item_of(path, 0), None, rest_of(path, 1)]
            for one, place in zip(target.elts, places, strict=False):
                self.bind(one, place)
        elif not isinstance(value, (ast.Constant, ast.Dict, ast.List)):  # a default: data = {}
            self.bind(target, self.of(value))

    def bind(self, target: ast.expr, path: Path | None) -> None:
        """Note that a target now holds this part, or its items if there are several targets."""
        if isinstance(target, ast.Name):
            self.names[target.id] = path
        elif isinstance(target, ast.Attribute) and path is not None:
            self._source.attributes.setdefault(target.attr, path)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for place, item in enumerate(target.elts):
                if isinstance(item, ast.Starred):
                    self.bind(item.value, None if path is None else rest_of(path, place))
                else:
                    self.bind(item, None if path is None else item_of(path, place))

    def iterate(self, target: ast.expr, over: ast.expr) -> Path | None:
        """Read ``for target in over``, and return what is gone through."""
        path = self.of(over)
        item = None if path is None else _item_of(path)
        if isinstance(over, ast.Call) and last_name(over.func) in ("enumerate", "items") and _is_pair(target):
            target = target.elts[1]  # type: ignore[attr-defined]
        self.bind(target, item)
        return path

    def of(self, node: ast.expr) -> Path | None:
        """Return which part of the message an expression is: ``()`` the whole, `None` for none of it."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, (ast.Await, ast.NamedExpr, ast.FormattedValue, ast.Starred)):
            return self.of(node.value)
        if isinstance(node, ast.BoolOp):
            return self.of(node.values[0])
        if isinstance(node, ast.IfExp):
            return self._first([node.body, node.orelse])
        if isinstance(node, ast.JoinedStr):
            return self._only(node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._only([node.left, node.right])
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            return self.item(node.value, node.slice)
        return self._call(node) if isinstance(node, ast.Call) else None

    def _first(self, nodes: list[ast.expr]) -> Path | None:
        return next((path for node in nodes if (path := self.of(node)) is not None), None)

    def _only(self, nodes: list[ast.expr]) -> Path | None:
        """Return the part that is among these, if there is one only."""
        found = {path for node in nodes if (path := self.of(node)) is not None}
        return found.pop() if len(found) == 1 else None

    def _attribute(self, node: ast.Attribute) -> Path | None:
        base = self.of(node.value)
        if base is not None and node.attr in self._source.fields:
            return (*base, node.attr)
        if node.attr in ("path_args", "path_kwargs"):
            return (PATH,)
        return self._source.attributes.get(node.attr)

    def item(self, node: ast.expr, key: ast.expr) -> Path | None:
        """Return which part ``node[key]`` is."""
        base = self.of(node)
        if base is None:
            return None
        if isinstance(key, ast.Slice):
            start = self._source.constants_of(key.lower) if key.lower is not None else [0]
            return rest_of(base, start[0]) if _is_words(base) and start and isinstance(start[0], int) else base
        if isinstance(key, ast.UnaryOp):
            return item_of(base, -1)
        names = self._source.constants_of(key)
        if len(names) != 1:
            return None
        if base == (PATH,):
            return (PATH, str(names[0]))
        return (*base, names[0]) if isinstance(names[0], str) else item_of(base, int(names[0]))

    def _match(self, node: ast.Call) -> Path | None:
        """Return what ``PATTERN.match(text)`` finds, or splits: words of the text."""
        path = self._first(node.args)
        if path == () and last_name(node.func) == "split":
            return ("[0:]",)
        return None if path is None else (*settled(path), WORDS)

    def _call(self, node: ast.Call) -> Path | None:
        called = last_name(node.func)
        if isinstance(node.func, ast.Attribute):
            base = self.of(node.func.value)
            if called in LOOKUPS and node.args:
                return self.item(node.func.value, node.args[0])
            if base is not None and called in _SPLITTERS and not _is_words(base):
                return (*base, WORDS) if base else ("[0:]",)
            if base is not None and called in STRINGS | DECODERS | {"items", "values", "copy", "group", "groups"}:
                return base
            if called in MATCHERS and node.args:
                return self._match(node)
        if called in ARGUMENTS and node.args:
            names = self._source.constants_of(node.args[0])
            return (QUERY, str(names[0])) if names else None
        if called in DECODERS and node.args:
            return self.of(node.args[0]) or ()
        if called in self._source.returns:
            return self._source.returns[called]
        if called in self._source.members and (node.args or node.keywords):  # a class
            inner = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg is None)]
            return self.of(inner[0]) if inner else None
        if called in self._source.functions or called in _OPAQUE:
            return None
        return self._only([*node.args, *(keyword.value for keyword in node.keywords)])


def _item_of(path: Path) -> Path:
    """Return what each item is: of the words of a whole text nothing better is known than that they are of it."""
    if path == ("[0:]",):
        return ()
    return item_of(path, 0) if _is_words(path) else (*path, LIST)


def _is_words(path: Path) -> bool:
    return path[-1:] == (WORDS,) or (path[-1:] != () and path[-1].endswith(":]"))


def _is_partition(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) == "partition"


def _is_pair(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple) and len(node.elts) == 2
