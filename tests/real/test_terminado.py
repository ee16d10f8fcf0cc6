"""terminado: a real shell in a real terminal behind a websocket.

The shell is another process, and nothing can see whether it is about to say something: `settle` only gives
its terminal a moment to be quiet. So these tests wait for what the shell must say (`receive`, `receive_until`),
or for what the app must know (`until`).
"""

import os
import unittest
import warnings

from tornado.web import Application

from tornado_wstest import ConnectionClosed, WebSocketTestCase, discard, discard_until

try:
    from terminado import NamedTermManager, SingleTermManager, TermSocket, UniqueTermManager
    from terminado.management import MaxTerminalsReached
except ImportError:
    raise unittest.SkipTest("terminado is not installed: pip install tornado-wstest[real]") from None

PROMPT = "ready> "
SHELL = ["/bin/sh", "-c", "echo welcome; echo 'nobody knows in how many messages'; exec /bin/sh -i"]
SHELL_ENV = {"PS1": PROMPT, "TERM": "dumb", "ENV": None}  # a plain shell, whichever it is


async def output_until(client, end):
    """Take the shell's output until it has said ``end``, in however many messages."""
    output = ""
    while end not in output:
        kind, content = await client.receive_json()
        if kind == "stdout":
            output += content
    return output


async def skip_greeting(client):
    """Go past the set-up message and whatever the shell says before it is ready: a handshake."""
    await client.expect(["setup", {}])
    return await output_until(client, PROMPT)


async def type_line(client, line):
    """Type one line and press Enter."""
    await client.send(["stdin", line + "\r"])


class TerminalTestCase(WebSocketTestCase):
    """Terminals of one manager."""

    handshake = staticmethod(skip_greeting)
    ws_path = "/term/one"

    def setUp(self):
        self.enterContext(warnings.catch_warnings())
        # From Python 3.12 on, forkpty() warns of every other thread; terminado types from a thread of its own.
        warnings.filterwarnings("ignore", r".*multi-threaded, use of forkpty\(\)", DeprecationWarning)
        super().setUp()

    def make_manager(self, **options):
        raise NotImplementedError

    def get_app(self):
        self.manager = self.make_manager(shell_command=SHELL, extra_env=SHELL_ENV)
        return Application([(r"/term/(\w+)", TermSocket, {"term_manager": self.manager})])

    async def close_app(self, app):
        self.terminals_at_the_end = list(self.manager.ptys_by_fd.values())
        await self.manager.shutdown()


class UniqueTest(TerminalTestCase):
    """A terminal for each websocket, and only one at a time."""

    def make_manager(self, **options):
        return UniqueTermManager(max_terminals=1, **options)

    async def test_greeting_of_unknown_length(self):
        """The handshake takes the whole greeting, whatever its number of messages."""
        client = await self.ws_client()
        self.assertIn("welcome\r\n", client.handshake_result)
        self.assertGreater(len(client.handshake_messages), 1)
        self.assertEqual(client.unread, ())

    async def test_greeting_discarded_until_the_set_up_message(self):
        """A handshake per call goes as far as its test wants: here the shell's own greeting is the subject."""
        client = await self.ws_client(handshake=discard_until(["setup", {}]))
        self.assertIn("welcome\r\n", await output_until(client, PROMPT))

    async def test_typed_line_is_echoed_and_executed(self):
        """What is typed comes back from the terminal, what it does from the shell."""
        client = await self.ws_client()
        await type_line(client, "echo 6 times 7 is $((6 * 7))")
        self.assertEqual(
            await output_until(client, PROMPT),
            f"echo 6 times 7 is $((6 * 7))\r\n6 times 7 is 42\r\n{PROMPT}",
        )

    async def test_output_until_the_shell_is_gone(self):
        """`receive_until` collects everything before the message that ends it."""
        client = await self.ws_client()
        await type_line(client, "seq 1000; exit")
        messages = await client.receive_until(["disconnect", 1], inclusive=False)
        output = "".join(client.codec.to_value(message)[1] for message in messages)
        self.assertEqual(output.split()[-1000:], [str(number) for number in range(1, 1001)])

    async def test_end_of_the_shell_among_its_output(self):
        """`receive` takes the one message that matters; the output before it stays unread."""
        client = await self.ws_client()
        await type_line(client, "exit")
        await client.receive(["disconnect", 1])
        self.assertIn("exit", "".join(client.unread))

    async def test_shell_that_exits_closes_the_websocket(self):
        """The server says that the shell is gone, and closes."""
        client = await self.ws_client()
        await type_line(client, "exit")
        await client.receive_until(["disconnect", 1])
        await client.expect_closed(1005)

    async def test_command_that_asks_back(self):
        """The app has settled while the shell waits for a line; what it says then is waited for."""
        client = await self.ws_client()
        await type_line(client, "read line; echo got $line")
        await self.settle()
        await type_line(client, "something")
        self.assertIn("got something\r\n", await output_until(client, PROMPT))

    async def test_size_of_the_terminal(self):
        """Messages of one client are handled in order: the size is set before the shell is asked for it."""
        client = await self.ws_client()
        await client.send(["set_size", 17, 71])
        await type_line(client, "stty size")
        self.assertIn("17 71\r\n", await output_until(client, PROMPT))

    async def test_second_client_while_the_slot_is_taken(self):
        """The handler of one client too many raises in open(), which drops its connection."""
        await self.ws_client(name="first")
        async with self.expect_server_error(MaxTerminalsReached, match="more than 1"):
            second = await self.ws_client(name="second", handshake=None)
            await second.expect_closed(1006)

    async def test_handshake_while_the_slot_is_taken(self):
        """The failure of a handshake is caused by what the handler raised."""
        await self.ws_client(name="first")
        async with self.expect_server_error(MaxTerminalsReached) as caught:
            with self.assertRaises(ConnectionClosed) as failure:
                await self.ws_client(name="second")
        self.assertIs(failure.exception.__cause__, caught.exception)

    async def test_second_client_after_the_first_has_left(self):
        """The slot is free when the shell is dead, of which only the app's own state tells: hence `until`."""
        async with self.ws_client(name="first"):
            pass
        await self.until(lambda: not self.manager.ptys_by_fd)
        second = await self.ws_client(name="second")
        await type_line(second, "echo h''i")
        self.assertIn("hi\r\n", await output_until(second, PROMPT))

    async def test_close_has_hung_up_on_the_shell(self):
        """When `close` returns, the handler has left its terminal."""
        client = await self.ws_client()
        terminal = client.handler.terminal
        self.assertEqual(terminal.clients, [client.handler])
        await client.close()
        self.assertEqual(terminal.clients, [])


