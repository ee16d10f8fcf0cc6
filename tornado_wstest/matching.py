"""What a message should look like, and why it does not.

Everything that a test may pass as ``expected``:

- a `str` or `bytes` is the message itself
- a compiled pattern is searched in text
- `as_json(value) <as_json>` is the decoded form of a JSON text, also of a bare string or null
- `containing(...) <containing>` is an object with at least these members
- `field(path, value) <field>` is one place inside the value
- a *function* (also a lambda, a method, a partial) is a predicate of the value and returns True or False
- anything else is compared with the value by ``==``, member by member inside lists and dicts, where each
  member may be any of these; ``True`` is not ``1``

This module knows neither sockets nor clients: it compares, and it explains.
"""

import functools
import inspect
import json
import numbers
import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .codec import UNDECODABLE, Message
from .errors import UsageError
from .text import elide, plural, show, show_error

__all__ = ["Expected", "as_json", "check_expected", "containing", "describe", "explain", "field", "matches"]

Expected = Any
"""What a test may expect of a message; see the module's docstring."""

_MAX_DIFFERENCES = 8
_IDENTITY: Any = object.__eq__

_FUNCTIONS = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    functools.partial,
)


class _Difference(NamedTuple):
    """One place where a value is not as expected."""

    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"at {elide('/'.join(self.path))}: {self.text}" if self.path else self.text


