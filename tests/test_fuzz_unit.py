"""Fuzzing as a test case."""

import importlib.util
import logging
import pathlib
import re
import sys
import tempfile
import textwrap
import unittest
import warnings

from tornado import testing
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.forked import run_module
from tornado_wstest import UsageError, WebSocketFuzzMixin
from tornado_wstest.fuzzing.running import FuzzFailed, FuzzWarning

from .running import run_test

ROOT = pathlib.Path(__file__).parent.parent
QUICK = {"examples": 12, "seed": 1, "database": None}
MODULE = """
    import unittest
    from tornado.web import Application
    from tornado.websocket import WebSocketHandler
    from tornado_wstest import WebSocketFuzzMixin

    class Bad(WebSocketHandler):
        def on_message(self, message):
            self.write_message(["none"][1])

    class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
        fuzz_settings = {"examples": 8, "seed": 1, "database": None}

        def get_app(self):
            return Application([("/bad", Bad)])
"""


class Echo(WebSocketHandler):
    """A healthy one."""

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class Raising(WebSocketHandler):
    """Has a bug."""

    def on_message(self, message):
        raise LookupError("no such room")


class Closing(WebSocketHandler):
    """Has another."""

    def on_message(self, message):
        self.close(4999 if message else 1002)


class Refusing(WebSocketHandler):
    """Lets nobody in."""

    def prepare(self):
        self.send_error(403)


def fuzz(app_or_routes, *bases, **settings):
    """Run a fuzz test over some routes, and return its `Outcome`."""

    class FuzzTest(WebSocketFuzzMixin, *(bases or (unittest.TestCase,))):
        fuzz_settings = {**QUICK, **settings}

        def get_app(self):
            return Application(app_or_routes)

    return run_test(FuzzTest, "test_fuzz")


class MixinTest(unittest.TestCase):
    """What a user inherits."""

    def test_healthy_routes_pass(self):
        """Where nothing is found, the test passes."""
        outcome = fuzz([("/a", Echo), ("/b", Echo)])
        self.assertEqual((outcome.text, outcome.was_successful), ("", True))

    def test_finding_fails_its_sub_test(self):
        """A finding fails a sub-test of its route, and tells all there is to know."""
        outcome = fuzz([("/good", Echo), ("/bad", Raising)])
        (text,) = outcome.failures
        self.assertEqual(outcome.errors, [])
        for part in (
            "server-error: Raising raised LookupError: no such room at test_fuzz_unit.py:",
            "    route       /bad\n",
            "    expected    no handler raises\n",
            "    message     1 of 1: ''\n",
            "  client --> connect /bad\n",
            '    to see it again\n        fuzz_settings = {"seed": 1} in FuzzTest\n',
        ):
            self.assertIn(part, text)
        self.assertEqual(text.count("Traceback"), 1)

    def test_finding_that_is_no_exception(self):
        """What is no exception is told as a failure of its own."""
        (text,) = fuzz([("/b", Closing)]).failures
        self.assertIn("FuzzFailed: close-code: the server closed with 1002", text)
        self.assertNotIn("direct cause", text)

    def test_name_of_a_sub_test(self):
        """A sub-test is named by its route and the check."""

        class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
            fuzz_settings = QUICK

            def get_app(self):
                return Application([("/bad", Raising)])

        result = unittest.TestResult()
        FuzzTest("test_fuzz").run(result)
        ((sub_test, _),) = result.failures
        self.assertTrue(str(sub_test).endswith(" (route='/bad', check='server-error')"), sub_test)

    def test_exception_of_the_app_is_the_cause(self):
        """The app's traceback stands above, and none of the mixin's own lines."""
        (text,) = fuzz([("/bad", Raising)]).failures
        self.assertIn('raise LookupError("no such room")', text)
        self.assertIn("direct cause of", text)
        self.assertNotIn("unit.py", text.replace("test_fuzz_unit.py", ""))

    def test_every_route_is_told(self):
        """One route's findings do not hide another's."""
        outcome = fuzz([("/a", Raising), ("/b", Closing)], allowed_close_codes=["4999", "1009"])
        self.assertEqual(len(outcome.failures), 2)
        self.assertIn("close-code: the server closed with 1002", outcome.failures[1])

    def test_tornado_logs_nothing(self):
        """The exceptions that fuzzing causes are no lines of a log, and logging is as before afterwards."""
        with self.assertNoLogs():
            fuzz([("/bad", Raising)])
        with self.assertLogs("tornado.application"):
            importlib.import_module("logging").getLogger("tornado.application").error("seen")

    def test_settings_of_tables(self):
        """A route's own settings are a dict with its pattern."""
        outcome = fuzz([("/bad", Raising), ("/good", Echo)], routes=[{"pattern": "/bad", "skip": True}])
        self.assertTrue(outcome.was_successful)

    def test_not_enabled(self):
        """A test that is not enabled is skipped."""
        self.assertEqual(fuzz([("/bad", Raising)], enabled=False).skipped, ["fuzzing is not enabled"])

    def test_unreachable_route_is_skipped(self):
        """A route that no request reaches is skipped, with what stands before it."""
        (reason,) = fuzz([("/a.*", Echo), ("/ab", Raising)]).skipped
        self.assertIn("no request comes here: shadowed by '/a.*', Echo", reason)

    def test_warning(self):
        """A route that lets nobody in is a warning, and a failure if strict."""
        with self.assertWarnsRegex(FuzzWarning, r"^/a: no connection was ever accepted: 403"):
            self.assertTrue(fuzz([("/a", Refusing)]).was_successful)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (text,) = fuzz([("/a", Refusing)], strict=True).failures
        self.assertIn(f"{FuzzFailed.__name__}: /a: no connection was ever accepted: 403", text)

    def test_app_without_websocket_routes(self):
        """An app without any is an error, not a test that passes."""
        (text,) = fuzz([("/page", RequestHandler)]).errors
        self.assertIn("UsageError: the app has no websocket route, only 1 HTTP route: /page", text)

    def test_nothing_left_to_fuzz(self):
        """Patterns that leave no route are an error, too."""
        (text,) = fuzz([("/a", Echo)], exclude=["/*"]).errors
        self.assertIn("include, exclude and skip leave no route to fuzz; the websocket routes are: /a", text)

    def test_bad_settings(self):
        """A setting that cannot be is an error with its name, and that of the class."""
        (text,) = fuzz([("/a", Echo)], examples=0).errors
        self.assertIn("UsageError: examples is a whole number from 1, not 0", text)
        self.assertIn("(these are the settings of FuzzTest)", text)

    def test_without_get_app(self):
        """Without get_app the test says what to define."""

        class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
            pass

        with self.assertRaisesRegex(UsageError, "FuzzTest has no get_app"):
            FuzzTest("test_fuzz").get_app()

    def test_over_a_test_case_of_tornados(self):
        """Over AsyncHTTPTestCase it works as well, and the test case cleans up as ever."""
        self.assertIn("no such room", fuzz([("/bad", Raising)], testing.AsyncHTTPTestCase).text)
        self.assertTrue(fuzz([("/a", Echo)], testing.AsyncHTTPTestCase).was_successful)

    def test_app_that_is_made_by_an_async_function(self):
        """get_app may be async."""

        class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
            fuzz_settings = QUICK

            async def get_app(self):
                return Application([("/bad", Raising)])

        self.assertEqual(len(run_test(FuzzTest, "test_fuzz").failures), 1)

    def test_keyboard_interrupt(self):
        """Ctrl-C ends the run, with what was found until then."""

        class Interrupting(WebSocketHandler):
            def open(self):
                raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            fuzz([("/a", Interrupting)])
        # Tornado raises it once more, and the server has been stopped all the same.
        self.assertNotIn("filter", vars(logging.getLogger("tornado.application")))