class SingleTest(TerminalTestCase):
    """One terminal for all."""

    def make_manager(self, **options):
        return SingleTermManager(**options)

    async def test_both_see_what_one_types(self):
        """Output goes to everyone at the terminal."""
        ann = await self.ws_client(name="ann")
        bob = await self.ws_client(name="bob")
        await type_line(ann, "echo h''i")
        self.assertIn("hi\r\n", await output_until(ann, PROMPT))
        self.assertIn("hi\r\n", await output_until(bob, PROMPT))

    async def test_smallest_client_sets_the_size(self):
        """The terminal is as large as fits everybody; a ping tells when the other's wish has been heard."""
        ann = await self.ws_client(name="ann")
        bob = await self.ws_client(name="bob")
        await bob.send(["set_size", 20, 60])
        await bob.ping()
        await ann.send(["set_size", 30, 50])
        await type_line(ann, "stty size")
        self.assertIn("20 50\r\n", await output_until(ann, PROMPT))

    async def test_terminal_outlives_its_clients(self):
        """Who comes back is shown what was on the screen, in the greeting."""
        async with self.ws_client(name="ann") as ann:
            await type_line(ann, "echo h''i")
            await output_until(ann, PROMPT)
        bob = await self.ws_client(name="bob", handshake=discard(1))
        self.assertIn("hi\r\n", await output_until(bob, PROMPT))


class NamedTest(TerminalTestCase):
    """A terminal for each name."""

    def make_manager(self, **options):
        return NamedTermManager(max_terminals=2, **options)

    async def test_same_name_same_terminal(self):
        """Two websockets with one name meet at one shell."""
        ann = await self.ws_client("/term/den", name="ann")
        bob = await self.ws_client("/term/den", name="bob")
        await type_line(ann, "colour=red")
        await output_until(ann, PROMPT)
        await output_until(bob, PROMPT)
        await type_line(bob, "echo it is $colour")
        self.assertIn("it is red\r\n", await output_until(bob, PROMPT))

    async def test_other_name_other_terminal(self):
        """What is typed into one shell is not heard in another."""
        ann = await self.ws_client("/term/den", name="ann")
        bob = await self.ws_client("/term/hall", name="bob")
        await type_line(ann, "echo h''i")
        await output_until(ann, "hi\r\n")
        await bob.expect_nothing()

    async def test_one_name_too_many(self):
        """A third name raises in open(); the two that are there go on."""
        ann = await self.ws_client("/term/den", name="ann")
        await self.ws_client("/term/hall", name="bob")
        async with self.expect_server_error(MaxTerminalsReached):
            eve = await self.ws_client("/term/attic", name="eve", handshake=None)
            await eve.expect_closed(1006)
        await type_line(ann, "echo h''i")
        self.assertIn("hi\r\n", await output_until(ann, PROMPT))

    async def test_name_is_free_when_its_shell_is_gone(self):
        """The app forgets a terminal before it tells its clients: nothing to wait for but their message."""
        client = await self.ws_client("/term/den")
        await type_line(client, "exit")
        await client.receive_until(["disconnect", 1])
        self.assertEqual(self.manager.terminals, {})


class EndTest(unittest.TestCase):
    """What is left when a test is over."""

    def play(self, manager_class):
        """Run a test that leaves a client at a busy shell; return its case and the shell."""
        shells = []

        class Busy(TerminalTestCase):
            def make_manager(self, **options):
                return manager_class(**options)

            async def test_busy(self):
                client = await self.ws_client()
                shells.append(client.handler.terminal.ptyproc)
                await type_line(client, "echo st''arted; sleep 1000")
                await output_until(client, "started")

        case = Busy("test_busy")
        result = case.run()
        self.assertTrue(result.wasSuccessful(), result.errors + result.failures)
        return case, shells[0]

    def test_no_process_is_left(self):
        """The shell is dead and reaped when its test is over."""
        for manager_class in (UniqueTermManager, SingleTermManager, NamedTermManager):
            with self.subTest(manager_class.__name__):
                _, shell = self.play(manager_class)
                with self.assertRaises(ProcessLookupError):
                    os.kill(shell.pid, 0)

    @unittest.skipUnless(os.path.isdir("/proc/self/fd"), "looks into /proc")
    def test_no_descriptor_is_left(self):
        """Neither sockets nor terminals stay open."""
        self.play(UniqueTermManager)  # what is opened once and kept
        before = sorted(os.listdir("/proc/self/fd"))
        for manager_class in (UniqueTermManager, SingleTermManager, NamedTermManager):
            with self.subTest(manager_class.__name__):
                self.play(manager_class)
                self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)

    def test_last_on_close_comes_before_close_app(self):
        """When the app is closed, no client is at a terminal any more."""
        case, _ = self.play(SingleTermManager)
        self.assertEqual([terminal.clients for terminal in case.terminals_at_the_end], [[]])
