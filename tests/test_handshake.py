"""Handshakes: several messages, of unknown length, with answers, with a result, and what they meet."""

import json

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Commands
from tornado_wstest import (
    HandshakeFailed,
    UsageError,
    WebSocketTestCase,
    containing,
    discard,
    discard_all,
    discard_until,
    exchange,
    sequence,
)


class Login(WebSocketHandler):
    """Greets with ``greetings`` messages, then wants a login, then says three things."""

    def open(self):
        for number in range(int(self.get_argument("greetings", "1"))):
            self.write_message({"type": "greeting", "n": number})

    def on_message(self, message):
        if self.get_argument("refuse", None):
            self.close(4003, "no")
        elif json.loads(message).get("login"):
            for type_ in ("welcome", "motd", "ready"):
                self.write_message({"type": type_, "user": json.loads(message)["login"]})


async def log_in(client, user="ann"):
    """A handshake that is a module's function."""
    await client.send({"login": user})
    await client.expect(containing(type="welcome"))
    await client.receive()
    ready = await client.expect(containing(type="ready"))
    return ready["user"]


class HandshakeTestCase(WebSocketTestCase):
    """A handler that wants a login."""

    ws_path = "/login"

    def get_app(self):
        return Application([("/login", Login), ("/commands", Commands)])


class ObjectsTest(HandshakeTestCase):
    """The ready-made ones."""

    async def test_discard_takes_so_many(self):
        """discard(2) takes two messages, whose list is its result."""
        client = await self.ws_client(query={"greetings": 3}, handshake=discard(2))
        self.assertEqual(len(client.handshake_messages), 2)
        self.assertEqual(client.handshake_result, list(client.handshake_messages))
        await client.expect({"type": "greeting", "n": 2})

    async def test_discard_until_takes_up_to_the_match(self):
        """discard_until() takes the messages up to the match, whose value is its result."""
        handshake = discard_until(containing(n=1))
        client = await self.ws_client(query={"greetings": 3}, handshake=handshake)
        self.assertEqual((len(client.handshake_messages), client.handshake_result), (2, {"type": "greeting", "n": 1}))

    async def test_discard_all_takes_an_unknown_number(self):
        """discard_all() takes all that comes, also nothing."""
        for greetings in (0, 1, 7):
            client = await self.ws_client(query={"greetings": greetings}, handshake=discard_all())
            self.assertEqual(len(client.handshake_messages), greetings)
            await client.expect_nothing()

    async def test_exchange_sends_and_expects(self):
        """exchange() sends one message and expects one, whose value is its result."""
        handshake = sequence(discard(1), exchange({"login": "ann"}, containing(type="welcome")))
        client = await self.ws_client(handshake=handshake)
        self.assertEqual(client.handshake_result[1]["user"], "ann")

    async def test_sequence_hands_arguments_to_those_that_take_them(self):
        """Keyword arguments reach the step that names them."""
        client = await self.ws_client(handshake=sequence(discard(1), log_in), handshake_kwargs={"user": "bob"})
        self.assertEqual(client.handshake_result[1], "bob")

    async def test_one_object_serves_many_clients(self):
        """A handshake is reusable, also at the same time."""
        handshake = sequence(discard(1), log_in)
        clients = [await self.ws_client(handshake=handshake) for _ in range(3)]
        self.assertEqual([client.handshake_result[1] for client in clients], ["ann"] * 3)

    async def test_no_handshake(self):
        """Without one, the greeting is the test's."""
        client = await self.ws_client()
        await client.expect(containing(type="greeting"))
        self.assertEqual((client.handshake_messages, client.handshake_result), ((), None))

    async def test_arguments_that_nobody_takes(self):
        """An argument that no step takes is refused, with those that are taken."""
        with self.assertRaisesRegex(UsageError, r"takes no usr; it takes user"):
            await self.ws_client(handshake=sequence(discard(1), log_in), handshake_kwargs={"usr": "bob"})


