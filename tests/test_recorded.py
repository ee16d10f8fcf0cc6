"""A recorded conversation as the code of scenarios.

The complete code of some recordings is compared with ``tests/recordings/*.txt``. After an intended change, write
the files anew and read them::

    UPDATE_RECORDINGS=1 python -m unittest tests.test_recorded
"""

import ast
import datetime
import json
import os
import pathlib
import re
import secrets
import time
import unittest
import uuid

from tornado.web import Application, HTTPError
from tornado.websocket import WebSocketHandler

from tests.apps import article
from tornado_wstest import Scenario, ScenarioFailed, UsageError, WebSocketTester, discard
from tornado_wstest.layout import Chain, Group, Link, Sum, lay_out, quote
from tornado_wstest.transcript import Transcript
from tornado_wstest.volatile import parts

FOLDER = pathlib.Path(__file__).parent / "recordings"

TRANSPORTS = ({}, {"transport": "memory", "virtual_time": True})
"""TCP in real time; memory in virtual time."""

SPEECHES = ("it's", 'a "quote"', 'it\'s "both"', "zoë \u2028 \U0001f600", "back\\slash\nand line", "", "x" * 150)


class Lobby(WebSocketHandler):
    """Gives out rooms, whose ids change from run to run, and lets in who names one."""

    rooms = None

    def open(self):
        self.rooms = self.settings["rooms"]
        if self.get_query_argument("greet", None):
            self.write_message({"session": secrets.token_hex(16), "at": time.time()})

    def on_message(self, message):
        if isinstance(message, bytes):
            self.write_message(message[::-1], binary=True)
        elif message.startswith("{"):
            self.do(**json.loads(message))
        elif message.startswith("enter "):
            self.enter(message.removeprefix("enter "))
        else:
            self.write_message(message)

    def do(self, do, room=None, then=None):
        if do == "open":
            self.rooms.append(str(uuid.uuid4()))
            now = datetime.datetime.now(datetime.UTC).isoformat()
            self.write_message({"room": {"id": self.rooms[-1]}, "opened": now, "ms": int(time.time() * 1000)})
        elif do == "tell":
            self.rooms.append(str(uuid.uuid4()))
            self.write_message(f"room {self.rooms[-1]} (of {len(self.rooms)}) is *open*")
        elif do == "list":
            self.write_message({"rooms": {room: {"people": 1} for room in self.rooms}})
        elif do == "echo":
            self.write_message({"echo": room})
        elif do == "crash":
            raise KeyError(room)
        elif do == "enter":
            self.enter(room)

    def enter(self, room):
        if room in self.rooms:
            self.write_message({"in": self.rooms.index(room), "nested": [[{"deep": None}], 1.5, True]})
        else:
            self.close(4004, "no such room")


class Ledger(WebSocketHandler):
    """Writes down what everyone says, and reads it out to who asks."""

    def on_message(self, message):
        if message == "read":
            self.write_message({"said": self.settings["said"]})
        else:
            self.settings["said"].append(message)


class Doorman(WebSocketHandler):
    """Lets nobody in."""

    def prepare(self):
        raise HTTPError(403)


def make_app():
    """Return the app, with no room open and nothing said."""
    routes = [("/lobby", Lobby), ("/ledger", Ledger), ("/doorman", Doorman), ("/", article.Article)]
    return Application(routes, rooms=[], said=[], people=[])


def scenarios(code):
    """Run ``code``, and return the scenarios that it defines, in order."""
    names = {}
    exec(compile(code, "recorded", "exec"), names)
    return [value for value in names.values() if isinstance(value, Scenario)]


def without_marks(code):
    """Return ``code`` with its marks taken out."""
    return re.sub(r"\s*\.(mark|after|settle)\([^)]*\)", "", code)


async def play(code, **options):
    """Play ``code`` once, and return the transcript."""
    async with WebSocketTester(make_app(), **options) as wstest:
        await wstest.play(*scenarios(code))
        return list(wstest.transcript)


def told(events):
    """Return the messages of ``events``, in order, with what changes masked."""
    said = [(e.client, e.kind, e.payload) for e in events if e.kind in ("sent", "received")]
    return [(*who, re.sub(r"[0-9a-f-]{32,36}|\d{4}-\d\d-\d\dT[^\"]+|\d{10,}(\.\d+)?", "*", str(s))) for *who, s in said]


