"""pytest's side of the package: ``pytest --ws-fuzz --ws-app chat:make_app`` collects one item a websocket route.

Nothing of the package is imported before it is needed; without ``--ws-fuzz`` only the names of the options are.
"""

import argparse
import inspect
import pathlib
import shlex
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .fuzzing.engine import Finding, Played
    from .fuzzing.report import Repeat
    from .fuzzing.routes import Route
    from .fuzzing.settings import FuzzSettings, Option
    from .fuzzing.target import Target

__all__ = ["FuzzCollector", "FuzzItem", "FuzzReport"]

_NAME = "ws-fuzz"
_FOLDER = ".tornado-wstest"


# Options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--ws-fuzz``, ``--ws-app``, and an option for each setting."""
    from .fuzzing.settings import options

    group = parser.getgroup("tornado-wstest", "tornado-wstest: fuzz the websocket routes of a Tornado app")
    group.addoption("--ws-fuzz", action="store_true", default=False, help="collect one item a websocket route")
    group.addoption("--ws-app", metavar="MODULE:NAME", default=None, help="the app, or what makes one")
    group.addoption("--ws-save-to", metavar="FOLDER", default=_FOLDER, help=f"for the cases found (default: {_FOLDER})")
    for option in options():
        if option.name == "enabled":
            continue
        more: dict[str, Any] = {"action": "append", "metavar": _metavar(option.type)}
        if option.type is bool:
            more = {"action": argparse.BooleanOptionalAction}
        text = option.help.replace("``", "").replace("%", "%%")
        group.addoption(_flag(option), dest=f"ws_{option.name}", default=None, help=text, **more)


def _flag(option: "Option") -> str:
    return f"--ws-{option.name.replace('_', '-')}"


def _metavar(kind: Any) -> str:
    return {int: "N", float: "SECONDS", tuple: "A,B", dict: "NAME=VALUE", object: "MODULE:NAME"}.get(kind, "TEXT")


# The run


class _Run:
    """What a run fuzzes, found out before anything is collected."""

    def __init__(self, config: pytest.Config) -> None:
        from .fuzzing.config import Config
        from .fuzzing.running import plan_routes
        from .fuzzing.target import load_target

        self.config = Config.load(config.invocation_params.dir, **_overrides(config))
        if self.config.app is None:
            raise pytest.UsageError(
                "--ws-fuzz needs an app: --ws-app module:name, or app in [tool.tornado-wstest] of pyproject.toml"
            )
        self.target = load_target(self.config.app)
        self.planned = plan_routes(self.target, self.config)


_RUN = pytest.StashKey[_Run]()


def pytest_configure(config: pytest.Config) -> None:
    """Find the app and its routes, so that whatever is wrong with them is told at once."""
    if not config.getoption("ws_fuzz"):
        return
    from .errors import UsageError

    _take_ids(config)
    try:
        config.stash[_RUN] = _Run(config)
    except UsageError as error:
        from .fuzzing.running import cause_text

        text = cause_text(error)
        if text:
            print(text, file=sys.stderr)
        raise pytest.UsageError("; ".join(str(error).splitlines())) from error
    except ImportError as error:
        if "tornado-wstest[fuzz]" not in str(error):
            raise
        raise pytest.UsageError(str(error)) from error


def _take_ids(config: pytest.Config) -> None:
    """Take ``ws-fuzz::...`` from the arguments, which pytest would look for as files."""
    ids = [arg for arg in config.args if arg.partition("::")[0] == _NAME]
    if ids:
        config.args[:] = [arg for arg in config.args if arg not in ids]
        # As an option it reaches the workers of pytest-xdist, too.
        config.option.ws_ids = ids


def _overrides(config: pytest.Config) -> dict[str, Any]:
    """Return what the command line says. ``--ws-fuzz`` says that fuzzing is enabled."""
    from .fuzzing.settings import options

    found: dict[str, Any] = {"enabled": True}
    if config.getoption("ws_app") is not None:
        found["app"] = config.getoption("ws_app")
    for option in options():
        given = config.getoption(f"ws_{option.name}", None)
        if given is not None:
            found[option.name] = given if option.type is bool else option.parse(given)
    return found


def _command(config: pytest.Config, nodeid: str, seed: int) -> str:
    """Return what fuzzes one route as it was, with a seed. Secrets are not in it."""
    from .fuzzing.settings import options

    words = ["--ws-fuzz", nodeid]
    words += [f"--ws-app={config.getoption('ws_app')}"] if config.getoption("ws_app") is not None else []
    for option in options():
        flag, given = _flag(option), config.getoption(f"ws_{option.name}", None)
        if option.name == "seed" or given is None:
            continue
        if option.type is bool:
            words.append(flag if given else flag.replace("--", "--no-", 1))
        else:
            words += [f"{flag}={_masked(option, text)}" for text in given]
    return f"pytest {shlex.join([*words, f'--ws-seed={seed}'])}"


