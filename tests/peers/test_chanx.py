"""What chanx 2.13.0's testing module can do, played against real handlers.

There, an app sends a frame after each action (``complete``) that tells the test to stop collecting. The app
here does so as well, to show both ways: nothing of ours needs it.
"""

import asyncio
import dataclasses
import json

from tornado.web import Application, HTTPError
from tornado.websocket import WebSocketHandler

from tests.running import run_test
from tornado_wstest import (
    BroadcastMismatch,
    Codec,
    ConnectionClosed,
    MessageTimeout,
    UnexpectedMessage,
    WebSocketTestCase,
    containing,
    discard,
    exchange,
)

TOKENS = {"t0p": "ann", "s3t": "bob"}


class Rooms(WebSocketHandler):
    """Topics to which a user subscribes, and rooms in which everyone hears what is said."""

    def prepare(self):
        if self.request.headers.get("X-Banned"):
            raise HTTPError(403)

    def select_subprotocol(self, subprotocols):
        return next((name for name in subprotocols if name == "v2"), None)

    def open(self, room="den"):
        self.room = self.settings["rooms"].setdefault(room, [])
        self.room.append(self)
        self.topics = {}
        token = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token:
            self.authenticate({"token": token})

    def on_message(self, message):
        value = json.loads(message)
        getattr(self, value["action"])(value)

    def on_close(self):
        self.room.remove(self)
        if self.settings.get("crash on close"):
            raise RuntimeError("cannot leave")

    def authenticate(self, value):
        user = TOKENS.get(value["token"])
        self.write_message({"action": "authentication", "status": 200 if user else 401, "user": user})
        if user is None:
            self.close(4001)

    def echo(self, value):
        self.write_message(value)

    def count(self, value):
        for number in range(value["to"]):
            self.write_message({"action": "number", "number": number})
        self.write_message({"action": "complete"})

    def say(self, value):
        for member in self.room:
            member.write_message({"action": "said", "text": value["text"]})

    def subscribe(self, value):
        self.topics[value["topic"]] = value["ref"]
        self.write_message({"action": "subscribed", "topic": value["topic"], "ref": value["ref"]})

    def unsubscribe(self, value):
        del self.topics[value["topic"]]
        self.write_message({"action": "unsubscribed", "topic": value["topic"], "ref": value["ref"]})

    def publish(self, value):
        for number, handler in enumerate(self.room, 1):
            if value["topic"] in handler.topics:
                handler.write_message({"action": "event", "topic": value["topic"], "seq": number})

    def leave(self, value):
        self.close(*value["close"])


@dataclasses.dataclass
class Message:
    """What travels, as the test sees it."""

    action: str
    text: str


MESSAGES = Codec(
    lambda message: json.dumps(dataclasses.asdict(message)), lambda message: Message(**json.loads(message))
)


class PeerTestCase(WebSocketTestCase):
    """Rooms."""

    ws_path = "/rooms/den"

    def get_app(self):
        return Application([("/rooms/([a-z]+)", Rooms)], rooms={})


