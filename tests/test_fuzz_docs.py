"""What the pages on the fuzzer show is what it does."""

import contextlib
import io
import pathlib
import re
import sys
import tempfile
import textwrap
import unittest
import unittest.mock

from tornado_wstest.cli import main
from tornado_wstest.fuzzing.checks import CHECKS
from tornado_wstest.fuzzing.settings import options

ROOT = pathlib.Path(__file__).parent.parent
HOWTO = ROOT / "docs" / "howto"


def block(text, begin):
    """Return the indented block that follows the line that ends with ``begin``."""
    found = re.search(rf"{re.escape(begin)}\n\n((?:(?: {{4}}.*)?\n)+)", text)
    return textwrap.dedent(found[1])


def without_numbers(text):
    """Leave out what other strategies, other machines and other Pythons change."""
    text = re.sub(r'"/\S*/chat\.py"', '"chat.py"', text)
    text = re.sub(r"\n *[~^]+(?=\n)", "", text)
    text = re.sub(r"\d+ conversations, \d+ messages sent, \S+ s", "<numbers>", text)
    text = re.sub(r"-[0-9a-f]{8}\.json", "-<bug>.json", text)
    return re.sub(r"^(/chat\S+)( +[\d.]+)+$", r"\1 <numbers>", text, flags=re.MULTILINE)


class FuzzingPageTest(unittest.TestCase):
    """``docs/howto/fuzzing.rst``."""

    maxDiff = None

    def setUp(self):
        self.text = (HOWTO / "fuzzing.rst").read_text("utf-8")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(contextlib.chdir(self.folder))
        self.enterContext(unittest.mock.patch.object(sys, "path", list(sys.path)))
        self.enterContext(unittest.mock.patch.dict(sys.modules))

    def printed(self, shown):
        """Carry out the command that a block begins with, and return what is printed."""
        command = shown.splitlines()[0].removeprefix("$ python -m tornado_wstest ")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            main(command.split())
        return f"{shown.splitlines()[0]}\n{out.getvalue()}"

    def test_the_first_run(self):
        """Both commands print what the page shows, to the last line of the test to paste."""
        (self.folder / "chat.py").write_text(block(self.text, "Let ``chat.py`` be::"))
        shown = re.findall(r"code-block:: console\n\n((?:(?: {4}.*)?\n)+)", self.text)[:2]
        for one in map(textwrap.dedent, shown):
            with self.subTest(one.splitlines()[0]):
                self.assertEqual(without_numbers(one).strip(), without_numbers(self.printed(one)).strip())

    def test_every_check_is_in_the_table(self):
        """In the order in which they are made, with the sentence of each, and whether it is made by default."""
        rows = re.findall(r"^   \* - ``(.+?)``(.*)\n     - (.+)$", self.text, re.MULTILINE)
        self.assertEqual(
            rows,
            [
                (check.code, "" if check.by_default else " (only if asked for)", check.sentence)
                for check in CHECKS.values()
            ],
        )


class ReadmeTest(unittest.TestCase):
    """The README's part."""

    def test_what_it_shows(self):
        """Its finding is that of the page, shortened."""
        shown = block((ROOT / "README.rst").read_text("utf-8"), "and no line of code::")
        page = [line.strip() for line in (HOWTO / "fuzzing.rst").read_text("utf-8").splitlines()]
        lines = [line.strip() for line in shown.splitlines() if line.strip() not in ("", "...")]
        self.assertEqual([line for line in lines if line not in page], [])
        self.assertGreater(len(lines), 4)


class ComingFromPytestRoutesTest(unittest.TestCase):
    """``docs/howto/coming_from_pytest_routes.rst``."""

    def setUp(self):
        self.text = (HOWTO / "coming_from_pytest_routes.rst").read_text("utf-8")

    def test_options_exist(self):
        """Every option that the page names is one."""
        known = {f"--ws-{option.name.replace('_', '-')}" for option in options()} | {"--ws-fuzz", "--ws-app"}
        named = set(re.findall(r"--ws-[a-z-]+", self.text))
        self.assertEqual(named - known, set())

    def test_defaults(self):
        """The table of the file has the defaults of this package, where the page says so."""
        default = {option.name: option.default for option in options()}
        for name, value in (
            ("max_messages", "10"),
            ("connection_timeout", "30.0"),
            ("message_timeout", "10.0"),
            ("max_message_size", "65536"),
            ("test_close_codes", "[1000, 1001]"),
        ):
            self.assertIn(f"    {name} = {value}\n", self.text)
            self.assertEqual(str(list(default[name]) if isinstance(default[name], tuple) else default[name]), value)
