"""What becomes of the tests in Chromium where there is none."""

import os
import unittest
from unittest import mock

from tests.browser import chromium


class MissingTest(unittest.TestCase):
    """Nobody takes a skipped test for a passed one."""

    class Case(chromium.ChromiumTestCase):
        """A test that needs Chromium."""

        def runTest(self):
            """Nothing is asked of it."""

    def outcome(self, **environment):
        """Run a test case where nothing is installed."""
        with (
            mock.patch.object(chromium.shutil, "which", return_value=None),
            mock.patch.object(chromium.importlib.util, "find_spec", return_value=object()),
            mock.patch.dict(os.environ, environment),
        ):
            if not environment:
                os.environ.pop("CI", None)
            result = unittest.TestResult()
            unittest.TestSuite([self.Case()]).run(result)
        return result

    def test_missing_chromium_fails_in_ci(self):
        """Where CI is set the tests fail, with what to install."""
        ((_, text),) = self.outcome(CI="true").errors
        self.assertIn("apt-get install chromium chromium-driver; without it these tests are skipped, but not", text)

    def test_missing_chromium_skips_elsewhere(self):
        """Elsewhere they are skipped, with what to install."""
        result = self.outcome()
        self.assertEqual(len(result.skipped), 1)
        self.assertIn("apt-get install chromium chromium-driver", result.skipped[0][1])

    def test_missing_selenium(self):
        """Selenium is named by the extra that brings it."""
        with mock.patch.object(chromium.importlib.util, "find_spec", return_value=None):
            self.assertIn("pip install '.[browser]'", chromium.missing())
