"""Whoever calls the toolkit wrongly gets one clear error, at the call that was wrong, and nothing stays open.

Each test here is followed by the same questions: no descriptor more than before, no pending task, no warning,
no log line, the event loop put away, and an ordinary test in the same process works.
"""

import asyncio
import contextlib
import gc
import logging
import os
import ssl
import sys
import unittest
import unittest.mock
import warnings

from tornado import testing
from tornado.testing import gen_test
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import (
    Codec,
    ConnectionClosed,
    MessageTimeout,
    NotRejected,
    NotSettled,
    UnexpectedMessage,
    UsageError,
    WebSocketHTTPTestCase,
    WebSocketTestCase,
    WebSocketTester,
    WebSocketTestMixin,
    connect,
    containing,
    discard,
    exchange,
    field,
    sequence,
)


class EchoHandler(WebSocketHandler):
    """Echoes, and does two bad things when asked for."""

    async def on_message(self, message):
        if message == "wait":
            await asyncio.Event().wait()
        elif message == "spin":
            while True:
                await asyncio.sleep(0)
        else:
            await self.write_message(message, binary=isinstance(message, bytes))


def make_app():
    return Application([("/", EchoHandler), ("/slow", SlowHandler), ("/slowly-open", SlowlyOpenHandler)])


class SlowHandler(EchoHandler):
    """Never answers the opening handshake."""

    async def prepare(self):
        await asyncio.Event().wait()


class SlowlyOpenHandler(EchoHandler):
    """Answers the opening handshake, and never ends its ``open``."""

    async def open(self):
        await asyncio.Event().wait()


class EchoTestCase(WebSocketTestCase):
    """The base of the small test cases."""

    def get_app(self):
        return make_app()


class EchoHTTPTestCase(WebSocketHTTPTestCase):
    """The same over the base that has ``fetch``."""

    def get_app(self):
        return make_app()


class OrdinaryTest(EchoTestCase):
    """A test that works."""

    async def test(self):
        client = await self.ws_client()
        await client.send("foo")
        await client.expect("foo")


class Records(logging.Handler):
    """Keeps log records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(f"{record.name}: {record.getMessage()}")


class BadInputTestCase(unittest.TestCase):
    """Runs small test cases, and looks at what they leave behind."""

    def setUp(self):
        gc.collect()
        self.policy = asyncio.get_event_loop_policy()
        self.descriptors = descriptors()
        self.loops = []
        self.unraisable = []
        self.enterContext(unittest.mock.patch.object(sys, "unraisablehook", self.unraisable.append))
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("error")
        self.log = Records()
        logging.getLogger().addHandler(self.log)
        self.addCleanup(logging.getLogger().removeHandler, self.log)

    def tearDown(self):
        gc.collect()
        self.assertEqual(
            [str(unraisable.exc_value) for unraisable in self.unraisable], [], "a warning or error of __del__"
        )
        self.assertEqual(descriptors(), self.descriptors, "descriptors")
        self.assertEqual(self.log.records, [], "log lines")
        for loop in self.loops:
            self.assertTrue(loop.is_closed(), "an open loop")
            self.assertEqual(asyncio.all_tasks(loop), set(), "pending tasks")
        self.assertIs(asyncio.get_event_loop_policy(), self.policy, "the event loop policy")
        result = unittest.TestResult()
        OrdinaryTest("test").run(result)
        self.assertEqual(result.failures + result.errors, [], "an ordinary test afterwards")
        self.assertRaises(RuntimeError, asyncio.get_event_loop)

    def problems(self, base, test=None, **attributes):
        """Run ``test`` as a method of a test case made of ``base``, and return what failed, as text."""
        if test is not None:
            attributes["test"] = test
        case = type("BadTest", (base,), attributes)("test")
        result = unittest.TestResult()
        case.run(result)
        self.loops += [case.io_loop.asyncio_loop] if getattr(case, "io_loop", None) is not None else []
        return [text for _, text in result.failures + result.errors]

    def assert_fails(self, error, text, test=None, *, base=EchoTestCase, **attributes):
        """The small test case fails once, with an ``error`` whose text has ``text`` in it."""
        problems = self.problems(base, test, **attributes)
        self.assertEqual(len(problems), 1, problems)
        told = problems[0].rpartition("Traceback (most recent call last):")[2]
        self.assertIn(f"{error.__name__}: ", told)
        self.assertIn(text, told)

    def assert_works(self, test, *, base=EchoTestCase, **attributes):
        """The small test case passes."""
        self.assertEqual(self.problems(base, test, **attributes), [])

    def assert_refused(self, text, call, error=UsageError):
        """``call(case, client)`` raises at once, and the client is as good as before."""

        async def test(case):
            client = await case.ws_client()
            with self.assertRaises(error) as caught:
                result = call(case, client)
                if asyncio.iscoroutine(result) or hasattr(result, "__await__"):
                    await result
            self.assertIn(text, str(caught.exception))
            await client.send("foo")
            await client.expect("foo")

        self.assert_works(test)


def descriptors():
    """Return what this process has open, where the system tells."""
    if not os.path.isdir("/proc/self/fd"):
        return 0
    return len(os.listdir("/proc/self/fd"))


async def nothing(case):
    """A test of nothing."""


class GetAppTest(BadInputTestCase):
    """``get_app`` is missing, or returns what cannot be served."""

    bases = (WebSocketTestCase, WebSocketHTTPTestCase)

    def assert_app_refused(self, text, **attributes):
        for base in self.bases:
            with self.subTest(base=base.__name__):
                self.assert_fails(UsageError, text, nothing, base=base, **attributes)

    def test_no_get_app(self):
        """A test case without get_app is told to define it."""
        self.assert_app_refused("BadTest has no get_app(): define it to return the Application under test")

    def test_get_app_returns_none(self):
        """A forgotten return is guessed at."""
        self.assert_app_refused("has get_app() forgotten its return?", get_app=lambda self: None)

    def test_get_app_returns_a_string(self):
        """A string is no app."""
        self.assert_app_refused("BadTest.get_app() got 'app' as its app", get_app=lambda self: "app")

    def test_get_app_returns_a_class(self):
        """A class is no app."""
        self.assert_app_refused("it must be a tornado.web.Application", get_app=lambda self: Application)

    def test_get_app_returns_a_coroutine_of_none(self):
        """An async get_app that returns nothing is told so, like any other."""

        async def get_app(self):
            pass

        self.assert_app_refused("has get_app() forgotten its return?", get_app=get_app)

    def test_get_app_returns_a_coroutine_of_an_app(self):
        """An async get_app is as good as any other."""

        async def get_app(self):
            return make_app()

        async def test(case):
            await (await case.ws_client()).send("foo")

        for base in self.bases:
            self.assert_works(test, base=base, get_app=get_app)

    def test_get_app_raises(self):
        """An exception of get_app is the test's."""

        def get_app(self):
            raise RuntimeError("no database")

        for base in self.bases:
            self.assert_fails(RuntimeError, "no database", nothing, base=base, get_app=get_app)

    def test_tester_without_an_app(self):
        """`WebSocketTester` refuses at its construction."""
        for app in (None, "app", Application):
            with self.assertRaisesRegex(UsageError, "must be a tornado.web.Application"):
                WebSocketTester(app)


