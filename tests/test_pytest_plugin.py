"""``pytest --ws-fuzz``, on small projects of its own."""

import ast
import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import unittest

from tests.forked import run_module
from tornado_wstest.fuzzing.settings import options

ROOT = pathlib.Path(__file__).parent.parent
PLUGIN = "tornado_wstest.pytest_plugin"

CHAT = """
    import tornado.web
    from tornado.websocket import WebSocketHandler

    class Chat(WebSocketHandler):
        def on_message(self, message):
            self.write_message(message, binary=isinstance(message, bytes))

    class Bad(WebSocketHandler):
        def on_message(self, message):
            raise LookupError("no such room")

    class Refusing(WebSocketHandler):
        def prepare(self):
            self.send_error(403)

    def make_app():
        return tornado.web.Application([("/chat/(?P<room>[^/]+)", Chat), ("/bad", Bad), ("/bad", Bad), ("/news", Chat)])

    def make_shut():
        return tornado.web.Application([("/shut", Refusing)])

    def make_page():
        return tornado.web.Application([("/page", tornado.web.RequestHandler)])
"""
TEST = """
    def test_other():
        pass
"""


class PluginTest(unittest.TestCase):
    """Runs pytest on a project."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.write("chat.py", CHAT)

    def write(self, name, text):
        """Write a file of the project."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), "utf-8")

    def pytest(self, *arguments, plugins=(PLUGIN,), cache=False, **more):
        """Run pytest in the project, with this plugin and no other of a distribution; return its exit status."""
        given = [f"-p{plugin}" for plugin in (*plugins, *([] if cache else ["no:cacheprovider"]))]
        return self.python("pytest", *given, *arguments, **more)

    def python(self, *arguments, path=(), fresh=False, **env):
        """Run a module of Python's in the project; return its exit status.

        :arg fresh: does it matter what Python has loaded?
        """
        env = {
            # With CI set, pytest tells the whole failure once more in its last lines.
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI"))},
            "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT)]),
            # Where the package is installed, its entry point would register the plugin a second time.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "COLUMNS": "160",
            **env,
        }
        if fresh:
            command = [sys.executable, "-W", "error", "-m", *arguments]
            done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        else:
            done = run_module(*arguments, folder=self.folder, **env)
        self.text = done.stdout + done.stderr
        return done.returncode

    def fuzz(self, *arguments, **more):
        """Run ``pytest --ws-fuzz`` on the chat, shortly."""
        quick = ("--ws-app=chat:make_app", "--ws-examples=6", "--ws-seed=1", "--ws-database=")
        return self.pytest("--ws-fuzz", *quick, *arguments, **more)

    def assert_told(self, *parts):
        """Pytest has said these."""
        for part in parts:
            self.assertIn(part, self.text)

    def collected(self, *arguments):
        """Return the ids of what is collected."""
        self.assertEqual(self.fuzz("--collect-only", "-q", *arguments), 0, self.text)
        return [line for line in self.text.splitlines() if "::" in line]


IDS = ["ws-fuzz::/chat/{room}", "ws-fuzz::/bad", "ws-fuzz::/bad#2", "ws-fuzz::/news"]


