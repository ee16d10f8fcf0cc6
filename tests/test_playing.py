"""Scenarios, played. `tests.test_transports` plays them over memory and under virtual time as well."""

import ast
import asyncio
import json
import re
import threading
import time
import unittest

from tornado.httpclient import HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.apps import article
from tests.apps.handlers import Commands, Echo, Stuck
from tests.running import run_test
from tornado_wstest import (
    Codec,
    NothingCanHappen,
    Scenario,
    ScenarioFailed,
    UsageError,
    WebSocketTestCase,
    WebSocketTester,
    containing,
    discard,
    exchange,
    field,
    play,
)


class Crashing(WebSocketHandler):
    """Raises at what it is told."""

    def on_message(self, message):
        raise ValueError(f"no room {message!r}")


class Greeting(WebSocketHandler):
    """Greets who is logged in."""

    def open(self):
        self.set_nodelay(True)
        self.write_message("hello, " + self.get_cookie("user", "stranger"))

    def on_message(self, message):
        self.write_message(message)


class Refusing(WebSocketHandler):
    """Refuses the opening handshake."""

    def prepare(self):
        raise HTTPError(401, reason="Who Are You")


class Asked(WebSocketHandler):
    """Tells what it was asked."""

    def open(self):
        self.write_message({"uri": self.request.uri, "by": self.request.headers.get("X-By")})


class Login(RequestHandler):
    """Sets a cookie, and leads home."""

    def post(self):
        self.set_cookie("user", self.get_body_argument("name"), path=self.settings["prefix"] or "/")
        self.redirect(self.settings["prefix"] + "/home")


class Home(RequestHandler):
    """Knows who is logged in."""

    def get(self):
        self.write("home of " + self.get_cookie("user", "nobody"))


class Gate(WebSocketHandler):
    """Opens the gate that `Slow` waits for."""

    def on_message(self, message):
        self.settings["gate"].set()
        self.write_message("open")


class Slow(RequestHandler):
    """Answers when the gate is open."""

    async def get(self):
        await self.settings["gate"].wait()
        self.write("at last")


class SlowOpening(WebSocketHandler):
    """Answers the opening handshake when the gate is open."""

    async def prepare(self):
        await self.settings["gate"].wait()


def make_app(prefix=""):
    """Return the article's chat, and handlers of many habits."""
    routes = [
        ("/", article.Article),
        ("/announce", article.Announce),
        ("/commands", Commands),
        ("/echo", Echo),
        ("/query", Asked),
        ("/crashing", Crashing),
        ("/greeting", Greeting),
        ("/refusing", Refusing),
        ("/login", Login),
        ("/home", Home),
        ("/gate", Gate),
        ("/slow", Slow),
        ("/slow-opening", SlowOpening),
        ("/stuck", Stuck),
    ]
    return Application(
        [(prefix + path, handler) for path, handler in routes], people=[], prefix=prefix, gate=asyncio.Event()
    )


ROB = (
    Scenario("/", name="rob", query={"name": "rob"})
    .expect({"message": "rob has connected"})
    .mark("rob is in")
    .expect({"message": "ann has connected"}, then={"message": "hello, ann"})
    .expect({"message": "rob: hello, ann"})
    .expect(containing(message=re.compile("^ann: ")))
)
ANN = (
    Scenario("/", name="ann", query={"name": "ann"})
    .after("rob is in")
    .expect({"message": "ann has connected"})
    .expect({"message": "rob: hello, ann"}, then=lambda value: {"message": "hello, rob"})
    .expect({"message": "ann: hello, rob"})
    .expect({"message": "rob has disconnected"})
)


def commands(*messages, **options):
    """Return a scenario whose server sends these messages at once."""
    return Scenario("/commands", **options).send({"send": list(messages)})


def echo(**options):
    """Return a scenario whose server sends back what it gets."""
    return Scenario("/echo", **options)


class PlayTestCase(WebSocketTestCase):
    """The base of those below."""

    def get_app(self):
        return make_app()

    async def fails(self, *scenarios, error=ScenarioFailed, **options):
        """Play, and return what it raised."""
        with self.assertNoLogs("asyncio", "ERROR"), self.assertRaises(error) as caught:
            await self.play(*scenarios, **options)
        return caught.exception

    async def assert_nothing_is_left(self, tasks):
        """No client, no handler and no task but ``tasks`` is there any more."""
        await self.settle()
        self.assertEqual(self.ws_server.handlers, [])
        self.assertEqual(asyncio.all_tasks() - tasks, set())


class ArticleTest(PlayTestCase):
    """The conversation that each article on the subject begins with."""

    async def test_rob_and_ann(self):
        """Two users connect, talk and leave, and each sees the whole of it."""
        await self.play(ROB, ANN)

    async def test_the_order_of_the_users_does_not_matter(self):
        """Who goes first is said by the marks."""
        await self.play(ANN, ROB)

    async def test_again(self):
        """A scenario is played as often as one likes, and two pairs of names at once."""
        await self.play(ROB, ANN)
        await self.play(ROB, ANN)

    async def test_names_in_the_transcript(self):
        """Each user's connection, and each mark, stands in the transcript by the user's name."""
        await self.play(ROB, ANN)
        self.assertEqual({event.client for event in self.transcript}, {"rob", "ann"})
        marks = [(event.client, event.payload) for event in self.transcript if event.kind == "mark"]
        self.assertEqual(marks, [("rob", "rob is in")])

    async def test_two_plays_at_once(self):
        """Plays of one tester, at the same time, know nothing of each other's marks."""
        one = echo(name="ann").mark("a").send("1").expect("1"), echo(name="bob").after("a").send("2").expect("2")
        other = echo(name="cat").send("3").expect("3").mark("a"), echo(name="dan").after("a").send("4").expect("4")
        await asyncio.gather(self.play(*one), self.play(*other))