class ModuleFunctionTest(HandshakeTestCase):
    """A module's function as a class attribute."""

    handshake = log_in

    async def test_it_is_called_with_the_client(self):
        """The function gets the client, not the test case."""
        client = await self.ws_client(query={"greetings": 0})
        self.assertEqual(client.handshake_result, "ann")


class StaticMethodTest(ModuleFunctionTest):
    """The same as a staticmethod."""

    handshake = staticmethod(log_in)


class MethodTest(HandshakeTestCase):
    """A method with keyword arguments."""

    async def handshake(self, client, user="ann", greetings=1):
        for _ in range(greetings):
            await client.expect(containing(type="greeting"))
        self.seen = user
        return await log_in(client, user)

    async def test_it_is_called_as_a_method(self):
        """The method gets the test case and the client."""
        client = await self.ws_client()
        self.assertEqual((client.handshake_result, self.seen), ("ann", "ann"))

    async def test_arguments_come_with_the_client(self):
        """handshake_kwargs reach the method."""
        client = await self.ws_client(query={"greetings": 2}, handshake_kwargs={"user": "bob", "greetings": 2})
        self.assertEqual(client.handshake_result, "bob")

    async def test_a_call_may_have_its_own(self):
        """handshake= stands in place of the class's."""
        client = await self.ws_client(handshake=discard(1))
        self.assertEqual(len(client.handshake_messages), 1)

    async def test_a_call_may_have_none(self):
        """handshake=None is no handshake."""
        client = await self.ws_client(handshake=None)
        self.assertEqual(client.handshake_messages, ())


class InheritedMethodTest(MethodTest):
    """A method that a base class defines, called with super()."""

    async def handshake(self, client, user="cat", greetings=1):
        return await super().handshake(client, user, greetings)

    async def test_it_is_called_as_a_method(self):
        """The override is called, and calls the base's."""
        self.assertEqual((await self.ws_client()).handshake_result, "cat")


class FailingTest(HandshakeTestCase):
    """What does not go through."""

    ws_timeout = 0.05

    async def test_it_meets_silence(self):
        """A message that does not come is a HandshakeFailed that says which, and what came before."""
        with self.assertRaisesRegex(HandshakeFailed, r"discard\(2\), message 2 of 2.*\n.*waited 0.05 s") as caught:
            await self.ws_client(handshake=discard(2))
        self.assertEqual(len(caught.exception.messages), 1)

    async def test_it_meets_a_close(self):
        """A close is a HandshakeFailed that says with what."""
        handshake = sequence(discard(1), exchange({"login": "ann"}, containing(type="welcome")))
        with self.assertRaisesRegex(HandshakeFailed, r"step 2 of 2: exchange.*\n.*4003 'no'"):
            await self.ws_client(query={"refuse": 1}, handshake=handshake)

    async def test_discard_all_meets_a_close(self):
        """A server that closes during a greeting of unknown length fails it."""
        with self.assertRaisesRegex(HandshakeFailed, r"discard_all"):
            await self.ws_client("/commands", handshake=sequence(_tell_to_close, discard_all()))

    async def test_it_meets_a_wrong_message(self):
        """Another answer is a HandshakeFailed that shows it."""
        with self.assertRaisesRegex(HandshakeFailed, "'motd'"):
            await self.ws_client(query={"greetings": 0}, handshake=exchange({"login": "ann"}, containing(type="motd")))

    async def test_a_failed_handshake_leaves_nothing_open(self):
        """The connection of a client whose handshake failed is closed, with on_close run."""
        with self.assertRaises(HandshakeFailed):
            await self.ws_client(handshake=discard(2))
        self.assertEqual(self.ws_server.handlers, [])

    async def test_an_exception_of_ones_own_handshake_passes(self):
        """What a function of the test's raises is raised as it is."""

        async def handshake(client):
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            await self.ws_client(handshake=handshake)
        self.assertEqual(self.ws_server.handlers, [])


async def _tell_to_close(client):
    await client.send({"close": [4000]})
