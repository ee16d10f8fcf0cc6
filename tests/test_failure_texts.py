"""The complete text of each failure that a user can meet, compared with ``tests/failures/*.txt``.

Each test runs a small failing test case, and takes what unittest would print, without the lines of the stack
and with whatever changes from run to run masked. After an intended change, write the files anew and read them::

    UPDATE_FAILURES=1 python -m unittest tests.test_failure_texts
"""

import asyncio
import json
import logging
import os
import pathlib
import re
import unittest

from tornado.testing import gen_test
from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from tests.apps import races
from tornado_wstest import (
    Scenario,
    WebSocketTestCase,
    containing,
    discard,
    discard_all,
    discard_until,
    exchange,
    explore,
    faults,
    field,
    sequence,
)

FOLDER = pathlib.Path(__file__).parent / "failures"

USERS = {
    "type": "users",
    "users": [
        {"name": f"user {number}", "place": {"room": "den", "seat": number}, "colour": "blue", "online": True}
        for number in range(25)
    ],
}


class RoomHandler(WebSocketHandler):
    """Does what it is told: ``say hello``, ``join ann``, ``close 4001 who are you``, ..."""

    def on_message(self, message):
        command, _, argument = message.partition(" ")
        return getattr(self, f"do_{command}")(argument)

    def do_say(self, text):
        self.write_message(text)

    def do_join(self, name):
        self.write_message({"type": "joined", "user": name})
        self.write_message({"type": "count", "users": 2})

    def do_users(self, _):
        self.write_message(USERS)

    def do_picture(self, _):
        self.write_message(b"\x89PNG\r\n\x1a\n", binary=True)

    def do_close(self, code_and_reason):
        code, _, reason = code_and_reason.partition(" ")
        self.close(int(code), reason or None)

    def do_drop(self, _):
        self.ws_connection.stream.close()

    def do_crash(self, room):
        raise ValueError(f"no room {room!r}")

    async def do_wait(self, _):
        await asyncio.Event().wait()

    def do_circle(self, _):
        self.task = asyncio.create_task(self.go_round())

    async def go_round(self):
        while self.ws_connection is not None:
            await asyncio.sleep(0)

    def do_poll(self, _):
        if self.ws_connection is not None:
            asyncio.get_running_loop().call_soon(self.do_poll, _)


class GreetingHandler(RoomHandler):
    """Greets first."""

    def open(self):
        self.write_message("hello")
        self.write_message({"type": "ready"})


class DoormanHandler(RoomHandler):
    """Greets, and closes."""

    def open(self):
        self.write_message("hello")
        self.close(4003, "members only")


class HallHandler(RoomHandler):
    """Tells everyone in the hall, as a broken handler would: ``twice bob hi``, ``not bob hi``, ``all hi``, ..."""

    def open(self):
        self.name = self.get_argument("name")
        self.settings.setdefault("hall", {})[self.name] = self

    def on_close(self):
        del self.settings["hall"][self.name]

    def do_all(self, text):
        for person in self.settings["hall"].values():
            person.write_message({"said": text})

    def do_twice(self, name_and_text):
        name, _, text = name_and_text.partition(" ")
        self.do_all(text)
        self.settings["hall"][name].write_message({"said": text})

    def do_not(self, name_and_text):
        name, _, text = name_and_text.partition(" ")
        for person in self.settings["hall"].values():
            if person.name != name:
                person.write_message({"said": text})

    def do_confirm(self, text):
        self.do_all(text)
        self.write_message({"confirmed": text})


class BrokenHandler(RoomHandler):
    """Cannot open."""

    def open(self):
        raise KeyError("room")


class RefusingHandler(RoomHandler):
    """Refuses the opening handshake."""

    def prepare(self):
        raise HTTPError(401, reason="Who Are You")


class SlowHandler(RoomHandler):
    """Never answers the opening handshake."""

    async def prepare(self):
        await asyncio.Event().wait()


class SlowPage(RequestHandler):
    """Never answers."""

    async def get(self):
        await asyncio.Event().wait()


