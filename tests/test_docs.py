"""The pages of ``docs/`` that are not how-to pages, and that all pages belong together."""

import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
from xml.etree import ElementTree

import tornado_wstest
from tests.forked import run_module
from tests.test_howto import examples, run

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"


def masked(text):
    """Leave out how long it took."""
    return re.sub(r"^ +\d\.\d{3}", "    0.000", text, flags=re.MULTILINE)


class TutorialTest(unittest.TestCase):
    """``docs/tutorial.rst``, as somebody goes through it."""

    def setUp(self):
        self.text = (DOCS / "tutorial.rst").read_text("utf-8")
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, title):
        """Write the file that a section shows, and run what is in the folder by then."""
        (code,) = examples(DOCS / "tutorial.rst")[title]
        code = code.lstrip("\n")
        (self.folder / re.match(r"# (\w+\.py)\n", code)[1]).write_text(code)

    def discover(self):
        """Run the documented command there, and return its exit status and what it printed."""
        self.assertIn("    $ python -m tornado.testing discover\n", self.text)
        done = run_module("tornado.testing", "discover", folder=self.folder)
        return done.returncode, done.stderr

    def test_the_first_bug_shows_as_it_is_told(self):
        """One of the first two tests fails, with the text that the page shows."""
        self.write("The chat")
        self.write("The first test, and the first bug")
        status, text = self.discover()
        shown = re.search(r"::\n\n((?:    .*\n)+)", self.text[self.text.index("The second test passes") :])[1]
        self.assertEqual(status, 1)
        self.assertIn("Ran 2 tests", text)
        self.assertIn("FAILED (failures=1)", text)
        self.assertIn(masked(textwrap.dedent(shown)), masked(text))

    def test_all_is_green_in_the_end(self):
        """The files of all sections, with the mended chat in place of the first."""
        titles = list(examples(DOCS / "tutorial.rst"))
        for title in titles:
            self.write(title)
        status, text = self.discover()
        self.assertEqual(status, 0, text)
        self.assertIn("Ran 9 tests", text)
        self.assertEqual(len(titles), 6)

    def test_the_fuzzer_finds_the_first_chats_bugs(self):
        """As the page promises, the first chat does not pass what the mended one passes."""
        self.write("The chat")
        self.write("What nobody thought of")
        status, text = self.discover()
        self.assertEqual(status, 1)
        self.assertIn("server-error: Chat raised", text)


class ExplanationTest(unittest.TestCase):
    """``docs/explanation/``."""

    def test_every_example_passes(self):
        """What the pages claim, their examples show."""
        for page in sorted((DOCS / "explanation").glob("*.rst")):
            self.assertTrue(examples(page), page)
            for title, codes in examples(page).items():
                for code in codes:
                    with self.subTest(page=page.name, title=title), contextlib.redirect_stderr(io.StringIO()):
                        result = run(code, page)
                        self.assertEqual([text for _, text in result.errors + result.failures], [])
                        self.assertGreater(result.testsRun, 0)


class BelongingTest(unittest.TestCase):
    """No page is left out, and no name."""

    def test_every_page_is_in_the_index(self):
        """The index lists all pages, each once."""
        listed = re.findall(r"^   ((?:\w+/)?\w+)$", (DOCS / "index.rst").read_text("utf-8"), re.MULTILINE)
        pages = [
            str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.glob("**/*.rst") if "_build" not in page.parts
        ]
        self.assertEqual(sorted(listed), sorted(set(pages) - {"index"}))

    def test_every_public_name_is_in_the_reference(self):
        """What the package exports stands in the reference, each once."""
        text = "".join(page.read_text("utf-8") for page in (DOCS / "reference").glob("*.rst"))
        documented = re.findall(r"^\.\. auto\w+:: (\w+)$", text, re.MULTILINE)
        self.assertEqual(sorted(documented), sorted(tornado_wstest.__all__))

    def test_the_change_notes_begin_with_this_version(self):
        """Whoever raises the version writes down what is new in it."""
        text = (ROOT / "CHANGES.rst").read_text("utf-8")
        self.assertEqual(re.search(r"^(.+)\n-+\n", text, re.MULTILINE)[1], tornado_wstest.__version__)


class PictureTest(unittest.TestCase):
    """``docs/picture.svg``, which the README shows."""

    def setUp(self):
        self.picture = (DOCS / "picture.svg").read_text("utf-8")

    def test_it_is_what_the_command_draws(self):
        """The chat, the transcript and the colours of today give this picture: else, python docs/picture.py."""
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-W", "error", DOCS / "picture.py", pathlib.Path(folder, "picture.svg")]
            subprocess.run(command, capture_output=True, check=True, timeout=60)
            self.assertEqual(pathlib.Path(folder, "picture.svg").read_text("utf-8"), self.picture)

    def test_it_stands_alone(self):
        """No script, and nothing that a browser would ask for; it names no other file, and one namespace."""
        names = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(self.picture).iter()}
        self.assertLessEqual(names, {"svg", "title", "style", "rect", "text", "g", "line", "path"})
        self.assertEqual(re.findall(r"\w+://[^\"]*|url\(|@import|href", self.picture), ["http://www.w3.org/2000/svg"])

    def test_the_readme_and_the_index_show_it(self):
        """With a text for who cannot see it."""
        for page, name in ((ROOT / "README.rst", "docs/picture.svg"), (DOCS / "index.rst", "picture.svg")):
            self.assertIn(f".. image:: {name}\n   :alt: A sequence diagram", page.read_text("utf-8"))
