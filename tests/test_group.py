"""Several clients as one: groups, broadcasts, captures."""

import asyncio
import unittest

from tornado.httpclient import HTTPClientError
from tornado.testing import gen_test
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests.apps.handlers import Commands, Rejecting
from tests.running import run_test
from tornado_wstest import (
    BroadcastMismatch,
    ClientGroup,
    MessageTimeout,
    UnexpectedMessage,
    UsageError,
    WebSocketTestCase,
    WebSocketTester,
    containing,
    discard,
)


class Chat(WebSocketHandler):
    """Tells what one says to everyone, with the habits that the app's settings ask for."""

    @property
    def everyone(self):
        return self.settings["everyone"]

    def open(self):
        self.name = self.get_argument("name", "")
        self.everyone.append(self)
        self.write_message({"hello": self.name})

    def on_message(self, message):
        habit = self.settings["habits"].get(message, message)
        listeners = self.everyone[1:] if habit == "forget one" else self.everyone
        for handler in listeners:
            handler.write_message({"said": message})
        if habit == "tell one twice":
            self.everyone[1].write_message({"said": message})
        if habit == "add another kind":
            self.write_message({"ack": message})

    def on_close(self):
        self.everyone.remove(self)


class GroupTestCase(WebSocketTestCase):
    """A chat; everyone is greeted."""

    handshake = discard(1)
    ws_path = "/chat"

    def get_app(self):
        return Application(
            [("/chat", Chat), ("/commands", Commands), ("/rejecting", Rejecting)], everyone=[], habits={}
        )


class ClientsTest(GroupTestCase):
    """How a group comes to be."""

    async def test_a_number_of_clients(self):
        """A number makes so many clients, each after its handshake."""
        users = await self.ws_clients(3)
        self.assertEqual((len(users), [user.handshake_messages for user in users]), (3, [('{"hello": ""}',)] * 3))

    async def test_names(self):
        """Names are names of clients, by which the group knows them."""
        users = await self.ws_clients(["ann", "bob"])
        self.assertEqual([user.name for user in users], ["ann", "bob"])
        self.assertIs(users["bob"], users[1])

    async def test_keyword_arguments_of_each(self):
        """A mapping gives each client its own arguments, beside those of all."""
        users = {"ann": {"query": {"name": "Ann"}}, "bob": {"query": {"name": "Bob"}, "handshake": None}}
        group = await self.ws_clients(users, headers={"X-All": "1"})
        self.assertEqual([client.handler.name for client in group], ["Ann", "Bob"])
        self.assertEqual([client.handler.request.headers["X-All"] for client in group], ["1", "1"])
        self.assertEqual((group["ann"].unread, group["bob"].unread), ((), ('{"hello": "Bob"}',)))

    async def test_a_slice_is_a_group(self):
        """A slice is a group of those."""
        users = await self.ws_clients(["ann", "bob", "cat"])
        self.assertIsInstance(users[1:], ClientGroup)
        self.assertEqual([user.name for user in users[1:]], ["bob", "cat"])

    async def test_a_name_that_is_not_there(self):
        """A name that nobody has is a KeyError that names those who are there."""
        users = await self.ws_clients(["ann", "bob"])
        with self.assertRaisesRegex(KeyError, "no 'cat' in this group; there are ann, bob"):
            users["cat"]

    async def test_one_that_cannot_connect_closes_the_others(self):
        """If one is refused, its failure is raised, and nobody stays."""
        with self.assertRaises(HTTPClientError):
            await self.ws_clients({"ann": {}, "bob": {"path": "/rejecting"}})
        self.assertEqual(self.ws_server.handlers, [])

    async def test_many_who_connect_have_more_time(self):
        """The last of many who connect together is served when all others have been, and does not give up before."""
        for count, options, expected in (
            (10, {"timeout": 3}, (3, 3)),
            (20, {"timeout": 3}, (6, 6)),
            (20, {"timeout": 3, "request_timeout": 4}, (6, 4)),
        ):
            with self.subTest(count=count, options=options):
                users = await self.ws_clients(count, **options)
                request = users[-1].connection.request
                self.assertEqual((request.connect_timeout, request.request_timeout), expected)

    async def test_async_with_closes_all(self):
        """Leaving `async with` closes each client."""
        async with self.ws_clients(3) as users:
            self.assertEqual(len(self.ws_server.handlers), 3)
        self.assertEqual((self.ws_server.handlers, [user.closed for user in users]), ([], [True] * 3))

    async def test_async_with_of_a_group_that_is_there(self):
        """So it does with a part of a group."""
        users = await self.ws_clients(3)
        async with users[1:] as some:
            self.assertEqual(list(some), list(users)[1:])
        self.assertEqual([user.closed for user in users], [False, True, True])

    async def test_what_is_no_group(self):
        """No clients, a name alone, and one name twice are refused."""
        for wrong in (0, -1, [], {}, "ann", True, None, 1.5, ["ann", "ann"], {"ann": 1}):
            with self.assertRaisesRegex(UsageError, "group"):
                self.ws_clients(wrong)

    async def test_names_that_are_given_elsewhere(self):
        """The names of a group are said once."""
        with self.assertRaisesRegex(UsageError, "name= is for one client; a group is given its names"):
            self.ws_clients(2, name="ann")
        with self.assertRaisesRegex(UsageError, "the group's 'ann' has a name= of its own"):
            self.ws_clients({"ann": {"name": "bob"}})