class RoomTestCase(WebSocketTestCase):
    """The base of the small test cases."""

    ws_path = "/room"

    def get_ws_options(self):
        # What waits for a tenth of a second here is no handshake: a busy machine may take longer for one.
        return {"connect_timeout": 10, "request_timeout": 10}

    def get_app(self):
        return Application(
            [
                ("/room", RoomHandler),
                ("/greeting", GreetingHandler),
                ("/doorman", DoormanHandler),
                ("/hall", HallHandler),
                ("/broken", BrokenHandler),
                ("/refusing", RefusingHandler),
                ("/slow", SlowHandler),
                ("/slow-page", SlowPage),
            ]
        )


class FailureTextTestCase(unittest.TestCase):
    """Compares what a small test case prints with the file that is named as the test is."""

    maxDiff = None

    def setUp(self):
        for name in ("tornado", "asyncio"):
            logger = logging.getLogger(name)
            logger.propagate, before = False, logger.propagate
            self.addCleanup(setattr, logger, "propagate", before)
            handler = logging.NullHandler()
            logger.addHandler(handler)
            self.addCleanup(logger.removeHandler, handler)

    def assert_text(self, test, **attributes):
        """``test`` fails as a method of a `RoomTestCase`, and what is printed then is what the file has."""
        text = printed(type("RoomTest", (RoomTestCase,), {"test": test, **attributes}))
        file = FOLDER / f"{self._testMethodName.removeprefix('test_')}.txt"
        if os.environ.get("UPDATE_FAILURES"):
            file.write_text(text, encoding="utf-8")
        self.assertEqual(text, file.read_text(encoding="utf-8"))


def printed(test_case):
    """Return what unittest prints of a failing test, without stacks, with all masked that changes."""
    result = unittest.TestResult()
    test_case("test").run(result)
    failed = [("FAIL", *pair) for pair in result.failures] + [("ERROR", *pair) for pair in result.errors]
    return "\n".join(f"{word}: {subtest_of(test)}\n{masked(text)}" for word, test, text in failed)


def subtest_of(test):
    return " ".join(filter(None, ["test", getattr(test, "_subDescription", str)()]))


