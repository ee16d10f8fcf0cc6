"""Fuzzing as a test case: for unittest, ``python -m tornado.testing``, and pytest."""

import contextlib
import inspect
import os
import sys
import unittest
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..text import show
from .config import Config
from .paste import paste
from .report import Repeat, conversation
from .routes import Route
from .running import FuzzFailed, FuzzWarning, failure_of, fuzz_planned, is_async, plan_routes, split
from .settings import FuzzSettings

if TYPE_CHECKING:
    from .engine import Finding, Played

    _Base = unittest.TestCase
else:
    _Base = object

__all__ = ["WebSocketFuzzMixin"]

__unittest = True


class WebSocketFuzzMixin(_Base):
    """A test case with one test, ``test_fuzz``: it fuzzes every websocket route of the app, each in a sub-test.

    ::

        class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
            fuzz_settings = {"examples": 50, "exclude": ["/ws/internal/*"]}

            def get_app(self):
                return make_app()

    A sub-test fails with what was found: what is wrong, the smallest conversation that shows it, the seed, and a
    test to paste. An exception of the app's own is its cause. A route that could not be fuzzed as it should (no
    connection was ever accepted) and a finding that shows in some replays only are told as warnings, or fail with
    ``strict``.

    The settings are those of ``[tool.tornado-wstest]`` in the ``pyproject.toml`` nearest to the test's file, with
    `fuzz_settings` over them. Needs Hypothesis: ``pip install 'tornado-wstest[fuzz]'``. It finds nothing that
    needs two clients at once, unless the check ``isolation`` is asked for.
    """

    fuzz_settings: Mapping[str, Any] = {}
    """Settings by name; ``routes`` is a list of dicts as ``[[tool.tornado-wstest.routes]]`` are."""

    def get_app(self) -> Any:
        """Return a fresh `Application` each time it is called. To be overridden; may be async."""
        inherited = getattr(super(), "get_app", None)
        if inherited is not None:
            return inherited()
        raise UsageError(f"{type(self).__name__} has no get_app(): define it to return the Application to fuzz")

    def test_fuzz(self) -> None:
        """No websocket route shows a bug, whatever a client sends."""
        __tracebackhide__ = True
        config = self._fuzz_config()
        if not config.settings.enabled:
            self.skipTest("fuzzing is not enabled")
        for name, route, settings in plan_routes(self.get_app, config):
            with self.subTest(route=name):
                if route.unreachable:
                    self.skipTest(f"no request comes here: {route.unreachable}")
                self._fuzz_one(name, route, settings)

    def _fuzz_config(self) -> Config:
        if not isinstance(self.fuzz_settings, Mapping):
            raise UsageError(f"fuzz_settings is a dict of settings, not {show(self.fuzz_settings)}")
        try:
            return Config.load(_folder_of(type(self)), **self.fuzz_settings)
        except UsageError as error:
            error.add_note(f"(these are the settings of {type(self).__name__})")
            raise

    def _fuzz_one(self, name: str, route: Route, settings: FuzzSettings) -> None:
        __tracebackhide__ = True
        listen = _print if settings.verbose else None
        findings, doubts, finished = split(fuzz_planned(self.get_app, route, settings, listen=listen), settings)
        for finding in findings:
            with self.subTest(route=name, check=finding.problem.code):
                # Raised from its cause here, so that each runner shows it.
                failure = failure_of(finding, self._fuzz_repeat(finding, settings))
                raise failure from failure.__cause__
        if finished.interrupted:
            raise KeyboardInterrupt
        for doubt in doubts:
            if settings.strict:
                with self.subTest(route=name):
                    raise FuzzFailed(f"{name}: {doubt}")
            else:
                warnings.warn(f"{name}: {doubt}", FuzzWarning, stacklevel=2)

    def _fuzz_repeat(self, finding: "Finding", settings: FuzzSettings) -> Repeat:
        owner = type(self)
        name = f"{owner.__module__}:{owner.__qualname__}"
        kind = "async test case" if is_async(owner.get_app) else "test case"
        test = paste(finding.seen, finding.problem, target=name, app=kind, route=finding.route, settings=settings)
        # What is defined in a function, or in the program itself, cannot be imported.
        is_importable = "<" not in owner.__qualname__ and owner.__module__ != "__main__"
        return Repeat(
            command=f'fuzz_settings = {{"seed": {finding.seed}}} in {owner.__name__}',
            replay="",
            test=test if is_importable else "",
        )


def _print(played: "Played") -> None:
    print(conversation(played), file=sys.stderr)


def _folder_of(owner: type) -> str:
    """Return where the class was written, or the current folder if that is no file."""
    with contextlib.suppress(TypeError, OSError):
        return os.path.dirname(os.path.abspath(inspect.getfile(owner)))
    return os.getcwd()
