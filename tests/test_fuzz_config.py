"""Where a fuzz run gets its settings from, and what each setting does."""

import asyncio
import itertools
import json
import os
import pathlib
import re
import tempfile
import textwrap
import time
import tomllib
import unittest
from unittest import mock

from hypothesis import strategies as st
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError, exchange
from tornado_wstest.fuzzing.config import Config
from tornado_wstest.fuzzing.engine import Finding, RouteFinished
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.running import fuzz_planned, split
from tornado_wstest.fuzzing.settings import FuzzSettings, options


class Echo(WebSocketHandler):
    """A healthy one."""

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class Login(WebSocketHandler):
    """Raises once somebody has said ``login``, and takes anything before."""

    is_in = False

    def on_message(self, message):
        if self.is_in:
            raise LookupError(message)
        self.is_in = message == "login"
        self.write_message("welcome")


STRANGE = st.just("abracadabra-42")
login = exchange("login", "welcome")


def make_strange():
    """Return a strategy."""
    return STRANGE


def make_app(handler=Echo, **settings):
    """Return an app with some routes."""
    patterns = ("/chat/(?P<room>[^/]+)", "/ws/internal/health", "/news")
    return Application([(pattern, handler) for pattern in patterns], **settings)


def routes():
    """Return its routes."""
    return websocket_routes(make_app())


class FolderTest(unittest.TestCase):
    """Has a folder for a ``pyproject.toml``."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()

    def write(self, text, name="pyproject.toml"):
        """Write a file below the folder."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), "utf-8")
        return file

    def load(self, text, **overrides):
        """Load what a file with this table says."""
        self.write("[tool.tornado-wstest]\n" + textwrap.dedent(text))
        return Config.load(self.folder, **overrides)

    def assert_refused(self, text, *parts):
        """The file is refused, with the file's name and these parts in one sentence."""
        with self.assertRaises(UsageError) as caught:
            self.load(text).plan(routes())
        for part in (str(self.folder / "pyproject.toml"), *parts):
            self.assertIn(part, str(caught.exception))


class LoadTest(FolderTest):
    """Which file is read, and who wins."""

    def test_no_file(self):
        """Without a file everything is as by default."""
        config = Config.load(self.folder)
        self.assertEqual((config.settings, config.app, config.file), (FuzzSettings(), None, None))

    def test_every_setting_may_stand_in_the_file(self):
        """Every name of FuzzSettings is a key."""
        config = self.load("""
            app = "chat:make_app"
            enabled = false
            examples = 7
            seed = 3
            time_budget = 5
            max_messages = 4
            max_message_size = 100
            connection_timeout = 2
            message_timeout = 1.5
            blocked = 0.25
            test_close_codes = [1000, 4000]
            allowed_close_codes = [1000, "4000-4100"]
            validate_subprotocols = false
            include = ["/chat/*"]
            exclude = ["/news"]
            checks = ["-leak"]
            headers = {X-Tenant = "a"}
            cookies = {lang = "en"}
            signed_cookies = {user = "ann"}
            auth = "bearer:abc"
            origin = "https://example.com"
            subprotocols = ["v1"]
            handshake = "tests.test_fuzz_config:login"
            messages = "tests.test_fuzz_config:STRANGE"
            transport = "tcp"
            virtual_time = false
            database = ""
            strict = true
            verbose = true
        """)
        self.assertEqual(config.app, "chat:make_app")
        expected = FuzzSettings(
            enabled=False,
            examples=7,
            seed=3,
            time_budget=5.0,
            max_messages=4,
            max_message_size=100,
            connection_timeout=2.0,
            message_timeout=1.5,
            blocked=0.25,
            test_close_codes=(1000, 4000),
            allowed_close_codes=("1000", "4000-4100"),
            validate_subprotocols=False,
            include=("/chat/*",),
            exclude=("/news",),
            checks=("-leak",),
            headers={"X-Tenant": "a"},
            cookies={"lang": "en"},
            signed_cookies={"user": "ann"},
            auth="bearer:abc",
            origin="https://example.com",
            subprotocols=("v1",),
            handshake=login,
            messages=STRANGE,
            transport="tcp",
            virtual_time=False,
            database=None,
            strict=True,
            verbose=True,
        )
        self.assertEqual(config.settings, expected)
        self.assertEqual(set(config.changed()), {option.name for option in options()})

    def test_file_above(self):
        """The nearest file above that has the table is read; others are passed over."""
        self.write("[tool.tornado-wstest]\nexamples = 3\n")
        self.write("[project]\nname = 'x'\n", "package/pyproject.toml")
        config = Config.load(self.folder / "package")
        self.assertEqual((config.settings.examples, config.file), (3, self.folder / "pyproject.toml"))

    def test_overrides_win(self):
        """What is given to load() wins over the file, and over its tables of routes."""
        config = self.load(
            "examples = 3\napp = 'a:b'\n[[tool.tornado-wstest.routes]]\npattern = '/news'\nexamples = 4\nseed = 1",
            examples=5,
            app="c:d",
        )
        self.assertEqual((config.app, config.settings.examples), ("c:d", 5))
        planned = {route.label: settings for route, settings in config.plan(routes())}
        self.assertEqual((planned["/news"].examples, planned["/news"].seed), (5, 1))

    def test_bad_override(self):
        """An override is checked like a key of the file."""
        with self.assertRaisesRegex(UsageError, r"^examples is a whole number from 1, not 'many'$"):
            Config.load(self.folder, examples="many")
        with self.assertRaisesRegex(UsageError, r"^there is no setting 'exmples': did you mean 'examples'\?$"):
            Config.load(self.folder, exmples=3)


