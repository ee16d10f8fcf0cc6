"""A pasted test fails while the bug is there, and passes without it: each is run as a user would run it."""

import functools
import json
import logging
import os
import pathlib
import shutil
import tempfile
import unittest
import unittest.mock
import warnings

from tornado.routing import HostMatches, Rule, RuleRouter
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.forked import run_module
from tests.zoo import CODES, specimens
from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.checks import chosen_checks, first_problem
from tornado_wstest.fuzzing.paste import literal, name_of_object, paste
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings
from tornado_wstest.fuzzing.stage import Stage
from tornado_wstest.handshake import discard

ROOT = pathlib.Path(__file__).parent.parent


def visits(*messages, **more):
    """Return a case of one visit."""
    return Case((Visit(messages=messages, **more),))


# What shows the bug of an app, and a word of what its test fails with.
CASES = {
    "parsing:missing_key": (visits('{"a":1}'), "KeyError: 'type'"),
    "parsing:text_assumed": (visits(b"\xff" * 100), "TypeError"),
    "lifecycle:number_in_prepare": (visits(path="/feed?since=x"), "500"),
    "lifecycle:missing_argument": (visits(), "KeyError"),
    "lifecycle:close_code_in_table": (visits("a", ending=None), "KeyError"),
    "lifecycle:pong_as_time": (visits(ping=b"a"), "could not convert string to float"),
    "closing:stream_closed": (visits("hello", "quit"), "1006 == 1006"),
    "closing:internal_error": (visits("x"), "1011 == 1011"),
    "closing:own_connection_close": (visits('{"run":"a"}'), "Expected 'on_close' to have been called"),
    "stuck:sleeps": (visits('{"type":"measure"}'), "not less than 0.5"),
    "stuck:waits_for_ever": (visits('{"type":"approve"}'), "10 s for a pong"),
    "leaks:never_unsubscribed": (visits('{"type":"subscribe"}'), "Lists differ"),
    "leaks:kept_after_a_cut": (visits("a", ending=None), "Lists differ"),
    "leaks:timer_again_and_again": (visits("poll"), "Lists differ"),
    "leaks:task_for_ever": (visits('{"type":"follow","file":"a"}'), "Handler.follow"),
    "security:any_origin": (visits("a", origin="http://foreign.example"), "NotRejected"),
    "security:origin_contains_host": (visits("a", origin="http://127.0.0.1.foreign.example"), "NotRejected"),
    "security:no_limit": (visits(declared_size=10 * 2**20 + 1), "1009 (message too big)"),
    "security:subprotocol_in_header": (visits(subprotocols=("b",)), "'chat.v1' not found in (None, 'b')"),
    "security:errors_to_all": (visits("a"), "expected nothing"),
}

# Closes at once, in a way that is allowed; or takes what comes, and answers.
MENDED = """
import os

from tornado.web import Application, HTTPError
from tornado.websocket import WebSocketHandler


class Taking(WebSocketHandler):
    def check_origin(self, origin):
        return False

    def on_message(self, message):
        self.write_message("ok")


class Closing(Taking):
    def on_message(self, message):
        self.close(1008, "no")


class Refusing(Taking):
    def prepare(self):
        if "since" in self.request.uri:
            raise HTTPError(400)


def make_app():
    return Application([(".*", {"closes": Closing, "takes": Taking, "refuses": Refusing}[os.environ["MENDED"]])])
"""

RUNNER = """
import json, logging, sys, unittest, warnings

logging.disable(logging.CRITICAL)
warnings.simplefilter("error", SyntaxWarning)
found = {}
for name in sys.argv[1:]:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromName(name).run(result)
    assert result.testsRun == 1, name
    found[name] = [text for _, text in result.failures + result.errors]
print(json.dumps(found))
"""


def observed(name, case, **changes):
    """Play a case to an app of the zoo, and return all that a paste needs."""
    make_app = specimens()[name].make_app
    settings = FuzzSettings(checks=("+isolation",), **changes)
    route = websocket_routes(make_app())[0]
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Stage(make_app, route, settings, bystander=specimens()[name].code == "isolation") as stage:
                seen = stage.play(case)
    finally:
        logging.disable(logging.NOTSET)
    return seen, first_problem(seen, chosen_checks(settings.checks), settings), route, settings


def pasted(name, case, *, target=None, app="factory", **changes):
    """Return the code of what was found, and the pasted test."""
    seen, problem, route, settings = observed(name, case, **changes)
    target = target or specimens()[name].target
    return problem.code, paste(seen, problem, target=target, app=app, route=route, settings=settings)


def run(folder, names, **environment):
    """Run test modules of a folder in a process of their own; return the failures of each."""
    (folder / "run_them.py").write_text(RUNNER, "utf-8")
    result = run_module("run_them", *names, folder=folder, **os.environ, **environment)
    if result.returncode:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


