"""The catalogue of protocol violations: what no well-behaved client sends, as values.

::

    for fault in faults:
        with self.subTest(str(fault)):
            client = await self.ws_client()
            await client.send_raw(fault.data)
            await client.expect_closed(fault.outcome.close_code)

Pure: bytes, and what Tornado is known to do with them. Sections are those of RFC 6455, where no other RFC is
named. `faults` are those of an open connection; ``faults.compressed`` are for one on which permessage-deflate
(RFC 7692) was agreed; ``faults.opening`` are opening handshakes, and take a plain connection (``ws_raw``).

What an `Outcome` says was measured with an echo handler on Tornado 6.3.3, 6.4.2, 6.5.5 and 6.6.1, and is under test
with each of them.
"""

import dataclasses
import functools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import overload

import tornado

from .errors import UsageError
from .frames import NO_CODE, NO_FRAME, Opcode, encode_frame
from .text import elide, nearest, show

__all__ = ["Catalogue", "Fault", "Faults", "Outcome", "faults", "opening_request"]

_MASK = b"\x37\xfa\x21\x3d"
"""Every frame of the catalogue is masked with it (that of section 5.7), so that it is the same in every run."""

_TEN_MEGABYTES = 10 * 1024 * 1024
"""Tornado's ``websocket_max_message_size``, if the app sets no other."""

_PATH = b" / HTTP/"
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What Tornado does with a fault; what a handler sees of it, and what the client sees."""

    close_code: int | None = NO_FRAME
    """What the client reads: 1006 where the connection is dropped; None where it stays open."""

    messages: tuple[str | bytes, ...] = ()
    """What reaches ``on_message``."""

    handler_code: int | None = None
    """The handler's ``close_code`` in ``on_close``."""

    on_close: bool = True
    """Does ``on_close`` run, now or when the connection is over?"""

    status: int | None = 101
    """What the opening handshake is answered with; None for no answer."""

    def __str__(self) -> str:
        parts = [f"answered with {self.status or 'nothing'}"] if self.status != 101 else []
        parts += [f"on_message gets {show(message, 40)}" for message in self.messages]
        if self.close_code is None:
            parts.append("the connection stays open")
        elif self.close_code == NO_FRAME:
            parts.append("dropped without a close frame")
        else:
            parts.append(f"closed with {self.close_code}")
        if self.status == 101 and not self.on_close:
            parts.append("on_close never runs")
        elif self.status == 101 and self.close_code is not None:
            parts.append(f"on_close sees {self.handler_code}")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class Fault:
    """A violation of the protocol: bytes, the section they violate, and what Tornado does with them."""

    name: str
    section: str
    """Of RFC 6455, where no other is named."""
    data: bytes = dataclasses.field(repr=False)
    """What to send, with ``client.send_raw`` or ``raw.send``."""
    outcomes: tuple[tuple[str, Outcome], ...] = (("6.3", Outcome()),)
    """What Tornado does, and since which version, oldest first."""

    @property
    def outcome(self) -> Outcome:
        """What the Tornado that is installed does."""
        return self.outcome_on(tornado.version)

    def outcome_on(self, version: str) -> Outcome:
        """Return what this version of Tornado does, such as ``"6.5.5"``."""
        known = [outcome for since, outcome in self.outcomes if _numbers(since) <= _numbers(version)]
        return known[-1] if known else self.outcomes[0][1]

    def at(self, path: str) -> "Fault":
        """Return an opening handshake's fault with ``path`` in the place of ``/``."""
        if _PATH not in self.data:
            raise UsageError(f"{self.name!r} asks for no path; at() is for faults.opening")
        if not isinstance(path, str) or not path.startswith("/") or not path.isascii() or any(c <= " " for c in path):
            raise UsageError(f"a path is a str such as '/chat', percent-encoded, not {show(path)}")
        return dataclasses.replace(self, data=self.data.replace(_PATH, f" {path} HTTP/".encode(), 1))

    def __str__(self) -> str:
        return f"{self.name} ({'section ' if self.section[0].isdigit() else ''}{self.section})"


