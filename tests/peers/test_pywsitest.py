"""What pywsitest 0.3.8 can do, played against real handlers; and what it cannot."""

import asyncio
import json
from unittest.mock import ANY

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.apps.article import Announce, Article
from tests.apps.handlers import Commands, Echo, NeverAnswers, Ping, Query, Stuck
from tests.running import run_test
from tornado_wstest import (
    MessageTimeout,
    Scenario,
    ScenarioFailed,
    WebSocketTestCase,
    as_json,
    containing,
    field,
    play,
)
from tornado_wstest.matching import matches

RED = {"type": "picked", "body": [{"colour": "red", "id": 7}, {"colour": "blue", "id": None}]}


class Patient(RequestHandler):
    """Answers when the chat has two people."""

    async def get(self):
        while len(self.settings["people"]) < 2:
            await asyncio.sleep(1)
        self.write({"people": 2})


class Porter(WebSocketHandler):
    """Asks two things of everyone, in the order that the path says, and tells whether both answers are right."""

    def open(self, order):
        self.right = set()
        self.questions = {"forth": ["name", "room"], "back": ["room", "name"], "one-by-one": ["room", "name"]}[order]
        for _ in range(1 if order == "one-by-one" else 2):
            self.ask()

    def ask(self):
        self.write_message({"ask": self.questions.pop(0)})

    def on_message(self, message):
        self.right |= json.loads(message).items() & {("name", "ann"), ("room", "den")}
        if len(self.right) == 2:
            self.write_message({"welcome": "ann"})
        elif self.questions:
            self.ask()


class PeerTestCase(WebSocketTestCase):
    """The chat of the article, and some handlers with one habit each. An hour takes no time."""

    ws_path = "/commands"
    ws_virtual_time = True

    def get_app(self):
        return Application(
            [
                ("/", Article),
                ("/announce", Announce),
                ("/commands", Commands),
                ("/echo", Echo),
                ("/never-answers", NeverAnswers),
                ("/patient", Patient),
                ("/ping", Ping),
                ("/query", Query),
                ("/porter/(back|forth|one-by-one)", Porter),
                ("/stuck", Stuck),
            ],
            people=[],
            cookie_secret="for tests",
        )

    async def failure(self, *scenarios, **options):
        """Play what must fail, and return how it did."""
        with self.assertRaises(ScenarioFailed) as caught:
            await self.play(*scenarios, **options)
        return caught.exception

    def sent(self, name="user 1"):
        """Return the values that a user has sent."""
        return [json.loads(e.payload) for e in self.transcript if (e.client, e.kind) == (name, "sent")]


def text_of(response):
    """Return the text of an HTTP response."""
    return response.body.decode()