class ClassTest(BadInputTestCase):
    """A class that is put together wrongly is refused when it is made."""

    def test_mixin_after_the_test_case(self):
        """The mixin's place in the bases is told, with the line to write."""
        with self.assertRaisesRegex(UsageError, r"class WrongTest\(WebSocketTestMixin, AsyncTestCase\)"):
            type("WrongTest", (testing.AsyncTestCase, WebSocketTestMixin), {})

    def test_mixin_over_a_base_without_a_loop(self):
        """Over a test case that is none of Tornado's, the mixin says which bases there are."""
        with self.assertRaisesRegex(UsageError, "a test case of tornado.testing"):
            type("WrongTest", (WebSocketTestMixin, unittest.TestCase), {})

    def test_mixin_over_the_standard_librarys_async_test_case(self):
        """Over IsolatedAsyncioTestCase the mixin alone does not do, and says what does."""
        with self.assertRaisesRegex(UsageError, r"class WrongTest\(IsolatedWebSocketTestCase\)"):
            type("WrongTest", (WebSocketTestMixin, unittest.IsolatedAsyncioTestCase), {})

    def test_unknown_setting(self):
        """An attribute that looks like a setting is refused with the nearest name."""
        with self.assertRaisesRegex(UsageError, "WrongTest.ws_time_out is no setting: did you mean 'ws_timeout'?"):
            type("WrongTest", (EchoTestCase,), {"ws_time_out": 1})

    def test_method_that_looks_like_a_setting(self):
        """A method of the user's own may be called ws_handshake."""

        async def ws_handshake(self):
            return "mine"

        async def test(case):
            self.assertEqual(await case.ws_handshake(), "mine")

        self.assert_works(test, ws_handshake=ws_handshake)

    def test_setting_of_a_wrong_type(self):
        """Each setting is checked before the test begins."""
        for name, value, text in (
            ("ws_path", "chat", "did you mean '/chat'?"),
            ("ws_path", 7, "a path is a str such as '/chat', not 7"),
            ("ws_timeout", 0, "timeout is a number of seconds above 0, not 0"),
            ("ws_timeout", -1, "timeout is a number of seconds above 0, not -1"),
            ("ws_timeout", "2", "timeout is a number of seconds above 0, not '2'"),
            ("ws_timeout", True, "timeout is a number of seconds above 0, not True"),
            ("ws_grace", -1, "grace is a number of seconds, 0 or more, not -1"),
            ("ws_codec", "json", "codec is a Codec(encode, decode), not 'json'"),
            ("ws_transport", "udp", "transport is 'tcp' or 'memory', not 'udp'"),
            ("ws_virtual_time", 1, "virtual_time is True or False, not 1"),
        ):
            with self.subTest(name=name, value=value):
                self.assert_fails(UsageError, text, nothing, **{name: value})

    def test_set_up_without_super(self):
        """A setUp that calls no super() is asked about it."""

        def test(case):
            case.ws_client()

        self.assert_fails(
            UsageError,
            "is super().setUp() called, and called first?",
            test,
            setUp=testing.AsyncTestCase.setUp,
            tearDown=testing.AsyncTestCase.tearDown,
        )

    def test_generator_without_gen_test(self):
        """A generator test that nobody would run is told which decorator it lacks."""

        def test(case):
            yield case.ws_client()

        self.assert_fails(UsageError, "is a generator: decorate it with tornado.testing.gen_test", test)

    def test_codec_of_no_functions(self):
        """A codec is checked when it is made."""
        with self.assertRaisesRegex(UsageError, r"Codec\(decode=\) takes a function, not 'json'"):
            Codec(str, "json")

    def test_cleanup_that_is_no_function(self):
        """addAsyncCleanup takes a function, not its result."""
        self.assert_refused("takes an async function, not None", lambda case, client: case.addAsyncCleanup(None))


