"""Who holds a handler whose connection is over: a list of a module, a class, the app."""

import contextlib
import gc
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from tornado.web import Application

from ..text import is_library

__all__ = ["Holders"]

_BARE = Application()
_MOST = 20_000
"""How many objects are looked at behind one name."""


class Holders:
    """Finds who holds handlers, sooner the next time."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._unknown: set[type] = set()

    def find(self, handler: Any, app: Any) -> str:
        """Return the name of what holds ``handler``, such as ``chat.people``; an empty text if no name leads to it.

        What is looked at are the app's settings, the variables around the handler's methods, its classes, and the
        modules that are the user's own. Where nobody was found for one handler of a class, nobody is looked for again.
        """
        roots = dict(_roots(type(handler), app))
        for name in sorted(roots, key=lambda name: name not in self._known):
            if type(handler) in self._unknown and name not in self._known:
                break
            if _leads_to(handler, roots[name]):
                self._known.add(name)
                return name
        self._unknown.add(type(handler))
        return ""


def _roots(cls: type, app: Any) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        if is_library(getattr(sys.modules.get(base.__module__), "__file__", None) or __file__):
            continue
        for name, value in vars(base).items():
            if isinstance(value, FunctionType):
                yield from _closure(value)
            elif not name.startswith("__"):
                yield f"{base.__name__}.{name}", value
    if isinstance(app, Application):
        for name, value in app.settings.items():
            yield f"the app's setting {name!r}", value
        for name, value in vars(app).items():
            if name not in vars(_BARE):
                yield f"the app's {name}", value
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(module, ModuleType) and file and not is_library(file) and "site-packages" not in file:
            for name, value in list(vars(module).items()):
                if not name.startswith("__"):
                    yield f"{module.__name__}.{name}", value


def _closure(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name != "__class__":
            with contextlib.suppress(ValueError):  # it has no value yet
                yield f"the variable {name} of {function.__qualname__}", cell.cell_contents


def _leads_to(wanted: Any, start: Any) -> bool:
    """Is ``wanted`` reached from ``start``, through containers and objects, but no modules, classes or functions?"""
    seen = {id(start)}
    found = [start]
    for value in found:
        if value is wanted:
            return True
        if isinstance(value, (ModuleType, type, FunctionType, str, bytes, int)) or len(found) > _MOST:
            continue
        for other in gc.get_referents(value):
            if id(other) not in seen:
                seen.add(id(other))
                found.append(other)
    return False
