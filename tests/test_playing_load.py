"""Scenarios on a machine that is busy, and with many users: marks stand where others sleep."""

import asyncio
import contextlib
import re
import subprocess
import sys
import unittest

from tests.apps.article import make_app
from tests.test_playing import ANN, ROB
from tornado_wstest import Scenario, WebSocketTester, containing

TIMES = 500
BUSY = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]


def crowd(count):
    """Return so many users of the chat: all come in, each says hello to all the others, and all go together."""
    hears_all = Scenario()
    for _ in range(count):
        hears_all = hears_all.expect(containing(message=re.compile(r"^user \d+: hello$")))
    return [
        Scenario("/", name=f"user {number}", query={"name": f"user {number}"})
        .ignore(containing(message=re.compile("has connected$")))
        .mark("all are in")
        .after("all are in")
        .send({"message": "hello"})
        | hears_all.mark("all have heard all").after("all have heard all")
        for number in range(count)
    ]


class LoadTest(unittest.TestCase):
    """Two busy processes beside it."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        for _ in range(2):
            process = stack.enter_context(subprocess.Popen(BUSY, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            process.stdout.readline()

    def play(self, times, *scenarios, **settings):
        """Play so many times in one tester."""

        async def test():
            async with WebSocketTester(make_app(), **settings) as wstest:
                for _ in range(times):
                    await wstest.play(*scenarios)

        asyncio.run(test())

    def test_the_article_over_tcp(self):
        """The conversation of two users goes the same way each time."""
        self.play(TIMES // 2, ROB, ANN, timeout=30)

    def test_the_article_over_memory(self):
        """So it does over memory, and in virtual time."""
        for virtual_time in (False, True):
            self.play(TIMES // 4, ROB, ANN, transport="memory", timeout=30, virtual_time=virtual_time)

    def test_a_hundred_users_over_memory(self):
        """A hundred users at once, each of whom hears all."""
        self.play(1, *crowd(100), transport="memory", timeout=60)

    def test_a_crowd_over_tcp(self):
        """Over TCP as well, and in virtual time."""
        for virtual_time in (False, True):
            self.play(1, *crowd(30), timeout=60, virtual_time=virtual_time)