class RecordedTestCase(unittest.IsolatedAsyncioTestCase):
    """Records a conversation, and plays it."""

    maxDiff = None

    async def record(self, test, **options):
        """Return the code of what ``test`` does with a tester, and the transcript at that time."""
        async with WebSocketTester(make_app(), **options) as wstest:
            await test(wstest)
            await wstest.settle()
            events = list(wstest.transcript)
            code = wstest.transcript.as_scenario()
            self.assertEqual(wstest.transcript.as_scenario(), code, "stable for one recording")
        self.assert_formatted(code)
        return code, events

    async def assert_replays(self, test):
        """The code of ``test`` plays twice over each transport, with the same messages in the same order."""
        code, events = await self.record(test)
        for options in TRANSPORTS:
            for _ in range(2):
                again = await play(code, **options)
                for name in {event.client for event in events}:
                    ours = [message for message in told(events) if message[0] == name]
                    # What the replay's own end provokes comes after.
                    self.assertEqual([m for m in told(again) if m[0] == name][: len(ours)], ours)
        return code

    def assert_formatted(self, code):
        """It is Python, and a line is long only where it is one literal."""
        ast.parse(code)
        for line in code.splitlines():
            self.assertEqual(line, line.rstrip())
            if len(line) > 100:
                self.assertRegex(line, r"^ *(\"[^\"]*\": )?b?([\"']).*\2,?$")

    def assert_file(self, code):
        """``code`` is what the file has that is named as the test is."""
        file = FOLDER / f"{self._testMethodName.removeprefix('test_')}.txt"
        if os.environ.get("UPDATE_RECORDINGS"):
            file.write_text(code, encoding="utf-8")
        self.assertEqual(code, file.read_text(encoding="utf-8"))