class StepTest(PlayTestCase):
    """Each kind of step, as it should be, and as it should not."""

    async def test_send(self):
        """Text, binary, and whatever the codec takes."""
        await self.play(echo().send("a").expect("a").send(b"b").expect(b"b").send([1]).expect([1]))

    async def test_send_null(self):
        """None is JSON's null."""
        await self.play(echo().send(None).expect("null"))

    async def test_expect_another_message(self):
        """The next message has to match."""
        error = await self.fails(commands("a", "b").expect("b"))
        self.assertRegex(str(error), r"^user 1, step 2 of 2, \.expect\('b'\): user 1 expected 'b'\nbut the next .*'a'")
        self.assertEqual((error.client, error.step), ("user 1", 2))
        self.assertTrue(error.why.startswith("user 1 expected 'b'"), error.why)

    async def test_expect_passes_over_others(self):
        """With ignore_others, what comes before the one that matches is no failure; what came last is its value."""
        await self.play(
            commands("a", {"n": 1}, {"n": 2}, "b", ignore_others=True)
            .expect(field("n", 2), then=lambda value: {"send": [str(value["n"])]})
            .expect("2")
        )

    async def test_expect_in_its_time(self):
        """timeout= is for one step."""
        error = await self.fails(echo(name="ann").expect("a", timeout=0.02))
        self.assertIn("ann, step 1 of 1, .expect('a', timeout=0.02): ann waited 0.02 s for 'a'", str(error))

    async def test_scenario_timeout(self):
        """Scenario(timeout=) is for each of its steps."""
        error = await self.fails(echo(name="ann", timeout=0.02).expect("a"))
        self.assertIn("ann waited 0.02 s for 'a'", str(error))

    async def test_predicates(self):
        """A predicate is asked about the value."""
        await self.play(commands({"n": 3}).expect(lambda value: value["n"] > 2))

    async def test_null(self):
        """JSON's null is a value like any other, in a dict and at a path."""
        await self.play(commands({"a": None}, {"b": {"c": None}}).expect({"a": None}).expect(field("b/c", None)))
        error = await self.fails(commands({"a": 0}).expect(field("a", None)))
        self.assertIn("expected None, got 0", str(error))

    async def test_any_item(self):
        """Two slashes are any item."""
        body = {"body": [{"colour": "red"}, {"colour": "blue"}]}
        await self.play(commands(body).expect(field("body//colour", "blue")))
        error = await self.fails(commands(body).expect(field("body//colour", "green")))
        self.assertIn("'green' in one of ['red', 'blue']", str(error))

    async def test_in_any_order(self):
        """Each expectation takes a message of its own."""
        await self.play(commands("a", "b", "c").expect_in_any_order("c", "b", "a"))

    async def test_in_any_order_with_a_stranger(self):
        """One that fits none fails the play."""
        error = await self.fails(commands("a", "x").expect_in_any_order("a", "b"))
        self.assertIn("'x' fits none of them", str(error))

    async def test_in_any_order_passes_over_others(self):
        """With ignore_others, strangers between them are passed over, and gone."""
        await self.play(
            commands("x", "a", "x", "b", "c", ignore_others=True).expect_in_any_order("b", "a").expect_nothing("x")
        )

    async def test_nothing(self):
        """Silence holds until a message is there."""
        await self.play(echo().expect_nothing().send("a").expect("a").expect_nothing(seconds=0.01))
        error = await self.fails(commands("a").expect_nothing())
        self.assertIn(".expect_nothing(): user 1 expected nothing, but 'a' came", str(error))

    async def test_nothing_for_some_time(self):
        """What a timer sends within the seconds is seen, what it sends after them is not."""
        later = Scenario("/commands").send({"sleep": 0.05, "send": ["a"]})
        await self.play(later.expect_nothing(seconds=0.001).expect("a"))
        error = await self.fails(later.expect_nothing(seconds=0.1))
        self.assertIn("expected nothing, but 'a' came", str(error))

    async def test_nothing_like(self):
        """Silence of one kind lets others come."""
        await self.play(commands("a", "b").expect_nothing("c").expect("a").expect("b"))
        error = await self.fails(commands("a", "b", ignore_others=True).expect_nothing("b"))
        self.assertIn("expected nothing like 'b', but 'b' came", str(error))

    async def test_closed(self):
        """The server's close, with its code and reason."""
        await self.play(Scenario("/commands").send({"close": [4001, "bye"]}).expect_closed(4001, "bye"))
        error = await self.fails(Scenario("/commands").send({"close": [4001, "bye"]}).expect_closed(4002))
        self.assertIn("expected a close with 4002, but the connection was closed with 4001 'bye'", str(error))

    async def test_closed_after_a_message(self):
        """A message before the close fails it; with ignore_others it does not."""
        farewell = {"send": ["a"], "close": [1000]}
        error = await self.fails(Scenario("/commands").send(farewell).expect_closed())
        self.assertIn("expected a close, but 1 message came before: 'a'", str(error))
        await self.play(Scenario("/commands", ignore_others=True).send(farewell).expect_closed(1000))

    async def test_closed_in_its_time(self):
        """A connection that stays open is told."""
        error = await self.fails(echo().expect_closed(timeout=0.02))
        self.assertIn("waited 0.02 s for a close", str(error))

    async def test_ignore(self):
        """What is ignored is no failure, whether it waits already or is still to come."""
        await self.play(
            commands("x", "a", "x", "b").expect_nothing("z").ignore("x", "y").expect("a").expect("b"),
            commands("a", "x").expect("a").ignore("x").send({"send": ["x", "b"]}).expect("b"),
        )

    async def test_answer(self):
        """What is answered is no failure, whether it waits already or is still to come."""
        for reply in ({"send": ["pong"]}, lambda value: {"send": [value["re"]]}):
            ping = {"re": "pong"}
            await self.play(
                commands(ping).expect_nothing("z").answer(ping, reply).expect("pong"),
                Scenario("/commands").answer(ping, reply).send({"send": [ping, "a"]}).expect("a").expect("pong"),
            )

    async def test_answer_that_raises(self):
        """An exception of a reply says whose it is, also if it is raised in a later step."""
        scenario = commands("a", "b").answer("a", lambda value: {}[value]).expect("b").expect("c")
        for one in (scenario, commands("a").expect_nothing("z").answer("a", lambda value: {}[value])):
            error = await self.fails(one, error=KeyError)
            self.assertRegex(error.__notes__[0], r"^raised by the reply of user 1, step \d of \d, \.answer\('a'")

    async def test_answer_that_cannot_be_sent(self):
        """A reply of None sends nothing, and is told."""
        error = await self.fails(commands("a").answer("a", lambda value: None).expect("b"), error=UsageError)
        self.assertIn("<lambda> returned None, which cannot be sent", str(error))
        user = commands("a").answer("a", lambda value: asyncio.sleep(0)).expect("b")
        error = await self.fails(user, error=UsageError)
        self.assertIn("which cannot be sent\nit is a plain function", str(error))

    async def test_close(self):
        """A user closes, with a code, and the server knows."""
        closed = self.ws_server.app.settings.setdefault("closed", [])

        def codes(response):
            return json.dumps([(handler.close_code, handler.close_reason) for handler in closed])

        await self.play(
            echo(name="ann").close().mark("ann").after("bob"),
            echo(name="bob").after("ann").close(4000, "bye").mark("bob"),
            echo(name="cat").after("bob").fetch("/home", then=codes).expect([[1000, None], [4000, "bye"]]),
        )

    async def test_close_with_unread_messages(self):
        """As at the end, nothing may be unread at a close."""
        error = await self.fails(commands("a").close())
        self.assertIn("step 2 of 2, .close(): user 1 got what no step takes: 'a'", str(error))

    async def test_fetch(self):
        """A page, with whatever headers and query the user has."""
        await self.play(
            Scenario("/", name="rob", query={"name": "rob"}, headers={"X-By": "rob"})
            .expect({"message": "rob has connected"})
            .fetch("/announce", status=201, method="POST", body="fire")
            .expect({"announced": "fire", "by": "rob"})
        )

    async def test_fetch_another_status(self):
        """Anything below 400 is right by default, and else what was asked for."""
        await self.play(echo().fetch("/home").fetch("/nowhere", status=404))
        error = await self.fails(echo(name="ann").fetch("/nowhere"))
        self.assertIn(
            "ann, step 1 of 1, .fetch('/nowhere'): /nowhere was answered with 404 Not Found,"
            " expected a status below 400\nits body: '<html>",
            str(error),
        )
        error = await self.fails(echo().fetch("/home", status=404))
        self.assertIn("/home was answered with 200 OK, expected 404", str(error))

    async def test_fetch_then(self):
        """What is fetched is sent, or what a function makes of it."""
        await self.play(
            echo().fetch("/home", then="b").expect("b"),
            echo().fetch("/home", then=lambda response: response.body.decode()).expect("home of nobody"),
        )

    async def test_login_and_connect(self):
        """A login by HTTP, then the websocket, which has the cookie; another user has none."""
        await self.play(
            Scenario("/greeting", name="ann")
            .fetch("/login", method="POST", data={"name": "ann"})
            .connect()
            .expect("hello, ann")
            .fetch("/home", then=lambda response: response.body.decode())
            .expect("home of ann"),
            Scenario("/greeting").expect("hello, stranger"),
        )

    async def test_cookies(self):
        """Cookies of a scenario go with pages and websockets."""
        await self.play(
            Scenario("/greeting", cookies={"user": "bob"})
            .expect("hello, bob")
            .fetch("/home", then=lambda response: response.body.decode())
            .expect("home of bob"),
            Scenario("/greeting", cookies={"user": "bob"})
            .fetch("/login", method="POST", data={"name": "ann"})
            .connect()
            .expect("hello, ann"),
        )

    async def test_a_slow_page_blocks_nobody(self):
        """While one user waits for a page, another goes on; the page comes when that one has opened the gate."""
        await self.play(
            echo(name="ann").mark("a").fetch("/slow", then=lambda response: response.body.decode()).expect("at last"),
            Scenario("/gate", name="bob").after("a").expect_nothing().send("open").expect("open"),
        )

    async def test_a_page_in_its_time(self):
        """A page that never comes is told, within the scenario's timeout."""
        error = await self.fails(echo(name="ann", timeout=0.5).fetch("/slow"))
        self.assertIn("ann, step 1 of 1, .fetch('/slow'): GET /slow was not answered within 0.5 s", str(error))
        error = await self.fails(echo(name="ann", timeout=5).fetch("/slow", request_timeout=0.5))
        self.assertIn("GET /slow was not answered within 0.5 s", str(error))

    async def test_wait(self):
        """Time passes, by the test's clock."""
        before = asyncio.get_running_loop().time()
        await self.play(echo().wait(0.05).send("a").expect("a"))
        self.assertGreaterEqual(asyncio.get_running_loop().time() - before, 0.0499)


