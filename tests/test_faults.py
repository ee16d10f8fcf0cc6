"""The catalogue of protocol violations: what it holds, and that Tornado does with each what it says."""

import asyncio
import re
import unittest

import tornado
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from tornado_wstest import UsageError, WebSocketTestCase, faults
from tornado_wstest.faults import Catalogue, Fault, Outcome, opening_request
from tornado_wstest.frames import Opcode, encode_frame


class Echo(WebSocketHandler):
    """Echoes, and keeps what came and how it was closed."""

    def initialize(self):
        self.received = []
        self.ended = []

    def on_message(self, message):
        self.received.append(message)
        self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        self.ended.append((self.close_code, self.close_reason))


class CompressedEcho(Echo):
    """Agrees to permessage-deflate."""

    def get_compression_options(self):
        return {}


class FaultsOverTCPTest(WebSocketTestCase):
    """Every fault of the catalogue, against the Tornado that is installed."""

    ws_transport = "tcp"

    def get_app(self):
        return Application([("/", Echo), ("/compressed", CompressedEcho)])

    async def observe(self, fault, path, **options):
        """Return what Tornado did with a fault, and the client that sent it."""
        client = await self.ws_client(path, **options)
        await client.send_raw(fault.data)
        await self.settle()
        code = client.close_code
        await client.receive_all()
        if code is None:
            await client.abort()  # whether on_close runs at all is seen when the connection is over
        (handler_code, _) = client.handler.ended[0] if client.handler.ended else (None, None)
        on_close = bool(client.handler.ended)
        return Outcome(code, tuple(client.handler.received), handler_code, on_close), client

    async def assert_as_said(self, catalogue, path="/", **options):
        """Tornado does with each fault what the catalogue says, on_close runs once, and others are served."""
        bystander = await self.ws_client()
        for fault in catalogue:
            with self.subTest(str(fault)):
                outcome, client = await self.observe(fault, path, **options)
                self.assertEqual(outcome, fault.outcome)
                self.assertEqual(len(client.handler.ended), fault.outcome.on_close)
        await bystander.send("still here")
        await bystander.expect("still here")

    async def test_faults(self):
        """What an open connection can be sent."""
        await self.assert_as_said(faults)

    async def test_compressed(self):
        """What a connection with permessage-deflate can be sent; zlib's exception is no error of the app's."""
        await self.assert_as_said(faults.compressed, "/compressed", compression_options={})

    async def test_opening(self):
        """What can be sent in place of an opening handshake, or as a wrong one."""
        for fault in faults.opening:
            with self.subTest(str(fault)):
                async with self.ws_raw() as raw:
                    await raw.send(fault.data)
                    await raw.receive_all()
                    handler = raw.handler if raw.status == 101 else None
                    observed = (raw.status, 1006 if raw.closed else None, tuple(getattr(handler, "received", ())))
                expected = fault.outcome
                self.assertEqual(observed, (expected.status, expected.close_code, expected.messages))
                if handler is not None:
                    self.assertEqual(len(handler.ended), expected.on_close)
        self.assertEqual(self.ws_server.handlers, [])

    async def test_bytes_one_by_one(self):
        """A fault that comes byte by byte is the same fault."""
        for name in ("reserved opcode 3", "UTF-8: a lone continuation byte", "close code 999"):
            with self.subTest(name):
                fault = faults[name]
                client = await self.ws_client()
                for byte in fault.data:
                    await client.send_raw(bytes([byte]))
                    await self.settle()
                await client.expect_closed(fault.outcome.close_code)
                self.assertEqual(client.handler.received, [])


class FaultsOverMemoryTest(FaultsOverTCPTest):
    """The same over memory."""

    ws_transport = "memory"


class SlowHeadersTest(WebSocketTestCase):
    """Headers that come slowly, or never end."""

    ws_virtual_time = True

    def get_app(self):
        return Application([("/", Echo)])

    def get_httpserver_options(self):
        return {"idle_connection_timeout": 60}

    async def test_a_byte_a_second_in_time(self):
        """An opening handshake that arrives byte by byte is accepted, if it is through in time."""
        data = opening_request()
        raw = await self.ws_raw()
        for start in range(0, len(data), 10):
            await raw.send(data[start : start + 10])
            await asyncio.sleep(1)
        await raw.receive_all()
        self.assertEqual(raw.status, 101)

    async def test_headers_that_never_end(self):
        """One that never ends is dropped without an answer after idle_connection_timeout."""
        raw = await self.ws_raw()
        await raw.send(faults.opening["headers that never end"].data)
        self.assertEqual(await raw.expect_closed(), b"")
        self.assertEqual((self.clock.time(), raw.status), (60, None))

    async def test_a_byte_a_second_for_too_long(self):
        """Bytes that keep coming win no time: the limit is for the headers as a whole."""
        raw = await self.ws_raw()
        await raw.send(opening_request()[:-2])
        while not raw.closed:
            await raw.send(b"X")
            await asyncio.sleep(7)
        (end,) = [event.time for event in self.transcript if event.payload == "closed by the server"]
        self.assertEqual(end, 60)


class SlowHeadersOverMemoryTest(SlowHeadersTest):
    """The same over memory."""

    ws_transport = "memory"


EVERY = (*faults, *faults.compressed, *faults.opening)


