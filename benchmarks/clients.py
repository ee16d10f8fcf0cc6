"""What one client more costs: ``python -m benchmarks.clients``.

For 100 to 10,000 clients over the memory transport: the time a client to connect, to get one broadcast and to
be silent, and the memory a client, with the garbage collector on and off. A cost that grows linearly is the
same in every line. Each line is measured in a process of its own.
"""

import asyncio
import gc
import json
import resource
import subprocess
import sys
import time

from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import WebSocketTester

COUNTS = (100, 1_000, 5_000, 10_000)


class Everyone(WebSocketHandler):
    """Tells everyone."""

    members: dict[WebSocketHandler, None] = {}

    def open(self):
        """Join."""
        self.members[self] = None

    def on_close(self):
        """Leave."""
        del self.members[self]

    def on_message(self, message):
        """Send it to all."""
        for member in self.members:
            member.write_message(message)


async def measure(count):
    """Return the microseconds and the KiB a client."""
    figures = {}
    started = time.perf_counter()

    def lap(name):
        nonlocal started
        now = time.perf_counter()
        figures[name] = (now - started) / count * 1e6
        started = now

    async with WebSocketTester(Application([("/", Everyone)]), transport="memory", timeout=60) as wstest:
        await (await wstest.client()).close()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        clients = [await wstest.client() for _ in range(count)]
        lap("connect")
        await clients[0].send("to all")
        for client in clients:
            await client.expect("to all")
        lap("broadcast")
        for client in clients:
            await client.expect_nothing()
        lap("nothing")
        figures["memory"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / count
    return figures


def main():
    """Print the table, a process a line."""
    if len(sys.argv) == 3:
        if sys.argv[2] == "off":
            gc.disable()
        print(json.dumps(asyncio.run(measure(int(sys.argv[1])))))
        return
    print(f"{'clients':>8} {'collector':>9} {'connect':>9} {'broadcast':>9} {'nothing':>9} {'memory':>9}")
    print(f"{'':>8} {'':>9} {'us':>9} {'us':>9} {'us':>9} {'KiB':>9}   a client")
    for collector in ("off", "on"):
        for count in COUNTS:
            command = [sys.executable, "-m", "benchmarks.clients", str(count), collector]
            figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row = " ".join(f"{figures[name]:9.1f}" for name in ("connect", "broadcast", "nothing", "memory"))
            print(f"{count:8,} {collector:>9} {row}")


if __name__ == "__main__":
    main()