class ThenTest(PlayTestCase):
    """What is sent next."""

    async def test_a_value(self):
        """A value is sent as it is."""
        await self.play(echo().send("a").expect("a", then={"b": 1}).expect({"b": 1}))

    async def test_a_function(self):
        """A function is called with the value that came, and what it returns is sent."""
        await self.play(echo().send({"n": 1}).expect({"n": 1}, then=lambda value: value["n"] + 1).expect("2"))

    async def test_values_carried_on(self):
        """A value goes from message to message, and with an object of the test's own beyond the next."""
        kept = {}

        def keep(value):
            kept.update(value)
            return {"step": 2}

        await self.play(
            echo()
            .send({"id": 17})
            .expect(containing(id=lambda number: number > 10), then=keep)
            .expect({"step": 2}, then=lambda value: {"back to": kept["id"]})
            .expect({"back to": 17})
        )

    async def test_a_list_of_values(self):
        """After expect_in_any_order it is called with all values, in the order of what was expected."""
        await self.play(
            commands("b", "a", {"c": 1})
            .expect_in_any_order({"c": 1}, "a", "b", then=lambda values: {"send": [json.dumps(values)]})
            .expect([{"c": 1}, "a", "b"])
        )

    async def test_the_message_where_it_has_no_value(self):
        """What the codec cannot decode is given as it is."""
        codec = Codec(json.dumps, json.loads)
        for ignore_others in (False, True):
            user = echo(codec=codec, ignore_others=ignore_others).send("no JSON")
            await self.play(user.expect("no JSON", then=lambda message: message + "!").expect("no JSON!"))

    async def test_what_cannot_be_sent(self):
        """A value that the codec does not encode is told before anybody connects, by its step."""
        for scenario, step in (
            (echo(name="ann").send("a").expect("a", then=object()), r"step 2 of 2, \.expect\('a'"),
            (echo(name="ann").send({1, 2}), r"step 1 of 1, \.send\(\{1, 2\}"),
            (echo(name="ann").answer("a", {1, 2}), r"step 1 of 1, \.answer\('a'"),
            (echo(name="ann").fetch("/home", then={1, 2}), r"step 1 of 1, \.fetch\('/home'"),
        ):
            error = await self.fails(echo(name="bob").send("b"), scenario, error=UsageError)
            self.assertRegex(str(error), rf"^ann, {step}.*: .* cannot be encoded as a message: TypeError")
            self.assertIsInstance(error.__cause__, TypeError)
        self.assertEqual(len(self.transcript), 0)

    async def test_what_a_function_returned_that_cannot_be_sent(self):
        """A function's bad result is told with the step, and ends the play."""

        for then, text in (
            (lambda value: None, "<lambda> returned None, which cannot be sent"),
            (lambda value: asyncio.sleep(0), "<lambda> returned None, which cannot be sent"),
            (lambda value: asyncio.sleep(0, asyncio.sleep(0)), "<lambda> returned <coroutine .*cannot be sent"),
            (lambda value: {1}, r"\{1\} cannot be encoded as a message"),
        ):
            error = await self.fails(echo(name="ann").send("a").expect("a", then=then), error=UsageError)
            self.assertRegex(str(error), rf"(?s)^ann, step 2 of 2, \.expect\('a', then=<lambda>\): {text}")

    async def test_an_async_function(self):
        """A function may be async: what it returns is sent, while others go on."""
        opened = asyncio.Event()

        async def wait(value):
            await opened.wait()
            return f"{value}, opened"

        await self.play(
            echo(name="ann").send("a").expect("a", then=wait).expect("a, opened"),
            echo(name="bob").send("b").expect_in_any_order("b", then=wait).expect("['b'], opened"),
            echo(name="cat").fetch("/home", then=wait).expect(re.compile("^HTTPResponse.*, opened$")),
            echo(name="dan").send("d").expect("d", then=lambda _: opened.set() or "done").expect("done"),
        )

    async def test_an_async_function_in_its_time(self):
        """It has as long as its step: the step's own time, the scenario's, or the test's."""

        async def never(value):
            await asyncio.Event().wait()

        for steps in (
            echo(name="ann").send("a").expect("a", then=never, timeout=0.02),
            echo(name="ann").send("a").expect_in_any_order("a", then=never, timeout=0.02),
            echo(name="ann", timeout=0.02).send("a").expect("a", then=never),
            echo(name="ann", timeout=0.02).send("a").expect("a").fetch("/home", then=never),
        ):
            error = await self.fails(steps)
            self.assertRegex(str(error), r"^ann, step \d of \d, .*: never did not return within 0.02 s\n")
        async with WebSocketTester(make_app(), timeout=0.02) as wstest:
            with self.assertRaisesRegex(ScenarioFailed, "never did not return within 0.02 s"):
                await wstest.play(echo().send("a").expect("a", then=never))

    async def test_an_async_function_with_a_timeout_of_its_own(self):
        """A TimeoutError that it raises stays what it is."""

        async def late(value):
            raise TimeoutError("the database")

        error = await self.fails(echo().send("a").expect("a", then=late), error=TimeoutError)
        self.assertEqual(str(error), "the database")

    async def test_exceptions_of_functions(self):
        """What the user's own function raises stays what it is, and says where it was raised."""

        class StopTestError(BaseException):
            """As pytest's own are, of pytest.fail() and pytest.skip()."""

        for own in (KeyError("x"), self.failureException("not so"), unittest.SkipTest("no"), StopTestError("no")):

            def raising(value, own=own):
                raise own

            error = await self.fails(echo(name="ann").send("a").expect("a", then=raising), error=type(own))
            self.assertIs(error, own)
            self.assertEqual(error.__notes__[0], "raised at ann, step 2 of 2, .expect('a', then=raising)")

    async def test_context_of_exceptions(self):
        """An exception that was raised while another was handled is shown with it, as anywhere."""

        def raising(value):
            try:
                return {}[value]
            except KeyError:
                raise LookupError("no such room")  # noqa: B904

        error = await self.fails(echo().send("a").expect("a", then=raising), error=LookupError)
        self.assertIsInstance(error.__context__, KeyError)
        self.assertFalse(error.__suppress_context__)