class ReplayTest(RecordedTestCase):
    """Code that plays what was recorded."""

    async def test_two_users_of_a_chat(self):
        """Who connects, speaks and goes in turn does so again."""

        async def test(wstest):
            ann = await wstest.client("/", name="ann", query={"name": "ann"})
            await ann.receive()
            bob = await wstest.client("/", name="bob", query={"name": "bob"})
            await wstest.settle()
            await ann.send({"message": "hi, bob"})
            await wstest.settle()
            await bob.send({"message": "hi, ann"})
            await wstest.settle()
            await ann.close()

        self.assert_file(await self.assert_replays(test))

    async def test_ids_times_and_tokens(self):
        """What changes from run to run is a matcher, and what a client sends back is taken from what came."""

        async def test(wstest):
            ann = await wstest.client("/lobby", name="ann", query={"greet": "yes"})
            await ann.receive()
            await ann.send({"do": "open"})
            room = await ann.receive_json()
            await ann.send({"do": "enter", "room": room["room"]["id"]})
            await ann.receive()
            await ann.send({"do": "tell"})
            text = await ann.receive()
            await ann.send(f"enter {text.split()[1]}")
            await ann.receive()
            await ann.send({"do": "list"})

        self.assert_file(await self.assert_replays(test))

    async def test_everybody_is_open_when_the_recording_ends(self):
        """Those who stay to the end close together: nobody hears of the others' end."""

        async def test(wstest):
            for name in ("ann", "bob", "cat"):
                await wstest.client("/", name=name, query={"name": name})
                await wstest.settle()

        code = await self.assert_replays(test)
        self.assertEqual(code.count('.after("over")'), 3)

    async def test_the_whole_test_is_over(self):
        """What was told while the tester closed its clients is replayed, too."""
        async with WebSocketTester(make_app()) as wstest:
            for name in ("ann", "bob"):
                await wstest.client("/", name=name, query={"name": name})
                await wstest.settle()
        code = wstest.transcript.as_scenario()
        self.assertIn('.expect({"message": "ann has disconnected"})', code)
        await play(code)

    async def test_messages_of_all_kinds(self):
        """Quotes, line breaks, other alphabets, binary, JSON in odd spacing and bare JSON come back as they were."""
        messages = [
            *SPEECHES,
            b"\x00\xff'\"",
            "[1,2]",
            '{ "do": "echo", "room": {"a": [1e300, NaN]} }',
            "null",
            "1e400",
        ]

        async def test(wstest):
            client = await wstest.client("/lobby")
            for message in messages:
                await client.send(message)
                await client.receive()

        code = await self.assert_replays(test)
        sent = [step.arguments[0] for step in scenarios(code)[0].steps if step.kind == "send"]
        self.assertEqual(sent, messages)

    async def test_server_closes(self):
        """A close by the server is expected with its code and reason."""

        async def test(wstest):
            client = await wstest.client("/lobby", name="ann")
            await client.send("enter nowhere")
            await client.expect_closed(4004)

        code = await self.assert_replays(test)
        self.assertIn('.send("enter nowhere")\n    .expect_closed(4004, "no such room")', code)

    async def test_close_with_a_code(self):
        """A close that is not the usual one is in the code, also where nothing follows."""

        async def test(wstest):
            client = await wstest.client("/lobby", name="ann")
            await client.send("hi")
            await client.receive()
            await client.close(4001, "tired")

        self.assertIn('.close(4001, "tired")', await self.assert_replays(test))

    async def test_abort(self):
        """That a connection was dropped is told by a comment."""

        async def test(wstest):
            client = await wstest.client("/lobby", name="ann")
            await client.abort()

        code = await self.assert_replays(test)
        self.assertIn("    # here the connection was dropped, without a close frame\n    .close()", code)

    async def test_reconnect(self):
        """Each connection of a client is a scenario, the second after the first."""

        async def test(wstest):
            client = await wstest.client("/lobby", name="ann")
            await client.send("once")
            await client.receive()
            await client.close()
            await client.reconnect()
            await client.send("again")

        code, _ = await self.record(test)
        ann, ann_2 = scenarios(code)
        self.assertEqual((ann.name, ann_2.name), ("ann", "ann 2"))
        self.assertRegex(code, r'close\(\)\.mark\("ann 1"\)[^#]*after\("ann 1"\)')
        sent = [message for message in told(await play(code)) if message[1] == "sent"]
        self.assertEqual(sent, [("ann", "sent", "once"), ("ann 2", "sent", "again")])

    async def test_handshake_is_in_the_recording(self):
        """The messages of a handshake are steps like others, and it is not gone through twice."""
        async with WebSocketTester(make_app(), handshake=discard(1), path="/lobby") as wstest:
            await wstest.client(query={"greet": "yes"})
        code = wstest.transcript.as_scenario()
        self.assertIn('.expect({"session": HEX, "at": is_timestamp})', code)
        async with WebSocketTester(make_app(), handshake=discard(1)) as wstest:
            await wstest.play(*scenarios(code))


