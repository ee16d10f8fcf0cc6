"""Bugs beside `on_message`: the path, the query, `open`, `on_close`, pings, and what a handler starts."""

import asyncio

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from . import as_object, buggy


@buggy("server-error", needs="query")
def missing_argument():
    """Wants a name in the query when the connection is open already."""

    class Handler(WebSocketHandler):
        def open(self):
            self.write_message({"hello": self.request.query_arguments["name"][0].decode("latin-1")})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)])


@buggy("server-error", needs="query")
def number_in_query():
    """Makes a number of an argument of the query."""

    class Handler(WebSocketHandler):
        def open(self):
            self.page = int(self.get_query_argument("page", "1"))

        def on_message(self, message):
            self.write_message({"first_page": self.page == 1})

    return Application([("/", Handler)])


@buggy("server-error", needs="query")
def number_in_prepare():
    """Makes a number of an argument before the connection is open: the opening handshake ends with a 500."""

    class Handler(WebSocketHandler):
        def prepare(self):
            self.since = float(self.get_query_argument("since", "0"))

        def on_message(self, message):
            self.write_message({"all": self.since == 0})

    return Application([("/feed", Handler)])


@buggy("server-error", needs="path")
def number_in_path():
    """Takes any word in the path, and makes a number of it."""

    class Handler(WebSocketHandler):
        def open(self, room):
            self.room = int(room)

        def on_message(self, message):
            self.write_message({"even": self.room % 2 == 0})

    return Application([(r"/rooms/(\w+)", Handler)])


@buggy("server-error", needs="path")
def unknown_room():
    """Looks up a room that need not be there."""

    class Handler(WebSocketHandler):
        def open(self, room):
            self.write_message({"topic": self.settings["rooms"][room]})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([(r"/chat/([^/]+)", Handler)], rooms={"lobby": "all and nothing"})


@buggy("server-error", needs="close")
def close_before_hello():
    """At the end it says who left, also of a user who never said hello."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"hello": str(name)}:
                    self.name = name

        def on_close(self):
            self.settings["left"] = self.name

    return Application([("/", Handler)])


@buggy("server-error", needs="close")
def close_before_join():
    """At the end it takes itself out of a list in which it need not be; Tornado does not even log that."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if message == "join" and self not in self.settings["members"]:
                self.settings["members"].append(self)

        def on_close(self):
            self.settings["members"].remove(self)

    return Application([("/", Handler)], members=[])


@buggy("server-error", needs="abort")
def close_code_in_table():
    """Has a word for each close code that it has seen; a connection that was cut has none."""

    class Handler(WebSocketHandler):
        words = {code: "well" for code in (*range(1000, 1015), *range(3000, 5000))}

        def on_message(self, message):
            self.write_message({"ok": True})

        def on_close(self):
            self.settings["ended"] = self.words[self.close_code]

    return Application([("/", Handler)])


@buggy("server-error")
def renamed():
    """Finds itself by its name at the end, and may have another name by then."""

    class Handler(WebSocketHandler):
        def open(self):
            self.name = f"guest {id(self)}"
            self.settings["users"][self.name] = True

        def on_message(self, message):
            match as_object(message):
                case {"type": "rename", "to": str(name)} if name:
                    self.name = name

        def on_close(self):
            del self.settings["users"][self.name]

    return Application([("/", Handler)], users={})


@buggy("server-error", needs="ping")
def ping_as_text():
    """Reads what a ping carries as text; it may be any bytes."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"ok": True})

        def on_ping(self, data):
            self.settings["last_ping"] = data.decode("ascii")

    return Application([("/", Handler)])


@buggy("server-error", needs="ping")
def pong_as_time():
    """Takes every pong for an answer to its own pings, which carry the time."""

    class Handler(WebSocketHandler):
        def open(self):
            self.ping(b"%f" % IOLoop.current().time())

        def on_message(self, message):
            self.write_message({"ok": True})

        def on_pong(self, data):
            self.sent_at = float(data)

    return Application([("/", Handler)])


@buggy("server-error")
def task_fails():
    """Starts a task that nobody looks at, and that fails for an item without a price."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            data = as_object(message)
            if data.get("type") == "order":
                self.order = asyncio.create_task(self.place(data))

        async def place(self, data):
            await asyncio.sleep(0)
            self.write_message({"free": data["price"] == 0})

    return Application([("/", Handler)])


@buggy("server-error")
def callback_fails():
    """Hands a message on to a callback of the loop, which counts on text."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            IOLoop.current().spawn_callback(self.count_lines, message)

        def count_lines(self, message):
            self.write_message({"lines": message.count("\n") + 1})

    return Application([("/", Handler)])


@buggy("server-error", needs="time")
def timer_fails():
    """Says later what it was told to say, which it never looked at."""

    class Handler(WebSocketHandler):
        timer = None

        def on_message(self, message):
            data = as_object(message)
            if "remind" in data and self.timer is None:
                self.timer = IOLoop.current().call_later(5, self.remind, data["remind"])

        def remind(self, text):
            self.timer = None
            self.write_message({"characters": len("remember: " + text)})

        def on_close(self):
            if self.timer is not None:
                IOLoop.current().remove_timeout(self.timer)

    return Application([("/", Handler)])


@buggy("server-error", needs="time")
def tick_fails():
    """Counts down each second, also what is no number."""

    class Handler(WebSocketHandler):
        def open(self):
            self.left = 0
            self.ticker = PeriodicCallback(self.tick, 1000)
            self.ticker.start()

        def on_message(self, message):
            self.left = as_object(message).get("countdown", self.left)

        def tick(self):
            if self.left:
                self.left = max(self.left - 1, 0)

        def on_close(self):
            self.ticker.stop()

    return Application([("/", Handler)])