class TogetherTest(GroupTestCase):
    """What a group does."""

    async def test_send_and_expect(self):
        """Each client sends; each gets what is expected, in order."""
        users = await self.ws_clients(3)
        await users.send("hi")
        for _ in range(3):
            self.assertEqual(await users.expect({"said": "hi"}), [{"said": "hi"}] * 3)
        await users.expect_nothing()

    async def test_expect_names_all_who_fail(self):
        """The failure is the first client's, and names the others."""
        users = await self.ws_clients(["ann", "bob", "cat"])
        await users["ann"].send("hi")
        await users["ann"].expect({"said": "hi"})
        await users["ann"].send("ho")
        with self.assertRaisesRegex(UnexpectedMessage, "bob expected .*'ho'(.|\n)*2 of the 3 clients.*: bob, cat"):
            await users.expect({"said": "ho"})

    async def test_silence_is_waited_for_once(self):
        """If many got nothing, the time-out passes once."""
        users = await self.ws_clients(20)
        started = asyncio.get_running_loop().time()
        with self.assertRaisesRegex(MessageTimeout, "20 of the 20 clients of the group failed"):
            await users.expect("anything", timeout=0.05)
        self.assertLess(asyncio.get_running_loop().time() - started, 0.5)

    async def test_expect_nothing_sees_each(self):
        """A message to one of them breaks the silence of all."""
        users = await self.ws_clients(["ann", "bob"])
        users["bob"].handler.write_message("psst")
        with self.assertRaisesRegex(UnexpectedMessage, "bob expected nothing, but 'psst' came"):
            await users.expect_nothing()

    async def test_expect_nothing_lets_time_pass(self):
        """What a timer sends within the seconds is seen."""
        users = await self.ws_clients(["ann", "bob"], "/commands", handshake=None)
        await users["bob"].send({"sleep": 0.02, "send": ["late"]})
        await users.expect_nothing()
        with self.assertRaisesRegex(UnexpectedMessage, "bob expected nothing, but 'late' came"):
            await users.expect_nothing(seconds=0.1)

    async def test_seconds_of_silence(self):
        """Silence lasts a number of seconds."""
        users = await self.ws_clients(2)
        for seconds in (-1, "1", True):
            with self.assertRaisesRegex(UsageError, "seconds is a number of seconds, 0 or more"):
                await users.expect_nothing(seconds=seconds)

    async def test_nobody(self):
        """What is expected of an empty slice would always be so, and is refused."""
        nobody = (await self.ws_clients(2))[2:]
        for call in (lambda: nobody.expect("x"), nobody.expect_nothing, nobody.expect_closed):
            with self.assertRaisesRegex(UsageError, "this group has no clients"):
                await call()

    async def test_receive_all(self):
        """What arrived, a list a client."""
        users = await self.ws_clients(2)
        users[1].handler.write_message("a")
        self.assertEqual(await users.receive_all(), [[], ["a"]])

    async def test_expect_closed_and_close(self):
        """All are closed by the server, or by the test."""
        users = await self.ws_clients(2, "/commands", handshake=None)
        await users.send({"close": [4001]})
        self.assertEqual(await users.expect_closed(4001), [4001, 4001])
        others = await self.ws_clients(2)
        await others.close(4000)
        self.assertEqual([client.close_code for client in others], [4000, 4000])