class HandshakeTest(BadInputTestCase):
    """What is no handshake."""

    def test_handshake_that_is_no_callable(self):
        """The valid kinds of handshake are listed."""
        self.assert_fails(UsageError, "'hello' is no handshake\na handshake is discard()", nothing, handshake="hello")

    def test_handshake_that_is_a_class(self):
        """A class is a handshake that lacks its parentheses."""
        self.assert_fails(UsageError, "did you mean discard(...)?", nothing, handshake=discard)

    def test_handshake_of_a_call_that_is_a_class(self):
        """A call's own handshake is checked at the call."""
        self.assert_refused("did you mean discard(...)?", lambda case, client: case.ws_client(handshake=discard))

    def test_handshake_that_is_a_sync_function(self):
        """A function that is not async is told with what it returned."""

        def greet(client):
            return "hello"

        self.assert_refused(
            "the handshake greet returned 'hello'; a handshake is an async function of the client",
            lambda case, client: case.ws_client(handshake=greet),
        )

    def test_handshake_arguments_that_it_does_not_take(self):
        """Unknown arguments are told with those that are known."""

        async def login(client, user="ann"):
            pass

        self.assert_refused(
            "handshake_kwargs: login takes no room; it takes user",
            lambda case, client: case.ws_client(handshake=login, handshake_kwargs={"room": "den"}),
        )

    def test_handshake_arguments_without_a_handshake(self):
        """Arguments that nobody takes are refused."""
        self.assert_refused(
            "there is nothing that takes them", lambda case, client: case.ws_client(handshake_kwargs={"room": "den"})
        )

    def test_handshake_of_wrong_parts(self):
        """The objects of the handshake module check what they are made of."""
        for text, make in (
            ("discard() takes a number of messages, not -1", lambda: discard(-1)),
            ("discard() takes a number of messages, not 'hello'", lambda: discard("hello")),
            ("no message is a class", lambda: exchange("who", str)),
            ("'hello' is no handshake", lambda: sequence(discard(1), "hello")),
        ):
            with self.subTest(text=text), self.assertRaises(UsageError) as caught:
                make()
            self.assertIn(text, str(caught.exception))