class _Matcher:
    """What `containing`, `field` and `as_json` have in common."""

    of_message = False

    def differences(self, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
        raise NotImplementedError


class containing(_Matcher):
    """Expect an object with at least these members, nested objects likewise.

    ::

        await client.expect(containing(type="joined", user={"name": "ann"}))

    Members are given as keyword arguments, or as one mapping where their names are no identifiers. What
    the object has beyond them does not matter. Lists keep their length.
    """

    def __init__(self, members: Mapping[str, Expected] | None = None, /, **named: Expected) -> None:
        if members is not None and not isinstance(members, Mapping):
            raise UsageError(f"containing() takes a mapping or keyword arguments, not {show(members)}")
        self.members: dict[str, Expected] = {**(members or {}), **named}
        for member in self.members.values():
            check_expected(member)

    def __repr__(self) -> str:
        return f"containing({{{', '.join(f'{name!r}: {describe(member)}' for name, member in self.members.items())}}})"

    def differences(self, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
        """Yield where an object has other members than it should."""
        return _partial(self.members, actual, path)


class field(_Matcher):
    """Expect ``value`` at one place inside the value of a message.

    ::

        await client.expect(field("body/0/colour", "red"))     # the first item's colour
        await client.expect(field("body//colour", "red"))      # any item's colour

    ``path`` is separated by ``/``: a name is a member of an object, a number an item of a list (or a member
    of that name), nothing between two slashes is any member or item. A slash in front does not matter.
    """

    def __init__(self, path: str, value: Expected) -> None:
        if not isinstance(path, str) or not path.strip("/"):
            raise UsageError(f"field() takes a path such as 'body/0/colour', not {show(path)}")
        self.path = path
        self.value = value
        check_expected(value)

    def __repr__(self) -> str:
        return f"field({self.path!r}, {describe(self.value)})"

    def differences(self, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
        """Yield how the value at the path is not as expected."""
        found = list(_look_up(actual, self.path.removeprefix("/").split("/")))
        here = (*path, self.path)
        if not found:
            yield _Difference(here, f"expected {describe(self.value)}, but there is no such place in {show(actual)}")
            return
        if any(_same(self.value, candidate) for candidate in found):
            return
        if len(found) == 1:
            yield from _compare(self.value, found[0], here)
        else:
            yield _Difference(here, f"expected {describe(self.value)} in one of {show(found)}")


class as_json(_Matcher):
    """Expect a text that decodes to ``value`` as JSON: also a bare string, number or null.

    ::

        await client.expect(as_json(None))          # the text 'null'
        await client.expect(as_json("hello"))       # the text '"hello"', with its quotes
    """

    of_message = True

    def __init__(self, value: Expected) -> None:
        self.value = value
        check_expected(value)

    def __repr__(self) -> str:
        return f"as_json({describe(self.value)})"

    def differences(self, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
        """Yield where the decoded text is not as expected."""
        try:
            value = json.loads(actual)
        except (TypeError, ValueError, RecursionError) as error:
            yield _Difference(path, f"expected JSON, but {show(actual)} is none: {error}")
            return
        yield from _compare(self.value, value, path)


_PLAIN = (str, int, float, bool, bytes, type(None))


def check_expected(expected: Expected) -> None:
    """Raise `UsageError` for what can never be meant as an expectation: a class, a mock, an async function, ..."""
    try:
        _check(expected)
    except RecursionError:
        raise UsageError(f"the expectation {show(expected)} is nested too deeply to be compared") from None


def _check(expected: Expected) -> None:
    if type(expected) in _PLAIN:
        return
    if isinstance(expected, type):
        if type(expected).__eq__ is type.__eq__:
            raise UsageError(
                f"the class {expected.__name__} is no expectation: no message is a class\n"
                f"use a predicate: lambda value: isinstance(value, {expected.__name__})"
            )
    elif _is_mock(expected):
        raise UsageError(
            f"{show(expected)} is no expectation: a mock used as a predicate is always true\n"
            "use a function, or unittest.mock.ANY for any value"
        )
    elif inspect.iscoroutinefunction(expected):
        raise UsageError(f"the predicate {describe(expected)} is async; it must return True or False")
    elif inspect.isawaitable(expected):
        raise UsageError(f"{show(expected)} is no expectation: it must be awaited first")
    elif callable(expected) and not isinstance(expected, _FUNCTIONS) and type(expected).__eq__ is _IDENTITY:
        # It equals nothing but itself: in expect_nothing(), it would pass in silence.
        raise UsageError(
            f"{show(expected)} is no expectation: it can be called, but is no function\n"
            "use a predicate: lambda value: ..."
        )
    elif isinstance(expected, dict):
        for member in expected.values():
            _check(member)
    elif isinstance(expected, (list, tuple)):
        for member in expected:
            _check(member)


def matches(expected: Expected, message: Message, value: Any) -> bool:
    """Is ``message``, whose value is ``value``, as expected?

    Raises `UsageError` if a predicate returns something else than True or False.
    """
    return next(_differences(expected, message, value), None) is None


def explain(expected: Expected, message: Message, value: Any) -> str:
    """Return the differences between ``message`` and what was expected, a line each; empty if there are none."""
    lines: list[str] = []
    more = 0
    for difference in _differences(expected, message, value):
        if len(lines) < _MAX_DIFFERENCES:
            lines.append(f"  {difference}")
        else:
            more += 1
    if more:
        lines.append(f"  ... and {plural(more, 'more difference')}")
    return "\n".join(lines)


def describe(expected: Expected) -> str:
    """Return ``expected`` as a failure shows it: a function by its name and place, else its ``repr``."""
    function = expected.func if isinstance(expected, functools.partial) else expected
    code = getattr(function, "__code__", None)
    if isinstance(expected, _FUNCTIONS) and code is not None:
        file_name = re.split(r"[\\/]", code.co_filename)[-1]
        return f"{function.__name__} ({file_name}:{code.co_firstlineno})"
    return show(expected)


def _differences(expected: Expected, message: Message, value: Any) -> Iterator[_Difference]:
    of_message = isinstance(expected, (str, bytes, re.Pattern)) or (
        isinstance(expected, _Matcher) and expected.of_message
    )
    if value is UNDECODABLE and not of_message:
        yield _Difference((), f"expected {describe(expected)}, but the codec cannot decode {show(message)}")
        return
    try:
        yield from _compare(expected, message if of_message else value, ())
    except RecursionError:
        yield _Difference((), f"{show(message)} is nested too deeply to be compared")


def _same(expected: Expected, actual: Any) -> bool:
    return next(_compare(expected, actual, ()), None) is None


def _compare(expected: Expected, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    """Yield where ``actual`` is not as ``expected``: nothing, if it matches."""
    if isinstance(expected, _Matcher):
        yield from expected.differences(actual, path)
    elif isinstance(expected, re.Pattern):
        yield from _compare_pattern(expected, actual, path)
    elif isinstance(expected, _FUNCTIONS):
        yield from _compare_predicate(expected, actual, path)
    elif isinstance(expected, dict) and isinstance(actual, Mapping):
        yield from _compare_members(expected, actual, path)
    elif isinstance(expected, (list, tuple)) and isinstance(actual, type(expected)):
        yield from _compare_items(expected, actual, path, _compare)
    else:
        yield from _compare_plain(expected, actual, path)


def _compare_pattern(expected: re.Pattern[Any], actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    if not isinstance(actual, type(expected.pattern)):
        kind = "text" if isinstance(expected.pattern, str) else "bytes"
        yield _Difference(path, f"expected {kind} in which {expected.pattern!r} is found, got {show(actual)}")
    elif not expected.search(actual):
        yield _Difference(path, f"expected to find the pattern {expected.pattern!r} in {show(actual)}")


def _compare_predicate(predicate: Callable[[Any], object], actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    try:
        answer = predicate(actual)
    except Exception as error:
        name = describe(predicate)
        yield _Difference(path, f"{name} raised {show_error(error)} for {show(actual)}")
        return
    if answer is not True and answer is not False:
        raise UsageError(
            f"the predicate {describe(predicate)} returned {show(answer)} for {show(actual)}\n"
            "a predicate returns True or False: compare, or wrap its result in bool()"
        )
    if not answer:
        yield _Difference(path, f"{describe(predicate)} is False for {show(actual)}")


def _compare_members(
    expected: dict[Any, Any], actual: Mapping[Any, Any], path: tuple[str, ...]
) -> Iterator[_Difference]:
    for name, member in expected.items():
        here = (*path, str(name))
        if name not in actual:
            yield _Difference(here, f"expected {describe(member)}, but it is missing")
        else:
            yield from _compare(member, actual[name], here)
    for name in actual:
        if name not in expected:
            yield _Difference((*path, str(name)), f"not expected, got {show(actual[name])}")


def _compare_items(
    expected: Any, actual: Any, path: tuple[str, ...], compare: Callable[..., Iterator[_Difference]]
) -> Iterator[_Difference]:
    for index, (member, item) in enumerate(zip(expected, actual, strict=False)):
        yield from compare(member, item, (*path, str(index)))
    for index in range(len(actual), len(expected)):
        yield _Difference((*path, str(index)), f"expected {describe(expected[index])}, but the list ends before")
    for index in range(len(expected), len(actual)):
        yield _Difference((*path, str(index)), f"not expected, got {show(actual[index])}")


def _partial(expected: Expected, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    """Compare as `containing` does: objects may have more members than expected, at every depth."""
    if isinstance(expected, dict) and isinstance(actual, Mapping):
        for name, member in expected.items():
            here = (*path, str(name))
            if name not in actual:
                yield _Difference(here, f"expected {describe(member)}, but it is missing")
            else:
                yield from _partial(member, actual[name], here)
    elif isinstance(expected, dict):
        yield _Difference(path, f"expected an object with {show(expected)}, got {show(actual)}")
    elif isinstance(expected, list) and isinstance(actual, list):
        yield from _compare_items(expected, actual, path, _partial)
    else:
        yield from _compare(expected, actual, path)


def _compare_plain(expected: Any, actual: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    try:
        equal = bool(expected == actual)
    except Exception as error:
        yield _Difference(path, f"comparing {show(expected)} with {show(actual)} raised {show_error(error)}")
        return
    if equal and isinstance(actual, numbers.Number) and isinstance(expected, numbers.Number):
        equal = isinstance(expected, bool) == isinstance(actual, bool)
    if not equal:
        yield _Difference(path, _unequal(expected, actual))


def _unequal(expected: Any, actual: Any) -> str:
    """Say how two values differ; long texts and long bytes by the place where they part."""
    text = isinstance(expected, str) and isinstance(actual, str)
    binary = isinstance(expected, bytes) and isinstance(actual, bytes)
    if (text or binary) and max(len(expected), len(actual)) > 120:
        place = next(
            (i for i, (a, b) in enumerate(zip(expected, actual, strict=False)) if a != b),
            min(len(expected), len(actual)),
        )
        start = max(0, place - 20)
        ours, theirs = expected[start : place + 40], actual[start : place + 40]
        where = f"the texts part at character {place}" if text else f"the bytes part at byte {place}"
        return f"{where}: expected ...{ours!r}..., got ...{theirs!r}..."
    ours, theirs = show(expected), show(actual)
    return f"expected {ours}, got {theirs}{', which looks the same but is not equal' if ours == theirs else ''}"


def _look_up(value: Any, parts: list[str]) -> Iterator[Any]:
    """Yield every value that the path leads to."""
    if not parts:
        yield value
        return
    part, rest = parts[0], parts[1:]
    if isinstance(value, Mapping):
        found = list(value.values()) if not part else [value[part]] if part in value else []
    elif isinstance(value, (list, tuple)):
        index = int(part) if re.fullmatch(r"-?[0-9]+", part) else None
        if not part:
            found = list(value)
        else:
            found = [value[index]] if index is not None and -len(value) <= index < len(value) else []
    else:
        found = []
    for candidate in found:
        yield from _look_up(candidate, rest)


def _is_mock(value: Any) -> bool:
    # Importing unittest.mock takes 20 ms; a mock cannot exist before somebody has.
    mock = sys.modules.get("unittest.mock")
    return mock is not None and isinstance(value, mock.NonCallableMock)
