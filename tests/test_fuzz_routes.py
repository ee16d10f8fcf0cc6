"""The websocket routes of an app, and the app that a command names."""

import asyncio
import importlib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import unittest
import unittest.mock

from tornado.httpclient import HTTPClientError
from tornado.routing import (
    AnyMatches,
    DefaultHostMatches,
    HostMatches,
    Matcher,
    PathMatches,
    ReversibleRuleRouter,
    Rule,
    RuleRouter,
)
from tornado.web import Application, RequestHandler, URLSpec
from tornado.websocket import WebSocketHandler

from tests.apps import games
from tornado_wstest.errors import UsageError
from tornado_wstest.fuzzing.regexes import matching_strings
from tornado_wstest.fuzzing.routes import Route, explain_no_routes, load_target, make_app, websocket_routes
from tornado_wstest.tester import WebSocketTester


class Chat(WebSocketHandler):
    """Says who it is, and what it was given."""

    def initialize(self, **kwargs):
        self.kwargs = kwargs

    def open(self, *args, **kwargs):
        self.write_message(json.dumps([type(self).__name__, [*args, *kwargs], self.kwargs]))


class News(Chat):
    """Another."""


class Page(RequestHandler):
    """Plain HTTP, and no GET."""


class Odd(Matcher):
    """A matcher of the app's own."""

    def match(self, request):
        return {}

    def __repr__(self):
        return "Odd()"


class Picky(PathMatches):
    """A path with a condition of the app's own."""

    def match(self, request):
        return super().match(request)

    def __repr__(self):
        return "Picky()"


class OwnRouter(RuleRouter):
    """Looks for handlers in its own way."""

    def find_handler(self, request, **kwargs):
        return super().find_handler(request, **kwargs)

    def __repr__(self):
        return "OwnRouter()"


def nested():
    """Return an app of routers inside routers."""
    inner = Application(
        [("/in/chat", Chat), ("/elsewhere", News), ("/.*/([0-9]+)", News, {"k": 2}), ("/(?P<a>i.)/(?P<b>x)", Chat)]
    )
    router = RuleRouter([Rule(PathMatches("/r/app"), Application([(".*", Chat)])), Rule(PathMatches("/r/bare"), Chat)])
    app = Application(
        [
            ("/", Chat),
            URLSpec("/chat/([^/]+)", Chat, {"k": 1}, "chat"),
            ("/chat/lobby", News),
            ("/page(.*)", Page),
            ("/pages", News),
            ("/opt(?:/([0-9]+))?", "tests.test_fuzz_routes.News"),
            (r"/year/(?P<year>[0-9]{4})/(?P<word>\w+)", News),
            Rule(PathMatches("/in/.*"), inner, {"dropped": True}),
            ("/in/late", News),
            (PathMatches(re.compile("/pre")), Chat),
            (r"/list/(.*)", [("/list/a", Chat), (AnyMatches(), News)], {"dropped": True}),
            (Odd(), [("/odd", Chat)]),
            (PathMatches("/r/.*"), router),
            (
                PathMatches("/rr/.*"),
                ReversibleRuleRouter([Rule(PathMatches("/rr/x"), Application([("/rr/(x)", Chat)]))]),
            ),
            (Picky("/picky"), Chat),
        ]
    )
    app.add_handlers(r"(www\.)?example\.com", [("/host", Chat), ("/chat/([^/]+)", News)])
    return app


def told(app):
    """Return the routes as text."""
    return [str(route).replace("tests.test_fuzz_routes.", "") for route in websocket_routes(app)]


def one(*rules, **options):
    """Return the last route of an app with these rules."""
    return websocket_routes(Application(list(rules), **options))[-1]