class ConnectingTest(BadInputTestCase):
    """A path, a header, a cookie or an option that cannot be meant."""

    def assert_call_refused(self, text, *args, **kwargs):
        """`ws_client`, `ws_connect` and `expect_rejected` refuse in the same words."""
        for name in ("ws_client", "ws_connect", "expect_rejected"):
            with self.subTest(name=name):
                self.assert_refused(text, lambda case, client, name=name: getattr(case, name)(*args, **kwargs))

    def test_url_instead_of_a_path(self):
        """Where a URL goes is told."""
        self.assert_call_refused("for a server elsewhere there is connect(url)", "ws://127.0.0.1:8888/chat")

    def test_path_without_a_slash(self):
        """The path that may be meant is shown."""
        self.assert_call_refused("the path 'chat' does not start with a slash: did you mean '/chat'?", "chat")

    def test_path_with_a_space(self):
        """A character that must be encoded is told."""
        self.assert_call_refused("must be percent-encoded", "/my room")

    def test_path_of_bytes(self):
        """A path is a str."""
        self.assert_call_refused("a path is a str such as '/chat', not b'/'", b"/")

    def test_unknown_option(self):
        """The nearest option is named."""
        self.assert_call_refused("unknown option 'header': did you mean 'headers'?", header={"A": "b"})

    def test_message_callback_for_a_client(self):
        """A callback of one's own needs a plain connection."""
        self.assert_refused(
            "use ws_connect() for a plain connection with a callback of your own",
            lambda case, client: case.ws_client(on_message_callback=print),
        )

    def test_header_with_a_line_break(self):
        """A header cannot smuggle another one in."""
        self.assert_call_refused(
            "the header X-Room has a line break or another control character in it: 'den\\r\\nX: y'",
            headers={"X-Room": "den\r\nX: y"},
        )

    def test_header_beyond_latin_1(self):
        """A header that cannot be sent is told before it is sent."""
        self.assert_call_refused("the header X-Room cannot carry '☃'", headers={"X-Room": "☃"})

    def test_header_of_a_wrong_type(self):
        """A header's value is a str."""
        self.assert_call_refused("the header X-Room is a str, not 7", headers={"X-Room": 7})

    def test_headers_of_a_wrong_type(self):
        """Headers are a mapping or pairs."""
        self.assert_call_refused("headers= is a mapping or a list of pairs, not 'X-Room: den'", headers="X-Room: den")

    def test_cookies_of_a_wrong_type(self):
        """Cookies are a mapping or pairs."""
        self.assert_call_refused("cookies= is a mapping or a list of pairs, not 'user=ann'", cookies="user=ann")

    def test_cookie_name_that_is_none(self):
        """A cookie's name is a str."""
        self.assert_call_refused("cookies= has names that are str, not None", cookies={None: "ann"})

    def test_cookie_name_that_cannot_be_sent(self):
        """A cookie's name has no separator in it."""
        self.assert_call_refused("'my user' cannot be a cookie's name", cookies={"my user": "ann"})

    def test_signed_cookies_without_a_secret(self):
        """An app that signs nothing is told so."""
        self.assert_call_refused("the app has no cookie_secret to sign 'user' with", signed_cookies={"user": "ann"})

    def test_subprotocols_that_are_a_str(self):
        """One subprotocol is still a list."""
        self.assert_call_refused("subprotocols= is a list of names, not 'chat'", subprotocols="chat")

    def test_timeout_of_a_call(self):
        """A time-out is a number of seconds above 0."""
        for timeout in (0, -1, "2", True, float("nan")):
            with self.subTest(timeout=timeout):
                self.assert_refused(
                    f"timeout is a number of seconds above 0, not {timeout!r}",
                    lambda case, client, timeout=timeout: case.ws_client(timeout=timeout),
                )

    def test_name_that_is_taken(self):
        """Two open clients do not have one name."""
        self.assert_refused("an open client named 'client 1'", lambda case, client: case.ws_client(name="client 1"))

    def test_option_of_a_client_misspelt(self):
        """What only a client takes is guessed at where there is a client, and not elsewhere."""
        self.assert_refused("did you mean 'timeout'?", lambda case, client: case.ws_client(timout=3))
        self.assert_refused("did you mean 'ping_timeout'?", lambda case, client: case.ws_connect(timout=3))

    def test_name_of_a_wrong_type(self):
        """A name is a str."""
        self.assert_refused("a client's name is a str, not 7", lambda case, client: case.ws_client(name=7))

    def test_options_of_the_test_case(self):
        """What get_ws_options returns is checked as a call is."""
        self.assert_fails(
            UsageError,
            "unknown option 'subprotocol': did you mean 'subprotocols'?",
            lambda case: case.ws_client(),
            get_ws_options=lambda self: {"subprotocol": "chat"},
        )

    def test_options_of_the_test_case_that_are_no_mapping(self):
        """get_ws_options returns a mapping."""
        for wrong in (["headers"], "headers", 7):
            with self.subTest(wrong=wrong):
                self.assert_fails(
                    UsageError,
                    "get_ws_options() returns a mapping",
                    lambda case: case.ws_client(),
                    get_ws_options=lambda self, wrong=wrong: wrong,
                )

    def test_request_timeout_of_a_wrong_type(self):
        """Tornado's own time-outs are checked before it fails over them."""
        self.assert_call_refused("request_timeout is a number of seconds above 0, not '2'", request_timeout="2")

    def test_status_that_is_no_number(self):
        """A status that can equal none is refused."""
        self.assert_refused(
            "status is a number such as 403, not '403'", lambda case, client: case.expect_rejected(status="403")
        )

    def test_expected_close_code_that_is_no_number(self):
        """A close code that can equal none is refused."""
        self.assert_refused("not '4001'", lambda case, client: client.expect_closed("4001", timeout=0.1))

    def test_connect_to_a_path(self):
        """`connect` is for servers elsewhere, and takes a URL."""
        for url in ("/chat", "http://127.0.0.1/chat", "ws://", None):
            with self.subTest(url=url), self.assertRaisesRegex(UsageError, "takes a URL such as 'ws://127.0.0.1:8888/"):
                connect(url)

    def test_client_that_is_never_awaited(self):
        """A forgotten await is Python's own warning, and leaves nothing open."""

        def test(case):
            with self.assertWarnsRegex(RuntimeWarning, "was never awaited"):
                case.ws_client()
                gc.collect()

        self.assert_works(test)


