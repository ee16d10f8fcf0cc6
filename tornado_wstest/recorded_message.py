"""Recorded messages as code: what to expect where one came, and what to send where one was sent."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from .layout import Code, Group, Sum, call, quote, quote_pattern
from .volatile import EPOCH, KINDS, TIME, Kind, Part, is_near, parts

__all__ = ["Received", "Reply", "Values"]

_DEEPEST = 50
"""Python's parser takes brackets in brackets up to some 100 times."""

_IS_TIMESTAMP = '''

def is_timestamp(value):
    """Seconds since 1970, or milli-, micro- or nanoseconds, some years around now."""
    years = [(value / unit - time.time()) / 31557600 for unit in (1, 1e3, 1e6, 1e9)]
    return any(abs(number) < 10 for number in years)
'''

_IS_OBJECT = '''

def is_object(value):
    """An object whose names change from run to run."""
    return isinstance(value, dict)
'''


class Values:
    """The volatile values of a conversation: who said them first, and which matchers stand for them.

    An id that a client has sent first is in the code as it was, and comes back the same. One that the server has
    sent first is another one in the next run. So is every time, whoever said it first.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.used: set[Kind] = set()
        self.has_timestamps = False
        self.has_objects = False
        self._sent: set[str] = set()
        self._received: set[str] = set()

    def note_sent(self, message: str | bytes) -> None:
        """A client has said this."""
        self._sent |= {text for text in self._in_message(message) if text not in self._received}

    def note_received(self, message: str | bytes) -> None:
        """The server has said this."""
        self._received |= {text for text in self._in_message(message) if text not in self._sent}

    def carried(self, message: str | bytes) -> list[str]:
        """Return the volatile values in ``message`` that the server said before."""
        return list(dict.fromkeys(text for text in self._in_message(message) if text in self._received))

    def parts(self, text: str) -> list[Part]:
        """Return the parts of ``text`` that will be others in the next run."""
        return [part for part in parts(text, self.now) if part.kind in (TIME, EPOCH) or part.text not in self._sent]

    def is_time(self, value: object) -> bool:
        """Is this number a time?"""
        return isinstance(value, (int, float)) and is_near(value, self.now)

    def name(self, kind: Kind) -> str:
        """Return the name of the constant that is the matcher of a kind."""
        self.used.add(kind)
        return kind.name

    def preamble(self) -> str:
        """Return the imports and matchers of the code."""
        imports = ["import re"] * bool(self.used) + ["import time"] * self.has_timestamps
        lines = [*imports, *[""] * bool(imports), "from tornado_wstest import Scenario", ""]
        constants = [
            f"{kind.name} = re.compile({quote_pattern(kind.pattern.pattern)})" for kind in KINDS if kind in self.used
        ]
        functions = _IS_TIMESTAMP * self.has_timestamps + _IS_OBJECT * self.has_objects
        text = "\n".join([*lines, *constants, *[""] * bool(constants)])
        return f"{text.rstrip()}\n{functions}\n" if functions else text

    def _in_message(self, message: str | bytes) -> Iterator[str]:
        if isinstance(message, str):
            value = decoded(message)
            yield from self._inside(message if value is None else value)

    def _inside(self, value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield from (part.text for part in parts(value, self.now))
        elif isinstance(value, dict):
            for name, member in value.items():
                yield from self._inside(name)
                yield from self._inside(member)
        elif isinstance(value, list):
            for item in value:
                yield from self._inside(item)
        elif self.is_time(value):
            yield quote(value)


class Received:
    """A message that came: the code of what to expect, and where in it a reply finds a value."""

    def __init__(self, message: str | bytes, values: Values) -> None:
        self._values = values
        self._leaves: list[tuple[str, Any]] = []
        """Where each text and time stands, as Python: ``value["id"]``."""
        values.note_received(message)
        value = decoded(message) if isinstance(message, str) else None
        self.code: Code = self._expectation(message if value is None else value, "value")

    def find(self, wanted: Any) -> str | None:
        """Return an expression for a text or number of this message; None if it is not in it."""
        for path, leaf in self._leaves:
            if type(leaf) is type(wanted) and leaf == wanted:
                return path
        for path, leaf in self._leaves:
            if isinstance(leaf, str):
                for kind in {part.kind for part in self._values.parts(leaf) if part.text == wanted}:
                    place = kind.pattern.findall(leaf).index(wanted)
                    name = self._values.name(kind)
                    return f"{name}.findall({path})[{place}]" if place else f"{name}.search({path})[0]"
        return None

    def _expectation(self, value: Any, path: str) -> Code:
        if isinstance(value, dict):
            if any(self._values.parts(name) for name in value):
                self._values.has_objects = True
                return "is_object"
            items = [(name, self._expectation(member, f"{path}[{quote(name)}]")) for name, member in value.items()]
            return Group("{", [(f"{quote(name)}: ", code) for name, code in items], "}")
        if isinstance(value, list):
            return Group("[", [("", self._expectation(item, f"{path}[{i}]")) for i, item in enumerate(value)], "]")
        if isinstance(value, str):
            self._leaves.append((path, value))
            return self._text(value)
        if self._values.is_time(value):
            self._leaves.append((path, value))
            self._values.has_timestamps = True
            return "is_timestamp"
        return quote(value)

    def _text(self, text: str) -> Code:
        found = self._values.parts(text)
        if not found:
            return quote(text)
        if found[0].text == text:
            return self._values.name(found[0].kind)
        terms, end = [], 0
        for part in found:
            terms += [quote_pattern("^" * (not end) + _escaped(text[end : part.start]))]
            terms += [f"{self._values.name(part.kind)}.pattern"]
            end = part.end
        terms += [quote_pattern(_escaped(text[end:]) + "$")]
        return call("re.compile", [Sum([term for term in terms if term != '""'])])


class Reply:
    """A message that was sent.

    :arg carried: the volatile values in it that came before
    :arg received: the message directly before it, if the reply may be made of that one
    """

    def __init__(self, message: str | bytes, carried: Sequence[str], received: Received | None, values: Values) -> None:
        self._carried = carried
        self._received = received
        self._values = values
        self._found: set[str] = set()
        value = decoded(message) if isinstance(message, str) else None
        is_same = value is not None and json.dumps(value) == message
        self.code: Code = self._value(value if is_same else message)
        self.rest: list[str] = [text for text in carried if text not in self._found]
        """Those of ``carried`` that stand in the code as they were."""

    @property
    def is_made(self) -> bool:
        """Is something in the code taken from what was received?"""
        return bool(self._found)

    def _value(self, value: Any) -> Code:
        if isinstance(value, dict):
            items = [(f"{_flat_text(self._text(name))}: ", self._value(member)) for name, member in value.items()]
            return Group("{", items, "}")
        if isinstance(value, list):
            return Group("[", [("", self._value(item)) for item in value], "]")
        if isinstance(value, str):
            return self._text(value)
        if self._values.is_time(value):
            return self._find(value, [quote(value)]) or quote(value)
        return quote(value)

    def _text(self, text: str) -> Code:
        found = [part for part in self._values.parts(text) if part.text in self._carried]
        whole = self._find(text, [part.text for part in found]) if found else None
        if whole is not None:
            return whole
        terms, end = [], 0
        for part in found:
            expression = self._find(part.text, [part.text])
            if expression is not None:
                terms += [quote(text[end : part.start]), expression]
                end = part.end
        terms = [term for term in [*terms, quote(text[end:])] if term != '""'] or ['""']
        return Sum(terms) if len(terms) > 1 else terms[0]

    def _find(self, wanted: Any, texts: Sequence[str]) -> str | None:
        """Return an expression for what was received, and count ``texts`` as found in it."""
        expression = self._received.find(wanted) if self._received is not None and texts[0] in self._carried else None
        if expression is not None:
            self._found.update(texts)
        return expression


def decoded(message: str) -> Any:
    """Return the object or array of a JSON text; None for any other text, and for one that no code can say."""
    if message.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return None
    return value if _can_be_written(value, _DEEPEST) else None


def _can_be_written(value: Any, depth: int) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, (dict, list)):
        members = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_can_be_written(member, depth - 1) for member in members)
    return True


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\.^$*+?{}[]|()" else c for c in text)


def _flat_text(code: Code) -> str:
    return " + ".join(code.terms) if isinstance(code, Sum) else str(code)