def _masked(option: "Option", text: str) -> str:
    from .transcript import is_secret

    name, equals, _ = text.partition("=")
    if option.type is dict and is_secret(name):
        return f"{name}{equals}***"
    kind, _, secret = text.rpartition(":")
    return f"{kind}:***" if option.name == "auth" and not secret.startswith("$") else text


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which settings are not as by default."""
    run = config.stash.get(_RUN, None)
    if run is None:
        return None
    changed = [f"{name}={_shown(name, value)}" for name, value in run.config.changed().items()]
    return ", ".join([f"tornado-wstest: {run.config.app}", *changed])


def _shown(name: str, value: Any) -> str:
    """Show a setting, but no secret."""
    if isinstance(value, dict):
        return "/".join(value)
    if name == "auth":
        return str(value).partition(":")[0]
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# The items


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add an item for each route behind what was collected, in time for ``-k`` and the like."""
    run = config.stash.get(_RUN, None)
    if run is not None:
        collector = FuzzCollector.from_parent(session, name=_NAME, nodeid=_NAME, path=config.rootpath / _NAME)
        report = config.hook.pytest_make_collect_report(collector=collector)
        config.hook.pytest_collectreport(report=report)
        items += report.result


class FuzzCollector(pytest.Collector):
    """The websocket routes of the app."""

    def collect(self) -> Iterator["FuzzItem"]:
        """Yield an item for each route that is to be fuzzed."""
        run = self.config.stash[_RUN]
        for name, route, settings in run.planned:
            if self._is_asked_for(f"{self.nodeid}::{name}"):
                yield FuzzItem.from_parent(self, name=name, target=run.target, route=route, settings=settings)

    def _is_asked_for(self, nodeid: str) -> bool:
        ids = getattr(self.config.option, "ws_ids", None)
        return ids is None or _NAME in ids or nodeid in ids


class FuzzReport(Exception):
    """What an item fails with: a text that is complete."""


class FuzzItem(pytest.Item):
    """One route."""

    def __init__(self, *, target: "Target", route: "Route", settings: "FuzzSettings", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.route = route
        self.settings = settings

    def runtest(self) -> None:
        """Fuzz the route, and raise what was found."""
        from .fuzzing.report import finding_block
        from .fuzzing.running import FuzzWarning, fuzz_planned, split

        if self.route.unreachable:
            pytest.skip(f"no request comes here: {self.route.unreachable}")
        listen = self._print if self.settings.verbose else None
        findings, doubts, finished = split(
            fuzz_planned(self.target, self.route, self.settings, listen=listen), self.settings
        )
        texts = [finding_block(finding, self._repeat(finding)) for finding in findings]
        texts += doubts if texts or self.settings.strict else []
        if finished.interrupted:
            # Ends the run as Ctrl-C does, and shows what was found so far.
            self.session.shouldstop = f"Ctrl-C while {self.name} was fuzzed"
        if texts:
            raise FuzzReport("\n\n".join(texts))
        if finished.interrupted:
            raise KeyboardInterrupt
        for doubt in doubts:
            self._warn(FuzzWarning(f"{self.name}: {doubt}"))

    def _repeat(self, finding: "Finding") -> "Repeat":
        from .fuzzing.running import repeat_of

        name = self.config.stash[_RUN].config.app
        assert name is not None
        return repeat_of(
            finding,
            self.settings,
            command=_command(self.config, self.nodeid, finding.seed),
            name=name,
            target=self.target,
            folder=pathlib.Path(self.config.invocation_params.dir, self.config.getoption("ws_save_to")),
        )

    def _warn(self, warning: Warning) -> None:
        """Warn of the handler, where it is written."""
        try:
            file, line = inspect.getfile(self.route.handler), inspect.getsourcelines(self.route.handler)[1]
        except (TypeError, OSError):
            file, line = str(self.path), 1
        warnings.warn_explicit(warning, category=None, filename=file, lineno=line)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what was found as it is, without the lines of this plugin."""
        if isinstance(excinfo.value, (FuzzReport, UserWarning)):
            return str(excinfo.value)
        from .errors import UsageError

        if isinstance(excinfo.value, UsageError):
            from .fuzzing.running import cause_text

            return "\n".join(filter(None, [cause_text(excinfo.value), str(excinfo.value)]))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the item stands in reports."""
        return self.path, None, self.name

    def _print(self, played: "Played") -> None:
        from .fuzzing.report import conversation

        capture = self.config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            print(conversation(played))
            return
        with capture.global_and_fixture_disabled():
            print(conversation(played))