class WSTestTest(PeerTestCase):
    """``WSTest``: `Scenario`, and ``play``."""

    async def test_uri(self):
        """``WSTest(uri)``: the path of a scenario, or of the test case where it has none."""
        await self.play(Scenario("/query").expect(containing(path="/query")))
        await self.play(Scenario().send({"send": ["here"]}).expect("here"))

    async def test_parameter(self):
        """``with_parameter``: ``query=``."""
        await self.play(
            Scenario("/query", query={"a": "1", "b": "2"}).expect(containing(query={"a": ["1"], "b": ["2"]}))
        )

    async def test_header(self):
        """``with_header``: ``headers=``."""
        await self.play(Scenario("/query", headers={"X-By": "ann"}).expect(field("headers/X-By", "ann")))

    async def test_response(self):
        """``with_response``: ``expect``, in the order in which they come."""
        await self.play(Scenario().send({"send": [{"a": 1}, {"b": 2}]}).expect({"a": 1}).expect({"b": 2}))

    async def test_responses_in_any_order(self):
        """``with_response`` twice, whichever comes first: ``expect_in_any_order``."""
        await self.play(Scenario().send({"send": [{"b": 2}, {"a": 1}]}).expect_in_any_order({"a": 1}, {"b": 2}))

    async def test_responses_between_others(self):
        """What no ``with_response`` expects is passed over: ``ignore_others=True``."""
        others = {"send": ["x", {"b": 2}, "y", {"a": 1}, "z"]}
        await self.play(Scenario(ignore_others=True).send(others).expect_in_any_order({"a": 1}, {"b": 2}))

    async def test_first_expectation_that_matches(self):
        """One message meets one expectation: of two that are alike, each needs a message of its own."""
        scenario = Scenario().send({"send": [{"a": 1}, {"a": 2}]})
        await self.play(scenario.expect_in_any_order(containing(a=ANY), {"a": 1}))
        failure = await self.failure(scenario.expect_in_any_order(containing(a=1), {"a": 1}))
        self.assertIn("{'a': 1}", failure.why)

    async def test_message(self):
        """``with_message``: ``send``."""
        await self.play(Scenario("/echo").send({"a": 1}).expect({"a": 1}))

    async def test_request(self):
        """``with_request``: ``fetch``."""
        scenario = Scenario("/", query={"name": "ann"}).expect(ANY)
        scenario = scenario.fetch("/announce", method="POST", body="tea", headers={"X-By": "bob"}, status=201)
        await self.play(scenario.expect({"announced": "tea", "by": "bob"}))

    async def test_response_timeout(self):
        """``with_response_timeout``: ``timeout=`` of a scenario, or of one step."""
        for scenario in (Scenario(timeout=10).expect("x"), Scenario().expect("x", timeout=10)):
            with self.subTest(scenario=scenario):
                before = self.clock.time()
                failure = await self.failure(scenario)
                self.assertIn("user 1 waited 10 s for 'x'", failure.why)
                self.assertAlmostEqual(self.clock.time() - before, 10, places=3)

    async def test_request_timeout(self):
        """``with_request_timeout``: ``request_timeout=`` of a fetch."""
        failure = await self.failure(Scenario().fetch("/never-answers", request_timeout=10))
        self.assertIn("GET /never-answers was not answered within 10 s", failure.why)

    async def test_test_timeout(self):
        """``with_test_timeout``: ``play(timeout=)``; it says where everyone was."""
        ann = Scenario(name="ann").send({"sleep": 100, "send": ["late"]}).expect("late")
        failure = await self.failure(ann, timeout=60)
        self.assertIn("the play was not over after 60 s\n  ann was at step 2 of 2, .expect('late')", str(failure))
        self.assertAlmostEqual(self.clock.time(), 60, places=1)

    async def test_received_response_logging(self):
        """``with_received_response_logging``: the transcript has them all."""
        await self.play(Scenario().send({"send": ["a", "b"]}).expect("a").expect("b"))
        self.assertEqual([event.payload for event in self.transcript if event.kind == "received"], ["a", "b"])

    def test_log_responses_on_error(self):
        """``log_responses_on_error``: a failure shows what came, without being asked."""

        class Case(PeerTestCase):
            async def test_it(self):
                await self.play(Scenario(name="ann").send({"send": ["hello"]}).expect("bye"))

        self.assertRegex(run_test(Case).text, r"ann <--\*'hello'")

    async def test_complete(self):
        """``run`` and ``is_complete``: a play that returns is complete; one that is not says what it lacks."""
        await self.play(Scenario().send({"send": ["a"]}).expect("a"))
        failure = await self.failure(Scenario(name="ann").send({"send": ["a"]}).expect("a").expect("b", timeout=1))
        self.assertEqual((failure.client, failure.step), ("ann", 3))
        self.assertIn("ann, step 3 of 3, .expect('b'", str(failure))

    async def test_declared_attributes(self):
        """``uri``, ``parameters``, ``headers``, ``messages``, ``requests``, ``*_timeout``: attributes, too."""
        scenario = (
            Scenario("/chat", query={"a": "1"}, headers={"X-By": "ann"}, timeout=5).send("hi").expect("ho").fetch("/")
        )
        self.assertEqual((scenario.path, scenario.timeout), ("/chat", 5))
        self.assertEqual(scenario.options, {"query": {"a": "1"}, "headers": {"X-By": "ann"}})
        steps = [(step.kind, step.arguments) for step in scenario.steps]
        self.assertEqual(steps, [("send", ("hi",)), ("expect", ("ho",)), ("fetch", ("/",))])

    async def test_attributes_of_what_happened(self):
        """``sent_messages``, ``received_responses``, ``received_json``: events of the transcript, of each user."""
        await self.play(Scenario("/echo", name="ann").send({"a": 1}).expect({"a": 1}))
        events = [(event.client, event.kind, event.payload) for event in self.transcript]
        self.assertEqual(events[1:3], [("ann", "sent", '{"a": 1}'), ("ann", "received", '{"a": 1}')])

    async def test_attributes_of_requests(self):
        """``sent_requests``, ``received_request_responses``: the function after a fetch sees both."""
        seen = []

        def tell(response):
            seen.append((response.request.method, response.request.url, response.code, response.body))
            return "seen"

        await self.play(Scenario("/echo").fetch("/ping", then=tell).expect("seen"))
        self.assertEqual(seen, [("GET", self.ws_server.url("/ping"), 200, b'{"pong": null}')])