class CollectTest(PluginTest):
    """What is collected."""

    def test_one_item_a_route(self):
        """Each route is an item, also where there is no test file."""
        self.assertEqual(self.collected(), IDS)

    def test_beside_other_tests(self):
        """The items come behind the tests of the project, and are counted."""
        self.write("test_it.py", TEST)
        self.assertEqual(self.collected(), ["test_it.py::test_other", *IDS])
        self.assert_told("5 tests collected")

    def test_without_ws_fuzz(self):
        """Without --ws-fuzz its options are harmless, and nothing is collected or said of it."""
        self.write("test_it.py", TEST)
        self.assertEqual(self.pytest("--ws-app=no:such", "--ws-examples=many", "-v"), 0, self.text)
        self.assert_told("1 passed")
        self.assertNotIn("tornado-wstest", self.text)

    def test_without_ws_fuzz_nothing_is_loaded(self):
        """Without --ws-fuzz the list of settings is loaded, and nothing else of the fuzzer, and no Hypothesis."""
        self.write(
            "test_it.py",
            """
            import sys
            def test_loaded():
                loaded = {name for name in sys.modules if name.startswith(("tornado_wstest.fuzzing", "hypothesis"))}
                assert loaded == {"tornado_wstest.fuzzing", "tornado_wstest.fuzzing.settings"}
            """,
        )
        self.assertEqual(self.pytest(fresh=True), 0, self.text)

    def test_plugin_imports_pytest_alone(self):
        """As it is loaded, the plugin imports pytest and the standard library."""
        tree = ast.parse((ROOT / "tornado_wstest" / "pytest_plugin.py").read_text("utf-8"))
        names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        self.assertEqual({name.partition(".")[0] for name in names} - sys.stdlib_module_names, {"pytest"})

    def test_every_option(self):
        """Each setting is an option, with its help."""
        self.assertEqual(self.pytest("--help"), 0, self.text)
        flags = [f"--ws-{option.name.replace('_', '-')}" for option in options() if option.name != "enabled"]
        self.assertEqual([flag for flag in flags if not re.search(rf"(?m)^  {flag}\b", self.text)], [])

    def test_k(self):
        """-k selects items by their route, and counts the others as deselected."""
        self.assertEqual(self.collected("-k", "room"), ["ws-fuzz::/chat/{room}"])
        self.assert_told("1/4 tests collected (3 deselected)")

    def test_id(self):
        """An item can be asked for by its id, as reports print it."""
        self.assertEqual(self.collected("ws-fuzz::/news"), ["ws-fuzz::/news"])
        self.write("test_it.py", TEST)
        self.assertEqual(self.collected("ws-fuzz", "test_it.py"), ["test_it.py::test_other", *IDS])

    def test_include_and_exclude(self):
        """Patterns choose routes."""
        self.assertEqual(self.collected("--ws-include=/chat/*", "--ws-include=/news"), [IDS[0], IDS[3]])
        self.assertEqual(self.collected("--ws-exclude=/bad"), [IDS[0], IDS[3]])

    def test_pyproject(self):
        """The app and its settings may come from pyproject.toml; --ws-fuzz says that fuzzing is enabled."""
        self.write(
            "pyproject.toml",
            """
            [tool.tornado-wstest]
            app = "chat:make_app"
            enabled = false
            [[tool.tornado-wstest.routes]]
            pattern = "/bad"
            skip = true
            """,
        )
        self.assertEqual(self.pytest("--ws-fuzz", "--collect-only", "-q"), 0, self.text)
        self.assert_told(IDS[0], IDS[3])
        self.assertNotIn("/bad", self.text)


