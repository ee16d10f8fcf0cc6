"""What the communicators of Channels 4.3.2 and asgiref 3.13.0 can do, played against real handlers."""

import asyncio
import json
import urllib.request

from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tests.apps.handlers import Commands, Echo, NeverAnswers, Ping, Stuck
from tests.running import run_test
from tornado_wstest import MessageTimeout, UnexpectedMessage, WebSocketTestCase


class Member(WebSocketHandler):
    """Only members, who are greeted; crashes when it is told to."""

    def prepare(self):
        self.current_user = self.get_signed_cookie("user")
        if self.current_user is None:
            raise HTTPError(403)

    def select_subprotocol(self, subprotocols):
        return next((name for name in subprotocols if name == "v2"), None)

    def set_default_headers(self):
        self.set_header("X-Room", "den")

    def open(self):
        self.write_message(f"hello, {self.current_user.decode()}")

    def on_message(self, message):
        raise ValueError(f"no room {message!r}")

    def on_close(self):
        self.settings["left"].append(self.close_code)


class Upload(RequestHandler):
    """Tells what it was asked."""

    def put(self):
        self.set_status(201)
        self.write({"body": self.request.body.decode(), "by": self.request.headers["X-By"]})


class PeerTestCase(WebSocketTestCase):
    """Some handlers with one habit each."""

    def get_app(self):
        return Application(
            [
                ("/", Echo),
                ("/commands", Commands),
                ("/member", Member),
                ("/never-answers", NeverAnswers),
                ("/ping", Ping),
                ("/static/(.*)", StaticFileHandler, {"path": __file__.rpartition("/")[0]}),
                ("/stuck", Stuck),
                ("/upload", Upload),
            ],
            cookie_secret="for tests",
            left=[],
        )


