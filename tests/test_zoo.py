"""The zoo: each buggy app shows its bug, and only where it should; no healthy app shows any."""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import pkgutil
import struct
import time
import unittest
import warnings
import weakref
from collections.abc import Mapping
from typing import Any
from unittest.mock import ANY

from tornado.httpclient import HTTPClientError

from tests.zoo import CODES, NEEDS, specimens
from tornado_wstest import WebSocketTester, WSTestFailure

ZOO = specimens()
POLITE = {None, 1000, 1001, 1003, 1005, 1007, 1008, 1009, 1012, 1013, *range(3000, 5000)}
PATIENCE = 30
"""Virtual seconds that anything may take."""
LIMIT = 10 * 2**20
"""Bytes that a message may have where nobody says otherwise: Tornado's own limit."""
COOKIE = {"signed_cookies": {"user": "ann"}}


@dataclasses.dataclass(frozen=True)
class Talk:
    """What one client does: it connects, takes its steps (a message, or a function of the client), and closes."""

    steps: tuple[Any, ...] = ()
    path: str = "/"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Visit:
    """What was seen of an app during a talk, and after it."""

    errors: list[type[BaseException]] = dataclasses.field(default_factory=list)
    status: int = 101
    subprotocol: str | None = None
    code: int | None = None
    """What the server closed with, or None if it was the client that closed."""
    blocked: float = 0
    """The longest time, in real seconds, that a step took."""
    answered: bool = True
    """Did a ping get its pong (or was the connection closed)?"""
    ended: bool = True
    """Did `on_close` run?"""
    left: list[str] = dataclasses.field(default_factory=list)
    """What stayed behind."""
    values: list[Any] = dataclasses.field(default_factory=list)
    """What the client got."""
    overheard: list[Any] = dataclasses.field(default_factory=list)
    """What a bystander got."""

    def symptoms(self):
        """Return what is wrong, as the codes of checks."""
        found = {
            "server-error": bool(self.errors),
            "dropped": self.code == 1006 and not self.errors,
            "close-code": self.code not in POLITE and self.code != 1006,
            "unresponsive": not self.answered,
            "blocked-loop": self.blocked > 0.5,
            "unclean-close": self.answered and not self.ended and not self.errors,
            "leak": self.ended and bool(self.left) and not self.errors,
        }
        return {code for code, is_there in found.items() if is_there}


def visit(name, talk, *, bystander=False):
    """Let a client talk to a fresh app, and return what was seen."""
    app, seen = ZOO[name].make_app(), Visit()
    handler = asyncio.run(_visit(app, talk, bystander, seen))
    gc.collect()
    if handler is not None and handler() is not None:
        seen.left.append("the handler")
    return seen


async def _visit(app, talk, bystander, seen):
    async with WebSocketTester(app, transport="memory", virtual_time=True, fail_on_server_error=False) as wstest:
        before = asyncio.all_tasks()
        try:
            client = await wstest.client(talk.path, **talk.options)
        except HTTPClientError as error:
            seen.status, seen.errors = error.code, _errors(wstest)
            return None
        handler = weakref.ref(client.handler)
        other = await wstest.client(talk.path) if bystander else None
        await _talk(wstest, client, talk.steps, seen)
        seen.values = await _values(client)
        if other is not None:
            seen.overheard = await _values(other)
            await other.close()
        await _end(wstest, client, talk, seen)
        await wstest.clock.advance(PATIENCE)
        seen.errors = _errors(wstest)
        seen.ended = client.handler._on_close_called
        seen.left = [f"a task: {task}" for task in asyncio.all_tasks() - before]
        if wstest.server.settling.next_timer() is not None:
            seen.left.append("a timer")
    return handler


async def _talk(wstest, client, steps, seen):
    for step in steps:
        if client.closed:
            return
        started = time.monotonic()
        with contextlib.suppress(WSTestFailure):
            await (step(client) if callable(step) else client.send(step))
            await wstest.settle()
        seen.blocked = max(seen.blocked, time.monotonic() - started)


async def _end(wstest, client, talk, seen):
    """Ask whether the server is still there, then close."""
    seen.subprotocol = client.subprotocol
    if not client.closed:
        try:
            await client.ping(timeout=PATIENCE)
        except WSTestFailure:
            seen.answered = client.closed
    if client.closed and abort not in talk.steps:
        seen.code = client.close_code
    with contextlib.suppress(WSTestFailure):
        await client.close(timeout=PATIENCE)


async def _values(client):
    return [client.codec.decode(message) for message in await client.receive_all()]


