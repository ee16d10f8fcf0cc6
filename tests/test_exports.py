"""The names that users rely on."""

import ast
import importlib
import pathlib
import pkgutil
import subprocess
import sys
import unittest

import tornado_wstest

NAMES = """
    WebSocketTestMixin WebSocketTestCase WebSocketHTTPTestCase IsolatedWebSocketTestCase LiveServerTestCase
    WebSocketTester WebSocketTestClient ClientGroup AppServer LiveServer connect play Scenario Network
    discard discard_until discard_all exchange sequence
    containing field as_json Codec faults explore
    Transcript Event
    WSTestFailure MessageTimeout UnexpectedMessage ConnectionClosed HandshakeFailed NotRejected BroadcastMismatch
    ScenarioFailed ServerError NotSettled NothingCanHappen UsageError
    WebSocketFuzzMixin WebSocketStateMachine register_message_strategy
"""

WITHOUT_HYPOTHESIS = """
import sys
sys.modules["hypothesis"] = None
import tornado_wstest
for name in tornado_wstest._LAZY:
    try:
        getattr(tornado_wstest, name)
    except ImportError as error:
        print(error)
"""

LOADED = """
import sys
before = set(sys.modules)
import tornado_wstest
print(*sorted(set(sys.modules) - before))
"""


def modules():
    """Return every module of the package."""
    found = pkgutil.walk_packages(tornado_wstest.__path__, "tornado_wstest.")
    return [tornado_wstest, *(importlib.import_module(module.name) for module in found)]


def loaded():
    """Return the modules that ``import tornado_wstest`` loads in a new interpreter."""
    command = [sys.executable, "-W", "error", "-c", LOADED]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


class ExportsTest(unittest.TestCase):
    """``__all__``, everywhere."""

    def test_all_in_every_module(self):
        """Every module has an __all__, without doubles, and everything in it exists."""
        for module in modules():
            with self.subTest(module=module.__name__):
                self.assertEqual(len(module.__all__), len(set(module.__all__)))
                self.assertEqual([name for name in module.__all__ if not hasattr(module, name)], [])

    def test_names_at_the_top(self):
        """The package exports these names and no other."""
        self.assertEqual(sorted(tornado_wstest.__all__), sorted(NAMES.split()))

    def test_names_at_the_top_are_their_modules(self):
        """What the package exports, the module that defines it exports, too."""
        for name in tornado_wstest.__all__:
            with self.subTest(name=name):
                module = sys.modules[getattr(tornado_wstest, name).__module__]
                self.assertIn(name, module.__all__)

    def test_names_at_the_top_are_documented(self):
        """Each of them says what it is for."""
        for name in tornado_wstest.__all__:
            self.assertTrue(getattr(tornado_wstest, name).__doc__, name)


class LazyTest(unittest.TestCase):
    """The names that need Hypothesis."""

    def test_dir_lists_every_name(self):
        """dir() has all that __all__ has, touched or not."""
        self.assertLessEqual({*tornado_wstest.__all__, "__version__"}, set(dir(tornado_wstest)))

    def test_name_that_is_not_there(self):
        """Another name is an AttributeError, as in any module."""
        with self.assertRaisesRegex(AttributeError, "module 'tornado_wstest' has no attribute 'WebSocketFuzz'"):
            tornado_wstest.WebSocketFuzz

    def test_without_hypothesis_the_extra_is_named(self):
        """The package is imported without Hypothesis; what needs it says how to get it."""
        command = [sys.executable, "-W", "error", "-c", WITHOUT_HYPOTHESIS]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        self.assertEqual(
            told.splitlines(),
            [
                "fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'",
                "WebSocketStateMachine needs Hypothesis: pip install 'tornado-wstest[fuzz]'",
                "fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'",
            ],
        )

    def test_type_checkers_see_the_same(self):
        """What is loaded when it is touched, a type checker is told to import from the same place."""
        tree = ast.parse(pathlib.Path(tornado_wstest.__file__).read_text("utf-8"))
        (block,) = (node for node in tree.body if isinstance(node, ast.If))
        told = {alias.name: node.module for node in block.body for alias in node.names}
        self.assertEqual(told, tornado_wstest._LAZY)


class ImportTest(unittest.TestCase):
    """What ``import tornado_wstest`` loads."""

    def test_import_loads_tornado_and_nothing_else(self):
        """Of what is not in the standard library, only Tornado is loaded (and colorama, which Tornado tries)."""
        tops = {name.partition(".")[0] for name in loaded()}
        self.assertEqual(tops - sys.stdlib_module_names - {"__mp_main__", "colorama"}, {"tornado", "tornado_wstest"})

    def test_import_loads_no_mocks(self):
        """unittest.mock takes its time, and is not needed."""
        self.assertNotIn("unittest.mock", loaded())