class RefusedTest(FolderTest):
    """What cannot be is told with the file and the key."""

    def test_no_toml(self):
        """A file that is no TOML is told with its line."""
        self.assert_refused("examples = = 3\n", "cannot be read", "line 2")

    def test_values(self):
        """Each bad value is told with its key, what it should be, and what it is."""
        for text, *parts in (
            ("examples = 0", "[tool.tornado-wstest] examples is a whole number from 1, not 0"),
            ("examples = true", "examples is a whole number from 1, not True"),
            ("seed = -1", "seed is a whole number from 0, not -1"),
            ("max_messages = 151", "max_messages is a whole number from 1 to 150, not 151"),
            ("max_message_size = -5", "max_message_size is a whole number from 1 to 1073741824, not -5"),
            ("time_budget = -1.0", "time_budget is a number above 0, not -1.0"),
            ("message_timeout = 0", "message_timeout is a number above 0, not 0"),
            ("connection_timeout = nan", "connection_timeout is a number above 0, not nan"),
            ("blocked = inf", "blocked is a number above 0, not inf"),
            ("strict = 1", "strict is true or false, not 1"),
            ("include = '/ws'", "include is a list of texts, not '/ws'"),
            ("checks = [1]", "checks is a list of texts, not [1]"),
            ("checks = ['']", "checks is a list of texts, not ['']"),
            ("checks = ['leek']", "checks: there is no check 'leek': did you mean 'leak'?"),
            ("test_close_codes = ['1000']", "test_close_codes is a list of whole numbers, not ['1000']"),
            ("test_close_codes = [1006]", "no client may send 1006"),
            ("test_close_codes = [999]", "no client may send 999"),
            ("allowed_close_codes = ['3000-']", "not '3000-'"),
            ("subprotocols = ['a b']", "a subprotocol is a word such as 'chat.v1', not 'a b'"),
            (f"database = {__file__!r}", "database is a folder, and '"),
            ("origin = 'nonsense'", "origin is 'https://example.com' or the like, or 'null', not 'nonsense'"),
            ("allowed_close_codes = ['4000-3000']", "not '4000-3000'"),
            ("headers = {X = 1}", "headers is a table of texts, not {'X': 1}"),
            ("transport = 'udp'", "transport is 'memory' or 'tcp', not 'udp'"),
            ("auth = 'digest:a'", "auth is 'bearer:TOKEN' or 'basic:USER:PASSWORD'"),
            ("auth = 'bearer:'", "auth is 'bearer:TOKEN'"),
            ("app = 3", "app is a text such as 'chat:make_app', not 3"),
            ("routes = 3", "routes are tables ([[tool.tornado-wstest.routes]]), not 3"),
            ("max-messages = 3", "there is no setting 'max-messages': did you mean 'max_messages'?"),
            ("handshake = 'login'", "handshake is module:name, such as 'tests.fuzz:handshake', not 'login'"),
            ("handshake = 'no_such.module:x'", "handshake: importing 'no_such.module' raised ModuleNotFoundError"),
            ("handshake = 'tests.test_fuzz_config:logon'", "has no 'logon': did you mean 'login'?"),
            ("handshake = 'tests.test_fuzz_config:STRANGE'", "handshake:", "is no handshake"),
            ("messages = 'tests.test_fuzz_config:login'", "messages"),
            ("messages = 'tests.test_fuzz_config:Echo'", "messages is a Hypothesis strategy"),
        ):
            with self.subTest(text=text):
                self.assert_refused(text, *parts)

    def test_table_of_a_route(self):
        """A table of a route is checked, and named by its pattern."""
        head = "[[tool.tornado-wstest.routes]]\n"
        for text, part in (
            ("examples = 3", "[[tool.tornado-wstest.routes]] number 1: pattern is a text such as '/chat/*', not None"),
            ("pattern = '/news'\nexamples = -1", "/news: examples is a whole number from 1, not -1"),
            ("pattern = '/news'\nskip = 1", "/news: skip is true or false, not 1"),
            ("pattern = '/news'\nskipp = true", "there is no setting 'skipp': did you mean 'skip'?"),
            ("pattern = '/news'\ninclude = []", "include is a setting of all routes: it stands in [tool."),
            ("pattern = '/new'", "'/new' means no route; the websocket routes are: /chat/{room}, /ws/internal"),
        ):
            with self.subTest(text=text):
                self.assert_refused(head + text, part)

    def test_patterns_that_mean_no_route(self):
        """A pattern of include or exclude that means nothing is an error, which names the routes."""
        for name in ("include", "exclude"):
            self.assert_refused(f"{name} = ['/char/*']", f"{name}: '/char/*' means no route; the websocket routes are:")

    def test_auth_of_an_environment_that_lacks_it(self):
        """A token that is not there is told before anything is played, with the route."""
        with self.assertRaisesRegex(UsageError, r"^/chat/\{room\}: auth wants \$NO_SUCH_TOKEN of the environment"):
            self.load("auth = 'bearer:$NO_SUCH_TOKEN'").plan(routes())


