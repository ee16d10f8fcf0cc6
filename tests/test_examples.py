"""The applications in ``examples/``: their tests run in their own folder, as their README says it."""

import os
import pathlib
import re
import shutil
import tempfile
import unittest

from tests.forked import run_module

ROOT = pathlib.Path(__file__).parent.parent


NO_SHRINKING = """
from hypothesis import Phase
ChatMachineTest.settings = settings(ChatMachineTest.settings, phases=[Phase.generate], max_examples=400)
"""


def run_tests(folder, what="discover"):
    """Run what a user runs in an example's folder; returns the process that has ended."""
    return run_module("tornado.testing", what, folder=folder, **os.environ)


class ExamplesTest(unittest.TestCase):
    """Each example is whole, and its tests pass without a line on any log that is not Tornado's list of requests."""

    def assert_passes(self, name, at_least):
        """The tests of ``examples/<name>`` are found, and pass."""
        process = run_tests(ROOT / "examples" / name)
        self.assertEqual(process.returncode, 0, process.stderr)
        ran = re.search(r"^Ran (\d+) tests", process.stderr, re.MULTILINE)
        self.assertGreaterEqual(int(ran[1]), at_least)
        self.assertNotRegex(process.stderr, r"(?m)^\.*\[E |Traceback")

    def test_echo(self):
        """A greeting, an echo, a login of several messages."""
        self.assert_passes("echo", at_least=7)

    def test_chat(self):
        """Rooms, logins, presence."""
        self.assert_passes("chat", at_least=15)

    def test_chat_machine_finds_what_is_planted(self):
        """The state machine of the chat finds bugs that need several people, and says what is wrong."""
        for right, wrong, told in (
            ("in self.members:", "in self.members[:2]:", "did not get it: "),
            ("self.members.remove(member)", "self.members.pop()", "    assert room.names == "),
        ):
            with self.subTest(wrong=wrong), tempfile.TemporaryDirectory() as folder:
                shutil.copytree(ROOT / "examples" / "chat", folder, dirs_exist_ok=True)
                app = pathlib.Path(folder, "app.py")
                before, found, after = app.read_text("utf-8").rpartition(right)
                app.write_text(before + wrong + after, "utf-8")
                self.assertTrue(found)
                with pathlib.Path(folder, "test_chat_machine.py").open("a", encoding="utf-8") as machine:
                    machine.write(NO_SHRINKING)
                process = run_tests(folder, "test_chat_machine")
                self.assertEqual(process.returncode, 1, process.stderr)
                self.assertIn(told, process.stderr)
                self.assertRegex(process.stderr, r"(?m)^state\.come\(")

    def test_every_example_is_run(self):
        """A new example has a test above."""
        names = {folder.name for folder in (ROOT / "examples").iterdir() if folder.is_dir()}
        self.assertEqual({name for name in names if not hasattr(self, f"test_{name}")} - {"__pycache__"}, set())
