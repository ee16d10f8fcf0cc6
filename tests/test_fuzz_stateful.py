"""State machines over several clients: what they find, how it reads, and that nothing stays behind."""

import asyncio
import functools
import gc
import importlib.util
import json
import os
import pathlib
import re
import tempfile
import textwrap
import unittest
from contextlib import suppress
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, multiple, precondition, rule
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler

import tornado_wstest
from tests.forked import run_module
from tornado_wstest import Network, WebSocketStateMachine, discard
from tornado_wstest.errors import UsageError
from tornado_wstest.fuzzing.broadcasts import Broadcasts

from .test_failure_texts import FOLDER, printed

HAS_PYTEST = importlib.util.find_spec("pytest") is not None

SETTINGS = settings(
    max_examples=300,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
MANY = settings(SETTINGS, max_examples=2000)
FEW = settings(SETTINGS, max_examples=5, stateful_step_count=5)


class Room:
    """A right room. Each bug below is another one, with one method wrong."""

    def __init__(self):
        self.members = []

    def enter(self, member):
        """Let somebody in."""
        if member not in self.members:
            self.members.append(member)

    def exit(self, member):
        """Let somebody out."""
        if member in self.members:
            self.members.remove(member)

    def tell(self, text):
        """Tell everyone in the room."""
        for member in self.members:
            member.write_message({"type": "said", "text": text})


class RoomHandler(WebSocketHandler):
    """Enters at once; goes ``out`` and comes ``in`` again, and says things while it is in."""

    def open(self):
        self.room = self.settings["room"]
        self.name = self.get_query_argument("user", "nobody")
        self.room.enter(self)

    def on_message(self, message):
        value = json.loads(message)
        if value["type"] == "say":
            if self in self.room.members:
                self.room.tell(value["text"])
        else:
            {"in": self.room.enter, "out": self.room.exit}[value["type"]](self)

    def on_close(self):
        self.room.exit(self)


class RoomSteps(WebSocketStateMachine):
    """A room, and what people do in it. Each of them may be on several tabs."""

    room_class = Room

    def get_app(self):
        self.inside = set()
        return Application([("/", RoomHandler)], room=self.room_class())

    def broadcast_key(self, value):
        return value.get("text")

    def room_of(self, name):
        return "the room" if name in self.inside else None

    async def come(self, name):
        if name not in self.clients:
            await self.connect(name, query={"user": name.removesuffix("'s tab")})
            self.inside.add(name)

    async def say(self, name, texts):
        for text in texts:
            if name in self.inside:
                await self.send(name, {"type": "say", "text": text})

    async def turn(self, name, how):
        if name in self.clients:
            await self.send(name, {"type": how})
            (self.inside.add if how == "in" else self.inside.discard)(name)

    async def go(self, name, politely):
        if name in self.clients:
            await (self.leave(name) if politely else self.cut(name))
            self.inside.discard(name)


class RoomMachine(RoomSteps):
    """Up to four tabs of three people, who come and go, say things, and leave the room without hanging up."""

    names = st.sampled_from(["ann", "bob", "cat", "ann's tab"])
    texts = st.text("ab", min_size=1, max_size=3)

    come = rule(name=names)(RoomSteps.come)
    say = rule(name=names, texts=st.lists(texts, min_size=1, max_size=2))(RoomSteps.say)
    turn = rule(name=names, how=st.sampled_from(["in", "out"]))(RoomSteps.turn)
    go = rule(name=names, politely=st.booleans())(RoomSteps.go)


def only(*steps):
    """Return a machine for which these steps, each a name and its arguments, are the only possible ones.

    What Hypothesis draws depends on its version, and on the modules that are loaded: it takes the constants in them for
    interesting values. So where a text is compared to the letter, nothing is left to draw.
    """
    methods = {f"step_{number}": _only_step(number, *step) for number, step in enumerate(steps)}
    return type("RoomMachine", (RoomSteps,), {"played": 0, **methods})


def _only_step(number, name, arguments):
    function = getattr(RoomSteps, name)

    @functools.wraps(function)
    async def step(self, **arguments):
        self.played += 1
        await function(self, **arguments)

    drawn = {name: st.just(value) for name, value in arguments.items()}
    return precondition(lambda self: self.played == number)(rule(**drawn)(step))


class RoomThatAdmitsTwice(Room):
    """Who is in may come in again."""

    def enter(self, member):
        self.members.append(member)


class RoomThatForgetsTheNewest(Room):
    """Of three, the last does not count."""

    def tell(self, text):
        for member in self.members[: max(2, len(self.members) - 1)]:
            member.write_message({"type": "said", "text": text})


class RoomThatIsHaunted(Room):
    """Whoever leaves the room, and has not come last, is told until they hang up."""

    def exit(self, member):
        if self.members[-1:] == [member] or member.ws_connection is None:
            super().exit(member)


class RoomThatIsSlow(Room):
    """Long texts take longer, and nobody waits for them."""

    def tell(self, text):
        asyncio.get_running_loop().create_task(self.tell_all(text))

    async def tell_all(self, text):
        for member in list(self.members):
            for _ in text * 50:
                await asyncio.sleep(0)
            if member in self.members:
                member.write_message({"type": "said", "text": text})


class RoomByName(Room):
    """Of two with one name only the second is known."""

    def enter(self, member):
        self.members = [other for other in self.members if other.name != member.name] + [member]


class RoomThatShowsOutTheWrongOne(Room):
    """Somebody leaves, and the last who came is gone."""

    def exit(self, member):
        if member in self.members:
            self.members.pop()

    def tell(self, text):
        """Tell all who are connected: no exception shows the bug."""
        with suppress(WebSocketClosedError):
            super().tell(text)


class RoomWithTwoChairs(Room):
    """Cannot take a third."""

    def enter(self, member):
        if len(self.members) == 2:
            raise LookupError("no chair is free")
        super().enter(member)


def failure(machine, to=SETTINGS):
    """Return what a machine's failing test prints, or an empty text."""
    machine.TestCase.settings = to
    text = printed(lambda _: machine.TestCase())
    return re.sub(r"(?m)^(Failing test case|Falsifying example).*$", "the steps:", text)


def steps_of(text):
    """Return how many steps the printed ones are."""
    return len(re.findall(r"(?m)^(?:\w+ = )?state\.(?!teardown)", text))


class FoundTest(unittest.TestCase):
    """Bugs that one client alone never meets."""

    def assert_found(self, room_class, expected, most=None):
        """The bug is found, told with these words, and shrunk to so many steps at most (which takes its time)."""
        phases = [Phase.generate, Phase.shrink] if most else [Phase.generate]
        machine = type("RoomMachine", (RoomMachine,), {"room_class": room_class})
        text = failure(machine, settings(MANY, phases=phases))
        self.assertRegex(text, expected)
        if most is not None:
            self.assertLessEqual(steps_of(text), most, text)

    def test_told_twice(self):
        """Somebody comes in who is in, and gets everything twice."""
        self.assert_found(RoomThatAdmitsTwice, "got it more than once: ", most=4)

    def test_newest_forgotten(self):
        """The third gets nothing."""
        self.assert_found(RoomThatForgetsTheNewest, "did not get it: ")

    def test_told_after_leaving(self):
        """Somebody has left the room, and is still told."""
        self.assert_found(RoomThatIsHaunted, "got it after leaving the room: ")

    def test_wrong_order(self):
        """The second message overtakes the first."""
        self.assert_found(RoomThatIsSlow, " in another order:", most=3)

    def test_two_with_one_name(self):
        """A second tab takes the place of the first."""
        self.assert_found(RoomByName, "did not get it: ", most=4)

    def test_the_wrong_one_leaves(self):
        """Somebody leaves, and somebody else hears nothing any more."""
        self.assert_found(RoomThatShowsOutTheWrongOne, "did not get it: |got it after leaving")

    def test_crash_at_the_third(self):
        """A handler's exception fails the step that caused it."""
        self.assert_found(RoomWithTwoChairs, "LookupError: no chair is free", most=3)

    def test_right_room(self):
        """A room that is right stays green, for fifty runs."""
        self.assertEqual(failure(RoomMachine, settings(SETTINGS, max_examples=50)), "")

    def test_each_run_is_the_same(self):
        """With a seed, the steps are the same, and so is what is found."""
        runs, texts = [], set()

        class Machine(RoomMachine):
            room_class = RoomByName

            async def connect(self, name, path=None, **options):
                runs[-1].append((name, self.wstest.clock.time()))
                return await super().connect(name, path, **options)

        for _ in range(2):
            runs.append([])
            texts.add(failure(Machine, settings(SETTINGS, stateful_step_count=10)))
        self.assertGreater(len(runs[0]), 20)
        self.assertEqual(runs[0], runs[1])
        self.assertEqual(len(texts), 1)


class TextTest(unittest.TestCase):
    """How it reads: the whole text, as in the file that is named as the test is."""

    maxDiff = None

    def assert_told(self, room_class, *steps):
        """These steps, and no others, fail with the text of the file."""
        machine = only(*steps)
        machine.room_class = room_class
        text = failure(machine)
        file = FOLDER / "machines" / f"{self._testMethodName.removeprefix('test_')}.txt"
        if os.environ.get("UPDATE_FAILURES"):
            file.write_text(text, encoding="utf-8")
        self.assertEqual(text, file.read_text(encoding="utf-8"))
        self.assertEqual(steps_of(text), len(steps))

    def test_told_twice(self):
        """Who got it more than once, and how often."""
        self.assert_told(RoomThatAdmitsTwice, come("ann"), turn("ann", "in"), say("ann", "a"))

    def test_newest_forgotten(self):
        """Who did not get it."""
        self.assert_told(RoomThatForgetsTheNewest, come("ann"), come("bob"), come("cat"), say("ann", "a"))

    def test_told_after_leaving(self):
        """Who got it, and had left."""
        self.assert_told(RoomThatIsHaunted, come("ann"), come("bob"), turn("ann", "out"), say("bob", "a"))

    def test_wrong_order(self):
        """What was sent in which order, and what came."""
        self.assert_told(RoomThatIsSlow, come("ann"), say("ann", "aa", "a"))

    def test_two_with_one_name(self):
        """Tabs are told apart by the names that the machine gave them."""
        self.assert_told(RoomByName, come("ann"), come("ann's tab"), say("ann", "a"))

    def test_the_wrong_one_leaves(self):
        """A connection that was cut is in the transcript."""
        self.assert_told(RoomThatShowsOutTheWrongOne, come("ann"), come("bob"), go("ann"), say("bob", "a"))

    def test_crash_at_the_third(self):
        """A handler's exception is the cause."""
        self.assert_told(RoomWithTwoChairs, come("ann"), come("bob"), come("cat"))


def come(name):
    """Return a step: somebody connects."""
    return "come", {"name": name}


def say(name, *texts):
    """Return a step: somebody says these."""
    return "say", {"name": name, "texts": list(texts)}


def turn(name, how):
    """Return a step: somebody comes ``in`` or goes ``out``, and stays connected."""
    return "turn", {"name": name, "how": how}


def go(name):
    """Return a step: somebody's connection is cut."""
    return "go", {"name": name, "politely": False}


class Echo(WebSocketHandler):
    """Greets, and echoes."""

    def open(self):
        self.write_message("hello")

    def on_message(self, message):
        if message == "crash":
            raise LookupError("no such message")
        if message == "bye":
            self.close(4000)
        elif message.startswith("later "):
            asyncio.get_running_loop().call_later(10, self.write_message, message.removeprefix("later "))
        else:
            self.write_message(message)


class EchoMachine(WebSocketStateMachine):
    """The base of the small machines."""

    handshake = discard(1)

    def get_app(self):
        return Application([("/", Echo), ("/other", Echo)])


class RulesTest(unittest.TestCase):
    """Rules, initializers and invariants, async or not."""

    def assert_passes(self, machine, to=FEW):
        """The machine has nothing to say."""
        self.assertEqual(failure(machine, to), "")

    def test_network(self):
        """Its links are those of a network, if it has one: there and back takes twice the latency, on the clock."""

        class Machine(EchoMachine):
            ws_network = Network(latency=0.5)

            @rule()
            async def ping(self):
                client = self.clients.get("ann") or await self.connect("ann")
                before = self.wstest.clock.time()
                await client.ping()
                assert self.wstest.clock.time() == before + 1

        self.assert_passes(Machine)

    def test_all_kinds(self):
        """All of them may be async or not, stand with preconditions, and await each other."""
        calls = set()

        class Machine(EchoMachine):
            names = Bundle("names")

            @initialize(target=names)
            async def start(self):
                calls.add("start")
                return multiple("ann", "bob")

            @precondition(lambda self: not self.clients)
            @rule(name=consumes(names))
            async def come(self, name):
                calls.add("come")
                await self.connect(name)

            @rule(target=names, name=st.sampled_from(["cat", "dan"]))
            @precondition(lambda self: self.clients)
            async def rename(self, name):
                calls.add("rename")
                (known,) = self.clients
                await self.say(known)
                await self.leave(known)
                return name

            @rule(name=names)
            async def say(self, name):
                if name in self.clients:
                    calls.add("say")
                    await self.send(name, "hi")
                    assert await self.receive(name) == "hi"

            @rule()
            def plain(self):
                calls.add("plain")
                asyncio.get_running_loop()

            @invariant()
            async def quiet(self):
                calls.add("quiet")
                for client in self.clients.values():
                    await client.expect_nothing()

            @invariant()
            def few(self):
                calls.add("few")
                assert len(self.clients) < 2

            async def teardown(self):
                calls.add("teardown")
                assert all(not client.closed for client in self.clients.values())

        self.assert_passes(Machine, settings(FEW, max_examples=20, stateful_step_count=10))
        self.assertEqual(calls, {"start", "come", "rename", "say", "plain", "quiet", "few", "teardown"})

    def test_inherited_rules(self):
        """Rules of a plain mixin, and of a machine that is a base, run as well."""
        calls = set()

        class Plain:
            @rule()
            async def mixed_in(self):
                calls.add("mixed_in")

        class Base(EchoMachine):
            @rule()
            async def inherited(self):
                calls.add("inherited")

        class Machine(Plain, Base):
            pass

        self.assert_passes(Machine)
        self.assertEqual(calls, {"mixed_in", "inherited"})

    def test_failing_assertion(self):
        """An assertion in an async rule or invariant fails as it stands, with the transcript and the steps."""
        for decorator in (rule(), invariant()):

            class Machine(EchoMachine):
                @rule()
                async def come(self):
                    if not self.clients:
                        await self.connect("ann")

            async def check(self):
                assert "ann" not in self.clients

            text = failure(type("Machine", (Machine,), {"check": decorator(check)}), FEW)
            with self.subTest(decorator=decorator):
                self.assertIn("AssertionError", text)
                self.assertIn("ann --> connect /", text)
                self.assertRegex(text, r"state\.come\(\)\nstate\.check\(\)\nstate\.teardown\(\)")

    def test_traceback_of_an_assertion(self):
        """Under unittest it shows the line that fails, in a rule, an invariant or teardown(), and none of ours."""
        ours = str(pathlib.Path(tornado_wstest.__file__).parent)
        for decorator, name in ((rule(), "check"), (invariant(), "check"), (lambda method: method, "teardown")):

            async def check(self):
                assert list(self.clients) == ["ann"]

            come = rule()(lambda self: None)
            machine = type("Machine", (EchoMachine,), {name: decorator(check), "come": come})
            machine.TestCase.settings = FEW
            result = unittest.TestResult()
            machine.TestCase().run(result)
            ((_, text),) = result.failures
            with self.subTest(name=name, decorator=decorator):
                self.assertIn('assert list(self.clients) == ["ann"]', text)
                self.assertNotIn(ours, text.partition("\nAssertionError")[0])

    def test_traceback_of_a_broadcast(self):
        """What no line of the user's raises has one line of ours in its traceback, and few of Hypothesis'."""
        machine = only(come("ann"), come("bob"), come("cat"), say("ann", "a"))
        machine.room_class = RoomThatForgetsTheNewest
        machine.TestCase.settings = SETTINGS
        result = unittest.TestResult()
        machine.TestCase().run(result)
        ((_, text),) = result.failures
        stack = text.partition("\ntornado_wstest.errors.BroadcastMismatch")[0]
        self.assertEqual(stack.count("tornado_wstest/"), 1)
        self.assertLess(stack.count("File "), 6, stack)

    def test_settled_after_each_rule(self):
        """After a rule, async or not, all that it caused has arrived."""

        class Machine(EchoMachine):
            @initialize()
            async def start(self):
                await self.connect("ann")

            @rule()
            async def say(self):
                await self.send("ann", "hi")

            @rule()
            def say_soon(self):
                asyncio.get_running_loop().create_task(self.send("ann", "hi"))

            @invariant()
            def arrived(self):
                kinds = [event.kind for event in self.wstest.transcript]
                assert kinds.count("sent") + 1 == kinds.count("received")

        self.assert_passes(Machine)

    def test_virtual_time(self):
        """An hour passes in a rule, if the rule says so."""

        class Machine(EchoMachine):
            @rule()
            async def wait(self):
                before = self.wstest.clock.time()
                await asyncio.sleep(3600)
                assert self.wstest.clock.time() == before + 3600

        self.assert_passes(Machine)

    def test_over_sockets(self):
        """Over TCP, in real time, a machine works as well."""

        class Machine(EchoMachine):
            ws_transport = "tcp"
            ws_virtual_time = False
            ws_path = "/other"

            @rule()
            async def say(self):
                async with self.wstest.client() as client:
                    await client.send("hi")
                    await client.expect("hi")

        self.assert_passes(Machine)

    def test_settings_of_the_mixin(self):
        """The class attributes and hooks that test cases have work here."""
        seen = []

        class Machine(EchoMachine):
            handshake = None
            ws_timeout = 7

            async def get_app(self):
                return await asyncio.sleep(0, super().get_app())

            def get_ws_options(self):
                return {"headers": {"X-Test": "1"}}

            async def asyncSetUp(self):
                seen.append("asyncSetUp")

            async def close_app(self, app):
                seen.append(type(app).__name__)

            @rule()
            async def greet(self):
                client = await self.wstest.client()
                assert client.handler.request.headers["X-Test"] == "1"
                assert await client.receive() == "hello"
                assert self.wstest.timeout == 7

        self.assert_passes(Machine, settings(FEW, max_examples=1))
        self.assertEqual(seen, ["asyncSetUp", "Application"])


class FailingTest(unittest.TestCase):
    """What fails a run, and when."""

    def test_expected_server_error(self):
        """A server error that a rule expects is none."""

        class Machine(EchoMachine):
            @rule()
            async def crash(self):
                async with self.wstest.expect_server_error(LookupError):
                    await (await self.wstest.client()).send("crash")

        self.assertEqual(failure(Machine, FEW), "")

    def test_crashes_at_two_places(self):
        """Two bugs of the server's are told as two."""

        class Handler(WebSocketHandler):
            def on_message(self, message):
                if message == "one":
                    raise LookupError("first")
                raise LookupError("second")

        class Machine(WebSocketStateMachine):
            def get_app(self):
                return Application([("/", Handler)])

            @rule(text=st.sampled_from(["one", "two"]))
            async def say(self, text):
                await (await self.wstest.client()).send(text)

        text = failure(Machine, settings(FEW, max_examples=30, report_multiple_bugs=True))
        self.assertIn("LookupError: first", text)
        self.assertIn("LookupError: second", text)

    def test_crash_at_the_end(self):
        """What a handler raises when the clients are closed at the end fails the run, too."""

        class Handler(WebSocketHandler):
            def on_message(self, message):
                pass

            def on_close(self):
                raise LookupError("not in the list")

        class Machine(WebSocketStateMachine):
            def get_app(self):
                return Application([("/", Handler)])

            @rule()
            async def come(self):
                await self.wstest.client()

        text = failure(Machine, FEW)
        self.assertIn("LookupError: not in the list", text)
        self.assertIn("-- teardown()", text)

    def test_rule_that_hangs(self):
        """A rule that nothing can wake fails at once, one that only the app's timers go round in after its limit."""

        class Machine(EchoMachine):
            @rule()
            async def hang(self):
                await asyncio.Event().wait()

        class Ticking(Machine):
            async def asyncSetUp(self):
                self.ticking = asyncio.create_task(self.tick())

            async def tick(self):
                while True:
                    await asyncio.sleep(1)

        self.assertIn("nothing can ever happen again", failure(Machine, FEW))
        with mock.patch.dict(os.environ, ASYNC_TEST_TIMEOUT="0.2"):
            text = failure(Ticking, settings(FEW, max_examples=1, phases=[Phase.generate]))
        self.assertIn("hang() did not end within 0.2 s of real time", text)
        self.assertIn("the test waited at", text)

    def test_failure_in_teardown(self):
        """An assertion of the user's own teardown fails the run, and everything is closed all the same."""
        closed = []

        class Machine(EchoMachine):
            @rule()
            async def come(self):
                if not self.clients:
                    await self.connect("ann")

            async def teardown(self):
                assert "ann" not in self.clients, "ann is still there"

            def close_app(self, app):
                closed.append(app)

        self.assertIn("AssertionError: ann is still there", failure(Machine, FEW))
        self.assertTrue(closed)


class NothingLeftTest(unittest.TestCase):
    """Each run has all to itself, and leaves nothing."""

    def test_every_run_is_fresh(self):
        """App, loop and clock are new in each run; afterwards the loop is closed, and the app has no handler left."""
        apps, loops = [], []

        class Machine(RoomMachine):
            def get_app(self):
                apps.append(super().get_app())
                return apps[-1]

            async def asyncSetUp(self):
                loops.append(asyncio.get_running_loop())
                assert self.wstest.clock.time() == 0

        for room_class in (Room, RoomWithTwoChairs):
            Machine.room_class = room_class
            failure(Machine, settings(SETTINGS, max_examples=20))
        self.assertEqual(len({id(app) for app in apps}), len(apps))
        self.assertEqual(len({id(loop) for loop in loops}), len(loops))
        self.assertTrue(all(loop.is_closed() for loop in loops))
        self.assertEqual([app.settings["room"].members for app in apps if app.settings["room"].members], [])

    def test_no_descriptor_stays(self):
        """Hundreds of runs open as many descriptors as none, and set no event loop of their own."""
        folder = pathlib.Path("/proc/self/fd")
        if not folder.exists():
            self.skipTest("there is no /proc here")
        gc.collect()
        before = len(list(folder.iterdir()))
        failure(RoomMachine, settings(SETTINGS, max_examples=50, stateful_step_count=3))
        self.assertLessEqual(len(list(folder.iterdir())), before)

    def test_app_that_cannot_be_made(self):
        """What get_app raises fails the test, and the loop is closed."""
        loops = []

        class Machine(EchoMachine):
            async def get_app(self):
                loops.append(asyncio.get_running_loop())
                raise LookupError("no database")

            @rule()
            def nothing(self):
                pass

        self.assertIn("LookupError: no database", failure(Machine, FEW))
        self.assertTrue(loops)
        self.assertTrue(all(loop.is_closed() for loop in loops))


class BroadcastsTest(unittest.TestCase):
    """Who should have got what, without a client."""

    def setUp(self):
        self.broadcasts = Broadcasts(to_sender=True)
        self.rooms = {"ann": "den", "bob": "den", "cat": "hall"}
        self.assertEqual(self.step([], {}), [])

    def step(self, sent, received, **rooms):
        """Play one step after which these names are in other rooms than before."""
        self.rooms.update(rooms)
        return self.broadcasts.problems(sent, received, {name: room for name, room in self.rooms.items() if room})

    def test_right(self):
        """Each member of the room once."""
        self.assertEqual(self.step([("ann", "hi")], {"ann": ["hi"], "bob": ["hi"]}), [])

    def test_all_that_can_be_wrong(self):
        """Everyone is told in the line of what happened to them."""
        self.rooms |= {"dan": "den", "eve": "den", "fay": "den"}
        self.step([], {})
        self.step([], {}, eve=None, fay="hall")
        problems = self.step([("ann", "hi")], {"ann": ["hi"], "dan": ["hi", "hi"], "cat": ["hi"], "fay": ["hi"]})
        self.assertEqual(
            problems,
            [
                "'hi' of ann, for ann, bob, dan:",
                "  did not get it: bob",
                "  got it more than once: dan (2 times)",
                "  got it after leaving the room: fay",
                "  got it, and is not in the room: cat",
            ],
        )

    def test_equal_messages(self):
        """Two may say the same: then everyone gets it twice."""
        sent = [("ann", "hi"), ("bob", "hi")]
        self.assertEqual(self.step(sent, {"ann": ["hi", "hi"], "bob": ["hi", "hi"]}), [])
        self.assertEqual(
            self.step(sent, {"ann": ["hi"] * 3, "bob": ["hi"]}),
            [
                "'hi' of ann and of bob, for ann, bob:",
                "  did not get it: bob (1 of 2)",
                "  got it more than once: ann (3 times instead of 2)",
            ],
        )

    def test_keys_without_hash(self):
        """A key may be any value that can be compared."""
        self.assertEqual(self.step([("ann", {"n": 1})], {"ann": [{"n": 1}], "bob": [{"n": 1}]}), [])

    def test_meanwhile(self):
        """Whoever comes or goes in the step of the message may get it or not, but not twice."""
        for got in ([], ["hi"]):
            with self.subTest(got=got):
                self.setUp()
                messages = {"ann": ["hi"], "bob": got, "cat": got}
                self.assertEqual(self.step([("ann", "hi")], messages, bob=None, cat="den"), [])
        self.setUp()
        self.assertEqual(
            self.step([("ann", "hi")], {"ann": ["hi"], "bob": ["hi", "hi"]}, bob=None),
            ["'hi' of ann, for ann:", "  got it more than once: bob (2 times)"],
        )

    def test_sender_who_comes_or_goes(self):
        """What somebody says on entering reaches those who are there; on leaving, perhaps."""
        self.assertEqual(
            self.step([("dan", "hi")], {"ann": ["hi"], "dan": ["hi"]}, dan="den"),
            ["'hi' of dan, for ann, bob:", "  did not get it: bob"],
        )
        self.assertEqual(self.step([("dan", "bye")], {"ann": ["bye"]}, dan=None), [])

    def test_sender_in_no_room(self):
        """What is said in no room reaches nobody."""
        self.rooms["dan"] = None
        self.assertEqual(self.step([("dan", "hi")], {}), [])
        self.assertEqual(
            self.step([("dan", "hi")], {"ann": ["hi"]}),
            ["'hi' of dan, for nobody:", "  got it, though the sender is in no room: ann"],
        )

    def test_not_to_the_sender(self):
        """Where the sender gets nothing back, an echo is a stranger."""
        self.broadcasts = Broadcasts(to_sender=False)
        self.step([], {})
        self.assertEqual(self.step([("ann", "hi")], {"bob": ["hi"]}), [])
        self.assertEqual(
            self.step([("ann", "hi")], {"ann": ["hi"], "bob": ["hi"]}),
            ["'hi' of ann, for bob:", "  got it after leaving the room: ann"],
        )

    def test_order(self):
        """The messages of one sender arrive in their order; those of two senders may mix."""
        sent = [("ann", "a"), ("bob", "x"), ("ann", "b")]
        self.assertEqual(self.step(sent, {"ann": ["a", "b", "x"], "bob": ["x", "a", "b"]}), [])
        self.assertEqual(
            self.step(sent, {"ann": ["a", "b", "x"], "bob": ["b", "x", "a"]}),
            ["bob got the messages of ann in another order:", "  sent: 'a', 'b'", "  came: 'b', 'a'"],
        )

    def test_again(self):
        """What comes again in a later step is told, and what a newcomer gets from before."""
        self.step([("ann", "hi")], {"ann": ["hi"], "bob": ["hi"]})
        self.assertEqual(
            self.step([], {"bob": ["hi"], "dan": ["hi"]}, dan="den"),
            [
                "'hi' of ann, sent in an earlier step:",
                "  got it again, or late: bob",
                "  got it, and was not in the room then: dan",
            ],
        )

    def test_out_of_nothing(self):
        """A broadcast that nobody has sent is none."""
        self.assertEqual(self.step([], {"bob": ["boo"]}), ["'boo', which nobody has sent:", "  got it: bob"])

    def test_many_problems(self):
        """Three are told, the others counted."""
        problems = self.step([("ann", number) for number in range(5)], {})
        self.assertEqual(problems[0], "0 of ann, for ann, bob:")
        self.assertEqual(problems[-1], "and 2 more went wrong")
        self.assertEqual(len(problems), 7)


class BroadcastSettingsTest(unittest.TestCase):
    """How a machine says what a broadcast is."""

    class Machine(EchoMachine):
        """One client, whose own echo is the broadcast."""

        message = "hi"

        def broadcast_key(self, value):
            return value.removeprefix("later ") if value != "hello" else None

        @initialize()
        async def start(self):
            await self.connect("ann")
            await self.connect("bob", "/other?x=1")

        @rule()
        async def say(self):
            await self.send("ann", self.message)

    def test_rooms_by_path(self):
        """Unless told otherwise, all who connected to one path are in one room, and no others."""
        self.assertEqual(failure(self.Machine, FEW), "")

        class Machine(self.Machine):
            def room_of(self, name):
                return "one for all"

        self.assertIn("did not get it: bob", failure(Machine, FEW))

    def test_late(self):
        """What comes after ten seconds is too late, unless the machine gives it ten."""

        class Machine(self.Machine):
            message = "later hi"

        self.assertIn("'hi' of ann, for ann:\n    did not get it: ann", failure(Machine, FEW))
        Machine.broadcast_within = 10
        self.assertEqual(failure(Machine, FEW), "")

    def test_not_to_the_sender(self):
        """`broadcast_to_sender` says whether a sender hears itself."""

        class Machine(self.Machine):
            broadcast_to_sender = False

        self.assertIn("'hi' of ann, for nobody:", failure(Machine, FEW))

    def test_key_that_raises(self):
        """The exception is told with the message that it was about."""

        class Machine(self.Machine):
            def broadcast_key(self, value):
                return value["text"]

        self.assertIn("broadcast_key() was asked about 'hello', which ann received", failure(Machine, FEW))

    def test_closed_by_the_server(self):
        """Whom the server has closed is in no room any more, and the name is free."""

        class Machine(self.Machine):
            def room_of(self, name):
                assert not self.clients[name].closed
                return super().room_of(name)

            @rule()
            async def bye(self):
                await self.clients["bob"].send("bye")
                await self.clients["bob"].expect_closed(4000)
                await self.connect("bob", "/other")

            def broadcast_key(self, value):
                return None if value == "bye" else super().broadcast_key(value)

        self.assertEqual(failure(Machine, FEW), "")


class MistakesTest(unittest.TestCase):
    """What is wrong with a machine is said in a sentence."""

    def assert_refused(self, text, body):
        """The rule ``body`` fails with a `UsageError` that has this text."""

        class Machine(EchoMachine):
            @rule()
            async def do(self):
                await body(self)

        found = failure(Machine, FEW)
        self.assertIn(f"UsageError: {text}", found)

    def test_no_app(self):
        """A machine without get_app."""

        class Machine(WebSocketStateMachine):
            @rule()
            def nothing(self):
                pass

        self.assertIn("Machine has no get_app(): define it", failure(Machine, FEW))

    def test_rule_with_a_yield(self):
        """A generator, async or not, would never run."""

        async def asynchronous(self):
            yield

        def plain(self):
            yield

        for function in (asynchronous, plain):
            for decorate in (rule(), initialize(), invariant()):
                with self.assertRaisesRegex(UsageError, r"Machine.do\(\) has a yield in it"):
                    type("Machine", (EchoMachine,), {"do": decorate(function)})

    def test_precondition_that_is_async(self):
        """It would always hold."""

        async def never(self):
            return False

        with self.assertRaisesRegex(UsageError, r"the precondition of Machine.do\(\) is async"):
            type("Machine", (EchoMachine,), {"do": precondition(never)(rule()(lambda self: None))})

    def test_rule_with_a_name_of_ours(self):
        """It would hide what it wants to call."""

        async def leave(self):
            await self.leave("ann")

        with self.assertRaisesRegex(UsageError, r"Machine.leave\(\) hides the machine's own leave\(\)"):
            type("Machine", (EchoMachine,), {"leave": rule()(leave)})

    def test_question_that_is_async(self):
        """What is asked between two steps cannot wait."""

        async def key(self, value):
            return value

        for name in ("broadcast_key", "room_of"):
            with self.assertRaisesRegex(UsageError, rf"Machine.{name}\(\) is asked between two steps"):
                type("Machine", (EchoMachine,), {name: key})

    def test_setting_that_does_not_exist(self):
        """A misspelt setting is refused with the nearest."""
        with self.assertRaisesRegex(UsageError, "Machine.ws_pth is no setting: did you mean 'ws_path'"):
            type("Machine", (EchoMachine,), {"ws_pth": "/"})

    def test_name_in_use(self):
        """One name, one connection."""

        async def body(machine):
            await machine.connect("ann")
            await machine.connect("ann")

        self.assert_refused("'ann' is connected already: a rule can ask", body)

    def test_name_that_is_unknown(self):
        """The nearest name is told."""
        for call in (
            lambda machine: machine.send("anne", "hi"),
            lambda machine: machine.receive("anne"),
            lambda machine: machine.leave("anne"),
            lambda machine: machine.cut("anne"),
        ):

            async def body(machine, call=call):
                if not machine.clients:
                    await machine.connect("ann")
                await call(machine)

            self.assert_refused("'anne' is not connected: did you mean 'ann'?", body)
        self.assert_refused("'ann' is not connected: nobody is", lambda machine: machine.send("ann", "hi"))

    def test_outside_of_a_run(self):
        """Before and after a run there is nothing to talk to."""
        machines = []

        class Machine(EchoMachine):
            @rule()
            async def nothing(self):
                machines.append(self)

        failure(Machine, FEW)
        for machine in (machines[-1], Machine()):
            for use in (lambda machine: machine.wstest, lambda machine: asyncio.run(machine.connect("ann"))):
                with self.assertRaisesRegex(UsageError, "Machine is not running: its app is served from"):
                    use(machine)


class RunnersTest(unittest.TestCase):
    """``TestCase`` works wherever unittest's do."""

    def test_runners(self):
        """unittest, Tornado's runner and pytest find the machine's test, run it, and show why it failed."""
        code = """
            from hypothesis import settings
            from hypothesis.stateful import rule
            from tests.test_fuzz_stateful import FEW, EchoMachine

            class Machine(EchoMachine):
                @rule()
                async def come(self):
                    client = await self.wstest.client(name="ann")
                    await client.send("crash")

            MachineTest = Machine.TestCase
            MachineTest.settings = FEW
        """
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "test_machine.py").write_text(textwrap.dedent(code), encoding="utf-8")
        for runner in ("unittest", "tornado.testing", "pytest"):
            if runner == "pytest" and not HAS_PYTEST:
                continue
            name = "test_machine.py" if runner == "pytest" else "test_machine"
            ran = run_module(runner, name, folder=folder, **os.environ)
            with self.subTest(runner=runner):
                self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
                self.assertRegex(ran.stdout + ran.stderr, "LookupError: no such message")
                self.assertRegex(ran.stdout + ran.stderr, r"ann +--> 'crash'")
                self.assertRegex(ran.stdout + ran.stderr, r"state\.come\(\)")
