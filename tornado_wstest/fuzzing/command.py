"""What the commands ``fuzz`` and ``replay`` do, but for the command line and the printing.

It needs Hypothesis: ``pip install tornado-wstest[fuzz]``.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..text import one_line, plural
from .config import Config
from .engine import Event, Finding, Played, RouteFinished, RouteStarted, replay
from .report import (
    PROG,
    Repeat,
    Report,
    RouteReport,
    conversation,
    finding_block,
    finished_line,
    left_out_line,
    started_line,
)
from .routes import Route, find_routes, load_target
from .running import fuzz_planned, plan_routes, repeat_of
from .saved import SavedCase
from .screen import Screen
from .settings import FuzzSettings

__all__ = ["FuzzCommand", "replay_saved"]


class FuzzCommand:
    """Fuzzes an app's routes one after the other, and keeps what there is to tell.

    ::

        report = FuzzCommand({"seed": 1}, save_to=".tornado-wstest").run("chat:make_app", Screen())

    :arg overrides: settings that win over those of ``pyproject.toml``
    :arg written: returns the command as it is to be typed, with other settings than it has
    :arg save_to: the folder of the cases that are found
    """

    def __init__(self, overrides: Mapping[str, Any], written: Callable[..., str], *, save_to: str) -> None:
        self._overrides = overrides
        self._written = written
        self._folder = pathlib.Path(save_to)

    def run(self, target: str | None, screen: Screen) -> Report:
        """Fuzz, and return what was found; after Ctrl-C, what was found by then. Raises `UsageError`."""
        config = Config.load(".", app=target, enabled=True, **self._overrides)
        if config.app is None:
            raise UsageError(f'which app? {PROG} fuzz chat:make_app, or app = "chat:make_app" in pyproject.toml')
        self._target = load_target(config.app)
        planned = plan_routes(self._target, config)
        self._report = Report(config.app, self._written())
        self._screen = screen
        for _, route, settings in planned:
            try:
                self._fuzz_route(route, settings)
            except KeyboardInterrupt:
                self._report.interrupted = True
            if self._report.interrupted:
                break
        return self._report

    def _fuzz_route(self, route: Route, settings: FuzzSettings) -> None:
        if route.unreachable:
            self._report.left_out.append(route)
            self._screen.say(left_out_line(route))
            return
        events = fuzz_planned(self._target, route, settings, listen=self._listener(settings))
        with contextlib.closing(events), _serving():
            for event in events:
                self._take(event, settings)

    def _listener(self, settings: FuzzSettings) -> Callable[[Played], None]:
        def listen(event: Played) -> None:
            self._screen.played()
            if settings.verbose:
                self._screen.say(conversation(event))

        return listen

    def _take(self, event: Event, settings: FuzzSettings) -> None:
        report, screen = self._report, self._screen
        if isinstance(event, RouteStarted):
            report.routes.append(RouteReport(event, strict=settings.strict))
            screen.start(event.route.label, started_line(event))
        elif isinstance(event, Finding):
            repeat = self._repeat(event, settings)
            report.routes[-1].findings.append((event, repeat))
            screen.say(f"\n{finding_block(event, repeat)}\n")
        elif isinstance(event, RouteFinished):
            report.routes[-1].finished = event
            report.interrupted = event.interrupted
            screen.end(finished_line(event))

    def _repeat(self, finding: Finding, settings: FuzzSettings) -> Repeat:
        return repeat_of(
            finding,
            settings,
            command=self._written(seed=str(finding.seed), include=finding.route.label),
            name=self._report.target,
            target=self._target,
            folder=self._folder,
        )


@contextlib.contextmanager
def _serving() -> Iterator[None]:
    """Say it in a line where the app cannot be served."""
    try:
        yield
    except BrokenPipeError:  # that is where the lines go to
        raise
    except OSError as error:
        raise UsageError(f"the app cannot be served: {error.strerror or error}") from error


def replay_saved(file: str, overrides: Mapping[str, Any]) -> tuple[str, bool]:
    """Play a saved case three times, and return what there is to say, and whether it failed. Raises `UsageError`."""
    saved = SavedCase.load(file)
    target = load_target(saved.target)
    routes = find_routes(target)
    route = _route_of(saved, routes)
    settings = _settings_of(saved, overrides, route, routes)
    with _serving():
        played = replay(target, route, settings, saved.case, saved.seed)
    failed = [finding for finding in played if finding is not None]
    if not failed:
        lines = [f"FIXED: {saved.check} does not show any more: {one_line(saved.title)}"]
        if saved.left_out:
            lines.append(f"not in the file: {', '.join(saved.left_out)}; where it is not given, this says nothing")
        return "\n".join(lines), False
    lines = [finding_block(failed[-1]), ""]
    if len(failed) < len(played):
        lines.append(f"FLAKY: it showed in {len(failed)} of {plural(len(played), 'replay')}")
        return "\n".join(lines), settings.strict
    other = "" if failed[-1].problem.code == saved.check else f", where {saved.check} was before"
    lines.append(f"FAILED: {failed[-1].problem.code}{other}: {one_line(failed[-1].problem.title)}")
    return "\n".join(lines), True


def _route_of(saved: SavedCase, routes: Sequence[Route]) -> Route:
    for route in routes:
        if (route.pattern, route.host) == (saved.route, saved.host):
            return route
    known = ", ".join(dict.fromkeys(route.label for route in routes))
    raise UsageError(f"{saved.target} has no route {saved.route} any more; it has {known}")


def _settings_of(saved: SavedCase, overrides: Mapping[str, Any], route: Route, routes: Sequence[Route]) -> FuzzSettings:
    """Return the settings of a replay: those of pyproject.toml, over them the file's, over them the command's."""
    given = {**saved.settings}
    for name, value in overrides.items():
        given[name] = {**given.get(name, {}), **value} if isinstance(value, dict) else value
    config = Config.load(".", **{"include": [], "exclude": [], **given, "enabled": True})
    settings = dict((id(one), found) for one, found in config.plan(routes)).get(id(route), config.settings)
    checks = [name for name in settings.checks if name != f"-{saved.check}"]
    return dataclasses.replace(settings, checks=(*checks, f"+{saved.check}"))
