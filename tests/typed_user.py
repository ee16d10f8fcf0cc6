"""The test file of a user who runs type checkers: every public name, annotated as such a user would.

``mypy --strict`` and ``pyright`` accept it as it stands (see ``.ci/run``), and `tests.test_typing` runs it.
"""

import json
import re
import unittest
import urllib.request
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant
from tornado.testing import AsyncHTTPSTestCase
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from tornado_wstest import (
    AppServer,
    BroadcastMismatch,
    ClientGroup,
    Codec,
    ConnectionClosed,
    Event,
    HandshakeFailed,
    IsolatedWebSocketTestCase,
    LiveServer,
    LiveServerTestCase,
    MessageTimeout,
    Network,
    NothingCanHappen,
    NotRejected,
    NotSettled,
    Scenario,
    ScenarioFailed,
    ServerError,
    Transcript,
    UnexpectedMessage,
    UsageError,
    WebSocketFuzzMixin,
    WebSocketHTTPTestCase,
    WebSocketStateMachine,
    WebSocketTestCase,
    WebSocketTestClient,
    WebSocketTester,
    WebSocketTestMixin,
    WSTestFailure,
    as_json,
    connect,
    containing,
    discard,
    discard_all,
    discard_until,
    exchange,
    explore,
    faults,
    field,
    play,
    register_message_strategy,
    sequence,
)
from tornado_wstest.fuzzing.stateful import initialize, rule

ORDER = st.fixed_dictionaries({"say": st.sampled_from(["hi", "bye"])})


class Room(WebSocketHandler):
    """Tells everyone what anyone says."""

    def initialize(self, room: list["Room"]) -> None:
        self.room = room

    def prepare(self) -> None:
        if self.get_argument("name", "") == "mallory":
            raise HTTPError(403)

    def open(self, *args: str, **kwargs: str) -> None:
        self.room.append(self)
        self.write_message({"type": "hello"})

    def on_message(self, message: str | bytes) -> None:
        try:
            text = str(json.loads(message)["say"])
        except (ValueError, LookupError, TypeError, RecursionError):
            text = ""
        if text == "crash":
            raise RuntimeError(text)
        for other in self.room:
            other.write_message({"said": text})

    def on_close(self) -> None:
        self.room.remove(self)


class Page(RequestHandler):
    """A page."""

    def get(self) -> None:
        self.set_status(204)


def make_app() -> Application:
    """Return a fresh app."""
    return Application([("/", Room, {"room": []}), ("/page", Page)])


@register_message_strategy("/typed_user", "json")
def orders() -> st.SearchStrategy[dict[str, str]]:
    """Messages that mean something."""
    return ORDER


class RoomTest(WebSocketTestCase):
    """Over Tornado's test case."""

    handshake = sequence(discard(1), discard_all())
    ws_transport = "memory"
    ws_virtual_time = True
    ws_codec = Codec(json.dumps, json.loads)
    ws_timeout = 30.0

    def get_app(self) -> Application:
        return make_app()

    async def test_broadcast(self) -> None:
        """Groups, captures, and who hears what."""
        users: ClientGroup = await self.ws_clients(["ann", "bob"])
        ann: WebSocketTestClient = users["ann"]
        async with self.expect_broadcast(containing(said="hi"), to=users, only=True):
            await ann.send({"say": "hi"})
        async with self.capture_messages() as captured:
            await users[1].send({"say": "bye"})
        self.assertEqual([value for _, value in captured], [{"said": "bye"}] * 2)
        with self.assertRaises(BroadcastMismatch):
            async with self.expect_broadcast({"said": "hi"}, to=users[:1]):
                await ann.send({"say": "hi"})
        await users.receive_all()

    async def test_failures(self) -> None:
        """Each error is one to catch, with what it holds."""
        client = await self.ws_client(name="ann", query={"name": "ann"})
        with self.assertRaises(MessageTimeout) as late:
            await client.receive(timeout=1)
        self.assertIsInstance(late.exception, TimeoutError)
        await client.send({"say": "hi"})
        with self.assertRaises(UnexpectedMessage) as other:
            await client.expect(field("said", re.compile("bye")))
        message: str | bytes | None = other.exception.message
        self.assertEqual(message, '{"said": "hi"}')
        with self.assertRaises(HandshakeFailed) as failed:
            await self.ws_client(handshake=exchange({"say": "ho"}, as_json("ho")))
        self.assertEqual(failed.exception.client, "client 1")
        with self.assertRaises(NotRejected):
            await self.expect_rejected()
        self.assertEqual((await self.expect_rejected(query={"name": "mallory"})).code, 403)
        with self.assertRaises(UsageError):
            discard(-1)

    async def test_closed(self) -> None:
        """What happened is in the transcript, with a server's error that was expected."""
        client = await self.ws_client(name="ann", handshake=discard_until({"type": "hello"}))
        async with self.expect_server_error(RuntimeError, match="crash") as caught:
            await client.send({"say": "crash"})
        self.assertIsInstance(caught.exception, RuntimeError)
        with self.assertRaises(ConnectionClosed) as closed:
            await client.receive()
        code: int = closed.exception.code
        self.assertEqual(code, 1006)
        transcript: Transcript = self.transcript
        events: list[Event] = [event for event in transcript if event.kind == "error"]
        self.assertEqual(len(events), 1)

    async def test_server(self) -> None:
        """Who is there, as the server has it."""
        client = await self.ws_client()
        server: AppServer = self.ws_server
        self.assertEqual(server.handlers, [client.handler])

    async def test_faults(self) -> None:
        """A violation of the protocol, as bytes."""
        for fault in list(faults)[:2]:
            client = await self.ws_client()
            await client.send_raw(fault.data)

    async def test_scenarios(self) -> None:
        """Declared conversations, and one that fails."""
        hello = Scenario("/", name="ann").send({"say": "hi"}).expect({"said": "hi"})
        await self.play(hello)
        with self.assertRaises(ScenarioFailed) as failed:
            await self.play(hello.expect({"said": "bye"}))
        step: int = failed.exception.step
        self.assertEqual(step, 3)


