"""Cases played to real apps, and what the checks make of what was seen."""

import asyncio
import gc
import logging
import sys
import time
import unittest

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError, discard, faults
from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.checks import CHECKS, chosen_checks, first_problem
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings, allows
from tornado_wstest.fuzzing.stage import Stage, authorization


class Moody(WebSocketHandler):
    """Does what a message says."""

    kept = []

    async def open(self):
        self.settings["opened"] += 1
        self.write_message("hello")

    async def on_message(self, message):  # noqa: PLR0915 - one of everything
        match message:
            case "raise":
                raise KeyError("moody")
            case "drop":
                self.ws_connection.stream.close()
            case "close 1011":
                self.close(1011, "bad day")
            case "close 4001":
                self.close(4001)
            case "close":
                self.close()
            case "speak":
                self.write_message("whoever is there")
            case "for ever":
                await asyncio.Event().wait()
            case "a minute":
                await asyncio.sleep(5)
            case "block":
                time.sleep(0.15)
            case "block elsewhere":
                for _ in range(15):
                    time.sleep(0.01)
            case "exit":
                sys.exit(3)
            case "exit later":
                await asyncio.sleep(1)
                sys.exit(3)
            case "forget":
                asyncio.sleep(0)
            case "keep":
                self.settings["kept"].append(self)
            case "tick":
                PeriodicCallback(self.tick, 1000).start()
            case "task":
                self.task = asyncio.create_task(asyncio.Event().wait())
            case "task that ends":
                self.task = asyncio.create_task(asyncio.sleep(600))
            case "later":
                IOLoop.current().call_later(3600, int)
            case "fail much later":
                # The connection's first three timers come while the client waits; this is the fourth.
                for seconds in (1, 2, 3):
                    IOLoop.current().call_later(seconds, int)
                IOLoop.current().call_later(600, self.fail)
            case "deep":
                self.dig(2000)
            case "fail later":
                IOLoop.current().call_later(5, self.fail)
            case "singleton" if "ticker" not in self.settings:
                self.settings["ticker"] = PeriodicCallback(int, 1000)
                self.settings["ticker"].start()
            case "tell all":
                for handler in self.settings["here"]:
                    handler.write_message("psst")
            case "cookie":
                self.get_cookie("session")
        self.settings["here"] = [*self.settings["here"], self]
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            self.write_message("ok")

    def dig(self, depth):
        if depth:
            self.dig(depth - 1)

    def tick(self):
        pass

    def fail(self):
        raise RuntimeError("later")

    def on_close(self):
        self.settings["here"] = [handler for handler in self.settings["here"] if handler is not self]

    def check_origin(self, origin):
        return True

    def select_subprotocol(self, subprotocols):
        return subprotocols[0] if subprotocols else None


class Stuck(WebSocketHandler):
    """Never comes back from `open`."""

    async def open(self):
        await asyncio.Event().wait()


class OldFashioned(WebSocketHandler):
    """Counts by the time of day, and closes what is closed already."""

    def open(self):
        self.beat()

    def beat(self):
        if self.ws_connection is not None:
            self.write_message("h")
            IOLoop.current().add_timeout(time.time() + 25, self.beat)

    def on_message(self, message):
        pass

    def on_close(self):
        self.close()


class Shut(WebSocketHandler):
    """Lets nobody in."""

    def prepare(self):
        self.send_error(401)


def make_app():
    """Return an app of the moody handler."""
    return Application(
        [("/", Moody), ("/shut", Shut), ("/stuck", Stuck), ("/old", OldFashioned)], opened=0, kept=[], here=[]
    )