class CatalogueTest(unittest.TestCase):
    """The catalogue as a value."""

    def test_by_name_index_and_slice(self):
        """A fault is found by its name and its place; a slice is a catalogue."""
        fault = faults["unmasked text"]
        self.assertEqual((fault.name, fault.section), ("unmasked text", "5.1"))
        self.assertIs(faults[0], next(iter(faults)))
        self.assertEqual((list(faults[:3]), type(faults[:3])), (list(faults)[:3], Catalogue))
        self.assertIn(fault, faults)
        self.assertEqual((len(faults), faults.names[0]), (len(list(faults)), faults[0].name))

    def test_no_name_twice(self):
        """Names tell faults apart."""
        for catalogue in (faults, faults.compressed, faults.opening):
            self.assertEqual(len(catalogue.names), len(catalogue))

    def test_unknown_name(self):
        """A name that is not there is refused with the nearest one."""
        with self.assertRaisesRegex(UsageError, "there is no fault 'unmaskd text' here: did you mean 'unmasked text'?"):
            faults["unmaskd text"]

    def test_same_bytes_in_every_run(self):
        """Frames are masked with a fixed key, so that a fault is a value."""
        self.assertEqual(faults["reserved bit 1"].data, bytes.fromhex("c18537fa213d5f9f4d5158"))

    def test_sections(self):
        """Each fault names what it violates: a section of RFC 6455, or of another RFC by its number."""
        for fault in EVERY:
            self.assertRegex(fault.section, r"^(RFC \d{4}, section )?\d+(\.\d+)*$")

    def test_no_fault_is_well_formed(self):
        """The frame that all are made of is none of them."""
        well_formed = encode_frame(Opcode.TEXT, b"hello", mask=b"\x37\xfa\x21\x3d")
        self.assertNotIn(well_formed, [fault.data for fault in EVERY])
        self.assertNotIn(opening_request(), [fault.data for fault in EVERY])

    def test_text(self):
        """A fault's text names it for a sub-test; its outcome's says what happens."""
        self.assertEqual(str(faults["close code 999"]), "close code 999 (section 7.4.2)")
        self.assertEqual(str(faults["close code 999"].outcome), "closed with 999, on_close sees 999")
        self.assertEqual(str(faults["reserved bit 1"].outcome), "dropped without a close frame, on_close sees None")
        self.assertEqual(str(faults["unmasked text"].outcome), "on_message gets 'hello', the connection stays open")
        self.assertEqual(str(faults.opening["no key"].outcome), "answered with 400, the connection stays open")
        self.assertEqual(
            str(faults.opening["a header of 70,000 bytes"].outcome),
            "answered with nothing, dropped without a close frame",
        )
        self.assertIn("RFC 7692, section 6.1", str(faults.compressed["compressed ping"]))
        self.assertRegex(repr(faults), r"^<Faults of \d+: reserved bit 1, .* \.\.\. ")
        self.assertNotIn("data", repr(faults[0]))

    def test_outcome_by_version(self):
        """What differs between versions is written down, and the version that is installed decides."""
        fault = faults["close reason: no UTF-8"]
        self.assertEqual(fault.outcome_on("6.4.2"), Outcome(on_close=False))
        self.assertEqual(fault.outcome_on("6.6.1"), Outcome(handler_code=1000))
        self.assertEqual(fault.outcome_on("6.6.dev1"), Outcome(handler_code=1000))
        self.assertEqual(fault.outcome_on("6.10"), Outcome(handler_code=1000))
        self.assertEqual(fault.outcome_on("6.2"), Outcome(on_close=False))
        self.assertEqual(fault.outcome, fault.outcome_on(tornado.version))
        self.assertIn("on_close never runs", str(fault.outcome_on("6.5.5")))

    def test_another_path(self):
        """An opening handshake's fault is there for any path; a frame has none."""
        data = faults.opening["no key"].at("/chat?room=den").data
        self.assertTrue(data.startswith(b"GET /chat?room=den HTTP/1.1\r\nHost: 127.0.0.1\r\n"))
        with self.assertRaisesRegex(UsageError, r"'unmasked text' asks for no path; at\(\) is for faults.opening"):
            faults["unmasked text"].at("/chat")
        for path in ("chat", "/a room", 5, "/\N{EURO SIGN}"):
            with self.assertRaisesRegex(UsageError, "a path is a str such as '/chat', percent-encoded, not "):
                faults.opening["no key"].at(path)

    def test_another_path_for_all(self):
        """A whole catalogue takes a path; what asks for none stays as it is."""
        moved = faults.opening.at("/chat")
        self.assertEqual(moved.names, faults.opening.names)
        self.assertEqual(moved["no key"], faults.opening["no key"].at("/chat"))
        self.assertEqual(moved["no HTTP"], faults.opening["no HTTP"])

    def test_a_fault_of_ones_own(self):
        """A test may make its own; Tornado is taken to drop it, unless told otherwise."""
        fault = Fault("mine", "5.2", b"\xff")
        self.assertEqual((fault.outcome, fault), (Outcome(close_code=1006), Fault("mine", "5.2", b"\xff")))

    def test_opening_request(self):
        """A right opening handshake, byte for byte, and one in which something is wrong."""
        right = (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.assertEqual(opening_request(), right)
        wrong = opening_request("/x", method="PUT", version="HTTP/1.0", headers={"Host": None, "X": "y"})
        self.assertTrue(wrong.startswith(b"PUT /x HTTP/1.0\r\nUpgrade: "))
        self.assertTrue(wrong.endswith(b"\r\nX: y\r\n\r\n"))

    def test_every_group_is_there(self):
        """What the cases of a protocol test suite are about has its faults here."""
        names = "\n".join(fault.name for fault in EVERY)
        for part in (
            "reserved bit", "reserved opcode", "fragmented ping", "ping of 126", "unmasked", "highest bit",
            "continuation without", "inside a fragmented", "UTF-8", "close code 1005", "close with one byte",
            "close reason", "after a close", "without the extension", "no deflate", "over the limit", "no key",
            "version", "no Upgrade", "70,000 bytes", "method", "never end",
        ):  # fmt: skip
            self.assertTrue(re.search(part, names), part)