class RunnersTest(unittest.TestCase):
    """The runners that people have, and the settings in ``pyproject.toml``."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "test_fuzz.py").write_text(textwrap.dedent(MODULE), "utf-8")

    def run_with(self, *arguments):
        """Run a Python module on the test, and return its exit status and what it said."""
        done = run_module(*arguments, folder=self.folder, PATH="", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        return done.returncode, done.stdout + done.stderr

    def test_runners(self):
        """unittest, Tornado's runner and pytest all fail, with the finding."""
        for arguments in (
            ("unittest", "test_fuzz"),
            ("tornado.testing", "test_fuzz"),
            ("pytest", "-q", "-p", "no:cacheprovider", "test_fuzz.py"),
        ):
            with self.subTest(runner=arguments[0]):
                status, text = self.run_with(*arguments)
                self.assertEqual(status, 1, text)
                self.assertIn("server-error: Bad raised IndexError: list index out of range at test_fuzz.py:9", text)
                self.assertIn('fuzz_settings = {"seed": 1} in FuzzTest', text)

    def test_test_to_paste(self):
        """The test that a finding ends in runs beside the test case, and fails; also where get_app is async."""
        for get_app in ("def get_app", "async def get_app"):
            (self.folder / "test_fuzz.py").write_text(textwrap.dedent(MODULE).replace("def get_app", get_app), "utf-8")
            _, text = self.run_with("unittest", "test_fuzz")
            (test,) = re.findall(r'(?ms)^"""Found.*await client.close\(\)$', text)
            (self.folder / "test_found.py").write_text(test, "utf-8")
            status, text = self.run_with("unittest", "test_found")
            with self.subTest(get_app=get_app):
                self.assertEqual(status, 1, text)
                self.assertRegex(text, r"IndexError: list index out of range")
                self.assertRegex(text, r"Ran 1 test ")

    def test_pyproject(self):
        """The settings of the file beside the test apply, wherever the runner stands."""
        (self.folder / "pyproject.toml").write_text("[tool.tornado-wstest]\nenabled = false\n", "utf-8")
        spec = importlib.util.spec_from_file_location("fuzz_of_a_project", self.folder / "test_fuzz.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["fuzz_of_a_project"] = module
        self.addCleanup(sys.modules.pop, "fuzz_of_a_project")
        spec.loader.exec_module(module)
        self.assertEqual(run_test(module.FuzzTest, "test_fuzz").skipped, ["fuzzing is not enabled"])
