"""The fuzzer as a whole: what it yields, how it repeats, when it stops."""

import logging
import pathlib
import tempfile
import time
import unittest

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import faults
from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.engine import Finding, RouteFinished, RouteStarted, fuzz_route, replay
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings


class Picky(WebSocketHandler):
    """Has two bugs, each behind a word of its own."""

    def on_message(self, message):
        if self.settings.get("is_mended"):
            self.write_message("ok")
        elif message == "crash":
            raise ValueError("crash")
        elif isinstance(message, bytes):
            self.ws_connection.stream.close()
        else:
            self.write_message("ok")


class Numbered(WebSocketHandler):
    """Takes any page for a number."""

    def open(self):
        page = int(self.get_query_argument("page", "1"))
        self.write_message(f"page {page} of {self.get_query_argument('of', '?')}")

    def on_message(self, message):
        pass


class Echo(WebSocketHandler):
    """Has none."""

    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))


class Moody(WebSocketHandler):
    """Fails every second time, whatever comes."""

    def on_message(self, message):
        self.settings["times"].append(message)
        if len(self.settings["times"]) % 2:
            raise ValueError("moody")


class Kicker(Echo):
    """Takes everybody along when it goes without a close frame."""

    def open(self):
        self.here = self.settings.setdefault("here", set())
        self.here.add(self)

    def on_close(self):
        self.here.discard(self)
        if self.close_code is None:
            for handler in self.here:
                handler.ws_connection.stream.close()


class Strict(WebSocketHandler):
    """Closes politely at whatever is not its one word."""

    def on_message(self, message):
        if message == "open sesame":
            self.write_message("ok")
        else:
            self.close(1003, "what?")


class Mute(WebSocketHandler):
    """Says nothing."""

    def on_message(self, message):
        pass


class Members(WebSocketHandler):
    """Lets nobody in."""

    def prepare(self):
        self.send_error(401)


class Slow(WebSocketHandler):
    """Takes its time, in real seconds."""

    def on_message(self, message):
        time.sleep(0.02)


class Thorough(WebSocketHandler):
    """Takes its time for each character, but for texts of one."""

    def on_message(self, message):
        if len(set(message)) > 1:
            time.sleep(min(len(message), 180) / 1500)


class Deaf(WebSocketHandler):
    """Answers nothing."""

    def on_message(self, message):
        pass


def app_of(handler):
    """Return what makes an app of one handler."""
    return lambda: Application([("/", handler)])


def settings(**given):
    """Return settings of a run that keeps nothing and is always the same."""
    return FuzzSettings(**{"seed": 1, "database": None, "examples": 60, **given})


class EngineTestCase(unittest.TestCase):
    """Fuzzes one handler."""

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def fuzz(self, target, listen=None, **given):
        """Return the findings, and what there is to say at the end."""
        target = app_of(target) if isinstance(target, type) else target
        app = target if isinstance(target, Application) else target()
        started, *findings, finished = fuzz_route(target, websocket_routes(app)[0], settings(**given), listen=listen)
        self.assertIsInstance(started, RouteStarted)
        self.assertIsInstance(finished, RouteFinished)
        self.assertTrue(all(isinstance(finding, Finding) for finding in findings))
        return findings, finished