class Catalogue(Sequence[Fault]):
    """Faults in order, by index, by slice, or by name.

    ::

        faults["unmasked text"]
        faults.opening["no key"].at("/chat")

    :arg make: returns the faults; called when they are first asked for, because some are large
    """

    def __init__(self, make: Callable[[], Iterable[Fault]]) -> None:
        self._make = make

    @functools.cached_property
    def _entries(self) -> tuple[Fault, ...]:
        return tuple(self._make())

    @functools.cached_property
    def _by_name(self) -> dict[str, Fault]:
        return {fault.name: fault for fault in self._entries}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all."""
        return tuple(self._by_name)

    def at(self, path: str) -> "Catalogue":
        """Return these with ``path`` in the place of ``/``, where one asks for a path: for ``faults.opening``."""
        entries = [fault.at(path) if _PATH in fault.data else fault for fault in self._entries]
        return Catalogue(lambda: entries)

    @overload
    def __getitem__(self, index: int | str) -> Fault: ...
    @overload
    def __getitem__(self, index: slice) -> "Catalogue": ...
    def __getitem__(self, index: int | str | slice) -> "Fault | Catalogue":
        if isinstance(index, slice):
            entries = self._entries[index]
            return Catalogue(lambda: entries)
        if isinstance(index, str):
            if index not in self._by_name:
                raise UsageError(f"there is no fault {index!r} here: {nearest(index, self._by_name)}")
            return self._by_name[index]
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}: {elide(', '.join(self._by_name), 120)}>"


class Faults(Catalogue):
    """The faults of an open connection, and two more catalogues: ``compressed`` and ``opening``."""

    def __init__(
        self,
        make: Callable[[], Iterable[Fault]],
        compressed: Callable[[], Iterable[Fault]],
        opening: Callable[[], Iterable[Fault]],
    ) -> None:
        super().__init__(make)
        self.compressed: Catalogue = Catalogue(compressed)
        """For a connection on which permessage-deflate was agreed: ``ws_client(compression_options={})``, and
        a handler whose ``get_compression_options`` returns a dict."""
        self.opening: Catalogue = Catalogue(opening)
        """Opening handshakes, at the path ``/``; see `Fault.at`."""


def opening_request(
    path: str = "/", *, method: str = "GET", version: str = "HTTP/1.1", headers: Mapping[str, str | None] | None = None
) -> bytes:
    """Return the bytes of an opening handshake (section 4.1), with what a test wants to be wrong in it.

    ::

        opening_request("/chat", headers={"Upgrade": "h2c", "Sec-WebSocket-Key": None})

    :arg headers: added to those of a right one, or in their place; None leaves one out. Nothing is checked
    """
    everything: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": _KEY,
        "Sec-WebSocket-Version": "13",
        **(headers or {}),
    }
    lines = [f"{method} {path} {version}"]
    lines += [f"{name}: {value}" for name, value in everything.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers: ``"6.5.dev1"`` is 6.5."""
    found = []
    for part in version.split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)


# What Tornado does

_DROPPED = Outcome()
_OPEN = Outcome(close_code=None)
_TOO_BIG = Outcome(close_code=1009)


def _echoed(*messages: str | bytes) -> Outcome:
    return Outcome(close_code=None, messages=messages)


def _closed(code: int) -> Outcome:
    return Outcome(close_code=code, handler_code=code)


# The frames


def _frame(opcode: int, payload: bytes = b"", **parts: int | None) -> bytes:
    return encode_frame(opcode, payload, mask=_MASK, **parts)  # type: ignore[arg-type]


def _unmasked(opcode: int, payload: bytes) -> bytes:
    return encode_frame(opcode, payload, masked=False)


def _close(code: int, reason: bytes = b"") -> bytes:
    return _frame(Opcode.CLOSE, struct.pack("!H", code) + reason)


