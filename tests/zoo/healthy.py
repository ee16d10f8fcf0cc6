"""Apps without a bug, of many kinds: whatever a fuzzer finds here is a false alarm."""

import asyncio
import collections
import contextlib
import hashlib
import struct

from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import Application, HTTPError, authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from . import as_object, harmless

SECRET = "a secret of the zoo"


@harmless
def echo():
    """Sends back what it gets."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message(message, binary=isinstance(message, bytes))

    return Application([("/", Handler)])


@harmless
def chat():
    """Sends what one says to all, and who comes and goes."""

    class Handler(WebSocketHandler):
        def open(self):
            self.tell({"joined": id(self)})
            self.settings["users"].add(self)

        def on_message(self, message):
            if isinstance(message, bytes):
                self.close(1003, "text, please")
            else:
                self.tell({"said": message})

        def on_close(self):
            self.settings["users"].discard(self)
            self.tell({"left": id(self)})

        def tell(self, value):
            for user in list(self.settings["users"]):
                if user.ws_connection is not None and not user.ws_connection.is_closing():
                    user.write_message(value)

    return Application([("/", Handler)], users=set())


@harmless
def guarded_broadcast():
    """Writes to others who may have gone, and takes that as it comes."""

    class Handler(WebSocketHandler):
        def open(self):
            self.settings["users"].add(self)

        async def on_message(self, message):
            for user in list(self.settings["users"]):
                try:
                    await user.write_message({"length": len(message)})
                except WebSocketClosedError:
                    self.settings["users"].discard(user)

        def on_close(self):
            self.settings["users"].discard(self)

    return Application([("/", Handler)], users=set())


@harmless
def json_rpc():
    """Answers calls, and with errors what is none."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            match as_object(message):
                case {"jsonrpc": "2.0", "method": "add", "params": [int(a), int(b)], "id": int(number)}:
                    total = a + b if max(abs(a), abs(b)) < 10**9 else None
                    self.write_message({"jsonrpc": "2.0", "result": total, "id": number})
                case {"jsonrpc": "2.0", "method": str(), "id": int(number)}:
                    self.error(-32601, "method not found", number)
                case {}:
                    self.error(-32600, "invalid request", None)

        def error(self, code, text, number):
            self.write_message({"jsonrpc": "2.0", "error": {"code": code, "message": text}, "id": number})

    return Application([("/rpc", Handler)])


