"""What happened on every connection, in order."""

import json
import pathlib
import tempfile
import unittest
import unittest.mock

from tornado_wstest.errors import UsageError
from tornado_wstest.transcript import KINDS, Event, Transcript, mask_headers, mask_query


class RudeError(Exception):
    """An exception that cannot be printed."""

    def __str__(self):
        raise KeyError("no")


def raised(error):
    """Return ``error`` with the traceback of having been raised here."""
    try:
        raise error
    except type(error):
        return error


class TranscriptTestCase(unittest.TestCase):
    """A transcript whose clock goes on by a second an event."""

    def setUp(self):
        self.seconds = 0
        self.transcript = Transcript(self.now)

    def now(self):
        """Return the seconds since the first event."""
        self.seconds += 1
        return self.seconds - 1

    def record(self, *events):
        """Record ``(client, kind, payload)`` for each."""
        return [self.transcript.record(*event) for event in events]

    def lines(self, **options):
        """Return the lines of the drawing below its head."""
        return self.transcript.render(**options).splitlines()[1:]


class SequenceTest(TranscriptTestCase):
    """A transcript is a sequence of events."""

    def test_record_returns_the_event(self):
        """An event has the time of its record, and is what the sequence holds."""
        self.record(("ann", "connect", "/"))
        event = self.transcript.record("ann", "ping", b"x", outgoing=True)
        self.assertEqual(event, Event(1, "ann", "ping", b"x"))
        self.assertIs(self.transcript[1], event)

    def test_transcript_is_a_sequence(self):
        """It has a length, items, slices, and can be gone through."""
        events = self.record(("ann", "sent", "a"), ("ann", "received", "b"), ("bob", "sent", "c"))
        self.assertEqual(len(self.transcript), 3)
        self.assertEqual(list(self.transcript), events)
        self.assertEqual((self.transcript[-1], self.transcript[:2]), (events[2], events[:2]))
        self.assertIn(events[0], self.transcript)

    def test_mark_is_an_event(self):
        """A mark concerns no client unless one is named."""
        self.transcript.mark("both are here")
        self.transcript.mark("so am I", client="ann")
        self.assertEqual(
            [(e.client, e.kind, e.payload) for e in self.transcript],
            [("", "mark", "both are here"), ("ann", "mark", "so am I")],
        )

    def test_mark_that_is_no_text(self):
        """A mark is a str."""
        with self.assertRaisesRegex(UsageError, "a mark is a str, not 1"):
            self.transcript.mark(1)


class EventTest(unittest.TestCase):
    """One event on one line."""

    def test_event_on_one_line(self):
        """str() of an event of each kind is one line that names client and kind."""
        for kind in KINDS:
            payload = ValueError("a\nb") if kind == "error" else "a\nb"
            line = str(Event(1.5, "ann", kind, payload))
            self.assertRegex(line, rf"^1\.500 ann {kind} ")
            self.assertNotIn("\n", line)

    def test_event_of_a_huge_message(self):
        """A long payload is elided."""
        self.assertLess(len(str(Event(0, "ann", "received", b"x" * 1_000_000))), 130)

    def test_event_of_an_error_that_cannot_be_printed(self):
        """An exception whose str raises is named all the same."""
        self.assertEqual(
            str(Event(0, "ann", "error", RudeError())),
            "0.000 ann error the server raised RudeError whose str raised KeyError",
        )