class StageTestCase(unittest.TestCase):
    """Plays visits to the moody app."""

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def play(self, *messages, target=make_app, path="/", settings=None, bystander=False, **visit):
        """Play one visit; return what was seen."""
        return self.play_all(Visit(path, messages, **visit), target=target, settings=settings, bystander=bystander)

    def play_all(self, *visits, target=make_app, settings=None, bystander=False):
        """Play visits, one after the other."""
        app = target if isinstance(target, Application) else target()
        route = next(route for route in websocket_routes(app) if route.pattern == visits[0].path.partition("?")[0])
        self.settings = settings or FuzzSettings()
        with Stage(target, route, self.settings, bystander=bystander) as self.stage:
            return self.stage.play(Case(visits))

    def problem(self, *messages, checks=(), **options):
        """Play one visit; return what the checks say."""
        seen = self.play(*messages, **options)
        return first_problem(seen, chosen_checks(checks), self.settings)

    def assert_problem(self, code, text, *messages, **options):
        """This visit has that problem, whose texts hold ``text``."""
        problem = self.problem(*messages, **options)
        self.assertIsNotNone(problem, "nothing was found")
        self.assertEqual(problem.code, code, problem)
        self.assertIn(text, f"{problem.title}\n{problem.actual}")
        self.assertEqual(problem.expected, CHECKS[code].sentence)


class ChecksTest(StageTestCase):
    """Each check finds what it is for."""

    def test_server_error(self):
        """An exception is told with its type and the line that raised it."""
        self.assert_problem("server-error", "KeyError: 'moody' at test_fuzz_stage.py:", "a", "raise", "b")

    def test_server_error_of_a_timer(self):
        """What a timer of the connection raises is found without a wait in real time."""
        self.assert_problem("server-error", "RuntimeError: later", "fail later")

    def test_exit(self):
        """A handler that ends the process: here it ends nothing else."""
        for message in ("exit", "exit later"):
            self.assert_problem("server-error", "SystemExit: 3 at test_fuzz_stage.py:", message)

    def test_dropped(self):
        """A connection without a close frame."""
        self.assert_problem("dropped", "without a close frame", "drop")

    def test_close_code(self):
        """A code that is none of those allowed, with its reason."""
        self.assert_problem("close-code", "1011 'bad day'", "close 1011")

    def test_unresponsive(self):
        """A handler that does not come back, with the line at which it waits."""
        self.assert_problem("unresponsive", "within 10 s (it awaits at test_fuzz_stage.py:", "for ever")

    def test_unresponsive_after_so_many_seconds(self):
        """What takes longer than message_timeout is not answered in time."""
        self.assert_problem("unresponsive", "within 3 s", "a minute", settings=FuzzSettings(message_timeout=3))

    def test_blocked_loop(self):
        """A loop that stands still, with the line that blocks it."""
        self.assert_problem("blocked-loop", " in on_message", "block", settings=FuzzSettings(blocked=0.05))

    def test_blocked_loop_is_told_once_a_function(self):
        """The line inside is met by chance, so that the app's function tells one such bug from another."""
        limit = FuzzSettings(blocked=0.05)
        problems = [self.problem(message, settings=limit) for message in ("block", "block elsewhere")]
        self.assertEqual({problem.key for problem in problems}, {("blocked-loop", "on_message")})

    def test_a_machine_that_stands_still(self):
        """A pause in which the app's own code was not met is not its doing."""
        route = websocket_routes(make_app())[0]
        settings = FuzzSettings(blocked=0.05)
        with Stage(make_app, route, settings) as stage:
            # The loop's own turn takes long, as on a machine where another process has the processor.
            stage._settling.loop.call_soon(time.sleep, 0.3)
            seen = stage.play(Case((Visit("/", ("a",)),)))
        self.assertIsNone(first_problem(seen, chosen_checks(()), settings))

    def test_too_deep(self):
        """What nests deeper than a server's stack holds fails here, too, although Hypothesis has asked for more."""
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(10_000)
        self.addCleanup(sys.setrecursionlimit, before)
        self.assert_problem("server-error", "RecursionError", "deep")
        self.assertEqual(sys.getrecursionlimit(), 10_000)

    def test_server_error_when_the_client_has_gone(self):
        """What a timer raises after the end of the connection is found as well."""
        self.assert_problem("server-error", "RuntimeError: later", "fail much later")

    def test_leaked_handler(self):
        """A handler that the app still holds."""
        self.assert_problem("leak", "Moody (the handler, held by the app's setting 'kept') stayed behind", "keep")

    def test_leaked_timer(self):
        """A timer that is set again and again."""
        self.assert_problem("leak", "the timer", "tick")

    def test_leaked_task(self):
        """A task that never ends, by its name."""
        self.assert_problem("leak", "the task Event.wait", "task")

    def test_origin(self):
        """A foreign page may come in where cookies are read."""
        self.assert_problem("origin", "http://foreign.example", "cookie", origin="http://foreign.example")

    def test_oversize(self):
        """A message within the limit of the app is none; one beyond is refused by Tornado."""
        size = 10 * 1024 * 1024
        self.assert_problem("oversize", "10,485,760 bytes is not refused", declared_size=size)
        self.assertIsNone(self.problem(declared_size=size + 1))

    def test_oversize_where_nothing_is_read(self):
        """A handler that has not come back refuses nothing: that is no question of size."""
        self.assert_problem("unresponsive", "within 10 s", path="/stuck", declared_size=10 * 1024 * 1024)

    def test_isolation(self):
        """What a bystander got, if somebody asks for that."""
        gossip = {"bystander": True, "target": gossiping_app}
        self.assert_problem("isolation", "'psst'", "a", checks=["isolation"], **gossip)
        self.assertIsNone(self.problem("a", **gossip))

    def test_isolation_of_who_came_last(self):
        """There is a bystander before the client, and one who comes after it."""
        for place in (0, -1):

            class OneAnswered(Gossip):
                def on_message(self, message, place=place):
                    list(self.settings["here"])[place].write_message("psst")

            def target(handler=OneAnswered):
                return Application([("/", handler)], here={})

            with self.subTest(place=place):
                self.assert_problem("isolation", "'psst'", "a", checks=["isolation"], bystander=True, target=target)


