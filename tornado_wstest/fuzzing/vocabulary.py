"""The words that an app and its clients have in common: from its source, and from what it sent."""

import ast
import inspect
import json
import os
import re
import sys
import textwrap
import types
from collections.abc import Iterable, Iterator
from typing import Any

from tornado.web import RequestHandler

from ..text import is_library
from .reading import parsed, read_trees
from .scope import definitions_of
from .syntax import LIST, Facts, Path, index_of, is_member

__all__ = ["Vocabulary", "name_of"]

_SOURCE = 400_000  # characters read for one handler
_MODULES = 12
_WORDS = 300
_VALUES = 16  # of one member
_SAMPLES = 30
_BESIDE = 24  # words of what stands beside the handler
_LONGEST = 200  # characters of a word
_NODES = 400  # of one value that was seen
_NAMES = 40
_GRAPHQL = re.compile(r"type\s+(Subscription|Query|Mutation)\s*\{([^}]*)\}")


class Vocabulary:
    """What messages to an app may be made of.

    ::

        vocabulary = Vocabulary.of_handler(ChatHandler)
        vocabulary.saw('{"type": "joined", "room": "lobby"}')

    All of it is bounded in size. What is made from a vocabulary (the strategies) takes what is in it at that
    moment: values seen later count for strategies that are made later. Hypothesis could not repeat an example
    otherwise.

    :arg facts: what sources say; see `of_handler`
    """

    def __init__(self, facts: Facts | None = None) -> None:
        self.facts: Facts = facts or Facts()
        self.samples: list[Any] = []
        """Objects and arrays that the server sent, one of each form."""
        self._forms: set[str] = set()
        self.words: dict[str, None] = dict.fromkeys([word for word in self.facts.words if _is_word(word)][:_WORDS])
        """Texts that mean something to the app."""
        self.names: list[str] = [*self.facts.names][:_NAMES]
        """Other texts of the source that may be names of something."""
        self.keys: dict[str, None] = {}
        """Names of members."""
        self.values: dict[str, list[Any]] = {}
        """What is known to stand under a name, wherever that is."""
        for path, values in self.facts.values.items():
            if path == () or name_of(path):
                self._learn(name_of(path), values)
        for shape in self.facts.shapes:
            for path in shape:
                self.keys.update((step, None) for step in path if _is_word(step) and name_of((step,)))

    @classmethod
    def of_handler(cls, handler: type[RequestHandler]) -> "Vocabulary":
        """Read the source of a handler: its module, those of its bases, and what they import from the same project.

        What counts is the handler's class and what it leads to (see `definitions_of`); of what else stands in these
        modules only words are taken, and nothing of other handlers. Where there is no source, the vocabulary is
        empty; nothing is raised.
        """
        trees, skip = dict[str, ast.Module](), set[str]()
        budget = _SOURCE
        for module in _modules(handler):
            source = _source(module)
            if source is not None and len(source) <= budget and (tree := parsed(source)) is not None:
                budget -= len(source)
                trees[module.__name__] = tree
                skip |= {name for name, value in vars(module).items() if _is_other_handler(value, handler)}
        own = definitions_of(_classes(handler), trees, frozenset(skip))
        if not own:
            tree = parsed(textwrap.dedent(_source(handler) or ""))
            return cls(read_trees([*trees.values()] or [tree] if tree else [], frozenset(skip)))
        facts = read_trees([ast.Module(own, [])], frozenset(skip))
        beside = read_trees([*trees.values()], frozenset(skip))
        facts.words.update(dict.fromkeys([*beside.words][:_BESIDE]))
        facts.texts += beside.texts
        return cls(facts)

    def saw(self, value: Any) -> None:
        """Add what the server sent: a message (decoded, if it is JSON), or a value."""
        if isinstance(value, (str, bytes)):
            value = _decoded(value)
        if isinstance(value, (dict, list)):
            form = _form(value)
            if form not in self._forms and len(self.samples) < _SAMPLES:
                self._forms.add(form)
                self.samples.append(value)
        for _, (name, scalar) in zip(range(_NODES), _scalars(value), strict=False):
            if name and len(self.keys) < _WORDS:
                self.keys.setdefault(name, None)
            self._learn(name, [scalar])

    def _learn(self, name: str, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, str):
                if not _is_word(value):
                    continue
                if len(self.words) < _WORDS:
                    self.words[value] = None
            known = self.values.setdefault(name, [])
            if len(known) < _VALUES and not any(
                value is one or (value == one and type(value) is type(one)) for one in known
            ):
                known.append(value)

    @property
    def texts(self) -> list[str]:
        """What the text messages themselves are compared with."""
        return [value for value in self.values.get("", ()) if isinstance(value, str)]

    @property
    def numbers(self) -> list[int | float]:
        """Numbers that something is compared with."""
        return [number for number in self.facts.numbers if not isinstance(number, bool)][:_VALUES]

    @property
    def arguments(self) -> list[str]:
        """Names of query arguments."""
        return list(self.facts.arguments)[:_VALUES]

    @property
    def subprotocols(self) -> list[str]:
        """Subprotocols that the source names: words beside ``graphql``, ``mqtt``, ``v1.chat``, ..."""
        return [
            word
            for word in self.words
            if re.fullmatch(r"(graphql-(ws|transport-ws)|[a-z]+(\.[a-z0-9]+)+|mqtt|wamp.*)", word)
        ]

    @property
    def operations(self) -> list[tuple[str, str]]:
        """Fields of a GraphQL schema that stands in the source, with their type: ``("subscription", "counter")``."""
        found = [match for text in self.facts.texts for match in _GRAPHQL.findall(text)]
        return [(kind.lower(), name) for kind, body in found for name in re.findall(r"(?m)^\s*(\w+)\s*[(:]", body)]