def _errors(wstest):
    return [type(caught.exception) for caught in wstest.server.watch.untold()]


# Steps that are no message


async def abort(client):
    """Go without a close frame."""
    await client.abort(timeout=PATIENCE)


def wait(seconds):
    """Let some seconds pass."""
    return lambda client: asyncio.sleep(seconds)


def frame(opcode, payload, **options):
    """Send a frame by hand."""
    return lambda client: client.send_frame(opcode, payload, **options)


OVERSIZED = frame(2, b"", length=LIMIT + 1)
"""The beginning of a message that is over the limit, which is enough to refuse it."""


def talk(*steps, path="/", **options):
    """Return a `Talk`."""
    return Talk(steps, path, options)


# What shows each bug, what does not, and the exception or close code (or whatever else) that is seen then.
BUGS = {
    "parsing:not_json": (talk("hello"), talk("[1]", "2"), ValueError),
    "parsing:bare_value": (talk("7"), talk({"type": "a"}, "hello"), AttributeError),
    "parsing:deep_json": (talk("[" * 200_000), talk("[[1]]", "[", b"\x80"), RecursionError),
    "parsing:missing_key": (talk("{}"), talk({"type": "ping"}, "[]", "hello"), KeyError),
    "parsing:missing_member": (
        talk({"type": "subscribe"}),
        talk({"type": "subscribe", "channel": "news"}, {"type": "hello"}, {}, "hello"),
        KeyError,
    ),
    "parsing:nested_member": (talk({"cursor": {}}), talk({"cursor": {"x": 1}}, {}), KeyError),
    "parsing:unknown_type": (talk({"op": "add"}), talk({"op": 1}, {"op": "echo"}, {"op": "bye"}), KeyError),
    "parsing:method_by_name": (talk({"method": "add"}), talk({"method": "count"}, {"method": []}), AttributeError),
    "parsing:keywords": (
        talk({"method": "title", "params": {"size": 1}}),
        talk({"method": "title", "params": {"text": "a", "upper": True}}, {"method": "x", "params": {"size": 1}}),
        TypeError,
    ),
    "parsing:first_of_batch": (talk("[]"), talk("[1]", "{}", "a"), IndexError),
    "parsing:text_assumed": (talk(b"a"), talk("a", ""), TypeError),
    "parsing:binary_as_text": (talk(b"\xff"), talk("\u00e9", b"a"), UnicodeDecodeError),
    "parsing:fixed_record": (talk(b"abc"), talk(b"abcd", "abc"), Exception),
    "parsing:length_prefix": (talk(b"\x03ab"), talk(b"\x02ab", b"\x00", b""), IndexError),
    "parsing:deflated": (talk(b"plain"), talk(bytes.fromhex("789c4b040000620062"), "plain", b""), Exception),
    "parsing:base64_image": (
        talk("data:image/png;base64,a"),
        talk("data:image/png;base64,YQ==", "data:", b"data:image/png;base64,a"),
        ValueError,
    ),
    "parsing:two_words": (talk("hello"), talk("say hello", b"hello"), ValueError),
    "parsing:missing_word": (talk("/nick"), talk("/nick ann", "nick", "", b"/nick"), IndexError),
    "parsing:empty_message": (talk(""), talk("a", b""), IndexError),
    "parsing:forgotten_command": (talk("/debug"), talk("debug", "/help", b""), AttributeError),
    "parsing:ascii_only": (talk("na\u00efve"), talk("naive", b"\xff"), UnicodeEncodeError),
    "parsing:cut_character": (talk("a" * 15 + "\u00e9"), talk("a" * 14 + "\u00e9a", "a" * 40), UnicodeDecodeError),
    "parsing:lone_surrogate": (talk('{"say": "\\ud800"}'), talk({"say": "\U0001f600"}, "hello"), UnicodeEncodeError),
    "parsing:template": (talk("{}"), talk("hello, $name", "{name}", b"{}"), IndexError),
    "parsing:literal": (talk("=1+"), talk("=[1, 2]", "1+"), SyntaxError),
    "parsing:markup": (talk("<a>"), talk("<a/>", "a>", "<!DOCTYPE a>"), SyntaxError),
    "parsing:link": (talk("http://["), talk("http://example.com/", "http:/[", "["), ValueError),
    "values:number_in_text": (talk("roll x"), talk("roll 6", "x"), ValueError),
    "values:text_and_number": (talk({"amount": "1"}), talk({"amount": 1}, {"amount": 0.5}, {}), TypeError),
    "values:null_name": (
        talk({"type": "login", "name": None}),
        talk({"type": "login", "name": "ann"}, {"type": "login", "name": 1}, {"name": None}),
        AttributeError,
    ),
    "values:division": (
        talk({"op": "ratio", "of": 1, "to": 0}),
        talk({"op": "ratio", "of": 0, "to": 1}, {"op": "ratio"}),
        ZeroDivisionError,
    ),
    "values:not_finite": (talk('{"celsius": 1e999}'), talk({"celsius": 1.5}, {"celsius": 1}), ValueError),
    "values:rounded": (talk('{"volume": NaN}'), talk({"volume": 3.5}, {"volume": 10**30}), ValueError),
    "values:unhashable": (talk({"seat": []}), talk({"seat": "A1"}, {"seat": None}), TypeError),
    "values:mixed_list": (talk({"sort": [1, "a"]}), talk({"sort": [2, 1]}, {"sort": []}, {"sort": [[], 1]}), TypeError),
    "values:largest_of_none": (talk({"max": []}), talk({"max": [1, 2]}, {"max": ["a"]}), ValueError),
    "values:index_in_list": (talk({"slide": 3}), talk({"slide": 2}, {"slide": -3}, {"slide": "3"}), IndexError),
    "values:iso_date": (
        talk({"type": "book", "day": "tomorrow"}),
        talk({"type": "book", "day": "2024-02-29"}, {"day": "tomorrow"}),
        ValueError,
    ),
    "values:timestamp": (talk({"sent_at": 10**20}), talk({"sent_at": 10**9}, {"sent_at": 0.5}), Exception),
    "values:unknown_colour": (talk({"colour": "pink"}), talk({"colour": "red"}, {"colour": 1}), ValueError),
    "values:users_pattern": (talk({"find": "("}), talk({"find": "d.n"}, {"find": 1}), Exception),
    "values:asserted": (talk({"version": 3}), talk({"version": 1}, {}), AssertionError),
    "values:nested_tree": (
        talk('{"tree": ' + "[" * 700 + "]" * 700 + "}"),
        talk({"tree": [[1], 2]}, "[" * 100_000),
        RecursionError,
    ),
    "values:negative_size": (
        talk({"type": "allocate", "bytes": -1}),
        talk({"type": "allocate", "bytes": 1024}, {"type": "allocate", "bytes": 1025}),
        ValueError,
    ),
    "styles:list_of_arguments": (
        talk('["place", 9, 0, "x"]'),
        talk('["place", 7, -8, "xy"]', '["clear"]', '["place", 1]', "{}", "a"),
        IndexError,
    ),
    "styles:base_class_dispatches": (
        talk({"action": "transfer", "amount": "1"}),
        talk({"action": "transfer", "amount": 1}, {"action": "balance"}, {"action": "x", "amount": "1"}, "a"),
        TypeError,
    ),
    "styles:registered_classes": (
        talk({"event": "cart.add", "item": "tea", "count": "1"}),
        talk({"event": "cart.add", "item": "tea"}, {"event": "cart.clear", "count": "1"}, {"event": []}, "a"),
        TypeError,
    ),
    "styles:day_of_a_pattern": (
        talk("free 2024-02-30"),
        talk("busy 2024-02-29", "free tomorrow", "2024-02-30", b"free 2024-02-30"),
        ValueError,
    ),
    "styles:open_range": (talk({"pages": "1-"}), talk({"pages": "1-3,7,-,a"}, {"pages": 1}, "a"), ValueError),
    "styles:three_words": (
        talk("setex a b c"),
        talk("SETEX a 1 c", "GET a", "SETEX a", "SETEX a b c d", "", b"SETEX a b c"),
        ValueError,
    ),
    "styles:record_behind_a_header": (
        talk(b"\1\2\0\0"),
        talk(b"\1\2\0\0\0\1\0\0\0\1", b"\1\1\0\0", b"\2\2\0\0"),
        struct.error,
    ),
    "styles:ragged_rows": (
        talk({"op": "transpose", "rows": [[1, 2], [3]]}),
        talk({"op": "transpose", "rows": [[1], [2, 3]]}, {"rows": [[1, 2], [3]]}, {"op": "transpose", "rows": [1]}),
        IndexError,
    ),
    "styles:any_member": (talk({"ui": 1}), talk({"ui": {"theme": "light"}, "x": 1}, "a"), TypeError),
    "styles:missing_part": (
        talk({"t": "start", "total": 2}, {"t": "part", "n": 0, "data": "a"}, {"t": "finish"}),
        talk({"t": "finish"}, {"t": "start", "total": 1}, {"t": "part", "n": 0, "data": "a"}, {"t": "finish"}),
        KeyError,
    ),
    "styles:lock_of_another": (
        talk({"do": "release", "lock": "a"}),
        talk({"do": "acquire", "lock": "a"}, {"do": "release", "lock": "a"}, {"lock": "a"}, "a"),
        ValueError,
    ),
    "styles:two_parts_of_a_token": (talk(path="/?token=a"), talk("a", path="/?token=a.b"), ValueError),
    "styles:unknown_subscription": (
        talk({"method": "unsubscribe", "id": 1}),
        talk({"method": "subscribe"}, {"method": "unsubscribe", "id": 1}, {"method": "unsubscribe", "id": "1"}, "a"),
        KeyError,
    ),
    "state:leave_twice": (
        talk({"leave": "lobby"}, {"leave": "lobby"}),
        talk({"leave": "lobby"}, {"join": "a"}, {"join": "a"}, {"leave": "a"}),
        KeyError,
    ),
    "state:ready_twice": (talk("ready", "ready"), talk("ready", "steady"), asyncio.InvalidStateError),
    "state:after_the_last_question": (talk("a", "b", "c"), talk("a", "", "b"), Exception),
    "state:move_before_start": (
        talk({"type": "move"}),
        talk({"type": "start"}, {"type": "move"}, {}),
        AttributeError,
    ),
    "state:move_after_end": (
        talk({"type": "start"}, {"type": "resign"}, {"type": "move"}),
        talk({"type": "move"}, {"type": "resign"}, {"type": "start"}, {"type": "move"}, {"type": "resign"}),
        AttributeError,
    ),
    "state:ninth_message": (talk(*"abcdefghi"), talk(*"abcdefgh"), IndexError),
    "state:undo_of_nothing": (talk("a", "undo", "undo"), talk("a", "undo"), IndexError),
    "state:shared_settings": (talk({"limit": "9"}, "a"), talk({"limit": 9}, "a" * 10, "[]"), TypeError),
    "state:quit_in_a_loop": (talk("/quit"), talk("quit"), RuntimeError),
    "state:answer_to_another": (
        talk({"ask": 1}, {"answer": 2}),
        talk({"answer": 2}, {"ask": 1}, {"answer": 1}, {"answer": 1}),
        KeyError,
    ),
    "lifecycle:missing_argument": (talk("a"), talk("a", query={"name": "ann"}), KeyError),
    "lifecycle:number_in_query": (talk(query={"page": "x"}), talk("a", query={"page": "2"}), ValueError),
    "lifecycle:number_in_prepare": (
        talk(path="/feed", query={"since": "x"}),
        talk("a", path="/feed", query={"since": "1"}),
        ValueError,
    ),
    "lifecycle:number_in_path": (talk(path="/rooms/den"), talk("a", path="/rooms/7"), ValueError),
    "lifecycle:unknown_room": (talk(path="/chat/den"), talk("a", path="/chat/lobby"), KeyError),
    "lifecycle:close_before_hello": (talk("a"), talk({"hello": "ann"}), AttributeError),
    "lifecycle:close_before_join": (talk("a"), talk("join", "join"), ValueError),
    "lifecycle:close_code_in_table": (talk("a", abort), talk("a"), KeyError),
    "lifecycle:renamed": (
        talk({"type": "rename", "to": "ann"}),
        talk({"type": "rename", "to": ""}, {"to": "ann"}),
        KeyError,
    ),
    "lifecycle:ping_as_text": (talk(frame(9, b"\xff")), talk("a", frame(9, b"a")), UnicodeDecodeError),
    "lifecycle:pong_as_time": (talk(frame(10, b"")), talk("a", frame(10, b"1.5")), ValueError),
    "lifecycle:task_fails": (talk({"type": "order"}), talk({"type": "order", "price": 1}, {}), KeyError),
    "lifecycle:callback_fails": (talk(b"a"), talk("a\nb"), TypeError),
    "lifecycle:timer_fails": (
        talk({"remind": 1}, wait(6)),
        talk({"remind": "tea"}, wait(6), {"remind": "x"}),
        TypeError,
    ),
    "lifecycle:tick_fails": (talk({"countdown": "x"}, wait(2)), talk({"countdown": 2}, wait(5)), TypeError),
    "leaks:never_unsubscribed": (talk({"type": "subscribe"}), talk({"type": "x"}), "the handler"),
    "leaks:two_rooms": (talk({"join": "a"}, {"join": "b"}), talk({"join": "a"}, {"join": "a"}), "the handler"),
    "leaks:kept_after_a_cut": (talk("a", abort), talk("a"), "the handler"),
    "leaks:forgotten_await": (talk("join"), talk("a"), "the handler"),
    "leaks:bound_listener": (talk({"listen": "x"}), talk({"listen": 1}), "the handler"),
    "leaks:history_with_handlers": (talk({"say": "x"}), talk("say"), "the handler"),
    "leaks:second_ticker": (talk("watch", "watch"), talk("watch", wait(3)), "a timer"),
    "leaks:timer_again_and_again": (talk("poll"), talk("a"), "a timer"),
    "leaks:task_for_ever": (talk({"type": "follow", "file": "a"}), talk({"type": "follow"}), "a task"),
    "leaks:waiting_for_news": (talk("next"), talk("a"), "a task"),
    "leaks:long_goodbye": (talk({"stream": "on"}), talk({"stream": "off"}), "a task"),
    "stuck:sleeps": (talk({"type": "measure"}), talk({"type": "x"}), None),
    "stuck:evil_pattern": (talk("a" * 24), talk("hello world!", "a" * 12), None),
    "stuck:counts": (talk({"count": 10**15}), talk({"count": 1000}, {"count": -1}), None),
    "stuck:compares": (talk("a" * 6200), talk("hello"), None),
    "stuck:waits_for_ever": (talk({"type": "approve"}), talk({"type": "x"}), None),
    "stuck:lock_kept": (talk("begin", "begin"), talk("commit", "begin", "commit", "begin"), None),
    "stuck:queue_full": (talk(*[{"job": "a"}] * 4), talk(*[{"job": "a"}] * 3, "a"), None),
    "stuck:resumes_for_ever": (talk("a", query={"resume": "7"}), talk("a", query={"resume": ""}), None),
    "closing:stream_closed": (talk("quit"), talk("a"), 1006),
    "closing:hangs_up_on_binary": (talk(b"a"), talk("a"), 1006),
    "closing:three_strikes": (talk("a", "b", {"a": 1}, "c"), talk("a", {"a": 1}, "b"), 1006),
    "closing:dropped_in_open": (talk(query={"version": "1"}), talk("a", query={"version": "2"}), 1006),
    "closing:internal_error": (talk({"type": "x"}), talk({"type": "get"}), 1011),
    "closing:protocol_error": (talk("a"), talk({"a": 1}), 1002),
    "closing:http_status": (talk("a" * 101), talk("a" * 100, b"a" * 101), 413),
    "closing:reserved_code": (talk({"type": "transfer", "to": "/x"}), talk({"type": "transfer", "to": "x"}), 2000),
    "closing:code_of_the_user": (talk({"close": 1014}), talk({"close": 999}, {"close": 4000}), 1014),
    "closing:never_on_the_wire": (talk("/disconnect"), talk("disconnect"), 1015),
    "closing:long_reason": (talk({"command": "x" * 120}), talk({"command": "help"}, {"command": "x"}), ValueError),
    "closing:reason_in_characters": (talk("bye " + "\u20ac" * 42), talk("by", "bye " + "a" * 200), ValueError),
    "closing:writes_after_close": (
        talk({"type": "login", "name": "x y"}),
        talk({"type": "login", "name": "ann"}, {"type": "login"}),
        Exception,
    ),
    "closing:ping_after_close": (talk(*"abcde"), talk(*"abcd"), Exception),
    "closing:closes_then_waits": (talk("stop"), talk("a"), None),
    "closing:own_connection_close": (talk({"run": "a"}), talk({"run": "a"}, {"stop": 1}), None),
    "security:first_subprotocol": (talk("a"), talk("a", subprotocols=["a"]), IndexError),
    "security:subprotocol_by_default": (
        talk(subprotocols=["a"]),
        talk("a", subprotocols=["a", "graphql-ws"]),
        AssertionError,
    ),
}

