"""The fuzzer on real applications of others. What it finds in them was confirmed by hand, and is written down here.

terminado 0.18
    `TermSocket.on_message` takes whatever comes for a JSON array with something in it: text that is no JSON, and
    an array that is empty or has something else in it, raise, and the terminal's connection is dropped.

sockjs-tornado 1.0
    A message that is no JSON array aborts the connection without a close frame: so the SockJS protocol demands ("broken
    JSON"). A page of any origin may connect although the request's cookies are read: it is made for that, and its
    documentation says to authenticate in another way. Both are switched off by a setting where that is as it should be.
"""

import logging
import signal
import unittest
import warnings

from tornado.web import Application

from tornado_wstest.fuzzing.engine import Finding, RouteFinished, fuzz_route
from tornado_wstest.fuzzing.routes import find_routes
from tornado_wstest.fuzzing.settings import FuzzSettings

try:
    from terminado import SingleTermManager, TermSocket

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "@asynchronous is deprecated", DeprecationWarning)
        from sockjs.tornado import SockJSConnection, SockJSRouter
except ImportError:
    raise unittest.SkipTest(
        "terminado and sockjs-tornado are not installed: pip install tornado-wstest[real]"
    ) from None


class Echo(SockJSConnection):
    """Sends back what comes."""

    def on_message(self, message):
        self.send(message)


def make_sockjs():
    """Return an app of sockjs-tornado's."""
    return Application(SockJSRouter(Echo, "/echo").urls)


class FuzzedTest(unittest.TestCase):
    """What is found in each application."""

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def findings(self, target, **given):
        """Return the codes of what is found on all routes, with the exception if it is one, and the warnings."""
        settings = FuzzSettings(**{"seed": 1, "database": None, "examples": 60, **given})
        found, warned = set(), []
        for route in find_routes(target):
            for event in fuzz_route(target, route, settings):
                if isinstance(event, Finding):
                    errors = [type(caught.exception).__name__ for caught in event.seen.errors]
                    found.add((event.problem.code, *errors))
                elif isinstance(event, RouteFinished):
                    warned += event.warnings
        return found, warned

    def test_terminado(self):
        """Some ways to crash the handler, and nothing else."""
        managers = []

        def make_app():
            managers.append(SingleTermManager(shell_command=["cat"]))
            return Application([("/ws", TermSocket, {"term_manager": managers[-1]})])

        # A terminal is a process: each conversation takes a tenth of a second.
        found = self.findings(make_app, examples=20, time_budget=4)[0]
        for manager in managers:
            for terminal in manager.ptys_by_fd.values():
                terminal.ptyproc.kill(signal.SIGKILL)
                terminal.ptyproc.wait()
                terminal.ptyproc.fileobj.close()
        self.assertEqual({code for code, _ in found}, {"server-error"})
        self.assertIn("JSONDecodeError", {error for _, error in found})
        # [], {} and 0 have no first item: one line, one bug.
        self.assertTrue({"IndexError", "KeyError", "TypeError"} & {error for _, error in found}, found)

    def test_sockjs(self):
        """What its protocol asks for is a finding by default, and nothing else is."""
        self.assertEqual(self.findings(make_sockjs)[0], {("dropped",), ("origin",)})

    def test_sockjs_as_it_should_be(self):
        """With those two checks left out, it is clean."""
        self.assertEqual(self.findings(make_sockjs, checks=("-dropped", "-origin")), (set(), []))


if __name__ == "__main__":
    unittest.main()