class RenderTest(TranscriptTestCase):
    """The drawing."""

    def test_render_nothing(self):
        """Without events it says so."""
        self.assertEqual(self.transcript.render(), "transcript: nothing happened on any connection")

    def test_render_each_kind(self):
        """Every kind of event has its arrow and its words."""
        self.record(
            ("ann", "connect", "/chat"),
            ("bob", "reject", "403 Forbidden"),
            ("ann", "sent", "foo"),
            ("ann", "received", b"\x00"),
            ("ann", "ping", b""),
            ("ann", "pong", b"x"),
        )
        self.transcript.record("ann", "ping", b"y", outgoing=True)
        self.transcript.record("ann", "close", "1000 'bye'", outgoing=True)
        self.record(("ann", "close", None), ("", "mark", "done"), ("ann", "error", ValueError("no")))
        self.assertEqual(
            str(self.transcript).splitlines(),
            [
                "transcript (seconds, client, --> to the server, <-- from it, * unread):",
                "    0.000  ann --> connect /chat",
                "    1.000  bob <-- reject 403 Forbidden",
                "    2.000  ann --> 'foo'",
                "    3.000  ann <-- b'\\x00'",
                "    4.000  ann <-- ping",
                "    5.000  ann <-- pong b'x'",
                "    6.000  ann --> ping b'y'",
                "    7.000  ann --> close 1000 'bye'",
                "    8.000  ann <-- close",
                "    9.000          -- done",
                "   10.000  ann !!! the server raised ValueError: no",
            ],
        )

    def test_render_unread(self):
        """A message that nobody has taken is marked; one that looks the same is not."""
        self.transcript = Transcript(lambda: 0.0)
        _, second = self.record(("ann", "received", "foo"), ("ann", "received", "foo"))
        self.assertEqual(self.lines(unread=[second]), ["    0.000  ann <-- 'foo'", "    0.000  ann <--*'foo'"])

    def test_render_names_in_a_column(self):
        """Names of different lengths stand in one column, at most 24 characters wide."""
        self.record(("ann", "sent", "a"), ("n" * 30, "sent", "b"))
        self.assertEqual(self.lines()[0], f"    0.000  {'ann':<24} --> 'a'")
        self.assertEqual(self.lines()[1], "    1.000  nnnnnnnnnnnn ... nnnnnnn --> 'b'")

    def test_render_a_long_payload(self):
        """Payloads are elided, each kind to its own length."""
        long = "x" * 1000
        self.record(("a", "sent", long), ("a", "ping", long), ("a", "mark", long), ("a", "connect", long))
        self.record(("a", "error", ValueError(long)))
        for line, width in zip(self.lines(), (100, 45, 203, 108, 118), strict=True):
            self.assertEqual(len(line), 17 + width)
            self.assertIn(" ... ", line)

    def test_render_line_breaks(self):
        """No payload breaks its line."""
        self.record(("a", "sent", "x\ny"), ("a", "mark", "x\ny"), ("a", "close", "1000 x\r\ny"))
        self.record(("a", "error", ValueError("x\ny")))
        self.assertEqual(len(self.lines()), 4)
        self.assertTrue(all("x" in line and "y" in line for line in self.lines()))

    def test_render_an_error_with_its_place(self):
        """An exception is shown once, in one line, with the line of code that raised it."""
        self.record(("ann", "error", raised(ValueError("no room"))))
        self.assertRegex(
            "\n".join(self.lines()),
            r"^    0\.000  ann !!! the server raised ValueError: no room \(.*test_transcript\.py:\d+ in raised\)$",
        )


class LimitTest(TranscriptTestCase):
    """At most 40 events are drawn."""

    def talk(self, client, count):
        """Record as many messages."""
        return self.record(*((client, "sent", f"{client} {number}") for number in range(count)))

    def test_limit_is_not_reached(self):
        """Forty events are drawn whole."""
        self.talk("ann", 40)
        self.assertEqual(len(self.lines()), 40)

    def test_limit_is_passed(self):
        """Of more, the last forty are drawn, after a gap, and the others counted."""
        self.talk("ann", 50)
        lines = self.lines()
        self.assertEqual((lines[0], lines[-1]), ("   ...", "   (10 of 50 events left out)"))
        self.assertEqual([line.split()[-1] for line in lines[1:-1]], [f"{n}'" for n in range(10, 50)])

    def test_limit_of_the_failing_client(self):
        """The last twenty events of the failing client stay, however long ago; the end of all fills the rest."""
        self.talk("ann", 30)
        self.talk("bob", 60)
        lines = self.lines(first="ann")
        self.assertEqual(
            [line for line in lines if "ann" in line], [f"{n:9.3f}  ann --> 'ann {n}'" for n in range(10, 30)]
        )
        self.assertEqual([line.split()[-1] for line in lines if "bob" in line], [f"{n}'" for n in range(40, 60)])
        self.assertEqual((lines[0], lines[21], lines[-1]), ("   ...", "   ...", "   (50 of 90 events left out)"))

    def test_limit_of_a_client_without_events(self):
        """A failing client that nothing happened to changes nothing."""
        self.talk("ann", 50)
        self.assertEqual(self.lines(first="eve"), self.lines())

    def test_limit_keeps_errors(self):
        """The last four errors stay, each of them once, whoever they concern."""
        self.record(*(("ann", "error", ValueError(f"error {n}")) for n in range(5)))
        self.talk("bob", 60)
        for first in (None, "ann", "bob"):
            with self.subTest(first=first):
                text = self.transcript.render(first=first)
                self.assertEqual([text.count(f"error {n}") for n in range(1, 5)], [1, 1, 1, 1])

    def test_limit_in_order(self):
        """What is drawn stays in its order, and no event is drawn twice."""
        for client in ("ann", "bob") * 30:
            self.talk(client, 1)
        times = [float(line.split()[0]) for line in self.lines(first="ann") if "-->" in line]
        self.assertEqual(times, sorted(set(times)))
        self.assertEqual(len(times), 40)

    def test_limit_column(self):
        """Only the names that are drawn make the column."""
        self.talk("a-name-that-is-long", 1)
        self.talk("ann", 60)
        self.assertRegex(self.lines()[1], r"^   21\.000  ann --> ")


