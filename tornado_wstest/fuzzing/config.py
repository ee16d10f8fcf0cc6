"""Where a fuzz run gets its settings from: ``pyproject.toml``, and what a command line or a test case says over it.

::

    [tool.tornado-wstest]
    app = "chat:make_app"
    examples = 200
    exclude = ["/ws/internal/*"]

    [[tool.tornado-wstest.routes]]
    pattern = "/chat/*"
    handshake = "tests.logins:ann"
    signed_cookies = {user = "ann"}

Keys are the names of `FuzzSettings`. A table of a route has those that a route may have for itself, and ``skip``.
"""

import dataclasses
import importlib
import inspect
import os
import pathlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..handshake import check_handshake
from ..text import nearest, show, show_error
from .checks import chosen_checks
from .routes import Route
from .settings import FuzzSettings, Option, is_sent_by_clients, options
from .stage import auth_parts, authorization

__all__ = ["Config", "options"]

_FILE = "pyproject.toml"
_TABLE = "tornado-wstest"
_ROUTES = f"[[tool.{_TABLE}.routes]]"
_OPTIONS = {option.name: option for option in options()}
_OF_A_ROUTE = {name: option for name, option in _OPTIONS.items() if option.per_route}


@dataclasses.dataclass(frozen=True)
class _RouteTable:
    """What some routes have for themselves."""

    place: str
    pattern: str
    values: Mapping[str, Any]
    skip: bool = False


@dataclasses.dataclass(frozen=True)
class _Layer:
    """What one source says. A later one is laid over it."""

    place: str
    values: Mapping[str, Any]
    tables: tuple[_RouteTable, ...] = ()
    app: str | None = None


class Config:
    """The settings of a run, common ones and those of each route.

    ::

        config = Config.load(".", examples=20)
        for route, settings in config.plan(websocket_routes(app)):
            for event in fuzz_route(app, route, settings):
                print(event)
    """

    def __init__(self, layers: Iterable[_Layer] = (), *, file: pathlib.Path | None = None) -> None:
        self._layers = tuple(layers)
        self.file = file
        """The file that was read; None if there is none with the table."""
        self.app: str | None = next((one.app for one in reversed(self._layers) if one.app is not None), None)
        """What to fuzz, such as ``"chat:make_app"``, if anybody says it."""
        self.settings: FuzzSettings = _laid(layer.values for layer in self._layers)
        """What all routes have in common."""

    @classmethod
    def load(cls, folder: str | os.PathLike[str] = ".", **overrides: Any) -> "Config":
        """Read the nearest ``pyproject.toml`` with ``[tool.tornado-wstest]``, in ``folder`` or above it.

        :arg overrides: settings that win over those of the file, those of its routes included; ``app``; and
            ``routes``, a list of tables as the file has them

        Raises `UsageError` for a file that is no TOML, a key that does not exist and a value that cannot be, with
        the file and the key; and where a ``handshake`` or ``messages`` cannot be imported.
        """
        file, table = _find_table(pathlib.Path(folder).resolve())
        layers = [_layer(f"{file}: ", table, in_file=True)] if file is not None else []
        return cls([*layers, _layer("", overrides, in_file=False)], file=file)

    def plan(self, routes: Sequence[Route]) -> list[tuple[Route, FuzzSettings]]:
        """Return the routes to fuzz, each with its settings, in the order given. None if fuzzing is not enabled.

        Of several tables that mean a route all count, and the later ones win; headers and cookies are added to the
        common ones. Raises `UsageError` for a pattern that means none of the routes.
        """
        for layer in self._layers:
            for name in ("include", "exclude"):
                for pattern in layer.values.get(name, ()):
                    _check_pattern(f"{layer.place}{name}", pattern, routes)
            for table in layer.tables:
                _check_pattern(f"{table.place}pattern", table.pattern, routes)
        return [(route, self._settings_for(route)) for route in routes if self._is_wanted(route)]

    def changed(self) -> dict[str, Any]:
        """Return the common settings that are not as by default, by their names."""
        return {
            name: value
            for name, option in _OPTIONS.items()
            if (value := getattr(self.settings, name)) != option.default
        }

    def _is_wanted(self, route: Route) -> bool:
        settings = self.settings
        if not settings.enabled or (settings.include and not _is_meant(route, settings.include)):
            return False
        skips = [table.skip for layer in self._layers for table in layer.tables if route.is_meant_by(table.pattern)]
        return not _is_meant(route, settings.exclude) and not any(skips)

    def _settings_for(self, route: Route) -> FuzzSettings:
        values: list[Mapping[str, Any]] = []
        for layer in self._layers:
            values.append(layer.values)
            values += [table.values for table in layer.tables if route.is_meant_by(table.pattern)]
        settings = _laid(values)
        try:
            authorization(settings.auth)
        except UsageError as error:
            raise UsageError(f"{route.label}: {error}") from error
        return settings