@harmless
def polite():
    """Says why it closes, each time with a code of its own."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, bytes):
                self.close(1003, "text, please")
            elif len(message) > 1000:
                self.close(1009, "1000 characters at most")
            elif not (data := as_object(message)):
                self.close(1007, "an object, please")
            elif data.get("type") == "hello":
                self.write_message({"type": "hello"})
            elif data.get("type") == "bye":
                self.close(1000, "bye")
            elif isinstance(data.get("type"), str):
                self.close(4004, f"unknown type: {data['type'][:10]!a}")
            else:
                self.close(4005, "type is text")

    return Application([("/", Handler)])


@harmless
def token_login():
    """Wants a token first, within ten seconds, and rejects who has none."""

    class Handler(WebSocketHandler):
        user = None

        def open(self):
            self.deadline = IOLoop.current().call_later(10, self.close, 4408, "no login in time")

        def on_message(self, message):
            if self.user is not None:
                self.write_message({"user": self.user, "length": len(message)})
            elif as_object(message).get("token") == "open sesame":
                self.user = "ann"
                IOLoop.current().remove_timeout(self.deadline)
                self.write_message({"welcome": self.user})
            else:
                self.close(4401, "who are you?")

        def on_close(self):
            IOLoop.current().remove_timeout(self.deadline)

    return Application([("/", Handler)])


@harmless
def slow():
    """Takes two seconds for each answer."""

    class Handler(WebSocketHandler):
        async def on_message(self, message):
            await asyncio.sleep(2)
            self.write_message({"length": len(message)})

    return Application([("/", Handler)])


@harmless
def slow_opening():
    """Needs three seconds to open, and greets then."""

    class Handler(WebSocketHandler):
        async def open(self):
            await asyncio.sleep(3)
            with contextlib.suppress(WebSocketClosedError):
                self.write_message("hello")

        def on_message(self, message):
            self.write_message("thanks")

    return Application([("/", Handler)])


@harmless
def mute():
    """Takes everything, and never answers."""

    class Handler(WebSocketHandler):
        count = 0

        def on_message(self, message):
            self.count += 1

    return Application([("/", Handler)])


@harmless
def ticking():
    """Tells the time every second, and stops when the user goes."""

    class Handler(WebSocketHandler):
        def open(self):
            self.ticker = PeriodicCallback(self.tick, 1000)
            self.ticker.start()

        def on_message(self, message):
            self.ticker.stop() if self.ticker.is_running() else self.ticker.start()

        def tick(self):
            if self.ws_connection is not None and not self.ws_connection.is_closing():
                self.write_message({"time": IOLoop.current().time()})

        def on_close(self):
            self.ticker.stop()

    return Application([("/clock", Handler)])


@harmless
def compressed():
    """Compresses what it sends."""

    class Handler(WebSocketHandler):
        def get_compression_options(self):
            return {"compression_level": 1}

        def on_message(self, message):
            self.write_message(message * 3, binary=isinstance(message, bytes))

    return Application([("/", Handler)])


@harmless
def subprotocols():
    """Speaks one of two subprotocols if it was offered, and none else."""

    class Handler(WebSocketHandler):
        def select_subprotocol(self, subprotocols):
            return next((name for name in ("chat.v2", "chat.v1") if name in subprotocols), None)

        def on_message(self, message):
            self.write_message({"subprotocol": self.selected_subprotocol})

    return Application([("/", Handler)])


@harmless
def rooms():
    """Has three rooms, and a 404 for any other."""

    class Handler(WebSocketHandler):
        def prepare(self):
            if self.path_args[0] not in ("den", "hall", "lobby"):
                raise HTTPError(404)

        def open(self, room):
            self.write_message({"room": room})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([(r"/rooms/([^/]+)", Handler)])


@harmless
def tables():
    """Opens for every number of a table, and closes with 4404 if there is none of that number."""

    class Handler(WebSocketHandler):
        def open(self, table):
            self.table = int(table) if len(table) < 4 else None
            if self.table not in range(1, 100):
                self.close(4404, "no such table")

        def on_message(self, message):
            self.write_message({"table": self.table})

    return Application([(r"/table/([0-9]+)", Handler)])


@harmless
def checked_query():
    """Refuses a query that it cannot use with a 400."""

    class Handler(WebSocketHandler):
        def prepare(self):
            page = self.get_query_argument("page")
            if not (page.isascii() and page.isdigit() and len(page) < 6):
                raise HTTPError(400, "page is a number")
            self.page = int(page)

        def on_message(self, message):
            self.write_message({"page": self.page})

    return Application([("/feed", Handler)])


@harmless
def own_origin():
    """Knows its users by a cookie, and lets the pages of two hosts only connect for them."""

    class Handler(WebSocketHandler):
        def check_origin(self, origin):
            return super().check_origin(origin) or origin in ("https://app.example.com", "https://example.com")

        def open(self):
            self.write_message({"known": self.get_signed_cookie("user") is not None})

        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)], cookie_secret=SECRET)


@harmless
def public():
    """Is there for every page of the web, and reads no cookies."""

    class Handler(WebSocketHandler):
        def check_origin(self, origin):
            return True

        def on_message(self, message):
            self.write_message({"price": 7})

    return Application([("/prices", Handler)])


@harmless
def executor():
    """Has its work done by a thread."""

    class Handler(WebSocketHandler):
        async def on_message(self, message):
            data = message.encode() if isinstance(message, str) else message
            digest = await IOLoop.current().run_in_executor(None, hashlib.sha256, data)
            self.write_message({"sha256": digest.hexdigest()})

    return Application([("/", Handler)])


@harmless
def background():
    """Starts one task at a time, and cancels it when the user goes."""

    class Handler(WebSocketHandler):
        task = None

        def on_message(self, message):
            if self.task is not None:
                self.task.cancel()
            self.task = asyncio.create_task(self.progress(), name="progress")

        async def progress(self):
            for percent in (25, 50, 75, 100):
                await asyncio.sleep(1)
                try:
                    self.write_message({"percent": percent})
                except WebSocketClosedError:
                    return

        def on_close(self):
            if self.task is not None:
                self.task.cancel()

    return Application([("/", Handler)])


@harmless
def pubsub():
    """Gives each subscriber a queue and a task that empties it."""

    class Handler(WebSocketHandler):
        def open(self):
            self.queue = asyncio.Queue()
            self.topics = set()
            self.task = asyncio.create_task(self.pump())

        def on_message(self, message):
            match as_object(message):
                case {"subscribe": str(topic)} if len(self.topics) < 10:
                    self.topics.add(topic)
                    self.settings["topics"].setdefault(topic, set()).add(self.queue)
                case {"publish": str(topic), "text": str(text)}:
                    for queue in self.settings["topics"].get(topic, ()):
                        queue.put_nowait({"topic": topic, "text": text})

        async def pump(self):
            while True:
                value = await self.queue.get()
                if self.ws_connection is not None and not self.ws_connection.is_closing():
                    self.write_message(value)

        def on_close(self):
            self.task.cancel()
            for topic in self.topics:
                self.settings["topics"][topic].discard(self.queue)
                if not self.settings["topics"][topic]:
                    del self.settings["topics"][topic]

    return Application([("/", Handler)], topics={})


@harmless
def graphql():
    """Speaks a transport with an opening of its own, operations, and a close code for each offence."""

    class Handler(WebSocketHandler):
        operations = None

        def select_subprotocol(self, subprotocols):
            return "graphql-transport-ws" if "graphql-transport-ws" in subprotocols else None

        def on_message(self, message):
            match as_object(message):
                case {"type": "connection_init"} if self.operations is None:
                    self.operations = set()
                    self.write_message({"type": "connection_ack"})
                case {"type": "connection_init"}:
                    self.close(4429, "Too many initialisation requests")
                case {"type": "ping"}:
                    self.write_message({"type": "pong"})
                case {"type": "subscribe"} if self.operations is None:
                    self.close(4401, "Unauthorized")
                case {"type": "subscribe", "id": str(name)} if name in self.operations:
                    self.close(4409, "That operation exists")
                case {"type": "subscribe", "id": str(name)}:
                    self.operations.add(name)
                    self.write_message({"type": "next", "id": name, "payload": {"data": None}})
                case {"type": "complete", "id": str(name)} if self.operations is not None:
                    self.operations.discard(name)
                case {"type": "pong"}:
                    pass
                case _:
                    self.close(4400, "Invalid message")

    return Application([("/graphql", Handler)])


@harmless
def binary_records():
    """Takes binary records of a kind, a length and as many bytes; closes on any other message."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            if isinstance(message, str):
                self.close(1003, "binary, please")
            elif len(message) < 3:
                self.close(1007, "too short")
            else:
                kind, length = struct.unpack_from("!BH", message)
                if kind != 1 or length != len(message) - 3:
                    self.close(4000, "that is no record")
                else:
                    self.write_message(struct.pack("!BH", 2, length), binary=True)

    return Application([("/", Handler)])