class MarkTest(PlayTestCase):
    """Who waits for whom."""

    async def test_connects_no_sooner(self):
        """A user that begins with after() connects when the mark is set."""
        await self.play(
            Scenario("/", name="rob", query={"name": "rob"})
            .expect({"message": "rob has connected"})
            .expect_nothing()
            .mark("rob is in")
            .expect({"message": "ann has connected"})
            .mark("rob has seen ann"),
            Scenario("/", name="ann", query={"name": "ann"})
            .after("rob is in")
            .expect({"message": "ann has connected"})
            .after("rob has seen ann")
            .ignore({"message": "rob has disconnected"}),
        )
        connects = [(event.client, event.kind) for event in self.transcript if event.kind in ("connect", "mark")]
        self.assertEqual(connects[:3], [("rob", "connect"), ("rob", "mark"), ("rob", "mark")])

    async def test_a_barrier_of_many(self):
        """A mark that many have is set when the last has come to it."""
        users = 20
        all_in = []

        def user(number):
            return (
                echo(name=f"user {number}")
                .send(str(number))
                .expect(str(number), then=lambda value: all_in.append(value) or "in")
                .expect("in")
                .mark("all are in")
                .after("all are in")
                .send("go")
                .expect(lambda value: value == "go" and len(all_in) == users)
            )

        await self.play(*(user(number) for number in range(users)))
        self.assertEqual(len(all_in), users)

    async def test_several_marks_at_once(self):
        """Marks that one user sets one after the other let those go on who wait for one of them."""
        await self.play(
            echo(name="ann").after("a").send("a").expect("a"),
            echo(name="bob").send("b").expect("b").mark("a").mark("b").mark("c"),
            echo(name="cat").after("b", "a").send("c").expect("c"),
        )

    async def test_after_several(self):
        """All marks of one after() are waited for, whichever is set first."""
        seen = []

        def is_in(name):
            return echo(name=name).send(name).expect(name, then=lambda value: seen.append(value) or "go").expect("go")

        await self.play(
            echo(name="ann").after("bob", "cat").send("a").expect("a", then=lambda _: seen).expect(["cat", "bob"]),
            echo(name="bob").after("cat") | is_in("bob").mark("bob"),
            is_in("cat").mark("cat"),
        )

    async def test_marks_without_a_connection(self):
        """A user who does nothing but wait connects then, and goes."""
        await self.play(echo(name="ann").after("a"), echo(name="bob").send("b").expect("b").mark("a"))
        connected = [event.client for event in self.transcript if event.kind in ("connect", "mark")]
        self.assertEqual(connected, ["bob", "bob", "ann"])

    async def test_deadlock(self):
        """Users who wait for each other are told at once, with who should set what."""
        error = await self.fails(
            echo(name="ann").send("a").expect("a").after("bob is in").mark("ann is in"),
            echo(name="bob").after("ann is in").mark("bob is in"),
            echo(name="cat").send("c").expect("c"),
        )
        self.assertIn("nobody can go on: each user who is not through waits for a mark\n", str(error))
        self.assertIn("  'bob is in' is to be set by bob\n", str(error))
        self.assertIn("  'ann is in' is to be set by ann\n", str(error))
        self.assertRegex(str(error), r"(?m)^meanwhile:\n(  .*\n)?  \w+ was at step ")
        self.assertIn("\n  cat was through", str(error))

    async def test_deadlock_when_the_last_has_gone(self):
        """That nobody can go on may also be known when one is through."""
        error = await self.fails(
            echo(name="ann").after("a").mark("a"), echo(name="bob").send("b").expect("b").wait(0.01)
        )
        self.assertIn("'a' is to be set by ann", str(error))

    async def test_no_deadlock_while_one_can_go_on(self):
        """One whose mark has just been set waits no more, although it has not gone on yet."""
        await self.play(
            echo(name="ann").after("bob is done"),
            echo(name="bob").after("cat is in").mark("bob is done"),
            echo(name="cat").send("c").expect("c").mark("cat is in").after("bob is done"),
        )

    async def test_a_barrier_that_one_does_not_come_to(self):
        """Of a mark of many, those are named who have not come to it."""
        error = await self.fails(
            echo(name="ann").mark("a").after("a"),
            echo(name="bob").mark("a").after("a"),
            echo(name="cat").after("b").mark("a"),
            echo(name="dan").after("a").mark("b"),
        )
        self.assertIn("\n  'a' is to be set by cat\n", str(error))
        self.assertIn("\n  'b' is to be set by dan\n", str(error))

    async def test_many_who_do_not_come(self):
        """Eight are named, the others counted."""
        users = [echo(name=f"user {number:02}").after("a").mark("a") for number in range(11)]
        error = await self.fails(*users)
        self.assertIn("'a' is to be set by user 00, user 01, ", str(error))
        self.assertIn(", user 07 and 3 more\n", str(error))
        self.assertRegex(str(error), r"\n  and 2 more$")

    async def test_a_mark_that_nobody_sets(self):
        """It is told before anybody connects, with the nearest one."""
        error = await self.fails(echo(name="ann").after("rob in"), echo().mark("rob is in"), error=UsageError)
        self.assertEqual(str(error), "ann waits after the mark 'rob in', which nobody sets: did you mean 'rob is in'?")
        error = await self.fails(echo().after("a"), error=UsageError)
        self.assertEqual(str(error), "user 1 waits after the mark 'a', which nobody sets: no scenario sets a mark")
        self.assertEqual(len(self.transcript), 0)