HEALTHY = {
    "echo": (talk("a", b"\xff", ""), ["a", b"\xff", ""]),
    "chat": (talk("a"), [{"said": "a"}]),
    "guarded_broadcast": (talk("abc"), [{"length": 3}]),
    "json_rpc": (
        talk({"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": 7}, path="/rpc"),
        [{"jsonrpc": "2.0", "result": 3, "id": 7}],
    ),
    "polite": (talk({"type": "hello"}, {"type": "x"}), [{"type": "hello"}]),
    "token_login": (talk({"token": "open sesame"}, "abc"), [{"welcome": "ann"}, {"user": "ann", "length": 3}]),
    "slow": (talk("abc", wait(2)), [{"length": 3}]),
    "slow_opening": (talk("a", wait(3)), ["hello", "thanks"]),
    "mute": (talk("a"), []),
    "ticking": (talk(wait(2.5), "stop", wait(5), path="/clock"), [{"time": ANY}] * 2),
    "compressed": (talk("abc", compression_options={}), ["abcabcabc"]),
    "subprotocols": (talk("a", subprotocols=["chat.v9", "chat.v1"]), [{"subprotocol": "chat.v1"}]),
    "rooms": (talk("a", path="/rooms/den"), [{"room": "den"}, {"ok": True}]),
    "tables": (talk("a", path="/table/7"), [{"table": 7}]),
    "checked_query": (talk("a", path="/feed", query={"page": 7}), [{"page": 7}]),
    "own_origin": (talk("a", origin="https://example.com", **COOKIE), [{"known": True}, {"ok": True}]),
    "public": (talk("a", path="/prices", origin="https://evil.example"), [{"price": 7}]),
    "executor": (talk("a"), [{"sha256": ANY}]),
    "background": (talk("a", wait(1.5), "b", wait(1.5)), [{"percent": 25}] * 2),
    "pubsub": (
        talk({"subscribe": "a"}, {"publish": "a", "text": "b"}, {"publish": "c", "text": "d"}),
        [{"topic": "a", "text": "b"}],
    ),
    "graphql": (
        talk({"type": "connection_init"}, {"type": "subscribe", "id": "1"}, {"type": "x"}, path="/graphql"),
        [{"type": "connection_ack"}, {"type": "next", "id": "1", "payload": {"data": None}}],
    ),
    "binary_records": (talk(b"\x01\x00\x02ab", b"\x01\x00\x03ab"), [b"\x02\x00\x02"]),
    "last_messages": (talk("a", b"b"), [{"history": []}, {"count": 1}, {"count": 2}]),
    "past_users": (talk("a", "b"), [{"count": 1}, {"count": 2}]),
    "rate_limited": (talk(*"abcdefghij", wait(1), *"abcdefghijk"), [{"length": 1}] * 20),
    "busy": (talk("a"), [{"users": 1}]),
    "tells_of_pings": (talk(frame(9, b"a"), "b"), [{"ping": "61"}, {"ok": True}]),
    "heartbeats": (talk(wait(600), "a"), [{"ok": True}]),
    "members_only": (talk("a", path="/members", **COOKIE), [{"user": "ann"}]),
    "one_answer": (talk("a", "b"), [{"answer": 42}]),
    "lobby": (talk("a"), [{"error": "nobody is there yet"}]),
    "small_messages": (talk("a" * 1024, "a" * 1025), [{"length": 1024}]),
    "patient_reader": (talk("a"), [{"part": number, "text": "x"} for number in range(5)]),
}
CLOSED_BY = {
    "polite": 4004,
    "graphql": 4400,
    "binary_records": 4000,
    "rate_limited": 1008,
    "one_answer": 1005,
    "small_messages": 1009,
}
"""How these conversations end, where it is not by the client."""
REFUSED = {
    "rooms": (404, talk(path="/rooms/attic")),
    "checked_query": (400, talk(path="/feed", query={"page": "x"})),
    "own_origin": (403, talk(origin="https://evil.example", **COOKIE)),
    "members_only": (302, talk(path="/members")),
}
NASTY = (
    "",
    b"",
    b"\x01",
    b"\xff\x00\x80",
    "\x00{",
    "[" * 50_000,
    '{"a":' * 500 + "1" + "}" * 500,
    "null",
    '{"type": null, "id": [], "method": {}, "params": "x"}',
    '{"type": "subscribe", "id": "1"}',
    '{"n": 1e999, "m": NaN}',
    "9" * 5000,
    "\U0001f600" * 2000,
    bytes(70_000),
    frame(9, b"\xff" * 125),
    frame(10, b"\xff"),
)