class ExpectationTest(BadInputTestCase):
    """What cannot be meant as an expectation."""

    calls = ("expect", "receive", "receive_text", "receive_json", "receive_until", "expect_in_any_order", "ignore")

    def assert_expectation_refused(self, text, expected):
        for name in (*self.calls, "expect_nothing"):
            with self.subTest(name=name):
                self.assert_refused(text, lambda case, client, name=name: getattr(client, name)(expected))
        self.assert_refused(text, lambda case, client: client.answer(expected, "pong"))

    def test_class_as_an_expectation(self):
        """No message is a class; the predicate that may be meant is shown."""
        self.assert_expectation_refused("use a predicate: lambda value: isinstance(value, str)", str)

    def test_mock_as_an_expectation(self):
        """A mock would always be true."""
        mock = unittest.mock.Mock(name="predicate")
        self.assert_expectation_refused("a mock used as a predicate is always true", mock)

    def test_async_function_as_an_expectation(self):
        """A coroutine would always be true."""

        async def is_hello(value):
            return value == "hello"

        self.assert_expectation_refused("is async; it must return True or False", is_hello)

    def test_class_inside_an_expectation(self):
        """Members are looked at, too."""
        self.assert_expectation_refused("the class int is no expectation", {"n": int})
        for make in (
            lambda: containing(n=int),
            lambda: field("n", int),
            lambda: containing(["n"]),
            lambda: field("", 1),
        ):
            self.assertRaises(UsageError, make)

    def test_predicate_that_returns_no_bool(self):
        """What a predicate returned is shown with the value it was asked about."""

        async def test(case):
            client = await case.ws_client()
            await client.send("foo")
            with self.assertRaises(UsageError) as caught:
                await client.expect(lambda value: value)
            self.assertIn("returned 'foo' for 'foo'\na predicate returns True or False", str(caught.exception))
            self.assertEqual(client.unread, ("foo",))

        self.assert_works(test)

    def test_predicate_of_ignore_that_returns_no_bool(self):
        """A predicate that is asked when a message arrives is told at the next wait; the message is not lost."""

        async def test(case):
            client = await case.ws_client()
            client.ignore(lambda value: 1)
            await client.send("foo")
            with self.assertRaisesRegex(UsageError, "returned 1 for 'foo'"):
                await client.receive()
            self.assertEqual(await client.receive(), "foo")

        self.assert_works(test)

    def test_until_of_no_function(self):
        """until takes a function, not what it returned."""
        self.assert_refused(
            "until() takes a function that returns True or False", lambda case, client: case.until(True)
        )

    def test_expect_server_error_of_no_exception(self):
        """What is no exception class is shown."""
        for wrong in ("ValueError", ValueError("x"), int, (ValueError, "x")):
            self.assert_refused(
                "expect_server_error() takes an exception class, not",
                lambda case, client, wrong=wrong: case.expect_server_error(wrong),
            )

    def test_expect_server_error_of_no_pattern(self):
        """match= is a regular expression."""
        self.assert_refused(
            "match= is a regular expression, not 7", lambda case, client: case.expect_server_error(ValueError, match=7)
        )

    def test_expect_server_error_asked_too_early(self):
        """The exception is known when the block has ended."""
        self.assert_refused(
            "no handler has raised yet", lambda case, client: case.expect_server_error(ValueError).exception
        )

    def test_seconds_of_silence(self):
        """Silence lasts a number of seconds."""
        for seconds in (-1, "1", True):
            self.assert_refused(
                "seconds is a number of seconds, 0 or more",
                lambda case, client, seconds=seconds: client.expect_nothing(seconds=seconds),
            )

    def assert_timeouts_refused(self, name, *args):
        """A client's method ``name`` refuses each time-out that is none."""
        for timeout in (0, -1, "2"):
            with self.subTest(name=name, timeout=timeout):
                self.assert_refused(
                    f"timeout is a number of seconds above 0, not {timeout!r}",
                    lambda case, client, timeout=timeout: getattr(client, name)(*args, timeout=timeout),
                )

    def test_timeout_of_a_wait(self):
        """Every waiting call checks its time-out."""
        for name in ("receive", "receive_all", "expect_nothing", "expect_closed", "ping"):
            self.assert_timeouts_refused(name)
        self.assert_timeouts_refused("expect", "foo")

    def test_timeout_of_a_call_that_need_not_wait(self):
        """A time-out is checked where there is nothing to wait for, too."""
        self.assert_timeouts_refused("send", "foo")

    def test_timeout_of_a_close(self):
        """A time-out is checked before the client begins to close."""
        for name in ("close", "abort"):
            self.assert_timeouts_refused(name)

    def test_mark_that_is_no_text(self):
        """A mark of the transcript is a str."""
        self.assert_refused("a mark is a str, not 7", lambda case, client: case.transcript.mark(7))


