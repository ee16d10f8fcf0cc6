"""The commands, from a command line to what is printed and the exit code."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import sys
import tempfile
import textwrap
import unittest
import unittest.mock

from tornado_wstest.cli import main
from tornado_wstest.fuzzing.screen import LiveScreen, Screen, say, screen
from tornado_wstest.fuzzing.settings import options

from .fuzz_texts import TextTestCase

NEEDS_RICH = unittest.skipIf(importlib.util.find_spec("rich") is None, "rich is not installed")
ROOT = pathlib.Path(__file__).parent.parent

SHOP = '''
import logging
import os
import sys
import warnings

from tornado.ioloop import IOLoop
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    """Has no bug."""

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class Broken(Echo):
    """Breaks at the very beginning, as long as nobody has mended it."""

    def open(self):
        if not os.path.exists("mended"):
            raise LookupError("no shop")


class Unsure(Echo):
    """Breaks every second time, of all that this process sees."""

    times = [0]

    def open(self):
        self.times[0] += 1
        if self.times[0] % 2:
            raise LookupError("not now")


class Mute(WebSocketHandler):
    """Never says anything."""

    def on_message(self, message):
        pass


class Token(Echo):
    """Lets in who has the token and names a shop."""

    def prepare(self):
        headers = self.request.headers
        if headers.get("Authorization") != "Bearer abc123" or headers.get("X-Shop") != "7":
            self.send_error(401)

    def open(self):
        raise LookupError("the token is right")


class Noisy(Echo):
    """Logs and warns."""

    def on_message(self, message):
        logging.getLogger("shop").error("a message came")
        warnings.warn("a message came")
        super().on_message(message)


class Leaving(Echo):
    """Ends the whole process, and says that all is well."""

    def on_message(self, message):
        sys.exit(0)


class LeavingLater(Echo):
    """Does so in a timer."""

    def on_message(self, message):
        IOLoop.current().call_later(1, sys.exit, 0)


class Interrupting(Echo):
    """Somebody presses Ctrl-C when it is visited."""

    def open(self):
        import signal
        signal.raise_signal(signal.SIGINT)


def app_of(*routes):
    return lambda: Application([(f"/{handler.__name__.lower()}", handler) for handler in routes])


echo, broken, unsure, mute, token, noisy = map(app_of, (Echo, Broken, Unsure, Mute, Token, Noisy))
both = app_of(Echo, Broken)
leaving, leaving_later = app_of(Leaving), app_of(LeavingLater)
interrupting = app_of(Broken, Interrupting, Echo)
hidden = lambda: Application([("/.*", Echo), ("/echo", Echo)])
none = lambda: Application([])


async def later():
    return broken()


def raising():
    raise RuntimeError("no database")
'''

WORDS = """
from hypothesis import strategies as st

messages = st.text()


async def greeting(client):
    pass
"""

TOKEN_TABLE = """
[tool.tornado-wstest]
exclude = ["/token"]