class EndTest(PlayTestCase):
    """How a user, and a play, end."""

    async def test_unread_messages(self):
        """A message that no step has taken fails the play, also one that comes after the last step."""
        error = await self.fails(commands("a", "b", name="ann"))
        self.assertRegex(
            str(error), r"^ann, after its 1 step: ann got what no step takes: 'a', and 1 other message\nexpect\(\) it"
        )
        self.assertEqual(error.step, 1)

    async def test_one_unread_message(self):
        """One has no others."""
        error = await self.fails(commands("a", name="ann"))
        self.assertIn("got what no step takes: 'a'\n", str(error))

    async def test_unread_messages_that_are_ignored(self):
        """With ignore_others it is no failure."""
        await self.play(commands("a", "b", ignore_others=True).expect("a"))

    async def test_a_close_that_no_step_expects(self):
        """A server that closes before the end is told, also with ignore_others, and with what raised there."""
        for ignore_others in (False, True):
            closing = Scenario("/commands", name="ann", ignore_others=ignore_others).send({"close": [4001, "bye"]})
            error = await self.fails(closing)
            self.assertIn(
                "ann, after its 1 step: ann was to close the connection after its last step,"
                " but the connection was closed with 4001 'bye'\nif it should close: .expect_closed(4001)",
                str(error),
            )

    async def test_a_crash_after_the_last_step(self):
        """The handler's exception is the cause."""
        async with self.expect_server_error(ValueError):
            error = await self.fails(Scenario("/crashing", name="ann").send("den"))
        self.assertIsInstance(error.__cause__, ValueError)
        self.assertIn("Crashing raised ValueError", str(error))

    async def test_a_crash_in_the_middle(self):
        """What was missing is named, and the handler's exception is the cause."""
        async with self.expect_server_error(ValueError):
            error = await self.fails(Scenario("/crashing", name="ann").send("den").expect("joined"))
        self.assertIn("ann, step 2 of 2, .expect('joined'): ann waited for 'joined', but the connection", str(error))
        self.assertIn("no room 'den'", str(error.__cause__))
        self.assertEqual(error.client, "ann")

    async def test_a_close_in_the_middle(self):
        """A server that closes is told with its code, and with what a scenario can do."""
        error = await self.fails(Scenario("/commands", name="ann").send({"close": [4001, "bye"]}).expect("a"))
        self.assertIn("ann waited for 'a', but the connection was closed with 4001 'bye'", str(error))
        self.assertIn("if it should close: .expect_closed(4001)", str(error))

    async def test_refused(self):
        """A refused opening handshake is told with its status, and the others' places."""
        error = await self.fails(Scenario("/refusing", name="ann").send("a"), echo(name="bob").expect("never"))
        self.assertRegex(
            str(error), r"^ann, connecting: ann could not connect: HTTP 401: Who Are You\nif .*\nmeanwhile:\n  bob was "
        )
        self.assertIsInstance(error.__cause__, HTTPClientError)
        self.assertEqual(error.step, 1)

    async def test_http_errors_that_are_asked_for(self):
        """raise_error=True raises Tornado's own."""
        error = await self.fails(echo(name="ann").fetch("/nowhere", raise_error=True), error=HTTPClientError)
        self.assertEqual((error.code, error.__notes__[0][:13]), (404, "raised at ann"))

    async def test_a_handshake_that_fails(self):
        """A handshake of the user's is part of connecting."""
        error = await self.fails(echo(name="ann", handshake=exchange("a", "b")).send("c"))
        self.assertRegex(str(error), r"^ann, connecting: ")
        self.assertIn("'a'", str(error))

    async def test_first_failure_counts(self):
        """One user's failure ends the play; it is the one that is told."""
        error = await self.fails(echo(name="ann").expect("never"), commands("x", name="bob").expect("a"))
        self.assertEqual(error.client, "bob")
        self.assertIn("meanwhile:\n  ann was at step 1 of 1, .expect('never')", str(error))

    async def test_alone(self):
        """Where there are no others, none are told of."""
        self.assertNotIn("meanwhile", str(await self.fails(commands("x").expect("a"))))

    async def test_time_is_up(self):
        """After the whole play's timeout it says where everyone was, those first who are not through."""
        error = await self.fails(
            echo(name="ann").send("a").expect("a").mark("a"),
            echo(name="bob").wait(3600).send("b"),
            Scenario("/slow-opening", name="cat").after("a"),
            Scenario("/stuck", name="dan").send("d"),
            timeout=0.5,
        )
        self.assertEqual(
            str(error).splitlines()[:-1],
            [
                "the play was not over after 0.5 s",
                "  bob was at step 1 of 2, .wait(3600)",
                "  cat was connecting",
                "  dan had done 1 step, and waited for its end",
                "  ann was through",
            ],
        )
        self.ws_server.app.settings["gate"].set()

    async def test_timeout_is_checked(self):
        """A timeout is a number of seconds."""
        await self.fails(echo().send("a"), timeout=0, error=UsageError)

    async def test_a_failed_play_leaves_nothing(self):
        """No client, no handler and no task; and the same names can be played again."""
        tasks = asyncio.all_tasks()
        await self.fails(
            commands("x", name="ann").expect("a"),
            echo(name="bob").expect("never"),
            echo(name="cat").after("b"),
            echo(name="dan").wait(3600).mark("b"),
            Scenario("/slow-opening", name="eve").send("a"),
            echo(name="fay").fetch("/slow"),
        )
        self.ws_server.app.settings["gate"].set()
        await self.assert_nothing_is_left(tasks)
        await self.play(commands("x", name="ann").expect("x"), echo(name="bob").send("a").expect("a"))

    async def test_a_failed_play_waits_for_whom_it_cancels(self):
        """What a user's function has to clean up is done when the play returns."""
        done = []

        async def wait(value):
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                done.append(value)

        await self.fails(
            echo(name="ann").send("a").expect("a", then=wait).mark("never"),
            echo(name="bob").wait(0.01).send("b").expect("c"),
        )
        self.assertEqual(done, ["a"])

    async def test_a_play_that_is_over_leaves_nothing(self):
        """Neither does one that went well; each handler's on_close has run."""
        tasks = asyncio.all_tasks()
        await self.play(ROB, ANN)
        self.assertEqual(self.ws_server.app.settings["people"], [])
        await self.assert_nothing_is_left(tasks)

    async def test_a_cancelled_play_leaves_nothing(self):
        """Whoever cancels a play has no more of it."""
        tasks = asyncio.all_tasks()
        task = asyncio.ensure_future(self.play(echo(name="ann").expect("never"), echo(name="bob").wait(3600)))
        await self.settle()
        self.assertEqual(len(self.ws_server.handlers), 2)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        await self.assert_nothing_is_left(tasks)

    async def test_a_play_under_a_timeout_of_asyncio(self):
        """asyncio.timeout ends a play as it ends anything."""
        tasks = asyncio.all_tasks()
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.05):
                await self.play(echo(name="ann").expect("never", timeout=3600), timeout=3600)
        await self.assert_nothing_is_left(tasks)

    async def test_a_user_that_is_cancelled_is_no_success(self):
        """A play in which somebody cancelled a user is cancelled, and does not pass."""

        def cancel(value):
            raise asyncio.CancelledError

        with self.assertRaises(asyncio.CancelledError):
            await self.play(echo().send("a").expect("a", then=cancel), echo().send("b").expect("b"))


