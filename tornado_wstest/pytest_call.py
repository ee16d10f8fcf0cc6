"""What happens around the call of a test that has a fixture of `tornado_wstest.pytest_plugin`.

The fixtures are made before any loop runs. What they give starts the server when it is first needed, in the loop that
runs then: of the test, or of an async fixture before it. The call of the test is wrapped, so that the server is
closed, and what its handlers raised is told, in that loop and as a matter of the test itself.
"""

import asyncio
import functools
import inspect
import pathlib
import re
import sys
import traceback
import types
import zlib
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import pytest
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.websocket import WebSocketClientConnection

from .client import WebSocketTestClient
from .errors import UsageError
from .group import ClientGroup
from .opening import Opening
from .request import build_request
from .server import check_app
from .shown import begin_cause_at_the_app
from .tester import WebSocketTester
from .text import nearest, show, show_error
from .transcript import Transcript

__all__ = [
    "TESTER_SETTINGS",
    "FixtureTester",
    "Marks",
    "app_of",
    "around",
    "explain",
    "page_name",
    "sections",
    "settings_of",
    "show_at_the_test",
]

T = TypeVar("T")
Marks = Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]

TESTER_SETTINGS = tuple(
    name
    for name, parameter in inspect.signature(WebSocketTester.__init__).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
)
_TITLE = "transcript of the websockets"
_OTHER_LOOP = (
    "the server runs in another event loop than this: a fixture has started it there\n"
    "give the fixture and the test one loop_scope"
)


