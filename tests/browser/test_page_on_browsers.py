"""The how-to page on browsers: its project for pytest with Playwright, where it fails, and where there is no browser.

Its test cases are run by ``tests/test_howto.py``.
"""

import importlib.util
import os
import shutil
import textwrap
import unittest
from unittest import mock

from tests.test_howto import examples, run
from tests.test_pytest_fixtures import files_of
from tests.test_pytest_plugin import ROOT, PluginTest

PAGE = ROOT / "docs" / "howto" / "browsers.rst"
CRASH = """
    def test_crash(page, ws_live_server):
        page.goto(ws_live_server.url())
        expect(page.locator("#last")).to_have_text("hello")
        page.evaluate("socket.onclose = () => { document.getElementById('last').textContent = 'gone'; }")
        page.evaluate("socket.send('anything')")
        expect(page.locator("#last")).to_have_text("gone")

    def test_text(page, ws_live_server):
        page.goto(ws_live_server.url())
        expect(page.locator("#last")).to_have_text("good morning", timeout=200)
"""


def missing():
    """Return what is not installed, and how it is; an empty text where nothing is missing."""
    if importlib.util.find_spec("playwright") is None:
        return "Playwright is not installed: pip install '.[browser]'"
    return "" if shutil.which("chromium") else "Chromium is not installed: apt-get install chromium"


class NoBrowserTest(unittest.TestCase):
    """A machine without a browser."""

    def test_selenium(self):
        """The page's test case says what to install."""
        (code,) = examples(PAGE).get("Selenium", [None])
        if code is None:
            self.skipTest("needs Selenium and Chromium")
        with mock.patch.dict(os.environ, PATH=""):
            result = run(code, PAGE)
        ((_, text),) = result.errors
        self.assertIn("AssertionError: no browser here: apt-get install chromium chromium-driver", text)


class PlaywrightTest(PluginTest):
    """The project of the page."""

    def setUp(self):
        reason = missing()
        if reason and os.environ.get("CI"):
            self.fail(reason)
        if reason:
            self.skipTest(reason)
        super().setUp()
        for name, text in files_of(PAGE).items():
            self.write(name, text)

    def test_the_project_of_the_page(self):
        """Its test passes; a crash behind a page that is right fails the test; a failure keeps its screenshot."""
        conftest = self.folder / "conftest.py"
        crash = 'write_message("hello")\n\n    def on_message(self, message):\n        raise LookupError(message)\n'
        conftest.write_text(conftest.read_text("utf-8").replace('write_message("hello")\n', crash), "utf-8")
        page = self.folder / "test_page.py"
        self.write("test_page.py", page.read_text("utf-8") + textwrap.dedent(CRASH))
        self.assertEqual(self.pytest(), 1, self.text)
        self.assert_told(
            "2 failed, 1 passed in",
            "ServerError: Greeting raised LookupError: anything on the connection of client 1",
            "-\ntest_crash.png\n",
            "Locator expected to have text 'good morning'",
            "client 1 <-- 'hello'",
        )
        for name in ("test_crash.png", "test_text.png"):
            self.assertEqual((self.folder / name).read_bytes()[:4], b"\x89PNG")
