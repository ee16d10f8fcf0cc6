"""A loop whose selector cannot be looked into: uvloop, for real."""

import asyncio
import gc
import unittest

import uvloop
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import make_app
from tornado_wstest import UsageError, WebSocketTester, discard


def run(coroutine_function):
    """Run a coroutine function in a loop of uvloop's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine_function())


class UvloopTest(unittest.TestCase):
    """What works there, and what is refused."""

    def test_a_conversation(self):
        """Clients, handshakes and server errors work; settling is a quiet moment."""

        async def main():
            async with WebSocketTester(make_app(), path="/greeter", handshake=discard(1)) as wstest:
                self.assertFalse(wstest.server.settling.is_exact)
                client = await wstest.client()
                for number in range(10):
                    await client.send(str(number))
                    self.assertEqual(await client.receive_all(), [str(number)])
                await client.expect_nothing()
                await client.close()
                self.assertTrue(client.handler.on_close_ran)

        run(main)

    def test_settling_goes_on_while_messages_come(self):
        """As long as one message follows the other within the grace, nothing has settled."""

        class Talker(WebSocketHandler):
            async def on_message(self, message):
                for number in range(5):
                    await asyncio.sleep(0.06)
                    self.write_message(str(number))

        async def main():
            async with WebSocketTester(Application([("/", Talker)]), grace=0.5) as wstest:
                client = await wstest.client()
                await client.send("go")
                self.assertEqual(await client.receive_all(), list("01234"))

        run(main)

    def test_a_server_error(self):
        """A handler's exception fails the block here as well."""

        async def main():
            async with WebSocketTester(make_app(), path="/commands") as wstest:
                client = await wstest.client()
                async with wstest.expect_server_error(ValueError):
                    await client.send("no JSON")

        run(main)

    def test_what_needs_a_selector_is_refused(self):
        """Virtual time and the memory transport are refused with a sentence, and nothing is left open."""
        for settings in ({"virtual_time": True}, {"transport": "memory"}):
            with self.subTest(**settings):

                async def main(settings=settings):
                    with self.assertRaisesRegex(UsageError, "needs a loop whose selector can be looked into; Loop has"):
                        await WebSocketTester(make_app(), **settings).start()

                run(main)
                gc.collect()