class Gossip(WebSocketHandler):
    """Tells everybody."""

    def open(self):
        self.settings["here"][self] = True

    def on_message(self, message):
        for handler in self.settings["here"]:
            handler.write_message("psst")

    def on_close(self):
        self.settings["here"].pop(self, None)


def gossiping_app():
    """Return an app of the gossip."""
    return Application([("/", Gossip)], here={})


class Careless(Gossip):
    """Takes everybody along when it goes without a close frame."""

    def on_close(self):
        super().on_close()
        if self.close_code is None:
            for handler in self.settings["here"]:
                handler.ws_connection.stream.close()


class Forgetful(Gossip):
    """Stays on the list when it goes without a close frame."""

    def on_close(self):
        if self.close_code is not None:
            super().on_close()


class FaultsTest(StageTestCase):
    """What becomes of the others, and of what stays behind, when a client violates the protocol."""

    def problem_of(self, handler, fault):
        """Play a visit that ends in a fault to an app of this handler."""
        options = {"target": lambda: Application([("/", handler)], here={}), "bystander": True}
        return self.problem("a", fault=fault, ending=None, checks=["faults"], **options)

    def test_others_are_not_served(self):
        """Somebody else's connection is brought down."""
        problem = self.problem_of(Careless, "reserved opcode 3")
        self.assertEqual((problem.code, problem.expected), ("faults", CHECKS["faults"].sentence))
        self.assertIn("after 'reserved opcode 3' nobody else is served", problem.title)
        self.assertIn("bystander 1", problem.actual)

    def test_it_stays_behind(self):
        """That is a leak, as after any other end."""
        self.assertEqual(self.problem_of(Forgetful, "reserved opcode 3").code, "leak")

    def test_every_fault(self):
        """A handler that is right has no problem with any fault, however Tornado ends it."""
        route = websocket_routes(gossiping_app())[0]
        settings = FuzzSettings()
        with Stage(gossiping_app, route, settings, bystander=True) as stage:
            for fault in faults:
                if fault.outcome.on_close:
                    with self.subTest(fault.name):
                        seen = stage.play(Case((Visit("/", ("a",), fault=fault.name, ending=None),)))
                        self.assertIsNone(first_problem(seen, chosen_checks(["faults"]), settings))