class SettingsTest(PlayTestCase):
    """What a scenario, and its test case, say of each user."""

    async def test_default_names(self):
        """Users without a name are numbered."""
        await self.play(*(one.send("a").expect("a") for one in (echo(), echo(name="ann"), echo())))
        self.assertEqual({event.client for event in self.transcript}, {"user 1", "ann", "user 3"})

    async def test_two_of_one_name(self):
        """The names of one play are different, also from those that are given by number."""
        for one, other, name in ((echo(name="a"), echo(name="a"), "a"), (echo(name="user 2"), echo(), "user 2")):
            error = await self.fails(one.send("b"), other.send("b"), error=UsageError)
            self.assertEqual(str(error), f"two scenarios are named {name!r}: the names of one play are different")

    async def test_a_name_that_is_taken(self):
        """A client of the test's own with that name is told."""
        await self.ws_client("/echo", name="ann")
        error = await self.fails(echo(name="ann").send("a"), error=UsageError)
        self.assertIn("ann, connecting: there is an open client named 'ann' already", str(error))

    async def test_without_steps(self):
        """A scenario that says nothing is a mistake."""
        error = await self.fails(echo().send("a"), echo(), error=UsageError)
        self.assertEqual(str(error), "the scenario of user 2 has no steps: Scenario(...).send(...).expect(...)")

    async def test_what_is_no_scenario(self):
        """Scenarios, and at least one."""
        for scenarios in ((), ("a",), ([ROB, ANN],)):
            await self.fails(*scenarios, error=UsageError)

    async def test_signed_cookies_without_a_secret(self):
        """What only the app can tell is told before anybody connects, by the user's name."""
        error = await self.fails(
            echo().send("a"), echo(name="ann", signed_cookies={"user": "a"}).send("a"), error=UsageError
        )
        self.assertRegex(str(error), "^ann: signed_cookies: the app has no cookie_secret")
        self.assertEqual(len(self.transcript), 0)

    async def test_path_of_the_test_case(self):
        """Where no path is given, users connect where all clients do."""
        await self.play(Scenario(query={"name": "ann"}).expect({"message": "ann has connected"}))

    async def test_query_and_headers(self):
        """Query and headers go with the websocket."""
        await self.play(
            Scenario("/query?d=e", query={"a": "b"}, headers={"X-By": "c"}).expect({"uri": "/query?d=e&a=b", "by": "c"})
        )

    async def test_codec(self):
        """A scenario may have a codec of its own, for what it sends, expects and makes."""
        python = Codec(repr, ast.literal_eval)
        await self.play(echo(codec=python).send({1, 2}).expect({1, 2}, then={3}).expect({3}))
        codec = Codec(lambda value: f"<{value}>", lambda message: int(message.strip("<>")))
        await self.play(echo(codec=codec).send(3).expect(3, then=lambda value: value + 1).expect("<4>"))
        await self.play(
            echo(codec=codec, ignore_others=True).send(3).expect(3, then=lambda value: value + 1).expect("<4>")
        )


