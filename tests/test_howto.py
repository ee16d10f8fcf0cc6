"""The examples of the pages in ``docs/howto/``, run as they stand there."""

import importlib.util
import pathlib
import re
import shutil
import textwrap
import types
import unittest

PAGES = pathlib.Path(__file__).parent.parent / "docs" / "howto"
PAGE = PAGES / "codecs.rst"


CONVERSATION = """
from tests.apps.article import make_app
from tornado_wstest import Scenario, WebSocketTestCase
class ConversationTest(WebSocketTestCase):
    def get_app(self):
        return make_app()
    async def test_it(self):
"""


def is_here(name):
    """Is this a module that can be imported, or a program on the path?"""
    return importlib.util.find_spec(name) is not None or shutil.which(name) is not None


def examples(page=PAGE):
    """Return the Python code below each heading of a page, with its line breaks in place.

    Code below a comment ``.. needs: this that`` is left out where one of these is missing.
    """
    found = {}
    heading = r"^(?P<title>.+)\n---+\n"
    block = r"^(?:\.\. needs: (?P<needs>.+)\n\n)?\.\. code-block:: python\n\n(?P<code>(?:(?: {4}.*)?\n)+)"
    text = page.read_text("utf-8")
    title = None
    for match in re.finditer(f"{heading}|{block}", text, re.MULTILINE):
        title = match["title"] or title
        if match["code"] and all(map(is_here, (match["needs"] or "").split())):
            # As many empty lines in front as the page has, so that a failure shows the line of the page.
            found.setdefault(title, []).append(
                "\n" * text.count("\n", 0, match.start("code")) + textwrap.dedent(match["code"])
            )
    return found


def run(code, page=PAGE):
    """Run the test cases that ``code`` defines, and return their result."""
    module = types.ModuleType("example")
    exec(compile(code, str(page), "exec"), vars(module))
    cases = [value for value in vars(module).values() if getattr(value, "__module__", None) == "example"]
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(
        loader.loadTestsFromTestCase(case)
        for case in cases
        if isinstance(case, type) and issubclass(case, unittest.TestCase)
    )
    result = unittest.TestResult()
    suite.run(result)
    return result


class CodecsPageTest(unittest.TestCase):
    """Page and behaviour do not part."""

    def assert_passes(self, title):
        """The section has one example, which passes as it stands there."""
        (code,) = examples()[title]
        result = run(code)
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual((result.testsRun, result.skipped), (1, []))

    def test_sections(self):
        """The page has three examples, and each is run below."""
        self.assertEqual(list(examples()), ["msgpack", "Protocol Buffers", "pydantic"])

    def test_msgpack(self):
        """Values travel as msgpack."""
        self.assert_passes("msgpack")

    def test_protobuf(self):
        """Values travel as protobuf's messages."""
        self.assert_passes("Protocol Buffers")

    def test_pydantic(self):
        """Values are models of pydantic's."""
        self.assert_passes("pydantic")

    def test_example_that_is_wrong(self):
        """An example that expects what does not come would fail here."""
        (code,) = examples()["pydantic"]
        result = run(code.replace('await client.expect(Joined(user="ann"))', 'await client.expect(Joined(user="bob"))'))
        self.assertEqual(len(result.failures), 1)
        self.assertIn("Joined(type='joined', user='bob'), got Joined(type='joined', user='ann')", result.failures[0][1])


class PagesTest(unittest.TestCase):
    """The other pages, and the README's first test."""

    def test_the_first_test_of_the_readme_passes(self):
        """What a new user copies first works as it stands."""
        page = PAGES.parent.parent / "README.rst"
        (code,) = examples(page)["The first test"]
        result = run(code, page)
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual(result.testsRun, 2)

    def test_the_conversation_of_the_readme_passes(self):
        """The declared conversation goes as it stands there, and fails as it is shown there."""
        page = PAGES.parent.parent / "README.rst"
        (code,) = examples(page)["Declared conversations"]
        self.assertEqual(run(CONVERSATION + textwrap.indent(code, 8 * " "), page).failures, [])
        wrong = code.replace('"rob: hello, ann"})\n    .expect', '"rob: hi, ann"})\n    .expect')
        failing = run(CONVERSATION + textwrap.indent(wrong, 8 * " "), page)
        ((_, text),) = failing.failures
        (shown,) = re.findall(r"::\n\n((?:    .*\n)+)\n``await play", page.read_text("utf-8"))
        self.assertIn(textwrap.dedent(shown), text)

    def test_every_example_of_every_page_passes(self):
        """Each example defines test cases, and all their tests pass."""
        for page in sorted(PAGES.glob("*.rst")):
            for title, codes in examples(page).items():
                for code in codes:
                    with self.subTest(page=page.name, title=title):
                        result = run(code, page)
                        self.assertEqual([text for _, text in result.errors + result.failures], [])
                        self.assertGreater(result.testsRun, 0)

    def test_the_failure_of_the_explore_page_is_what_it_says(self):
        """The wrong handler of the page fails as it is shown there, and the right one does not."""
        page = PAGES / "explore.rst"
        result = run(examples(page)[None][0], page)
        self.assertEqual((result.testsRun, len(result.expectedFailures), result.unexpectedSuccesses), (2, 1, []))
        ((_, text),) = result.expectedFailures
        shown = re.search(r"::\n\n((?:    .*\n)+)\n``@explore", page.read_text("utf-8"))[1]
        first, rest = textwrap.dedent(shown).split("...\n")
        self.assertIn(first, text)
        self.assertIn(rest, re.sub(r"^ +\d\.\d{3}", "    0.000", text, flags=re.MULTILINE))