[[tool.tornado-wstest.routes]]
pattern = "/token"
auth = "bearer:abc123"
"""

QUICK = ("--examples", "4", "--seed", "1", "--database", "")


class CommandTestCase(TextTestCase, unittest.TestCase):
    """Has a folder with an app in ``shop.py``, which is the current one."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        (self.folder / "shop.py").write_text(SHOP)
        self.enterContext(contextlib.chdir(self.folder))
        self.enterContext(unittest.mock.patch.object(sys, "path", list(sys.path)))
        self.enterContext(unittest.mock.patch.dict(sys.modules))

    def run_it(self, *arguments):
        """Carry out a command; return its exit code, what it printed, and what it complained of."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        return code, out.getvalue(), err.getvalue()

    def fuzz(self, target, *arguments):
        """Fuzz quickly, and return the exit code and what was printed."""
        code, out, err = self.run_it("fuzz", f"shop:{target}", *QUICK, *arguments)
        self.assertEqual(err, "")
        return code, out

    def assert_complains(self, pattern, *arguments):
        """The command cannot be carried out: one line that says why, code 2, and nothing else."""
        code, out, err = self.run_it(*arguments)
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, rf"^python -m tornado_wstest: error: .*{pattern}.*\n$")
        self.assertEqual(err.count("\n"), 1)

    def write(self, name, text):
        """Write a file."""
        (self.folder / name).write_text(textwrap.dedent(text))


class RoutesTest(CommandTestCase):
    """``routes``."""

    def test_routes(self):
        """A table."""
        code, out, _ = self.run_it("routes", "shop:both")
        self.assertEqual(code, 0)
        self.assert_text(out)

    def test_routes_json(self):
        """For programs."""
        code, out, _ = self.run_it("routes", "shop:hidden", "--json")
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out)[1]["unreachable"], "shadowed by '/.*', Echo")
        self.assert_text(out, ".json")


class FuzzTest(CommandTestCase):
    """``fuzz``."""

    def test_run_with_a_finding(self):
        """The whole text of a run: progress, the finding, three ways to repeat it, the summary."""
        code, out = self.fuzz("both")
        self.assertEqual(code, 1)
        out = re.sub(r"\d+ (conversation|message)s?( sent)?", r"<n> \1s\2", out)
        self.assert_text(re.sub(r"^(/\S+)( +[\d.]+)+$", r"\1 <numbers>", out, flags=re.MULTILINE))

    def test_nothing_found(self):
        """An app that is right: code 0."""
        code, out = self.fuzz("echo")
        self.assertEqual(code, 0)
        self.assertEqual(out.splitlines()[-1], "nothing found in 1 route")
        self.assertFalse((self.folder / ".tornado-wstest").exists())

    def test_async_factory(self):
        """The target may be one, and so is that of the test to paste."""
        code, out = self.fuzz("later")
        self.assertEqual(code, 1)
        self.assertIn("    async def get_app(self):\n        return await later()\n", out)

    def test_warning(self):
        """A route that never answers is told, and fails a strict run only."""
        for arguments, expected in (((), 0), (("--strict",), 1)):
            with self.subTest(arguments):
                code, out = self.fuzz("mute", *arguments)
                self.assertEqual(code, expected)
                self.assertIn("\nwarning: /mute: the server never sent anything", out)

    def test_flaky(self):
        """So does a finding that does not show each time."""
        for arguments, expected in (((), 0), (("--strict",), 1)):
            with self.subTest(arguments):
                code, out = self.fuzz("unsure", *arguments)
                self.assertEqual(code, expected)
                self.assertIn("(flaky: it did not show in each of three replays)", out)
                self.assertIn("nothing found, 1 flaky one in 1 route", out)

    def test_route_that_is_never_reached(self):
        """It is left out, and that is said."""
        code, out = self.fuzz("hidden")
        self.assertEqual(code, 0)
        reason = "/echo: left out, as no request reaches it: shadowed by '/.*', Echo\n"
        self.assertEqual((out.count(f"\n{reason}"), out.count(f"\nwarning: {reason}")), (1, 1))

    def test_verbose(self):
        """Each conversation is printed."""
        _, quiet = self.fuzz("echo")
        _, out = self.fuzz("echo", "--verbose")
        self.assertNotIn("transcript", quiet)
        played = int(re.search(r"(\d+) conversations", out)[1])
        self.assertEqual(out.count("\n/echo: ok\n  transcript"), played)

    def test_app_that_logs(self):
        """What the app logs and warns of is not on the screen."""
        code, out = self.fuzz("noisy")
        self.assertEqual(code, 0)
        self.assertNotIn("a message came", out)

    def test_settings_of_the_file(self):
        """``pyproject.toml`` names the app and its settings, and the command line wins."""
        self.write("pyproject.toml", '[tool.tornado-wstest]\napp = "shop:both"\nseed = 5\nexclude = ["/broken"]\n')
        code, out, _ = self.run_it("fuzz", "--examples", "3", "--database", "")
        self.assertEqual(code, 0)
        self.assertIn("/echo (Echo): started, seed 5\n", out)
        self.assertNotIn("/broken", out)
        _, out, _ = self.run_it("fuzz", "--examples", "3", "--database", "", "--seed", "6")
        self.assertIn("started, seed 6\n", out)

    def test_messages_of_the_user(self):
        """``--messages`` are sent."""
        self.write("words.py", "from hypothesis import strategies as st\nmessages = st.just('open sesame')\n")
        _, out = self.fuzz("echo", "--messages", "words:messages", "--verbose", "--examples", "20")
        self.assertIn("'open sesame'", out)

    def test_reports(self):
        """Each kind of file, of one run."""
        code, _ = self.fuzz("broken", "--report", "out.html", "--report=out.json", "--report", "out.xml")
        self.assertEqual(code, 1)
        value = json.loads((self.folder / "out.json").read_text())
        self.assertEqual(value["routes"][0]["findings"][0]["check"], "server-error")
        self.assertIn("<failure ", (self.folder / "out.xml").read_text())
        self.assertIn("<article>", (self.folder / "out.html").read_text())

    def test_folder_for_cases_that_cannot_be_written(self):
        """The finding is told all the same."""
        code, out = self.fuzz("broken", "--save-to", "shop.py")
        self.assertEqual(code, 1)
        self.assertIn("\n        # the case cannot be saved to shop.py/broken", out)
        self.assertIn("LookupError: no shop", out)
        self.assertNotIn(" replay ", out)


class EveryOptionTest(CommandTestCase):
    """One option a setting."""

    VALUES = {
        "seed": "5",
        "test_close_codes": "1001",
        "allowed_close_codes": "1000,3000-4999",
        "include": "/echo",
        "exclude": "/ech[^o]",
        "checks": "-leak",
        "headers": "X-Shop=7",
        "cookies": "colour=blue",
        "signed_cookies": "user=ann",
        "auth": "bearer:$HOME",
        "origin": "http://a.example",
        "subprotocols": "v1,v2",
        "handshake": "words:greeting",
        "messages": "words:messages",
        "transport": "tcp",
        "database": "found",
    }

    def test_every_option_reaches_the_engine(self):
        """What is said on the command line is what `fuzz_route` is given."""
        self.write(
            "words.py",
            "from hypothesis import strategies as st\nmessages = st.text()\n\nasync def greeting(client):\n    pass\n",
        )
        for option in options():
            if option.name in ("enabled", "exclude"):
                continue
            flag, value = f"--{option.name.replace('_', '-')}", self.VALUES.get(option.name, "7")
            given = [f"--no-{flag[2:]}" if option.default else flag] if option.type is bool else [flag, value]
            with self.subTest(given), unittest.mock.patch("tornado_wstest.fuzzing.running.fuzz_route") as engine:
                engine.return_value = iter(())
                code, _, err = self.run_it("fuzz", "shop:echo", *given)
                self.assertEqual((code, err), (0, ""))
                seen = getattr(engine.call_args.args[2], option.name)
                self.assertNotEqual(seen, option.default)
                self.assertNotEqual(seen, None)

    def test_exclude(self):
        """Routes that are left out are not played."""
        _, out = self.fuzz("both", "--exclude", "/bro*")
        self.assertNotIn("/broken", out)

    def test_help(self):
        """``--help`` names them all, with what they are for and their defaults."""
        _, out, _ = self.run_it("fuzz", "--help")
        for option in options():
            if option.name != "enabled":
                self.assertIn(f"--{option.name.replace('_', '-')}", out)
        self.assertIn("messages a conversation has at most (default: 10)", " ".join(out.split()))
        self.assertIn("(default: 1000,1001)", " ".join(out.split()))


class RepeatTest(CommandTestCase):
    """Three ways to see it again."""

    def way(self, out, word):
        """Return the arguments of one of the commands that a finding shows."""
        line = re.search(rf"^ +python -m tornado_wstest ({word} .*)$", out, re.MULTILINE)[1]
        return shlex.split(line)

    def test_seed(self):
        """The command with the seed and the route finds it again; it does not write the report anew."""
        files = ("--report", "out.json", "--save-to", "found")
        _, out, _ = self.run_it("fuzz", "shop:both", "--examples", "4", "--database", "", *files)
        again = self.way(out, "fuzz")
        self.assertNotIn("--report", again)
        self.assertEqual(again[again.index("--save-to") + 1], "found")
        self.assertEqual(again[again.index("--include") + 1], "/broken")
        code, out, _ = self.run_it(*again)
        self.assertEqual(code, 1)
        self.assertIn("LookupError: no shop", out)
        self.assertNotIn("/echo", out)

    def test_replay_failed(self):
        """The saved case fails as long as the bug is there."""
        _, out = self.fuzz("broken")
        code, out, _ = self.run_it(*self.way(out, "replay"))
        self.assertEqual(code, 1)
        self.assert_text(out)

    def test_replay_fixed(self):
        """It is fixed when the app is mended."""
        _, out = self.fuzz("broken")
        self.write("mended", "")
        code, out, _ = self.run_it(*self.way(out, "replay"))
        self.assertEqual(code, 0)
        self.assert_text(out)

    def test_replay_flaky(self):
        """It may show in some replays only, for which a strict run fails."""
        _, found = self.fuzz("unsure")
        for arguments, expected in (((), 0), (("--strict",), 1)):
            with self.subTest(arguments):
                code, out, _ = self.run_it(*self.way(found, "replay"), *arguments)
                self.assertEqual(code, expected)
                self.assertRegex(out.splitlines()[-1], r"^FLAKY: it showed in [12] of 3 replays$")

    def test_replay_of_another_finding(self):
        """If something else goes wrong now, that is told."""
        _, out = self.fuzz("broken")
        file = next((self.folder / ".tornado-wstest").iterdir())
        value = json.loads(file.read_text())
        file.write_text(json.dumps({**value, "check": "leak"}))
        code, out, _ = self.run_it("replay", str(file))
        self.assertEqual(code, 1)
        self.assertIn("FAILED: server-error, where leak was before: ", out)

    def test_replay_of_a_check_that_is_switched_off(self):
        """The check that found it is made, whatever the file says by now."""
        _, out = self.fuzz("broken")
        for checks in ('["-server-error"]', '["leak"]'):
            with self.subTest(checks):
                self.write("pyproject.toml", f"[tool.tornado-wstest]\nchecks = {checks}\n")
                _, answer, _ = self.run_it(*self.way(out, "replay"))
                self.assertIn("\nFAILED: server-error: ", answer)

    def test_secrets(self):
        """A secret is in no command and no file: a replay wants it again, and says so."""
        given = ("--headers", "X-Api-Key=def456", "--headers", "X-Shop=7", "--cookies", "a=b")
        code, out = self.fuzz("token", "--auth", "bearer:abc123", *given)
        self.assertEqual(code, 1)
        self.assertIn("--headers 'X-Api-Key=***' --headers X-Shop=7 --cookies a=b --auth 'bearer:***'", out)
        (file,) = (self.folder / ".tornado-wstest").iterdir()
        for text in (out.replace("Bearer abc123", ""), file.read_text()):
            self.assertNotIn("abc123", text)
            self.assertNotIn("def456", text)
        code, out, _ = self.run_it("replay", str(file))
        self.assertEqual(code, 0)
        self.assertIn("not in the file: headers: X-Api-Key, auth; where it is not given, this says nothing", out)
        code, _, _ = self.run_it("replay", str(file), "--auth", "bearer:abc123", "--headers", "X-Api-Key=def456")
        self.assertEqual(code, 1)
        self.write("pyproject.toml", TOKEN_TABLE)
        code, _, _ = self.run_it("replay", str(file))
        self.assertEqual(code, 1)

    def test_pasted_test(self):
        """The test runs as it is under unittest: red with the bug, green without it."""
        _, out = self.fuzz("broken")
        test = out[out.index('"""Found by fuzzing') : out.index("\n\n/broken: 1 finding")]
        self.write("test_found.py", test)
        command = [sys.executable, "-W", "error", "-m", "unittest", "test_found"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        red = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(red.returncode, 1, red.stderr)
        self.assertIn("LookupError: no shop", red.stderr)
        self.write("mended", "")
        green = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(green.returncode, 0, green.stderr)


class BadInputTest(CommandTestCase):
    """What cannot be carried out: one line, code 2."""

    def test_module_that_does_not_import(self):
        """Its own traceback, then one line."""
        self.write("bad.py", "import json\n\njson.loads('{')\n")
        code, out, err = self.run_it("fuzz", "bad:app")
        self.assertEqual((code, out), (2, ""))
        self.assert_text(err)

    def test_module_that_is_no_python(self):
        """A syntax error shows its line."""
        self.write("bad.py", "def make_app(:\n")
        code, _, err = self.run_it("routes", "bad:app")
        self.assertEqual(code, 2)
        self.assertIn("    def make_app(:\n", err)
        self.assertIn("importing 'bad' raised SyntaxError", err.splitlines()[-1])

    def test_module_that_misses_another(self):
        """It is told whose import it was."""
        self.write("bad.py", "import no_such_thing\n")
        _, _, err = self.run_it("routes", "bad:app")
        self.assertIn('bad.py", line 1', err)

    def test_factory_that_raises(self):
        """Its own traceback, then one line."""
        code, out, err = self.run_it("fuzz", "shop:raising")
        self.assertEqual((code, out), (2, ""))
        self.assert_text(err)

    def test_names(self):
        """A module or a name that is not there, and what names no app."""
        for target, pattern in (
            ("shopp:echo", "there is no module 'shopp' .*did you mean 'shop'"),
            ("shop:ecko", "shop has no 'ecko': did you mean 'echo'"),
            ("shop", "'shop' names no app: write module:name"),
            ("shop:QUICK", "shop has no 'QUICK'"),
        ):
            for command in ("routes", "fuzz"):
                with self.subTest(command, target=target):
                    self.assert_complains(pattern, command, target)

    def test_app_without_routes(self):
        """There is nothing to fuzz, and that is no success."""
        for command in ("routes", "fuzz"):
            with self.subTest(command):
                self.assert_complains("no websocket route", command, "shop:none")

    def test_no_app(self):
        """Nobody says which."""
        self.assert_complains("which app?", "fuzz")

    def test_options(self):
        """A wrong one, with what is valid."""
        for arguments, pattern in (
            (("--max-mesages", "5"), "'--max-mesages' is nothing that fuzz takes: did you mean '--max-messages'"),
            (("--max-messages", "many"), "max_messages is a whole number from 1 to 150, not 'many'"),
            (("--examples", "0"), "examples is a whole number from 1, not 0"),
            (("--transport", "udp"), "transport is 'memory' or 'tcp', not 'udp'"),
            (("--checks", "speed"), "there is no check 'speed': valid are: blocked-loop, "),
            (("--include", "/shops"), "'/shops' means no route; the websocket routes are: /echo"),
            (("--exclude", "/echo"), "leave no route to fuzz; the websocket routes are: /echo"),
            (("--headers", "X-Shop"), "headers is NAME=VALUE, not 'X-Shop'"),
            (("--auth", "bearer:$NO_SUCH_TOKEN"), r"auth wants \$NO_SUCH_TOKEN of the environment"),
            (("--handshake", "shop:no"), "handshake: shop has no 'no'"),
            (("--report", "out.pdf"), "a report ends in .html, .json, .xml"),
            (("--report", "no/out.html"), "there is no folder 'no'"),
            (("more",), "'more' is nothing that fuzz takes"),
        ):
            with self.subTest(arguments):
                self.assert_complains(pattern, "fuzz", "shop:echo", *arguments)

    def test_no_command(self):
        """The valid ones are named, with code 2."""
        code, _, err = self.run_it("fuss")
        self.assertEqual(code, 2)
        self.assertIn("invalid choice: 'fuss'", err)
        self.assertIn("replay", err)

    def test_settings_file(self):
        """A bad key is told with its file."""
        self.write("pyproject.toml", "[tool.tornado-wstest]\nexampels = 5\n")
        self.assert_complains("pyproject.toml: .*did you mean 'examples'", "fuzz", "shop:echo")

    def test_port_that_cannot_be_bound(self):
        """What the system says is told, in one line."""
        error = OSError(98, "Address already in use")
        with unittest.mock.patch("tornado_wstest.server.bind_unused_port", side_effect=error):
            code, _, err = self.run_it("fuzz", "shop:echo", "--transport", "tcp")
        self.assertEqual(code, 2)
        self.assertEqual(err, "python -m tornado_wstest: error: the app cannot be served: Address already in use\n")

    def test_saved_case(self):
        """One that is corrupt, one that is not there, and one of a route that has gone."""
        self.fuzz("broken")
        (file,) = (self.folder / ".tornado-wstest").iterdir()
        text = file.read_text()
        self.write("half.json", text[:99])
        self.write("gone.json", text.replace("/broken", "/gone"))
        self.assert_complains("half.json is no saved case: it is no JSON", "replay", "half.json")
        self.assert_complains("no.json cannot be read: No such file", "replay", "no.json")
        self.assert_complains("shop:broken has no route /gone any more; it has /broken", "replay", "gone.json")


class EndTest(CommandTestCase):
    """How a run may end otherwise."""

    def test_interrupted(self):
        """Ctrl-C in the middle: the findings so far, the files, code 130."""
        code, out = self.fuzz("interrupting", "--report", "out.json")
        self.assertEqual(code, 130)
        self.assertIn("LookupError: no shop", out)
        self.assertNotIn("/echo", out)
        self.assertEqual(out.splitlines()[-1], "interrupted: 1 finding in 2 routes")
        value = json.loads((self.folder / "out.json").read_text())
        self.assertTrue(value["interrupted"])
        self.assertEqual([route["finished"] for route in value["routes"]], [True, False])

    def test_interrupted_while_it_prints(self):
        """Wherever Ctrl-C comes, it ends the run and not the report."""
        with unittest.mock.patch("tornado_wstest.fuzzing.command.finding_block", side_effect=KeyboardInterrupt):
            code, out = self.fuzz("interrupting")
        self.assertEqual((code, out.splitlines()[-1]), (130, "interrupted: 1 finding in 1 route"))

    def test_interrupted_at_once(self):
        """Before anything was played there is nothing to tell."""
        with unittest.mock.patch("tornado_wstest.cli.find_routes", side_effect=KeyboardInterrupt):
            self.assertEqual(self.run_it("routes", "shop:echo"), (130, "", "interrupted\n"))

    def test_control_characters(self):
        """A complaint moves no cursor either."""
        self.assert_complains(r"\\x1b\[2J", "fuzz", "shop:echo", "--include", "\x1b[2J")

    def test_nobody_reads(self):
        """``| head`` ends it without a traceback; it is no success."""
        process = subprocess.run(
            f"{sys.executable} -m tornado_wstest fuzz shop:echo --verbose --examples 200; echo $? >&2",
            shell=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=closed_pipe(),
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        self.assertEqual(process.stderr, "2\n")


def closed_pipe():
    """Return the end of a pipe from which nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


class ProcessTest(CommandTestCase):
    """As a process."""

    def run_process(self, code, *arguments):
        """Run Python in the folder."""
        return subprocess.run(
            [sys.executable, "-W", "error", *code, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_module(self):
        """``python -m tornado_wstest`` prints plain lines into a pipe."""
        result = self.run_process(["-m", "tornado_wstest"], "fuzz", "shop:broken", *QUICK)
        self.assertEqual((result.returncode, result.stderr), (1, ""))
        self.assertTrue(result.stdout.startswith("/broken (Broken): started, seed 1\n"))
        self.assertNotIn("\x1b", result.stdout)

    def test_app_that_ends_the_process(self):
        """``sys.exit(0)`` in a handler is a finding; in a timer it ends the run, but not as a success."""
        result = self.run_process(["-m", "tornado_wstest"], "fuzz", "shop:leaving", *QUICK)
        self.assertEqual(result.returncode, 1)
        self.assertIn("server-error: Leaving raised SystemExit: 0", result.stdout)
        result = self.run_process(["-m", "tornado_wstest"], "fuzz", "shop:leaving_later", *QUICK)
        self.assertEqual(result.returncode, 2)
        self.assertIn(
            "python -m tornado_wstest: error: the app has ended the run, by sys.exit() or the like\n", result.stderr
        )

    def test_without_hypothesis(self):
        """``fuzz`` and ``replay`` say how to get it; ``routes`` needs none."""
        self.fuzz("broken")
        (file,) = (self.folder / ".tornado-wstest").iterdir()
        code = "import sys; sys.modules['hypothesis'] = None; from tornado_wstest.cli import main; sys.exit(main())"
        for arguments in (("fuzz", "shop:echo"), ("replay", str(file))):
            with self.subTest(arguments):
                result = self.run_process(["-c", code], *arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(
                    result.stderr,
                    "python -m tornado_wstest: error: fuzzing needs Hypothesis: pip install 'tornado-wstest[fuzz]'\n",
                )
        self.assertEqual(self.run_process(["-c", code], "routes", "shop:echo").returncode, 0)

    @NEEDS_RICH
    def test_terminal(self):
        """On a terminal, a line counts the conversations while they are played."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "tornado_wstest", "fuzz", "shop:both", *QUICK],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        printed = b""
        with contextlib.suppress(OSError):  # the other side has gone
            while select.select([ours], [], [], 60)[0]:
                printed += os.read(ours, 65536)
        os.close(ours)
        self.assertEqual(process.wait(), 1)
        self.assertRegex(printed.decode(), r"/echo: \d+ conversation")
        self.assertIn(b"1 finding in 2 routes\r\n", printed)


class ScreenTest(unittest.TestCase):
    """Where it is printed."""

    def live(self):
        """Return a live screen, and the file that it writes."""
        from rich.console import Console

        file = io.StringIO()
        console = Console(file=file, force_terminal=True, width=40, color_system="standard")
        return LiveScreen(console.status("")), file

    @NEEDS_RICH
    def test_text_stays_as_it_is(self):
        """rich neither breaks a line nor takes what stands in brackets for a style."""
        live, file = self.live()
        text = f"expected [bold]{'x' * 100} :smile: 12"
        live.say(text)
        self.assertEqual(file.getvalue(), f"{text}\n")

    @NEEDS_RICH
    def test_route_in_brackets(self):
        """A route's name may look like a style, too."""
        live, file = self.live()
        live.start("/[red]", "started")
        live.played()
        live.end("done")
        self.assertIn("/[red]: ", file.getvalue())
        self.assertTrue(file.getvalue().endswith("done\n"))

    def test_without_rich(self):
        """Plain lines."""
        with unittest.mock.patch.dict(sys.modules, {"rich": None, "rich.console": None}), screen() as found:
            self.assertIs(type(found), Screen)

    def test_no_terminal(self):
        """Plain lines."""
        with contextlib.redirect_stdout(io.StringIO()), screen() as found:
            self.assertIs(type(found), Screen)

    def test_encoding(self):
        """What a terminal cannot show is escaped."""
        file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
        say("漢", to=file)
        self.assertEqual(file.buffer.getvalue(), b"\\u6f22\n")
