"""A client of a server elsewhere: staging, a live server, another process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from .client import WebSocketTestClient
from .codec import JSON, Codec
from .endpoint import Plan, Surroundings
from .errors import UsageError
from .handshake import Handshake, check_handshake
from .patience import DEFAULT_GRACE, default_timeout
from .request import HandshakeRequest, build_request, check_path, check_timeout
from .simulation.settle import Settling
from .text import show
from .transcript import Transcript
from .wire import LoopResolver

__all__ = ["connect"]

__unittest = True


def connect(url: str, **options: Any) -> contextlib.AbstractAsyncContextManager[WebSocketTestClient]:
    """Connect a client to a server elsewhere: staging, a live server, another process.

    ::

        async with connect("wss://staging.example.org/chat", handshake=discard(1)) as client:
            await client.send("foo")
            await client.expect("foo")

    Takes what `WebSocketTester.client` takes, and a URL for the path. What another process does cannot be
    seen: ``handler`` is None, and silence means that nothing came for a moment (20 ms).
    """
    if not isinstance(url, str) or urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).netloc:
        raise UsageError(f"connect() takes a URL such as 'ws://127.0.0.1:8888/chat', not {show(url)}")
    if urlsplit(url).fragment:
        raise UsageError(f"the URL {show(url)} has a fragment, which no server gets to see (RFC 6455, section 3)")
    if options.get("handshake") is not None:
        check_handshake(options["handshake"])
    elif options.get("handshake_kwargs"):
        raise UsageError("handshake_kwargs without a handshake: there is nothing that takes them")
    if options.get("codec") is not None and not isinstance(options["codec"], Codec):
        raise UsageError(f"codec is a Codec(encode, decode), not {show(options['codec'])}")
    return _connected(url, **options)


@contextlib.asynccontextmanager
async def _connected(
    url: str,
    *,
    name: str = "client",
    handshake: Handshake | None = None,
    handshake_kwargs: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    codec: Codec | None = None,
    **options: Any,
) -> AsyncIterator[WebSocketTestClient]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def plan(path: str | None, options: Mapping[str, Any]) -> tuple[str, HandshakeRequest]:
        request = build_request(check_path(path), {}, options, callbacks=False)
        return base + request.path, request

    surroundings = Surroundings(
        settling=Settling.of(loop),
        transcript=Transcript(lambda: loop.time() - started),
        codec=codec or JSON,
        timeout=default_timeout() if timeout is None else check_timeout(timeout),
        patience=default_timeout(),
        grace=DEFAULT_GRACE,
        resolver=LoopResolver(),
        through=contextlib.nullcontext,
        server=None,
        plan=plan,
    )
    client = WebSocketTestClient(name, surroundings, codec=codec, timeout=timeout)
    try:
        await client.open(Plan(path, options, handshake, handshake_kwargs or {}))
        yield client
        await client.close()
    except Exception as error:
        error.add_note(surroundings.transcript.render(first=name, unread=client.unread_events()))
        raise
    finally:
        await client.end()
        surroundings.resolver.close()
        surroundings.settling.release()