def name_of(path: Path) -> str:
    """Return the name of the member at the end of a path; nothing for the message itself, and for items of a list."""
    is_named = is_member(path) and path[-1] != LIST and index_of(path[-1]) is None
    return path[-1] if is_named else ""


def _classes(handler: type[RequestHandler]) -> list[type]:
    """Return the handler and its bases, as far as they are the user's."""
    return [
        one for one in handler.__mro__ if not is_library(getattr(sys.modules.get(one.__module__), "__file__", "") or "")
    ]


def _modules(handler: type[RequestHandler]) -> list[types.ModuleType]:
    """Return the modules of the handler and its bases, and what they import from the same project."""
    found = {
        one.__module__: module for one in _classes(handler) if (module := sys.modules.get(one.__module__)) is not None
    }
    for module in list(found.values()):
        for value in list(vars(module).values()):
            name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            other = sys.modules.get(name) if isinstance(name, str) else None
            if other is not None and _is_of_project(other, module):
                found.setdefault(other.__name__, other)
    return [module for module in found.values() if module.__name__ != "builtins"][:_MODULES]


def _is_of_project(other: types.ModuleType, module: types.ModuleType) -> bool:
    """Do they lie in one package, or in one folder?"""
    package = module.__name__.partition(".")[0] if "." in module.__name__ else None
    if package is not None and other.__name__.partition(".")[0] == package:
        return True
    files = [getattr(one, "__file__", None) for one in (other, module)]
    return None not in files and len({os.path.dirname(str(file)) for file in files}) == 1


def _is_other_handler(value: Any, handler: type[RequestHandler]) -> bool:
    return isinstance(value, type) and issubclass(value, RequestHandler) and not issubclass(handler, value)


def _source(thing: Any) -> str | None:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError, SyntaxError, UnicodeDecodeError):
        return None


def _decoded(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return message if isinstance(message, str) else None


def _is_word(text: str) -> bool:
    """Can it travel as it is, and is it short?"""
    return len(text) <= _LONGEST and (text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text))


def _form(value: Any, depth: int = 3) -> str:
    """Return the names and types of a value, which are the same for many values."""
    if isinstance(value, dict) and depth:
        return "{" + ",".join(f"{name}:{_form(item, depth - 1)}" for name, item in list(value.items())[:20]) + "}"
    if isinstance(value, list) and depth:
        return "[" + ",".join(_form(item, depth - 1) for item in value[:1]) + "]"
    return type(value).__name__


def _scalars(value: Any, name: str = "", depth: int = 6) -> Iterator[tuple[str, Any]]:
    """Yield what is in a value, with the name of the member it stands under."""
    if isinstance(value, dict) and depth:
        for key, item in value.items():
            if _is_word(key):
                yield from _scalars(item, key, depth - 1)
    elif isinstance(value, list) and depth:
        for item in value[:20]:
            yield from _scalars(item, name, depth - 1)
    elif isinstance(value, (str, int, float, type(None))):
        yield name, value