class LinkTest(WebSocketTestCase):
    """A slow network, and time."""

    ws_transport = "memory"
    ws_virtual_time = True
    ws_network = Network(latency=0.1)

    def get_app(self) -> Application:
        return make_app()

    async def test_tunnel(self) -> None:
        """The clock and the network are the test's."""
        client = await self.ws_client()
        before: float = self.clock.time()
        client.link.stall()
        await self.clock.advance(60)
        self.assertEqual(self.clock.time() - before, 60)
        client.link.resume()
        self.network.latency = 0.2
        await client.expect({"type": "hello"})


class OrdersTest(WebSocketTestCase):
    """Many orders of delivery."""

    ws_transport = "memory"
    ws_virtual_time = True

    def get_app(self) -> Application:
        return make_app()

    @explore(runs=3)
    async def test_everyone_hears(self) -> None:
        """Two users, whatever comes first."""
        users = await self.ws_clients(2, handshake=discard(1))
        await users[0].send({"say": "hi"})
        await users.expect({"said": "hi"})


class HTTPTest(WebSocketHTTPTestCase):
    """Over Tornado's HTTP test case, with a handshake that is a method."""

    def get_app(self) -> Application:
        return make_app()

    async def handshake(self, client: WebSocketTestClient, greeting: str = "hello") -> Any:
        """Take the greeting."""
        return await client.expect({"type": greeting})

    def test_page(self) -> None:
        """Fetched as always."""
        self.assertEqual(self.fetch("/page").code, 204)

    async def test_session(self) -> None:
        """One user's cookies."""
        ann = self.ws_session("ann", cookies={"a": "b"})
        response = await ann.fetch("/page")
        self.assertEqual(response.code, 204)
        client = await ann.ws_client("/", handshake_kwargs={"greeting": "hello"})
        self.assertEqual(client.handshake_result, {"type": "hello"})


class IsolatedTest(IsolatedWebSocketTestCase):
    """Over the standard library's test case."""

    def get_app(self) -> Application:
        return make_app()

    async def test_tester(self) -> None:
        """A tester without a base class, beside the test case's own."""
        with self.assertRaises(ServerError):
            async with WebSocketTester(make_app(), transport="memory") as wstest:
                client = await wstest.client()
                await client.send({"say": "crash"})

    async def test_restless(self) -> None:
        """What the two failures of time have in common."""
        failures: list[type[WSTestFailure]] = [NotSettled, NothingCanHappen]
        self.assertEqual([failure("why").client for failure in failures], [None, None])

    async def test_elsewhere(self) -> None:
        """Clients and plays of a server that is known by its URL."""
        async with connect(self.ws_server.ws_url("/")) as client:
            await client.expect({"type": "hello"})
        await play(Scenario("/", name="ann").expect({"type": "hello"}), url=self.ws_server.ws_url(""))


class TLSTest(WebSocketTestMixin, AsyncHTTPSTestCase):
    """The mixin over another of Tornado's bases."""

    def get_app(self) -> Application:
        return make_app()

    async def test_tornados_own_connection(self) -> None:
        """No handshake, and wss."""
        connection = await self.ws_connect("/")
        self.assertEqual(await connection.read_message(), '{"type": "hello"}')


class LiveTest(LiveServerTestCase):
    """The app in a thread of its own."""

    def get_app(self) -> Application:
        return make_app()

    def test_page(self) -> None:
        """A client that blocks."""
        with urllib.request.urlopen(f"{self.live_server_url}/page") as response:
            self.assertEqual(response.status, 204)

    def test_another(self) -> None:
        """A second server, with what its loop is asked to do."""
        with LiveServer(make_app) as live:
            count: int = live.call(lambda: len(live.server.handlers))
        self.assertEqual(count, 0)


class FuzzTest(WebSocketFuzzMixin, unittest.TestCase):
    """Made-up messages."""

    fuzz_settings = {"examples": 5, "seed": 1, "database": "", "checks": ["leak"]}

    def get_app(self) -> Application:
        return make_app()


class Machine(WebSocketStateMachine):
    """Several clients, step by step."""

    handshake = discard(1)
    said = Bundle[str]("said")

    def get_app(self) -> Application:
        return make_app()

    @initialize()
    async def ann_is_there(self) -> None:
        """There is someone to hear it."""
        await self.connect("ann")

    @rule(target=said, name=st.sampled_from(["ann", "bob"]), text=st.sampled_from(["hi", "bye"]))
    async def say(self, name: str, text: str) -> str:
        """Come, if need be, and say something."""
        if name not in self.clients:
            await self.connect(name)
        await self.send(name, {"say": text})
        return text

    @rule(text=said)
    async def say_again(self, text: str) -> None:
        """Say what somebody has said."""
        await self.send("ann", {"say": text})

    @invariant()
    async def all_is_quiet(self) -> None:
        """The app comes to rest."""
        await self.wstest.settle()

    async def asyncTearDown(self) -> None:
        """What each run ends with."""
        await self.wstest.settle()

    def broadcast_key(self, value: dict[str, str]) -> str | None:
        return value.get("say", value.get("said"))


MachineTest = Machine.TestCase
MachineTest.settings = settings(max_examples=3, stateful_step_count=5, deadline=None, database=None)