class HealthyTest(StageTestCase):
    """What is no problem."""

    def test_ordinary_conversations(self):
        """Nothing is found where nothing is wrong: polite closes, slow handlers, tasks and timers that end."""
        settings = FuzzSettings()
        stage = self.enterContext(Stage(make_app, websocket_routes(make_app())[0], settings))
        for messages in (
            (),
            ("a", b"b"),
            ("close 4001",),
            ("close",),
            ("close", "speak"),
            ("a minute",),
            ("task that ends",),
            ("later",),
            ("singleton",),
            ("cookie",),
        ):
            for more in ({}, {"ending": None}, {"pipelined": True}, {"ending": 1001}, {"ping": b"x"}):
                with self.subTest(messages=messages, **more):
                    seen = stage.play(Case((Visit("/", messages, **more),)))
                    self.assertIsNone(first_problem(seen, chosen_checks(()), settings))

    def test_a_foreign_origin_where_no_cookie_is_read(self):
        """It is a public service."""
        self.assertIsNone(self.problem("a", origin="http://foreign.example"))

    def test_a_subprotocol_that_was_offered(self):
        """It may be chosen."""
        self.assertIsNone(self.problem(subprotocols=("a", "b")))

    def test_the_time_of_day(self):
        """A handler that sets its timers by ``time.time()`` is as punctual as others, also in later cases."""
        route = next(route for route in websocket_routes(make_app()) if route.pattern == "/old")
        settings = FuzzSettings()
        before = time.time()
        with Stage(make_app, route, settings) as stage:
            for _ in range(3):
                seen = stage.play(Case((Visit("/old"),)))
                self.assertIsNone(first_problem(seen, chosen_checks(()), settings))
                self.assertEqual((len(seen.received), round(seen.seconds)), (4, 75))
        self.assertLess(time.time() - before, 60)

    def test_a_refusal(self):
        """A route that is shut has no problem, and was not visited."""
        seen = self.play("a", path="/shut")
        self.assertEqual((seen.accepted, seen.status, seen.sent, seen.connections), (False, 401, 0, 0))


class PlayTest(StageTestCase):
    """How a case is played."""

    def test_warnings(self):
        """What Python warns of is shown once, however often it is played."""
        route = websocket_routes(make_app())[0]
        with self.assertWarnsRegex(RuntimeWarning, "'sleep' was never awaited") as shown:
            with Stage(make_app, route, FuzzSettings()) as stage:
                for _ in range(3):
                    stage.play(Case((Visit("/", ("forget",)),)))
        self.assertEqual(len(shown.warnings), 1)

    def test_facts(self):
        """What was sent, what came, which messages were answered."""
        seen = self.play("a", "task that ends")
        self.assertEqual((seen.sent, seen.received, seen.answered), (2, ["hello", "ok", "ok"], ["a", "task that ends"]))

    def test_index(self):
        """The message after which things went wrong ends the conversation."""
        seen = self.play("a", "raise", "b")
        self.assertEqual((seen.index, seen.sent), (1, 2))

    def test_a_fresh_app_each_time(self):
        """A factory is called for each case."""
        apps = []

        def make():
            apps.append(make_app())
            return apps[-1]

        with Stage(make, websocket_routes(make_app())[0], FuzzSettings()) as stage:
            for _ in range(3):
                stage.play(Case((Visit("/", ("a",)),)))
        self.assertEqual([app.settings["opened"] for app in apps], [1, 1, 1])

    def test_an_app_that_is_there_already(self):
        """It serves every case, and its own timers go on."""
        app = make_app()
        with Stage(app, websocket_routes(app)[0], FuzzSettings()) as stage:
            for _ in range(3):
                self.assertEqual(stage.play(Case((Visit("/", ("singleton",)),))).left, ())
        self.assertEqual(app.settings["opened"], 4)  # the first was played twice: the ticker came once

    def test_visits_one_after_the_other(self):
        """They meet the same app."""
        seen = self.play_all(Visit("/", ("a",)), Visit("/", ("b",)))
        self.assertEqual((seen.connections, self.stage.server.app.settings["opened"]), (2, 2))

    def test_the_next_case_finds_nothing_of_the_last_one(self):
        """Timers and tasks that stay behind are told once, and are gone."""
        with Stage(make_app, websocket_routes(make_app())[0], FuzzSettings()) as stage:
            left = [stage.play(Case((Visit("/", (message,)),))).left for message in ("tick", "a", "task", "a")]
        self.assertEqual([bool(one) for one in left], [True, False, True, False])

    def test_a_handshake(self):
        """What every client goes through first is no part of the conversation."""
        seen = self.play("a", settings=FuzzSettings(handshake=discard(1)))
        self.assertEqual(seen.received, ["ok"])

    def test_a_handshake_that_does_not_go_through(self):
        """It is told, and is no bug of the app's."""
        settings = FuzzSettings(handshake=discard(2), connection_timeout=1)
        seen = self.play("a", settings=settings)
        self.assertIn("message 2 of 2", seen.handshake_failure)
        self.assertIsNone(first_problem(seen, chosen_checks(()), settings))

    def test_over_tcp_in_real_time(self):
        """A real socket shows the same."""
        settings = FuzzSettings(transport="tcp", virtual_time=False)
        self.assert_problem("server-error", "KeyError", "raise", settings=settings)
        self.assertIsNone(self.problem("a", settings=settings))

    def test_headers(self):
        """They go with the opening handshake, and so does what auth stands for."""
        settings = FuzzSettings(headers={"X-Team": "zoo"}, auth="bearer:abc", cookies={"a": "1"})
        self.assertRegex(self.play(settings=settings).transcript, r"Authorization: \*\*\*, X-Team: zoo, Cookie: \*\*\*")

    def test_auth(self):
        """A token, or a name and a password; anything else is refused, and so is a variable that is not set."""
        self.assertEqual(authorization("bearer:abc"), {"Authorization": "Bearer abc"})
        self.assertEqual(authorization("basic:ann:secret"), {"Authorization": "Basic YW5uOnNlY3JldA=="})
        for wrong in ("abc", "bearer:", "token:abc", "basic:ann", "bearer:$NOT_SET_ANYWHERE"):
            with self.subTest(auth=wrong), self.assertRaises(UsageError):
                authorization(wrong)