class KeptTest(TranscriptTestCase):
    """How much of the messages is kept."""

    def setUp(self):
        super().setUp()
        self.enterContext(unittest.mock.patch("tornado_wstest.transcript._MAX_KEPT", 1000))

    def test_old_messages_are_cut(self):
        """Of what is older than so many characters the beginning is left; every event is."""
        for number in range(20):
            self.transcript.record("ann", "sent", f"{number:3} " + "x" * 96)
            self.transcript.record("ann", "received", b"%3d " % number + b"y" * 96)
        payloads = [event.payload for event in self.transcript]
        self.assertEqual(len(payloads), 40)
        self.assertEqual(payloads[0], "  0 " + "x" * 20 + " ... (100 characters)")
        self.assertEqual(payloads[1], b"  0 " + b"y" * 20 + b" ... (100 bytes)")
        self.assertTrue(all(len(payload) == 100 for payload in payloads[-7:]))

    def test_short_messages_stay(self):
        """What is hardly longer than its beginning and its length stays whole, and so does what is no message."""
        self.transcript.mark("m" * 100)
        for _ in range(60):
            self.transcript.record("ann", "sent", "x" * 40)
        self.assertEqual({event.payload for event in self.transcript}, {"m" * 100, "x" * 40})

    def test_nothing_to_replay(self):
        """A conversation that is not kept whole is no scenario; one after clear() is."""
        self.transcript.record("ann", "connect", "/")
        for _ in range(11):
            self.transcript.record("ann", "sent", "x" * 100)
        with self.assertRaisesRegex(
            UsageError, r"the first \d+ of 12 events are not kept whole.*\nclear\(\) it before"
        ):
            self.transcript.as_scenario()
        self.transcript.clear()
        self.transcript.record("ann", "connect", "/")
        self.assertIn('Scenario("/"', self.transcript.as_scenario())