class PlanTest(FolderTest):
    """Which routes are fuzzed, and how."""

    def labels(self, text="", **overrides):
        """Return the labels of the routes in the plan."""
        return [route.label for route, _ in self.load(text, **overrides).plan(routes())]

    def test_all_by_default(self):
        """All routes, in the order of the app."""
        self.assertEqual(self.labels(), ["/chat/{room}", "/ws/internal/health", "/news"])

    def test_include_and_exclude(self):
        """A pattern is a label, an example path, or the app's own pattern, with wildcards."""
        self.assertEqual(self.labels("include = ['/chat/*', '/news']"), ["/chat/{room}", "/news"])
        self.assertEqual(self.labels("include = ['/chat/{room}']"), ["/chat/{room}"])
        self.assertEqual(self.labels("include = ['/chat/(?P<room>[^/]+)']"), ["/chat/{room}"])
        self.assertEqual(self.labels("exclude = ['/ws/internal/*']"), ["/chat/{room}", "/news"])
        self.assertEqual(self.labels("include = ['*']\nexclude = ['/*s*']"), ["/chat/{room}"])

    def test_not_enabled(self):
        """Where fuzzing is not enabled there is nothing to do, until somebody says it is."""
        self.assertEqual(self.labels("enabled = false"), [])
        self.assertEqual(len(self.labels("enabled = false", enabled=True)), 3)

    def test_skip(self):
        """A table can skip its routes."""
        text = "[[tool.tornado-wstest.routes]]\npattern = '/ws/*'\nskip = true"
        self.assertEqual(self.labels(text), ["/chat/{room}", "/news"])

    def test_settings_of_a_route(self):
        """All tables of a route count, the later ones win, and headers are added up."""
        config = self.load("""
            examples = 1
            headers = {A = "1"}
            [[tool.tornado-wstest.routes]]
            pattern = "*"
            examples = 2
            max_messages = 3
            [[tool.tornado-wstest.routes]]
            pattern = "/news"
            examples = 4
            headers = {B = "2"}
        """)
        chat, _, news = (settings for _, settings in config.plan(routes()))
        self.assertEqual((chat.examples, chat.max_messages, chat.headers), (2, 3, {"A": "1"}))
        self.assertEqual((news.examples, news.max_messages, news.headers), (4, 3, {"A": "1", "B": "2"}))
        self.assertEqual(config.settings.examples, 1)

    def test_tables_of_python(self):
        """A test case has its tables as dicts, and things where a file has their names."""
        table = {"pattern": "/news", "handshake": login, "messages": STRANGE}
        *_, (_, news) = Config.load(self.folder, routes=[table]).plan(routes())
        self.assertIs(news.handshake, login)
        self.assertIs(news.messages, STRANGE)

    def test_function_that_returns_messages(self):
        """messages may be a function that returns a strategy."""
        config = self.load("messages = 'tests.test_fuzz_config:make_strange'")
        self.assertIs(config.settings.messages, STRANGE)


