"""What of a project's source has to do with one handler.

A module may have many handlers in it, and much else. Of all that, what counts is the handler's class, its bases,
and what these name, wherever in the project it stands: functions that are called, constants, tables, classes, and
what stands beside the class in a function around it.
"""

import ast
import types
from collections.abc import Iterable, Iterator

__all__ = ["definitions_of"]

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For)
_MOST = 300  # definitions


def definitions_of(
    classes: Iterable[type], trees: dict[str, ast.Module], skip: frozenset[str] = frozenset()
) -> list[ast.stmt]:
    """Return what the classes are made of: their own definitions, and all that these lead to.

    Nothing, where the classes are not found.

    :arg trees: modules of the project, by their name
    :arg skip: names of classes that have nothing to do with it
    """
    found: dict[ast.stmt, None] = {}
    around: list[ast.stmt] = []
    own = set[str]()
    for one in classes:
        place = _place_of(one, trees.get(one.__module__))
        if place is not None:
            *scopes, node = place
            found[node] = None
            own.add(one.__name__)
            around += [item for scope in reversed(scopes) for item in _items(getattr(scope, "body", []))]
    if not found:
        return []
    index = _Index(skip)
    for item in around:
        if item not in found and not _is_handler(item):
            index.add(item)
    for tree in trees.values():
        for item in _items(tree.body):
            if item not in found:
                index.add(item)
    return index.reached_from(found)


class _Index:
    """Definitions by the names that lead to them."""

    def __init__(self, skip: frozenset[str]) -> None:
        self._skip = skip
        self._by_name: dict[str, list[ast.stmt]] = {}

    def add(self, node: ast.stmt) -> None:
        """Take a definition in."""
        names = _names_of(node)
        if self._skip.intersection(names):
            return
        if isinstance(node, ast.ClassDef):  # a method leads to its class
            names += [
                item.name for item in node.body if isinstance(item, _FUNCTIONS) and not item.name.startswith("__")
            ]
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)):  # what is registered: @command("join")
            for one in node.decorator_list:
                if isinstance(one, ast.Call) and _has_text(one):
                    names += [_last(one.func), _owner(one.func)]
        for name in filter(None, names):
            self._by_name.setdefault(name, []).append(node)

    def reached_from(self, found: dict[ast.stmt, None]) -> list[ast.stmt]:
        """Return these definitions, and what they lead to."""
        waiting = list(found)
        asked = set[str]()
        while waiting and len(found) < _MOST:
            node = waiting.pop(0)
            for name in _used(node):
                if name in asked:
                    continue
                asked.add(name)
                for other in self._by_name.get(name, ()):
                    if other not in found:
                        found[other] = None
                        waiting.append(other)
        return list(found)


def _place_of(one: type, tree: ast.Module | None) -> list[ast.stmt] | None:
    """Return the definition of a class, last, and the functions and classes around it."""
    if tree is None:
        return None
    lines = {value.__code__.co_firstlineno for value in vars(one).values() if isinstance(value, types.FunctionType)}
    places = [place for place in _places(tree.body, []) if getattr(place[-1], "name", "") == one.__name__]
    qualified = [name for name in one.__qualname__.split(".") if name != "<locals>"]
    for place in places:
        node = place[-1]
        if lines and all(node.lineno <= line <= (node.end_lineno or 0) for line in lines):
            return place
    for place in places:
        if [getattr(node, "name", "") for node in place] == qualified:
            return place
    return None


def _places(body: Iterable[ast.stmt], around: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield [*around, node]
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)):
            yield from _places(node.body, [*around, node])
        elif isinstance(node, _BLOCKS):
            yield from _places([*node.body, *getattr(node, "orelse", ())], around)


def _items(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the definitions of a body, and statements that fill a table: ``TABLE["join"] = join``."""
    for node in body:
        if isinstance(node, _DEFINITIONS):
            yield node
        elif isinstance(node, _BLOCKS):
            yield from _items([*node.body, *getattr(node, "orelse", ())])


def _names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.ClassDef, *_FUNCTIONS)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [_last(one.value if isinstance(one, ast.Subscript) else one) for one in targets if one is not None]


def _is_handler(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(_last(base).endswith("Handler") for base in node.bases)


def _used(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, (ast.Name, ast.Attribute)):
            yield _last(one)


def _last(node: object) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _owner(node: object) -> str:
    return _last(node.value) if isinstance(node, ast.Attribute) else ""


def _has_text(call: ast.Call) -> bool:
    return any(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in call.args)