class ApplicationCommunicatorTest(PeerTestCase):
    """``ApplicationCommunicator``: events go in, events come out. Here they are frames."""

    async def test_send_input(self):
        """``send_input``: ``send`` for a message; ``send_frame`` and ``send_raw`` for all that a wire can carry."""
        client = await self.ws_client()
        await client.send_frame(1, b"hel", fin=False)
        await client.send_frame(0, b"lo")
        await client.expect("hello")

    async def test_receive_output(self):
        """``receive_output(timeout)``: ``receive(timeout=)``."""
        client = await self.ws_client()
        await client.send("a")
        self.assertEqual(await client.receive(timeout=1), "a")

    async def test_receive_output_in_silence(self):
        """A ``receive_output`` that times out harms nobody: the handler lives, and its next message is received."""
        client = await self.ws_client()
        with self.assertRaisesRegex(MessageTimeout, "client 1 waited 0.01 s for a message"):
            await client.receive(timeout=0.01)
        await client.send("a")
        await client.expect("a")

    async def test_receive_nothing(self):
        """``receive_nothing``: ``expect_nothing``; what came is in the failure, and stays unread."""
        client = await self.ws_client()
        await client.expect_nothing()
        await client.send("a")
        with self.assertRaisesRegex(UnexpectedMessage, "expected nothing, but 'a' came"):
            await client.expect_nothing()
        await client.expect("a")

    async def test_wait(self):
        """``wait``: ``close`` returns when ``on_close`` has run."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        await client.close(1001)
        self.assertEqual(self.ws_server.app.settings["left"], [1001])

    async def test_wait_for_a_task(self):
        """``wait``, for what the app does on its own: ``until``."""
        client = await self.ws_client("/commands")
        await client.send({"sleep": 0.005, "send": ["done"]})
        await self.until(lambda: client.unread == ("done",))

    def test_stop(self):
        """``stop``: a handler that still waits is cancelled at the end of the test, and nothing stays."""
        handlers = []

        class Case(PeerTestCase):
            async def test_it(self):
                client = await self.ws_client("/stuck")
                await client.send("a")
                await self.settle()
                handlers.append(client.handler)

        self.assertEqual(run_test(Case).text, "")
        self.assertIsNone(handlers[0].ws_connection)

    async def test_abort(self):
        """``stop`` in the midst of a test: ``abort`` drops the connection, and ``on_close`` runs."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        await client.abort()
        self.assertEqual(self.ws_server.app.settings["left"], [None])

    def test_exception(self):
        """``stop(exceptions=True)``: an exception of a handler fails the test, whatever the test looks at."""

        class Case(PeerTestCase):
            async def test_it(self):
                client = await self.ws_client("/member", signed_cookies={"user": "ann"})
                await client.send("den")

        text = run_test(Case).text
        self.assertIn("ServerError", text)
        self.assertIn("ValueError: no room 'den'", text)

    async def test_exception_that_is_expected(self):
        """An exception that is re-raised, and caught by the test: ``expect_server_error``."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        async with self.expect_server_error(ValueError, match="no room") as caught:
            await client.send("den")
        self.assertEqual(caught.exception.args, ("no room 'den'",))

    def test_exception_as_the_cause(self):
        """An exception while the test waits is the cause of what the wait raises."""

        class Case(PeerTestCase):
            async def test_it(self):
                client = await self.ws_client("/member", signed_cookies={"user": "ann"})
                await client.receive()
                await client.send("den")
                await client.receive()

        self.assertRegex(run_test(Case).text, r"(?s)ValueError: no room 'den'.*direct cause.*ConnectionClosed")

    def test_exceptions_that_are_of_no_interest(self):
        """``stop(exceptions=False)``: ``fail_on_server_error = False``."""

        class Case(PeerTestCase):
            fail_on_server_error = False

            async def test_it(self):
                client = await self.ws_client("/member", signed_cookies={"user": "ann"})
                await client.send("den")

        with self.assertLogs("tornado.application", "ERROR"):
            self.assertTrue(run_test(Case).was_successful)


class HttpCommunicatorTest(PeerTestCase):
    """``HttpCommunicator``: ``http_fetch``."""

    async def test_response(self):
        """``HttpCommunicator(app, method, path, body, headers).get_response()``: ``http_fetch``."""
        response = await self.http_fetch("/upload", method="PUT", body="tea", headers={"X-By": "ann"})
        self.assertEqual((response.code, json.loads(response.body)), (201, {"body": "tea", "by": "ann"}))
        self.assertEqual(response.headers["Content-Type"], "application/json; charset=UTF-8")

    async def test_timeout(self):
        """``get_response(timeout)``: ``request_timeout=``."""
        with self.assertRaisesRegex(MessageTimeout, "GET /never-answers was not answered within 0.01 s"):
            await self.http_fetch("/never-answers", request_timeout=0.01)


class WebsocketCommunicatorTest(PeerTestCase):
    """``WebsocketCommunicator``: `WebSocketTestClient`."""

    async def test_connect(self):
        """``connect()`` that returns True and the subprotocol: ``ws_client``, and ``client.subprotocol``."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"}, subprotocols=["v1", "v2"])
        self.assertEqual((client.closed, client.subprotocol), (False, "v2"))

    async def test_connect_that_is_refused(self):
        """``connect()`` that returns False and a code: ``expect_rejected``, with the status."""
        await self.expect_rejected("/member", status=403)

    async def test_connect_that_takes_too_long(self):
        """``connect(timeout)``: ``timeout=``."""
        with self.assertRaisesRegex(MessageTimeout, "/never-answers"):
            await self.ws_client("/never-answers", timeout=0.01)

    async def test_headers(self):
        """``headers=``, and ``subprotocols=``."""
        client = await self.ws_client(headers={"X-By": "ann"})
        self.assertEqual(client.handler.request.headers["X-By"], "ann")

    async def test_query(self):
        """A query, which there is written into the path: so it may be here, or ``query=``."""
        for arguments in ({"path": "/?a=1"}, {"query": {"a": "1"}}):
            with self.subTest(arguments=arguments):
                client = await self.ws_client(**arguments)
                self.assertEqual(client.handler.get_argument("a"), "1")

    async def test_user_of_the_scope(self):
        """``scope["user"]``, set by the test: ``signed_cookies=``, or a session that has logged in."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        await client.expect("hello, ann")

    async def test_scope(self):
        """``scope``: ``client.handler`` has the request, the path's arguments and the app's settings."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        self.assertEqual((client.handler.request.path, client.handler.current_user), ("/member", b"ann"))

    async def test_send_to_text(self):
        """``send_to(text_data=)``: ``send`` of a `str`, also of an empty one."""
        client = await self.ws_client()
        for text in ("hi", ""):
            await client.send(text)
            self.assertEqual(await client.receive_text(), text)

    async def test_send_to_bytes(self):
        """``send_to(bytes_data=)``: ``send`` of `bytes`, also of none."""
        client = await self.ws_client()
        for data in (b"\x00\xff", b""):
            await client.send(data)
            self.assertEqual(await client.receive_bytes(), data)

    async def test_send_json_to(self):
        """``send_json_to``: ``send`` of anything else, or ``send_json`` where it is a text."""
        client = await self.ws_client()
        await client.send({"a": 1})
        await client.send_json("a")
        self.assertEqual([await client.receive(), await client.receive()], ['{"a": 1}', '"a"'])

    async def test_receive_from(self):
        """``receive_from``: ``receive``, ``receive_text``, ``receive_bytes``."""
        client = await self.ws_client()
        await client.send(b"a")
        with self.assertRaisesRegex(UnexpectedMessage, "text"):
            await client.receive_text()
        self.assertEqual(await client.receive(), b"a")

    async def test_receive_json_from(self):
        """``receive_json_from``: ``receive_json``."""
        client = await self.ws_client()
        await client.send_json([1, None])
        self.assertEqual(await client.receive_json(), [1, None])

    async def test_disconnect(self):
        """``disconnect(code)``: ``close(code, reason)``."""
        client = await self.ws_client()
        await client.close(4000, "tired")
        self.assertEqual((client.handler.close_code, client.handler.close_reason), (4000, "tired"))

    async def test_close_of_the_app(self):
        """A ``websocket.close`` that comes as output: ``expect_closed``."""
        client = await self.ws_client("/commands")
        await client.send({"close": [4001, "tired"]})
        await client.expect_closed(4001, "tired")

    async def test_response_headers(self):
        """``response_headers``: ``client.response_headers``."""
        client = await self.ws_client("/member", signed_cookies={"user": "ann"})
        self.assertEqual(client.response_headers["X-Room"], "den")

    async def test_two_at_a_time(self):
        """Two communicators: two clients, on connections of their own."""
        ann, bob = await self.ws_clients(["ann", "bob"])
        await ann.send("a")
        await bob.expect_nothing()
        await ann.expect("a")


class LiveServerTest(PeerTestCase):
    """``ChannelsLiveServerTestCase``: each test has a real server, which blocking code may talk to in a thread."""

    async def test_live_server_url(self):
        """``live_server_url``: ``ws_server.url``."""
        url = self.ws_server.url("/ping?n=1")
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read())
        self.assertEqual(json.loads(body), {"pong": "1"})

    async def test_live_server_ws_url(self):
        """``live_server_ws_url``: ``ws_server.ws_url``."""

        async def talk():
            connection = await websocket_connect(self.ws_server.ws_url("/"))
            connection.write_message("hi")
            answer = await connection.read_message()
            connection.close()
            await connection.read_message()
            return answer

        self.assertEqual(await asyncio.to_thread(lambda: asyncio.run(talk())), "hi")

    async def test_static_files(self):
        """``serve_static``: as the app itself serves them."""
        response = await self.http_fetch("/static/__init__.py")
        self.assertEqual(response.code, 200)
