"""A websocket that greets with "hello" and echoes. ``python app.py`` serves it on port 8888."""

import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler


class EchoHandler(WebSocketHandler):
    """Greets, then sends every message back as it came."""

    def open(self):
        self.write_message("hello")

    async def on_message(self, message):
        await self.write_message(message, binary=isinstance(message, bytes))


class LoginHandler(EchoHandler):
    """Asks for a name before it echoes: a handshake of several messages."""

    def open(self):
        self.name = None
        self.write_message({"type": "who", "version": 1})

    async def on_message(self, message):
        if self.name is None:
            self.name = message
            self.write_message({"type": "welcome", "name": message})
            self.write_message({"type": "ready"})
        else:
            await super().on_message(message)


def make_app():
    """Return the application."""
    return Application([("/", EchoHandler), ("/login", LoginHandler)])


async def main():
    """Serve the application until interrupted."""
    make_app().listen(8888, address="127.0.0.1")
    print("listening on ws://127.0.0.1:8888/")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