class RoutesTest(unittest.TestCase):
    """What is listed, and how."""

    def test_routes_in_order(self):
        """Every websocket route is told in a line, in the order in which Tornado asks, shadowed ones included."""
        self.assertEqual(
            told(nested()),
            [
                r"/host Chat host='(www\\.)?example\\.com'",
                r"/chat/([^/]+) News (0) host='(www\\.)?example\\.com'",
                "/ Chat",
                "/chat/([^/]+) Chat (0) name='chat'",
                "/chat/lobby News [unreachable: shadowed by '/chat/([^/]+)', Chat]",
                "/pages News [unreachable: shadowed by '/page(.*)', Page]",
                "/opt(?:/([0-9]+))? News (0)",
                r"/year/(?P<year>[0-9]{4})/(?P<word>\w+) News (year, word)",
                "/in/chat Chat within '/in/.*'",
                "/elsewhere News within '/in/.*' "
                "[unreachable: no path is known that it matches, within what is around it]",
                "/.*/([0-9]+) News (0) within '/in/.*'",
                "/(?P<a>i.)/(?P<b>x) Chat (a, b) within '/in/.*'",
                "/in/late News [unreachable: shadowed by '/in/.*', whose Application answers 404 itself]",
                "/pre Chat",
                "/list/a Chat within '/list/(.*)'",
                "/list/(.*) News",
                "/odd Chat if Odd()",
                ".* Chat within '/r/.*' within '/r/app'",
                "/r/bare Chat within '/r/.*' "
                "[unreachable: a RuleRouter cannot serve a handler class, an Application inside it can]",
                "/rr/(x) Chat (0) within '/rr/.*' within '/rr/x'",
                "/picky Chat if Picky()",
            ],
        )

    def test_routes_are_as_tornado_finds_them(self):
        """A connection to each example path is answered by the handler, with the arguments, that the route tells."""

        async def answers(app):
            found = []
            async with WebSocketTester(app, fail_on_server_error=False) as wstest:
                for route in websocket_routes(app):
                    found.append((route, await answer(wstest, route)))
            return found

        async def answer(wstest, route):
            try:
                path, headers = route.example_path or "/elsewhere", {"Host": route.example_host}
                async with wstest.client(path, headers=headers) as client:
                    return await client.receive_json()
            except HTTPClientError:
                return None

        with self.assertLogs("tornado") as logs:
            found = asyncio.run(answers(nested()))
        self.assertEqual(
            [record.getMessage() for record in logs.records if record.levelname == "ERROR"], ["Uncaught exception"]
        )
        for route, answered in found:
            got = answered and [answered[0], len(answered[1]), answered[2]]
            expected = [route.handler.__name__, len(route.arguments), dict(route.kwargs)]
            with self.subTest(route=str(route)):
                if route.unreachable:
                    self.assertNotEqual(got, expected)
                else:
                    self.assertEqual(got, expected)

    def test_facts_of_a_route(self):
        """A route has all that its rule has."""
        route = one(URLSpec("/chat/(?P<room>[a-z]+)", Chat, {"k": 1}, "chat"))
        self.assertEqual((route.pattern, route.handler, route.name), ("/chat/(?P<room>[a-z]+)", Chat, "chat"))
        self.assertEqual((route.arguments, route.kwargs, route.host), (("room",), {"k": 1}, None))
        self.assertEqual(route.regex.pattern, "/chat/(?P<room>[a-z]+)$")
        self.assertEqual((route.example_path, route.example_host), ("/chat/a", "127.0.0.1"))

    def test_route_is_a_value(self):
        """Routes are compared and hashed, also with keyword arguments that cannot be."""
        self.assertEqual(one(("/", Chat, {"k": []})), one(("/", Chat, {"k": []})))
        self.assertEqual(len({one(("/", Chat, {"k": []}))}), 1)

    def test_route_that_is_long(self):
        """A route is a line, however long its pattern is."""
        self.assertLess(len(str(Route("/x" * 5000, Chat))), 401)
        self.assertEqual(str(Route("/(?x)\na", Chat)).count("\n"), 0)

    def test_pattern_with_a_dollar(self):
        """A dollar that is part of the path stays."""
        self.assertEqual(one((r"/a\$", Chat)).pattern, r"/a\$")
        self.assertEqual(one((r"/a\$", Chat)).example_path, "/a$")

    def test_path_that_cannot_be_sent(self):
        """A path with other letters than ASCII never reaches Tornado as such."""
        self.assertIn("no path is known", one(("/café", Chat)).unreachable)

    def test_accepts(self):
        """A route knows its paths: they match all around, and can be sent."""
        route = websocket_routes(nested())[10]
        self.assertEqual(
            [route.accepts(path) for path in ("/in/7", "/out/7", "/in/ /7", "/in/?/7")], [True, False, False, False]
        )

    def test_default_handler(self):
        """A default handler serves all that nothing else does."""
        app = Application([("/", Page)], default_handler_class=Chat, default_handler_args={"k": 3})
        (route,) = websocket_routes(app)
        self.assertEqual(
            (route.pattern, route.kwargs, route.example_path, route.unreachable), (".*", {"k": 3}, "/a", "")
        )

    def test_default_host(self):
        """Rules of a host are listed once, though Tornado keeps them twice with a default host."""
        app = Application([("/", Chat)], default_host="www.example.com")
        app.add_handlers("www.example.com", [("/news", News)])
        self.assertEqual([route.host for route in websocket_routes(app)], ["www.example.com", None])

    def test_default_host_matches(self):
        """A rule for the app's default host is reached if the default host is that one."""
        app = Application(default_host="a.org")
        for host in ("a.org", "b.org"):
            app.wildcard_router.add_rules([(DefaultHostMatches(app, re.compile(host)), [(f"/{host}", Chat)])])
        self.assertEqual(
            [route.unreachable for route in websocket_routes(app)], ["", "the app's default_host is another"]
        )

    def test_host_of_any_name(self):
        """A host that is any is the local one, and shadows what comes later."""
        app = Application([("/", Chat)])
        app.add_handlers(".*", [("/.*", News)])
        first, second = websocket_routes(app)
        self.assertEqual((first.example_host, first.unreachable), ("127.0.0.1", ""))
        self.assertEqual(second.unreachable, "shadowed by '/.*', News")

    def test_host_with_a_dot_that_nobody_escaped(self):
        """The example of a host is the name that was meant."""
        app = Application()
        app.add_handlers("ws.example.com", [("/", Chat)])
        self.assertEqual(websocket_routes(app)[0].example_host, "ws.example.com")

    def test_hosts_that_exclude_each_other(self):
        """Two host patterns that no host matches are said to be so."""
        route = one((HostMatches("a.org"), [(HostMatches("b.org"), [("/", Chat)])]))
        self.assertEqual(
            (route.host, route.unreachable), ("a.org and b.org", "no host is known that all its host patterns match")
        )

    def test_matcher_of_the_apps_own_shadows_nothing(self):
        """Of a matcher that nobody knows it is not said that it takes a request."""
        self.assertEqual(one((Odd(), [("/.*", News)]), ("/", Chat)).unreachable, "")

    def test_router_of_the_apps_own(self):
        """A router that looks for handlers in its own way is a condition."""
        own = OwnRouter([Rule(PathMatches("/own"), Application([("/own", Chat)]))])
        self.assertEqual(one((AnyMatches(), own)).conditions, ("OwnRouter()",))

    def test_function_that_answers(self):
        """A function takes the requests that its rule matches."""
        self.assertIn(
            "shadowed by '/f.*'", one((PathMatches("/f.*"), lambda request: None), ("/f/ws", Chat)).unreachable
        )

    def test_router_inside_itself(self):
        """A router that is inside itself is entered once."""
        router = RuleRouter([(PathMatches("/a"), Application([("/a", Chat)]))])
        router.add_rules([(AnyMatches(), router)])
        self.assertEqual(len(websocket_routes(router)), 1)

    def test_routes_of_no_app(self):
        """Routes are those of an app."""
        with self.assertRaisesRegex(UsageError, "routes are those of an Application, not of 42"):
            websocket_routes(42)

    def test_no_routes(self):
        """An app without websocket routes is told by what it has."""
        text = explain_no_routes(Application([("/a", Page), ("/b", Page)]))
        self.assertIn("the app has no websocket route, only 2 HTTP routes: /a, /b\na websocket route leads to", text)
        self.assertIn("only 0 HTTP routes\n", explain_no_routes(Application()))

    def test_no_routes_that_can_be_seen(self):
        """What cannot be looked into is told."""
        self.assertIn("what 42", explain_no_routes(Application([(PathMatches("/f"), Fortytwo())])))


