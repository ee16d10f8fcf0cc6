"""Work that is split, as ``docs/howto/many_workers.rst`` says it: over processes, machines, and runs."""

import argparse
import pathlib
import re
import shlex
import shutil
import tempfile
import unittest
import zlib

from hypothesis import strategies as st
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tests import fuzz_zoo
from tests.zoo import specimens
from tornado_wstest import cli
from tornado_wstest.fuzzing.engine import Finding, fuzz_route
from tornado_wstest.fuzzing.registry import register_message_strategy, unregister_message_strategy
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings, options

SESAME = 1136308350
"""The checksum of what opens it."""
HOWTO = pathlib.Path(__file__).parent.parent / "docs" / "howto"


class Rare(WebSocketHandler):
    """Raises for a message that nobody finds by chance."""

    def on_message(self, message):
        if zlib.crc32(message.encode() if isinstance(message, str) else message) == SESAME:
            raise LookupError("open")


def make_app():
    """Return a fresh app."""
    return Application([("/rare", Rare)])


def found(**settings):
    """Return the codes of what a run finds."""
    (route,) = websocket_routes(make_app())
    events = fuzz_route(make_app, route, FuzzSettings(examples=10, max_messages=1, **settings))
    return [event.problem.code for event in events if isinstance(event, Finding)]


class DatabaseTest(unittest.TestCase):
    """A folder that several machines have."""

    def test_what_one_has_found_another_plays_first(self):
        """What a run with the right word finds, a run without it finds from the same folder, and not from another."""
        theirs, ours = (self.enterContext(tempfile.TemporaryDirectory()) for _ in range(2))
        register_message_strategy("/rare", "text", st.just("open sesame"))
        try:
            self.assertEqual(found(seed=1, database=theirs), ["server-error"])
        finally:
            unregister_message_strategy("/rare")
        self.assertEqual(found(seed=2, database=ours), [])
        shutil.copytree(theirs, ours, dirs_exist_ok=True)
        self.assertEqual(found(seed=2, database=ours), ["server-error"])


class ZooShareTest(unittest.TestCase):
    """``python -m tests.fuzz_zoo --share 2/5``."""

    def test_shares_are_the_whole(self):
        """The shares of five machines have each specimen once, and are of one size but for one."""
        shares = [fuzz_zoo.chosen(fuzz_zoo.parsed(["--share", f"{number}/5"])) for number in range(1, 6)]
        self.assertEqual(sorted(name for share in shares for name in share), sorted(specimens()))
        sizes = {len(share) for share in shares}
        self.assertLessEqual(max(sizes) - min(sizes), 1)

    def test_all_without_it(self):
        """Without the option there is one machine."""
        self.assertEqual(fuzz_zoo.chosen(fuzz_zoo.parsed([])), list(specimens()))

    def test_shares_that_are_none(self):
        """A share that nobody would play is refused, with what one looks like."""
        for text in ("0/5", "6/5", "2", "a/b", "1/0"):
            with (
                self.subTest(text),
                self.assertRaisesRegex(argparse.ArgumentTypeError, f"'{text}' is no share: 2/5 is"),
            ):
                fuzz_zoo.share(text)


class CommandsTest(unittest.TestCase):
    """The commands of the pages on build servers and on many machines."""

    def commands(self, name):
        """Yield each command that a page shows, as a shell splits it, with lines joined and variables filled in."""
        text = (HOWTO / name).read_text("utf-8").replace("$FUZZ", "--seed 1")
        text = re.sub(r">\n +(.*)\n +(--)", r"\1 \2", text)
        for line in re.findall(r"^ +(?:\w*\$ +|- |run: +|)((?:python -m|pytest) .*)$", text, re.MULTILINE):
            yield shlex.split(re.sub(r"\$\(\(.*?\)\)|\$[A-Z_]+", "1", line))

    def test_options_exist(self):
        """Each command for the fuzzer is one that its parser takes; each of pytest's options of ours is one."""
        ours = {"--ws-fuzz", "--ws-app", *(f"--ws-{option.name.replace('_', '-')}" for option in options())}
        count = 0
        for page in ("fuzzing_in_ci.rst", "many_workers.rst"):
            for words in self.commands(page):
                with self.subTest(page=page, command=words):
                    if words[:3] == ["python", "-m", "tornado_wstest"]:
                        cli._parse(words[3:])
                    elif words[:3] == ["python", "-m", "tests.fuzz_zoo"]:
                        fuzz_zoo.parsed(words[3:])
                    else:
                        self.assertEqual({word for word in words if word.startswith("--ws-")} - ours, set())
                    count += 1
        self.assertGreater(count, 10)