class HandshakeTest(PlayTestCase):
    """The handshake of the class."""

    ws_path = "/greeting"
    handshake = discard(1)

    async def test_of_the_class(self):
        """Each user goes through it."""
        await self.play(*(Scenario(name=name).send("a").expect("a") for name in ("ann", "bob")))

    async def test_none(self):
        """A scenario may do without."""
        await self.play(Scenario(handshake=None).expect("hello, stranger"))

    async def test_another(self):
        """Or have one of its own."""
        await self.play(Scenario(handshake=exchange("b", "hello, stranger")).expect("b"))


class VirtualTimeTest(unittest.TestCase):
    """What only virtual time shows."""

    def play(self, *scenarios, **settings):
        """Play, and return how much time has passed."""

        async def test():
            async with WebSocketTester(make_app(), virtual_time=True, transport="memory", **settings) as wstest:
                await wstest.play(*scenarios)
                return wstest.clock.time()

        return asyncio.run(test())

    def test_an_hour(self):
        """An hour of waiting takes no time, and neither does silence."""
        self.assertEqual(self.play(echo().wait(3600).send("a").expect("a").expect_nothing(seconds=1800)), 5400)

    def test_nothing_can_happen(self):
        """A message that can never come is told at once: whose step it is, and who waits for what."""
        with self.assertRaises(ScenarioFailed) as caught:
            self.play(echo(name="ann").expect("a").mark("c"), echo(name="bob").mark("b").after("b", "c"))
        text = str(caught.exception)
        self.assertRegex(text, r"^(ann|bob), step \d of \d, .*: nothing can ever happen again, at 0 s of virtual time")
        self.assertIn("waited for:\n  ann waits for 'a'\n  bob waits for the mark 'c'\n", text)

    def test_the_toolkit_is_not_told_of(self):
        """Where a wait says what for, the tasks of this package are left out."""
        with self.assertRaises(ScenarioFailed) as caught:
            self.play(echo(name="ann").expect("a"))
        self.assertNotIn("_User", str(caught.exception))

    def test_a_page_that_never_comes(self):
        """Where only a page is waited for, the user is named."""
        with self.assertRaises(NothingCanHappen) as caught:
            self.play(echo(name="ann").fetch("/slow"))
        self.assertIn("ann in _User.run", str(caught.exception))

    def test_the_limit_goes_with_the_play(self):
        """The limit of a play that is over is no event to wait for."""

        async def test():
            async with WebSocketTester(make_app(), virtual_time=True, transport="memory") as wstest:
                await wstest.play(echo().send("a").expect("a"), timeout=50)
                with self.assertRaisesRegex(ScenarioFailed, "at 0 s of virtual time"):
                    await wstest.play(echo().expect("a"))

        asyncio.run(test())

    def test_limit_of_a_play(self):
        """A timeout that was asked for is the limit of a wait, and twice that of a play."""
        with self.assertRaisesRegex(ScenarioFailed, "the play was not over after 2 s"):
            self.play(echo().fetch("/slow", request_timeout=0), timeout=1)

    def test_limit_is_later_where_a_scenario_waits(self):
        """Whatever a scenario says of seconds comes on top of it."""
        slow = {"sleep": 20, "send": ["a"]}
        self.play(echo().wait(100).expect_nothing(seconds=50).send("a").expect("a"), timeout=1)
        self.play(Scenario("/commands").send(slow).expect("a", timeout=30), timeout=1)
        self.play(Scenario("/commands", timeout=30).send(slow).expect("a").send(slow).expect("a"), timeout=1)
        with self.assertRaisesRegex(ScenarioFailed, "GET /slow was not answered within 30 s"):
            self.play(echo().fetch("/slow", request_timeout=30), timeout=1)


class Busy(WebSocketHandler):
    """Goes round for a while after each message."""

    def on_message(self, message):
        self.task = asyncio.create_task(self.go_round(time.monotonic() + float(message)))

    async def go_round(self, until):
        while time.monotonic() < until:
            await asyncio.sleep(0)


class RestTest(unittest.IsolatedAsyncioTestCase):
    """At its end a user waits for the app to come to rest."""

    async def test_others_may_go_on_for_as_long_as_the_play_may_last(self):
        """An app that is busy for longer than a wait lasts is no failure of one who is done."""
        async with WebSocketTester(Application([("/", Busy)]), timeout=0.5) as wstest:
            await wstest.play(Scenario().send("0.9"), timeout=10)


class TwoTestersTest(unittest.IsolatedAsyncioTestCase):
    """More than one server."""

    async def test_at_the_same_time(self):
        """Two testers play the same scenarios at once."""
        async with WebSocketTester(make_app()) as one, WebSocketTester(make_app(), transport="memory") as other:
            await asyncio.gather(one.play(ROB, ANN), other.play(ROB, ANN))
            self.assertEqual(len(one.transcript), len(other.transcript))

    async def test_play_after_the_test(self):
        """A tester that is not running plays nothing."""
        with self.assertRaisesRegex(UsageError, "not running"):
            await WebSocketTester(make_app()).play(ROB, ANN)


class ServerErrorTest(unittest.TestCase):
    """A handler that raises where no step looks."""

    def test_of_a_client_that_no_scenario_has(self):
        """It fails the test at its end, although the play went well."""

        class Case(PlayTestCase):
            async def test_it(self):
                client = await self.ws_client("/crashing", name="eve")
                await client.send("den")
                await self.play(ROB, ANN)

        outcome = run_test(Case)
        self.assertIn("Crashing raised ValueError: no room 'den' on the connection of eve", outcome.text)

    def test_of_a_user_who_ignores_it(self):
        """Neither is it lost where the user expects the close that it caused."""

        class Case(PlayTestCase):
            async def test_it(self):
                await self.play(Scenario("/crashing", name="eve").send("den").expect_closed(1006))

        self.assertIn("Crashing raised ValueError: no room 'den' on the connection of eve", run_test(Case).text)

    def test_of_a_page(self):
        """An exception behind a page is the cause of the step's failure, and told once."""

        class Broken(RequestHandler):
            def get(self):
                raise ValueError("no page")

        class Case(PlayTestCase):
            def get_app(self):
                return Application([("/", Echo), ("/broken", Broken)])

            async def test_it(self):
                await self.play(Scenario(name="eve").fetch("/broken"))

        outcome = run_test(Case)
        self.assertEqual((len(outcome.failures), outcome.errors), (1, []))
        self.assertIn("ValueError: no page\n\nThe above exception was the direct cause", outcome.text)
        self.assertIn("/broken was answered with 500 Internal Server Error, expected a status below 400", outcome.text)

    def test_transcript(self):
        """A failure carries the transcript, which ends where the play failed, with what was unread."""

        class Case(PlayTestCase):
            async def test_it(self):
                await self.play(commands("x", name="ann").expect("a"), echo(name="bob").expect("b"))

        text = run_test(Case).text
        self.assertRegex(text, r"ann <--\* ?'x'")
        self.assertNotIn("close", text[text.index("transcript") :])