_TEXT = _frame(Opcode.TEXT, b"hello")
_HE = _frame(Opcode.TEXT, b"he", fin=False)
_LLO = _frame(Opcode.CONTINUATION, b"llo")

_DEFLATED_HELLO = b"\xcb\x48\xcd\xc9\xc9\x07\x00"
"""As zlib makes it; written out, because another zlib may make other bytes of it."""

_CONTROLS = {"ping": Opcode.PING, "pong": Opcode.PONG, "close": Opcode.CLOSE}


def _fault(name: str, section: str, data: bytes, outcome: Outcome = _DROPPED, **later: Outcome) -> Fault:
    """Make a fault; ``since_6_6=`` is what Tornado does from that version on."""
    changes = [(since.removeprefix("since_").replace("_", "."), changed) for since, changed in later.items()]
    return Fault(name, section, data, (("6.3", outcome), *changes))


def _bits_and_opcodes() -> Iterator[Fault]:
    for bit in (1, 2, 3):
        yield _fault(f"reserved bit {bit}", "5.2", _frame(Opcode.TEXT, b"hello", rsv=8 >> bit))
    yield _fault("all reserved bits", "5.2", _frame(Opcode.BINARY, b"hello", rsv=7))
    for name, opcode in _CONTROLS.items():
        yield _fault(f"reserved bit on a {name}", "5.2", _frame(opcode, rsv=2))
    yield _fault("reserved bit on a continuation", "5.2", _HE + _frame(Opcode.CONTINUATION, b"llo", rsv=1))
    after = _TEXT + _frame(Opcode.TEXT, b"bye", rsv=4)
    yield _fault("reserved bit after a message", "5.2", after, Outcome(messages=("hello",)))
    for opcode in (*range(3, 8), *range(11, 16)):
        yield _fault(f"reserved opcode {opcode}", "5.2", _frame(opcode, b"hello"))
    yield _fault("reserved opcode, empty", "5.2", _frame(3))
    yield _fault("reserved opcode in fragments", "5.2", _frame(3, b"he", fin=False) + _LLO)
    yield _fault("reserved opcode inside fragments", "5.2", _HE + _frame(3, b"x") + _LLO)
    yield _fault("reserved control opcode inside fragments", "5.2", _HE + _frame(11, b"x") + _LLO)


def _control_frames() -> Iterator[Fault]:
    for name, opcode in _CONTROLS.items():
        yield _fault(f"fragmented {name}", "5.5", _frame(opcode, fin=False))
    yield _fault("ping in two fragments", "5.5", _frame(Opcode.PING, b"p", fin=False) + _LLO)
    for name, opcode in _CONTROLS.items():
        payload = struct.pack("!H", 1000) + 124 * b"x" if opcode == Opcode.CLOSE else 126 * b"x"
        yield _fault(f"{name} of 126 bytes", "5.5", _frame(opcode, payload))
    yield _fault("ping of 70,000 bytes", "5.5", _frame(Opcode.PING, b"x", length=70_000))
    yield _fault("ping with a length of 16 bits", "5.5", _with_length("!BBH", Opcode.PING, b"hello"))


def _with_length(header: str, opcode: int, payload: bytes) -> bytes:
    """Return a frame whose length takes more bytes than it needs."""
    marker = 0x80 | {"!BBH": 126, "!BBQ": 127}[header]
    body = _frame(opcode, payload)[2:]
    return struct.pack(header, 0x80 | opcode, marker, len(payload)) + body