class OrderTest(RecordedTestCase):
    """The order across users."""

    async def record_ledger(self):
        """Return the code of three users who dictate in turn, of which nobody hears."""

        async def test(wstest):
            users = {name: await wstest.client("/ledger", name=name) for name in ("ann", "bob", "cat")}
            for name, message in (("ann", "1"), ("bob", "2"), ("ann", "3"), ("cat", "4"), ("bob", "read")):
                await users[name].send(message)
                await wstest.settle()

        return (await self.record(test))[0]

    async def test_order_that_no_message_tells(self):
        """What users do in turn they do in turn again, many times."""
        code = await self.record_ledger()
        for _ in range(10):
            for options in TRANSPORTS:
                events = await play(code, **options)
                self.assertIn(("bob", "received", '{"said": ["1", "2", "3", "4"]}'), told(events))

    async def test_marks_are_needed(self):
        """Without the marks, the same code plays in another order."""
        code = without_marks(await self.record_ledger())
        self.assertNotIn("mark", code)
        with self.assertRaisesRegex(ScenarioFailed, "at said"):
            await play(code)

    async def test_marks_that_others_imply(self):
        """Who waits for one who has waited for all waits for nobody else."""
        code = await self.record_ledger()
        self.assertIn('.after("ann 3")\n    .send("4")', code, "ann knew all of bob")
        self.assertNotRegex(code, r'after\("[^"]*", ')

    async def test_what_nobody_is_told_of_settles_first(self):
        """A message after which nobody got anything is processed before others go on."""
        code = await self.record_ledger()
        self.assertIn('.send("2")\n    .settle()\n    .mark("bob 2")', code)
        self.assertNotIn("settle", (FOLDER / "two_users_of_a_chat.txt").read_text("utf-8"))

    async def test_silence_is_rest(self):
        """A client that has expected nothing has let the app settle."""

        async def test(wstest):
            ann, bob = [await wstest.client("/ledger", name=name) for name in ("ann", "bob")]
            await ann.send("1")
            await ann.expect_nothing()
            await bob.send("2")

        self.assertIn('.send("1")\n    .settle()', (await self.record(test))[0])

    def test_nobody_waits_for_oneself_alone(self):
        """One user needs no marks."""
        transcript = Transcript(lambda: 0)
        for kind, payload in (("connect", "/"), ("sent", "a"), ("received", "b"), ("sent", "c")):
            transcript.record("ann", kind, payload)
        code = transcript.as_scenario()
        self.assertIn('ann = Scenario("/", name="ann", handshake=None).send("a").expect("b").send("c")', code)

    def test_wait_that_follows_the_connection(self):
        """Who connects early and speaks late connects early again."""
        code = code_of(("ann", "connect", "/"), ("bob", "connect", "/"), ("ann", "received", "x"), ("bob", "sent", "y"))
        self.assertRegex(code, r'"bob".*\s+\.after\("ann 1"\)\s+\.connect\(\)\s+\.after\("ann 2"\)\s+\.send\("y"\)')

    def test_rest_of_the_recording(self):
        """A message after which nobody got anything settles only if it had settled when it was recorded."""
        for rests, got, settles in ((True, False, True), (False, False, False), (True, True, False)):
            transcript = Transcript(lambda: 0)
            for event in (("ann", "connect", "/"), ("bob", "connect", "/"), ("ann", "sent", "a")):
                transcript.record(*event)
            if rests:
                transcript.note_rest()
            if got:
                transcript.record("bob", "received", "a")
            transcript.record("bob", "sent", "b")
            self.assertIs(".settle()" in transcript.as_scenario(), settles)

    def test_close_at_the_end(self):
        """A close after which nothing came is the scenario's own end."""
        transcript = Transcript(lambda: 0)
        transcript.record("ann", "connect", "/")
        transcript.record("ann", "sent", "a")
        transcript.record("ann", "close", "1000", outgoing=True)
        self.assertIn('ann = Scenario("/", name="ann", handshake=None).send("a")\n', transcript.as_scenario())

    def test_what_comes_after_the_end(self):
        """What a client tried to send when the server had closed is no step."""
        code = code_of(("ann", "connect", "/"), ("ann", "close", "1001"), ("ann", "sent", "a"))
        self.assertIn("handshake=None).expect_closed(1001)\n", code)

    def test_message_that_crossed_a_close(self):
        """What came when the client had begun to close was sent before the server knew, and is expected before."""
        transcript = Transcript(lambda: 0)
        transcript.record("ann", "connect", "/")
        transcript.record("bob", "connect", "/")
        transcript.record("ann", "close", "1000", outgoing=True)
        transcript.record("bob", "received", "ann left")
        transcript.record("ann", "received", "late")
        ann, bob = scenarios(transcript.as_scenario())
        self.assertEqual([step.kind for step in ann.steps], ["mark", "expect", "after", "close", "mark"])
        self.assertEqual([step.kind for step in bob.steps], ["after", "mark", "expect", "after"])


def code_of(*events):
    """Return the code of ``(client, kind, payload)`` for each event."""
    transcript = Transcript(lambda: 0)
    for event in events:
        transcript.record(*event)
    return transcript.as_scenario()


ID = "0b0e1a3c-3f6f-4a4e-9d6a-3f3f3f3f3f3f"


