"""Messages of the user's own, for some routes.

This module needs Hypothesis: ``pip install tornado-wstest[fuzz]``.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, overload

try:
    from hypothesis import strategies as st
except ImportError as _error:
    raise ImportError("fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'") from _error

from ..codec import Message
from ..errors import UsageError
from ..text import nearest, show, show_error
from .routes import Route

__all__ = [
    "KINDS",
    "Kind",
    "check_kind",
    "check_strategy",
    "messages_for",
    "register_message_strategy",
    "registered_messages",
    "unregister_message_strategy",
]

Kind = Literal["text", "json", "binary"]
KINDS: tuple[Kind, ...] = ("text", "json", "binary")
"""The kinds of messages. JSON travels as text."""


@overload
def register_message_strategy(pattern: str, kind: Kind, strategy: st.SearchStrategy[Any]) -> None: ...


@overload
def register_message_strategy(
    pattern: str, kind: Kind
) -> Callable[[Callable[[], st.SearchStrategy[Any]]], Callable[[], st.SearchStrategy[Any]]]: ...


def register_message_strategy(pattern: str, kind: Kind, strategy: Any = None) -> Any:
    """Send messages of your own to the routes that match ``pattern``, as half of what is sent there.

    ::

        register_message_strategy("/chat/*", "json", st.builds(dict, type=st.just("say"), text=st.text()))

        @register_message_strategy("/chat/*", "text")
        def commands():
            return st.sampled_from(["/join", "/part"])

    :arg pattern: with ``*``, ``?`` and ``[...]`` as in file names; it is matched with the route as it stands in
        the app and with its example path. The route itself (``"/chat/([^/]+)"``) will do as well
    :arg kind: ``"text"`` (the strategy draws `str`), ``"json"`` (what `json.dumps` takes), ``"binary"`` (`bytes`)
    :arg strategy: a Hypothesis strategy; without it this is a decorator of a function that returns one

    The same pattern and kind again replace the former. Until `unregister_message_strategy`, in this process.
    Raises `UsageError` for anything else; a strategy that draws another type is told when it does.
    """
    if not isinstance(pattern, str) or not pattern:
        raise UsageError(f"a pattern of routes is a str such as '/chat/*', not {show(pattern)}")
    check_kind(kind)

    def register(made: Any, name: str) -> None:
        if not isinstance(made, st.SearchStrategy):
            raise UsageError(f"{name} is {show(made)}, which is no Hypothesis strategy")
        _registered[pattern, kind] = _Registered(pattern, kind, made)

    def decorate(function: Any) -> Any:
        if not callable(function):
            raise UsageError(
                f"register_message_strategy() decorates a function that returns a strategy, not {show(function)}"
            )
        register(function(), f"what {getattr(function, '__qualname__', 'the function')}() returned")
        return function

    return decorate if strategy is None else register(strategy, "strategy")


def unregister_message_strategy(pattern: str, kind: Kind | None = None) -> None:
    """Take back what was registered for ``pattern``: of this kind, or of all.

    ::

        self.addCleanup(unregister_message_strategy, "/chat/*")

    Raises `UsageError` if there is none.
    """
    found = [key for key in _registered if key[0] == pattern and kind in (None, key[1])]
    if not found:
        known = sorted({key[0] for key in _registered})
        others = f": {nearest(str(pattern), known)}" if known else ", nor for any other pattern"
        raise UsageError(f"nothing is registered for {show(pattern)}{others}")
    for key in found:
        del _registered[key]


def registered_messages(route: Route) -> list[st.SearchStrategy[Message]]:
    """Return the strategies that are registered for ``route``, each of messages as they travel."""
    found = [one.strategy.map(one.to_message) for one in _registered.values() if one.is_for(route)]
    return found + [strategy.map(_as_it_travels) for one, strategy in _offered if one is route]


@contextlib.contextmanager
def messages_for(route: Route, strategy: st.SearchStrategy[Any] | None) -> Iterator[None]:
    """In this block, `registered_messages` of ``route`` are those of ``strategy``, too (of None: nothing).

    It draws `str` and `bytes`, which travel as they are, and other values, which travel as JSON.
    """
    offer = [] if strategy is None else [(route, strategy)]
    _offered.extend(offer)
    try:
        yield
    finally:
        for one in offer:
            _offered.remove(one)


def check_strategy(value: Any) -> st.SearchStrategy[Any]:
    """Return the strategy that ``value`` is, or that it returns. Raises `UsageError` if it is none."""
    strategy = value
    if callable(value) and not isinstance(value, (type, st.SearchStrategy)):
        try:
            strategy = value()
        except Exception as error:
            raise UsageError(f"messages: {show(value)} raised {show_error(error)} when called with nothing") from error
    if not isinstance(strategy, st.SearchStrategy):
        raise UsageError(f"messages is a Hypothesis strategy, or a function that returns one, not {show(value)}")
    return strategy


def check_kind(kind: Any) -> Kind:
    """Return ``kind``, or raise `UsageError` if there is no such kind."""
    if kind not in KINDS:
        raise UsageError(f"no kind of message {show(kind)}: {nearest(str(kind), KINDS)}")
    return kind  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True)
class _Registered:
    """A strategy that somebody registered."""

    pattern: str
    kind: Kind
    strategy: st.SearchStrategy[Any]

    def is_for(self, route: Route) -> bool:
        return route.is_meant_by(self.pattern)

    def to_message(self, value: Any) -> Message:
        if self.kind == "json":
            try:
                return json.dumps(value)
            except (TypeError, ValueError) as error:
                raise self._misuse(value, "values that JSON has") from error
        if self.kind == "text" and (not isinstance(value, str) or not _is_utf8(value)):
            raise self._misuse(value, "str without surrogates")
        if self.kind == "binary" and not isinstance(value, bytes):
            raise self._misuse(value, "bytes")
        return value  # type: ignore[no-any-return]

    def _misuse(self, value: Any, expected: str) -> UsageError:
        return UsageError(
            f"the strategy that is registered for {self.pattern!r} as {self.kind!r} drew {show(value)}; "
            f"it should draw {expected}"
        )


def _as_it_travels(value: Any) -> Message:
    if isinstance(value, bytes) or (isinstance(value, str) and _is_utf8(value)):
        return value
    try:
        if not isinstance(value, str):
            return json.dumps(value)
    except (TypeError, ValueError):
        pass
    raise UsageError(
        f"messages drew {show(value)}; it should draw str without surrogates, bytes, or values that JSON has"
    )


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


_registered: dict[tuple[str, Kind], _Registered] = {}
_offered: list[tuple[Route, st.SearchStrategy[Any]]] = []