def masked(text):
    lines, in_stack = [], False
    for line in text.splitlines():
        in_stack = line.startswith("Traceback ") or (in_stack and line.startswith(" "))
        if not in_stack:
            lines.append(line)
    text = "\n".join(lines) + "\n"
    text = re.sub(r"^ *\d+\.\d{3}  ", "    <t>  ", text, flags=re.MULTILINE)
    text = re.sub(r"/\S*/(\w+\.py)", r"\1", text)
    text = re.sub(r"\.py:\d+", ".py:<n>", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:<port>", text)
    text = re.sub(r"0x[0-9a-f]+", "0x<id>", text)
    # Where a task factory is set, CPython 3.13.0 names tasks "None".
    return re.sub(r"^  (Task-\d+|None) in ", "  Task-<n> in ", text, flags=re.MULTILINE)


class WrongMessageTest(FailureTextTestCase):
    """Another message came than the one expected."""

    def test_wrong_message(self):
        """The expected and the actual message stand one below the other."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("say hello, ann")
            await client.expect("hello, bob")

        self.assert_text(test)

    def test_wrong_message_with_a_later_match(self):
        """A later message that matches is pointed at."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await self.settle()
            await client.expect(containing(type="count"))

        self.assert_text(test)

    def test_wrong_message_with_no_later_match(self):
        """That no later message matches is said, too."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await self.settle()
            await client.expect(containing(type="left"))

        self.assert_text(test)

    def test_wrong_message_by_predicate(self):
        """A predicate is named by its place."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.expect(lambda value: value["user"] == "bob")

        self.assert_text(test)

    def test_wrong_message_by_predicate_that_raised(self):
        """What a predicate raised is shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.expect(lambda value: value["room"] == "den")

        self.assert_text(test)

    def test_mismatch_deep_in_2_kB(self):
        """Of a large value, the path and the two values are shown, not the whole."""
        expected = json.loads(json.dumps(USERS))
        expected["users"][17]["place"]["seat"] = 71
        del expected["users"][20]["online"]

        async def test(self):
            client = await self.ws_client()
            await client.send("users")
            await client.expect(expected)

        self.assertGreater(len(json.dumps(USERS)), 2000)
        self.assert_text(test)

    def test_mismatch_at_a_field(self):
        """A field that is not there is told with its path."""

        async def test(self):
            client = await self.ws_client()
            await client.send("users")
            await client.expect(field("users/30/name", "ann"))

        self.assert_text(test)

    def test_receive_json_of_no_json(self):
        """The message and the parser's complaint are shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("say {nonsense")
            await client.receive_json()

        self.assert_text(test)

    def test_receive_text_of_binary(self):
        """The kind that was asked for and the message that came are shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("picture")
            await client.receive_text()

        self.assert_text(test)

    def test_in_any_order_with_a_stranger(self):
        """The one message that fits nothing is named."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.send("say hello")
            await self.settle()
            await client.expect_in_any_order("hello", containing(type="joined"), containing(type="left"))

        self.assert_text(test)

    def test_in_any_order_with_too_few(self):
        """What has come is told where some is missing."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.expect_in_any_order("hello", containing(type="joined"), containing(type="count"))

        self.assert_text(test, ws_timeout=0.1)

    def test_in_any_order_with_one_twice(self):
        """Where two messages claim one expectation, all that came is shown."""

        async def test(self):
            client = await self.ws_client()
            for word in ("hello", "hello", "bye"):
                await client.send(f"say {word}")
            await self.settle()
            await client.expect_in_any_order("hello", "bye", containing(type="left"))

        self.assert_text(test)

    def test_nothing_but_something(self):
        """The message that came where none should is shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("say hello")
            await client.expect_nothing()

        self.assert_text(test)

    def test_nothing_like_but_something(self):
        """Only what should not come is complained of; others are counted."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.expect_nothing(containing(type="count"))

        self.assert_text(test)


class TimeoutTest(FailureTextTestCase):
    """What should come did not come in time."""

    def test_timeout_with_silence(self):
        """That nothing at all came is said."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.expect("hello")

        self.assert_text(test, ws_timeout=0.1)

    def test_timeout_with_other_messages(self):
        """The messages that came instead are shown."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("join ann")
            await client.receive(containing(type="left"))

        self.assert_text(test, ws_timeout=0.1)

    def test_timeout_of_a_pong(self):
        """A ping that is not answered says so."""

        async def test(self):
            client = await self.ws_client()
            await client.send("wait")
            await client.ping()

        self.assert_text(test, ws_timeout=0.1)

    def test_until_never(self):
        """The predicate is named, with what it was at last."""

        async def test(self):
            await self.until(lambda: len(self.ws_server.handlers) == 2)

        self.assert_text(test, ws_timeout=0.1)

    def test_until_raising(self):
        """A predicate that raised to the end is told with its exception."""

        async def test(self):
            await self.until(lambda: self.ws_server.handlers[0])

        self.assert_text(test, ws_timeout=0.1)

    def test_opening_handshake_without_an_answer(self):
        """The path of the connection is named, and where to look."""

        async def test(self):
            await self.ws_client("/slow", request_timeout=0.1)

        self.assert_text(test, ws_timeout=0.1)

    def test_opening_handshake_without_an_answer_for_a_plain_connection(self):
        """`ws_connect` fails in the same words."""

        async def test(self):
            await self.ws_connect("/slow", request_timeout=0.1)

        self.assert_text(test, ws_timeout=0.1)

    def test_http_fetch_without_an_answer(self):
        """Method, path and seconds are named."""

        async def test(self):
            await self.http_fetch("/slow-page")

        self.assert_text(test, ws_timeout=0.1)

    def test_close_while_the_handler_awaits(self):
        """The line at which the handler awaits is named."""

        async def test(self):
            client = await self.ws_client()
            await client.send("wait")
            await client.close()

        self.assert_text(test, ws_timeout=0.1)

    def test_a_test_that_hangs(self):
        """A test that gen_test ends shows its transcript, too."""

        @gen_test(timeout=0.2)
        async def test(self):
            client = await self.ws_client()
            await client.send("say hello")
            await asyncio.Event().wait()

        self.assert_text(test)


class CloseTest(FailureTextTestCase):
    """A close came, or did not."""

    def test_closed_with_1000_and_a_reason(self):
        """Code and reason are shown with what was waited for."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("close 1000 good night")
            await client.expect("hello")

        self.assert_text(test)

    def test_closed_with_4001(self):
        """A code of the app's own stands alone where there is no reason."""

        async def test(self):
            client = await self.ws_client()
            await client.send("close 4001")
            await client.receive()

        self.assert_text(test)

    def test_closed_with_1006(self):
        """A connection that was lost without a close frame is told so."""

        async def test(self):
            client = await self.ws_client()
            await client.send("drop")
            await client.receive_json()

        self.assert_text(test)

    def test_closed_with_a_message_unread(self):
        """Unread messages are counted: the one looked for may be there in another form."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.send("close 1000")
            await client.receive(containing(type="left"))

        self.assert_text(test)

    def test_reconnect_while_the_server_is_down(self):
        """Who comes back too early is told that nobody listens, and when somebody will."""

        async def test(self):
            client = await self.ws_client(name="ann")
            restarting = asyncio.create_task(self.ws_server.restart(downtime=10))
            await client.expect_closed(1006)
            try:
                await client.reconnect()
            finally:
                await restarting

        self.assert_text(test, ws_virtual_time=True)

    def test_reconnect_while_connected(self):
        """Who has not gone cannot come back."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.reconnect()

        self.assert_text(test)

    def test_raw_bytes_after_the_server_dropped(self):
        """A fault that ended the connection ends what is sent after it; the transcript has the bytes."""

        async def test(self):
            client = await self.ws_client(name="eve")
            await client.send_raw(faults["reserved opcode 3"].data)
            await self.settle()
            await client.send_raw(faults["reserved bit 1"].data)

        self.assert_text(test)

    def test_plain_connection_that_stays_open(self):
        """What a plain connection waited for, and what came instead."""

        async def test(self):
            raw = await self.ws_raw("eve")
            await raw.send(faults.opening["no version"].at("/room").data)
            await raw.expect_closed()

        self.assert_text(test, ws_timeout=0.1)

    def test_send_after_the_server_closed(self):
        """What should be sent is shown, with the close."""

        async def test(self):
            client = await self.ws_client()
            await client.send("close 1001 restart")
            await self.settle()
            await client.send("join ann")

        self.assert_text(test)

    def test_send_after_the_test_closed(self):
        """That the test itself has closed is said."""

        async def test(self):
            client = await self.ws_client()
            await client.close()
            await client.send("join ann")

        self.assert_text(test)

    def test_nothing_but_a_close(self):
        """A close is no silence."""

        async def test(self):
            client = await self.ws_client()
            await client.send("close 1000")
            await client.expect_nothing()

        self.assert_text(test)

    def test_expect_closed_with_unread_messages(self):
        """The messages before the close are shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("join ann")
            await client.send("close 1000")
            await client.expect_closed(1000)

        self.assert_text(test)

    def test_expect_closed_with_another_code(self):
        """The expected and the actual code are shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("close 4001 who are you")
            await client.expect_closed(4003, "members only")

        self.assert_text(test)

    def test_expect_closed_but_open(self):
        """A connection that stays open says so."""

        async def test(self):
            client = await self.ws_client()
            await client.expect_closed(4003)

        self.assert_text(test, ws_timeout=0.1)


class BroadcastTest(FailureTextTestCase):
    """A message did not reach exactly those whom it should."""

    def assert_broadcast_text(self, command, to=("ann", "bob", "eve"), **options):
        """Ann sends ``command``, and what is printed is what the file has; over memory, so that the order is fixed."""

        async def test(self):
            users = await self.ws_clients({name: {"query": {"name": name}} for name in ("ann", "bob", "eve")}, "/hall")
            async with self.expect_broadcast({"said": "hi"}, to=[users[name] for name in to], **options):
                await users["ann"].send(command)

        self.assert_text(test, ws_transport="memory")

    def test_broadcast_that_tells_one_twice(self):
        """Who got it too often, and how often."""
        self.assert_broadcast_text("twice bob hi")

    def test_broadcast_that_forgets_one(self):
        """Who did not get it."""
        self.assert_broadcast_text("not eve hi")

    def test_broadcast_that_tells_a_stranger(self):
        """Who got it that should not."""
        self.assert_broadcast_text("all hi", to=("ann", "bob"))

    def test_broadcast_with_a_message_of_another_kind(self):
        """What else came, and to whom."""
        self.assert_broadcast_text("confirm hi", only=True)


class ServerErrorTest(FailureTextTestCase):
    """A handler raised."""

    def test_crash_while_waiting(self):
        """The handler's exception is the cause, and told in the failure's own words, too."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("crash den")
            await client.receive()

        self.assert_text(test)

    def test_crash_that_nobody_looked_at(self):
        """A test that passes otherwise fails with what the handler raised."""

        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("crash den")

        self.assert_text(test)

    def test_crash_of_several_handlers(self):
        """The first is the cause, the others are named."""

        async def test(self):
            for name in ("ann", "bob", "eve"):
                client = await self.ws_client(name=name)
                await client.send(f"crash {name}'s den")

        self.assert_text(test)

    def test_crash_in_open(self):
        """A handler that cannot open fails the handshake that waits for its greeting."""

        async def test(self):
            await self.ws_client("/broken", handshake=discard(1))

        self.assert_text(test)

    def test_crash_behind_an_assertion_of_the_test(self):
        """A plain assertion that fails has the handler's exception as its cause."""

        async def test(self):
            client = await self.ws_client()
            await client.send("crash den")
            await self.settle()
            self.assertEqual(client.unread, ("hello",))

        self.assert_text(test)

    def test_expect_server_error_but_nothing_raised(self):
        """That nothing was raised is said, and why it may have come too late."""

        async def test(self):
            client = await self.ws_client()
            with self.expect_server_error(ValueError, match="den"):
                await client.send("crash den")

        self.assert_text(test)

    def test_expect_server_error_but_another_raised(self):
        """What was raised instead is shown, and is the cause."""

        async def test(self):
            client = await self.ws_client()
            async with self.expect_server_error((KeyError, TypeError)):
                await client.send("crash den")

        self.assert_text(test)

    def test_not_settled_for_a_task(self):
        """The task that goes round is named, with its line."""

        async def test(self):
            client = await self.ws_client()
            await client.send("circle")
            await client.expect_nothing()

        self.assert_text(test, ws_timeout=0.1)

    def test_not_settled_for_a_callback(self):
        """The callback that calls itself again is named, with its place."""

        async def test(self):
            client = await self.ws_client()
            await client.send("poll")
            await self.settle()

        self.assert_text(test, ws_timeout=0.1)


class HandshakeTest(FailureTextTestCase):
    """A handshake, or an opening handshake, did not go through."""

    def test_handshake_that_met_a_close(self):
        """The step, the close and the messages before are shown."""

        async def test(self):
            await self.ws_client("/doorman", name="ann")

        self.assert_text(test, handshake=discard(2))

    def test_handshake_that_met_a_wrong_message(self):
        """What was sent, expected and received are shown."""

        async def test(self):
            await self.ws_client()

        self.assert_text(test, handshake=exchange("join ann", containing(type="welcome")))

    def test_handshake_that_met_silence(self):
        """The step and the seconds are shown."""

        async def test(self):
            await self.ws_client()

        self.assert_text(test, handshake=discard(1), ws_timeout=0.1)

    def test_handshake_that_never_saw_it(self):
        """What came in place of the awaited message is shown."""

        async def test(self):
            await self.ws_client("/greeting")

        self.assert_text(test, handshake=discard_until(containing(type="welcome")), ws_timeout=0.1)

    def test_handshake_step_of_a_sequence(self):
        """The number of the step is shown with the step."""

        async def test(self):
            await self.ws_client("/greeting", name="ann")

        self.assert_text(test, handshake=sequence(discard(1), exchange("say hi", {"type": "welcome"})))

    def test_handshake_of_all_that_met_a_close(self):
        """A greeting that ends in a close is a failure."""

        async def test(self):
            await self.ws_client("/doorman")

        self.assert_text(test, handshake=discard_all())

    def test_handshake_that_is_a_method(self):
        """A handshake of the user's own fails as the test would."""

        async def handshake(self, client):
            await client.expect("welcome")

        async def test(self):
            await self.ws_client("/greeting")

        handshake.__qualname__ = "RoomTest.handshake"
        self.assert_text(test, handshake=handshake)

    def test_opening_handshake_refused(self):
        """A refused opening handshake is Tornado's own error, with the transcript."""

        async def test(self):
            await self.ws_client("/refusing", name="ann")

        self.assert_text(test)

    def test_opening_handshake_of_no_route(self):
        """A path that the app does not have is told by its 404."""

        async def test(self):
            await self.ws_client("/nowhere")

        self.assert_text(test)

    def test_expect_rejected_but_accepted(self):
        """An accepted opening handshake is told with the path and the status."""

        async def test(self):
            await self.expect_rejected("/room")

        self.assert_text(test)

    def test_expect_rejected_with_another_status(self):
        """Both statuses and the body are shown."""

        async def test(self):
            await self.expect_rejected("/refusing", status=403)

        self.assert_text(test)


class TranscriptTest(FailureTextTestCase):
    """What is attached to every failure."""

    def test_transcript_of_a_sub_test(self):
        """A sub-test's failure has the transcript as it was then."""

        async def test(self):
            client = await self.ws_client(name="ann")
            for word in ("hello", "bye"):
                with self.subTest(word=word):
                    await client.send(f"say {word}")
                    await client.expect("hello")

        self.assert_text(test)

    def test_transcript_with_secrets(self):
        """Cookies, authorization and secret query values are masked."""

        async def test(self):
            await self.ws_client(
                query={"room": "den", "token": "s3cret"},
                headers={"Authorization": "Bearer s3cret", "X-Room": "den"},
                cookies={"user": "s3cret"},
            )
            self.fail("as it should")

        self.assert_text(test)

    def test_transcript_of_many_events(self):
        """Of many events the end is shown, and the failing client's first."""

        async def test(self):
            ann = await self.ws_client(name="ann")
            bob = await self.ws_client(name="bob")
            for number in range(30):
                await ann.send(f"say to ann {number}")
                await ann.receive()
            for number in range(30):
                await bob.send(f"say to bob {number}")
                await bob.receive()
            await ann.expect("hello")

        self.assert_text(test, ws_timeout=0.1)

    def test_transcript_of_a_long_payload(self):
        """Of a long message both ends are shown."""

        async def test(self):
            client = await self.ws_client()
            await client.send("say " + "hello " * 500)
            self.assertEqual(await client.receive(), "hello", "the greeting")

        self.assert_text(test)

    def test_transcript_of_a_mark_and_an_event_of_each_kind(self):
        """Marks, pings, silence and closes have their lines."""

        async def test(self):
            ann = await self.ws_client(name="ann")
            self.transcript.mark("ann is here")
            await ann.ping(b"?")
            await ann.expect_nothing()
            await ann.close(1001, "tired")
            await self.expect_rejected("/refusing", status=401)
            bob = await self.ws_client(name="bob")
            await bob.send("picture")
            await bob.send("crash den")
            await self.settle()
            self.fail("as it should")

        self.assert_text(test)


class ScenarioTest(FailureTextTestCase):
    """A play that fails: whose step, why, and where the others were."""

    ANN = Scenario("/room", name="ann")
    BOB = Scenario("/room", name="bob").send("say hello").expect("hello").mark("bob is in")

    def assert_play(self, *scenarios, timeout=None, **attributes):
        """What is printed of a play that fails is what the file has."""

        async def test(self):
            await self.play(*scenarios, timeout=timeout)

        self.assert_text(test, **attributes)

    def test_play_wrong_message(self):
        """Another message came than the one expected."""
        self.assert_play(self.ANN.send("join ann").expect({"type": "joined", "user": "bob"}), self.BOB.expect("bye"))

    def test_play_in_any_order_with_a_stranger(self):
        """A message came that fits none of those expected."""
        self.assert_play(self.ANN.send("join ann").expect_in_any_order("hello", containing(type="count")))

    def test_play_nothing_but_something(self):
        """A message came where none should."""
        self.assert_play(self.ANN.send("say hello").expect_nothing())

    def test_play_timeout(self):
        """Nothing came in time, and another user waited for the one who failed."""
        self.assert_play(self.ANN.expect("hello").mark("ann is in"), self.BOB.after("ann is in"), ws_timeout=0.1)

    def test_play_timeout_while_others_are_ignored(self):
        """What came was not it."""
        ann = Scenario("/room", name="ann", ignore_others=True)
        self.assert_play(ann.send("join ann").expect("hello"), ws_timeout=0.1)

    def test_play_unread_messages(self):
        """A message that no step has taken."""
        self.assert_play(self.ANN.send("join ann").expect(containing(type="joined")))

    def test_play_crash(self):
        """A handler raised."""
        self.assert_play(self.ANN.after("bob is in").send("crash den").expect("hello"), self.BOB.expect("bye"))

    def test_play_closed(self):
        """The server closed while a message was expected."""
        self.assert_play(self.ANN.send("close 4001 who are you").expect("hello"))

    def test_play_closed_after_the_last_step(self):
        """The server closed where no step expects it."""
        self.assert_play(self.ANN.send("close 4001 who are you"))

    def test_play_refused(self):
        """A user could not connect."""
        self.assert_play(Scenario("/refusing", name="ann").send("say hello"))

    def test_play_handshake(self):
        """A user's handshake did not go through."""
        self.assert_play(Scenario("/doorman", name="ann", handshake=discard(2)).send("say hello"))

    def test_play_marks_of_each_other(self):
        """Nobody can go on."""
        bob = Scenario("/room", name="bob").after("ann is in").mark("bob is in")
        self.assert_play(self.ANN.after("bob is in").mark("ann is in"), bob)

    def test_play_mark_that_nobody_sets(self):
        """A mark is not there."""
        self.assert_play(self.ANN.after("bob in"), self.BOB)

    def test_play_that_takes_too_long(self):
        """The time of the whole play is up."""
        self.assert_play(self.ANN.wait(60), self.BOB.expect("bye"), timeout=0.1)

    def test_play_nothing_can_happen(self):
        """Under virtual time, nothing is left that could happen."""
        self.assert_play(self.ANN.expect("hello").mark("ann is in"), self.BOB.after("ann is in"), ws_virtual_time=True)

    def test_play_function_that_raised(self):
        """A function of the test's raised."""

        def choose(value):
            return value["colour"]

        self.assert_play(self.ANN.send("join ann").expect(containing(type="joined"), then=choose))

    def test_play_function_that_returned_nothing(self):
        """A function of the test's has forgotten to return."""
        self.assert_play(self.ANN.send("say hello").expect("hello", then=lambda value: None))

    def test_play_what_cannot_be_sent(self):
        """A value that is no message."""
        self.assert_play(self.BOB, self.ANN.send("say hello").expect("hello", then={1}))

    def test_play_page_with_another_status(self):
        """A page is not there."""
        self.assert_play(self.ANN.fetch("/nowhere"))

    def test_play_page_without_an_answer(self):
        """A page never comes."""
        self.assert_play(self.ANN.fetch("/slow-page"), ws_timeout=0.1)


class FilesTest(unittest.TestCase):
    """The folder."""

    def test_each_file_belongs_to_a_test(self):
        """No file is left of a test that is gone."""
        tests = {name for cls in FailureTextTestCase.__subclasses__() for name in vars(cls) if name.startswith("test_")}
        files = {f"test_{file.stem}" for file in FOLDER.glob("*.txt")}
        self.assertEqual(files - tests, set())


if __name__ == "__main__":
    unittest.main()


class ExploreTest(FailureTextTestCase):
    """A test failed in one of many orders of delivery."""

    how = {
        "ws_path": "/",
        "ws_transport": "memory",
        "ws_virtual_time": True,
        "get_app": lambda self: races.make_app(races.HastyNames),
    }

    def test_explored_race(self):
        """The seed is named, and the transcript shows in which order the app got what was sent."""

        @explore(runs=100)
        async def test(self):
            await races.one_name(self)

        self.assert_text(test, **self.how)

    def test_explored_race_from_its_seed(self):
        """Played alone, it is the same."""

        @explore(seed=1)
        async def test(self):
            await races.one_name(self)

        self.assert_text(test, **self.how)

    def test_explored_in_a_plain_order(self):
        """What fails in the first run needs no order, and it is said."""

        @explore(runs=100)
        async def test(self):
            client = await self.ws_client(name="ann")
            await client.send("take rob")
            await client.expect("taken")

        self.assert_text(test, **self.how)

    def test_explored_over_tcp(self):
        """It is said why that cannot be, and what can."""

        @explore(runs=100)
        async def test(self):
            await self.ws_client()

        self.assert_text(test)