@harmless
def last_messages():
    """Remembers on purpose the last ten messages, also of users who have gone, as text."""

    class Handler(WebSocketHandler):
        def open(self):
            self.write_message({"history": list(self.settings["history"])})

        def on_message(self, message):
            self.settings["history"].append(str(message)[:50])
            self.write_message({"count": len(self.settings["history"])})

    return Application([("/", Handler)], history=collections.deque(maxlen=10))


@harmless
def past_users():
    """Remembers on purpose how many messages each of the last twenty users sent, in case that they come again."""

    class Handler(WebSocketHandler):
        def open(self):
            self.name = self.get_cookie("name") or "guest"
            self.count = self.settings["sessions"].get(self.name, 0)

        def on_message(self, message):
            self.count += 1
            self.write_message({"count": self.count})

        def on_close(self):
            sessions = self.settings["sessions"]
            sessions[self.name] = self.count
            while len(sessions) > 20:
                del sessions[next(iter(sessions))]

    return Application([("/", Handler)], sessions={})


@harmless
def rate_limited():
    """Closes with 1008 on more than ten messages in a second."""

    class Handler(WebSocketHandler):
        def open(self):
            self.times = collections.deque(maxlen=10)

        def on_message(self, message):
            now = IOLoop.current().time()
            if len(self.times) == 10 and now - self.times[0] < 1:
                self.close(1008, "slowly, please")
                return
            self.times.append(now)
            self.write_message({"length": len(message)})

    return Application([("/", Handler)])