class CommunicatorTest(PeerTestCase):
    """``WebsocketCommunicator``, and what its mixin adds: `WebSocketTestClient`."""

    async def test_application_and_path(self):
        """``WebsocketCommunicator(application, path)``: ``get_app``, and ``ws_client(path)``."""
        client = await self.ws_client("/rooms/hall")
        self.assertIs(self.ws_server.app.settings["rooms"]["hall"][0], client.handler)

    async def test_headers(self):
        """``headers=``."""
        client = await self.ws_client(headers={"Authorization": "Bearer t0p"})
        await client.expect(containing(user="ann"))

    async def test_subprotocols(self):
        """``subprotocols=``, and which of them the server chose."""
        client = await self.ws_client(subprotocols=["v1", "v2"])
        self.assertEqual(client.subprotocol, "v2")

    async def test_consumer(self):
        """``consumer=``: ``client.handler`` is the server's handler of this very connection."""
        client = await self.ws_client()
        self.assertIsInstance(client.handler, Rooms)

    async def test_connect_that_is_refused(self):
        """``connect()`` that returns False and a code: ``expect_rejected``, with the response."""
        response = await self.expect_rejected(headers={"X-Banned": "yes"}, status=403)
        self.assertEqual(response.code, 403)

    async def test_disconnect(self):
        """``disconnect(code)``: ``close(code)``, over when the handler's ``on_close`` has run."""
        client = await self.ws_client()
        await client.close(4000)
        self.assertEqual((client.handler.close_code, client.handler.room), (4000, []))

    async def test_send_message(self):
        """``send_message(message)``: ``send``, through a `Codec` of whatever class messages have."""
        client = await self.ws_client(codec=MESSAGES)
        await client.send(Message("echo", "hi"))
        await client.expect(Message("echo", "hi"))

    async def test_message_that_is_not_valid(self):
        """Validated messages: what the codec cannot read meets no expectation, and the failure says so."""
        client = await self.ws_client(codec=MESSAGES)
        await client.send('{"action": "echo", "size": 7}')
        with self.assertRaisesRegex(UnexpectedMessage, "size"):
            await client.expect(lambda message: message.action == "echo")

    async def test_send_message_with_topic_and_ref(self):
        """``send_message(message, topic=, ref=)``: members of the value; the reply is found by its ``ref``."""
        client = await self.ws_client()
        await client.send({"action": "echo", "topic": "news", "ref": "1"})
        await client.send({"action": "echo", "topic": "news", "ref": "2"})
        await client.receive(containing(topic="news", ref="2"))
        await client.expect(containing(ref="1"))

    async def test_subscribe(self):
        """``subscribe(topic, ref)``: `exchange`, in place, or as the handshake of a client."""
        request, reply = {"action": "subscribe", "topic": "news", "ref": "1"}, {"topic": "news", "ref": "1"}
        client = await self.ws_client(handshake=exchange(request, containing({"action": "subscribed"}, **reply)))
        self.assertEqual(client.handler.topics, {"news": "1"})

    async def test_unsubscribe(self):
        """``unsubscribe(topic, ref)``: ``send`` and ``receive``; then nothing of the topic comes."""
        client = await self.ws_client()
        for action in ("subscribe", "unsubscribe"):
            await client.send({"action": action, "topic": "news", "ref": "1"})
            await client.receive(containing(action=f"{action}d", ref="1"))
        await client.send({"action": "publish", "topic": "news"})
        await client.expect_nothing(containing(topic="news"))

    async def test_receive_json_from(self):
        """``receive_json_from``: ``receive_json``."""
        client = await self.ws_client()
        await client.send({"action": "echo", "a": 1})
        self.assertEqual(await client.receive_json(timeout=1), {"action": "echo", "a": 1})

    async def test_send_json_to(self):
        """``send_json_to``: ``send_json``."""
        client = await self.ws_client()
        await client.send_json({"action": "echo", "a": 1})
        self.assertEqual(await client.receive(), '{"action": "echo", "a": 1}')

    async def test_receive_output(self):
        """``receive_output``: ``receive`` for a message, ``expect_closed`` for a close."""
        client = await self.ws_client()
        await client.send({"action": "echo"})
        await client.send({"action": "leave", "close": [4000]})
        self.assertEqual(await client.receive(), '{"action": "echo"}')
        self.assertEqual(await client.expect_closed(), 4000)

    async def test_receive_all_json(self):
        """``receive_all_json``: ``receive_all``, which ends when the app has settled and not when a second is over."""
        client = await self.ws_client()
        await client.send({"action": "count", "to": 2})
        messages = [json.loads(message) for message in await client.receive_all()]
        self.assertEqual([message.get("number") for message in messages], [0, 1, None])

    async def test_receive_all_json_of_a_group(self):
        """``receive_all_json(wait_group=True)`` of old: ``receive_all``; what a group gets is in flight, too."""
        ann, bob = await self.ws_clients(2)
        await ann.send({"action": "say", "text": "hi"})
        self.assertEqual(await bob.receive_all(), ['{"action": "said", "text": "hi"}'])

    async def test_receive_all_messages(self):
        """``receive_all_messages(stop_action)``: ``receive_until``; it needs a frame that stops it, too."""
        client = await self.ws_client()
        await client.send({"action": "count", "to": 2})
        messages = await client.receive_until(containing(action="complete"))
        self.assertEqual([json.loads(message).get("number") for message in messages], [0, 1, None])

    async def test_receive_until_action(self):
        """``receive_until_action`` of old, without the frame that stops: ``inclusive=False``, which stays unread."""
        client = await self.ws_client()
        await client.send({"action": "count", "to": 2})
        messages = await client.receive_until(containing(action="complete"), inclusive=False)
        self.assertEqual([json.loads(message)["number"] for message in messages], [0, 1])
        await client.expect({"action": "complete"})

    async def test_time_out_is_not_swallowed(self):
        """A ``stop_action`` that never comes is a `MessageTimeout` that says what came; and nothing is lost."""
        client = await self.ws_client()
        await client.send({"action": "count", "to": 2})
        await self.settle()
        with self.assertRaisesRegex(MessageTimeout, "3 other messages came"):
            await client.receive_until(containing(action="group_complete"), timeout=0.01)
        self.assertEqual(len(client.unread), 3)

    async def test_receive_topic_message(self):
        """``receive_topic_message(topic_class)``: ``receive(expected)`` takes it out of turn."""
        client = await self.ws_client()
        for topic in ("sport", "news"):
            await client.send({"action": "echo", "topic": topic})
        await client.receive(containing(topic="news"))
        await client.expect(containing(topic="sport"))

    async def test_assert_closed(self):
        """``assert_closed(code)``: ``expect_closed(code, reason)``."""
        client = await self.ws_client()
        await client.send({"action": "leave", "close": [4001, "tired"]})
        await client.expect_closed(4001, "tired")

    async def test_assert_closed_with_another_code(self):
        """Another code than the one expected is a failure."""
        client = await self.ws_client()
        await client.send({"action": "leave", "close": [4001]})
        with self.assertRaisesRegex(ConnectionClosed, "expected a close with 4000"):
            await client.expect_closed(4000)

    async def test_context_manager(self):
        """``async with``: connects, and closes."""
        async with self.ws_client() as client:
            self.assertFalse(client.closed)
        self.assertEqual((client.closed, self.ws_server.handlers), (True, []))

    async def test_receive_nothing(self):
        """``receive_nothing``: ``expect_nothing``, which is exact, and ``seconds=`` where a timer is meant."""
        client = await self.ws_client()
        await client.expect_nothing()
        await client.send({"action": "echo"})
        with self.assertRaises(UnexpectedMessage):
            await client.expect_nothing()


