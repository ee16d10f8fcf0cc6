"""The request of an opening handshake: where to, with which headers, cookies and options.

Pure: from what a test says to what `tornado.websocket.websocket_connect` is called with. What a test case
says for all its clients (`get_ws_options`) and what a call says for one are joined here.
"""

import http.cookies
import inspect
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.web import Application, create_signed_value
from tornado.websocket import websocket_connect

from .cookies import CookieJar
from .errors import UsageError
from .text import nearest, show

__all__ = [
    "CLIENT_OPTIONS",
    "HandshakeRequest",
    "build_request",
    "check_close",
    "check_cookies",
    "check_fetch",
    "check_headers",
    "check_pairs",
    "check_path",
    "check_seconds",
    "check_timeout",
    "cookie_header",
    "join_headers",
    "join_query",
    "sign",
]

CLIENT_OPTIONS = ("path", "name", "handshake", "handshake_kwargs", "timeout", "codec")
"""What a client takes besides the options of its connection."""
_OURS = ("headers", "origin", "cookies", "signed_cookies", "query", "subprotocols")
_INSIDE = ("jar",)  # what a session says, and no user
_HTTP_REQUEST = frozenset(inspect.signature(HTTPRequest.__init__).parameters) - {
    "self", "url", "method", "headers", "body", "body_producer", "follow_redirects", "max_redirects",
    "streaming_callback", "header_callback", "prepare_curl_callback", "expect_100_continue", "if_modified_since",
}  # fmt: skip
_WEBSOCKET_CONNECT = frozenset(inspect.signature(websocket_connect).parameters) - {
    "url", "callback", "connect_timeout", "subprotocols",
}  # fmt: skip
_OPTIONS = _HTTP_REQUEST | _WEBSOCKET_CONNECT
_FETCH = frozenset(inspect.signature(HTTPRequest.__init__).parameters) - {"self", "url"} | {
    "data", "json", "xsrf", "raise_error",
}  # fmt: skip

_NEVER_SENT = (1005, 1006, 1015)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HandshakeRequest:
    """What `websocket_connect` is called with.

    :arg path: with its query
    :arg headers: those that the test asked for; no other
    :arg request_options: keyword arguments of `HTTPRequest`
    :arg connect_options: keyword arguments of `websocket_connect`
    :arg jar: what keeps the cookies that the answer sets, if they are kept
    """

    def __init__(
        self, path: str, headers: HTTPHeaders, options: Mapping[str, Any], jar: CookieJar | None = None
    ) -> None:
        self.path = path
        self.headers = headers
        self.jar = jar
        own = {name: value for name, value in options.items() if name in _HTTP_REQUEST}
        self.request_options: dict[str, Any] = own
        self.connect_options: dict[str, Any] = {name: value for name, value in options.items() if name not in own}

    def keep_cookies(self, answer: HTTPHeaders | None) -> None:
        """Do what the headers of an answer say about cookies, if this request has a jar."""
        if self.jar is not None and answer is not None:
            self.jar.obey(self.path, answer)


def build_request(
    path: str,
    common: Mapping[str, Any],
    call: Mapping[str, Any],
    *,
    app: Any = None,
    callbacks: bool = True,
    also: Iterable[str] = (),
) -> HandshakeRequest:
    """Join what is said for all connections (``common``) with what is said for this one (``call``).

    Headers, cookies and query of the call are added to the common ones; any other option replaces its
    common one. Raises `UsageError` for what cannot be meant.

    :arg app: the app whose ``cookie_secret`` signs ``signed_cookies``
    :arg callbacks: may there be an ``on_message_callback``?
    :arg also: what the caller takes besides: an option that is unknown may be one of these, misspelt
    """
    if not common and not call:
        return HandshakeRequest(path, HTTPHeaders(), {}, None)  # as most are
    for options in (common, call):
        _check_options(options, callbacks, also)
    query = [*check_pairs("query", common.get("query")), *check_pairs("query", call.get("query"))]
    headers = join_headers(common.get("headers"), call.get("headers"))
    for options in (common, call):
        if options.get("origin") is not None:
            headers["Origin"] = _check_header("Origin", options["origin"])
    jar: CookieJar | None = call.get("jar")
    cookies = _join_cookies(path, jar, check_cookies(common, app), check_cookies(call, app))
    if cookies:
        headers["Cookie"] = "; ".join(filter(None, [headers.get("Cookie"), cookies]))
    rest = {name: value for name, value in {**common, **call}.items() if name not in (*_OURS, *_INSIDE)}
    subprotocols = call["subprotocols"] if call.get("subprotocols") is not None else common.get("subprotocols")
    if subprotocols is not None:
        rest["subprotocols"] = _subprotocols(subprotocols)
    return HandshakeRequest(join_query(path, query), headers, rest, jar)