async def flood(client):
    """Send everything that is nasty at once."""
    for message in NASTY:
        await (message(client) if callable(message) else client.send(message))


def setUpModule():
    """Be quick, and quiet: Tornado logs each exception of a handler."""
    gc.collect()
    gc.freeze()  # else each collection of garbage looks at all that the other tests have imported
    logging.disable(logging.CRITICAL)


def tearDownModule():
    """Undo `setUpModule`."""
    logging.disable(logging.NOTSET)
    gc.unfreeze()


class ZooTestCase(unittest.TestCase):
    """What the apps do."""

    def setUp(self):
        self.enterContext(warnings.catch_warnings())
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)

    def assert_bugs(self, code, check=lambda seen, detail: None):
        """Each app with this code shows it, and shows nothing in an ordinary talk; ``check`` has the details."""
        for name, (trigger, ordinary, detail) in BUGS.items():
            if ZOO[name].code == code:
                with self.subTest(name):
                    seen = visit(name, trigger)
                    self.assertEqual(seen.symptoms(), {code}, seen)
                    check(seen, detail)
                    self.assert_clean(name, ordinary)

    def assert_clean(self, name, talk, **options):
        """Nothing is wrong with an app in this talk, and nothing stays behind."""
        seen = visit(name, talk, **options)
        self.assertEqual((seen.symptoms(), seen.status, seen.left), (set(), 101, []), seen)
        return seen