class FindingTest(EngineTestCase):
    """What is found, and how it is told."""

    def test_each_bug_once_and_small(self):
        """Two bugs are two findings, each with the least conversation that shows it."""
        findings, finished = self.fuzz(Picky)
        told = {finding.problem.code: finding.case for finding in findings}
        self.assertEqual(
            told, {"server-error": Case((Visit("/", ("crash",)),)), "dropped": Case((Visit("/", (b"",)),))}
        )
        self.assertEqual((finished.findings, len(findings)), (2, 2))

    def test_blocked_loop_is_not_made_shorter(self):
        """A loop that is blocked by what is long is told with a length that surely blocks it, not with the least."""
        played = []
        (finding,), finished = self.fuzz(Thorough, played.append, blocked=0.1, examples=20)
        drawn = {message for each in played for message in each.seen.case.messages if len(message) >= 150}
        self.assertFalse(finding.is_flaky)
        self.assertLessEqual({message for message in finding.case.messages if len(message) >= 150}, drawn)
        self.assertEqual([len(message) < 150 for message in finding.case.messages], [False])
        self.assertLess(finished.sequences, 40)  # 20, and what is played once: nothing was played to make it shorter

    def test_long_texts_of_one_letter(self):
        """Each route gets some, whatever is drawn."""
        played = []
        self.fuzz(Deaf, played.append, examples=1)
        texts = {message for each in played for message in each.seen.case.messages}
        self.assertLessEqual({"a" * 40, "1" * 40, "a" * 20_000}, texts)

    def test_only_what_matters(self):
        """A bug of the query has no message, no second visit, and no other argument."""
        findings, _ = self.fuzz(Numbered, examples=200)
        self.assertEqual([finding.problem.code for finding in findings], ["server-error"])
        (visit,) = findings[0].case.visits
        self.assertEqual(visit, Visit(visit.path))
        self.assertRegex(visit.path, r"^/\?page=[^&]*$")

    def test_one_by_one(self):
        """An app that closes at the first message it dislikes is sent messages one by one, too."""
        cases = []
        self.fuzz(Strict, listen=lambda played: cases.append(played.seen.case))
        apart = [case for case in cases if len(case.visits) > 2]
        self.assertGreater(len(apart), 10)
        self.assertEqual({len(visit.messages) for case in apart for visit in case.visits}, {1})
        cases.clear()
        self.fuzz(Echo, listen=lambda played: cases.append(played.seen.case))
        self.assertLessEqual(max(len(case.visits) for case in cases), 2)

    def test_faults(self):
        """Every violation of the protocol is tried if somebody asks for it, after what the app has answered."""
        findings, _ = self.fuzz(Kicker, checks=("faults",))
        self.assertEqual([finding.problem.code for finding in findings], ["faults"])
        self.assertIn(findings[0].case.visits[0].fault, faults.names)
        self.assertEqual(self.fuzz(Kicker)[0], [])

    def test_nothing(self):
        """An app that is right has no findings and no warnings, and the counts say what was played."""
        findings, finished = self.fuzz(Echo)
        self.assertEqual((findings, finished.warnings), ([], ()))
        self.assertGreaterEqual(finished.sequences, 60)
        self.assertEqual(finished.received, finished.sent)
        self.assertGreaterEqual(finished.connections, finished.sequences)

    def test_flaky(self):
        """What does not happen every time is told as flaky, after three replays."""
        app = Application([("/", Moody)], times=[])
        findings, _ = self.fuzz(app)
        self.assertEqual({(finding.problem.code, finding.is_flaky) for finding in findings}, {("server-error", True)})

    def test_replay(self):
        """A case is played three times to fresh apps."""
        route = websocket_routes(app_of(Picky)())[0]
        findings = replay(app_of(Picky), route, settings(), Case((Visit("/", ("crash",)),)), 7)
        self.assertEqual([(one.problem.code, one.seed) for one in findings], [("server-error", 7)] * 3)
        self.assertEqual(replay(app_of(Picky), route, settings(), Case((Visit("/", ("a",)),)), 7), [None] * 3)


class RepeatTest(EngineTestCase):
    """The same again."""

    def played(self, **given):
        """Return every case of a run."""
        cases = []
        self.fuzz(Echo, listen=lambda played: cases.append(played.seen.case), **given)
        return cases

    def test_seed(self):
        """One seed is one run; another is another."""
        first = self.played(seed=5)
        self.assertEqual(first, self.played(seed=5))
        self.assertNotEqual(first, self.played(seed=6))

    def test_every_conversation_once(self):
        """Nothing is played twice, but for the two visits that look at the app first."""
        cases = self.played()
        self.assertGreaterEqual(len(set(cases)), len(cases) - 2)

    def test_database(self):
        """What was found before is played first: a few examples are enough to find it again."""
        with tempfile.TemporaryDirectory() as folder:
            database = str(pathlib.Path(folder) / "examples")
            before, _ = self.fuzz(Picky, database=database, examples=80)
            again, _ = self.fuzz(Picky, database=database, examples=1, seed=99)
        self.assertEqual({finding.case for finding in again}, {finding.case for finding in before})
        self.assertEqual(len(before), 2)

    def test_database_of_a_mended_app(self):
        """What was found before is played first, and forgotten when it is found no more."""

        def mended():
            return Application([("/", Picky)], is_mended=True)

        def kept():
            return [
                file
                for file in pathlib.Path(database).rglob("*")
                if file.is_file() and b'"visits"' in file.read_bytes()
            ]

        cases = []
        with tempfile.TemporaryDirectory() as folder:
            database = str(pathlib.Path(folder) / "examples")
            found = {finding.case for finding in self.fuzz(Picky, database=database, examples=80)[0]}
            self.assertEqual((len(found), len(kept())), (2, 2))
            self.fuzz(mended, database=database, examples=1, listen=lambda played: cases.append(played.seen.case))
            self.assertLess(found, set(cases[:4]))
            self.assertEqual(kept(), [])


class EndTest(EngineTestCase):
    """When a run ends, and what it says of itself."""

    def test_time_budget(self):
        """A route takes no longer than its budget, and says that it was cut short."""
        started = time.monotonic()
        _, finished = self.fuzz(Slow, time_budget=0.5, examples=10_000)
        self.assertLess(time.monotonic() - started, 3)
        self.assertRegex(finished.warnings[-1], r"only \d+ conversations of 10000 were played in 0.5 s")

    def test_nobody_gets_in(self):
        """A route that never accepted a connection has proved nothing."""
        _, finished = self.fuzz(Members)
        self.assertRegex(finished.warnings[0], r"no connection was ever accepted: 401 \(\d+ times\); does it need")

    def test_nothing_comes(self):
        """A route that never answered may wait for something else."""
        _, finished = self.fuzz(Mute)
        self.assertEqual(len(finished.warnings), 1)
        self.assertIn("the server never sent anything", finished.warnings[0])

    def test_interrupted(self):
        """Ctrl-C ends the run with what was found by then."""

        def listen(played):
            if played.problem is not None:
                raise KeyboardInterrupt

        findings, finished = self.fuzz(Picky, listen=listen)
        self.assertEqual((len(findings), finished.interrupted), (1, True))