@harmless
def busy():
    """Is there for two users; a third may try again later: 1013."""

    class Handler(WebSocketHandler):
        def open(self):
            if len(self.settings["users"]) >= 2:
                self.close(1013, "try again later")
            else:
                self.settings["users"].add(self)

        def on_message(self, message):
            self.write_message({"users": len(self.settings["users"])})

        def on_close(self):
            self.settings["users"].discard(self)

    return Application([("/", Handler)], users=set())


@harmless
def tells_of_pings():
    """Answers each ping with a message, too."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"ok": True})

        def on_ping(self, data):
            if self.ws_connection is not None and not self.ws_connection.is_closing():
                self.write_message({"ping": data.hex()})

        def on_pong(self, data):
            self.alive = True

    return Application([("/", Handler)])


@harmless
def heartbeats():
    """Has Tornado ping its users each thirty seconds."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"ok": True})

    return Application([("/", Handler)], websocket_ping_interval=30)


@harmless
def members_only():
    """Sends whoever has no signed cookie to its login."""

    class Handler(WebSocketHandler):
        def get_current_user(self):
            return self.get_signed_cookie("user")

        @authenticated
        async def get(self, *args, **kwargs):
            await super().get(*args, **kwargs)

        def on_message(self, message):
            self.write_message({"user": self.current_user.decode()})

    return Application([("/members", Handler)], cookie_secret=SECRET, login_url="/login")


@harmless
def one_answer():
    """Answers once, and closes without a code."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"answer": 42})
            self.close()

    return Application([("/", Handler)])


@harmless
def lobby():
    """Pairs those who wait, and hands the messages of each to the other."""

    class Handler(WebSocketHandler):
        partner = None

        def open(self):
            waiting = self.settings["waiting"]
            if waiting and not waiting[0].ws_connection.is_closing():
                self.partner = waiting.pop()
                self.partner.partner = self
                self.partner.write_message({"paired": True})
                self.write_message({"paired": True})
            else:
                waiting[:] = [self]

        def on_message(self, message):
            if self.partner is None:
                self.write_message({"error": "nobody is there yet"})
            elif self.partner.ws_connection is not None and not self.partner.ws_connection.is_closing():
                self.partner.write_message(message, binary=isinstance(message, bytes))

        def on_close(self):
            if self in self.settings["waiting"]:
                self.settings["waiting"].remove(self)
            if self.partner is not None:
                self.partner.partner = None
                self.partner.close(4000, "your partner has gone")

    return Application([("/", Handler)], waiting=[])


@harmless
def small_messages():
    """Takes messages of up to 1 KiB; Tornado refuses larger ones."""

    class Handler(WebSocketHandler):
        def on_message(self, message):
            self.write_message({"length": len(message)})

    return Application([("/", Handler)], websocket_max_message_size=1024)


@harmless
def patient_reader():
    """Waits for a client that reads slowly."""

    class Handler(WebSocketHandler):
        async def on_message(self, message):
            for number in range(5):
                await self.write_message({"part": number, "text": "x" * min(len(message), 1000)})

    return Application([("/", Handler)])