class MessageTimeoutTest(PeerTestCase):
    """A server that does not read."""

    ws_transport = "memory"

    async def test_message_timeout(self):
        """``with_message_timeout``: a scenario's ``timeout=`` is for sending, too."""
        large = "x" * 5_000_000
        failure = await self.failure(Scenario("/stuck", timeout=10).send(large).send(large))
        self.assertIn("waited 10 s for the server to read 'xxx", failure.why)
        self.assertEqual(failure.step, 2)


class ElsewhereTest(PeerTestCase):
    """A server that is not the test's."""

    ws_virtual_time = False

    async def test_uri_of_a_server_elsewhere(self):
        """``WSTest("ws://...")``: ``play(..., url=)``, also for what is fetched."""
        ann = Scenario("/echo").fetch("/ping?n=1", then=text_of).expect({"pong": "1"})
        await play(ann, url=self.ws_server.ws_url(""))


class WSResponseTest(PeerTestCase):
    """``WSResponse``: what is expected."""

    async def assert_expected(self, expected, *, of=RED):
        """A message is as expected."""
        await self.play(Scenario("/echo").send(of).expect(expected))

    async def test_attribute(self):
        """``with_attribute(path, value)``: `field`."""
        await self.assert_expected(field("type", "picked"))

    async def test_attribute_of_any_value(self):
        """``with_attribute(path)``: `field` with ``mock.ANY``, which demands the place and no value."""
        await self.assert_expected(field("body/0/id", ANY))
        await self.failure(Scenario("/echo").send(RED).expect(field("body/0/size", ANY)))

    async def test_several_attributes(self):
        """``with_attribute`` twice: `containing`, or one `field` in another."""
        await self.assert_expected(containing(type="picked", body=field("0", containing(colour="red", id=7))))

    async def test_nested_path(self):
        """A path goes down by ``/``, and by numbers into lists."""
        await self.assert_expected(field("body/1/colour", "blue"))

    async def test_path_with_a_leading_slash(self):
        """A slash in front does not matter."""
        await self.assert_expected(field("/body/1/colour", "blue"))

    async def test_path_with_any_item(self):
        """Nothing between two slashes is any item."""
        await self.assert_expected(field("body//colour", "blue"))
        await self.failure(Scenario("/echo").send(RED).expect(field("body//colour", "green")))

    async def test_message_that_is_a_list(self):
        """A path may begin with a number."""
        await self.assert_expected(field("0/a", 1), of=[{"a": 1}])

    async def test_trigger(self):
        """``with_trigger``: ``then=``."""
        await self.play(Scenario("/echo").send({"a": 1}).expect({"a": 1}, then={"b": 2}).expect({"b": 2}))

    async def test_several_triggers(self):
        """``with_trigger`` twice: ``then=`` and ``send``."""
        scenario = Scenario("/echo").send("a").expect("a", then="b").send("c").expect("b").expect("c")
        await self.play(scenario)

    async def test_triggers_of_messages_in_any_order(self):
        """Messages that come in any order, each with its trigger: ``answer``; the outcome shows that both came."""
        ann = (
            Scenario()
            .answer({"ask": "name"}, {"name": "ann"})
            .answer({"ask": "room"}, {"room": "den"})
            .expect({"welcome": "ann"})
        )
        for order in ("back", "forth", "one-by-one"):
            with self.subTest(order=order):
                await self.play(Scenario(f"/porter/{order}") | ann)

    async def test_trigger_of_several_messages_in_any_order(self):
        """One trigger when all have come, in any order: ``expect_in_any_order(..., then=)``, with their values."""
        asked = Scenario().expect_in_any_order(
            {"ask": "name"}, {"ask": "room"}, then=lambda values: {values[0]["ask"]: "ann", values[1]["ask"]: "den"}
        )
        for order in ("back", "forth"):
            with self.subTest(order=order):
                await self.play(Scenario(f"/porter/{order}") | asked.expect({"welcome": "ann"}))

    async def test_triggers_of_messages_that_must_come(self):
        """Each must come and each is answered at once, in any order: ``receive(expected)`` of a client, gathered."""

        async def answer(client, expected, reply):
            await client.receive(expected)
            await client.send(reply)

        for order in ("back", "forth", "one-by-one"):
            with self.subTest(order=order):
                client = await self.ws_client(f"/porter/{order}")
                await asyncio.gather(
                    answer(client, {"ask": "name"}, {"name": "ann"}), answer(client, {"ask": "room"}, {"room": "den"})
                )
                await client.expect({"welcome": "ann"})

    def test_match(self):
        """``is_match``: `tornado_wstest.matching.matches`, of a message and its value."""
        message = json.dumps(RED)
        self.assertTrue(matches(field("body//colour", "red"), message, RED))
        self.assertFalse(matches(field("body//colour", "green"), message, RED))