class OptionsTest(unittest.TestCase):
    """The settings, as a command line has them."""

    def parsed(self, name, *texts):
        """Return what texts mean for an option."""
        return next(option for option in options() if option.name == name).parse(texts)

    def test_one_for_each_field(self):
        """There is one for each field, with its default, and a sentence on it."""
        self.assertEqual({o.name: o.default for o in options()}, vars(FuzzSettings()))
        self.assertEqual([o.name for o in options() if len(o.help) < 20], [])

    def test_parse(self):
        """Texts become numbers, lists and tables; the last of several numbers counts."""
        self.assertEqual(self.parsed("examples", "3", "4"), 4)
        self.assertEqual(self.parsed("time_budget", "0.5"), 0.5)
        self.assertEqual(self.parsed("test_close_codes", "1000,1001", "4000"), (1000, 1001, 4000))
        self.assertEqual(self.parsed("include", "/a{1,2}", "/b"), ("/a{1,2}", "/b"))
        self.assertEqual(self.parsed("headers", "A=1", "B=x=y"), {"A": "1", "B": "x=y"})
        self.assertIs(self.parsed("strict", "true"), True)

    def test_parse_what_means_nothing(self):
        """A text that means nothing is told with the name of the setting."""
        for name, text in (("examples", "x"), ("headers", "A"), ("strict", "x"), ("test_close_codes", "a")):
            with self.assertRaisesRegex(UsageError, f"^{name} is .*{text}"):
                self.parsed(name, text)