class FixtureTester(WebSocketTester):
    """A tester that starts when it is needed, and makes its app then.

    :arg app: an `Application` (or any `HTTPServerConnectionDelegate`), or a function that makes one; may be async
    :arg settings: keyword arguments of `WebSocketTester`
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(_no_app_yet, **settings)
        self._source = app
        self._has_ended = False

    def __repr__(self) -> str:
        # pytest shows the arguments of a test that fails.
        return "<wstest>"

    async def start(self, *, adopt: tuple[Any, int] | None = None) -> None:
        """Serve the app, unless it is served already: a fixture may need it before the test does."""
        if self._is_running_here():
            return
        if self._has_ended:
            raise UsageError("this test is over: its server ended with its call")
        app = await app_of(self._source)
        build_request(self.path, self.options, {}, app=app)
        if not self._is_running_here():
            self.server.serve(app)
            await super().start(adopt=adopt)

    def _is_running_here(self) -> bool:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "Tornado runs on asyncio alone: define the fixture anyio_backend, to return 'asyncio'"
            ) from None
        if self._surroundings is not None and self._loop is not loop:
            raise UsageError(_OTHER_LOOP)
        return self._surroundings is not None

    async def close(self) -> None:
        """Close as any tester. What is over does not start again."""
        __tracebackhide__ = True
        self._has_ended = True
        await super().close()

    def close_late(self) -> None:
        """Close in a loop that stands still: the set-up has failed, and the test was never called."""
        if self._surroundings is not None and self._loop is not None and not self._loop.is_closed():
            self.fail_on_server_error = False
            self._loop.run_until_complete(self.close())

    def ws_connect(self, path: str | None = None, **options: Any) -> Coroutine[Any, Any, WebSocketClientConnection]:
        """As `connect`, and the server is started first if need be."""
        return self.connect(path, **options) if self._surroundings else self._started(self.connect, path, **options)

    def ws_client(self, path: str | None = None, **options: Any) -> Opening[WebSocketTestClient]:
        """As `client`, and the server is started first if need be."""
        if self._surroundings is not None:
            return self.client(path, **options)
        return Opening(self._started(self.client, path, **options))

    def ws_clients(self, users: Any, path: str | None = None, **options: Any) -> Opening[ClientGroup]:
        """As `clients`, and the server is started first if need be."""
        if self._surroundings is not None:
            return self.clients(users, path, **options)
        return Opening(self._started(self.clients, users, path, **options))

    async def _started(self, factory: Callable[..., Awaitable[T]], *args: Any, **options: Any) -> T:
        __tracebackhide__ = True
        await self.start()
        return await factory(*args, **options)

    def _alive(self) -> Any:
        if self._surroundings is None and not self._has_ended:
            raise UsageError(
                "the server is not up before the test is called: an async fixture that needs it sooner begins with"
                " await wstest.start()"
            )
        return super()._alive()


def _no_app_yet(request: Any) -> None:
    """Stand for the app until the server starts."""


async def app_of(source: Any) -> Any:
    """Return the app that ``ws_app`` is, or makes."""
    if inspect.isasyncgen(source) or inspect.iscoroutine(source):
        if inspect.iscoroutine(source):
            source.close()
        raise UsageError(
            f"ws_app is {show(source)}, which nobody awaited: make it a fixture of pytest_asyncio.fixture, or return"
            " an async function from it"
        )
    if isinstance(source, HTTPServerConnectionDelegate) or not callable(source):
        check_app(source, "the fixture ws_app")
        return source
    try:
        made = source()
        made = await made if inspect.isawaitable(made) else made
    except Exception as error:
        raise UsageError(f"what ws_app returned raised {show_error(error)}\nit should make an Application") from error
    check_app(made, f"{getattr(source, '__name__', 'ws_app')}()")
    return made


def around(
    test: Callable[..., Awaitable[Any]], tester: FixtureTester, frames: list[types.FrameType]
) -> Callable[..., Awaitable[Any]]:
    """Return an async test that ends when its server has ended, and fails for what its handlers raised.

    :arg frames: gets the frame of ``test``, for `show_at_the_test`
    """

    @functools.wraps(test)
    async def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        async with tester:
            running = test(*args, **kwargs)
            frames.append(getattr(running, "cr_frame", None) or sys._getframe())
            return await running

    return call


def explain(server: Any, error: BaseException) -> None:
    """Add to a failure what a tester or a live server knows; its cause begins in the app."""
    server.explain(error)
    begin_cause_at_the_app(error)


def show_at_the_test(error: BaseException, frames: list[types.FrameType]) -> None:
    """Have what was raised after the body shown at the line that the body ended with, and its cause in the app."""
    begin_cause_at_the_app(error)
    raised_in = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    for frame in frames[-1:]:
        if frame not in raised_in:
            error.__traceback__ = types.TracebackType(None, frame, frame.f_lasti, frame.f_lineno)


def settings_of(fixture: Any, marks: Marks, *valid: Collection[str]) -> dict[str, Any]:
    """Return the settings of a test: of ``ws_settings``, then of each marker, from the farthest to the nearest.

    Raises `UsageError` for what is none of the ``valid`` names.
    """
    if not isinstance(fixture, Mapping):
        raise UsageError(f"the fixture ws_settings returns a dict of WebSocketTester's keywords, not {show(fixture)}")
    found = dict(fixture)
    for args, kwargs in marks:
        if args:
            raise UsageError(f"pytest.mark.wstest takes keywords, such as virtual_time=True, not {show(args[0])}")
        found |= kwargs
    names = {name for some in valid for name in some}
    for name in found:
        if name not in names:
            raise UsageError(f"there is no setting {show(name)}: {nearest(str(name), names)}")
    return found


def page_name(nodeid: str) -> str:
    """Return the name of the file for a test's transcript: two tests never share one, on any system."""
    name = re.sub(r"[^\w.]+", "-", nodeid, flags=re.ASCII)[:120].strip("-.")
    is_plain = re.fullmatch(r"[A-Za-z0-9_./:]{1,120}", nodeid) is not None
    return f"{name}.html" if is_plain else f"{name}-{zlib.crc32(nodeid.encode('utf-8', 'replace')):08x}.html"


def sections(
    report: pytest.TestReport, transcripts: Iterable[Transcript], *, folder: str | None
) -> Iterator[tuple[str, str]]:
    """Yield what a failed test's report says: the transcripts that the failure does not show, and the pages.

    :arg folder: where to write pages, if anywhere
    """
    for number, transcript in enumerate(filter(None, transcripts)):
        text = transcript.render()
        if text.partition("\n")[0] not in report.longreprtext:
            yield _TITLE, text
        if folder is not None:
            page = pathlib.Path(folder, page_name(report.nodeid + "@live" * number))
            transcript.save(page, title=report.nodeid)
            yield _TITLE, str(page)