@functools.cache
def files():
    """Write the pasted tests of all cases: their folder, and the codes by the names of the modules."""
    folder = pathlib.Path(tempfile.mkdtemp())
    unittest.addModuleCleanup(shutil.rmtree, folder)
    codes = {}
    for name, (case, _) in CASES.items():
        codes[module_of(name)], text = pasted(name, case)
        (folder / f"{module_of(name)}.py").write_text(text, "utf-8")
        module, factory = specimens()[name].target.split(":")
        mended = text.replace(f"from {module} import {factory}", f"from mended import make_app as {factory}")
        (folder / f"mended_{module_of(name)}.py").write_text(mended, "utf-8")
    (folder / "mended.py").write_text(MENDED, "utf-8")
    return folder, codes


def module_of(name):
    """Return the name of a test module for an app."""
    return f"test_{name.replace(':', '_')}"


class PastedTest(unittest.TestCase):
    """The test of each check."""

    def test_every_code_has_a_case(self):
        """No check is left out."""
        self.assertEqual(sorted({specimens()[name].code for name in CASES}), sorted(CODES))

    def test_it_is_the_bug_that_is_planted(self):
        """Each case shows its app's bug."""
        _, codes = files()
        self.assertEqual(codes, {module_of(name): specimens()[name].code for name in CASES})

    def test_buggy_app(self):
        """Against the buggy app it fails, for the right reason."""
        folder, codes = files()
        found = run(folder, codes)
        for name, (_, reason) in CASES.items():
            with self.subTest(name):
                (failure,) = found[module_of(name)]
                self.assertIn(reason, failure)

    def test_mended_app(self):
        """Against an app that takes the messages, or closes politely, or refuses with 400, it passes."""
        folder, codes = files()
        for kind in ("takes", "closes", "refuses"):
            found = run(folder, [f"mended_{name}" for name in codes], MENDED=kind)
            for name, failures in found.items():
                with self.subTest(name, kind=kind):
                    self.assertEqual(failures, [])

    def test_in_real_time(self):
        """What was found over a socket and in real time is looked for there, with all that goes with it."""
        folder, _ = files()
        changes = {"transport": "tcp", "virtual_time": False, "headers": {"X-Shop": "7"}, "subprotocols": ("v1",)}
        case = visits('{"type":"subscribe"}', ping=b"x")
        code, text = pasted("leaks:never_unsubscribed", case, **changes)
        self.assertEqual(code, "leak")
        for part in ('"tcp"', "= False", "options=self.get_ws_options()", "await client.ping(b'x', timeout=10)", "v1"):
            self.assertIn(part.replace("b'x'", 'b"x"'), text)
        (folder / "test_real_time.py").write_text(text, "utf-8")
        (failure,) = run(folder, ["test_real_time"])["test_real_time"]
        self.assertIn("Lists differ", failure)

    def test_two_visits(self):
        """The second client comes when the first has gone."""
        case = Case((Visit(messages=("a",)), Visit(messages=('{"a":1}',))))
        _, text = pasted("parsing:missing_key", case)
        self.assertEqual(text.count("client = await self.ws_client"), 2)
        self.assertLess(text.index("client.close()"), text.index("client = await", text.index("client = await") + 1))