class CaptureTest(PeerTestCase):
    """Who is told what. Here a broadcast is what really reached the clients."""

    async def test_capture_broadcast_events(self):
        """``capture_broadcast_events``: ``capture_messages``; the events, and for the groups those who got them."""
        ann, bob = await self.ws_clients(["ann", "bob"])
        cat = await self.ws_client("/rooms/hall", name="cat")
        async with self.capture_messages() as captured:
            await ann.send({"action": "say", "text": "hi"})
        self.assertEqual(captured, [(ann, {"action": "said", "text": "hi"}), (bob, {"action": "said", "text": "hi"})])
        self.assertEqual([client.unread for client in (ann, bob, cat)], [(), (), ()])

    async def test_groups(self):
        """``groups`` of an event: ``expect_broadcast(to=)`` says who got it, and that nobody else did."""
        den, hall = await self.ws_clients(2), await self.ws_clients(2, "/rooms/hall")
        async with self.expect_broadcast({"action": "said", "text": "hi"}, to=den, only=True):
            await den[0].send({"action": "say", "text": "hi"})
        with self.assertRaises(BroadcastMismatch):
            async with self.expect_broadcast(containing(action="said"), to=[*den, *hall]):
                await den[0].send({"action": "say", "text": "hi"})

    async def test_capture_topic_broadcasts(self):
        """``capture_topic_broadcasts``: the captured values have ``topic`` and ``seq``."""
        subscribe = exchange({"action": "subscribe", "topic": "news", "ref": "1"}, containing(action="subscribed"))
        ann = await self.ws_client(handshake=subscribe)
        bob = await self.ws_client()
        async with self.capture_messages() as captured:
            await bob.send({"action": "publish", "topic": "news"})
        topics = [(client.name, value["topic"], value["seq"]) for client, value in captured]
        self.assertEqual(topics, [(ann.name, "news", 1)])

    async def test_without_suppressing(self):
        """``suppress=False``, where the clients get it as well: each ``expect``s what it got."""
        users = await self.ws_clients(2)
        await users[0].send({"action": "say", "text": "hi"})
        self.assertEqual(await users.expect(containing(action="said")), [{"action": "said", "text": "hi"}] * 2)