class ElsewhereTestCase(unittest.IsolatedAsyncioTestCase):
    """Scenarios against a server that no tester has started, in the same loop."""

    prefix = ""

    async def asyncSetUp(self):
        self.app = make_app(self.prefix)
        sock, port = bind_unused_port()
        server = HTTPServer(self.app)
        server.add_sockets([sock])
        self.addCleanup(server.stop)
        self.url = f"ws://127.0.0.1:{port}{self.prefix}"


class ElsewhereTest(ElsewhereTestCase):
    """Below the root."""

    async def test_rob_and_ann(self):
        """The same conversation, and again."""
        await play(ROB, ANN, url=self.url)
        await play(ROB, ANN, url=self.url)

    async def test_a_slash_at_the_end(self):
        """A slash at the end of the URL makes no difference."""
        await play(ROB, ANN, url=self.url + "/")

    async def test_path_of_the_url(self):
        """Where a scenario has no path, it connects to the URL itself."""
        scenario = Scenario().expect(containing(uri=f"{self.prefix}/query?a=b"))
        await play(scenario, url=self.url + "/query?a=b")

    async def test_login(self):
        """Cookies and redirects, as with the app under test."""
        await play(
            Scenario("/greeting")
            .fetch("/login", method="POST", data={"name": "ann"})
            .connect()
            .expect("hello, ann")
            .fetch("/home", then=lambda response: response.body.decode())
            .expect("home of ann"),
            url=self.url,
        )

    async def test_status(self):
        """A page's status is looked at."""
        with self.assertRaisesRegex(ScenarioFailed, "/nowhere was answered with 404"):
            await play(Scenario("/echo").fetch("/nowhere"), url=self.url)

    async def test_a_failure(self):
        """A failure is the same, with the transcript as a note."""
        with self.assertRaises(ScenarioFailed) as caught:
            await play(commands("x", name="ann").expect("a"), url=self.url)
        self.assertIn("ann, step 2 of 2, .expect('a'): ann expected 'a'", str(caught.exception))
        self.assertIn(f"ann --> connect {self.prefix}/commands", caught.exception.__notes__[0])
        self.assertEqual(len(caught.exception.__notes__), 1)

    async def test_a_page_that_never_comes(self):
        """A page has its time here, too."""
        with self.assertRaisesRegex(ScenarioFailed, "GET (/app)?/slow was not answered within 0.5 s"):
            await play(Scenario("/echo", timeout=0.5).fetch("/slow"), url=self.url)
        self.app.settings["gate"].set()

    async def test_timeout(self):
        """So has the whole play."""
        with self.assertRaisesRegex(ScenarioFailed, "the play was not over after 0.5 s"):
            await play(echo().expect("a"), url=self.url, timeout=0.5)

    async def test_nobody_is_there(self):
        """A server that does not listen is the operating system's error, with the step."""
        sock, port = bind_unused_port()
        sock.close()
        with self.assertRaises(ConnectionRefusedError) as caught:
            await play(echo(name="ann").send("a"), url=f"ws://127.0.0.1:{port}")
        self.assertEqual(caught.exception.__notes__[0], "raised at ann, connecting")

    async def test_nothing_is_left(self):
        """Neither a task nor a connection."""
        tasks = asyncio.all_tasks()
        with self.assertRaises(ScenarioFailed):
            await play(commands("x").expect("a"), echo().expect("b"), url=self.url)
        while asyncio.all_tasks() - tasks:  # the server's own end of the connections
            await asyncio.sleep(0)

    async def test_refusals(self):
        """A URL and scenarios, checked before anybody connects; nothing has happened, so nothing is told of it."""
        for scenarios, url, text in (
            ((ROB,), "http://127.0.0.1", "a URL such as"),
            ((ROB,), "/chat", "a URL such as"),
            ((ROB,), "ws://127.0.0.1:99999", "cannot connect to 'ws://127.0.0.1:99999': Port out"),
            ((ROB,), "ws://127.0.0.1:port", "cannot connect to 'ws://127.0.0.1:port'"),
            ((ROB,), "ws://[::1", "cannot connect to .*Invalid IPv6 URL"),
            ((ROB,), self.url + "/?a=b", "has a query, and the path '/' cannot be appended"),
            ((), self.url, "one Scenario or more"),
            ((ANN,), self.url, "which nobody sets"),
            ((echo(signed_cookies={"a": "b"}).send("a"),), self.url, "no cookie_secret"),
        ):
            with self.subTest(url=url, text=text), self.assertRaisesRegex(UsageError, text) as caught:
                await play(*scenarios, url=url)
            self.assertFalse(hasattr(caught.exception, "__notes__"))


class ElsewhereWithAPrefixTest(ElsewhereTest):
    """Below a path."""

    prefix = "/app"


class ElsewhereInAThreadTest(unittest.TestCase):
    """A server with a loop of its own."""

    def setUp(self):
        started = threading.Event()

        async def serve():
            sock, self.port = bind_unused_port()
            server = HTTPServer(make_app())
            server.add_sockets([sock])
            self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
            started.set()
            await self.over.wait()
            server.stop()
            await server.close_all_connections()

        thread = threading.Thread(target=asyncio.run, args=[serve()])
        thread.start()
        self.addCleanup(thread.join)
        started.wait()
        self.addCleanup(lambda: self.loop.call_soon_threadsafe(self.over.set))

    def test_rob_and_ann(self):
        """The same conversation, with pages in between."""
        asyncio.run(play(ROB.fetch("/home"), ANN.ignore("x").fetch("/home"), url=f"ws://127.0.0.1:{self.port}"))

    def test_unread_messages(self):
        """What came and nobody took fails the play."""
        with self.assertRaisesRegex(ScenarioFailed, "got what no step takes: 'x'"):
            asyncio.run(play(commands("x"), url=f"ws://127.0.0.1:{self.port}"))