def _laid(values: Iterable[Mapping[str, Any]]) -> FuzzSettings:
    """Lay values over each other: the last wins, and tables of texts are added up."""
    found: dict[str, Any] = {}
    for layer in values:
        for name, value in layer.items():
            is_table = _OPTIONS[name].type is dict
            found[name] = {**found.get(name, {}), **value} if is_table else value
    return FuzzSettings(**found)


def _is_meant(route: Route, patterns: Iterable[str]) -> bool:
    return any(route.is_meant_by(pattern) for pattern in patterns)


def _check_pattern(place: str, pattern: str, routes: Sequence[Route]) -> None:
    if not any(route.is_meant_by(pattern) for route in routes):
        known = ", ".join(dict.fromkeys(route.label for route in routes)) or "none"
        raise UsageError(f"{place}: {show(pattern)} means no route; the websocket routes are: {known}")


# Reading


def _find_table(folder: pathlib.Path) -> tuple[pathlib.Path | None, Mapping[str, Any]]:
    for place in (folder, *folder.parents):
        file = place / _FILE
        if file.is_file():
            tool = _read(file).get("tool", {})
            if isinstance(tool, dict) and _TABLE in tool:
                return file, tool[_TABLE]
    return None, {}


def _read(file: pathlib.Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error


def _layer(source: str, table: Any, *, in_file: bool) -> _Layer:
    """Check what one source says. ``source`` begins the place of each complaint."""
    place = f"{source}[tool.{_TABLE}] " if in_file else source
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}is a table, not {show(table)}")
    given = dict(table)
    app, tables = given.pop("app", None), given.pop("routes", [])
    if app is not None and not isinstance(app, str):
        raise UsageError(f"{place}app is a text such as 'chat:make_app', not {show(app)}")
    if not isinstance(tables, Sequence) or not all(isinstance(one, Mapping) for one in tables):
        raise UsageError(f"{source}routes are tables ({_ROUTES}), not {show(tables)}")
    values = _checked(place, given, _OPTIONS, ("app", "routes"))
    return _Layer(
        place,
        values,
        tuple(_route_table(source, number, one, in_file=in_file) for number, one in enumerate(tables, 1)),
        app,
    )


def _route_table(source: str, number: int, table: Mapping[str, Any], *, in_file: bool) -> _RouteTable:
    given = dict(table)
    pattern, skip = given.pop("pattern", None), given.pop("skip", False)
    name = _ROUTES if in_file else "routes:"
    if not isinstance(pattern, str) or not pattern:
        raise UsageError(f"{source}{name} number {number}: pattern is a text such as '/chat/*', not {show(pattern)}")
    place = f"{source}{name} {pattern}: "
    if not isinstance(skip, bool):
        raise UsageError(f"{place}skip is true or false, not {show(skip)}")
    return _RouteTable(place, pattern, _checked(place, given, _OF_A_ROUTE, ("pattern", "skip")), skip)