class WSMessageTest(PeerTestCase):
    """``WSMessage``: what is sent."""

    async def test_attribute(self):
        """``with_attribute``: a member of the value."""
        await self.play(Scenario("/echo").send({"a": 1, "b": [True, None]}).expect({"a": 1, "b": [True, None]}))

    async def test_delay(self):
        """``with_delay``: ``wait``."""
        await self.play(Scenario("/echo").wait(3600).send("a").expect("a"))
        self.assertAlmostEqual(self.clock.time(), 3600, places=1)

    async def test_delay_of_a_trigger(self):
        """``with_trigger`` of a message ``with_delay``: ``wait`` and ``send`` after the ``expect``."""
        await self.play(Scenario("/echo").send("a").expect("a").wait(3600).send("b").expect("b"))
        self.assertAlmostEqual(self.clock.time(), 3600, places=1)

    async def test_delay_does_not_hold_up_others(self):
        """While one user waits, the others talk."""
        ann = Scenario("/", name="ann", query={"name": "ann"}).expect(ANY).wait(60).ignore(ANY).mark("ann was quiet")
        bob = Scenario("/", name="bob", query={"name": "bob"}, ignore_others=True).send({"message": "hi"})
        bob = bob.expect({"message": "bob: hi"}, timeout=1).after("ann was quiet")
        await self.play(ann, bob)

    async def test_value_of_the_message_that_came(self):
        """``resolve``: ``then=`` is a function of the value, and may take any part of it, for any place."""
        scenario = Scenario("/echo").send(RED)
        scenario = scenario.expect(ANY, then=lambda value: {"pick": {"ids": [value["body"][0]["id"]]}})
        await self.play(scenario.expect({"pick": {"ids": [7]}}))

    async def test_value_inside_a_text(self):
        """``${path}`` as a part of a text, which ``resolve`` leaves as it is: a function again."""
        scenario = Scenario("/echo").send(RED)
        scenario = scenario.expect(ANY, then=lambda value: {"say": f"number {value['body'][0]['id']}"})
        await self.play(scenario.expect({"say": "number 7"}))

    async def test_text(self):
        """``str(message)``: what travels is JSON; the transcript has it as it was sent."""
        await self.play(Scenario("/echo").send({"a": None}).expect(as_json({"a": None})))
        self.assertEqual([event.payload for event in self.transcript if event.kind == "sent"], ['{"a": null}'])


