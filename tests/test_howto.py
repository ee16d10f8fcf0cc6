"""The examples of the pages in ``docs/howto/``, run as they stand there."""

import ast
import importlib.util
import pathlib
import re
import shutil
import textwrap
import types
import unittest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = ROOT / "docs" / "howto"
PAGE = PAGES / "codecs.rst"


RUN_BY_NAME = ("README.rst", "tutorial.rst")

NEWS = """
class NewsHandler(WebSocketHandler):
    readers = set()
    def open(self):
        self.readers.add(self)
    def on_message(self, message):
        for reader in self.readers:
            reader.write_message(message)
    def on_close(self):
        self.readers.discard(self)
"""


def is_here(name):
    """Is this a module that can be imported, or a program on the path?"""
    return importlib.util.find_spec(name) is not None or shutil.which(name) is not None


def examples(page=PAGE, is_here=is_here):
    """Return the Python code below each heading of a page, with its line breaks in place.

    Code below a comment ``.. needs: this that`` is left out where one of these is missing (`CompletenessTest` tells).
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


def is_python(code):
    """Is this Python that does something?"""
    try:
        (function,) = ast.parse(f"async def function():\n{textwrap.indent(code, '    ')}").body
    except SyntaxError:
        return False
    doing = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.Await)
    return any(isinstance(node, doing) for statement in function.body for node in ast.walk(statement))


def run(code, page=PAGE):
    """Run the test cases that ``code`` defines, and return their result."""
    module = types.ModuleType("example")
    exec(compile(code, str(page), "exec"), vars(module))
    cases = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, unittest.TestCase)
    ]
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(
        loader.loadTestsFromTestCase(case)
        for case in cases
        if not case.__module__.startswith(("tornado", "unittest"))  # imported; a machine's TestCase is Hypothesis'
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

    def test_the_readme_is_one_file(self):
        """Its examples, one below the other, are a test module that passes; what the text hides is a handler."""
        page = PAGES.parent.parent / "README.rst"
        blocks = examples(page)
        self.assertEqual(
            list(blocks), ["The first test", "What you may expect", "Several users", "Time and the network are yours"]
        )
        first, *others = (code for codes in blocks.values() for code in codes)
        result = run("\n".join([first, NEWS, *others]), page)
        self.assertEqual([text for _, text in result.errors + result.failures], [])
        self.assertEqual(result.testsRun, 2 + 3 + 1 + 2)

    def test_the_failure_of_the_conversations_page_is_what_it_says(self):
        """Its first example with another greeting fails as it is shown there."""
        page = PAGES / "conversations.rst"
        (code,) = examples(page)[None]
        wrong = code.replace('"rob: hello, ann"}, then=', '"rob: hi, ann"}, then=')
        ((_, text),) = run(wrong, page).failures
        (shown,) = re.findall(r"::\n\n((?:    .*\n)+)\nWhere several", page.read_text("utf-8"))
        self.assertIn(textwrap.dedent(shown), text)

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


def page_test(page):
    """Return a test of a page: each example defines test cases, and all their tests pass."""

    def test(self):
        for title, codes in examples(page).items():
            for code in codes:
                with self.subTest(page=page.name, title=title):
                    result = run(code, page)
                    self.assertEqual([text for _, text in result.errors + result.failures], [])
                    self.assertGreater(result.testsRun, 0)

    return test


# A test a page, so that they can be played at the same time.
ExamplesTest = type(
    "ExamplesTest", (unittest.TestCase,), {f"test_{page.stem}": page_test(page) for page in sorted(PAGES.glob("*.rst"))}
)


class CompletenessTest(unittest.TestCase):
    """No code on any page is left out, or not in silence."""

    PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
    RUN_ELSEWHERE = {
        "pytest.rst": "tests.test_pytest_fixtures: its files are written to a folder, and pytest is run there",
        "fuzzing.rst": "tests.test_fuzz_docs: its app is fuzzed",
        "browsers.rst": "tests.browser.test_page_on_browsers: its project for pytest is played in Chromium",
    }

    def test_every_block_is_found(self):
        """Each block of Python, however it is indented and whatever it is called, is one that is run."""
        for page in self.PAGES:
            with self.subTest(page=page.name):
                blocks = re.findall(r"^ *\.\. [a-z-]+:: *py", page.read_text("utf-8"), re.MULTILINE)
                found = examples(page, is_here=lambda name: True)
                self.assertEqual(len(blocks), sum(map(len, found.values())))
                self.assertTrue(not blocks or page.parent.name in ("howto", "explanation") or page.name in RUN_BY_NAME)

    def test_python_is_called_python(self):
        """What stands below two colons is text, a shell's or another language's, or is run elsewhere."""
        for page in self.PAGES:
            for code in re.findall(r"::\n\n((?:(?: {4}.*)?\n)+)", page.read_text("utf-8")):
                if page.name not in self.RUN_ELSEWHERE and is_python(textwrap.dedent(code)):
                    self.fail(f"{page}: make it a code-block that is run:\n{code}")

    def test_nothing_is_missing_here(self):
        """An example that wants what this machine does not have is told as skipped."""
        for page in self.PAGES:
            for needs in re.findall(r"^\.\. needs: (.+)$", page.read_text("utf-8"), re.MULTILINE):
                with self.subTest(page=page.name, needs=needs):
                    missing = [name for name in needs.split() if not is_here(name)]
                    if missing:
                        self.skipTest(f"{page.name} has an example that needs {', '.join(missing)}")