class SurroundingsTest(unittest.TestCase):
    """What stands around the test."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def fails_with(self, text, **environment):
        """Run a test beside an app that is in the file ``shop.py``, and return what it fails with."""
        folder = pathlib.Path(self.folder)
        (folder / "test_found.py").write_text(text, "utf-8")
        (folder / "shop.py").write_text(SHOP, "utf-8")
        return "".join(run(folder, ["test_found"], **environment)["test_found"])

    def test_application(self):
        """An instance is used as it is."""
        self.assertIn("saw: None", self.fails_with(self.text(target="shop:app", app="app")))

    def text(self, **changes):
        """Return a paste for the shop."""
        given = {"target": "shop:make_app", "app": "factory", **changes}
        return pasted("parsing:missing_key", visits('{"a":1}'), **given)[1]

    def test_async_factory(self):
        """It is awaited."""
        self.assertIn("saw: None", self.fails_with(self.text(target="shop:make_later", app="async factory")))

    def test_factory_in_a_class(self):
        """A name with dots is imported by its first part."""
        self.assertIn("saw: None", self.fails_with(self.text(target="shop:Shop.make_app")))

    def test_name_that_the_test_has_itself(self):
        """A factory called like something of the test is imported under another name."""
        self.assertIn("saw: None", self.fails_with(self.text(target="shop:time")))

    def test_headers_and_cookies(self):
        """They are sent as in the run."""
        text = self.text(headers={"X-Shop": "7"}, cookies={"colour": "blue"})
        self.assertIn("saw: None 7 blue", self.fails_with(text))

    def test_page_and_user(self):
        """So are the own page's origin, the host that leads to the route, and a cookie that the app signs."""
        seen, problem, _, _ = observed("parsing:missing_key", visits('{"a":1}'))
        router = RuleRouter([Rule(HostMatches(r"shop\.example"), Application([("/", WebSocketHandler)]))])
        settings = FuzzSettings(origin="http://own.example", signed_cookies={"user": "ann"})
        (route,) = websocket_routes(router)
        text = paste(seen, problem, target="shop:make_app", app="factory", route=route, settings=settings)
        self.assertIn(", http://own.example shop.example b'ann'", self.fails_with(text))

    def test_secret_of_the_environment(self):
        """A secret is looked up by its name."""
        with unittest.mock.patch.dict(os.environ, {"SHOP_TOKEN": "abc"}):
            text = self.text(auth="bearer:$SHOP_TOKEN")
        self.assertNotIn("abc", text)
        self.assertIn("saw: Bearer xyz", self.fails_with(text, SHOP_TOKEN="xyz"))

    def test_user_and_password(self):
        """Basic authentication, too."""
        with unittest.mock.patch.dict(os.environ, {"SHOP_PASSWORD": "abc"}):
            text = self.text(auth="basic:$SHOP_PASSWORD:$SHOP_PASSWORD")
        self.assertIn("saw: Basic eHl6Onh5eg==", self.fails_with(text, SHOP_PASSWORD="xyz"))

    def test_secrets_that_were_written_out(self):
        """No secret that was given as it is stands in the test."""
        text = self.text(auth="bearer:abc123", cookies={"session": "def456"}, headers={"X-Api-Key": "ghi789"})
        for secret in ("abc123", "def456", "ghi789"):
            self.assertNotIn(secret, text)
        self.assertIn("saw: Bearer 1", self.fails_with(text, TOKEN="1", SESSION="2", X_API_KEY="3"))

    def test_handshake(self):
        """The handshake of the run is imported."""
        seen, problem, route, _ = observed("parsing:missing_key", visits('{"a":1}'))
        settings = FuzzSettings(handshake=login)
        text = paste(seen, problem, target="shop:make_app", app="factory", route=route, settings=settings)
        self.assertIn("handshake = login\n", text)
        self.assertIn("saw: None", self.fails_with(text))


SHOP = """
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Handler(WebSocketHandler):
    def on_message(self, message):
        cookie = self.get_cookie("colour") or ""
        headers = self.request.headers
        signed = self.get_signed_cookie("user")
        page = f"{headers.get('Origin')} {headers['Host'].partition(':')[0]} {signed}"
        raise ValueError(f"saw: {headers.get('Authorization')} {headers.get('X-Shop', '')} {cookie}, {page}")

    def check_origin(self, origin):
        return True


class Shop:
    @staticmethod
    def make_app():
        return Application([("/", Handler)], cookie_secret="s" * 32)


async def make_later():
    return Shop.make_app()


time = make_app = Shop.make_app
app = make_app()
"""


async def login(client):
    """Say nothing."""


greeting = discard(1)


class LiteralTest(unittest.TestCase):
    """How a message is written."""

    def test_short(self):
        """A short message is written as it is, in double quotes if that needs no backslash."""
        for message, text in (("a", '"a"'), ('{"a":1}', "'{\"a\":1}'"), ("it's", '"it\'s"'), (b"\x00a", 'b"\\x00a"')):
            with self.subTest(text):
                self.assertEqual(literal(message), text)

    def test_repeated(self):
        """What is repeated is written once."""
        self.assertEqual(literal("x" * 65536), '"x" * 65536')
        self.assertEqual(literal("[" * 500 + "1" + "]" * 500), '"[" * 500 + "1" + "]" * 500')
        self.assertEqual(literal(b"\xff" * 1000), 'b"\\xff" * 1000')

    def test_exact(self):
        """Whatever is written is the message itself."""
        for message in ("a" * 101, "\n'\"" * 99, "ab\\" * 77 + "c", bytes(range(256)) * 3, "\ud800" * 200, "é" * 300):
            with self.subTest(message=message[:5]):
                self.assertEqual(eval(literal(message)), message)


class NameTest(unittest.TestCase):
    """The name of a handshake."""

    def test_function(self):
        """A function has its own."""
        self.assertEqual(name_of_object(login), f"{__name__}:login")

    def test_object_of_a_module(self):
        """An object has the name that its module gives it."""
        self.assertEqual(name_of_object(greeting), f"{__name__}:greeting")

    def test_object_of_no_module(self):
        """What nobody can import has none."""
        self.assertIsNone(name_of_object(discard(7)))
        self.assertIsNone(name_of_object(lambda client: None))