class SaveTest(TranscriptTestCase):
    """The transcript as a file."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def save(self, name, **options):
        """Save as ``name``, and return what is in the file."""
        self.transcript.save(self.folder / name, **options)
        return (self.folder / name).read_text("utf-8")

    def assert_refused(self, path, *texts):
        """Saving raises `UsageError` with these texts, and leaves no file."""
        before = sorted(self.folder.rglob("*"))
        with self.assertRaises(UsageError) as caught:
            self.transcript.save(path)
        for text in texts:
            self.assertIn(text, str(caught.exception))
        self.assertEqual(sorted(self.folder.rglob("*")), before)

    def test_save_by_ending(self):
        """The ending decides, in capitals too; a path may be a str."""
        self.record(("ann", "sent", "foo"))
        for name, start in (
            ("x.html", "<!DOCTYPE html>"),
            ("x.HTM", "<!DOC"),
            ("x.txt", "transcript ("),
            ("x.json", "["),
        ):
            with self.subTest(name=name):
                self.transcript.save(str(self.folder / name))
                self.assertTrue((self.folder / name).read_text("utf-8").startswith(start))

    def test_save_as_text(self):
        """A short transcript is what `render` draws."""
        self.record(("ann", "connect", "/"), ("bob", "error", ValueError("no")), ("", "mark", "done"))
        self.assertEqual(self.save("x.txt"), f"{self.transcript.render()}\n")

    def test_save_as_text_whole(self):
        """A text has all events, whole payloads, and whole names."""
        long = "x" * 5000
        self.record(*(("n" * 30, kind, long) for kind in ("sent", "ping", "mark", "connect") for _ in range(30)))
        self.record(("ann", "error", ValueError(long)))
        lines = self.save("x.txt").splitlines()
        self.assertEqual(len(lines), 122)
        self.assertTrue(all(long in line for line in lines[1:]))
        self.assertTrue(all("n" * 30 in line for line in lines[1:-1]))

    def test_save_as_json(self):
        """JSON says which side an event came from."""
        self.record(("ann", "sent", "a"), ("ann", "received", "b"), ("ann", "ping", b""), ("", "mark", "c"))
        self.transcript.record("ann", "close", "1000", outgoing=True)
        self.record(("ann", "error", ValueError("no")))
        events = json.loads(self.save("x.json"))
        self.assertEqual([e["from"] for e in events], ["client", "server", "server", None, "client", "server"])
        self.assertEqual([e["time"] for e in events], [0, 1, 2, 3, 4, 5])

    def test_save_nothing(self):
        """A transcript without events can be saved, too."""
        self.assertIn("Nothing happened", self.save("x.html"))
        self.assertEqual(self.save("x.txt"), "transcript: nothing happened on any connection\n")
        self.assertEqual(json.loads(self.save("x.json")), [])

    def test_save_again(self):
        """A file that is there is written over."""
        self.record(("ann", "sent", "a"), ("ann", "sent", "b"))
        self.save("x.txt")
        self.transcript = Transcript(self.now)
        self.assertEqual(self.save("x.txt").count("\n"), 1)

    def test_save_what_utf8_cannot_say(self):
        """A lone surrogate does not stand in the way."""
        self.record(("ann", "mark", "a\ud800b"))
        self.assertIn(r"a\ud800b", self.save("x.txt"))

    def test_save_to_an_unknown_ending(self):
        """Another ending, or none, is refused with those that are valid."""
        for name in ("x.pdf", "transcript", "x.html.gz", ".html"):
            with self.subTest(name=name):
                self.assert_refused(self.folder / name, name, "valid endings are: .html, .htm, .txt, .json")

    def test_save_to_a_folder_that_does_not_exist(self):
        """A missing folder is named, with how to make it."""
        self.assert_refused(
            self.folder / "no" / "x.html", f"{str(self.folder / 'no')!r} does not exist", "os.makedirs("
        )

    def test_save_below_a_file(self):
        """A file in the place of the folder is told from a missing one."""
        (self.folder / "file").touch()
        self.assert_refused(self.folder / "file" / "x.html", f"{str(self.folder / 'file')!r} is a file")

    def test_save_to_a_folder(self):
        """A folder is no file, whatever its name."""
        (self.folder / "x.html").mkdir()
        self.assert_refused(self.folder / "x.html", "is a folder: name the file", "x.html/transcript.html")
        self.assert_refused(self.folder, "is a folder")
        self.assert_refused("", "is a folder", "'transcript.html'")

    def test_save_to_no_path(self):
        """What is no path at all is shown."""
        self.assert_refused(5, "saved to a path with one of these endings: .html, .htm, .txt, .json; not to 5")

    def test_save_with_a_title_that_is_no_text(self):
        """A title is a str."""
        with self.assertRaisesRegex(UsageError, "title is a str, not 5"):
            self.save("x.html", title=5)


class MaskTest(unittest.TestCase):
    """Secrets stay out of the drawing."""

    def test_mask_query(self):
        """Values named like secrets are hidden, others are not, and nothing moves."""
        self.assertEqual(
            mask_query("/chat?room=den&access_token=abc&x&password=&api_key=a=b"),
            "/chat?room=den&access_token=***&x&password=***&api_key=***",
        )

    def test_mask_query_of_no_query(self):
        """A path without a query stays as it is, whatever its name."""
        for path in ("/token", "/chat?", "/chat?token", "/"):
            self.assertEqual(mask_query(path), path)

    def test_mask_names_of_secrets(self):
        """Every usual name of a secret is known, in any case."""
        for name in (
            "Auth",
            "cookie",
            "CREDENTIALS",
            "jwt",
            "key",
            "passwd",
            "pwd",
            "secret",
            "sessionid",
            "sig",
            "_xsrf",
        ):
            with self.subTest(name=name):
                self.assertEqual(mask_query(f"/?{name}=abc"), f"/?{name}=***")

    def test_mask_headers(self):
        """Cookies and authorization are hidden, other headers are shown, long ones elided."""
        headers = [("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-Room", "den"), ("X-Long", "x" * 100)]
        text = mask_headers(headers)
        self.assertTrue(text.startswith("Cookie: ***, Authorization: ***, X-Room: den, X-Long: xxx"))
        self.assertEqual(len(text), len("Cookie: ***, Authorization: ***, X-Room: den, X-Long: ") + 60)