class CollectorTest(StageTestCase):
    """The garbage collector, which is stopped meanwhile."""

    def test_it_is_left_as_it_was(self):
        """What a program has frozen by itself stays frozen, and nothing else does."""
        was_frozen = gc.get_freeze_count() > 0
        self.addCleanup(gc.freeze if was_frozen else gc.unfreeze)
        for is_frozen in (False, True):
            (gc.freeze if is_frozen else gc.unfreeze)()
            with self.subTest(is_frozen=is_frozen):
                with Stage(gossiping_app, websocket_routes(gossiping_app())[0], FuzzSettings()):
                    self.assertFalse(gc.isenabled())
                self.assertTrue(gc.isenabled())
                self.assertEqual(gc.get_freeze_count() > 0, is_frozen)


class ChosenTest(unittest.TestCase):
    """Which checks are made."""

    def codes(self, *wanted):
        """Return the codes of the checks that these names choose."""
        return [check.code for check in chosen_checks(wanted)]

    def test_default(self):
        """All but those one must ask for."""
        self.assertEqual(set(CHECKS) - set(self.codes()), {"isolation", "faults"})

    def test_more_and_less(self):
        """One more, one less, some only."""
        self.assertIn("isolation", self.codes("isolation"))
        self.assertIn("leak", self.codes("isolation"))
        self.assertEqual(self.codes("+isolation"), self.codes("isolation"))
        self.assertNotIn("leak", self.codes("-leak"))
        self.assertEqual(self.codes("leak", "origin"), ["leak", "origin"])

    def test_unknown(self):
        """The nearest name is told."""
        with self.assertRaisesRegex(UsageError, "there is no check 'leek': did you mean 'leak'"):
            chosen_checks(["leek"])

    def test_close_codes(self):
        """Codes and ranges of codes."""
        self.assertEqual(
            [allows(("1000", "3000-4999"), code) for code in (1000, 1001, 2999, 3000, 4999, 5000)],
            [True, False, False, True, True, False],
        )