class SendingTest(BadInputTestCase):
    """What cannot be sent."""

    def test_send_on_a_closed_client(self):
        """Sending after a close says who closed."""

        async def test(case):
            client = await case.ws_client()
            await client.close()
            for call in (client.send("foo"), client.ping(), client.send_frame(9), client.receive()):
                with self.assertRaisesRegex(ConnectionClosed, "the connection was closed by the test with 1000"):
                    await call

        self.assert_works(test)

    def test_value_that_cannot_be_encoded(self):
        """The value is shown, and why JSON does not take it."""
        self.assert_refused("cannot be encoded as a message: TypeError", lambda case, client: client.send({1, 2}))
        self.assert_refused("cannot be encoded as JSON", lambda case, client: client.send_json({1, 2}))

    def test_value_that_contains_itself(self):
        """A circle cannot be encoded, and can be shown."""
        circle = []
        circle.append(circle)
        self.assert_refused("[[...]] cannot be encoded as a message", lambda case, client: client.send(circle))

    def test_reply_that_cannot_be_encoded(self):
        """The reply of answer() is checked at the call."""
        self.assert_refused("cannot be encoded as a message", lambda case, client: client.answer("ping", {1, 2}))

    def test_text_with_a_lone_surrogate(self):
        """A text that is no Unicode is told before it is sent."""
        self.assert_refused("cannot be", lambda case, client: client.send("\ud800"))

    def test_codec_that_makes_no_message(self):
        """What a codec made is shown."""

        async def test(case):
            client = await case.ws_client(codec=Codec(lambda value: 7, str))
            with self.assertRaisesRegex(UsageError, "the codec encoded {} as 7; it must return str or bytes"):
                await client.send({})

        self.assert_works(test)

    def test_bytes_that_are_none(self):
        """Raw bytes, frames and pings take bytes."""
        self.assert_refused("send_raw() takes bytes, not 'foo'", lambda case, client: client.send_raw("foo"))
        self.assert_refused("a frame's payload is bytes, not 'foo'", lambda case, client: client.send_frame(1, "foo"))
        self.assert_refused("an opcode is a number from 0 to 15, not 16", lambda case, client: client.send_frame(16))
        self.assert_refused("a ping carries up to 125 bytes, not 7", lambda case, client: client.ping(7))
        self.assert_refused("a ping carries up to 125 bytes", lambda case, client: client.ping(b"x" * 126))

    def test_close_codes_that_are_none(self):
        """A code that no peer may send is refused, and nothing is closed."""
        for code in (0, 999, 1005, 1006, 1015, 5000, "1000", True, 1000.0):
            with self.subTest(code=code):
                self.assert_refused(
                    f"a close code is a number from 1000 to 4999 that a peer may send, not {code!r}",
                    lambda case, client, code=code: client.close(code),
                )

    def test_close_reasons_that_are_none(self):
        """A reason fits into a close frame, and needs a code."""
        self.assert_refused(
            "a close reason is a str of up to 123 bytes", lambda case, client: client.close(1000, "x" * 124)
        )
        self.assert_refused("a close reason is a str of up to 123 bytes", lambda case, client: client.close(1000, b"x"))
        self.assert_refused("a close reason needs a code", lambda case, client: client.close(None, "bye"))

    def test_pause_twice(self):
        """Who has paused is told to resume."""

        async def test(case):
            client = await case.ws_client()
            client.pause_reading()
            with self.assertRaisesRegex(UsageError, r"has paused reading already; resume_reading\(\) first"):
                client.pause_reading()

        self.assert_works(test)

    def test_resume_without_a_pause(self):
        """Who has not paused is told so."""
        self.assert_refused("has not paused reading", lambda case, client: client.resume_reading())

    def test_reconnect_while_connected(self):
        """Who is connected is told to close first."""
        self.assert_refused("client 1 is connected; close() or abort() it", lambda case, client: client.reconnect())

    def test_reconnect_with_an_unknown_option(self):
        """reconnect checks as ws_client does, and the client stays closed."""

        async def test(case):
            client = await case.ws_client()
            await client.close()
            with self.assertRaisesRegex(UsageError, "unknown option 'header': did you mean 'headers'?"):
                await client.reconnect(header={})
            self.assertTrue(client.closed)

        self.assert_works(test)