class PageTest(unittest.TestCase):
    """The page on settings has every one, as it is."""

    def test_table(self):
        """The table of the page has each setting in order, with its kind, its default, and its sentence."""
        page = (pathlib.Path(__file__).parent.parent / "docs" / "howto" / "fuzzing_settings.rst").read_text("utf-8")
        rows = re.findall(r"(?m)^   \* - ``(\w+)``\n     - (.*)\n     - (.*)\n     - (.*(?:\n       .*)*)$", page)
        told = [tuple(" ".join(cell.split()) for cell in row) for row in rows]
        self.assertEqual(told, [page_row(option) for option in options()])

    def test_example(self):
        """The file that the page shows can be read, and its patterns mean what the page says."""
        page = (pathlib.Path(__file__).parent.parent / "docs" / "howto" / "fuzzing_settings.rst").read_text("utf-8")
        (text,) = re.findall(r"\.\. code-block:: toml\n\n((?:(?: {4}.*)?\n)+)", page)
        table = tomllib.loads(textwrap.dedent(text))["tool"]["tornado-wstest"]
        for one in table["routes"]:
            one.pop("handshake", None), one.pop("messages", None)  # these are modules of a reader's own
        config = Config.load(tempfile.gettempdir(), **table)
        planned = {route.label: settings for route, settings in config.plan(routes())}
        self.assertEqual((config.app, list(planned)), ("chat:make_app", ["/chat/{room}"]))
        chat = planned["/chat/{room}"]
        self.assertEqual((chat.examples, chat.max_messages, chat.signed_cookies), (500, 20, {"user": "ann"}))


def page_row(option):
    """Return what the page has of a setting."""
    kind = {tuple: "list", dict: "table", object: "text", str: "text", int: "number", float: "number", bool: "boolean"}
    default = (
        f"``{json.dumps(option.default)}``" if option.default not in (None, ()) and option.default != {} else "none"
    )
    common = "" if option.per_route else " Not for a single route."
    help = option.help[0].upper() + option.help[1:] if option.help[0].isalpha() else option.help
    return option.name, kind[option.type], default, f"{help}{'' if help.endswith('?') else '.'}{common}"


