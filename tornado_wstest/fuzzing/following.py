"""What one function does with a message, and with its parts.

A name is followed from where a message comes in (an argument, ``json.loads``) through
``data = message["data"]`` to what becomes of it.
"""

import ast
import itertools

from .looking import Looker
from .parts import Parts
from .syntax import KINDS_OF_TYPES, PATH, Chain, Path, Source, is_member, item_of, last_name, rest_of, settled

__all__ = ["follow", "follow_assigned"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef

_NO_MESSAGE = frozenset(
    ["__init__", "on_ping", "on_pong", "prepare", "initialize", "check_origin", "select_subprotocol", "on_close"]
)
"""What these are called with by Tornado is no message."""
_OPENERS = ("open", "get")
"""And these with the arguments of the path."""
_LEAVERS = (ast.Return, ast.Raise, ast.Continue, ast.Break)


def follow(source: Source, name: str, function: _Function) -> None:
    """Note in ``source`` what a function, called by this name, reads, compares, calls and sends."""
    _Follower(source, name).run(function)


def follow_assigned(source: Source) -> None:
    """Note what stands outside of functions: tables, records, patterns."""
    looker = Looker(source, "", Parts(source))
    for node in source.assigned:
        looker.look(node)


class _Follower:
    """Reads one function, statement by statement."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._parts = Parts(source)
        self._looker = Looker(source, name, self._parts)

    def run(self, function: _Function) -> None:
        """Read it all."""
        for place, argument in enumerate(_arguments_of(function)):
            self._parts.names[argument] = self._given(place)
            if self._name in self._source.unpacked:
                self._parts.names[argument] = path = (*self._source.unpacked[self._name], argument)
                self._looker.saw_read(path)
        self._block(function.body)

    def _given(self, place: int) -> Path | None:
        """Return which part of the message an argument is."""
        if self._name in _OPENERS:
            return (PATH, str(place))
        known = self._source.called_with.get(self._name, {})
        return known.get(place, None if self._name in _NO_MESSAGE or self._is_class() else ())

    def _is_class(self) -> bool:
        return self._name in self._source.members

    # Statements

    def _block(self, body: list[ast.stmt]) -> None:
        for place, statement in enumerate(body, 1):
            self._statement(statement)
            # Behind ``if message["v"] != 1: return`` the rest is under the other condition.
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], _LEAVERS):
                self._under(self._conditions(statement.test, holds=False), body[place:])
                return

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self._looker.look(node.test)
            self._under(self._conditions(node.test), node.body)
            self._under((*_otherwise(node), *self._conditions(node.test, holds=False)), node.orelse)
        elif isinstance(node, ast.Match):
            self._match(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            self._looker.look(node.value)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self._parts.assign(target, node.value)
        elif isinstance(node, ast.Return) and node.value is not None:
            self._looker.look(node.value)
            if (path := self._parts.of(node.value)) is not None:
                self._source.returns.setdefault(self._name, path)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self._looker.look(node.iter)
            self._looker.iterate(node.target, node.iter)
            self._block([*node.body, *node.orelse])
        else:
            self._others(node)

    def _others(self, node: ast.AST) -> None:
        """Look at the expressions of any other statement, and read the blocks inside."""
        for _, field in ast.iter_fields(node):
            if isinstance(field, list) and field and isinstance(field[0], ast.stmt):
                self._block(field)
                continue
            for child in field if isinstance(field, list) else [field]:
                if isinstance(child, ast.expr):
                    self._looker.look(child)
                elif isinstance(child, ast.AST):
                    self._others(child)

    def _under(self, conditions: Chain, body: list[ast.stmt]) -> None:
        outer = self._looker.chain
        self._looker.chain = (*outer, *conditions)
        for path, constants in conditions:
            if constants:
                self._looker.saw_read(path)
        self._block(body)
        self._looker.chain = outer

    # Conditions

    def _conditions(self, test: ast.expr, *, holds: bool = True) -> Chain:
        """Return what must be so for a test to be true (or not), as far as it is about the message."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return self._conditions(test.operand, holds=not holds)
        if isinstance(test, ast.BoolOp):
            parts = [self._conditions(value, holds=holds) for value in test.values]
            if isinstance(test.op, ast.And) is holds:
                return tuple(itertools.chain(*parts))
            return _either(parts)
        wanted = (ast.Eq, ast.In) if holds else (ast.NotEq, ast.NotIn)
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], wanted):
            left, right = test.left, test.comparators[0]
            pairs = [(left, self._source.constants_of(right)), (right, self._source.constants_of(left))]
            if isinstance(test.ops[0], (ast.In, ast.NotIn)):
                pairs = [(left, self._source.group_of(right))]
            for one, constants in pairs:
                path = self._parts.of(one)
                if path is not None and is_member(settled(path)) and constants:
                    return ((settled(path), tuple(constants)),)
        return ()

    def _match(self, node: ast.Match) -> None:
        self._looker.look(node.subject)
        subject = self._parts.of(node.subject)
        outer = self._looker.chain
        for case in node.cases:
            self._looker.chain = (*outer, *_otherwise(case))
            conditions = self._pattern(case.pattern, subject)
            if case.guard is not None:
                self._looker.look(case.guard)
                conditions += self._conditions(case.guard)
            self._under(tuple(condition for condition in conditions if condition[0]), case.body)
        self._looker.chain = outer

    def _pattern(self, pattern: ast.pattern, path: Path | None) -> Chain:
        """Note what a pattern compares, and return what must be so for it to match."""
        if isinstance(pattern, ast.MatchValue):
            constants = tuple(self._source.constants_of(pattern.value))
            self._source.compared(path, constants)
            return ((path, constants),) if path is not None and constants else ()
        if isinstance(pattern, ast.MatchOr):
            return _either([self._pattern(one, path) for one in pattern.patterns])
        if isinstance(pattern, ast.MatchAs):
            if pattern.name is not None:
                self._parts.names[pattern.name] = path
            return self._pattern(pattern.pattern, path) if pattern.pattern is not None else ()
        if isinstance(pattern, ast.MatchMapping):
            return self._mapping(pattern, path or ())
        if isinstance(pattern, ast.MatchClass):
            return self._class(pattern, path)
        return self._sequence(pattern, path) if isinstance(pattern, ast.MatchSequence) and path is not None else ()

    def _mapping(self, pattern: ast.MatchMapping, path: Path) -> Chain:
        found: Chain = ()
        for key, inner in zip(pattern.keys, pattern.patterns, strict=True):
            for name in self._source.constants_of(key):
                place = (*path, str(name))
                self._looker.saw_read(place)
                found += self._pattern(inner, place)
        return found

    def _class(self, pattern: ast.MatchClass, path: Path | None) -> Chain:
        """``str(name)``, and ``Join(room=room)``."""
        self._source.used_as(path, KINDS_OF_TYPES.get(last_name(pattern.cls), ""))
        found = self._pattern(pattern.patterns[0], path) if pattern.patterns else ()
        for name, inner in zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True):
            if path is not None:
                self._looker.saw_read((*path, name))
                found += self._pattern(inner, (*path, name))
        return found

    def _sequence(self, pattern: ast.MatchSequence, path: Path) -> Chain:
        """``["join", room, *others]``."""
        self._source.used_as(path, "list")
        found: Chain = ()
        inside: list[Path] = []
        for place, inner in enumerate(pattern.patterns):
            if isinstance(inner, ast.MatchStar):
                if inner.name is not None:
                    self._parts.names[inner.name] = rest_of(path, place)
                break
            inside.append(item_of(path, place))
            found += self._pattern(inner, inside[-1])
        outer = self._looker.chain
        self._looker.chain = (*outer, *found)
        for item in inside:
            self._looker.saw_read(item)
        self._looker.chain = outer
        return found


def _either(parts: list[Chain]) -> Chain:
    """Return the condition that one of these holds, if they are all about one part of the message."""
    if not all(len(part) == 1 for part in parts) or len({part[0][0] for part in parts}) != 1:
        return ()
    return ((parts[0][0][0], tuple(itertools.chain(*(part[0][1] for part in parts)))),)


def _otherwise(node: ast.AST) -> Chain:
    """A condition that says nothing, but keeps what stands under it apart from what stands beside it."""
    return ((("", str(id(node))), ()),)


def _arguments_of(function: _Function) -> list[str]:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    others = [argument.arg for argument in function.args.kwonlyargs]
    return [*(names[1:] if names[:1] in (["self"], ["cls"]) else names), *others]
