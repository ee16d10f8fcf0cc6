"""What a run has to say, as text and as files."""

import dataclasses
import json
import logging
import os
import tempfile
import unittest
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

from tornado.routing import HostMatches, Rule, RuleRouter
from tornado.web import Application, HTTPError
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError
from tornado_wstest.fuzzing.case import Case, Visit
from tornado_wstest.fuzzing.checks import chosen_checks, first_problem
from tornado_wstest.fuzzing.engine import Finding, Played, RouteFinished, RouteStarted
from tornado_wstest.fuzzing.exports import check_report_file, save_report, to_html, to_json, to_junit
from tornado_wstest.fuzzing.paste import paste
from tornado_wstest.fuzzing.report import (
    Repeat,
    Report,
    RouteReport,
    app_traceback,
    conversation,
    finding_block,
    finished_line,
    printable,
    routes_table,
    started_line,
    summary,
)
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings
from tornado_wstest.fuzzing.stage import Stage

from .fuzz_texts import TextTestCase

SETTINGS = FuzzSettings(checks=("+isolation",))


class Shop(WebSocketHandler):
    """Does wrong what it is told to do wrong."""

    def check_origin(self, origin):
        return True

    def open(self, item):
        if item == "none":
            raise HTTPError(500)

    def on_message(self, message):
        if message == "crash":
            self.find({})
        elif message == "busy":
            self.close(1011, "so busy")
        elif message == "keep":
            self.settings["kept"].append(self)
        else:
            self.write_message(message, binary=isinstance(message, bytes))

    def find(self, prices):
        return prices["no\x1b[31msuch"]


class Door(WebSocketHandler):
    """Breaks before anybody is in."""

    def prepare(self):
        raise LookupError("no key")


def make_app():
    """Return an app with both."""
    return Application([(r"/shop/(?P<item>\w+)", Shop), ("/door", Door)], kept=[])


def found(*visits, route=0, is_flaky=False):
    """Play visits to a route, and return what was found."""
    chosen = websocket_routes(make_app())[route]
    with Stage(make_app, chosen, SETTINGS) as stage:
        seen = stage.play(Case(visits))
    problem = first_problem(seen, chosen_checks(SETTINGS.checks), SETTINGS)
    return Finding(chosen, problem, seen, 7, is_flaky)


def repeat_of(finding):
    """Return the ways to see it again."""
    test = paste(
        finding.seen,
        finding.problem,
        target="shop:make_app",
        app="factory",
        route=finding.route,
        settings=FuzzSettings(),
    )
    return Repeat("COMMAND --seed 7", "REPLAY found.json", test, "found.json")


class ReportTestCase(TextTestCase, unittest.TestCase):
    """Plays without log lines."""

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)


class BlockTest(ReportTestCase):
    """A finding has all its parts."""

    def test_block_of_an_exception(self):
        """The message, the traceback without libraries, the transcript, and three ways to repeat it."""
        finding = found(Visit("/shop/a", ("hello", b"\x00\xff", "crash", "after")))
        self.assert_text(finding_block(finding, repeat_of(finding)))

    def test_block_of_a_close_code(self):
        """The close code, its reason, and the last messages that came."""
        finding = found(Visit("/shop/a", (*"abcdefg", "busy")))
        self.assert_text(finding_block(finding, repeat_of(finding)))

    def test_block_of_two_visits(self):
        """Each visit has a line, with all that is unusual of it."""
        first = Visit("/shop/a?b=c", ("a", "b"), pipelined=True, ping=b"x", origin="http://a.example", ending=None)
        self.assert_text(finding_block(found(first, Visit("/shop/b", ("busy",), subprotocols=("v1", "v2")))))

    def test_block_of_a_refusal(self):
        """A connection that was not accepted has a status."""
        self.assert_text(finding_block(found(Visit("/door"), route=1)))

    def test_block_of_a_flaky_finding(self):
        """It says that it is one, in the first line."""
        finding = found(Visit("/door"), route=1, is_flaky=True)
        self.assertIn("(flaky: it did not show in each of three replays)\n", finding_block(finding))

    def test_block_of_many_messages(self):
        """A block stays short, whatever was sent."""
        finding = found(Visit("/shop/a", (*("x" * 10_000 for _ in range(60)), "crash")))
        text = finding_block(finding)
        self.assertIn("and 41 more", text)
        self.assertIn("message     61 of 61: 'crash'", text)
        self.assertLess(len(text), 12_000)

    def test_control_characters(self):
        """Nothing in a block moves a terminal's cursor or changes its colour."""
        text = finding_block(found(Visit("/shop/a", ("crash",))))
        self.assertIn(r"KeyError: 'no\x1b[31msuch'", text)
        self.assertNotIn("\x1b", text)

    def test_conversation(self):
        """With --verbose, each one shows with its transcript."""
        finding = found(Visit("/shop/a", ("busy",)))
        fine = found(Visit("/shop/a", ("a",)))
        texts = [conversation(Played(each.route, each.seen, each.problem)) for each in (finding, fine)]
        self.assert_text("\n".join(texts))