class Fortytwo:
    """Answers requests."""

    def __call__(self, request):
        """Do nothing."""

    def __repr__(self):
        return "42"


class MatchingStringsTest(unittest.TestCase):
    """Strings that a pattern matches."""

    def strings(self, pattern, *words):
        return list(matching_strings(re.compile(pattern), words))

    def test_every_string_matches(self):
        """Whatever the pattern has in it, there is a string, and each matches."""
        for pattern in (
            "", "abc", "a|b|", "[^a]", "[a-c]{2,3}", r"\d+", r"\D\S\s\W", "(a)(?:b)?", "(?P<x>a|b)(?P=x)", "a*?b+?",
            "^/$", r"(\w)\1", "(a)?(?(1)b|c)", "a{0}", "(?=a)a", "(?!b).", "[é-ü]", "(?i:AB)", r"[\d-]", r"(?<=)x",
            r"[^\W\d]+", "[!-/]", "(?>ab)", "a++", ".{3}",
        ):  # fmt: skip
            with self.subTest(pattern=pattern):
                found = self.strings(pattern)
                self.assertTrue(found)
                self.assertTrue(all(re.match(pattern, text) for text in found))

    def test_simplest_first(self):
        """The first string is the simplest, and none comes twice."""
        self.assertEqual(self.strings("/([^/]+)/[0-9]{4}")[0], "/a/0000")
        found = self.strings("(a|b|a)")
        self.assertEqual(found, ["a", "b"])

    def test_variants(self):
        """Each branch and each option has its string."""
        self.assertTrue({"/x", "/x/q", "/yy/q", "/z/q"} <= set(self.strings("/(x|yy|z+)(?:/q)?$")))

    def test_words(self):
        """Words stand where any text may, if they fit."""
        found = self.strings("/([a-z]{2,})/(.*)", "word", "x", "W2")
        self.assertTrue({"/word/a", "/aa/W2"} <= set(found), found)
        self.assertNotIn("/x/a", found)

    def test_bounded(self):
        """However many there are, some are enough."""
        self.assertLess(len(self.strings("(a|b|c|d|e|f|g|h)" * 12)), 200)
        self.assertLess(len(self.strings(".*" * 30, *map(str, range(1000)))), 400)