def _join_cookies(path: str, jar: CookieJar | None, common: dict[str, str], call: dict[str, str]) -> str:
    """A cookie of the call's counts more than the jar's, and that more than one that all connections have."""
    if jar is None:
        return cookie_header({**common, **call})
    kept = jar.read(path)
    others = {name: value for name, value in common.items() if name not in kept}
    return "; ".join(filter(None, [jar.header(path, without=call), cookie_header({**others, **call})]))


def join_headers(common: Any, call: Any) -> HTTPHeaders:
    """Return the headers of both; those of the ``call`` are in place of ``common`` ones of the same name."""
    headers, ours = check_headers(common), check_headers(call)
    for name in ours:
        headers.pop(name, None)
    for name, value in ours.get_all():
        headers.add(name, value)
    return headers


def check_path(path: object) -> str:
    """Return ``path`` if it is one; raise `UsageError` if it is not."""
    if not isinstance(path, str):
        raise UsageError(f"a path is a str such as '/chat', not {show(path)}")
    if not path.startswith("/") and "://" in path.partition("?")[0]:
        raise UsageError(
            f"{show(path)} is a URL; the factories connect to the app under test and take a path such as '/chat'\n"
            "for a server elsewhere there is connect(url)"
        )
    if not path.startswith("/"):
        raise UsageError(f"the path {show(path)} does not start with a slash: did you mean {'/' + path!r}?")
    if any(ord(c) <= 32 or ord(c) == 127 or c == "#" for c in path):
        raise UsageError(f"the path {show(path)} has a character that must be percent-encoded (urllib.parse.quote)")
    return path


def check_fetch(*, method: object, xsrf: object, **options: Any) -> None:
    """Raise `UsageError` for what a session's ``fetch`` cannot take."""
    if not isinstance(method, str) or not method.isupper():
        raise UsageError(f"method is a name such as 'POST', not {show(method)}")
    if not isinstance(xsrf, bool):
        raise UsageError(f"xsrf is True or False, not {show(xsrf)}: the session has the token")
    for name in options:
        if name not in _FETCH:
            raise UsageError(f"unknown option {name!r}: {nearest(name, _FETCH)}")


def check_timeout(timeout: Any, name: str = "timeout") -> float:
    """Return ``timeout`` if it is a number of seconds above zero; raise `UsageError` if it is not."""
    if not _is_number(timeout) or not timeout > 0:
        raise UsageError(f"{name} is a number of seconds above 0, not {show(timeout)}")
    return float(timeout)


def check_seconds(seconds: Any, name: str = "seconds") -> float:
    """Return ``seconds`` if it is a number, 0 or more; raise `UsageError` if it is not."""
    if not _is_number(seconds) or seconds < 0:
        raise UsageError(f"{name} is a number of seconds, 0 or more, not {show(seconds)}")
    return float(seconds)


def check_close(code: object, reason: object) -> None:
    """Raise `UsageError` for a code or a reason that no close frame of a well-behaved client has."""
    if code is not None and (type(code) is not int or not 1000 <= code <= 4999 or code in _NEVER_SENT):
        raise UsageError(
            f"a close code is a number from 1000 to 4999 that a peer may send, not {show(code)}\nsend_frame() sends any"
        )
    if not isinstance(reason, str) or len(reason.encode()) > 123:
        raise UsageError(f"a close reason is a str of up to 123 bytes, not {show(reason)}")
    if reason and code is None:
        raise UsageError("a close reason needs a code")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def join_query(path: str, query: Iterable[tuple[str, Any]]) -> str:
    """Append ``query`` to ``path``, encoded."""
    encoded = urlencode(list(query), doseq=True)
    if not encoded:
        return path
    return f"{path}{'&' if '?' in path else '?'}{encoded}"


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return the ``Cookie`` header for ``cookies``, quoted where RFC 6265 demands it."""
    parts = []
    for name, value in cookies.items():
        try:
            parts.append(http.cookies.SimpleCookie({name: value})[name].OutputString([]))
        except http.cookies.CookieError:
            raise UsageError(f"{show(name)} cannot be a cookie's name") from None
    return _check_header("Cookie", "; ".join(parts))


def sign(app: Any, name: str, value: str | bytes) -> str:
    """Return a cookie's value as `RequestHandler.set_signed_cookie` of ``app`` would set it."""
    settings = app.settings if isinstance(app, Application) else {}
    secret = settings.get("cookie_secret")
    if secret is None:
        raise UsageError(f"signed_cookies: the app has no cookie_secret to sign {name!r} with")
    signed = create_signed_value(secret, name, value, key_version=settings.get("key_version"))
    return signed.decode("ascii")