def _lengths() -> Iterator[Fault]:
    for name, length in (
        ("the length's highest bit", 2**63),
        ("the longest length", 2**64 - 1),
        ("a declared terabyte", 10**12),
    ):
        yield _fault(name, "5.2", _frame(Opcode.BINARY, b"", length=length), _TOO_BIG)
    yield _fault("message over the limit", "10.4", _frame(Opcode.TEXT, b"", length=_TEN_MEGABYTES + 1), _TOO_BIG)
    over = _frame(Opcode.CONTINUATION, b"", length=_TEN_MEGABYTES)
    yield _fault("fragments over the limit", "10.4", _HE + over, _TOO_BIG)
    yield _fault("length of 16 bits for 5 bytes", "5.2", _with_length("!BBH", 1, b"hello"), _echoed("hello"))
    yield _fault("length of 64 bits for 5 bytes", "5.2", _with_length("!BBQ", 1, b"hello"), _echoed("hello"))
    yield _fault("more declared than sent", "5.2", _frame(Opcode.TEXT, b"hello", length=9), _OPEN)
    less = _frame(Opcode.TEXT, b"hello", length=3)
    yield _fault("less declared than sent", "5.2", less, Outcome(messages=("hel",)))
    yield _fault("half a header", "5.2", _TEXT[:1], _OPEN)


def _masking() -> Iterator[Fault]:
    yield _fault("unmasked text", "5.1", _unmasked(Opcode.TEXT, b"hello"), _echoed("hello"))
    yield _fault("unmasked binary", "5.1", _unmasked(Opcode.BINARY, b"hello"), _echoed(b"hello"))
    yield _fault("unmasked ping", "5.1", _unmasked(Opcode.PING, b"p"), _OPEN)
    yield _fault("unmasked close", "5.1", _unmasked(Opcode.CLOSE, struct.pack("!H", 1000)), _closed(1000))
    half = _HE + _unmasked(Opcode.CONTINUATION, b"llo")
    yield _fault("unmasked continuation", "5.1", half, _echoed("hello"))


def _fragments() -> Iterator[Fault]:
    yield _fault("continuation without a start", "5.4", _LLO)
    yield _fault("unfinished continuation without a start", "5.4", _frame(Opcode.CONTINUATION, b"x", fin=False))
    yield _fault("empty continuation without a start", "5.4", _frame(Opcode.CONTINUATION))
    yield _fault("continuation after a message", "5.4", _TEXT + _LLO, Outcome(messages=("hello",)))
    finished = _HE + _LLO + _LLO
    yield _fault("continuation after the last fragment", "5.4", finished, Outcome(messages=("hello",)))
    yield _fault("message inside a fragmented one", "5.4", _HE + _TEXT + _LLO)
    yield _fault("binary inside fragmented text", "5.4", _HE + _frame(Opcode.BINARY, b"x") + _LLO)
    yield _fault("fragments inside a fragmented message", "5.4", _HE + _HE + _LLO)


def _utf8() -> Iterator[Fault]:
    for name, payload in (
        ("a byte that UTF-8 has not", b"hello \xff"),
        ("a lone continuation byte", b"\x80"),
        ("an overlong code point", b"\xc0\xaf"),
        ("half a surrogate pair", b"\xed\xa0\x80"),
        ("a code point beyond U+10FFFF", b"\xf4\x90\x80\x80"),
        ("a code point of five bytes", b"\xf8\x88\x80\x80\x80"),
        ("a code point that is cut off", b"\xce\xba\xe1\xbd"),
    ):
        yield _fault(f"UTF-8: {name}", "8.1", _frame(Opcode.TEXT, payload))
    whole = "\N{EURO SIGN}".encode()
    cut = _frame(Opcode.TEXT, whole[:1], fin=False)
    yield _fault("UTF-8: cut off at a frame's border", "8.1", cut + _frame(Opcode.CONTINUATION, b"x"))
    yield _fault("UTF-8: cut off at the last of three frames", "8.1",
                 cut + _frame(Opcode.CONTINUATION, whole[1:2], fin=False) + _frame(Opcode.CONTINUATION))  # fmt: skip
    yield _fault("UTF-8: wrong in the second frame", "8.1", _HE + _frame(Opcode.CONTINUATION, b"\xff"))
    unfinished = _frame(Opcode.TEXT, b"\xff", fin=False)
    yield _fault("UTF-8: wrong in a message that is unfinished", "8.1", unfinished, _OPEN)