class BuggyTest(ZooTestCase):
    """The apps with a bug that their handlers show."""

    def test_server_errors(self):
        """A handler raises what it should, and only where it should."""
        self.assert_bugs("server-error", lambda seen, error: self.assertTrue(issubclass(seen.errors[0], error), seen))

    def test_a_server_error_before_the_opening(self):
        """What raises before the connection is open ends the opening handshake with a 500."""
        for name in ("lifecycle:number_in_prepare", "security:first_subprotocol", "security:subprotocol_by_default"):
            self.assertEqual(visit(name, BUGS[name][0]).status, 500, name)

    def test_dropped(self):
        """The connection is dropped without a close frame."""
        self.assert_bugs("dropped", lambda seen, code: self.assertEqual(seen.code, code))

    def test_close_codes(self):
        """The close code is none that an app may send."""
        self.assert_bugs("close-code", lambda seen, code: self.assertEqual(seen.code, code))

    def test_unresponsive(self):
        """A ping gets no pong."""
        self.assert_bugs("unresponsive")

    def test_blocked_loop(self):
        """The loop stands still for more than half a second."""
        self.assert_bugs("blocked-loop")

    def test_unclean_close(self):
        """`on_close` never runs."""
        self.assert_bugs("unclean-close")

    def test_leaks(self):
        """A handler, a task or a timer stays behind."""
        self.assert_bugs("leak", lambda seen, what: self.assertIn(what, " ".join(seen.left)))


