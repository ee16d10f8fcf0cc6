"""Websocket handlers, each with one habit."""

import asyncio
import json

from tornado.web import Application, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler


class Recorder(WebSocketHandler):
    """Keeps what happened to it, and tells the app that it is there."""

    def initialize(self):
        self.received = []
        self.on_close_ran = False

    def on_message(self, message):
        self.received.append(message)

    def on_close(self):
        self.on_close_ran = True
        self.settings.setdefault("closed", []).append(self)


class Echo(Recorder):
    """Sends back what it got."""

    def on_message(self, message):
        super().on_message(message)
        self.write_message(message, binary=isinstance(message, bytes))


class Greeter(Echo):
    """Says hello first."""

    def open(self):
        self.write_message("hello")


class Commands(Recorder):
    """Does what it is told: a JSON object with what to ``send``, ``close``, ``after`` how long, ..."""

    async def on_message(self, message):
        super().on_message(message)
        command = json.loads(message)
        if "sleep" in command:
            await asyncio.sleep(command["sleep"])
        for one in command.get("send", []):
            if isinstance(one, dict) and "hex" in one:
                self.write_message(bytes.fromhex(one["hex"]), binary=True)
            else:
                self.write_message(one)
        if "ping" in command:
            self.ping(command["ping"])
        if "drop" in command:
            self.ws_connection.stream.close()
        elif "close" in command:
            self.close(*command["close"])

    def select_subprotocol(self, subprotocols):
        return next((name for name in subprotocols if name in ("v2", "v1")), None)


class Query(Recorder):
    """Tells what its request was."""

    def open(self):
        request = self.request
        self.write_message(
            {
                "path": request.path,
                "query": {name: self.get_arguments(name) for name in request.query_arguments},
                "headers": dict(request.headers.get_all()),
                "cookies": {name: morsel.value for name, morsel in request.cookies.items()},
                "user": (self.get_signed_cookie("user") or b"").decode() or None,
                "ip": request.remote_ip,
            }
        )


class SlowOpen(Recorder):
    """Needs a moment to open, and greets then."""

    async def open(self):
        for _ in range(5):
            await asyncio.sleep(0)
        self.opened = True
        self.write_message("open")


class NeverOpen(Recorder):
    """Its ``open()`` waits for something that never comes."""

    async def open(self):
        self.write_message("waiting")
        await asyncio.Event().wait()


class NeverAnswers(Recorder):
    """Its ``prepare()`` waits for something that never comes."""

    async def prepare(self):
        await asyncio.Event().wait()


class Stuck(Recorder):
    """Its ``on_message`` never returns."""

    async def on_message(self, message):
        await asyncio.Event().wait()


class Rejecting(Recorder):
    """Refuses the opening handshake."""

    def prepare(self):
        raise HTTPError(int(self.get_argument("status", "403")))


class Ping(RequestHandler):
    """Plain HTTP."""

    def get(self):
        self.finish({"pong": self.get_argument("n", None)})

    def post(self):
        self.finish(self.request.body)


def make_app(**settings):
    """Return an app with all of these."""
    return Application(
        [
            ("/", Echo),
            ("/greeter", Greeter),
            ("/commands", Commands),
            ("/query", Query),
            ("/slow-open", SlowOpen),
            ("/never-open", NeverOpen),
            ("/never-answers", NeverAnswers),
            ("/stuck", Stuck),
            ("/rejecting", Rejecting),
            ("/ping", Ping),
        ],
        cookie_secret="a secret of the tests",
        **settings,
    )