class RunTest(PluginTest):
    """What is reported."""

    def test_passes(self):
        """Routes where nothing is found pass."""
        self.assertEqual(self.fuzz("-v", "-k", "news or room"), 0, self.text)
        self.assert_told("ws-fuzz::/chat/{room} PASSED", "ws-fuzz::/news PASSED", "2 passed, 2 deselected")

    def test_finding(self):
        """A finding fails its item with what was found, and no line of the plugin's own."""
        self.assertEqual(self.fuzz(), 1, self.text)
        self.assert_told(
            "server-error: Bad raised LookupError: no such room at chat.py:11 in on_message\n",
            "    message     1 of 1: ''\n",
            '    raise LookupError("no such room")\n',
            "  client --> connect /bad\n",
            "FAILED ws-fuzz::/bad - server-error: Bad raised LookupError",
            "1 failed, 2 passed, 1 skipped",
        )
        for part in ("pytest_plugin.py", "Captured log", "FuzzReport"):
            self.assertNotIn(part, self.text)

    def test_three_ways_to_repeat_a_finding(self):
        """The command that is shown finds it again, the saved case is replayed, and the test fails."""
        self.assertEqual(self.fuzz("--ws-headers=Token=s3cret", "--no-ws-strict"), 1, self.text)
        (command,) = re.findall(r"(?m)^ +pytest (.*)$", self.text)
        self.assertEqual(
            command,
            "--ws-fuzz ws-fuzz::/bad --ws-app=chat:make_app --ws-examples=6 '--ws-headers=Token=***' --ws-database="
            " --no-ws-strict --ws-seed=1",
        )
        (replay,) = re.findall(r"(?m)^ +python -m (tornado_wstest replay .tornado-wstest/.*\.json)$", self.text)
        (test,) = re.findall(r'(?ms)^""".*await client.close\(\)$', self.text)
        self.write("test_found.py", test)
        self.assertEqual(self.pytest(*shlex.split(command)), 1, self.text)
        self.assert_told("server-error: Bad raised LookupError: no such room")
        self.assertEqual(self.python(*shlex.split(replay)), 1, self.text)
        self.assert_told("FAILED: server-error")
        self.assertEqual(self.python("unittest", "test_found", TOKEN="s3cret"), 1, self.text)
        self.assert_told("LookupError: no such room")

    def test_save_to(self):
        """--ws-save-to says where cases are kept; where nothing can be written, the finding is told all the same."""
        self.fuzz("--ws-save-to=kept")
        self.assertEqual(len(list((self.folder / "kept").iterdir())), 1)
        self.write("file", "no folder")
        self.assertEqual(self.fuzz("--ws-save-to=file"), 1, self.text)
        self.assert_told("server-error: Bad raised LookupError")
        self.assertNotIn("replay", self.text)

    def test_last_failed(self):
        """--lf fuzzes again what has failed."""
        self.fuzz(cache=True)
        self.assertEqual(self.fuzz("--lf", "-v", cache=True), 1, self.text)
        self.assert_told("ws-fuzz::/bad FAILED", "1 failed, 3 deselected")

    def test_ctrl_c(self):
        """Ctrl-C ends the run, with what was found until then."""
        self.write(
            "chat.py",
            """
            import itertools, os, signal, tornado.web, tornado.websocket

            class Bad(tornado.websocket.WebSocketHandler):
                count = itertools.count()

                def on_message(self, message):
                    if next(self.count) == int(os.environ["WHEN"]):
                        os.kill(os.getpid(), signal.SIGINT)
                    raise LookupError("no such room")

            def make_app():
                return tornado.web.Application([("/bad", Bad), ("/other", Bad)])
            """,
        )
        self.assertEqual(self.fuzz(WHEN="5"), 2, self.text)
        self.assert_told(
            "server-error: Bad raised LookupError", "Interrupted: Ctrl-C while /bad was fuzzed", "1 failed"
        )
        self.assertEqual(self.fuzz("--ws-checks=close-code", WHEN="5"), 2, self.text)
        self.assert_told("KeyboardInterrupt", "no tests ran")

    def test_unreachable(self):
        """A route that no request reaches is skipped, with the reason."""
        self.assertEqual(self.fuzz("-rs", "ws-fuzz::/bad#2"), 0, self.text)
        self.assert_told("no request comes here: shadowed by '/bad'")

    def test_x(self):
        """-x stops after the first finding."""
        self.assertEqual(self.fuzz("-x"), 1, self.text)
        self.assert_told("1 failed, 1 passed", "stopping after 1 failures")

    def test_warning(self):
        """What could not be fuzzed as it should be is a warning; it fails where warnings are errors, or if strict."""
        shut = ("--ws-app=chat:make_shut", "-W", "default")
        self.assertEqual(self.fuzz(*shut), 0, self.text)
        self.assert_told("chat.py:13: FuzzWarning: /shut: no connection was ever accepted: 403", "1 passed, 1 warning")
        self.assertEqual(self.fuzz("--ws-app=chat:make_shut"), 1, self.text)
        self.assert_told("FAILED ws-fuzz::/shut - /shut: no connection was ever accepted: 403")
        self.assertEqual(self.fuzz(*shut, "--ws-strict"), 1, self.text)
        self.assert_told("FAILED ws-fuzz::/shut - no connection was ever accepted: 403")

    def test_verbose(self):
        """--ws-verbose prints each conversation, although output is captured."""
        self.assertEqual(self.fuzz("-k", "news", "--ws-verbose"), 0, self.text)
        self.assert_told("\n/news: ok\n", "  client --> connect /news\n")
        self.assertEqual(self.fuzz("-k", "news"), 0, self.text)
        self.assertNotIn("/news: ok", self.text)

    def test_header(self):
        """The settings that are not as by default are told first, without what is secret."""
        secrets = ("--ws-auth=bearer:s3cret", "--ws-cookies=user=s3cret", "--no-ws-virtual-time")
        self.fuzz("--collect-only", *secrets)
        self.assert_told(
            "tornado-wstest: chat:make_app, examples=6, seed=1, cookies=user, auth=bearer, virtual_time=False,"
            " database=None\n"
        )
        self.assertNotIn("s3cret", self.text)

    @unittest.skipUnless(importlib.util.find_spec("xdist"), "needs pytest-xdist")
    def test_xdist(self):
        """Workers agree on the items, and share them."""
        self.assertEqual(self.fuzz("-n2", "-v", plugins=(PLUGIN, "xdist.plugin")), 1, self.text)
        self.assert_told("1 failed, 2 passed, 1 skipped", "FAILED ws-fuzz::/bad - server-error: Bad raised")
        self.assertEqual(self.fuzz("-n2", "ws-fuzz::/news", plugins=(PLUGIN, "xdist.plugin")), 0, self.text)
        self.assert_told("1 passed")

    def test_entry_point(self):
        """Where the package is installed, pytest finds the plugin by itself."""
        entry = "[pytest11]\ntornado_wstest = tornado_wstest.pytest_plugin\n"
        self.assertIn('"pytest11": ["tornado_wstest = tornado_wstest.pytest_plugin"]', (ROOT / "setup.py").read_text())
        self.write(
            "site/wstest_probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: wstest-probe\nVersion: 1.0\n"
        )
        self.write("site/wstest_probe-1.0.dist-info/entry_points.txt", entry)
        command = {"plugins": (), "path": [self.folder / "site"], "fresh": True, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
        self.assertEqual(self.fuzz("--collect-only", "-q", **command), 0, self.text)
        self.assert_told(*IDS)


class MisuseTest(PluginTest):
    """Errors of usage end the run at once."""

    def assert_misuse(self, expected, *arguments, **more):
        """Pytest exits with 4 and one line."""
        status = self.pytest("--ws-fuzz", *arguments, **more)
        self.assertEqual(status, 4, self.text)
        self.assertEqual([line for line in self.text.splitlines() if line], [f"ERROR: {expected}"])

    def test_no_app(self):
        """Without an app it is said where to name one."""
        self.assert_misuse(
            "--ws-fuzz needs an app: --ws-app module:name, or app in [tool.tornado-wstest] of pyproject.toml"
        )

    def test_app_that_is_not_there(self):
        """A name that is not there comes with the nearest one."""
        self.assert_misuse("chat has no 'mak_app': did you mean 'make_app'?", "--ws-app=chat:mak_app")

    def test_app_without_websocket_routes(self):
        """An app without websocket routes is told, with what it has."""
        self.assert_misuse(
            "the app has no websocket route, only 1 HTTP route: /page;"
            " a websocket route leads to a subclass of tornado.websocket.WebSocketHandler",
            "--ws-app=chat:make_page",
        )

    def test_bad_value(self):
        """A value that cannot be is told with the setting."""
        self.assert_misuse(
            "examples is a whole number from 1, not 'many'", "--ws-app=chat:make_app", "--ws-examples=many"
        )

    def test_pattern_that_means_no_route(self):
        """A pattern that means nothing names the routes."""
        self.assert_misuse(
            "include: '/char/*' means no route; the websocket routes are: /chat/{room}, /bad, /news",
            "--ws-app=chat:make_app",
            "--ws-include=/char/*",
        )

    def test_bad_file(self):
        """A key of the file that does not exist is told with the file."""
        self.write("pyproject.toml", "[tool.tornado-wstest]\nexampels = 3\n")
        file = self.folder / "pyproject.toml"
        self.assert_misuse(f"{file}: [tool.tornado-wstest] there is no setting 'exampels': did you mean 'examples'?")

    def test_app_that_cannot_be_had(self):
        """A module that does not import, or a factory that raises, is told with its own traceback, and one line."""
        self.write("broken.py", "import no_such_thing\n")
        self.write("empty.py", "def make_app():\n    raise LookupError('no database')\n")
        for name, line, end in (
            ("broken", "import no_such_thing", "importing 'broken' raised ModuleNotFoundError: No module named"),
            ("empty", "raise LookupError('no database')", "make_app() raised LookupError: no database; it should"),
        ):
            self.assertEqual(self.pytest("--ws-fuzz", f"--ws-app={name}:make_app"), 4, self.text)
            first, _, last = self.text.rstrip().rpartition("\n")
            self.assertRegex(first, rf'(?s)^Traceback .*File "\S+{name}.py", line .*{re.escape(line)}')
            self.assertNotIn("tornado_wstest", first)
            self.assertIn(f"ERROR: {end}", last)

    def test_without_hypothesis(self):
        """Without Hypothesis the extra is named."""
        self.write("site/hypothesis.py", "raise ImportError('no Hypothesis here')")
        self.assert_misuse(
            "fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'",
            "--ws-app=chat:make_app",
            path=[self.folder / "site"],
            fresh=True,
        )
