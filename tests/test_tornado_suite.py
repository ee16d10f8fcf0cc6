"""Tornado's own websocket tests, unchanged, on our base class.

`tornado.test.websocket_test` comes with Tornado. Its tests know nothing of us: they use ``ws_connect``,
``close``, ``ExpectLog`` and handlers that crash on purpose. Here its module is loaded anew with one name
replaced, the base class of its test cases.
"""

import importlib.util
import sys
import types
import unittest

import tornado.test.websocket_test as original
from tornado.testing import AsyncHTTPTestCase

from tornado_wstest import WebSocketTestMixin


class WebSocketBaseTestCase(WebSocketTestMixin, AsyncHTTPTestCase):
    """What stands in the place of Tornado's base class of that name."""


def load_suite() -> types.ModuleType:
    """Load a copy of Tornado's test module in which the base class is ours."""
    with open(original.__file__, encoding="utf-8") as file:
        source = file.read()
    declaration = "class WebSocketBaseTestCase(AsyncHTTPTestCase):"
    assert source.count(declaration) == 1
    # The original class stays, under another name: nothing else in the file changes, not even a line number.
    source = source.replace(declaration, "class _ReplacedBaseTestCase(AsyncHTTPTestCase):")
    spec = importlib.util.spec_from_loader("tests.tornado_websocket_test", loader=None)
    module = importlib.util.module_from_spec(spec)
    module.__file__ = original.__file__
    module.WebSocketBaseTestCase = WebSocketBaseTestCase
    sys.modules[spec.name] = module
    exec(compile(source, original.__file__, "exec"), vars(module))
    return module


suite = load_suite()


def load_tests(loader, standard_tests, pattern):
    """Add the copied suite's tests: unittest's hook."""
    standard_tests.addTests(loader.loadTestsFromModule(suite))
    return standard_tests


# For pytest, which does not know load_tests.
for name, value in list(vars(suite).items()):
    if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == suite.__name__:
        globals().setdefault(name, value)


class CopiedSuiteTest(unittest.TestCase):
    """The copy is what it should be."""

    def test_most_tests_of_the_copy_run_on_our_base(self):
        """At least thirty tests of Tornado's own are test cases of ours here."""
        ours = [
            (cls.__name__, method)
            for cls in vars(suite).values()
            if isinstance(cls, type) and issubclass(cls, WebSocketBaseTestCase)
            for method in dir(cls)
            if method.startswith("test_")
        ]
        self.assertGreater(len(ours), 30)
