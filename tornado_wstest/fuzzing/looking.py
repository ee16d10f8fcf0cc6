"""What the expressions of a function say about a message: lookups, comparisons, calls."""

import ast
import itertools

from .parts import ARGUMENTS, DECODERS, LOOKUPS, STRINGS, Parts
from .syntax import (
    KINDS_OF_TYPES,
    LIST,
    REGISTERED,
    Chain,
    Path,
    Scalar,
    Source,
    is_member,
    is_scalar,
    last_name,
    settled,
    table_of,
)
from .uses import MATCHERS, use_of

__all__ = ["Looker"]

_QUERIES = ("query_arguments", "arguments")
_SENDERS = ("write_message", "dumps", "json_encode", "send", "send_json", "broadcast", "publish")
_UNPACKERS = ("unpack", "unpack_from", "iter_unpack", "Struct", "calcsize")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_NUMERIC = (ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.FloorDiv)
_SENT = 120  # objects that are sent


class Looker:
    """Looks at one expression after the other, and notes in the source what it says.

    :arg name: of the function that they stand in
    :arg parts: what its names hold
    """

    def __init__(self, source: Source, name: str, parts: Parts) -> None:
        self._source = source
        self._facts = source.facts
        self._name = name
        self._parts = parts
        self._dispatched: list[str] = []
        self.chain: Chain = ()
        """What must be so to get to the expression."""

    def look(self, node: ast.expr) -> None:
        """Note what an expression and all inside it say."""
        for one in ast.walk(node):
            if isinstance(one, ast.NamedExpr):
                self._parts.bind(one.target, self._parts.of(one.value))
            elif isinstance(one, _COMPREHENSIONS):
                for each in one.generators:
                    self.iterate(each.target, each.iter)
        for one in reversed(list(ast.walk(node))):  # inner first: what is called, then what it is called with
            self._look_at(one)

    def iterate(self, target: ast.expr, over: ast.expr) -> None:
        """Note what ``for target in over`` says."""
        path = self._parts.iterate(target, over)
        if path is not None and isinstance(over, ast.Call) and last_name(over.func) in ("items", "keys"):
            self._facts.open[settled(path)] = None
        else:
            self._source.used_as(path, "list")

    def saw_read(self, path: Path | None) -> None:
        """Note that this part is looked up."""
        if path is not None and path != ("[0:]",) and is_member(settled(path)):
            self._source.reads.setdefault(self._name, []).append((self.chain, settled(path)))

    def _look_at(self, node: ast.AST) -> None:
        if isinstance(node, ast.Compare):
            self._look_at_comparison(node)
        elif isinstance(node, ast.Call):
            self._look_at_call(node)
        elif isinstance(node, ast.BinOp):
            self._look_at_sum(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            self._facts.binary[node.value] = None
        if isinstance(node, (ast.Subscript, ast.Call)):
            self.saw_read(self._parts.of(node))
        if isinstance(node, ast.Subscript):
            self._look_at_table(node.value, node.slice)

    def _look_at_sum(self, node: ast.BinOp) -> None:
        """What a text is put before is text; else it is a number."""
        sides = [node.left, node.right]
        is_text = any(
            isinstance(one, ast.JoinedStr) or (is_scalar(one) and isinstance(one.value, str)) for one in sides
        )
        for side in sides:
            path = self._parts.of(side)
            if isinstance(node.op, _NUMERIC):
                self._source.used_as(path, "number")
            elif isinstance(node.op, (ast.Add, ast.Mod)) and path:
                self._source.used_as(path, "string" if is_text else "number")
            if isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)) and side is node.right:
                self._source.used_as(path, "divisor")

    # Comparisons

    def _look_at_comparison(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            self._look_at_membership(sides[0], sides[1])
            return
        for one, another in (*itertools.pairwise(sides), *itertools.pairwise(reversed(sides))):
            constants, path = self._source.constants_of(another), self._parts.of(one)
            if isinstance(one, ast.Call) and last_name(one.func) == "len":
                self._facts.lengths.update((size, None) for size in constants if isinstance(size, int))
            else:
                self._source.compared(path, constants)
            if any(isinstance(constant, (int, float)) for constant in constants):
                self._source.used_as(path, "number")

    def _look_at_membership(self, item: ast.expr, group: ast.expr) -> None:
        path, base, constants = self._parts.of(item), self._parts.of(group), self._source.group_of(group)
        self._source.compared(path, constants)
        self._source.compared(None, self._source.constants_of(item))
        if path:
            self._source.used_as(path, "hash" if constants else "word")
            self._dispatch(path, self._source.tables.get(last_name(group)) or {})
        if base is None or constants:
            return
        for name in self._source.constants_of(item):
            self._source.has_piece(base, name)
            if isinstance(name, str) and any(char.isalnum() for char in name):
                self.saw_read((*base, name))

    # Calls

    def _look_at_call(self, node: ast.Call) -> None:
        called = last_name(node.func)
        first = node.args[0] if node.args else None
        if called in DECODERS and (node.args or called != "decode"):  # bytes.decode() needs none
            self._facts.decodes = True
            self._source.used_as(self._parts.of(node.args[0]) if node.args else None, "loads")
        if called in ARGUMENTS and first is not None:
            self._facts.arguments.update((str(name), None) for name in self._source.constants_of(first))
        if called in KINDS_OF_TYPES and first is not None:
            self._source.used_as(self._parts.of(first), KINDS_OF_TYPES[called])
        if called == "isinstance" and len(node.args) == 2:
            for kind in ast.walk(node.args[1]):
                self._source.used_as(self._parts.of(node.args[0]), KINDS_OF_TYPES.get(last_name(kind), ""))
        if called in _SENDERS and isinstance(first, ast.Dict):
            self._look_at_sent(first)
        if first is not None and len(node.args) == 1 and called in self._source.members:  # Colour(message["colour"])
            self._source.compared(self._parts.of(first), self._source.members[called])
        if called == "getattr" and len(node.args) > 1:
            self._look_at_dispatch(node.args[1])
        self._look_at_use(node, called)
        if isinstance(node.func, ast.Attribute):
            self._look_at_method(node.func, first)
        self._look_at_arguments(called, node)

    def _look_at_use(self, node: ast.Call, called: str) -> None:
        """A function is called that likes some values, and chokes on others."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        use = use_of(last_name(owner), called)
        if called == "map" and node.args:  # map(int, words)
            use = use_of("", last_name(node.args[0]))
        for argument in node.args if use else ():
            self._source.used_as(self._parts.of(argument), use)
            use = "reason" if use == "close" else use  # close(code, reason)
        if called in MATCHERS and node.args:
            self._look_at_match(node, owner)
        if called in _UNPACKERS and node.args:
            formats = self._source.constants_of(node.args[0])
            self._facts.formats.update((text, None) for text in formats if isinstance(text, str) and text)
        if owner is not None and called in ("encode", "format", "substitute"):
            self._source.used_as(self._parts.of(owner), "ascii" if called == "encode" and node.args else called)
        if called in ("add", "remove", "discard", "setdefault") and node.args:
            self._source.used_as(self._parts.of(node.args[0]), "hash")

    def _look_at_match(self, node: ast.Call, owner: ast.expr | None) -> None:
        """``re.match(pattern, text)``, or ``PATTERN.match(text)``."""
        if last_name(owner) == "re":
            patterns, subject = self._source.constants_of(node.args[0]), node.args[-1]
            if last_name(node.func) == "split":
                self._facts.separators[" "] = None  # as good a guess as any
        else:
            patterns, subject = [self._source.patterns.get(last_name(owner), "")], node.args[0]
        for pattern in patterns:
            self._source.matched(self._parts.of(subject), pattern)

    def _look_at_sent(self, node: ast.Dict) -> None:
        shape: dict[Path, Scalar | None] = {}
        self._sent(node, (), shape)
        if shape and shape not in self._facts.sent and len(self._facts.sent) < _SENT:
            self._facts.sent.append(shape)

    def _sent(self, node: ast.Dict, base: Path, shape: dict[Path, Scalar | None]) -> None:
        """Note the members of an object that the app sends."""
        for key, value in zip(node.keys, node.values, strict=True):
            if is_scalar(key) and isinstance(key.value, str):
                path = (*base, key.value)
                if isinstance(value, ast.Dict) and value.keys:
                    self._sent(value, path, shape)
                else:
                    shape[path] = value.value if is_scalar(value) else None

    def _look_at_method(self, function: ast.Attribute, first: ast.expr | None) -> None:
        path = self._parts.of(function.value)
        if function.attr in STRINGS:
            self._source.used_as(path, "string")
            constants = self._source.constants_of(first) if first is not None else []
            if function.attr in ("startswith", "endswith", "removeprefix"):
                self._source.compared(path, constants)
                for constant in constants if path else ():
                    self._source.has_piece(path, constant)
                if path == ():
                    ends = self._facts.suffixes if function.attr == "endswith" else self._facts.prefixes
                    ends.update((text, None) for text in constants if isinstance(text, str))
            elif function.attr in ("split", "rsplit", "partition", "splitlines") and path is not None:
                self._look_at_split(path, constants or ["\n" if function.attr == "splitlines" else " "])
        elif function.attr in ("items", "keys", "values"):
            self._source.used_as(path, "object")
        elif function.attr in LOOKUPS and first is not None:
            self._look_at_table(function.value, first)

    def _look_at_split(self, path: Path, separators: list[Scalar]) -> None:
        for separator in separators:
            self._source.has_piece(path, separator)
            if isinstance(separator, str):
                self._facts.separators[separator] = None

    def _look_at_arguments(self, called: str, node: ast.Call) -> None:
        """A function of the app's is called, with parts of the message."""
        callees = [called] if called in self._source.functions else []
        if callees:
            self._source.edges.append((self._name, self.chain, called))
        elif isinstance(node.func, (ast.Call, ast.Subscript)) or called in self._parts.names:
            callees = self._dispatched
        else:
            self._look_at_references(node)
        if called == self._name:
            self._look_at_recursion(node)
            return
        for callee in callees:
            self._pass_arguments(callee, node)

    def _look_at_recursion(self, node: ast.Call) -> None:
        """What calls itself with the items of a list goes as deep as the list."""
        for argument in node.args:
            path = self._parts.of(argument) or ()
            while path[-1:] == (LIST,):
                path = path[:-1]
            self._source.used_as(path or None, "deep")

    def _look_at_references(self, node: ast.Call) -> None:
        """``call_later(5, self.remind, message["text"])``: what stands behind a function is what it gets."""
        for place, argument in enumerate(node.args):
            callee = last_name(argument)
            if callee in self._source.functions:
                self._source.edges.append((self._name, self.chain, callee))
                self._pass_arguments(callee, ast.Call(node.func, node.args[place + 1 :], node.keywords))

    def _pass_arguments(self, callee: str, node: ast.Call) -> None:
        arguments = node.args
        for function in self._source.functions[callee][:1]:
            taken = function.args.args
            is_method = [one.arg for one in taken[:1]] in (["self"], ["cls"])
            if arguments and last_name(arguments[0]) in ("self", "cls") and len(taken) - is_method < len(arguments):
                arguments = arguments[1:]
        for place, argument in enumerate(arguments):
            path = self._parts.of(argument)
            if path or (path is not None and callee in self._source.members):
                self._source.called_with.setdefault(callee, {}).setdefault(place, path)
        for keyword in node.keywords:
            path = self._parts.of(keyword.value)
            if keyword.arg is None and path is not None:
                self._source.unpacked[callee] = path

    # What a text chooses

    def _look_at_table(self, table: ast.expr, key: ast.expr) -> None:
        """``TABLE[message["type"]]``: the keys are what the member is compared with, and lead to functions."""
        if last_name(table) in _QUERIES:
            self._facts.arguments.update((str(name), None) for name in self._source.constants_of(key))
        path, entries = self._parts.of(key), self._source.tables.get(last_name(table))
        if path is None or isinstance(key, ast.Slice):
            return
        if isinstance(table, ast.Dict):
            entries = table_of(table)
        if not entries and is_scalar(key) is False:
            entries = self._source.tables.get(REGISTERED) or self._named_by_prefix()
        if entries:
            self._dispatch(path, entries)
        if path is not None and self._parts.of(table) is None:
            self._source.used_as(path, "index")
            self._source.used_as(path, "hash")

    def _look_at_dispatch(self, name: ast.expr) -> None:
        """``getattr(self, "do_" + message["type"])``: the rest of each method's name is a constant."""
        path = self._parts.of(name)
        if path is not None:
            self._dispatch(path, self._named_by_prefix() or self._methods())

    def _named_by_prefix(self) -> dict[str, str]:
        """Return functions by the rest of their names, where the source has their beginning as a text."""
        found: dict[str, str] = {}
        for prefix in dict.fromkeys(text for text in self._facts.texts if len(text) > 1 and text.isidentifier()):
            for function in self._source.functions:
                if function != prefix and function.startswith(prefix):
                    found[function.removeprefix(prefix)] = function
        if {"_", "-"} <= {*self._facts.texts}:
            found |= {name.replace("_", "-"): function for name, function in found.items()}
        return found

    def _methods(self) -> dict[str, str]:
        names = [name for name in self._source.functions if name not in self._source.members]
        return {name: name for name in names if not name.startswith(("_", "on_"))}

    def _dispatch(self, path: Path, entries: dict[str, str]) -> None:
        self._source.compared(path, entries)
        self.saw_read(path)
        path = settled(path)
        functions = [function for function in entries.values() if function in self._source.functions]
        self._dispatched = functions or self._dispatched
        for constant, function in entries.items():
            self._source.edges.append((self._name, (*self.chain, (path, (constant,))), function))
