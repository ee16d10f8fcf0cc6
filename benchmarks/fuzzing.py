"""Fuzzing an echo handler, beside pytest-routes, in processes that take turns.

Ours fuzzes a Tornado handler with its default settings: it receives what comes, lets the app settle after each
message, and makes all checks, leaks included. pytest-routes fuzzes a Litestar handler: it sends, and looks at nothing.
Ours is timed from the beginning of the route to its end, theirs from its first connection to its last.
"""

import json
import os
import subprocess
import sys
import tempfile

from benchmarks.measure import Measure, Result

__all__ = ["Fuzzing"]

_OURS = """
import json, sys
from tornado.web import Application
from tornado.websocket import WebSocketHandler
from tornado_wstest.fuzzing.engine import RouteFinished, fuzz_route
from tornado_wstest.fuzzing.routes import websocket_routes
from tornado_wstest.fuzzing.settings import FuzzSettings

class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message, binary=isinstance(message, bytes))

def make_app():
    return Application([("/ws/echo", Echo)])

settings = FuzzSettings(examples=int(sys.argv[1]), database=None)
*_, end = fuzz_route(make_app, websocket_routes(make_app())[0], settings)
assert isinstance(end, RouteFinished) and not end.findings
print(json.dumps([end.sequences, end.sent, end.seconds]))
"""

_THEIR_APP = """
import atexit, json, time
from litestar import Litestar, WebSocket, websocket

times, messages = [], []

@websocket("/ws/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    times.append(time.monotonic())
    try:
        while True:
            await socket.send_text(await socket.receive_text())
            messages.append(None)
    except Exception:
        pass

app = Litestar(route_handlers=[echo])

@atexit.register
def tell():
    with open("seen.json", "w") as file:
        json.dump([len(times), len(messages), times[-1] - times[0]], file)
"""


class Fuzzing(Measure):
    """A made-up sequence of messages, played and checked; and a message of it."""

    name = "fuzzing"
    title = "fuzzing"

    def run(self, plan):
        """Play in turns; return the seconds of a sequence, and of a message."""
        examples, rounds = (100, 3) if plan.is_quick else (500, 5)
        took, notes = {}, []
        for _ in range(rounds):
            _count(took, "", ours(examples))
            try:
                _count(took, " of pytest-routes", theirs(examples))
            except RuntimeError as error:
                notes = [f"pytest-routes is left out: {error}"]
        for name in [name for name in took if name.startswith("a ")]:
            per_second = sorted(1 / seconds for seconds in took[name])[len(took[name]) // 2]
            notes.append(f"{per_second:,.0f} times a second: {name}")
        return Result(took, notes=notes)


def _count(took, whose, played):
    sequences, messages, seconds = played
    took.setdefault(f"a sequence{whose}", []).append(seconds / sequences)
    took.setdefault(f"a message{whose}", []).append(seconds / messages)


def ours(examples):
    """Play with this toolkit; return sequences, messages sent, and seconds."""
    command = [sys.executable, "-c", _OURS, str(examples)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(examples):
    """Play with pytest-routes; return the same."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("app.py", _THEIR_APP), ("test_nothing.py", "")):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        options = ["--routes", "--routes-app", "app:app", "--routes-websocket", "--routes-max-examples", str(examples)]
        command = [sys.executable, "-m", "pytest", "-q", *options]
        environment = {**os.environ, "PYTHONPATH": folder}
        done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, env=environment)
        try:
            with open(f"{folder}/seen.json") as file:
                return json.load(file)
        except FileNotFoundError:
            raise RuntimeError((done.stdout + done.stderr).strip().rpartition("\n")[2]) from None