class OpenDoorsTest(ZooTestCase):
    """The apps with a bug that nobody notices who does not look for it."""

    def test_any_origin(self):
        """A page from anywhere connects with the cookie of a user."""
        for origin in ({}, {"origin": "https://evil.example"}):
            seen = self.assert_clean("security:any_origin", talk("a", **COOKIE, **origin))
            self.assertEqual(seen.values, [{"known": True}, {"ok": True}])

    def test_origin_contains_host(self):
        """A foreign origin is refused, but for one that contains the host."""
        self.assertEqual(visit("security:origin_contains_host", talk(origin="https://evil.example")).status, 403)
        options = {"origin": "https://127.0.0.1:1.evil.example", "cookies": {"session": "7"}}
        seen = self.assert_clean("security:origin_contains_host", talk("a", **options))
        self.assertEqual(seen.values, [{"session": True}])

    def test_oversize(self):
        """The beginning of a message beyond all limits closes with 1009 as a rule, and not here."""
        for name, path in (("no_limit", "/"), ("no_limit_for_uploads", "/upload")):
            seen = visit(f"security:{name}", talk(OVERSIZED, path=path))
            self.assertEqual((seen.code, seen.answered), (None, False), name)  # it waits for the rest
            seen = self.assert_clean(f"security:{name}", talk("abc", path=path))
            self.assertEqual(seen.values, [{"size": 3}])
        for name, path in (("security:no_limit_for_uploads", "/talk"), ("healthy:echo", "/")):
            self.assertEqual(visit(name, talk(OVERSIZED, path=path)).code, 1009, name)

    def test_subprotocol_in_header(self):
        """A subprotocol is chosen that was not offered."""
        for offered in ([], ["chat.v0"], ["chat.v1"]):
            seen = self.assert_clean("security:subprotocol_in_header", talk("a", subprotocols=offered))
            self.assertEqual(seen.subprotocol, "chat.v1")

    def test_isolation(self):
        """A bystander hears what is not for it, and only where it should."""
        for name, private, public, heard in (
            ("errors_to_all", "a", {"a": 1}, {"error": 1}),
            ("answers_the_last_one", {"type": "balance"}, {"type": "x"}, {"balance": 100}),
        ):
            with self.subTest(name):
                seen = self.assert_clean(f"security:{name}", talk(private), bystander=True)
                self.assertEqual(seen.overheard, [heard])
                seen = self.assert_clean(f"security:{name}", talk(public), bystander=True)
                self.assertEqual((seen.values, seen.overheard), ([{"ok": True}], []))