class ReceivingTest(BadInputTestCase):
    """What comes is not what was asked for: a failure, and no misuse."""

    def test_json_of_no_json(self):
        """A text that is no JSON stays unread."""

        async def test(case):
            client = await case.ws_client()
            await client.send("{nonsense")
            with self.assertRaisesRegex(UnexpectedMessage, "expected JSON, but got '{nonsense'"):
                await client.receive_json()
            self.assertEqual(client.unread, ("{nonsense",))

        self.assert_works(test)

    def test_rejection_that_is_none(self):
        """An accepted connection is no rejection, and is closed."""

        async def test(case):
            with self.assertRaisesRegex(NotRejected, "/ accepted the opening handshake"):
                await case.expect_rejected("/")
            self.assertEqual(case.ws_server.handlers, [])

        self.assert_works(test)


class HandlerThatNeverReturnsTest(BadInputTestCase):
    """An app that does not come to an end does not hold the test."""

    def test_handler_that_awaits_for_ever(self):
        """A handler that awaits when the test is over is cancelled in silence."""

        async def test(case):
            client = await case.ws_client()
            await client.send("wait")
            await case.settle()

        self.assert_works(test)

    def test_open_that_awaits_for_ever(self):
        """An open that awaits holds neither the client nor the end of the test."""

        async def test(case):
            await case.ws_client("/slowly-open")

        self.assert_works(test)

    def test_prepare_that_awaits_for_ever(self):
        """An opening handshake that is never answered is cancelled in silence, too."""

        async def test(case):
            await case.ws_client("/slow")

        self.assert_fails(MessageTimeout, "no answer to the opening handshake of /slow", test, ws_timeout=0.1)
        records = list(self.log.records)
        self.log.records.clear()
        self.assertEqual(records, [])

    def test_handler_that_awaits_for_ever_before_a_close(self):
        """A close that waits for such a handler ends in time."""

        async def test(case):
            client = await case.ws_client()
            await client.send("wait")
            await client.close()

        self.assert_fails(MessageTimeout, "EchoHandler.on_close did not run", test, ws_timeout=0.1)

    def test_handler_that_swallows_its_cancelling(self):
        """A handler that goes on when it is cancelled is named, and ended all the same."""

        class Stubborn(WebSocketHandler):
            async def on_message(self, message):
                while True:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()

        async def test(case):
            case.ws_server.app.add_handlers(".*", [("/stubborn", Stubborn)])
            await (await case.ws_client("/stubborn")).send("go")

        self.assert_fails(NotSettled, "Stubborn.on_message at test_bad_input.py", test, ws_timeout=0.1)

    def test_handler_that_spins(self):
        """A handler that goes round ends the test as NotSettled, once, with its line."""

        async def test(case):
            client = await case.ws_client()
            await client.send("spin")

        self.assert_fails(NotSettled, "EchoHandler.on_message", test, ws_timeout=0.05)

    def test_handler_that_spins_behind_a_failure(self):
        """A test that has failed already is not failed again by a handler that goes round."""

        async def test(case):
            client = await case.ws_client()
            await client.send("spin")
            await client.expect("foo")

        self.assert_fails(MessageTimeout, "waited 0.1 s for 'foo'", test, ws_timeout=0.1)

    def test_task_of_the_app_that_spins(self):
        """A task of the app's own that goes round is named."""

        def get_app(case):
            async def spin():
                while True:
                    await asyncio.sleep(0)

            case.task = asyncio.ensure_future(spin(), loop=case.io_loop.asyncio_loop)
            return make_app()

        async def test(case):
            await case.ws_client()

        async def close_app(case, app):
            case.task.cancel()
            await asyncio.wait([case.task])

        self.assert_fails(NotSettled, "spin", test, ws_timeout=0.05, get_app=get_app, close_app=close_app)