class EffectTest(FolderTest):
    """Each setting has an effect on what the engine does. (``verbose`` has it in the front ends: see their tests.)"""

    def fuzz(self, handler, app_settings=None, **settings):
        """Fuzz one route with settings that were checked, and return all that was seen, findings and the end."""
        given = {"examples": 12, "seed": 1, "database": None, **settings}
        heard, findings = [], []

        def target():
            return Application([("/", handler)], **(app_settings or {}))

        ((route, planned),) = Config.load(self.folder, **given).plan(websocket_routes(target()))
        for event in fuzz_planned(target, route, planned, listen=heard.append):
            if isinstance(event, Finding):
                findings.append(event)
            elif isinstance(event, RouteFinished):
                self.finished = event
        self.cases = [played.seen.case for played in heard]
        self.visits = [visit for case in self.cases for visit in case.visits]
        self.heard = heard
        return [finding.problem.code for finding in findings]

    def fuzz_requests(self, **settings):
        """Fuzz a handler that notes its requests, and return the last one."""
        requests = []

        class Noting(Echo):
            def open(self):
                requests.append((self.request, self.get_signed_cookie("user")))

            def select_subprotocol(self, subprotocols):
                return subprotocols[0] if subprotocols else None

        self.fuzz(Noting, {"cookie_secret": "x" * 32}, **settings)
        return requests[-1]

    def test_examples(self):
        """More examples play more conversations."""
        self.fuzz(Echo, examples=4)
        few = self.finished.sequences
        self.fuzz(Echo, examples=40)
        self.assertLess(few, 14)
        self.assertGreaterEqual(self.finished.sequences, 40)

    def test_seed(self):
        """The same seed plays the same conversations, another one others."""
        played = []
        for seed in (5, 5, 6):
            self.fuzz(Echo, seed=seed)
            played.append(self.cases)
        self.assertEqual(played[0], played[1])
        self.assertNotEqual(played[0], played[2])

    def test_max_messages(self):
        """No conversation has more messages, and some have as many."""
        for most in (1, 3, 10):
            self.fuzz(Echo, max_messages=most, examples=60)
            self.assertEqual(max(len(visit.messages) for visit in self.visits), most)

    def test_max_message_size(self):
        """No message has more bytes, and a larger limit gives larger messages."""
        longest = {}
        for most in (8, 5000):
            self.fuzz(Echo, max_message_size=most, examples=80)
            sizes = [len(m.encode() if isinstance(m, str) else m) for visit in self.visits for m in visit.messages]
            longest[most] = max(sizes)
            self.assertLessEqual(longest[most], most)
        self.assertGreater(longest[5000], 8)

    def test_test_close_codes(self):
        """The client ends with these codes (or without any close frame), and with all of them."""
        self.fuzz(Echo, examples=60)
        self.assertEqual({visit.ending for visit in self.visits}, {1000, 1001, None})
        self.fuzz(Echo, test_close_codes=[1000, 3001, 1009], examples=60)
        self.assertEqual({visit.ending for visit in self.visits}, {1000, 3001, 1009, None})

    def test_connection_timeout(self):
        """An opening handshake that takes longer comes to nothing; a server that never answers is not waited for."""

        class Slow(Echo):
            async def prepare(self):
                await asyncio.sleep(20)

        self.fuzz(Slow, examples=4)
        self.assertGreater(self.finished.connections, 0)
        self.fuzz(Slow, examples=4, connection_timeout=10)
        self.assertEqual(self.finished.connections, 0)
        self.assertIn("no connection was ever accepted", self.finished.warnings[0])

    def test_message_timeout(self):
        """A handler that takes longer for a message is a finding, one that takes less is none."""

        class Slow(Echo):
            async def on_message(self, message):
                await asyncio.sleep(5)

        self.assertEqual(self.fuzz(Slow), [])
        self.assertEqual(self.fuzz(Slow, message_timeout=2), ["unresponsive"])

    def test_blocked(self):
        """A loop that stands still for longer is a finding, for less it is none."""

        class Blocking(Echo):
            def on_message(self, message):
                time.sleep(0.25)

        once = {"examples": 1, "max_messages": 1, "time_budget": 2}
        self.assertEqual(self.fuzz(Blocking, blocked=20, **once), [])
        self.assertEqual(self.fuzz(Blocking, blocked=0.1, **once), ["blocked-loop"])

    def test_allowed_close_codes(self):
        """Closing with one of these codes is fine, with another one a finding."""

        class Closing(Echo):
            def on_message(self, message):
                self.close(1002, "no")

        self.assertEqual(self.fuzz(Closing), ["close-code"])
        self.assertEqual(self.fuzz(Closing, allowed_close_codes=["1002-1003", 1009]), [])

    def test_validate_subprotocols(self):
        """A subprotocol that was not offered is a finding, unless it is not looked at."""

        class Stubborn(Echo):
            def prepare(self):
                self.set_header("Sec-WebSocket-Protocol", "v9")

        offers = {"subprotocols": ["v1"]}
        self.assertEqual(self.fuzz(Stubborn, **offers), ["subprotocol"])
        self.assertEqual(self.fuzz(Stubborn, validate_subprotocols=False, **offers), [])

    def test_checks(self):
        """A check that is taken out finds nothing."""

        class Raising(Echo):
            def on_message(self, message):
                raise LookupError

        self.assertEqual(self.fuzz(Raising), ["server-error"])
        self.assertEqual(self.fuzz(Raising, checks=["-server-error", "-dropped"]), [])

    def test_headers_cookies_auth_origin(self):
        """What the opening handshakes carry reaches the handler."""
        with mock.patch.dict(os.environ, WSTEST_TOKEN="s3cret"):
            request, user = self.fuzz_requests(
                headers={"X-Tenant": "acme"},
                cookies={"lang": "en"},
                signed_cookies={"user": "ann"},
                auth="bearer:$WSTEST_TOKEN",
                origin="http://127.0.0.1:1",
                checks=["server-error"],
            )
        self.assertEqual(request.headers["X-Tenant"], "acme")
        self.assertEqual(request.cookies["lang"].value, "en")
        self.assertEqual(user, b"ann")
        self.assertEqual(request.headers["Authorization"], "Bearer s3cret")
        self.assertEqual(request.headers["Origin"], "http://127.0.0.1:1")

    def test_subprotocols(self):
        """Clients offer these."""
        request, _ = self.fuzz_requests(subprotocols=["v1", "v2"])
        self.assertEqual(request.headers["Sec-WebSocket-Protocol"], "v1,v2")

    def test_handshake(self):
        """Behind a login is a bug that nobody finds without it."""
        self.assertEqual(self.fuzz(Login, max_messages=1, checks=["server-error"]), [])
        found = self.fuzz(Login, max_messages=1, checks=["server-error"], handshake="tests.test_fuzz_config:login")
        self.assertEqual(found, ["server-error"])

    def test_messages(self):
        """Messages of one's own are sent while the route is fuzzed, as they travel, and not afterwards."""
        values = st.sampled_from(["abracadabra-42", b"\x00abracadabra", {"abracadabra": [1]}])
        self.fuzz(Echo, examples=40, messages=values)
        sent = {message for visit in self.visits for message in visit.messages}
        self.assertLessEqual({"abracadabra-42", b"\x00abracadabra", '{"abracadabra": [1]}'}, sent)
        self.fuzz(Echo, examples=40)
        self.assertNotIn("abracadabra-42", {message for visit in self.visits for message in visit.messages})

    def test_messages_that_cannot_travel(self):
        """A strategy that draws what is no message is told."""
        with self.assertRaisesRegex(UsageError, "messages drew .*object"):
            self.fuzz(Echo, messages=st.builds(object))

    def test_time_budget(self):
        """When the time is up the route is over, with a warning."""
        self.fuzz(Echo, examples=2000, time_budget=0.3)
        self.assertLess(self.finished.sequences, 2000)
        self.assertIn("of 2000 were played in 0.3 s", self.finished.warnings[-1])

    def test_transport(self):
        """Over TCP a real port is connected to, over memory none."""
        for transport, is_real in (("tcp", True), ("memory", False)):
            request, _ = self.fuzz_requests(transport=transport, examples=3)
            self.assertEqual(request.host != "127.0.0.1:1", is_real)

    def test_virtual_time(self):
        """In virtual time a handler's half second takes none; in real time it does."""

        class Slow(Echo):
            async def on_message(self, message):
                await asyncio.sleep(0.5)

        once = {"examples": 1, "max_messages": 1, "message_timeout": 100, "time_budget": 1}
        self.fuzz(Slow, **once)
        virtual = self.finished.seconds
        self.fuzz(Slow, virtual_time=False, **once)
        self.assertGreater(self.finished.seconds, 0.5)
        self.assertLess(virtual, self.finished.seconds)

    def test_database(self):
        """What was found is kept in this folder, if there is one."""

        class Raising(Echo):
            def on_message(self, message):
                if "a" in str(message):
                    raise LookupError

        folder = self.folder / "kept"
        self.fuzz(Raising, examples=40)
        self.assertFalse(folder.exists())
        self.fuzz(Raising, examples=40, database=str(folder))
        self.assertTrue(list(folder.rglob("*")))

    def test_strict(self):
        """A finding that shows in some replays only is a doubt, and counts if strict."""
        for strict in (False, True):
            calls = itertools.count()

            class Moody(Echo):
                def on_message(self, message, calls=calls):
                    if next(calls) % 2 == 0:
                        raise LookupError

            def target(handler=Moody):
                return Application([("/", handler)])

            given = {"examples": 10, "seed": 1, "database": None, "strict": strict, "max_messages": 1}
            ((route, settings),) = Config.load(self.folder, **given).plan(websocket_routes(target()))
            findings, doubts, _ = split(fuzz_planned(target, route, settings), settings)
            self.assertEqual(bool(findings), strict)
            self.assertEqual(any("flaky" in doubt for doubt in doubts), not strict)