class BroadcastTest(GroupTestCase):
    """Exactly those, exactly once."""

    async def test_it_reaches_everyone_once(self):
        """A broadcast that is right passes, and its messages are taken."""
        users = await self.ws_clients(["ann", "bob", "cat"])
        async with self.expect_broadcast({"said": "hi"}, to=users):
            await users["ann"].send("hi")
        await users.expect_nothing()

    async def test_what_was_unread_before_stays(self):
        """Messages from before the block, in flight or unread, neither count nor vanish."""
        users = await self.ws_clients(2)
        await users[0].send("hi")
        async with self.expect_broadcast({"said": "hi"}, to=users, only=True):
            await users[1].send("hi")
        self.assertEqual([client.unread for client in users], [('{"said": "hi"}',)] * 2)

    async def test_a_message_that_the_block_took_counts(self):
        """What the block itself received has reached its client, too."""
        users = await self.ws_clients(2)
        async with self.expect_broadcast(containing(said="hi"), to=users):
            await users[0].send("hi")
            await users[1].expect({"said": "hi"})
        await users.expect_nothing()

    async def test_other_messages_stay_unread(self):
        """Without only=True, what does not match stays."""
        self.ws_server.app.settings["habits"]["hi"] = "add another kind"
        users = await self.ws_clients(2)
        async with self.expect_broadcast({"said": "hi"}, to=users):
            await users[0].send("hi")
        self.assertEqual([client.unread for client in users], [('{"ack": "hi"}',), ()])

    async def mismatch(self, habit, to=None, *, only=False):
        self.ws_server.app.settings["habits"]["hi"] = habit
        users = await self.ws_clients(["ann", "bob", "cat"])
        with self.assertRaises(BroadcastMismatch) as caught:
            async with self.expect_broadcast({"said": "hi"}, to=users if to is None else users[to], only=only):
                await users["ann"].send("hi")
        return str(caught.exception)

    async def test_one_who_is_told_twice(self):
        """A handler that tells one person twice."""
        text = await self.mismatch("tell one twice")
        self.assertIn("got it more than once: bob (2 times)", text)

    async def test_one_who_is_forgotten(self):
        """A handler that forgets one."""
        self.assertIn("did not get it: ann", await self.mismatch("forget one"))

    async def test_a_stranger_who_is_told(self):
        """A handler that tells a stranger."""
        self.assertIn("got it, and should not: cat", await self.mismatch("all", slice(0, 2)))

    async def test_a_message_of_another_kind(self):
        """With only=True, a message of another kind is a mismatch."""
        text = await self.mismatch("add another kind", only=True)
        self.assertIn("""something else came: ann got '{"ack": "hi"}'""", text)

    async def test_a_newcomers_handshake_does_not_count(self):
        """Somebody who comes in the block is greeted; that is none of the broadcast."""
        users = await self.ws_clients(2)
        async with self.expect_broadcast({"said": "hi"}, to=users, only=True):
            await users[0].send("hi")
            await self.settle()
            await self.ws_client()

    async def test_an_exception_of_the_block_passes(self):
        """What the block raises is what is told."""
        users = await self.ws_clients(2)
        with self.assertRaises(KeyError):
            async with self.expect_broadcast("x", to=users):
                raise KeyError("mine")

    async def test_whom_it_may_be_for(self):
        """A group, clients, or one client; nothing else, and not nobody."""
        ann = await self.ws_client()
        async with self.expect_broadcast({"said": "hi"}, to=ann):
            await ann.send("hi")
        for wrong in ([], None, "ann", [1]):
            with self.assertRaisesRegex(UsageError, "a group of clients, or clients"):
                self.expect_broadcast("x", to=wrong)

    async def test_what_is_no_expectation(self):
        """A class is refused at the call, though no message may come."""
        ann = await self.ws_client()
        with self.assertRaisesRegex(UsageError, "the class int is no expectation"):
            self.expect_broadcast(int, to=ann)

    async def test_only_is_a_bool(self):
        """A value that only looks true is refused."""
        ann = await self.ws_client()
        with self.assertRaisesRegex(UsageError, "only is True or False, not 'yes'"):
            self.expect_broadcast("x", to=ann, only="yes")

    async def test_a_block_that_is_entered_again(self):
        """Each time counts for itself."""
        ann = await self.ws_client()
        block = self.expect_broadcast({"said": "hi"}, to=ann)
        for _ in range(2):
            async with block:
                await ann.send("hi")

    def test_a_generator_test_is_told(self):
        """A generator test cannot use `async with`, and is told so."""

        class Case(GroupTestCase):
            @gen_test
            def test_it(self):
                users = yield self.ws_clients(2)
                with self.expect_broadcast("x", to=users):
                    pass

        self.assertIn("expect_broadcast() needs 'async with'", run_test(Case).text)


