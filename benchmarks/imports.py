"""What an import takes, in fresh processes that take turns."""

import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.measure import Measure, Result

__all__ = ["Imports"]

TORNADO = (
    "import tornado.gen, tornado.httpserver, tornado.simple_httpclient, tornado.testing, tornado.web, tornado.websocket"
)
IMPORTS = {
    "beyond Tornado": (TORNADO, "import tornado_wstest"),
    "with Tornado": ("", "import tornado_wstest"),
    "by hand": ("", TORNADO),
    "Channels": ("from django.conf import settings; settings.configure()", "import channels.testing"),
    "Starlette": ("", "import starlette.testclient"),
    "httpx-ws": ("", "import httpx, httpx_ws.transport"),
    "aiohttp": ("", "import aiohttp.test_utils, aiohttp.web"),
    "websockets": ("", "import websockets.asyncio.client, websockets.asyncio.server"),
    "pywsitest": ("", "import pywsitest"),
}
ROOT = pathlib.Path(__file__).parent.parent


class Imports(Measure):
    """An import, from compiled files that the machine has read before."""

    name = "import"
    title = "import"
    unit = "ms"

    def run(self, plan):
        """Import each in turn."""
        took, notes = {}, []
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": folder}
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            for number in range(-1, plan.rounds):  # the round before the first compiles
                for name, imports in IMPORTS.items():
                    if number >= 0 and name not in took:
                        continue
                    try:
                        seconds = _seconds(*imports, environment)
                    except subprocess.CalledProcessError as error:
                        notes.append(f"{name} is left out: {error.stderr.strip().splitlines()[-1]}")
                        continue
                    times = took.setdefault(name, [])
                    if number >= 0:
                        times.append(seconds)
        return Result(took, notes=notes)


def _seconds(before, what, environment):
    code = f"import time\n{before}\nstarted = time.perf_counter()\n{what}\nprint(time.perf_counter() - started)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(done.stdout)