class ValuesTest(unittest.TestCase):
    """Values that change from run to run."""

    def conversation(self, *messages):
        """Return the code of one user's messages: ``"> sent"`` and ``"< received"``."""
        kinds = {">": "sent", "<": "received"}
        return code_of(("ann", "connect", "/"), *(("ann", kinds[text[0]], text[2:]) for text in messages))

    def test_what_a_client_has_made_up_comes_back(self):
        """An id that the client sent first is the same in each run."""
        code = self.conversation(f'> {{"id": "{ID}"}}', f'< {{"reply_to": "{ID}"}}')
        self.assertIn(f'.expect({{"reply_to": "{ID}"}})', code)

    def test_value_of_an_earlier_message(self):
        """What came earlier cannot be taken from the message that came: a comment says so."""
        code = self.conversation(f"< {ID}", "< other", f"> enter {ID}")
        self.assertIn(f"    # {ID} came from the server before, and changes from run to run\n    .send(", code)

    def test_value_of_another_user(self):
        """What another user got cannot be taken from anywhere: a comment says so."""
        code = code_of(("ann", "connect", "/"), ("bob", "connect", "/"), ("ann", "received", ID), ("bob", "sent", ID))
        self.assertIn(f'.after("ann 2")\n    # {ID} came from the server before', code)

    def test_reply_that_waits(self):
        """A reply that others come before waits where its value is taken, and only if nobody waits for that."""
        early = [("ann", "connect", "/"), ("bob", "connect", "/"), ("bob", "received", "a"), ("ann", "received", ID)]
        code = code_of(*early, ("bob", "received", "b"), ("ann", "sent", ID))
        self.assertIn('.after("bob 1")\n    .expect(UUID, then=lambda value: value)', code)
        code = code_of(*early, ("bob", "sent", "b"), ("ann", "sent", ID))
        self.assertIn(f"    # {ID} came from", code)

    def test_reply_in_text(self):
        """A text that carries a value is put together."""
        code = self.conversation(f'< {{"a": ["x {ID} y", "{ID}"]}}', f"> enter {ID}!")
        self.assertIn('then=lambda value: "enter " + value["a"][1] + "!"', code)
        code = self.conversation(f"< from {ID[:-1]}0 to {ID}", f'> {{"to":"{ID}"}}')
        self.assertIn("then=lambda value: '{\"to\":\"' + UUID.findall(value)[1] + '\"}'", code)

    def test_reply_with_a_whole_text(self):
        """A text that goes back as it came is taken whole, not put together."""
        code = self.conversation(f'< {{"a": "x {ID}"}}', f'> {{"b": "x {ID}"}}')
        self.assertIn('then=lambda value: {"b": value["a"]}', code)

    def test_reply_with_a_time(self):
        """A number goes back as it came; one that only equals it is not taken from there."""
        now = int(time.time())
        code = self.conversation(f'< {{"at": {now}}}', f'> {{"since": {now}}}')
        self.assertIn('then=lambda value: {"since": value["at"]}', code)
        code = self.conversation(f'< {{"at": {now}.0}}', f'> {{"since": {now}.0}}')
        self.assertIn('then=lambda value: {"since": value["at"]}', code)
        code = self.conversation(f'< {{"f": {now}.0, "i": {now}}}', f'> {{"since": {now}}}')
        self.assertIn('then=lambda value: {"since": value["i"]}', code)

    def test_reply_with_a_name(self):
        """The name of a member may be carried, too."""
        code = self.conversation(f'< ["{ID}"]', f'> {{"x {ID}": 1}}')
        self.assertIn('then=lambda value: {"x " + value[0]: 1}', code)

    def test_second_reply(self):
        """A message has one reply; the value in a second is told by a comment."""
        code = self.conversation(f"< {ID}", f"> a {ID}", f"> b {ID}")
        self.assertIn('then=lambda value: "a " + value)\n    # ', code)

    def test_value_of_the_path(self):
        """An id in the path is the client's own."""
        code = code_of(("ann", "connect", f"/room/{ID}"), ("ann", "received", ID))
        self.assertIn(f'.expect("{ID}")', code)

    def test_text_around_a_value(self):
        """In a longer text, the rest is matched as it was."""
        (ann,) = scenarios(self.conversation(f"< (room {ID} + 1)\n"))
        (pattern,) = ann.steps[-1].arguments
        self.assertTrue(pattern.search(f"(room {uuid.uuid4()} + 1)\n"))
        self.assertFalse(pattern.search(f"(room {uuid.uuid4()}  1)\n"))
        self.assertFalse(pattern.search("(room den + 1)\n"))

    def test_object_whose_names_change(self):
        """An object by ids is some object."""
        self.assertIn('.expect({"rooms": is_object})', self.conversation(f'< {{"rooms": {{"{ID}": 1}}}}'))

    def test_time_that_a_client_said_first(self):
        """A time is another one in the next run, whoever said it first."""
        now = int(time.time())
        self.assertIn('{"at": is_timestamp}', self.conversation(f'> {{"at": {now}}}', f'< {{"at": {now}}}'))
        self.assertIn(".expect(TIME)", self.conversation("> 2024-05-06T07:08Z", "< 2024-05-06T07:08Z"))

    def test_is_timestamp(self):
        """The function of the code takes a time in any of the usual units, and no other number."""
        names = {}
        exec(self.conversation(f"< [{time.time()}]"), names)
        now = time.time()
        for value, expected in ((now, 1), (now * 1000, 1), (int(now * 1e9), 1), (17, 0), (now * 31, 0)):
            self.assertIs(names["is_timestamp"](value), bool(expected), value)

    def test_kinds(self):
        """Ids, times and tokens are told from words, names, numbers and pictures."""
        now = 1_700_000_000.0
        for text, kinds in (
            (ID, "UUID"),
            (f"user-{ID.upper()}", "UUID"),
            ("2024-05-06T07:08:09.123456+00:00", "TIME"),
            ("at 2024-05-06 07:08:09Z, or so", "TIME"),
            ("d41d8cd98f00b204e9800998ecf8427e", "HEX"),
            ("/files/Zm9vYmFyYmF6cXV4_1-x", "TOKEN"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.x-Y_z", "TOKEN"),
            ("since 1700000100.25 and 1700000100123", "EPOCH EPOCH"),
            ("2024-05-06", ""),
            ("UserHasJoinedTheChannelEvent", ""),
            ("a-long-name-in-kebab-case-2", ""),
            ("A_LONG_NAME_IN_CAPITALS_2", ""),
            ("127.0.0.1:54321 at 0x7f3a2c", ""),
            ("1234567890 and 12345678901234567890", ""),
            ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB+iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB==", ""),
        ):
            with self.subTest(text=text):
                self.assertEqual(" ".join(part.kind.name for part in parts(text, now)), kinds)


class ConnectionTest(unittest.TestCase):
    """Who connects, and what a comment must tell."""

    def test_secrets_are_to_be_filled_in(self):
        """What a transcript masks is named in a comment above the user."""
        code = code_of(("ann", "connect", "/chat?room=den&token=*** (Cookie: ***, X-Room: den)"))
        self.assertIn('Scenario("/chat", name="ann", query={"room": "den", "token": "***"}, handshake=None)', code)
        self.assertIn('# ann: fill in "token", which a transcript masks\n', code)
        self.assertIn("# ann: fill in headers= and cookies=; sent were Cookie: ***, X-Room: den\n", code)

    def test_query(self):
        """A query that repeats names is a list of pairs, and one that is spelled in its own way stays in the path."""
        self.assertIn('"/", name="ann", query=[("a", "1"), ("a", "ü")]', code_of(("ann", "connect", "/?a=1&a=%C3%BC")))
        self.assertIn('"/?flag", name="ann"', code_of(("ann", "connect", "/?flag")))

    def test_names(self):
        """Each user has a variable of its own, whatever the names."""
        names = ["ann", "Ann", "class", "7 of 9", "zoë", "???", "list", "is_timestamp", "ann 2", "\ufb01n", "fin"]
        code = code_of(*((name, "connect", "/") for name in names))
        play = " ".join(code.partition("# await ")[2].split("\n# "))
        self.assertEqual([scenario.name for scenario in scenarios(code)], names)
        self.assertEqual(
            play,
            "self.play(ann, ann_2, class_2, user_7_of_9, zoë, user, list_2, is_timestamp_2, ann_2_2, fin, fin_2)\n",
        )

    def test_server_error(self):
        """That the server raised is told by a comment at its place."""
        code = code_of(
            ("ann", "connect", "/"),
            ("ann", "sent", "a"),
            ("ann", "error", KeyError("x")),
            ("", "error", ValueError("y")),
        )
        self.assertIn(".send(\"a\")\n    # here the server raised KeyError: 'x': play it in", code)
        self.assertIn("\n# the server raised ValueError: y: play it in expect_server_error()\n", code)

    def test_those_who_were_never_connected(self):
        """A refused client and a plain connection are named in comments."""
        code = code_of(
            ("bob", "connect", "/doorman"), ("bob", "reject", "403 Forbidden"),
            ("connection 1", "connect", "/"), ("ann", "connect", "/"),
        )  # fmt: skip
        self.assertEqual([scenario.name for scenario in scenarios(code)], ["ann"])
        self.assertIn("# connection 1 is a plain connection, of which no message is recorded\n", code)
        self.assertIn("# bob was refused with 403 Forbidden at /doorman\n", code)

    def test_plain_connection_with_messages(self):
        """Who is named like a plain connection and has messages is a user like others."""
        code = code_of(("connection 1", "connect", "/"), ("connection 1", "sent", "a"))
        self.assertIn('connection_1 = Scenario("/", name="connection 1", handshake=None).send("a")', code)

    def test_nothing_to_replay(self):
        """Without a connection there is nothing to replay."""
        for events in ([], [("connection 1", "connect", "/")], [("bob", "connect", "/"), ("bob", "reject", "403")]):
            with self.assertRaisesRegex(UsageError, "there is nothing to replay"):
                code_of(*events)

    def test_marks_pings_and_pongs_are_left_out(self):
        """What needs no step has none."""
        noise = [("ann", kind, b"x") for kind in ("ping", "pong")] + [("ann", "mark", "x"), ("", "mark", "y")]
        self.assertEqual(code_of(("ann", "connect", "/"), *noise), code_of(("ann", "connect", "/")))

    def test_deep_json_stays_text(self):
        """What is nested more deeply than code can be stands as the text that it was."""
        text = "[" * 120 + "]" * 120
        code = code_of(("ann", "connect", "/"), ("ann", "sent", text))
        self.assertIn(f'    .connect()\n    .send(\n        "{text}"\n    )\n', code)


class LayoutTest(unittest.TestCase):
    """Code, laid out."""

    def test_quotes(self):
        """Double quotes, unless single ones need fewer escapes."""
        for value, text in (("a", '"a"'), ("it's", '"it\'s"'), ('"', "'\"'"), ("'\"", '"\'\\""'), (b"'\"", 'b"\'\\""')):
            self.assertEqual(quote(value), text)
            self.assertEqual(ast.literal_eval(text), value)
        self.assertEqual(quote('""\''), "'\"\"\\''")
        self.assertEqual((quote(1e300), quote(1e-7), quote(None)), ("1e300", "1e-07", "None"))

    def test_lines(self):
        """An item a line, where they do not fit on one."""
        wide = Group("{", [(f'"{name}": ', quote(name * 40)) for name in "abc"], "}")
        chain = Chain("ann", Group("Scenario(", [("", '"/"')], ")"), [])
        self.assertEqual(str(chain), 'ann = Scenario("/")')
        chain = Chain("ann", Group("Scenario(", [("query=", wide)], ")"), [])
        lines = str(chain).splitlines()
        self.assertEqual(lines[1:3], ["    Scenario(", "        query={"])
        self.assertEqual(lines[3], f'            "a": "{"a" * 40}",')

    def test_arguments(self):
        """Arguments share a line of their own if they fit on it."""
        arguments = [("", quote("a" * 43)), ("", quote("b" * 43))]
        chain = Chain("ann", Group("Scenario(", [], ")"), [Link(Group(".send(", arguments, ")"))] * 2)
        self.assertEqual(str(chain).splitlines()[2:5], [
            "    .send(", f'        "{"a" * 43}", "{"b" * 43}"', "    )",
        ])  # fmt: skip

    def test_sum(self):
        """A long sum has a term a line, and parentheses after a prefix."""
        total = Sum([quote("a" * 50), quote("b" * 50)])
        lines = lay_out(Group(".expect(", [("", "UUID"), ("then=lambda value: ", total)], ")"), 4).splitlines()
        self.assertEqual(lines[2:6], [
            "        then=lambda value: (", f'            "{"a" * 50}"', f'            + "{"b" * 50}"', "        ),",
        ])  # fmt: skip


class FilesTest(unittest.TestCase):
    """The folder."""

    def test_each_file_belongs_to_a_test(self):
        """No file is left of a test that is gone."""
        tests = {name for name in vars(ReplayTest) if name.startswith("test_")}
        self.assertEqual({f"test_{file.stem}" for file in FOLDER.glob("*.txt")} - tests, set())


if __name__ == "__main__":
    unittest.main()