class CaptureTest(GroupTestCase):
    """What a block caused."""

    async def test_pairs_of_client_and_value(self):
        """Captured are the client and the value, in order; the messages are taken."""
        ann, bob = await self.ws_clients(["ann", "bob"])
        async with self.capture_messages() as captured:
            await ann.send("hi")
        self.assertEqual(captured, [(ann, {"said": "hi"}), (bob, {"said": "hi"})])
        self.assertEqual((ann.unread, bob.unread), ((), ()))

    async def test_what_was_unread_before_stays(self):
        """Messages from before the block stay unread."""
        ann, bob = await self.ws_clients(2)
        await ann.send("before")
        async with self.capture_messages() as captured:
            await bob.send("in")
        self.assertEqual([value for _, value in captured], [{"said": "in"}] * 2)
        self.assertEqual(ann.unread, ('{"said": "before"}',))

    async def test_a_block_that_is_entered_again(self):
        """It has what the last one caused."""
        ann = await self.ws_client()
        block = self.capture_messages()
        for message in "ab":
            async with block as captured:
                await ann.send(message)
        self.assertEqual(captured, [(ann, {"said": "b"})])

    async def test_repr(self):
        """Names and values, as a failure shows them."""
        ann = await self.ws_client(name="ann")
        async with self.capture_messages() as captured:
            await ann.send("hi")
        self.assertEqual(repr(captured), "[('ann', {'said': 'hi'})]")

    async def test_an_empty_block(self):
        """A block that causes nothing captures nothing."""
        await self.ws_clients(2)
        async with self.capture_messages() as captured:
            pass
        self.assertEqual((len(captured), list(captured)), (0, []))


class ManyTest(unittest.TestCase):
    """A thousand of them."""

    def test_a_broadcast_to_a_thousand(self):
        """A thousand clients over memory connect together, and each gets a broadcast once."""

        async def main():
            app = Application([("/", Chat)], everyone=[], habits={})
            async with WebSocketTester(app, transport="memory", handshake=discard(1)) as wstest:
                users = await wstest.clients(1000)
                async with wstest.expect_broadcast({"said": "hi"}, to=users, only=True):
                    await users[0].send("hi")
                await users.expect_nothing()

        asyncio.run(main())