class ServerThatDoesNotStartTest(BadInputTestCase):
    """What is in the way of the server's start is told as it is, and undone."""

    def assert_start_fails(self, error, text, *, base=EchoTestCase, **options):
        """The server does not start with these ``options``, and the app is closed all the same."""
        closed = []
        self.assert_fails(
            error,
            text,
            nothing,
            base=base,
            get_httpserver_options=lambda self: options,
            close_app=lambda self, app: closed.append(app),
        )
        self.assertEqual(len(closed), 1, "close_app")

    def test_unknown_server_option(self):
        """An option that HTTPServer does not know is HTTPServer's TypeError; close_app is called all the same."""
        self.assert_start_fails(TypeError, "unexpected keyword argument 'xheader'", xheader=True)

    def test_bad_ssl_options(self):
        """Options for TLS that name no file fail the set-up, not the first client."""
        self.assert_start_fails(ValueError, "certfile", ssl_options={"certfile": "/nowhere.pem"})

    def test_unknown_server_option_over_http(self):
        """Where AsyncHTTPTestCase starts the server, the app is closed, too."""
        self.assert_start_fails(TypeError, "'xheader'", base=EchoHTTPTestCase, xheader=True)

    def test_nothing_is_left_of_a_server_that_does_not_start_over_http(self):
        """Where AsyncHTTPTestCase starts the server, its socket is closed."""
        options = {"xheader": True}
        self.assert_fails(
            TypeError, "'xheader'", nothing, base=EchoHTTPTestCase, get_httpserver_options=lambda self: options
        )

    def test_server_options_that_are_no_mapping(self):
        """get_httpserver_options returns a mapping."""
        self.assert_fails(
            UsageError,
            "get_httpserver_options() returns a mapping",
            nothing,
            get_httpserver_options=lambda self: ["xheaders"],
        )

    def test_ssl_context_without_a_certificate(self):
        """A context without a certificate fails the opening handshake, and leaves nothing open."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        async def test(case):
            with self.assertRaises(Exception):  # noqa: B017  Tornado's or ssl's own, by version
                await case.ws_client()

        self.assert_works(test, get_httpserver_options=lambda self: {"ssl_options": context}, ws_timeout=0.1)
        self.log.records.clear()  # which side of the connection complains, and of what, is a race of the two

    def test_async_set_up_raises(self):
        """A set-up that fails half-way is undone: the server is stopped and the app closed."""
        closed = []

        async def async_set_up(case):
            await case.ws_client()
            raise RuntimeError("no database")

        self.assert_fails(
            RuntimeError,
            "no database",
            nothing,
            asyncSetUp=async_set_up,
            close_app=lambda self, app: closed.append(app),
        )
        self.assertEqual(len(closed), 1)


class HypothesisTest(BadInputTestCase):
    """Decorators in the wrong order."""

    def test_gen_test_above_given(self):
        """gen_test runs the loop in which an example would have to be set up."""
        try:
            from hypothesis import given, settings
            from hypothesis import strategies as st
        except ImportError:
            self.skipTest("hypothesis is not installed")

        @gen_test
        @settings(database=None)
        @given(st.text())
        def test(case, text):
            pass

        self.assert_fails(UsageError, "@given runs inside @gen_test: put @given above it", test)


class UsedTooLateTest(BadInputTestCase):
    """A tester, or a client of it, that is used when it is over."""

    def test_tester_that_has_not_started(self):
        """A tester serves inside its block."""
        tester = WebSocketTester(make_app())
        with self.assertRaisesRegex(UsageError, "it has not been started, or its test is over"):
            tester.client()

    def test_tester_that_is_over(self):
        """After its block, a tester refuses each call."""

        async def main():
            async with WebSocketTester(make_app()) as tester:
                client = await tester.client()
            with self.assertRaisesRegex(ConnectionClosed, "closed by the test"):
                await client.send("foo")
            for call in (tester.client, tester.connect, tester.expect_server_error):
                with self.assertRaisesRegex(UsageError, "its test is over"):
                    call()
            for call in (tester.settle(), tester.fetch("/"), tester.expect_rejected("/")):
                with self.assertRaisesRegex(UsageError, "its test is over"):
                    await call

        asyncio.run(main())

    def test_handler_of_a_tester_that_is_over(self):
        """A handler whose opening handshake was never answered does not outlive the tester in a loop that goes on."""

        async def main():
            with self.assertRaises(MessageTimeout):
                async with WebSocketTester(make_app(), timeout=0.05) as tester:
                    await tester.client("/slow")
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self.log.records.clear()
            self.assertEqual(others, set())

        asyncio.run(main())

    def test_client_of_a_test_that_is_over(self):
        """A client that a test has kept says that it is closed."""
        kept = []

        async def test(case):
            kept.append(await case.ws_client())

        self.assert_works(test)
        with self.assertRaisesRegex(ConnectionClosed, "closed by the test"):
            kept[0].send("foo").send(None)


if __name__ == "__main__":
    unittest.main()
