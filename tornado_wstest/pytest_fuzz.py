"""``pytest --ws-fuzz``: one item a websocket route, for `tornado_wstest.pytest_plugin`."""

import inspect
import pathlib
import shlex
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .errors import UsageError
from .fuzzing.config import Config
from .fuzzing.report import Repeat, cause_text, conversation, finding_block
from .fuzzing.routes import Route
from .fuzzing.running import FuzzWarning, fuzz_planned, plan_routes, repeat_of, split
from .fuzzing.settings import FuzzSettings, Option, options
from .fuzzing.target import Target, load_target
from .transcript import is_secret

if TYPE_CHECKING:
    # What says which extra is missing is imported first.
    from .fuzzing.engine import Finding, Played

__all__ = ["FuzzCollector", "FuzzItem", "FuzzReport", "collect", "header", "prepare"]

_NAME = "ws-fuzz"


class _Run:
    """What a run fuzzes, found out before anything is collected."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = Config.load(config.invocation_params.dir, **_overrides(config))
        if self.config.app is None:
            raise pytest.UsageError(
                "--ws-fuzz needs an app: --ws-app module:name, or app in [tool.tornado-wstest] of pyproject.toml"
            )
        self.target = load_target(self.config.app)
        self.planned = plan_routes(self.target, self.config)


_RUN = pytest.StashKey[_Run]()


def prepare(config: pytest.Config) -> None:
    """Find the app and its routes. Raises `UsageError` for whatever is wrong with them."""
    _take_ids(config)
    config.stash[_RUN] = _Run(config)


def header(config: pytest.Config) -> Iterator[str]:
    """Yield the app, and each setting that is not as by default."""
    found = config.stash[_RUN].config
    yield str(found.app)
    yield from (f"{name}={_shown(name, value)}" for name, value in found.changed().items())


def _shown(name: str, value: Any) -> str:
    """Show a setting, but no secret."""
    if isinstance(value, dict):
        return "/".join(value)
    if name == "auth":
        return str(value).partition(":")[0]
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def collect(session: pytest.Session) -> list[pytest.Item]:
    """Return an item for each route that is to be fuzzed."""
    config = session.config
    collector = FuzzCollector.from_parent(session, name=_NAME, nodeid=_NAME, path=config.rootpath / _NAME)
    report = config.hook.pytest_make_collect_report(collector=collector)
    config.hook.pytest_collectreport(report=report)
    return list(report.result)


def _take_ids(config: pytest.Config) -> None:
    """Take ``ws-fuzz::...`` from the arguments, which pytest would look for as files."""
    ids = [arg for arg in config.args if arg.partition("::")[0] == _NAME]
    if ids:
        config.args[:] = [arg for arg in config.args if arg not in ids]
        # As an option it reaches the workers of pytest-xdist, too.
        config.option.ws_ids = ids


def _overrides(config: pytest.Config) -> dict[str, Any]:
    """Return what the command line says. ``--ws-fuzz`` says that fuzzing is enabled."""
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
    words = ["--ws-fuzz", nodeid]
    words += [f"--ws-app={config.getoption('ws_app')}"] if config.getoption("ws_app") is not None else []
    for option in options():
        flag, given = option.flag("--ws-"), config.getoption(f"ws_{option.name}", None)
        if option.name == "seed" or given is None:
            continue
        if option.type is bool:
            words.append(flag if given else flag.replace("--", "--no-", 1))
        else:
            words += [f"{flag}={_masked(option, text)}" for text in given]
    return f"pytest {shlex.join([*words, f'--ws-seed={seed}'])}"


def _masked(option: Option, text: str) -> str:
    name, equals, _ = text.partition("=")
    if option.type is dict and is_secret(name):
        return f"{name}{equals}***"
    kind, _, secret = text.rpartition(":")
    return f"{kind}:***" if option.name == "auth" and not secret.startswith("$") else text


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

    def __init__(self, *, target: Target, route: Route, settings: FuzzSettings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.route = route
        self.settings = settings

    def runtest(self) -> None:
        """Fuzz the route, and raise what was found."""
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

    def _repeat(self, finding: "Finding") -> Repeat:
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
        if isinstance(excinfo.value, UsageError):
            return "\n".join(filter(None, [cause_text(excinfo.value), str(excinfo.value)]))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return where the item stands in reports."""
        return self.path, None, self.name

    def _print(self, played: "Played") -> None:
        capture = self.config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            print(conversation(played))
            return
        with capture.global_and_fixture_disabled():
            print(conversation(played))
