"""What a new user sees: the first test of the README or of a how-to page, and two tests that fail, with each runner.

The whole output is compared with ``tests/first_tries/*.txt``, where whatever changes from run to run, or with the
versions of Python and Tornado, is masked. After an intended change, write the files anew and read them::

    UPDATE_FIRST_TRIES=1 python -m unittest tests.test_first_try
"""

import os
import pathlib
import re
import textwrap

from tests.test_howto import examples
from tests.test_pytest_fixtures import files_of, needs_anyio, needs_asyncio
from tests.test_pytest_plugin import PLUGIN, ROOT, PluginTest

FOLDER = pathlib.Path(__file__).parent / "first_tries"
CASE = """
    from test_echo import EchoHandler
    from tornado.web import Application
    from tornado_wstest import {base}, discard

    class RoomHandler(EchoHandler):
        rooms = {{"den": "a small room"}}

        def on_message(self, message):
            self.write_message(self.rooms[message])

    class WrongTest({base}):
        handshake = discard(1)

        def get_app(self):
            return Application([("/", RoomHandler)])

        async def test_crash(self):
            client = await self.ws_client(name="ann")
            await client.send("attic")

        async def test_mismatch(self):
            client = await self.ws_client(name="ann")
            await client.send("den")
            await client.expect("a large room")
"""
FUNCTIONS = """
    async def test_crash(ws_client):
        ann = await ws_client("/room", name="ann")
        await ann.send("crash")

    async def test_mismatch(ws_client):
        ann = await ws_client("/room", name="ann")
        await ann.send("hi")
        await ann.expect({"said": "ho"})
"""
MASKS = (
    (r"^[E ]*[ ~^]*[~^]{2}[ ~^]*\n", ""),  # what underlines a part of a line
    # The frames of the runner, which differ from version to version; of others of a library, file and function.
    (r'^( *)File "[^"\n]*/(?:tornado/testing|unittest/\w+|asyncio/\w+)\.py", line .*\n(?:\1  .*\n)+', ""),
    (r'^( *)File "[^"\n]*/site-packages/([^"\n]+)", line \d+, in (\w+)\n(?:\1  .*\n)+', r"\1File \2, in \3\n"),
    (r"^(platform|rootdir|plugins|configfile|asyncio|hypothesis profile|tornado-wstest|cachedir)\b.*\n", ""),
    (r"(\[[IE] )\d{6} [\d:]{8} (\w+):\d+\]", r"\1NOW \2:LINE]"),
    (r"(tornado\.\w+:\w+\.py):\d+", r"\1:LINE"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"\b0x[0-9a-f]+", "ADDRESS"),
    (r"^(E? *)\d\.\d{3}  ", r"\g<1>0.000  "),
    (r"\d+\.\d+(ms|s)\b", r"0.00\1"),
    (r" in 0.00s =+$", " in 0.00s ="),
    (r"\) 0.00s$", ")"),
)


def masked(text, folder):
    """Replace what changes from run to run."""
    text = text.replace(f"{folder}{os.sep}", "")
    for pattern, replacement in MASKS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


class FirstTry(PluginTest):
    """A project of one folder."""

    maxDiff = None

    def assert_output(self, name, *command):
        """Two tests or so pass, two fail, and what the user reads is as it was read and found good."""
        self.assertEqual(self.python(*command, COLUMNS="80"), 1, self.text)
        file, text = FOLDER / f"{name}.txt", masked(self.text, self.folder)
        if os.environ.get("UPDATE_FIRST_TRIES"):
            FOLDER.mkdir(exist_ok=True)
            file.write_text(text, "utf-8")
        self.assertEqual(text, file.read_text("utf-8"))


class TestCaseTest(FirstTry):
    """The README's first test."""

    def setUp(self):
        super().setUp()
        (code,) = examples(ROOT / "README.rst")["The first test"]
        self.write("test_echo.py", code.lstrip("\n"))
        self.write("test_wrong.py", CASE.format(base="WebSocketTestCase"))

    def test_tornado(self):
        """``python -m tornado.testing discover``."""
        self.assert_output("tornado", "tornado.testing", "discover")

    def test_unittest(self):
        """``python -m unittest``, with the standard library's async test case."""
        self.write("test_wrong.py", CASE.format(base="IsolatedWebSocketTestCase"))
        self.assert_output("unittest", "unittest")

    def test_pytest(self):
        """``pytest``, which needs no plugin for test cases, not even ours."""
        self.assert_output("pytest", "pytest", "-pno:cacheprovider")


class FixturesTest(FirstTry):
    """The first test with pytest's fixtures."""

    def setUp(self):
        super().setUp()
        self.files = files_of(ROOT / "docs" / "howto" / "pytest.rst")
        for name in ("room.py", "conftest.py"):
            self.write(name, self.files[name])

    @needs_asyncio
    def test_asyncio(self):
        """``pytest`` with pytest-asyncio."""
        self.write("pytest.ini", self.files["pytest.ini"])
        self.write("test_room.py", self.files["test_room.py"])
        self.write("test_wrong.py", FUNCTIONS)
        self.assert_output("pytest_asyncio", "pytest", f"-p{PLUGIN}", "-ppytest_asyncio.plugin", "-pno:cacheprovider")

    @needs_anyio
    def test_anyio(self):
        """``pytest`` with anyio."""
        first = self.files["test_with_anyio.py"]
        self.write("test_room.py", first)
        self.write("test_wrong.py", first[: first.index("    async def test_one")])
        with (self.folder / "test_wrong.py").open("a", encoding="utf-8") as file:
            file.write(textwrap.dedent(FUNCTIONS))
        self.assert_output("anyio", "pytest", f"-p{PLUGIN}", "-panyio.pytest_plugin", "-pno:cacheprovider")
