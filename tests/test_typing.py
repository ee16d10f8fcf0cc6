"""What type checkers are shown: a user's file with every public name. (They read it in ``.ci/run``.)"""

import ast
import importlib
import pathlib
import sys
import tomllib
import unittest

import tornado_wstest
from tornado_wstest.fuzzing.registry import unregister_message_strategy

ROOT = pathlib.Path(__file__).parent.parent


class TypedUserTest(unittest.TestCase):
    """``tests/typed_user.py``."""

    @classmethod
    def setUpClass(cls):
        cls.module = importlib.import_module("tests.typed_user")
        # What it has registered is not for the tests of other modules.
        cls.addClassCleanup(sys.modules.pop, "tests.typed_user")
        cls.addClassCleanup(unregister_message_strategy, "/typed_user")

    def test_it_uses_every_public_name(self):
        """Each name of ``tornado_wstest.__all__`` is imported there, and used below the import."""
        tree = ast.parse(pathlib.Path(self.module.__file__).read_text("utf-8"))
        imported = {
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == "tornado_wstest"
            for alias in node.names
        }
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self.assertEqual(set(tornado_wstest.__all__) - (imported & used), set())

    def test_it_passes(self):
        """It is a test module like any other: what the checkers accept also works."""
        suite = unittest.defaultTestLoader.loadTestsFromModule(self.module)
        result = unittest.TestResult()
        suite.run(result)
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual(result.testsRun, 18)

    def test_checkers_are_told_of_it(self):
        """The settings of mypy and of pyright name it, and are strict."""
        tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
        self.assertIn("tests/typed_user.py", tools["mypy"]["files"])
        self.assertIs(tools["mypy"]["strict"], True)
        self.assertEqual(tools["pyright"]["include"], ["tests/typed_user.py"])
        self.assertEqual(tools["pyright"]["typeCheckingMode"], "strict")
