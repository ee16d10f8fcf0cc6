"""The transcript as a page, in Chromium: at 50 and at 2,000 messages, light and dark, wide and narrow, and on paper."""

import base64
import itertools
import json
import pathlib
import re
import tempfile

from tests.browser.chromium import ChromiumTestCase
from tornado_wstest.transcript import Transcript

ATTACK = "</pre></script><img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"

SEEN = """
    const looks = (element) => element.checkVisibility({visibilityProperty: true});
    return [...document.querySelectorAll(arguments[0])].filter(looks).map((element) => element.innerText);
"""
CONTRAST = """
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
        .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const isClear = (colour) => channels(colour)[3] === 0;
    const contrasts = {};
    for (const element of document.querySelectorAll("body *")) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        let behind = element;
        while (isClear(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
        const ink = element instanceof SVGElement ? style.fill : style.color;
        const pair = [light(ink), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
        contrasts[`${element.localName}.${element.getAttribute("class") ?? ""}`] = (pair[0] + 0.05) / (pair[1] + 0.05);
    }
    return contrasts;
"""


def raised():
    """Return an exception with a traceback."""
    try:
        {}["den"]
    except KeyError as error:
        return error


class PageTestCase(ChromiumTestCase):
    """Pages of a transcript whose clock the test sets."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name, "page.html")
        self.seconds = 0.0
        self.transcript = Transcript(lambda: self.seconds)
        self.resize(1200)
        self.emulate()

    def talk(self, messages, clients=("ann", "bob", "cat")):
        """Record a conversation of as many messages, with one event of each other kind and a minute of silence."""
        record = self.transcript.record
        for client in clients:
            record(client, "connect", "/chat")
        self.transcript.mark("all in")
        for number in range(messages):
            self.seconds += 0.001
            text = json.dumps({"type": "said", "number": number, "text": "hello " * 20})
            record(clients[number % len(clients)], "sent" if number % 2 else "received", text)
        self.seconds += 60
        record(clients[0], "ping", b"x", outgoing=True)
        record(clients[0], "pong", b"x")
        record("eve", "reject", "403 Forbidden")
        record(clients[-1], "error", raised())
        record(clients[-1], "close", "1006 (no close frame)")

    def open(self, change=None):
        """Save the transcript, and show the page; ``change`` may make something else of it."""
        self.transcript.save(self.path, title="test_page")
        if change is not None:
            self.path.write_text(change(self.path.read_text("utf-8")), "utf-8")
        self.requests(), self.logged()
        self.browser.get(self.path.as_uri())

    def seen(self, selector):
        """Return the texts of the elements that can be seen."""
        return self.run_script(SEEN, selector)

    def names(self):
        """Return the names of the lanes."""
        return self.run_script(SEEN.replace("innerText", "textContent"), ".names text")

    def click(self, selector):
        """Click the first element of a selector, as a user does."""
        self.browser.find_element("css selector", selector).click()


class ShownTest(PageTestCase):
    """What a user sees first."""

    def test_page_of_50_messages(self):
        """Every event has its row, every client and the server their lane, and silence and exceptions can be seen."""
        self.talk(50)
        self.open()
        self.assertEqual(len(self.seen(".row")), 59)
        self.assertEqual(self.names(), ["ann", "bob", "cat", "eve", "server"])
        self.assertEqual(self.seen(".later"), ["60 s later"])
        self.assertIn("KeyError: 'den'", self.seen(".error .body")[0])
        self.assertEqual(self.seen(".sent .body"), [])
        self.assertEqual(self.browser.title, "test_page")

    def test_page_of_2000_messages_is_quick(self):
        """It is there, filtered and unfolded in a moment: seconds here are ten times what it takes."""
        self.talk(2000)
        self.open()
        self.assertEqual(len(self.seen(".row")), 2009)
        took = self.run_script("return performance.timing.loadEventEnd - performance.timing.navigationStart")
        self.assertLess(took, 5000)
        for button, seconds in (("none", 2), ("all", 2), ("unfold", 4)):
            with self.subTest(button=button):
                code = f"const start = performance.now(); document.getElementById('{button}').click();"
                milliseconds = self.run_script(f"{code} document.body.offsetHeight; return performance.now() - start")
                self.assertLess(milliseconds, seconds * 1000)

    def test_arrows_meet_their_lanes(self):
        """An arrow begins and ends on the lines of its client and of the server."""
        self.talk(2, clients=("ann", "bob"))
        self.open()
        lanes, arrows = self.run_script("""
            const place = (line, end) => line.ownerSVGElement.getBoundingClientRect().left + line[end].baseVal.value;
            const all = (selector) => [...document.querySelectorAll(selector)];
            return [all(".lifelines line").map((line) => place(line, "x1")),
                    all(".row [marker-end]").map((line) => [place(line, "x1"), place(line, "x2")])];
        """)
        ann, bob, _, server = lanes
        self.assertEqual(arrows[:4], [[ann, server], [bob, server], [server, ann], [bob, server]])

    def test_hostile_message_is_text(self):
        """A message of tags and scripts is shown, and does nothing."""
        self.transcript.record("ann", "received", ATTACK)
        self.open()
        self.click("summary")
        self.assertEqual(self.seen("pre"), [ATTACK])
        self.assertEqual(self.browser.title, "test_page")
        self.assertEqual(self.run_script("return document.images.length"), 0)


class UnfoldTest(PageTestCase):
    """Messages unfold."""

    def test_click_unfolds_the_whole_message(self):
        """A click shows the message with its JSON laid out; another one hides it."""
        self.talk(3)
        self.open()
        self.click(".received summary")
        (body,) = self.seen(".received .body")
        self.assertRegex(body, r'^text, \d+ characters of JSON, laid out\s+\{\n  "type": "said",\n  "number": 0,\n')
        self.click(".received summary")
        self.assertEqual(self.seen(".received .body"), [])

    def test_key_unfolds_a_message(self):
        """It can be done without a mouse."""
        self.talk(1)
        self.open()
        self.browser.find_element("css selector", ".received summary").send_keys("\ue007")
        self.assertEqual(len(self.seen(".received .body")), 1)

    def test_all_unfold_and_fold(self):
        """Two buttons unfold and fold all that is shown."""
        self.talk(5)
        self.open()
        self.click("#unfold")
        self.assertEqual(len(self.seen(".body")), 6)
        self.click("#fold")
        self.assertEqual(self.seen(".body"), [])


class FilterTest(PageTestCase):
    """Only some of the clients."""

    def uncheck(self, *lanes):
        """Take clients out, by the numbers of their lanes."""
        for lane in lanes:
            self.click(f"input[data-lane='{lane}']")

    def test_client_is_taken_out(self):
        """Rows and lane of a client that is not chosen are gone, and come back."""
        self.talk(9)
        self.open()
        before = self.seen(".row")
        self.uncheck(0)
        self.assertEqual([text for text in self.seen(".row .text") if "ann" in text], [])
        self.assertEqual(self.names(), ["bob", "cat", "eve", "server"])
        self.uncheck(0)
        self.assertEqual(self.seen(".row"), before)

    def test_lanes_move_together(self):
        """The lanes that are left share the width, arrows and all."""
        self.talk(9)
        self.open()
        self.uncheck(0, 2, 3)
        places = self.run_script("""
            const lines = [...document.querySelectorAll(".rows line[data-x1]")];
            const shown = lines.filter((line) => line.checkVisibility());
            return [...new Set(shown.map((line) => line.getAttribute("x1")))].sort();
        """)
        self.assertEqual(places, ["25%", "75%"])

    def test_all_and_none(self):
        """Two buttons choose all clients, or none; what concerns no client is always there."""
        self.talk(9)
        self.open()
        self.click("#none")
        self.assertEqual(self.seen(".row .text"), ["all in"])
        self.click("#all")
        self.assertEqual(len(self.seen(".row")), 18)

    def test_unfold_is_for_what_is_shown(self):
        """The messages of a client that is not chosen stay folded."""
        self.talk(9)
        self.open()
        self.uncheck(0)
        self.click("#unfold")
        self.click("#all")
        self.assertEqual(len(self.seen(".body")), 7)

    def test_gaps_are_of_what_is_shown(self):
        """Where the messages of others are gone, their time is a gap."""
        for client in ("ann", "bob", "bob", "bob", "ann"):
            self.transcript.record(client, "sent", "x")
            self.seconds += 0.08
        self.open()
        self.assertEqual(self.seen(".later"), [])
        self.uncheck(1)
        self.assertEqual(self.seen(".later"), ["0.32 s later"])
        self.uncheck(1)
        self.assertEqual(self.seen(".later"), [])

    def test_gaps_have_the_words_of_the_page(self):
        """The script writes a gap as the page has it."""
        for gap in (0, 0.125, 2.04, 3600, 123456.7):
            self.seconds += gap
            self.transcript.record("ann", "sent", "x")
        self.open()
        before = self.seen(".later")
        self.click("#all")
        self.assertEqual((self.seen(".later"), len(before)), (before, 4))

    def test_link_to_an_exception_of_a_client_that_is_not_shown(self):
        """The link above the diagram finds its row all the same."""
        self.talk(9)
        self.open()
        self.click("#none")
        self.click(".errors a")
        text = self.until(lambda: "".join(self.seen(".row:target .text")))
        self.assertIn("the server raised KeyError: 'den'", text)


class WithoutScriptTest(PageTestCase):
    """Where scripts are forbidden."""

    def setUp(self):
        super().setUp()
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        self.addCleanup(self.browser.execute_cdp_cmd, "Emulation.setScriptExecutionDisabled", {"value": False})

    def test_page_without_script(self):
        """All rows are there, and messages unfold; what needs the script is not."""
        self.talk(50)
        self.open()
        self.assertEqual((len(self.seen(".row")), self.seen(".later")), (59, ["60 s later"]))
        self.assertEqual(self.seen("form"), [])
        self.click(".received summary")
        self.assertEqual(len(self.seen(".received .body")), 1)


class LooksTest(PageTestCase):
    """Light, dark, narrow, and on paper."""

    def background(self):
        """Return the colour of the page."""
        return self.run_script("return getComputedStyle(document.body).backgroundColor")

    def test_dark_and_light(self):
        """The page is as dark as the user likes it."""
        self.talk(5)
        self.open()
        self.assertEqual(self.background(), "rgb(255, 255, 255)")
        self.emulate(scheme="dark")
        self.assertEqual(self.background(), "rgb(20, 23, 28)")

    def test_every_text_can_be_read(self):
        """Each text stands out from what is behind it, 4.5 to 1 or better, in the dark and in the light."""
        self.talk(5)
        self.transcript.record("ann", "received", "a\x00b")
        self.open()
        self.click("#unfold")
        for scheme in ("light", "dark"):
            self.emulate(scheme=scheme)
            contrasts = self.run_script(CONTRAST)
            self.assertLess({"b.", "code.", "pre.", "span.time", "i.", "strong.", "text."}, set(contrasts))
            self.assertEqual({name: ratio for name, ratio in contrasts.items() if ratio < 4.5}, {})

    def test_narrow_window(self):
        """In a narrow window nothing is cut off at the right, and the words stand below their arrow."""
        self.talk(5)
        self.open()
        self.resize(360)
        width, arrow, words, room = self.run_script("""
            const box = (selector) => document.querySelector(selector).getBoundingClientRect();
            return [document.documentElement.scrollWidth, box(".sent svg").bottom, box(".sent .text").top,
                    box(".sent .text").width];
        """)
        self.assertLessEqual(width, 360)
        self.assertLessEqual(arrow, words)
        self.assertGreater(room, 300)

    def test_many_clients(self):
        """With thirty clients the names are turned, and do not cover each other's beginning."""
        self.talk(60, clients=[f"client {number}" for number in range(30)])
        self.open()
        places = self.run_script("""
            return [...document.querySelectorAll(".names text")].map((text) => text.getBoundingClientRect().left);
        """)
        self.assertTrue(all(right - left > 10 for left, right in itertools.pairwise(places)))

    def test_print(self):
        """Paper is white, also for those who like screens dark; it has no buttons, and lines wrap."""
        self.talk(5)
        self.open()
        self.emulate(media="print", scheme="dark")
        self.assertEqual(self.background(), "rgb(255, 255, 255)")
        self.assertEqual(self.seen("form"), [])
        wrap = self.run_script("return getComputedStyle(document.querySelector('.sent .text')).whiteSpace")
        self.assertEqual(wrap, "normal")

    def test_print_breaks_between_rows(self):
        """What is too long for a page goes on on the next."""
        self.talk(200)
        self.open()
        pdf = base64.b64decode(self.browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
        self.assertGreater(pdf.count(b"/Type /Page\n"), 5)


class AloneTest(PageTestCase):
    """The page asks nobody for anything."""

    def test_page_makes_no_request(self):
        """Nothing is loaded but the page itself, whatever is clicked, and the console has nothing to say."""
        self.talk(50)
        self.transcript.record("ann", "received", ATTACK)
        self.open()
        for button in ("#unfold", "#none", "#all", "#fold", ".errors a"):
            self.click(button)
        self.assertEqual({url for url in self.requests() if not url.startswith("data:")}, {self.path.as_uri()})
        self.assertEqual(self.logged(), [])

    def test_policy_forbids_requests_and_scripts(self):
        """Even if something got into the page, it could load nothing, run nothing, and send nothing."""
        self.talk(1)
        evil = (
            "<img src='http://127.0.0.1:9/x.png' onerror='document.title=1'><script>document.title='taken'</script>"
            "<link rel='stylesheet' href='http://127.0.0.1:9/x.css'><style>body{color:red}</style>"
        )
        self.open(lambda source: source.replace("</main>", f"{evil}</main>"))
        said = []
        for what in ("x.png", "x.css", "inline script", "inline style"):
            pattern = re.compile(rf"(?i){what}.*violates the following Content Security Policy|policy.*{what}")
            self.until(lambda pattern=pattern: said.extend(self.logged()) or any(map(pattern.search, said)))
        self.assertEqual([url for url in self.requests() if "127.0.0.1" in url], [])
        self.assertEqual(self.browser.title, "test_page")

    def test_requests_are_seen(self):
        """The list of requests would have one that is made: what the tests above look at is not blind."""
        self.talk(1)
        evil = "<img src='http://127.0.0.1:9/x.png'>"
        self.open(lambda source: source.replace("Content-Security-Policy", "X").replace("</main>", f"{evil}</main>"))
        self.assertIn("http://127.0.0.1:9/x.png", self.requests())
