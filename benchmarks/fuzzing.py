"""Fuzzing an echo handler, beside pytest-routes: ``python -m benchmarks.fuzzing [PYTHON]``.

Ours fuzzes a Tornado handler with its default settings: it receives what comes, lets the app settle after each
message, and makes all checks, leaks included. pytest-routes fuzzes a Litestar handler: it sends, and looks at nothing.
Both play 500 sequences, in processes that take turns; ours is timed from the beginning of the route to its end,
theirs from its first connection to its last. With an argument, pytest-routes and Litestar are those of another
interpreter.
"""

import json
import statistics
import subprocess
import sys
import tempfile

EXAMPLES = 500
ROUNDS = 5

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
print(json.dumps([end.sequences, end.sent, end.received, end.seconds]))
"""

_THEIR_APP = """
import atexit, json, time
from litestar import Litestar, WebSocket, websocket

seen = {"times": [], "messages": 0}

@websocket("/ws/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    seen["times"].append(time.monotonic())
    try:
        while True:
            await socket.send_text(await socket.receive_text())
            seen["messages"] += 1
    except Exception:
        pass

app = Litestar(route_handlers=[echo])

@atexit.register
def tell():
    seconds = seen["times"][-1] - seen["times"][0]
    with open("seen.json", "w") as file:
        json.dump([len(seen["times"]), seen["messages"], 0, seconds], file)
"""


def ours():
    """Play with this toolkit; return sequences, messages sent and received, and seconds."""
    command = [sys.executable, "-c", _OURS, str(EXAMPLES)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(python):
    """Play with pytest-routes; return the same. What comes back it does not receive."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("app.py", _THEIR_APP), ("test_nothing.py", "")):
            with open(f"{folder}/{name}", "w") as file:
                file.write(text)
        options = ["--routes", "--routes-app", "app:app", "--routes-websocket", "--routes-max-examples", str(EXAMPLES)]
        command = [python, "-m", "pytest", "-q", *options]
        done = subprocess.run(
            command, check=False, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": folder}
        )
        try:
            with open(f"{folder}/seen.json") as file:
                return json.load(file)
        except FileNotFoundError:
            sys.exit(
                f"pytest-routes did not run: pip install pytest-routes litestar\n{done.stdout[-2000:]}{done.stderr}"
            )


def main():
    """Print sequences and messages a second, and the ratio of sequences."""
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    rounds = [(ours(), theirs(python)) for _ in range(ROUNDS)]
    print(f"{'':15}{'sequences/s':>12}{'sent/s':>9}{'received/s':>12}")
    for place, name in enumerate(("tornado-wstest", "pytest-routes")):
        speeds = [[count / one[place][3] for count in one[place][:3]] for one in rounds]
        sequences, sent, received = (statistics.median(column) for column in zip(*speeds, strict=True))
        print(f"{name:15}{sequences:12.0f}{sent:9.0f}{received:12.0f}")
    ratios = [mine[0] / mine[3] / (other[0] / other[3]) for mine, other in rounds]
    print(f"ratio of sequences/s: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
