"""The echo example's tests: ``python -m tornado.testing discover`` in this folder runs them."""

from app import make_app
from tornado.testing import gen_test

from tornado_wstest import WebSocketTestCase, containing, discard


class EchoTest(WebSocketTestCase):
    """Every client is greeted with "hello", and then echoed."""

    handshake = discard(1)

    def get_app(self):
        return make_app()

    @gen_test
    async def test_hello(self):
        """Tornado's own connection, without the handshake: the greeting is there to be read."""
        connection = await self.ws_connect()
        self.assertEqual(await connection.read_message(), "hello")

    @gen_test
    async def test_echo(self):
        """After the handshake, what comes back is what was sent, and nothing else."""
        client = await self.ws_client()
        await client.send("foo")
        await client.expect("foo")
        await client.expect_nothing()

    @gen_test
    def test_echo_in_generator_style(self):
        """The same with ``yield``, as older Tornado tests are written."""
        client = yield self.ws_client()
        yield client.send("foo")
        message = yield client.receive()
        self.assertEqual(message, "foo")

    async def test_echo_of_binary(self):
        """An async test needs no decorator; bytes travel as a binary message."""
        async with self.ws_client() as client:
            await client.send(b"\x00\x01")
            await client.expect(b"\x00\x01")

    @gen_test
    async def test_two_clients_do_not_hear_each_other(self):
        """An echo goes to the one who sent, not to everyone."""
        ann = await self.ws_client(name="ann")
        bob = await self.ws_client(name="bob")
        await ann.send("foo")
        await ann.expect("foo")
        await bob.expect_nothing()


class LoginTest(WebSocketTestCase):
    """The handshake is a method: it takes several messages, answers one, and takes an argument."""

    ws_path = "/login"

    def get_app(self):
        return make_app()

    async def handshake(self, client, user="ann"):
        await client.expect(containing(type="who"))
        await client.send(user)
        welcome = await client.expect(containing(type="welcome"))
        await client.expect({"type": "ready"})
        return welcome["name"]

    @gen_test
    async def test_echo_after_login(self):
        """Nothing of the login is left when the test begins."""
        client = await self.ws_client()
        self.assertEqual(client.handshake_result, "ann")
        await client.send("foo")
        await client.expect("foo")

    @gen_test
    async def test_login_as_somebody_else(self):
        """What the handshake takes as arguments comes with the client."""
        client = await self.ws_client(handshake_kwargs={"user": "bob"})
        self.assertEqual(client.handshake_result, "bob")
        self.assertEqual(len(client.handshake_messages), 3)