class HealthyTest(ZooTestCase):
    """The apps without a bug."""

    def test_a_sensible_talk(self):
        """Each does what it is for, closes as it should, and leaves nothing behind."""
        for name, (ordinary, values) in HEALTHY.items():
            with self.subTest(name):
                seen = self.assert_clean(f"healthy:{name}", ordinary)
                self.assertEqual((seen.values, seen.code), (values, CLOSED_BY.get(name)))

    def test_each_nasty_message(self):
        """No message is too much for any of them."""
        for name, (ordinary, _) in HEALTHY.items():
            for message in NASTY:
                with self.subTest(name, message=str(message)[:20]):
                    self.assert_clean(f"healthy:{name}", dataclasses.replace(ordinary, steps=(message,)))

    def test_a_flood_and_a_cut(self):
        """All nasty messages at once, and a connection that is cut, are not too much either."""
        for name, (ordinary, _) in HEALTHY.items():
            for steps in ((abort,), (flood, abort), (flood,), (*ordinary.steps, abort), (*NASTY, abort)):
                with self.subTest(name, steps=steps):
                    self.assert_clean(f"healthy:{name}", dataclasses.replace(ordinary, steps=steps))

    def test_refusals(self):
        """Who may not come in is refused before the connection is open, and not with a 500."""
        for name, (status, stranger) in REFUSED.items():
            seen = visit(f"healthy:{name}", stranger)
            self.assertEqual((seen.status, seen.errors), (status, []), name)

    def test_closed_in_open(self):
        """A connection that is not for the user is closed with a code that says so."""
        for number in ("0", "100", "9" * 5000):
            self.assertEqual(visit("healthy:tables", talk(path=f"/table/{number}")).code, 4404)
        self.assertEqual(visit("healthy:token_login", talk(wait(11))).code, 4408)
        self.assertEqual(visit("healthy:token_login", talk("x")).code, 4401)

    def test_the_codes_of_polite(self):
        """Each offence has its code."""
        codes = {b"a": 1003, "a" * 1001: 1009, "a": 1007, '{"type": "bye"}': 1000, '{"type": 1}': 4005}
        for message, code in codes.items():
            self.assertEqual(visit("healthy:polite", talk(message)).code, code)

    def test_two_users(self):
        """What one says is for the other in these apps."""
        for name, message, heard in (
            ("chat", "a", {"said": "a"}),
            ("guarded_broadcast", "a", {"length": 1}),
            ("lobby", "a", "a"),
        ):
            seen = self.assert_clean(f"healthy:{name}", talk(message), bystander=True)
            self.assertIn(heard, seen.overheard, name)

    def test_a_third_user(self):
        """An app for two users sends a third one away for now."""

        async def three():
            async with WebSocketTester(ZOO["healthy:busy"].make_app(), transport="memory") as wstest:
                users = [await wstest.client() for _ in range(3)]
                await users[2].expect_closed(1013)

        asyncio.run(three())