class TargetTest(unittest.TestCase):
    """The app that a command names."""

    def setUp(self):
        """Make a project in a folder of its own, and go there."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = pathlib.Path(folder)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        self.addCleanup(sys.path.__setitem__, slice(None), sys.path[:])
        self.before = set(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in set(sys.modules) - self.before])

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def refused(self, name):
        """Return the error that says why ``name`` names no app."""
        with self.assertRaises(UsageError) as caught:
            load_target(name)
        return caught.exception

    def made(self, target):
        return asyncio.run(make_app(target))

    def test_target_in_the_current_folder(self):
        """A module of the current folder is found, as python -m finds it."""
        sys.path[:] = [path for path in sys.path if path not in ("", os.getcwd())]
        self.write("my_chat.py", "from tests.apps.games import make_app\n")
        self.assertEqual(load_target("my_chat:make_app").__name__, "make_app")

    def test_target_of_each_sort(self):
        """An app, a factory, an async one, a class and a place inside a class all make an app."""
        self.write(
            "my_apps.py",
            "from tornado.web import Application\nclass A(Application):\n    class B:\n        app = Application()\n",
        )
        for name in ("tests.apps.games:app", "tests.apps.games:make_app", "tests.apps.games:make_app()",
                     "tests.apps.games:make_app_later", "my_apps:A", "my_apps:A.B.app"):  # fmt: skip
            with self.subTest(name=name):
                self.assertIsInstance(self.made(load_target(name)), Application)

    def test_app_is_itself(self):
        """An app is returned as it is, and so is a router."""
        self.assertIs(self.made(games.app), games.app)
        router = RuleRouter()
        self.assertIs(self.made(router), router)

    def test_name_of_another_shape(self):
        """A name is module:name."""
        for name in ("chat", "", ":app", "chat:", "chat:app:x", "chat.py:app-x", "a b:c", None):
            with self.subTest(name=name):
                self.assertIn("write module:name, such as 'chat:make_app'", str(self.refused(name)))

    def test_module_that_is_not_there(self):
        """The error names the nearest module of the folder."""
        self.write("my_chat.py", "")
        error = self.refused("my_caht:app")
        self.assertRegex(str(error), r"there is no module 'my_caht' in .* \(did you mean 'my_chat'\?\)")
        self.assertIsInstance(error.__cause__, ModuleNotFoundError)

    def test_module_that_does_not_import(self):
        """What the module raised is told, and stays visible as the cause with its own traceback."""
        for text, name in (
            ("1 / 0", "ZeroDivisionError"),
            ("import nowhere_xyz", "ModuleNotFoundError"),
            ("raise SystemExit(3)", "SystemExit"),
            ("def", "SyntaxError"),
        ):
            with self.subTest(text=text):
                sys.modules.pop("my_broken", None)
                self.write("my_broken.py", text)
                importlib_caches()
                error = self.refused("my_broken:app")
                self.assertIn(f"importing 'my_broken' raised {name}", str(error))
                self.assertEqual(type(error.__cause__).__name__, name)
                self.assertIsNotNone(error.__cause__.__traceback__)

    def test_name_that_is_not_there(self):
        """The error names the nearest name of the module, or what there is."""
        self.assertIn(
            "tests.apps.games has no 'make_ap': did you mean 'make_app'?", str(self.refused("tests.apps.games:make_ap"))
        )
        self.write("my_empty.py", "x = 1\n")
        self.assertIn(
            "my_empty has no 'app': it holds no Application and no function", str(self.refused("my_empty:app"))
        )

    def test_target_that_is_no_app(self):
        """What it is, is told."""
        self.assertIn(
            "tests.apps.games:number is 42, which is no Application", str(self.refused("tests.apps.games:number"))
        )

    def test_factory_that_takes_arguments(self):
        """A factory is called with nothing; its arguments are named."""
        text = "make_app_of cannot be called with nothing: it takes settings"
        self.assertIn(text, str(self.refused("tests.apps.games:make_app_of")))
        with self.assertRaisesRegex(UsageError, text):
            self.made(games.make_app_of)

    def test_factory_that_raises(self):
        """What it raised is told, and is the cause."""
        with self.assertRaisesRegex(UsageError, r"make_trouble\(\) raised RuntimeError: no database") as caught:
            self.made(games.make_trouble)
        self.assertIsInstance(caught.exception.__cause__, RuntimeError)

    def test_factory_that_does_not_return(self):
        """It is ended after a time that does not depend on the loop's clock."""

        async def make_late():
            await asyncio.Event().wait()

        with (
            unittest.mock.patch("tornado_wstest.fuzzing.target._PATIENCE", 0.05),
            self.assertRaisesRegex(UsageError, r"make_late\(\) did not return within 0.05 s\nit should return an App"),
        ):
            self.made(make_late)

    def test_factory_that_raises_a_timeout_of_its_own(self):
        """That is no lateness of the factory."""

        async def make_late():
            raise TimeoutError("no database")

        with self.assertRaisesRegex(UsageError, r"make_late\(\) raised TimeoutError: no database"):
            self.made(make_late)

    def test_factory_that_makes_no_app(self):
        """What it returned instead is told."""
        with self.assertRaisesRegex(UsageError, r"make_nothing\(\) returned 42, which is no Application"):
            self.made(games.make_nothing)


def importlib_caches():
    """Forget what the folder held, and the compiled files, which are told apart by the second."""
    shutil.rmtree("__pycache__", ignore_errors=True)
    importlib.invalidate_caches()