def _checked(
    place: str, given: Mapping[str, Any], valid: Mapping[str, Option], others: tuple[str, ...]
) -> dict[str, Any]:
    """Return the values as `FuzzSettings` wants them, or raise `UsageError` for the first that cannot be."""
    found = {}
    for name, value in given.items():
        if name in _OPTIONS and name not in valid:
            raise UsageError(f"{place}{name} is a setting of all routes: it stands in [tool.{_TABLE}]")
        if name not in valid:
            raise UsageError(f"{place}there is no setting {name!r}: {nearest(str(name), [*valid, *others])}")
        try:
            found[name] = _value(valid[name], value)
        except UsageError as error:
            raise UsageError(f"{place}{error}") from error.__cause__
    return found


def _value(option: Option, value: Any) -> Any:
    checked = option.check(value)
    special = _SPECIAL.get(option.name)
    return checked if special is None or checked is None else special(checked)


# Settings with rules of their own


def _check_test_close_codes(codes: tuple[int, ...]) -> tuple[int, ...]:
    for code in codes:
        if not is_sent_by_clients(code):
            raise UsageError(
                f"test_close_codes: no client may send {code}; it may send 1000 to 1003, 1007 to 1014, 3000 to 4999"
            )
    return codes


def _check_allowed_close_codes(codes: tuple[str, ...]) -> tuple[str, ...]:
    for code in codes:
        first, dash, last = code.partition("-")
        bounds = (first, last) if dash else (first, first)
        if not all(bound.isdecimal() and 1000 <= int(bound) <= 4999 for bound in bounds) or int(bounds[0]) > int(
            bounds[1]
        ):
            raise UsageError(
                f"allowed_close_codes are codes such as 1000 and ranges such as '3000-4999', not {show(code)}"
            )
    return codes


def _check_checks(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        chosen = chosen_checks(names)
    except UsageError as error:
        raise UsageError(f"checks: {error}") from error
    if not chosen:
        raise UsageError(f"checks: {show(list(names))} leaves none")
    return names


def _check_auth(auth: str) -> str:
    auth_parts(auth)
    return auth


def _import_handshake(value: Any) -> Any:
    handshake = _imported("handshake", value)
    # A function that takes nothing makes one.
    if inspect.isfunction(handshake) and not inspect.signature(handshake).parameters:
        handshake = handshake()
    try:
        check_handshake(handshake)
    except UsageError as error:
        raise UsageError(f"handshake: {error}") from error
    return handshake


def _import_messages(value: Any) -> Any:
    from .registry import check_strategy

    return check_strategy(_imported("messages", value))


def _check_subprotocols(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"subprotocols: a subprotocol is a word such as 'chat.v1', not {show(name)}")
    return names


def _check_origin(origin: str) -> str:
    if origin != "null" and not _ORIGIN.fullmatch(origin):
        raise UsageError(f"origin is 'https://example.com' or the like, or 'null', not {show(origin)}")
    return origin


def _check_database(folder: str) -> str | None:
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise UsageError(f"database is a folder, and {show(folder)} is something else; an empty text is for none")
    return folder or None


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/\s]+")

_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "test_close_codes": _check_test_close_codes,
    "allowed_close_codes": _check_allowed_close_codes,
    "checks": _check_checks,
    "auth": _check_auth,
    "origin": _check_origin,
    "subprotocols": _check_subprotocols,
    "database": _check_database,
    "handshake": _import_handshake,
    "messages": _import_messages,
}


def _imported(setting: str, value: Any) -> Any:
    """Return what ``"module:name"`` names; anything but a text is the thing itself."""
    if not isinstance(value, str):
        return value
    module_name, colon, attribute = value.partition(":")
    if not colon or not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise UsageError(f"{setting} is module:name, such as 'tests.fuzz:{setting}', not {show(value)}")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{setting}: importing {module_name!r} raised {show_error(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in dir(found) if not name.startswith("_")]
            raise UsageError(f"{setting}: {module_name} has no {part!r}: {nearest(part, names)}")
        found = getattr(found, part)
    return found