class TracebackTest(unittest.TestCase):
    """What is left of a traceback."""

    TEXT = (
        "Traceback (most recent call last):\n"
        '  File "{python}/asyncio/events.py", line 80, in _run\n'
        "    self._context.run(self._callback, *self._args)\n"
        '  File "/srv/shop.py", line 3, in on_message\n'
        "    json.loads(message)\n"
        '  File "<frozen importlib._bootstrap>", line 9, in load\n'
        '  File "/venv/lib/site-packages/other.py", line 5, in loads\n'
        "    raise ValueError(1)\n"
        "ValueError: 1\n"
    ).replace("{python}", os.path.dirname(os.__file__))

    def test_app_traceback(self):
        """Lines of Python and of packages go, with the code below them."""
        self.assertEqual(
            app_traceback(self.TEXT),
            "Traceback (most recent call last):\n"
            '  File "/srv/shop.py", line 3, in on_message\n'
            "    json.loads(message)\n"
            "ValueError: 1",
        )

    def test_installed_app(self):
        """Of an app that is itself installed as a package, nothing is left out."""
        installed = self.TEXT.replace("/srv/", "/venv/lib/site-packages/")
        self.assertIn("shop.py", app_traceback(installed))


class LinesTest(ReportTestCase):
    """Progress, the table of routes, the summary."""

    def test_routes_table(self):
        """Columns that are empty are left out; what no request reaches is said."""
        inner = Application([("/in/(.*)", Shop)])
        rules = [("/shop/(?P<item>.*)", Shop, {}, "shop"), ("/in/.*", inner), ("/shop/a", Door)]
        hosted = Rule(HostMatches(r"(www\.)?shop\.example"), Application([("/", Door)]))
        router = RuleRouter([hosted, Rule(HostMatches(".*"), Application(rules))])
        short = routes_table(websocket_routes(Application([("/a", Door)])))
        self.assert_text(f"{routes_table(websocket_routes(router))}\n\n{short}\n")

    def test_summary(self):
        """A line a route, warnings, and how it ended."""
        self.assert_text(summary(report()))

    def test_nothing_found(self):
        """The shortest summary."""
        route = websocket_routes(make_app())[1]
        one = RouteReport(RouteStarted(route, 7))
        one.finished = RouteFinished(route, 7, 100, 500, 400, 100, 0, 1.0)
        text = summary(Report("shop:make_app", routes=[one]))
        self.assertEqual(text.splitlines()[-1], "nothing found in 1 route")

    def test_interrupted(self):
        """What was broken off says so."""
        broken = Report("shop:make_app", routes=[RouteReport(RouteStarted(websocket_routes(make_app())[0], 7))])
        broken.interrupted = True
        self.assertEqual(summary(broken), "interrupted: nothing found in 1 route")

    def test_progress(self):
        """A line at the start and one at the end."""
        route = websocket_routes(make_app())[0]
        end = RouteFinished(route, 7, 1, 2, 3, 4, 0, 1.25, interrupted=True)
        self.assertEqual(started_line(RouteStarted(route, 7)), "/shop/{item} (Shop): started, seed 7")
        self.assertEqual(
            finished_line(end), "/shop/{item}: interrupted, nothing found, 1 conversation, 2 messages sent, 1.2 s"
        )

    def test_printable(self):
        """What an XML file would not take is escaped, what people write is not."""
        self.assertEqual(printable("a\x00\x1b\ud800\tä\n漢"), "a\\x00\\x1b\\ud800\tä\n漢")


def report(*, strict=False):
    """Return a run with a finding, a flaky one, a route without an answer, and one that nobody reaches."""
    shop, door = websocket_routes(make_app())
    hidden = websocket_routes(Application([("/.*", Door), ("/<b>", Door)]))[1]
    finding = found(Visit("/shop/a", ("crash",)))
    flaky = found(Visit("/door"), route=1, is_flaky=True)
    first, second = RouteReport(RouteStarted(shop, 7)), RouteReport(RouteStarted(door, 8), strict=strict)
    first.findings.append((finding, repeat_of(finding)))
    first.finished = RouteFinished(shop, 7, 100, 500, 400, 100, 1, 1.0, ("the server never sent anything",))
    second.findings.append((flaky, repeat_of(flaky)))
    second.finished = RouteFinished(door, 8, 10, 0, 0, 0, 1, 0.5, ("no connection was ever accepted: 500 (10 times)",))
    return Report("shop:make_app", "COMMAND", [first, second], [hidden])


