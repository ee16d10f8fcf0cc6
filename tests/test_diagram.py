"""The transcript as a page: what is in it. How it looks in a browser is in ``tests/browser``."""

import html
import pathlib
import re
import tempfile
import unittest
from html.parser import HTMLParser
from unittest import mock

from tornado_wstest import diagram
from tornado_wstest.transcript import Event, Transcript

ATTACK = "</pre></script></title><img src=//evil.example onerror=alert(1)> ' \" & &lt;"


class Page(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and the text of its rows."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.tags = []
        self.texts = {}
        """The text of each row, of the title, ..., by the id or the name of its tag."""
        self._place = None
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag in ("title", "h1", "form", "main", "ul", "style", "script") or "row" in self.classes(attributes):
            self._place = attributes.get("id", tag)

    def handle_data(self, data):
        self.texts[self._place] = self.texts.get(self._place, "") + data

    @staticmethod
    def classes(attributes):
        return (attributes.get("class") or "").split()

    @property
    def rows(self):
        """The tags of the rows, in order."""
        return [(tag, attributes) for tag, attributes in self.tags if "row" in self.classes(attributes)]

    def text(self, number):
        """The words of one row, with single spaces."""
        return " ".join(self.texts[f"e{number}"].split())

    def gaps(self):
        """What is said of each gap."""
        return re.findall(r'<span class="later">(.+?)</span>', self.source)


def raised():
    """Return an exception with a traceback."""
    try:
        {}["den"]
    except KeyError as error:
        return error


class DiagramTestCase(unittest.TestCase):
    """Pages of a transcript whose clock the test sets."""

    def setUp(self):
        self.seconds = 0.0
        self.transcript = Transcript(lambda: self.seconds)
        self.record = self.transcript.record

    def page(self, **options):
        """Return the page of what is recorded until now."""
        return Page(self.source(**options))

    def source(self, title=""):
        """Return its HTML."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "x.html")
            self.transcript.save(path, title=title)
            return path.read_text("utf-8")


class RowsTest(DiagramTestCase):
    """A row an event."""

    def test_row_of_each_kind(self):
        """Each event has a row with its time, whose it was, which way it went, and what it was."""
        self.seconds = 1.5
        self.record("ann", "connect", "/chat?token=***")
        self.record("bob", "reject", "403 Forbidden")
        self.record("ann", "sent", "foo")
        self.record("ann", "received", "bar")
        self.record("ann", "ping", b"x", outgoing=True)
        self.record("ann", "pong", b"x")
        self.transcript.mark("all in")
        self.record("ann", "close", "4001 'who are you?'")
        self.record("ann", "close", "1000", outgoing=True)
        page = self.page()
        self.assertEqual(
            [page.text(number) for number in range(9)],
            [
                "1.500 ann → connect /chat?token=***",
                "1.500 bob ← reject 403 Forbidden",
                "1.500 ann → foo text, 3 characters foo",
                "1.500 ann ← bar text, 3 characters bar",
                "1.500 ann → ping b'x'",
                "1.500 ann ← pong b'x'",
                "1.500 all in",
                "1.500 ann ← close 4001 'who are you?'",
                "1.500 ann → close 1000",
            ],
        )

    def test_every_event_has_a_row(self):
        """Nothing is left out of a long transcript, and the order is kept."""
        for number in range(500):
            self.record(f"client {number % 7}", "sent", f"message {number}")
        self.assertEqual([attributes["id"] for _, attributes in self.page().rows], [f"e{n}" for n in range(500)])

    def test_only_messages_and_errors_unfold(self):
        """What has no more to show does not unfold; an exception is unfolded from the start."""
        self.record("ann", "connect", "/")
        self.record("ann", "sent", "foo")
        self.record("ann", "error", raised())
        self.assertEqual(
            [(tag, "open" in attributes) for tag, attributes in self.page().rows],
            [("div", False), ("details", False), ("details", True)],
        )

    def test_arrow_between_the_lanes(self):
        """An arrow goes from the client's lane to the server's, the last one, or back."""
        self.record("ann", "sent", "a")
        self.record("bob", "received", "b")
        lines = [a for tag, a in self.page().tags if tag == "line" and "marker-end" in a]
        self.assertEqual(
            [(a["data-x1"], a["x1"], a["data-x2"], a["x2"]) for a in lines],
            [("0", "16.667%", "server", "83.333%"), ("server", "83.333%", "1", "50%")],
        )

    def test_lanes_in_order_of_appearance(self):
        """Each client has one lane, also when it comes back, and the server stands last."""
        for client in ("bob", "ann", "", "bob"):
            self.record(client, "mark", "here")
        names = re.findall(r"<text>(.*?)</text>", self.source())
        self.assertEqual(names, ["bob", "ann", "server"])

    def test_event_of_a_client_unknown(self):
        """A server exception that is nobody's has a row that every filter shows."""
        self.record("", "error", raised())
        self.record("", "close", "1000")
        self.assertEqual([attributes.get("data-lane") for _, attributes in self.page().rows], [None, None])

    def test_nothing_happened(self):
        """An empty transcript is a page that says so, with nothing to choose."""
        page = self.page()
        self.assertIn("Nothing happened on any connection.", page.source)
        self.assertEqual([tag for tag, _ in page.tags if tag in ("form", "svg")], [])


class TextsTest(DiagramTestCase):
    """The words around the rows."""

    def test_summary(self):
        """Clients, events, the time between the first and the last, and exceptions are counted."""
        self.record("ann", "connect", "/")
        self.seconds = 3600.25
        self.record("bob", "error", raised())
        self.assertIn("2 clients · 2 events · 3,600.2 s · <strong>1 server exception</strong>", self.source())

    def test_title(self):
        """The page has the title it is given, or says what it is."""
        self.assertEqual(self.page().texts["title"].strip(), "Transcript")
        page = self.page(title="test_x\n<b>")
        self.assertEqual((page.texts["title"].strip(), page.texts["h1"].split("\n")[0]), ("test_x <b>", "test_x <b>"))

    def test_exceptions_are_listed_at_the_top(self):
        """Each server exception is named above the diagram, with a link to its row."""
        self.record("ann", "connect", "/")
        self.record("ann", "error", raised())
        page = self.page()
        self.assertIn(("a", {"href": "#e1"}), page.tags)
        self.assertIn("ann: the server raised KeyError: 'den' (test_diagram.py:", page.texts["ul"])

    def test_exception_with_its_traceback(self):
        """The row of an exception has the whole traceback."""
        self.record("ann", "error", raised())
        text = self.page().text(0)
        self.assertTrue(text.startswith("0.000 ann the server raised KeyError: 'den' (test_diagram.py:"))
        self.assertRegex(text, r"Traceback \(most recent call last\): .*\{\}\[\"den\"\] .*KeyError: 'den'$")


class PayloadTest(DiagramTestCase):
    """Whole messages."""

    def body(self, payload):
        """Return what unfolds below a message."""
        self.record("ann", "received", payload)
        (body,) = re.findall(r'(?s)<div class="body">(.*?)</div></details>', self.source())
        note, text = re.fullmatch(r"(?s)<p>(.*?)</p><pre>\n(.*)</pre>", body).groups()
        return note, html.unescape(text)

    def test_text_is_whole(self):
        """A long text is elided in its row, and whole below it."""
        text = "\n  first line\n" + "x" * 5000
        self.assertEqual(self.body(text), ("text, 5014 characters", text))
        self.assertIn(" ... ", self.page().text(0))

    def test_json_is_laid_out(self):
        """JSON has a line for each member."""
        self.assertEqual(self.body('{"a": 1}'), ("text, 8 characters of JSON, laid out", '{\n  "a": 1\n}'))

    def test_bytes_in_hexadecimal(self):
        """A binary message is bytes and letters."""
        note, text = self.body(b"\x00abc")
        self.assertEqual(note, "binary, 4 bytes")
        self.assertRegex(text, r"^00000000  00 61 62 63 +\.abc$")

    def test_empty_message(self):
        """A message without a character can be seen, too."""
        self.assertEqual(self.body(""), ("text, 0 characters", ""))
        self.assertIn("(empty)", self.page().text(0))

    def test_characters_that_cannot_be_seen(self):
        """Control characters, lone surrogates and what turns the text around are codes; white space stays."""
        _, text = self.body("a\x00\x1b\u202e\ud800\tb\n")
        self.assertEqual(text, "a<i>\\x00</i><i>\\x1b</i><i>\\u202e</i><i>\\ud800</i>\tb\n")
        self.source().encode()

    def test_old_messages_are_cut_when_there_are_too_many(self):
        """The newest messages are whole, older ones have both ends and say so, short ones are always whole."""
        with mock.patch.object(diagram, "_ROOM", 10_000):
            self.record("ann", "sent", "short")
            self.record("ann", "sent", "A" + "x" * 6000 + "B" + "y" * 6000 + "C")
            self.record("ann", "sent", bytes(3000))
            self.record("ann", "sent", "z" * 6000)
            page = self.page()
        self.assertIn("text, 5 characters short", page.text(0))
        self.assertIn("12,003 characters, of which the first and the last 1,000 are here", page.text(1))
        self.assertRegex(page.text(1), r"save\(\) as \.json has them all\. Ax{999} \.\.\. y{999}C$")
        self.assertIn("3,000 bytes, of which the first and the last 1,000 are here", page.text(2))
        self.assertRegex(page.text(2), r"000003e0 .* \.\.\. 000007d0 ")
        self.assertTrue(page.text(3).endswith("z" * 6000))

    def test_message_that_is_neither_text_nor_bytes(self):
        """Whatever else somebody recorded is shown, too."""
        self.record("ann", "sent", None)
        self.assertIn("None", self.page().text(0))


class GapsTest(DiagramTestCase):
    """Time that passes."""

    def gaps(self, *times):
        """Return the words of the gaps between events at ``times``."""
        for self.seconds in times:
            self.record("ann", "sent", "x")
        return self.page().gaps()

    def test_gap_in_seconds(self):
        """A tenth of a second without an event, or more, has a row."""
        self.assertEqual(self.gaps(5, 5.05, 5.25, 35.25, 3635.5), ["0.2 s later", "30 s later", "3,600.2 s later"])

    def test_gap_of_less(self):
        """Shorter silence has none, however often."""
        self.assertEqual(self.gaps(0, 0.09, 0.18, 0.27), [])

    def test_gap_is_the_same_for_the_script(self):
        """Page and script agree on what a gap is."""
        self.record("ann", "sent", "x")
        self.assertIn(f"const GAP = {diagram._GAP};", self.source())


class SafetyTest(DiagramTestCase):
    """What a message contains is text, and the page asks nobody for anything."""

    def attack(self):
        """Return the page of a transcript in which each word is hostile."""
        self.record(ATTACK, "connect", ATTACK)
        self.record(ATTACK, "sent", ATTACK)
        self.record(ATTACK, "received", f'["{ATTACK}"]'.replace(' \\"', ""))
        self.record(ATTACK, "received", ATTACK.encode())
        self.record(ATTACK, "ping", ATTACK.encode())
        self.record(ATTACK, "reject", ATTACK)
        self.record(ATTACK, "close", f"4001 {ATTACK!r}")
        self.record(ATTACK, "error", ValueError(ATTACK))
        self.transcript.mark(ATTACK)
        return self.page(title=ATTACK)

    def test_hostile_words_are_text(self):
        """No tag but the page's own comes of any word, wherever it stands."""
        tags = [tag for tag, _ in self.attack().tags]
        self.assertNotIn("img", tags)
        self.assertEqual([tags.count(tag) for tag in ("script", "style", "title", "main")], [1, 1, 1, 1])
        self.assertEqual(tags.count("pre"), 4)

    def test_hostile_words_are_no_attributes(self):
        """Handlers, styles and addresses in attributes there are none, except links inside the page."""
        for tag, attributes in self.attack().tags:
            for name, value in attributes.items():
                self.assertNotRegex(name, r"^on|^style$|^src$|^srcset$|^action$", tag)
                if name == "href":
                    self.assertRegex(value, r"^#e\d+$|^data:,$")

    def test_hostile_words_are_whole(self):
        """They are shown as they came."""
        self.assertIn(ATTACK, self.attack().texts["e1"])

    def test_nothing_is_asked_of_anybody(self):
        """Style and script name no address, and the policy allows none."""
        page = self.attack()
        style, script = (re.search(f"(?s)<{tag}>(.*?)</{tag}>", page.source)[1] for tag in ("style", "script"))
        for text in (style, script):
            self.assertNotRegex(text, r"//[a-z]|https?:|url\(|@import|fetch|XMLHttpRequest|WebSocket|import\(")
        (policy,) = [a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
        self.assertRegex(
            policy,
            r"^default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'; img-src data:; "
            r"base-uri 'none'; form-action 'none'$",
        )

    def test_event_whose_error_cannot_be_printed(self):
        """An exception that raises when it is printed is shown by its name."""

        class RudeError(Exception):
            def __str__(self):
                raise KeyError("no")

        self.transcript.record("ann", "error", RudeError())
        self.assertIn("RudeError whose str raised KeyError", self.page().text(0))

    def test_event_is_not_changed(self):
        """A page is drawn, and the transcript stays as it was."""
        event = self.record("ann", "sent", ATTACK)
        self.page()
        self.assertEqual(list(self.transcript), [Event(0.0, "ann", "sent", ATTACK)])
        self.assertIs(self.transcript[0], event)
