"""pytest's side of the package: fixtures for ``async def`` tests, and one item a websocket route with ``--ws-fuzz``.

::

    @pytest.fixture
    def ws_app():
        return make_app

    async def test_echo(ws_client):
        client = await ws_client("/echo")
        await client.send("foo")
        await client.expect("foo")

Nothing of the package is imported before it is needed: for the options their names, for a fixture what it gives.
"""

import argparse
import contextlib
import inspect
import pathlib
import shlex
import sys
import unittest
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .fuzzing.engine import Finding, Played
    from .fuzzing.report import Repeat
    from .fuzzing.routes import Route
    from .fuzzing.settings import FuzzSettings, Option
    from .fuzzing.target import Target
    from .live import LiveServer
    from .pytest_call import FixtureTester, Marks
    from .pytest_live import FixtureLiveServer
    from .tester import WebSocketTester

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
    group.addoption(
        "--ws-report", metavar="FOLDER", default=None, help="write the transcript of each failed test here, as a page"
    )
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
    config.addinivalue_line("markers", "wstest(**settings): for one test, class or module, over those of ws_settings")
    if config.getoption("ws_report") is not None:
        _make_report_folder(config)
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


def _make_report_folder(config: pytest.Config) -> None:
    folder = pathlib.Path(config.invocation_params.dir, config.getoption("ws_report"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--ws-report: {folder} cannot be a folder: {error.strerror}") from error
    # The workers of pytest-xdist may stand elsewhere.
    config.option.ws_report = str(folder)


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
    """Say which settings are not as by default; nothing where all are."""
    told = []
    run = config.stash.get(_RUN, None)
    if run is not None:
        told += [
            str(run.config.app),
            *(f"{name}={_shown(name, value)}" for name, value in run.config.changed().items()),
        ]
    if config.getoption("ws_report") is not None:
        told.append(f"report={config.getoption('ws_report')}")
    return f"tornado-wstest: {', '.join(told)}" if told else None


def _shown(name: str, value: Any) -> str:
    """Show a setting, but no secret."""
    if isinstance(value, dict):
        return "/".join(value)
    if name == "auth":
        return str(value).partition(":")[0]
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# Fixtures. None asks for another by a name that projects have of their own.

_TESTER: "pytest.StashKey[FixtureTester]" = pytest.StashKey()
_LIVE: "pytest.StashKey[FixtureLiveServer]" = pytest.StashKey()
_FIXTURES = ("wstest", "ws_connect", "ws_client", "ws_clients")


@pytest.fixture
def ws_app(request: pytest.FixtureRequest) -> Any:
    """Yours to define: the app, or a function that makes one, which may be async. Without it: what --ws-app names."""
    name = request.config.getoption("ws_app")
    if name is None:
        pytest.fail(
            "there is no app: define the fixture ws_app, in conftest.py or the test's module, to return your"
            " Application or a function that makes one; or name one with --ws-app module:name",
            pytrace=False,
        )
    with _told():
        from .fuzzing.target import load_target

        return load_target(name)


@pytest.fixture
def ws_settings() -> dict[str, Any]:
    """Yours to define: a dict of keywords for `WebSocketTester`; ``@pytest.mark.wstest(**settings)`` goes over it."""
    return {}


@pytest.fixture
def _ws_checked(request: pytest.FixtureRequest) -> None:
    """Refuse a test that a tester cannot serve."""
    name = next((name for name in _FIXTURES if name in request.fixturenames), "wstest")
    _refuse(
        request.node,
        name,
        "WebSocketTestCase",
        "a tester in the body: async with WebSocketTester(make_app()) as wstest",
    )
    if not inspect.iscoroutinefunction(request.node.obj):
        reason = "it is no async function: write async def, or take ws_live_server"
        pytest.fail(f"{name} cannot serve {request.node.name}: {reason}", pytrace=False)


@pytest.fixture
def _ws_live_checked(request: pytest.FixtureRequest) -> None:
    """Refuse a test that a live server cannot serve."""
    _refuse(
        request.node, "ws_live_server", "LiveServerTestCase", "a server in the body: with LiveServer(make_app) as live"
    )


def _refuse(item: Any, name: str, base: str, block: str) -> None:
    reason = None
    if hasattr(item.obj, "hypothesis"):
        reason = f"@given plays many examples, and a fixture is made once for all of them\nopen {block}"
    elif item.cls is not None and issubclass(item.cls, unittest.TestCase):
        reason = f"it is a method of a unittest.TestCase: inherit tornado_wstest.{base} instead"
    if reason is not None:
        pytest.fail(f"{name} cannot serve {item.name}: {reason}", pytrace=False)


@pytest.fixture
def _ws_tester(
    request: pytest.FixtureRequest, _ws_checked: None, ws_app: Any, ws_settings: dict[str, Any]
) -> "FixtureTester":
    """Return the tester of the test, which nothing has started yet."""
    with _told():
        from .pytest_call import TESTER_SETTINGS, FixtureTester, settings_of

        valid = [TESTER_SETTINGS]
        if "ws_live_server" in request.fixturenames:
            from .pytest_live import LIVE_SETTINGS

            valid.append(LIVE_SETTINGS)
        found = settings_of(ws_settings, _marks(request.node), *valid)
        tester = FixtureTester(ws_app, **{name: found[name] for name in TESTER_SETTINGS if name in found})
    request.node.stash[_TESTER] = tester
    return tester


def _marks(item: Any) -> "Marks":
    return [(mark.args, mark.kwargs) for mark in item.iter_markers("wstest")][::-1]


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Fail for a wrong use with its text, and none of our lines."""
    from .errors import UsageError
    from .fuzzing.report import cause_text

    try:
        yield
    except UsageError as error:
        text = "\n".join(filter(None, [cause_text(error), str(error)]))
        raise pytest.fail.Exception(text, pytrace=False) from None


@pytest.fixture
def wstest(_ws_tester: "FixtureTester") -> "WebSocketTester":
    """The served app, its clients, and what happened between them: see `WebSocketTester`."""
    return _ws_tester


@pytest.fixture
def ws_connect(_ws_tester: "FixtureTester") -> Callable[..., Any]:
    """Connect: ``connection = await ws_connect("/echo")`` is Tornado's own. See `WebSocketTester.connect`."""
    return _ws_tester.ws_connect


@pytest.fixture
def ws_client(_ws_tester: "FixtureTester") -> Callable[..., Any]:
    """Connect a client: ``client = await ws_client("/chat", name="ann")``. See `WebSocketTester.client`."""
    return _ws_tester.ws_client


@pytest.fixture
def ws_clients(_ws_tester: "FixtureTester") -> Callable[..., Any]:
    """Connect several clients: ``users = await ws_clients(["ann", "bob"])``. See `WebSocketTester.clients`."""
    return _ws_tester.ws_clients


@pytest.fixture
def ws_live_server(
    request: pytest.FixtureRequest, _ws_live_checked: None, ws_app: Any, ws_settings: dict[str, Any]
) -> Iterator["LiveServer"]:
    """The app in a thread of its own, for browsers and for clients that block: see `LiveServer`."""
    with _told():
        from .pytest_live import FixtureLiveServer, live_settings_of

        has_tester = "_ws_tester" in request.fixturenames
        settings = live_settings_of(ws_settings, _marks(request.node), others=has_tester)
        live = FixtureLiveServer(ws_app, **settings)
        live.__enter__()
    request.node.stash[_LIVE] = live
    yield live
    live.stop()


# A test that has a fixture


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Explain a failure of a fixture that has used ours."""
    __tracebackhide__ = True
    try:
        return (yield)
    except BaseException as error:
        if _TESTER in item.stash and isinstance(error, Exception):
            from .pytest_call import explain

            explain(item.stash[_TESTER], error)
        if _LIVE in item.stash:
            item.stash[_LIVE].fail(error)
        raise


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Have the test fail for what its servers raised, and its tester closed in its own loop."""
    __tracebackhide__ = True
    try:
        result = yield from _called(item)
    except BaseException as error:
        if _LIVE in item.stash:
            item.stash[_LIVE].fail(error)
        raise
    if _LIVE in item.stash and isinstance(item, pytest.Function):
        item.stash[_LIVE].end(item.obj)
    return result


def _called(item: pytest.Item) -> Generator[None, Any, Any]:
    """Wrap the test, before any plugin wraps it for running."""
    __tracebackhide__ = True
    tester = item.stash.get(_TESTER, None)
    if tester is None or not isinstance(item, pytest.Function):
        return (yield)
    from .pytest_call import around, show_at_the_test

    test, frames = item.obj, list[Any]()
    item.obj = around(test, tester, frames)
    try:
        return (yield)
    except Exception as error:
        show_at_the_test(error, frames)
        raise
    finally:
        item.obj = test


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """Say what is missing where no plugin has taken an async test."""
    if _TESTER not in pyfuncitem.stash or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return
    known = pyfuncitem.config.option
    advice = "install one: pip install pytest-asyncio"
    if hasattr(known, "asyncio_mode"):
        advice = "mark it with @pytest.mark.asyncio, or set asyncio_mode = auto in pytest's settings"
    elif hasattr(known, "anyio_mode"):
        advice = "mark it with @pytest.mark.anyio, or set anyio_mode = auto in pytest's settings"
    pytest.fail(f"{pyfuncitem.name} is async, and no plugin runs it\n{advice}", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Close the server of a test whose set-up has failed, while its loop is there."""
    if _TESTER in item.stash:
        item.stash[_TESTER].close_late()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the page of a failed test, and show its transcript where the failure does not."""
    report = yield
    servers = [item.stash.get(_TESTER, None), item.stash.get(_LIVE, None)] if report.failed else []
    transcripts = [server.transcript for server in servers if server is not None]
    if any(transcripts):
        from .pytest_call import sections

        report.sections += sections(report, transcripts, folder=item.config.getoption("ws_report"))
    return report


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
