"""Loops that stand still, and handlers that never return."""

import asyncio
import re
import time

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("blocked-loop")
def sleeps():
    """Waits for its device as if nobody else were there."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "measure"}:
                    time.sleep(0.6)
                    self.write_message({"volts": 5})

    return Application([("/", Handler)])


@buggy("blocked-loop")
def evil_pattern():
    """Searches the first letters of a text with a pattern that tries every way to cut it."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.write_message({"shouting": bool(re.fullmatch(r"(\w+,?\s?)*!", message[:24]))})

    return Application([("/", Handler)])


@buggy("blocked-loop")
def counts():
    """Counts to the number that it gets (though never beyond 31 million) in the loop."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"count": int(number)}:
                    total = 0
                    for each in range(min(number, 31_000_000)):
                        total += each
                    self.write_message({"even": total % 2 == 0})

    return Application([("/", Handler)])


@buggy("blocked-loop")
def compares():
    """Compares each character of a text with each: nothing for a line, too much for a book."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                text = message[:6200]
                self.write_message({"pairs": sum(one == other for one in text for other in text) > len(text)})

    return Application([("/", Handler)])


@buggy("unresponsive")
def waits_for_ever():
    """Waits for an approval that nobody can give."""

    class Handler(WebSocketHandler):
        async def on_message(self, message):
            match as_object(message):
                case {"type": "approve"}:
                    await asyncio.get_running_loop().create_future()

    return Application([("/", Handler)])


@buggy("unresponsive")
def lock_kept():
    """Takes its lock at ``begin`` and gives it back at ``commit``; a second ``begin`` waits for a commit in vain."""

    class Handler(WebSocketHandler):
        def open(self):
            self.lock = asyncio.Lock()

        async def on_message(self, message):
            if message == "begin":
                await self.lock.acquire()
                self.write_message("begun")
            elif message == "commit" and self.lock.locked():
                self.lock.release()

    return Application([("/", Handler)])


@buggy("unresponsive")
def queue_full():
    """Puts each job into a queue of three, which nobody empties."""

    class Handler(WebSocketHandler):
        def open(self):
            self.jobs = asyncio.Queue(maxsize=3)

        async def on_message(self, message):
            match as_object(message):
                case {"job": str(job)}:
                    await self.jobs.put(job)
                    self.write_message({"queued": self.jobs.qsize()})

    return Application([("/", Handler)])


@buggy("unresponsive", needs="query")
def resumes_for_ever():
    """With ``resume`` in the query it waits until the old session has been saved, which nobody tells it."""

    class Handler(WebSocketHandler):
        async def open(self):
            if self.get_query_argument("resume", None):
                await asyncio.Event().wait()

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])
