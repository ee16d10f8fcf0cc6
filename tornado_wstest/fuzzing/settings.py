"""What a fuzz run may be told, with every default. Where it comes from is `tornado_wstest.fuzzing.config`'s business.

`FuzzSettings` is the one place where settings are declared: the file, the command line, pytest's options and the
table of the documentation are all made of `options`.
"""

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..text import show

__all__ = ["ALLOWED_CLOSE_CODES", "FuzzSettings", "Option", "allows", "is_sent_by_clients", "options"]

ALLOWED_CLOSE_CODES = ("1000", "1001", "1003", "1007", "1008", "1009", "1012", "1013", "3000-4999")
"""What a server may close with: a code, or a range of codes. (A close frame without a code is allowed, too.)"""

_COMMON = {"per_route": False}
_POSITIVE = {"above": 0}


def _setting(default: Any, help: str, **rules: Any) -> Any:
    """Declare a setting. ``rules`` are those of `Option`."""
    return dataclasses.field(default=default, metadata={"help": help, **rules})


def _mapping(help: str) -> Any:
    return dataclasses.field(default_factory=dict, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class FuzzSettings:
    """How routes are fuzzed. Times are in seconds. Each setting has its sentence in `options`."""

    enabled: bool = _setting(
        True, "is there any fuzzing? ``--ws-fuzz`` and the command say yes, whatever the file says", **_COMMON
    )
    examples: int = _setting(100, "how many conversations a route has", least=1)
    seed: int | None = _setting(None, "repeats a run; without it each run is another", least=0)
    time_budget: float = _setting(60.0, "real seconds for a route, with the time to find smaller cases", **_POSITIVE)
    max_messages: int = _setting(10, "how many messages a conversation has at most", least=1, most=150)
    max_message_size: int = _setting(65536, "how many bytes a message has at most", least=1, most=1 << 30)
    connection_timeout: float = _setting(30.0, "seconds that an opening or a closing handshake may take", **_POSITIVE)
    message_timeout: float = _setting(10.0, "seconds that the handler may take for one message", **_POSITIVE)
    blocked: float = _setting(0.5, "real seconds for which the loop may stand still", **_POSITIVE)
    test_close_codes: tuple[int, ...] = _setting((1000, 1001), "the close codes that the client ends with")
    allowed_close_codes: tuple[str, ...] = _setting(
        ALLOWED_CLOSE_CODES, "what the server may close with: codes, and ranges of codes"
    )
    validate_subprotocols: bool = _setting(True, "is the check ``subprotocol`` on?")
    include: tuple[str, ...] = _setting(
        (), "patterns of the routes to fuzz, such as ``/ws/*``; all of them by default", commas=False, **_COMMON
    )
    exclude: tuple[str, ...] = _setting((), "patterns of routes to leave out", commas=False, **_COMMON)
    checks: tuple[str, ...] = _setting(
        (), "codes of the checks to make: ``isolation`` or ``+isolation`` is one more, ``-leak`` one less"
    )
    headers: Mapping[str, str] = _mapping("headers of each opening handshake")
    cookies: Mapping[str, str] = _mapping("cookies of each opening handshake")
    signed_cookies: Mapping[str, str] = _mapping("cookies that are signed with the app's ``cookie_secret``")
    auth: str | None = _setting(
        None, "``bearer:TOKEN`` or ``basic:USER:PASSWORD``; each part may be ``$NAME`` of the environment"
    )
    origin: str | None = _setting(None, "the ``Origin`` header of an own page; none is sent by default")
    subprotocols: tuple[str, ...] = _setting(
        (), "what clients offer; by default one that the handler is found to choose"
    )
    handshake: Any = _setting(  # noqa: RUF009
        None, "``module:name`` of what every client goes through first, such as a login"
    )
    messages: Any = _setting(  # noqa: RUF009
        None, "``module:name`` of a Hypothesis strategy of messages that mean something to the app"
    )
    transport: str = _setting(
        "memory", "how clients reach the server: ``memory`` or ``tcp``", choices=("memory", "tcp")
    )
    virtual_time: bool = _setting(True, "does time jump to the next timer when the app has settled?")
    database: str | None = _setting(
        ".hypothesis/examples", "the folder where Hypothesis keeps what it has found; an empty text for none"
    )
    strict: bool = _setting(False, "do warnings and flaky findings count as findings?")
    verbose: bool = _setting(False, "is each conversation printed?", **_COMMON)


@dataclasses.dataclass(frozen=True)
class Option:
    """One setting, as a file, a command line or a table has it."""

    name: str
    type: Any
    """`bool`, `int`, `float`, `str`, `tuple` (of ``item``), `dict` (of texts), or `object`."""
    default: Any
    help: str
    item: Any = str
    is_optional: bool = False
    """May it be None?"""
    per_route: bool = True
    """May a route have its own?"""
    commas: bool = True
    """On a command line: does a comma part the items of a tuple?"""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None

    def flag(self, prefix: str = "--") -> str:
        """Return how a command line calls it."""
        return prefix + self.name.replace("_", "-")

    def check(self, value: Any) -> Any:
        """Return ``value`` as `FuzzSettings` wants it: a `tuple` for a list. Raises `UsageError` for a wrong one."""
        if value is None and self.is_optional:
            return None
        if self.type is object:
            return value
        if self.type is tuple:
            if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
                raise self._misuse(value)
            return tuple(self._checked_item(one, value) for one in value)
        if self.type is dict:
            if not isinstance(value, Mapping) or not all(
                isinstance(text, str) for pair in value.items() for text in pair
            ):
                raise self._misuse(value)
            return dict(value)
        if not _is_a(value, self.type) or not self._is_in_range(value):
            raise self._misuse(value)
        return float(value) if self.type is float else value

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the value that the texts of a command line mean: the last one, or all of them for a list.

        Items of a list stand in options of their own or between commas (patterns of routes: only in their own),
        pairs as ``NAME=VALUE``. Raises `UsageError` for what means nothing.
        """
        if self.type is tuple:
            parts = [part.strip() for text in texts for part in (text.split(",") if self.commas else [text])]
            return self.check(tuple(_number(part, int) if self.item is int else part for part in parts if part))
        if self.type is dict:
            pairs = [text.partition("=") for text in texts]
            if any(not name or not equals for name, equals, _ in pairs):
                raise UsageError(f"{self.name} is NAME=VALUE, not {show(texts[-1])}")
            return {name: value for name, _, value in pairs}
        if self.type is bool:
            return self.check({"true": True, "false": False}.get(texts[-1], texts[-1]))
        return self.check(_number(texts[-1], self.type) if self.type in (int, float) else texts[-1])

    def _checked_item(self, item: Any, value: Any) -> Any:
        # A range of close codes is a text, and one code may be a number.
        if self.name == "allowed_close_codes" and _is_a(item, int):
            return str(item)
        if not _is_a(item, self.item) or item == "":
            raise self._misuse(value)
        return item

    def _is_in_range(self, value: Any) -> bool:
        if self.choices and value not in self.choices:
            return False
        if self.least is not None and value < self.least:
            return False
        if self.most is not None and value > self.most:
            return False
        return self.above is None or self.above < value < float("inf")

    def _misuse(self, value: Any) -> UsageError:
        return UsageError(f"{self.name} is {self._wanted()}, not {show(value)}")

    def _wanted(self) -> str:
        if self.choices:
            return " or ".join(map(repr, self.choices))
        if self.type is tuple:
            return "a list of whole numbers" if self.item is int else "a list of texts"
        noun = _NOUNS[self.type]
        if self.most is not None:
            return f"{noun} from {self.least:g} to {self.most:.0f}"
        if self.least is not None:
            return f"{noun} from {self.least:g}"
        return f"{noun} above {self.above:g}" if self.above is not None else noun


_NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", dict: "a table of texts"}


def options() -> Iterator[Option]:
    """Yield every setting, in order, with its type, its default and what it is for.

    ::

        for option in options():
            print(option.name, option.type.__name__, option.default, option.help)
    """
    hints = typing.get_type_hints(FuzzSettings)
    for field in dataclasses.fields(FuzzSettings):
        kind, item, is_optional = _kind(hints[field.name])
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        yield Option(field.name, kind, default, item=item, is_optional=is_optional, **field.metadata)


def _kind(hint: Any) -> tuple[type, type, bool]:
    """Return what an annotation means: a type, that of its items, and whether None will do."""
    if hint is Any:
        return object, str, True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        (inner,) = (one for one in arguments if one is not type(None))
        return inner, str, True
    if origin is tuple:
        return tuple, arguments[0], False
    if origin is collections.abc.Mapping:
        return dict, str, False
    return hint, str, False


def _is_a(value: Any, kind: type) -> bool:
    if kind in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


def _number(text: str, kind: type) -> Any:
    """Return the number that ``text`` means, or the text, which is told then."""
    try:
        return kind(text)
    except ValueError:
        return text


def is_sent_by_clients(code: int) -> bool:
    """May a client's close frame carry this code (RFC 6455, section 7.4)?"""
    return code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code <= 4999


def allows(codes: tuple[str, ...], code: int) -> bool:
    """Is a close code one of ``codes``, or in one of their ranges?"""
    for allowed in codes:
        first, _, last = allowed.partition("-")
        if int(first) <= code <= int(last or first):
            return True
    return False
