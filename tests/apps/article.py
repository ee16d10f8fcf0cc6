"""The chat of many an article: who comes, speaks or goes is told to everyone."""

import json

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Article(WebSocketHandler):
    """A user, by the name in the query."""

    def open(self):
        self.name = self.get_query_argument("name")
        self.settings["people"].append(self)
        self.tell(f"{self.name} has connected")

    def on_message(self, message):
        self.tell(f"{self.name}: {json.loads(message)['message']}")

    def on_close(self):
        self.settings["people"].remove(self)
        self.tell(f"{self.name} has disconnected")

    def tell(self, text):
        for person in self.settings["people"]:
            person.write_message({"message": text})


class Announce(RequestHandler):
    """Tells everyone what is posted, and the headers that came with it."""

    def post(self):
        for person in self.settings["people"]:
            person.write_message({"announced": self.request.body.decode(), "by": self.request.headers.get("X-By")})
        self.set_status(201)


def make_app():
    """Return the chat, with nobody in it."""
    return Application([("/", Article), ("/announce", Announce)], people=[])
