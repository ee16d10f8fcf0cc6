"""Python modules, run in processes of their own at a fraction of what a start of Python costs.

One process loads what most runs need, and forks for each: `run_module`. What is forked is a whole Python, with its own
arguments, folder, environment and end.
"""

import atexit
import contextlib
import dataclasses
import functools
import gc
import importlib
import json
import os
import pathlib
import runpy
import select
import subprocess
import sys
import tempfile
import warnings

ROOT = pathlib.Path(__file__).parent.parent
LOADED = (
    "pytest",
    "_pytest.cacheprovider",
    "_pytest.junitxml",
    "_pytest.logging",
    "_pytest.pytester_assertions",
    "_pytest.terminal",
    "_pytest.unittest",
    "hypothesis.internal.conjecture.engine",
    "hypothesis.stateful",
    "tornado.websocket",
    "tornado_wstest.fuzzing.command",
    "tornado_wstest.fuzzing.stateful",
    "tornado_wstest.fuzzing.unit",
    "unittest.mock",
)
"""What is loaded before a fork. No plugin of pytest's: it wants to see them loaded."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run_module(*arguments, folder, timeout=120, **env):
    """Run ``python -W error -m`` with these arguments in a folder, and return what became of it.

    Where it matters what has been loaded, use `subprocess`.

    :arg env: the whole environment, but for ``PYTHONPATH``, which is this project unless it is given
    """
    with tempfile.TemporaryDirectory() as printed:
        job = {"arguments": arguments, "folder": str(folder), "env": {"PYTHONPATH": str(ROOT), **env}, "to": printed}
        server = _server()
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        if not select.select([server.stdout], [], [], timeout)[0]:
            _end()
            raise TimeoutError(f"{arguments} did not end within {timeout} s; it said:\n{_read(printed)}")
        return Ended(int(server.stdout.readline()), *_read(printed))


def _read(folder):
    return [pathlib.Path(folder, name).read_text("utf-8", "replace") for name in ("stdout", "stderr")]


@functools.cache
def _server():
    server = subprocess.Popen(
        [sys.executable, "-B", "-W", "error", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end)
    return server


def _end():
    """End the server, and all that it has forked."""
    server = _server()
    _server.cache_clear()
    server.kill()
    server.communicate()


def _next_job():
    """Wait for jobs, and return each in a process of its own."""
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return sys.exit()


def _become(job):
    """Turn this process into what a shell would have started."""
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, os.path.join(job["to"], "stdout"), os.O_WRONLY | os.O_CREAT),
        (2, os.path.join(job["to"], "stderr"), os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.path[:1] = [job["folder"], *job["env"]["PYTHONPATH"].split(os.pathsep)]
    sys.argv[:] = job["arguments"]


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    for one in LOADED:
        with contextlib.suppress(ImportError):  # what is not here is not needed, or missed where it is
            importlib.import_module(one)
    gc.freeze()
    warnings.filterwarnings("ignore", ".* found in sys.modules", RuntimeWarning)  # what is run has been loaded
    _become(_next_job())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