class RestRequestTest(PeerTestCase):
    """``RestRequest``: HTTP in between."""

    async def test_method(self):
        """``RestRequest(uri, method)``: ``fetch(path, method=)``; the answer may be what is sent next."""
        scenario = Scenario("/echo").fetch("/ping", method="POST", body="hi", then=text_of)
        await self.play(scenario.expect("hi"))

    async def test_header(self):
        """``with_header``: ``headers=`` of the fetch; a scenario's own go with each fetch."""
        ann = Scenario("/", query={"name": "ann"}, headers={"X-By": "ann"}).expect(ANY)
        ann = ann.fetch("/announce", method="POST", body="tea").expect({"announced": "tea", "by": "ann"})
        ann = ann.fetch("/announce", method="POST", body="tea", headers={"X-By": "bob"})
        await self.play(ann.expect({"announced": "tea", "by": "bob"}))

    async def test_body(self):
        """``with_body``: ``json=``."""
        scenario = Scenario("/echo").fetch("/ping", method="POST", json={"a": 1}, then=text_of)
        await self.play(scenario.expect({"a": 1}))

    async def test_delay(self):
        """``with_delay``: ``wait`` before the ``fetch``."""
        await self.play(Scenario("/echo").wait(60).fetch("/ping"))
        self.assertAlmostEqual(self.clock.time(), 60, places=1)

    async def test_send(self):
        """``send(timeout)``, outside of a scenario: ``http_fetch``."""
        response = await self.http_fetch("/ping?n=1", request_timeout=10)
        self.assertEqual(json.loads(response.body), {"pong": "1"})

    async def test_answer_of_another_status(self):
        """A request that fails fails the play, which says what was answered."""
        failure = await self.failure(Scenario("/echo").fetch("/nowhere"))
        self.assertIn("/nowhere was answered with 404 Not Found, expected a status below 400", failure.why)


class WSTimeoutErrorTest(PeerTestCase):
    """``WSTimeoutError``: `MessageTimeout` of a client, `ScenarioFailed` of a play."""

    async def test_timeout_error(self):
        """What was waited for, by whom, and for how long."""
        client = await self.ws_client(name="ann")
        with self.assertRaisesRegex(MessageTimeout, "ann waited 10 s for 'x'"):
            await client.expect("x", timeout=10)


