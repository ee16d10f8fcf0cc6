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
import sys
import unittest
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .live import LiveServer
    from .pytest_call import FixtureTester, Marks
    from .pytest_live import FixtureLiveServer
    from .tester import WebSocketTester

__all__: list[str] = []

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
        group.addoption(option.flag("--ws-"), dest=f"ws_{option.name}", default=None, help=text, **more)


def _metavar(kind: Any) -> str:
    return {int: "N", float: "SECONDS", tuple: "A,B", dict: "NAME=VALUE", object: "MODULE:NAME"}.get(kind, "TEXT")


# The run


def pytest_configure(config: pytest.Config) -> None:
    """Find the app and its routes, so that whatever is wrong with them is told at once."""
    config.addinivalue_line("markers", "wstest(**settings): for one test, class or module, over those of ws_settings")
    if config.getoption("ws_report") is not None:
        _make_report_folder(config)
    if config.getoption("ws_fuzz"):
        _prepare_fuzzing(config)


def _prepare_fuzzing(config: pytest.Config) -> None:
    from .errors import UsageError

    try:
        from .pytest_fuzz import prepare

        prepare(config)
    except UsageError as error:
        from .fuzzing.report import cause_text

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


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which settings are not as by default; nothing where all are."""
    told: list[str] = []
    if config.getoption("ws_fuzz"):
        from .pytest_fuzz import header

        told += header(config)
    if config.getoption("ws_report") is not None:
        told.append(f"report={config.getoption('ws_report')}")
    return f"tornado-wstest: {', '.join(told)}" if told else None


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


# The routes


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add an item for each route behind what was collected, in time for ``-k`` and the like."""
    if config.getoption("ws_fuzz"):
        from .pytest_fuzz import collect

        items += collect(session)