def _closing() -> Iterator[Fault]:
    yield _fault("close with one byte", "5.5.1", _frame(Opcode.CLOSE, b"\x03"), Outcome(close_code=NO_CODE))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        section = "7.4.1" if code in (1004, 1005, 1006, 1015) else "7.4.2"
        yield _fault(f"close code {code}", section, _close(code), _closed(code))
    for name, reason in (("no UTF-8", b"\xff\xff"), ("cut off", b"\xe2\x82")):
        lost, mended = Outcome(on_close=False), Outcome(handler_code=1000)
        yield _fault(f"close reason: {name}", "5.5.1", _close(1000, reason), lost, since_6_6=mended)
    yield _fault("text after a close", "5.5.1", _close(1000) + _TEXT, _closed(1000))
    yield _fault("ping after a close", "5.5.1", _close(1000) + _frame(Opcode.PING), _closed(1000))
    yield _fault("close after a close", "5.5.1", _close(1000) + _close(1001), _closed(1000))
    yield _fault("close inside fragments, then the rest", "5.5.1", _HE + _close(1000) + _LLO, _closed(1000))


def _other_protocols() -> Iterator[Fault]:
    compressed = _frame(Opcode.TEXT, _DEFLATED_HELLO, rsv=4)
    yield _fault("compressed without the extension", "RFC 7692, section 6", compressed)
    yield _fault("HTTP in place of a frame", "5.2", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def _compressed() -> Iterator[Fault]:
    section = "RFC 7692, section "
    for name, payload in (
        ("no deflate data", b"\xff\xff\xff\xff"),
        ("a block of a type that is reserved", b"\x07"),
        ("a distance before the beginning", b"\x4b\x04\x62\x00"),
        ("a stored block with a wrong length", b"\x00\x05\x00\x00\x00hello"),
    ):
        # Up to 6.5 the receive loop ends with zlib's exception, and the connection stays, unread.
        unread, mended = Outcome(close_code=None, on_close=False), _DROPPED
        yield _fault(name, f"{section}7.2.2", _frame(Opcode.TEXT, payload, rsv=4), unread, since_6_6=mended)
    cut_off = _frame(Opcode.TEXT, _DEFLATED_HELLO[:4], rsv=4)
    yield _fault("deflate data that is cut off", f"{section}7.2.2", cut_off, _echoed("helh"))
    no_utf8 = _frame(Opcode.TEXT, b"\x00\x02\x00\xfd\xff\xff\xfe\x00", rsv=4)  # stored, then an empty block
    yield _fault("deflated text that is no UTF-8", "8.1", no_utf8)
    yield _fault("deflated message over the limit", "10.4", _frame(Opcode.BINARY, _bomb(), rsv=4), _TOO_BIG)
    ping = _frame(Opcode.PING, _DEFLATED_HELLO, rsv=4)
    yield _fault("compressed ping", f"{section}6.1", ping, _OPEN)
    start, rest = _DEFLATED_HELLO[:3], _DEFLATED_HELLO[3:]
    split = _frame(Opcode.TEXT, start, rsv=4, fin=False) + _frame(Opcode.CONTINUATION, rest, rsv=4)
    yield _fault("compressed bit on a continuation", f"{section}6.1", split)
    yield _fault("another reserved bit with it", "5.2", _frame(Opcode.TEXT, _DEFLATED_HELLO, rsv=6))


def _bomb() -> bytes:
    """Return a few kilobytes that become more than Tornado's limit: blocks that stand alone, one after the other."""
    deflate = zlib.compressobj(wbits=-15)
    block = deflate.compress(65_536 * b"\0") + deflate.flush(zlib.Z_FULL_FLUSH)
    return (_TEN_MEGABYTES // 65_536 + 1) * block


# The opening handshakes

_HTTP = "RFC 9112, section "
_ACCEPTED = _OPEN


def _answered(status: int, *, keeps: bool = True) -> Outcome:
    """The handshake is refused; the connection is kept for another request, or closed."""
    return Outcome(close_code=None if keeps else NO_FRAME, status=status, on_close=False)


def _opening() -> Iterator[Fault]:
    yield from _headers()
    malformed = _answered(400, keeps=False)
    for method in ("POST", "HEAD", "CHAT"):
        yield _fault(f"method {method}", "4.2.1", opening_request(method=method), _answered(405))
    yield _fault("HTTP/1.0", "4.2.1", opening_request(version="HTTP/1.0"), Outcome())
    yield _fault("HTTP/3.0", "4.2.1", opening_request(version="HTTP/3.0"), malformed)
    yield _fault("no HTTP", "4.2.1", b"hello\r\n\r\n", malformed)
    yield _fault("a frame in its place", "4.1", _TEXT + 4 * b"\r\n", malformed)
    yield _fault("a line without a colon", f"{_HTTP}5", opening_request(headers={"X": "x\r\nhello"}), malformed)
    # After idle_connection_timeout, an hour by default, the connection is dropped.
    unfinished = Outcome(close_code=None, status=None, on_close=False)
    yield _fault("headers that never end", "4.2.1", opening_request()[:-2], unfinished)
    yield _fault("a frame before the answer", "4.1", opening_request() + _TEXT, _echoed("hello"))


def _headers() -> Iterator[Fault]:
    def fault(name: str, section: str, outcome: Outcome, headers: dict[str, str | None], **later: Outcome) -> Fault:
        return _fault(name, section, opening_request(headers=headers), outcome, **later)

    bad, upgrade, malformed = _answered(400), _answered(426), _answered(400, keeps=False)
    key, version = "Sec-WebSocket-Key", "Sec-WebSocket-Version"
    yield fault("no key", "4.2.1", bad, {key: None})
    yield fault("an empty key", "4.2.1", bad, {key: ""})
    yield fault("a key of three bytes", "4.1", _ACCEPTED, {key: "Zm9v"})
    yield fault("a key that is no base64", "4.1", _ACCEPTED, {key: "?"})
    yield fault("no version", "4.2.1", upgrade, {version: None})
    yield fault("version 8", "4.2.1", _ACCEPTED, {version: "8"}, since_6_6=upgrade)
    yield fault("version 14", "4.4", upgrade, {version: "14"})
    yield fault("a version that is no number", "4.1", upgrade, {version: "thirteen"})
    yield fault("no Upgrade", "4.2.1", bad, {"Upgrade": None})
    yield fault("Upgrade to something else", "4.2.1", bad, {"Upgrade": "h2c"})
    yield fault("no Connection", "4.2.1", bad, {"Connection": None})
    yield fault("Connection without upgrade", "4.2.1", bad, {"Connection": "keep-alive"})
    yield fault("no Host", "4.2.1", bad, {"Host": None}, since_6_5=malformed)
    yield fault("a header of 70,000 bytes", "10.4", Outcome(status=None, on_close=False), {"X-Bomb": 70_000 * "x"})
    yield fault("5,000 headers", "10.4", _ACCEPTED, {f"X-{number}": "" for number in range(5_000)})
    yield fault("two lengths", f"{_HTTP}6.3", malformed, {"Content-Length": "0, 5"})
    yield fault("a length that is no number", f"{_HTTP}6.3", malformed, {"Content-Length": "five"})
    yield fault("a space before a colon", f"{_HTTP}5.1", _ACCEPTED, {"X-Space ": "x"}, since_6_5=malformed)
    section = "RFC 9110, section 5.5"
    yield fault("a null byte in a header", section, _ACCEPTED, {"X-Null": "a\0b"}, since_6_5=malformed)


def _all_open() -> Iterator[Fault]:
    yield from _bits_and_opcodes()
    yield from _control_frames()
    yield from _lengths()
    yield from _masking()
    yield from _fragments()
    yield from _utf8()
    yield from _closing()
    yield from _other_protocols()


faults: Faults = Faults(_all_open, _compressed, _opening)
"""The catalogue."""
