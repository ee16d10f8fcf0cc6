"""Handlers, tasks and timers that stay when the connection is over."""

import asyncio
import functools

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("leak")
def never_unsubscribed():
    """Adds itself to the subscribers, and forgets to go."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "subscribe"}:
                    self.settings["subscribers"].add(self)

    return Application([("/", Handler)], subscribers=set())


@buggy("leak")
def two_rooms():
    """Leaves at the end the room that it joined last; it may be in others."""

    class Handler(WebSocketHandler):
        room = None

        def on_message(self, message):
            match as_object(message):
                case {"join": str(room)}:
                    self.room = room
                    self.settings["rooms"].setdefault(room, set()).add(self)

        def on_close(self):
            self.settings["rooms"].get(self.room, set()).discard(self)

    return Application([("/", Handler)], rooms={})


@buggy("leak", needs="abort")
def kept_after_a_cut():
    """Leaves when there is a close code, and a connection that was cut has none."""

    class Handler(WebSocketHandler):
        def open(self):
            self.settings["clients"].add(self)

        def on_message(self, message):
            self.write_message({"clients": len(self.settings["clients"])})

        def on_close(self):
            if self.close_code is not None:
                self.settings["clients"].discard(self)

    return Application([("/", Handler)], clients=set())


@buggy("leak")
def forgotten_await():
    """Leaves by a coroutine that it forgets to await."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "join":
                self.settings["members"].add(self)

        def on_close(self):
            if self in self.settings["members"]:
                self.leave()

        async def leave(self):
            self.settings["members"].discard(self)

    return Application([("/", Handler)], members=set())


@buggy("leak")
def bound_listener():
    """Gives the app a function to call at each event, and never takes it back."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"listen": str(event)}:
                    self.settings["listeners"].append(functools.partial(self.tell, event))

        def tell(self, event):
            self.write_message({"event": event})

    return Application([("/", Handler)], listeners=[])


@buggy("leak")
def history_with_handlers():
    """Remembers for each message who said it, as the handler."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"say": str(text)}:
                    self.settings["history"].append((self, text))
                    del self.settings["history"][:-100]

    return Application([("/", Handler)], history=[])


@buggy("leak")
def second_ticker():
    """Stops at the end the ticker that it started last; ``watch`` twice starts two."""

    class Handler(WebSocketHandler):
        ticker = None

        def on_message(self, message):
            if message == "watch":
                self.ticker = PeriodicCallback(self.tick, 1000)
                self.ticker.start()

        def tick(self):
            if self.ws_connection is not None:
                self.write_message("tick")

        def on_close(self):
            if self.ticker is not None:
                self.ticker.stop()

    return Application([("/", Handler)])


@buggy("leak")
def timer_again_and_again():
    """Arms a timer anew whenever it has fired, whether anybody is there or not."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "poll":
                self.poll()

        def poll(self):
            if self.ws_connection is not None:
                self.write_message({"news": None})
            IOLoop.current().call_later(10, self.poll)

    return Application([("/", Handler)])


@buggy("leak")
def task_for_ever():
    """Follows a file in a task that nobody ends."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"type": "follow", "file": str()} if not hasattr(self, "task"):
                    self.task = asyncio.create_task(self.follow())

        async def follow(self):
            while True:
                await asyncio.sleep(1)
                if self.ws_connection is not None:
                    self.write_message("a line")

    return Application([("/", Handler)])


@buggy("leak")
def waiting_for_news():
    """A task waits for news of the app, and goes on doing so when its user has gone."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "next" and not hasattr(self, "waiting"):
                self.waiting = asyncio.create_task(self.wait())

        async def wait(self):
            await self.settings["news"].wait()
            self.write_message("news")

    return Application([("/", Handler)], news=asyncio.Event())


@buggy("leak")
def long_goodbye():
    """Cancels its task at the end, and the task takes an hour to tidy up."""

    class Handler(WebSocketHandler):
        task = None

        def on_message(self, message):
            if as_object(message).get("stream") == "on" and self.task is None:
                self.task = asyncio.create_task(self.stream_on())

        async def stream_on(self):
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(3600)

        def on_close(self):
            if self.task is not None:
                self.task.cancel()

    return Application([("/", Handler)])
