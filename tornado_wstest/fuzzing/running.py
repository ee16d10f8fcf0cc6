"""What the front ends of the fuzzer share: a test case, pytest's items, a command."""

import contextlib
import dataclasses
import inspect
import logging
import os
import pathlib
import shlex
from collections.abc import Callable, Generator, Iterator

try:
    import hypothesis  # noqa: F401 - before what needs it, for the sentence on how to get it
except ImportError as _error:
    raise ImportError("fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'") from _error

from ..errors import UsageError, WSTestFailure
from .config import Config
from .engine import Event, Finding, Played, RouteFinished, fuzz_route
from .paste import paste
from .registry import messages_for
from .report import PROG, Repeat, cause_text, finding_block
from .routes import Route, find_routes
from .saved import SavedCase
from .settings import FuzzSettings
from .target import App, Target

__all__ = [
    "FuzzFailed",
    "FuzzWarning",
    "cause_text",
    "failure_of",
    "fuzz_planned",
    "is_async",
    "labels",
    "plan_routes",
    "repeat_of",
    "split",
]


class FuzzWarning(UserWarning):
    """A route was fuzzed, but not as it should be: no connection was accepted, a finding is flaky, ..."""


class FuzzFailed(WSTestFailure):
    """Fuzzing a route has found something. If an exception of the app's, it is the ``__cause__``."""


def plan_routes(target: Target, config: Config) -> list[tuple[str, Route, FuzzSettings]]:
    """Return what is to be fuzzed: a name that no other has, the route, and its settings.

    Raises `UsageError` where nothing is left by ``include``, ``exclude`` and ``skip``.
    """
    routes = find_routes(target)
    names = dict(zip(map(id, routes), labels(routes), strict=True))
    planned = config.plan(routes)
    if not planned and config.settings.enabled:
        known = ", ".join(names.values())
        raise UsageError(f"include, exclude and skip leave no route to fuzz; the websocket routes are: {known}")
    return [(names[id(route)], route, settings) for route, settings in planned]


def labels(routes: list[Route]) -> list[str]:
    """Return a label for each route; those of the same label are numbered from the second on."""
    found: list[str] = []
    for number, route in enumerate(routes):
        before = sum(other.label == route.label for other in routes[:number])
        found.append(f"{route.label}#{before + 1}" if before else route.label)
    return found


def fuzz_planned(
    target: Target, route: Route, settings: FuzzSettings, *, listen: Callable[[Played], None] | None = None
) -> Generator[Event, None, None]:
    """Fuzz a route as `fuzz_route` does, with the messages of ``settings``, too.

    What Tornado logs of it is dropped: an exception is told once, as a finding, and not a hundred times.
    """
    with messages_for(route, settings.messages), _without_tornado_logs():
        yield from fuzz_route(target, route, settings, listen=listen)


@contextlib.contextmanager
def _without_tornado_logs() -> Iterator[None]:
    # Not by a filter: an error that a filter drops counts as one that was expected.
    loggers = [logging.getLogger(name) for name in ("tornado.access", "tornado.application", "tornado.general")]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def split(events: Iterator[Event], settings: FuzzSettings) -> tuple[list[Finding], list[str], RouteFinished]:
    """Play a route to its end, and return the findings that count, what there is to warn of, and the summary.

    With ``strict``, flaky findings count, too; that warnings fail then is the front ends' business. Where something was
    found, what the route lacks is not told: it may lack it because of that.
    """
    findings: list[Finding] = []
    warnings: list[str] = []
    for event in events:
        if isinstance(event, Finding):
            if event.is_flaky and not settings.strict:
                warnings.append(f"a flaky finding\n{finding_block(event)}")
            else:
                findings.append(event)
        elif isinstance(event, RouteFinished):
            finished = event
    return findings, warnings + ([] if findings else list(finished.warnings)), finished


def failure_of(finding: Finding, repeat: Repeat | None = None) -> FuzzFailed:
    """Return what a test fails with: all that is known, with the app's own exception as the cause."""
    errors = finding.seen.errors
    if finding.problem.code != "server-error" or not errors:
        return FuzzFailed(finding_block(finding, repeat), finding=finding)
    # The cause has its traceback, so the text needs none.
    brief = dataclasses.replace(finding, problem=dataclasses.replace(finding.problem, traceback=""))
    failure = FuzzFailed(finding_block(brief, repeat), finding=finding)
    failure.__cause__ = errors[0].exception
    return failure


def repeat_of(
    finding: Finding, settings: FuzzSettings, *, command: str, name: str, target: Target, folder: pathlib.Path
) -> Repeat:
    """Save the case below ``folder``, and return three ways to see a finding again.

    :arg command: what repeats the whole run
    :arg name: the app, as ``"chat:make_app"``
    """
    saved = SavedCase.of(
        finding.case, finding.problem, target=name, route=finding.route, settings=settings, seed=finding.seed
    )
    file = ""
    try:
        file = str(saved.save(folder))
        with contextlib.suppress(ValueError):  # another drive
            file = os.path.relpath(file)
        again = f"{PROG} replay {shlex.quote(file)}"
    except UsageError as error:  # the finding is worth more than its file
        again = f"# {error}"
    kind = "app" if isinstance(target, App) else "async factory" if is_async(target) else "factory"
    return Repeat(
        command,
        again,
        paste(finding.seen, finding.problem, target=name, app=kind, route=finding.route, settings=settings),
        file,
    )


def is_async(factory: Callable[..., object]) -> bool:
    """Must what ``factory`` returns be awaited?"""
    call = factory if inspect.isroutine(factory) or isinstance(factory, type) else type(factory).__call__
    return inspect.iscoroutinefunction(inspect.unwrap(call))
