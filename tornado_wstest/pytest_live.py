"""The live server of a test, for `tornado_wstest.pytest_plugin`: it ends with the test's call, and can fail it.

Where the call has failed, the server goes on until the test's fixtures have ended: a browser's fixture that keeps a
screenshot then still shows the page as it was.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .errors import UsageError
from .live import LiveServer
from .pytest_call import TESTER_SETTINGS, Marks, app_of, explain, settings_of
from .shown import show_at_the_end
from .text import show

__all__ = ["LIVE_SETTINGS", "FixtureLiveServer", "live_settings_of"]

LIVE_SETTINGS = tuple(
    name
    for name, parameter in inspect.signature(LiveServer.__init__).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
)


class FixtureLiveServer(LiveServer):
    """A live server that ends with the call of its test.

    :arg app: what ``ws_app`` is: an `Application` or a function that makes one; may be async
    :arg settings: keyword arguments of `LiveServer`
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        super().__init__(functools.partial(app_of, app), **settings)
        self._failure: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """The test has failed (or was skipped): explain it. What handlers raise from now on is no news."""
        self._failure = error
        if self._tester is not None and isinstance(error, (Exception, pytest.fail.Exception)):
            explain(self, error)

    def end(self, test: Callable[..., Any]) -> None:
        """The test has passed, unless a handler raised, now or when the server stops."""
        __tracebackhide__ = True
        if self._tester is None:
            return
        try:
            self.check()
            self.stop()
        except BaseException as error:
            self.fail(error)
            show_at_the_end(error, test)
            raise

    def stop(self) -> None:
        """Stop the server, unless it has stopped."""
        __tracebackhide__ = True
        if self._thread is not None:
            self.__exit__(type(self._failure) if self._failure is not None else None, self._failure, None)


def live_settings_of(fixture: Any, marks: Marks, *, others: bool) -> Mapping[str, Any]:
    """Return the settings of a live server, from ``ws_settings`` and the markers.

    :arg others: does the test have a `WebSocketTester`, too, which takes those that no live server has?
    """
    found = settings_of(fixture, marks, LIVE_SETTINGS, TESTER_SETTINGS)
    strangers = [name for name in TESTER_SETTINGS if name in found and name not in LIVE_SETTINGS]
    if strangers and not others:
        raise UsageError(
            f"ws_live_server has no setting {show(strangers[0])}: it takes {', '.join(LIVE_SETTINGS)}\n"
            "leave it to the tests with wstest, ws_client, ...: a ws_settings of its own serves a module or a class"
        )
    return {name: value for name, value in found.items() if name in LIVE_SETTINGS}