class DefectsTest(PeerTestCase):
    """What is wrong there, and right here."""

    async def test_null(self):
        """JSON's null is a value like any other, at a path, as a member, and as the whole message."""
        await self.play(Scenario("/echo").send(RED).expect(field("body/1/id", None)))
        await self.play(Scenario("/echo").send(RED).expect(field("body//id", None)))
        await self.play(Scenario("/echo").send({"a": None}).expect({"a": None}))
        await self.play(Scenario("/echo").send("null").expect(as_json(None)))
        await self.failure(Scenario("/echo").send({"a": 1}).expect(containing(a=None)))

    async def test_headers(self):
        """Headers are sent, whatever their names."""
        scenario = Scenario("/query", headers={"Authorization": "Bearer t0p", "X-Room": "den"})
        await self.play(scenario.expect(containing(headers={"Authorization": "Bearer t0p", "X-Room": "den"})))

    async def test_requests_do_not_block(self):
        """While one user's request is not answered, the others go on: it is answered because of one who comes then."""
        ann = Scenario("/", name="ann", query={"name": "ann"}, ignore_others=True)
        bob = Scenario("/", name="bob", query={"name": "bob"}, ignore_others=True)
        ann = ann.expect(ANY).mark("ann is in").fetch("/patient").mark("answered")
        await self.play(ann, bob.after("ann is in").expect(ANY).after("answered"))

    async def test_play_twice(self):
        """A scenario is a value: it plays again, and none of its steps is used up."""
        scenario = Scenario("/echo").send({"a": 1}).expect({"a": 1})
        before = repr(scenario)
        for _ in range(2):
            await self.play(scenario)
        self.assertEqual((repr(scenario), self.sent()), (before, [{"a": 1}, {"a": 1}]))

    async def test_close_of_the_server(self):
        """A close while something is expected says what, and how it was closed."""
        failure = await self.failure(Scenario(name="ann").send({"close": [4001, "tired"]}).expect({"type": "welcome"}))
        self.assertIn("ann, step 2 of 2, .expect({'type': 'welcome'})", str(failure))
        self.assertIn("the connection was closed with 4001 'tired'", failure.why)

    async def test_close_that_was_not_expected(self):
        """A close where nothing should come, or after the last step, is a failure, too."""
        for scenario in (Scenario().send({"close": [1001]}).expect_nothing(), Scenario().send({"close": [1001]})):
            with self.subTest(scenario=scenario):
                self.assertIn("the connection was closed with 1001", (await self.failure(scenario)).why)

    async def test_query_values_are_encoded(self):
        """Whatever is in a value arrives as it was given."""
        name = "ann & bob = é?#/+ %20"
        await self.play(Scenario("/query", query={"name": name}).expect(field("query/name/0", name)))

    async def test_message_that_is_no_json(self):
        """A text that is no JSON is a message like any other, and breaks nothing."""
        await self.play(Scenario("/echo").send("no {json").expect("no {json"))
        await self.play(Scenario("/echo", ignore_others=True).send("no {json").send({"a": 1}).expect(containing(a=1)))


class BeyondTest(PeerTestCase):
    """What is not there at all."""

    async def test_binary(self):
        """Binary messages."""
        await self.play(Scenario("/echo").send(b"\x00\xff").expect(b"\x00\xff"))

    async def test_close(self):
        """A close of the server's, with its code and reason; one of the user's own."""
        await self.play(Scenario().send({"close": [4001, "tired"]}).expect_closed(4001, "tired"))
        await self.play(Scenario("/", query={"name": "ann"}).expect(ANY).close(1001, "tired"))

    async def test_nothing(self):
        """That nothing comes, or nothing of a kind."""
        await self.play(Scenario().send({"send": ["a"]}).expect_nothing("b").expect("a").expect_nothing())
        await self.failure(Scenario().send({"send": ["a"]}).expect_nothing())

    async def test_message_that_no_step_takes(self):
        """What nobody expected fails the play, unless others are ignored."""
        failure = await self.failure(Scenario().send({"send": ["a", "b"]}).expect("a"))
        self.assertIn("got what no step takes: 'b'", failure.why)

    async def test_article(self):
        """Two users, their marks in the place of delays: the chat of the article."""
        await self.play(*chat())

    async def test_article_with_a_bug(self):
        """A chat that forgets to say who leaves: the one who misses it is named, with the step."""

        class Rude(Article):
            def on_close(self):
                self.settings["people"].remove(self)

        self.ws_server.app.wildcard_router.rules[0].target = Rude
        failure = await self.failure(*chat(timeout=10))
        self.assertIn("ann, step 5 of 5, .expect({'message': 'rob has disconnected'})", str(failure))


def chat(**options):
    """Return two users of the chat."""
    rob = (
        Scenario("/", name="rob", query={"name": "rob"}, **options)
        .expect({"message": "rob has connected"})
        .mark("rob is in")
        .expect({"message": "ann has connected"}, then={"message": "hello, ann"})
        .expect({"message": "rob: hello, ann"})
        .expect({"message": "ann: hello, rob"})
    )
    ann = (
        Scenario("/", name="ann", query={"name": "ann"}, **options)
        .after("rob is in")
        .expect({"message": "ann has connected"})
        .expect({"message": "rob: hello, ann"}, then=lambda value: {"message": f"hello, {value['message'][:3]}"})
        .expect({"message": "ann: hello, rob"})
        .expect({"message": "rob has disconnected"})
    )
    return rob, ann