class VerdictTest(ReportTestCase):
    """When a run fails."""

    def alone(self, *, strict, findings=(), warnings=()):
        """Return a report of one route."""
        route = websocket_routes(make_app())[1]
        one = RouteReport(RouteStarted(route, 7), strict=strict)
        one.findings += [(finding, repeat_of(finding)) for finding in findings]
        one.finished = RouteFinished(route, 7, 1, 1, 1, 1, len(findings), 1.0, warnings)
        return Report("shop:make_app", routes=[one])

    def test_finding(self):
        """A finding fails it."""
        self.assertTrue(report().failed)

    def test_flaky_finding(self):
        """A flaky one does if the route is strict."""
        flaky = found(Visit("/door"), route=1, is_flaky=True)
        self.assertFalse(self.alone(strict=False, findings=[flaky]).failed)
        self.assertTrue(self.alone(strict=True, findings=[flaky]).failed)

    def test_warning(self):
        """So does a warning."""
        self.assertFalse(self.alone(strict=False, warnings=("no answer",)).failed)
        self.assertTrue(self.alone(strict=True, warnings=("no answer",)).failed)
        self.assertFalse(self.alone(strict=True).failed)

    def test_warning_of_a_route_that_was_broken_off(self):
        """What came by Ctrl-C says nothing about the rest."""
        broken = self.alone(strict=True, warnings=("no answer",))
        broken.routes[0].finished = dataclasses.replace(broken.routes[0].finished, interrupted=True)
        self.assertFalse(broken.failed)
        self.assertNotIn("no answer", summary(broken))


class Tags(HTMLParser):
    """Notes the tags that stay open, and the text."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


class ExportTest(ReportTestCase):
    """The three files."""

    def test_report(self):
        """The JSON has everything under names that stay."""
        self.assert_text(to_json(report()), ".json")

    def test_junit(self):
        """JUnit: a case a route, a failure a finding; what does not count is in the output."""
        self.assert_text(to_junit(report()), ".xml")

    def test_junit_strict(self):
        """What counts is a failure, and the numbers at the top agree with what is below."""
        suite = ET.fromstring(to_junit(report(strict=True)))
        self.assertEqual([len(case.findall("failure")) for case in suite], [1, 1, 0])
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("skipped")), ("3", "2", "1"))

    def test_warning_in_junit(self):
        """A warning of a strict route is a failure, of another an output."""
        for strict, tag in ((True, "failure"), (False, "system-out")):
            with self.subTest(strict=strict):
                one = report().routes[1]
                one.findings.clear()
                one.strict = strict
                case = ET.fromstring(to_junit(Report("shop:make_app", routes=[one])))[0]
                self.assertEqual([child.tag for child in case], ["properties", tag])

    def test_page(self):
        """One page, well formed, that loads nothing; text of the app's is text."""
        page = Tags()
        page.feed(to_html(report()))
        page.close()
        self.assertEqual(page.open, [])
        self.assertFalse({"script", "link", "img", "iframe"} & set(page.seen))
        text = "".join(page.text)
        for part in ("server-error", "REPLAY found.json", "class FoundTest", "/<b>", "COMMAND --seed 7"):
            self.assertIn(part, text)

    def test_save(self):
        """The suffix says which, and everything can be written."""
        with tempfile.TemporaryDirectory() as folder:
            for suffix, begin in ((".json", "{"), (".XML", "<?xml"), (".html", "<!DOCTYPE html>")):
                file = os.path.join(folder, f"out{suffix}")
                save_report(report(), check_report_file(file))
                with open(file, encoding="utf-8") as written:
                    self.assertTrue(written.read().startswith(begin))

    def test_file_that_cannot_be(self):
        """Another suffix, or a folder that is not there, is told before anything is played."""
        for file, text in (("out.pdf", "ends in .html, .json, .xml"), ("/no/such/out.json", "there is no folder")):
            with self.subTest(file), self.assertRaisesRegex(UsageError, text):
                check_report_file(file)

    def test_file_that_cannot_be_written(self):
        """What the system says is told."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "out.json"))
            with self.assertRaisesRegex(UsageError, "cannot be written to .*: Is a directory"):
                save_report(report(), os.path.join(folder, "out.json"))

    def test_case_in_the_report(self):
        """The case of a finding can be taken out of the JSON and played."""
        value = json.loads(to_json(report()))
        case = Case.from_json(value["routes"][0]["findings"][0]["case"])
        self.assertEqual(case, Case((Visit("/shop/a", ("crash",)),)))