def _check_options(options: Mapping[str, Any], callbacks: bool, also: Iterable[str]) -> None:
    for name in options:
        if name in _INSIDE and isinstance(options[name], CookieJar):
            continue
        if name not in _OURS and name not in _OPTIONS:
            raise UsageError(f"unknown option {name!r}: {nearest(name, {*_OURS, *_OPTIONS, *also})}")
    if options.get("on_message_callback") is not None and not callbacks:
        raise UsageError(
            "on_message_callback= is taken: a client of this package receives its messages that way\n"
            "use ws_connect() for a plain connection with a callback of your own"
        )
    for name in ("connect_timeout", "request_timeout"):
        if options.get(name) is not None:
            check_timeout(options[name], name)
    for name in ("ping_interval", "ping_timeout", "max_message_size"):
        value = options.get(name)
        if value is not None and not (_is_number(value) and value >= 0):
            raise UsageError(f"{name} is a number, 0 or more, not {show(value)}")


def check_headers(headers: Any) -> HTTPHeaders:
    """Return ``headers`` if they can be sent; raise `UsageError` if they cannot."""
    if headers is None:
        return HTTPHeaders()
    checked = HTTPHeaders()
    for name, value in headers.get_all() if isinstance(headers, HTTPHeaders) else check_pairs("headers", headers):
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{show(name)} cannot be a header's name")
        checked.add(name, _check_header(name, value))
    return checked


def _check_header(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise UsageError(f"the header {name} is a str, not {show(value)}")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise UsageError(f"the header {name} cannot carry {show(value)}: a header is latin-1, quote it") from None
    if _CONTROL.search(value):
        raise UsageError(f"the header {name} has a line break or another control character in it: {show(value)}")
    return value


def check_cookies(options: Mapping[str, Any], app: Any) -> dict[str, str]:
    """Return the ``cookies`` and the ``signed_cookies`` of ``options``, those signed as ``app`` does it."""
    cookies = {}
    for name, value in check_pairs("cookies", options.get("cookies")):
        if value is None or isinstance(value, bytes):
            raise UsageError(f"the cookie {name!r} is a str, not {show(value)}")
        cookies[name] = str(value)
    for name, value in check_pairs("signed_cookies", options.get("signed_cookies")):
        if not isinstance(value, (str, bytes)):
            raise UsageError(f"the signed cookie {name!r} is a str or bytes, not {show(value)}")
        cookies[name] = sign(app, name, value)
    return cookies


def check_pairs(option: str, given: Any) -> list[tuple[str, Any]]:
    """Return the pairs of what the ``option`` was given: a mapping or a list of pairs with names that are str."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        pairs = list(given.items())
    elif isinstance(given, (list, tuple)) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in given):
        pairs = [(name, value) for name, value in given]
    else:
        raise UsageError(f"{option}= is a mapping or a list of pairs, not {show(given)}")
    for name, _ in pairs:
        if not isinstance(name, str):
            raise UsageError(f"{option}= has names that are str, not {show(name)}")
    return pairs


def _subprotocols(subprotocols: Any) -> list[str]:
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):
        raise UsageError(f"subprotocols= is a list of names, not {show(subprotocols)}")
    names = list(subprotocols)
    if not all(isinstance(name, str) and name and name.isprintable() for name in names):
        raise UsageError(f"subprotocols= is a list of names, not {show(names)}")
    return names
