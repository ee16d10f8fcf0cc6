"""Apps that wait for what is outside the loop: another server, a thread, a subprocess."""

import asyncio
import logging
import socket
import sys
import threading
import time
import unittest

from tornado.ioloop import IOLoop
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.checks import chosen_checks, first_problem
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings
from tornado_wstest.fuzzing.stage import Stage


def answer(listening):
    """Answer one client, as a database does: a little later."""
    connection, _ = listening.accept()
    with connection:
        while data := connection.recv(100):
            time.sleep(0.03)
            connection.sendall(data)


class Outward(WebSocketHandler):
    """Does what a message says."""

    async def on_message(self, message):
        match message:
            case "ask":
                self.write_message(await self.ask())
            case "ask in a task":
                self.settings["tasks"].append(asyncio.create_task(self.ask()))
            case "a subprocess":
                process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
                self.write_message(str(await process.wait()))
            case "a thread":
                self.start_thread(0.03)
            case "a pause":
                await asyncio.Event().wait()
            case "bytes":
                self.write_message(b"\xff")
            case "large":
                self.write_message("x" * (11 << 20))

    async def ask(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.settings["port"])
        try:
            writer.write(b"yes\n")
            return await asyncio.wait_for(reader.readline(), 5)
        finally:
            writer.close()

    def start_thread(self, seconds):
        loop = IOLoop.current()

        def work():
            time.sleep(seconds)
            loop.add_callback(self.is_there)

        threading.Thread(target=work, daemon=True).start()

    def is_there(self):
        return self.ws_connection is not None


class OutsideTest(unittest.TestCase):
    """What the checks say of such apps, in virtual time."""

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def problem(self, *messages, **visit):
        """Play one visit, and return what the checks say."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        if any("ask" in message for message in messages):
            thread.start()
            self.addCleanup(thread.join)
        app = Application([("/", Outward)], port=listening.getsockname()[1], tasks=[])
        settings = FuzzSettings(database=None)
        with Stage(lambda: app, websocket_routes(app)[0], settings) as stage:
            self.seen = stage.play(Case((Visit("/", messages, **visit),)))
        return first_problem(self.seen, chosen_checks(()), settings)

    def test_an_answer_from_elsewhere(self):
        """Another server has real time to answer, and no virtual time passes meanwhile."""
        self.assertIsNone(self.problem("ask"))
        self.assertEqual((self.seen.received, self.seen.seconds), (["yes\n"], 0))

    def test_an_answer_from_elsewhere_to_messages_all_at_once(self):
        """So it has where the messages did not wait for each other."""
        self.assertIsNone(self.problem("ask", "x", pipelined=True))

    def test_a_task_that_outlives_its_connection(self):
        """What a task still has to ask another server about does not stay behind."""
        self.assertIsNone(self.problem("ask in a task", ending=None))

    def test_a_subprocess(self):
        """A subprocess has real time to end."""
        self.assertIsNone(self.problem("a subprocess"))
        self.assertEqual(self.seen.received, ["0"])

    def test_a_thread_that_is_not_through(self):
        """A thread keeps its handler until it is through: that does not stay behind."""
        self.assertIsNone(self.problem("a thread"))

    def test_nothing_outside(self):
        """A handler that waits for nobody is found at once."""
        started = time.monotonic()
        self.assertEqual(self.problem("a pause").code, "unresponsive")
        self.assertLess(time.monotonic() - started, 1.5)

    def test_a_message_over_tornados_limit(self):
        """The client takes messages of any size: Tornado's own would refuse them with 1009."""
        self.assertIsNone(self.problem("large"))

    def test_text_that_is_no_utf8(self):
        """Bytes that were sent as text are told as such."""
        problem = self.problem("bytes", "x")
        self.assertEqual((problem.code, problem.title), ("dropped", "the server sent text that is no UTF-8"))