class CensusTest(unittest.TestCase):
    """What lives here."""

    def test_every_app_is_shown(self):
        """There is a test for each app."""
        doors = {name for name, each in ZOO.items() if each.code in ("origin", "oversize", "subprotocol", "isolation")}
        self.assertEqual({name for name, each in ZOO.items() if each.code}, {*BUGS, *doors})
        self.assertEqual({name for name, each in ZOO.items() if not each.code}, {f"healthy:{name}" for name in HEALTHY})
        self.assertEqual(len(doors), 7)

    def test_codes_and_needs(self):
        """Each code of a check has a bug to find, and what a bug needs is told in known words."""
        self.assertEqual({each.code for each in ZOO.values()}, {None, *CODES})
        self.assertEqual({each.needs for each in ZOO.values()}, set(NEEDS))

    def test_factories(self):
        """Each is a documented factory where its name says, and makes a fresh app each time."""
        for name, each in ZOO.items():
            self.assertIs(pkgutil.resolve_name(each.target), each.make_app)
            self.assertTrue(each.make_app.__doc__, name)
            self.assertIsNot(each.make_app(), each.make_app())

    def test_needs_no_more_than_it_says(self):
        """A bug that is said to need messages alone is shown by messages alone."""
        for name, (trigger, _, _) in BUGS.items():
            if not ZOO[name].needs:
                self.assertFalse([step for step in trigger.steps if callable(step)] or trigger.options, name)
                self.assertEqual(trigger.path, "/", name)
