"""The chat example's page in Chromium: two windows, and a client of ours, at once."""

import importlib.util
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

from tornado.web import create_signed_value

from tests.browser.chromium import ChromiumTestCase
from tests.running import run_test
from tornado_wstest import LiveServerTestCase, connect, containing

EXAMPLE = pathlib.Path(__file__).parent.parent.parent / "examples" / "chat" / "app.py"
SECRET = "a secret of the tests"


def load_example():
    """Return the module of the example, which is no package."""
    spec = importlib.util.spec_from_file_location("tests.browser.chat_example", EXAMPLE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chat = load_example()


class ChatTestCase(LiveServerTestCase, ChromiumTestCase, unittest.IsolatedAsyncioTestCase):
    """The example, and a browser that has one window for each user."""

    def setUp(self):
        super().setUp()
        self.windows = {}

    def get_app(self):
        return chat.make_app(cookie_secret=SECRET)

    def on_failure(self, error):
        """Save what the browser shows, and tell in a note of the failure where it is."""
        folder = pathlib.Path(os.environ.get("SCREENSHOTS") or tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.id()}.png"
        self.browser.save_screenshot(str(file))
        error.add_note(f"screenshot: {file}")

    def enter(self, name):
        """Log in as ``name`` in a window, and go to the room."""
        if self.windows:
            self.browser.switch_to.new_window("window")
        self.windows[name] = self.browser.current_window_handle
        self.browser.delete_all_cookies()  # the windows of a browser share them
        self.browser.get(f"{self.live_server_url}/login?next=/room/den")
        self.browser.find_element("id", "name").send_keys(name)
        self.browser.find_element("id", "login").click()
        self.wait_for(name, "people", name)

    def look(self, name, element):
        """Return the lines that a list in the window of ``name`` has."""
        self.browser.switch_to.window(self.windows[name])
        return [item.text for item in self.browser.find_elements("css selector", f"#{element} li")]

    def wait_for(self, name, element, line):
        """Return when a list in the window of ``name`` has this line."""
        self.until(lambda: line in self.look(name, element))

    def say(self, name, text):
        """Say something in the window of ``name``."""
        self.browser.switch_to.window(self.windows[name])
        self.browser.find_element("id", "message").send_keys(text)
        self.browser.find_element("id", "send").click()

    def tearDown(self):
        for name in list(self.windows)[1:]:
            self.browser.switch_to.window(self.windows[name])
            self.browser.close()
        if self.windows:
            self.browser.switch_to.window(next(iter(self.windows.values())))
            self.browser.get("about:blank")
        super().tearDown()


class ChatTest(ChatTestCase):
    """What users see."""

    async def test_two_windows_and_a_client_of_ours(self):
        """Ann and bob in a browser and cat without one talk in one room; each sees what the others say."""
        self.enter("ann")
        self.enter("bob")
        self.wait_for("ann", "log", "bob joined")
        cookies = {"name": chat_cookie("cat")}
        async with connect(f"{self.live_server_ws_url}/chat/den", cookies=cookies) as cat:
            await cat.expect({"type": "people", "names": ["ann", "bob", "cat"]})
            self.wait_for("ann", "log", "cat joined")
            self.say("ann", "hello, all")
            await cat.expect({"type": "said", "name": "ann", "text": "hello, all"})
            self.wait_for("bob", "log", "ann: hello, all")
            await cat.send({"type": "say", "text": "<b>hi</b>"})
            for name in ("ann", "bob"):
                self.wait_for(name, "log", "cat: <b>hi</b>")
            self.say("bob", "hi, cat")
            await cat.receive(containing(text="hi, cat"))
        self.wait_for("bob", "log", "cat left")
        self.assertEqual(self.look("bob", "people"), ["ann", "bob"])
        self.assertEqual(self.look("ann", "log")[0], "bob joined")

    def test_a_window_that_is_closed(self):
        """Who closes the window has left."""
        self.enter("ann")
        self.enter("bob")
        self.browser.close()
        del self.windows["bob"]
        self.wait_for("ann", "log", "bob left")
        self.assertEqual(self.live_server.call(lambda: len(self.live_server.server.handlers)), 1)

    def test_a_room_that_is_gone(self):
        """When the connection is lost the page says so, and nothing can be sent."""
        self.enter("ann")
        self.live_server.call(lambda: self.live_server.server.handlers[0].close(1001))
        self.wait_for("ann", "log", "disconnected")
        self.assertFalse(self.browser.find_element("id", "send").is_enabled())

    def test_a_failure(self):
        """A test that fails keeps a screenshot, and shows what each window sent; a crash fails it."""

        class Case(ChatTestCase):
            browser = self.browser

            def test_it(self):
                self.enter("ann")
                self.live_server.call(lambda: setattr(self.live_server.server.handlers[0], "room", None))
                self.say("ann", "hello")
                self.wait_for("ann", "log", "disconnected")

        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, SCREENSHOTS=folder):
            outcome = run_test(Case)
            (screenshot,) = pathlib.Path(folder).glob("*.png")
            self.assertEqual(screenshot.read_bytes()[:4], b"\x89PNG")
            self.assertIn(f"screenshot: {screenshot}", outcome.text)
        self.assertIn("""client 1 --> '{"type":"say","text":"hello"}'""", outcome.text)
        self.assertIn("ChatHandler raised AttributeError", outcome.text)


class NoBrowserTest(unittest.TestCase):
    """Where there is no browser."""

    def test_it_is_said(self):
        """The tests are skipped with a reason; where CI is set they fail with it."""
        for ci, error in ({"CI": ""}, unittest.SkipTest), ({"CI": "true"}, AssertionError):
            with self.subTest(**ci), mock.patch.dict(os.environ, {**ci, "PATH": ""}):
                with self.assertRaisesRegex(error, "is not installed: "):
                    ChatTest.setUpClass()


def chat_cookie(name):
    """Return the cookie of somebody who has logged in."""
    return create_signed_value(SECRET, "name", name).decode()