class AuthenticationTest(PeerTestCase):
    """``DjangoWebsocketCommunicator``: the message that tells who one is, as a handshake."""

    async def handshake(self, client, token="t0p"):
        await client.send({"action": "authenticate", "token": token})
        return await client.expect(containing(action="authentication"))

    async def test_wait_for_auth(self):
        """``wait_for_auth``: a handshake; what it returns is ``handshake_result``."""
        client = await self.ws_client()
        self.assertEqual(client.handshake_result["user"], "ann")
        await client.expect_nothing()

    async def test_wait_for_auth_without_a_message(self):
        """``send_authentication_message=False``: ``handshake=None``, and nobody sleeps."""
        client = await self.ws_client(handshake=None)
        await client.expect_nothing()

    async def test_auth_that_the_server_begins(self):
        """A message that the server sends by itself: ``discard``."""
        client = await self.ws_client(handshake=discard(1), headers={"Authorization": "Bearer s3t"})
        self.assertEqual(json.loads(client.handshake_messages[0])["user"], "bob")

    async def test_assert_authenticated_status_ok(self):
        """``assert_authenticated_status_ok``: what the handshake expects."""
        ok = exchange({"action": "authenticate", "token": "t0p"}, containing(action="authentication", status=200))
        await self.ws_client(handshake=ok)
        stranger = await self.ws_client(handshake_kwargs={"token": "?"})
        self.assertEqual(stranger.handshake_result["status"], 401)
        await stranger.expect_closed(4001)


class TestCaseTest(PeerTestCase):
    """``WebsocketTestCase``: `WebSocketTestCase`."""

    handshake = discard(1)

    def get_ws_options(self):
        return {"headers": {"Authorization": "Bearer t0p"}, "subprotocols": ["v2"]}

    async def test_ws_path(self):
        """``ws_path``: ``ws_path``."""
        client = await self.ws_client()
        self.assertEqual(client.handler.path_args, ["den"])

    async def test_get_ws_headers_and_get_subprotocols(self):
        """``get_ws_headers`` and ``get_subprotocols``: ``get_ws_options``."""
        client = await self.ws_client()
        self.assertEqual((client.handler.request.headers["Authorization"], client.subprotocol), ("Bearer t0p", "v2"))

    async def test_create_communicator(self):
        """``create_communicator(ws_path=, headers=, subprotocols=)``: ``ws_client``, as many as one likes."""
        client = await self.ws_client("/rooms/hall", headers={"Authorization": "Bearer s3t"}, subprotocols=["v1"])
        self.assertEqual((client.handler.path_args, client.subprotocol), (["hall"], None))
        self.assertEqual(json.loads(client.handshake_messages[0])["user"], "bob")

    async def test_auth_communicator(self):
        """``auth_communicator``: a client after its handshake."""
        client = await self.ws_client()
        await client.send({"action": "echo"})
        await client.expect({"action": "echo"})

    def test_tear_down(self):
        """``tearDown`` disconnects all."""
        apps = []

        class Case(PeerTestCase):
            async def test_it(self):
                apps.append(self.ws_server.app)
                await self.ws_clients(3)

        self.assertTrue(run_test(Case).was_successful)
        self.assertEqual(apps[0].settings["rooms"], {"den": []})

    def test_exception_at_the_end(self):
        """An exception of a handler while the test case disconnects is not swallowed: it fails the test."""

        class Case(PeerTestCase):
            def get_app(self):
                app = super().get_app()
                app.settings["crash on close"] = True
                return app

            async def test_it(self):
                await self.ws_client()

        self.assertIn("RuntimeError: cannot leave", run_test(Case).text)


class TogetherTest(PeerTestCase):
    """Users at the same time."""

    async def test_many_communicators(self):
        """Several communicators: ``ws_clients``, by their names."""
        users = await self.ws_clients({"ann": {}, "bob": {"path": "/rooms/hall"}})
        await asyncio.gather(*(user.send({"action": "say", "text": user.name}) for user in users))
        self.assertEqual([value["text"] for value in await users.expect(containing(action="said"))], ["ann", "bob"])
