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
from tornado import testing

from tornado_wstest import WebSocketTestMixin


class WebSocketBaseTestCase(WebSocketTestMixin, testing.AsyncHTTPTestCase):
    """What stands in the place of Tornado's base class of that name.

    Some of its tests open connections by themselves, and leave them to a list of the base class.
    """

    def setUp(self):
        super().setUp()
        self.conns_to_close = []

    def tearDown(self):
        for connection in self.conns_to_close:
            connection.close()
        super().tearDown()


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


# Both unittest and pytest look for test cases among a module's names.
for name, value in list(vars(suite).items()):
    if isinstance(value, type) and issubclass(value, WebSocketBaseTestCase):
        globals().setdefault(name, value)
    if isinstance(value, type) and issubclass(value, WebSocketBaseTestCase) and value.__module__ == suite.__name__:
        # The connections that the tests open with ws_connect() are over memory here. What they open themselves is
        # over TCP, to the same server: with websocket_connect() (test_websocket_callbacks,
        # test_websocket_network_fail and others) because it is Tornado's own, with a socket (test_http_request,
        # test_missing_websocket_key and others, by fetch()) because it is the base's.
        over_memory = type(f"{name}OverMemory", (value,), {"ws_transport": "memory", "__module__": __name__})
        globals()[over_memory.__name__] = over_memory


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
