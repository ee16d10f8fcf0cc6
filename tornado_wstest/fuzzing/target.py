"""The app that a command names: from ``"chat:make_app"`` to an `Application`."""

import asyncio
import contextlib
import errno
import importlib
import inspect
import os
import pkgutil
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tornado.routing import RuleRouter
from tornado.web import Application

from ..errors import UsageError
from ..text import nearest, show, show_error

__all__ = ["App", "Target", "load_target", "make_app"]

App = Application | RuleRouter
"""What has routes and can be served: an `Application`, or a router of several."""

Target = App | Callable[[], App | Awaitable[App]]
"""An app, or what makes one."""

_PATIENCE = 30.0
"""How many seconds an async function may take to make an app."""

_EMPTY = inspect.Parameter.empty
_BY_NAME_OR_PLACE = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


def load_target(name: str) -> Target:
    """Import what ``name`` says: ``"chat:make_app"``, ``"shop.web:app"``.

    ::

        target = load_target("chat:make_app")
        app = await make_app(target)

    Before the colon stands a module, which may lie in the current folder, as with ``python -m``; after it an
    `Application`, or a function or class that makes one when called with nothing (`make_app` calls it).

    Raises `UsageError` for a name of another shape, a module that cannot be imported (its own exception is the
    ``__cause__``), a name that is not there, and for what can be no app. It cannot tell what a function returns.
    """
    module_name, colon, attribute = name.partition(":") if isinstance(name, str) else ("", "", "")
    attribute = attribute.removesuffix("()")
    parts = [*module_name.split("."), *attribute.split(".")]
    if not colon or not all(part.isidentifier() for part in parts):
        raise UsageError(f"{show(name)} names no app: write module:name, such as 'chat:make_app'")
    found = _find(_import(module_name), attribute)
    _check_target(name, found)
    return found  # type: ignore[no-any-return]


async def make_app(target: Target) -> App:
    """Return ``target`` if it is an app already, else what it makes: it may be an async function.

    Raises `UsageError` where it raises (its exception is the ``__cause__``), takes arguments, makes no app, or none
    within 30 seconds.
    """
    _check_target(_name_of(target), target)
    if isinstance(target, App):
        return target
    try:
        made = target()
        if inspect.isawaitable(made):
            with _ending_after(_PATIENCE):
                made = await made
    except _Late as error:
        advice = "it should return an Application, and leave it to a task to wait for what comes later"
        raise UsageError(f"{_name_of(target)}() did not return within {_PATIENCE:g} s\n{advice}") from error
    except Exception as error:
        advice = "it should return an Application"
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            advice += ", and leave it to its caller to listen: it is called for each conversation"
        raise UsageError(f"{_name_of(target)}() raised {show_error(error)}\n{advice}") from error
    if not isinstance(made, App):
        raise UsageError(f"{_name_of(target)}() returned {show(made)}, which is no Application")
    return made


class _Late(Exception):
    """An async function has taken too long."""


@contextlib.contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    """Cancel this task with `_Late` after so many real seconds: the loop's clock may be a virtual one."""
    loop, task, is_late = asyncio.get_running_loop(), asyncio.current_task(), threading.Event()

    def end() -> None:
        is_late.set()
        assert task is not None
        task.cancel()

    timer = threading.Timer(seconds, loop.call_soon_threadsafe, (end,))
    timer.daemon = True
    timer.start()
    try:
        yield
    except asyncio.CancelledError:
        if is_late.is_set():
            raise _Late from None
        raise
    finally:
        timer.cancel()


def _import(name: str) -> types.ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error
        others = [module.name for module in pkgutil.iter_modules([here])]
        hint = f" ({nearest(name, others)})" if others else ""
        raise UsageError(f"there is no module {error.name!r} in {here} or on Python's path{hint}") from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> UsageError:
    advice = "mend the module, or keep what it should only do as a program behind if __name__ == '__main__'"
    return UsageError(f"importing {name!r} raised {show_error(error)}\n{advice}")


def _find(module: types.ModuleType, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            owner = getattr(found, "__name__", type(found).__name__)
            valid = [name for name in dir(found) if name[:1] != "_" and _may_be_target(getattr(found, name, None))]
            hint = nearest(part, valid) if valid else "it holds no Application and no function"
            raise UsageError(f"{owner} has no {part!r}: {hint}")
        found = getattr(found, part)
    return found


def _may_be_target(value: Any) -> bool:
    return isinstance(value, App) or callable(value)


def _name_of(target: Any) -> str:
    return getattr(target, "__qualname__", None) or show(target)


def _check_target(name: str, target: Any) -> None:
    """An app is fine, and so is what can be called with nothing."""
    if isinstance(target, App):
        return
    if not callable(target):
        advice = "name an Application, or a function that returns one"
        raise UsageError(f"{name} is {show(target)}, which is no Application\n{advice}")
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [p.name for p in parameters if p.default is _EMPTY and p.kind in _BY_NAME_OR_PLACE]
    if needed:
        raise UsageError(
            f"{name} cannot be called with nothing: it takes {', '.join(needed)}\n"
            "name a function without arguments that calls it with yours"
        )
