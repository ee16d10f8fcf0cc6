"""One user: cookies shared by HTTP and websockets.

Every request of a session goes through the tester's own `fetch`, `connect`, `client` and `expect_rejected`; what
the session adds is its headers and its `CookieJar`. HTTP redirects are followed here and not by Tornado, which
forgets the cookies that are set on the way. The jar of a websocket's opening handshake travels with its options
(``jar``), so that a client that reconnects sends what the jar holds by then.
"""

import secrets
from collections.abc import Callable, Coroutine, Mapping
from json import dumps
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urljoin, urlsplit

from tornado.httpclient import HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.web import Application
from tornado.websocket import WebSocketClientConnection

from .client import WebSocketTestClient
from .cookies import CookieJar
from .errors import UsageError
from .opening import Opening
from .request import check_cookies, check_fetch, check_headers, check_pairs, check_path, cookie_header, join_headers
from .text import show

__all__ = ["Session"]

__unittest = True

_URL_CHARACTERS = "/?:@!$&'()*+,;=%~[]"
_SENDS_A_BODY = ("POST", "PUT", "PATCH")
_OF_A_BODY = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")


class _Server(Protocol):
    """What a session needs of an `AppServer`."""

    @property
    def app(self) -> Any: ...
    @property
    def protocol(self) -> str: ...
    def url(self, path: str) -> str: ...


class _Tester(Protocol):
    """What a session needs of a `WebSocketTester`."""

    @property
    def server(self) -> _Server: ...
    async def fetch(self, path: str, *, method: str = "GET", **options: Any) -> HTTPResponse: ...
    def connect(self, path: str | None = None, **options: Any) -> Coroutine[Any, Any, WebSocketClientConnection]: ...
    def client(self, path: str | None = None, **options: Any) -> Opening[WebSocketTestClient]: ...
    async def expect_rejected(self, path: str | None = None, **options: Any) -> HTTPResponse: ...


class Session:
    """One user, whose cookies go with every request and every websocket.

    ::

        ann = self.ws_session("ann")
        await ann.fetch("/login", method="POST", data={"name": "ann", "password": "secret"})
        client = await ann.ws_client("/chat")

    What the server sets with ``Set-Cookie`` is obeyed as RFC 6265 has it, whoever sets it: a page, a redirect on
    the way, the opening handshake of a websocket, also a refused one. Expiry is by the test's clock where time
    is virtual. Two sessions share nothing.

    The app under test is the only host there is: ``Domain`` and ``SameSite`` are not looked at. Cookies of a
    call (``ws_client(cookies=...)``) go with that call only, in place of those of the same name.

    Made by `WebSocketTester.session` and ``ws_session``; it ends with its test.

    :arg name: how failures call its clients: ``ann``, then ``ann 2``, ...
    :arg cookies: what the user has from the start, for every path
    :arg signed_cookies: the same, signed as the app's `set_signed_cookie` does it
    :arg headers: go with every request, unless the call has one of that name
    :arg now: the tester's clock, in seconds
    """

    def __init__(
        self,
        tester: _Tester,
        name: str | None = None,
        *,
        cookies: Mapping[str, str] | None = None,
        signed_cookies: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | HTTPHeaders | None = None,
        now: Callable[[], float],
    ) -> None:
        if name is not None and (not isinstance(name, str) or not name):
            raise UsageError(f"a session's name is a str, not {show(name)}")
        self.name = name
        self._tester = tester
        self._headers = check_headers(headers)
        self._jar = CookieJar(now, secure=tester.server.protocol == "https")
        self._clients = 0
        given = check_cookies({"cookies": cookies, "signed_cookies": signed_cookies}, tester.server.app)
        for cookie, value in given.items():
            self._jar.put(cookie, cookie_header({cookie: value}).partition("=")[2])

    @property
    def cookies(self) -> Mapping[str, str]:
        """What a handler of the path ``/`` reads now: names and values. Looking changes nothing."""
        return MappingProxyType(self._jar.read("/"))

    async def fetch(
        self,
        path: str,
        *,
        method: str = "GET",
        data: Mapping[str, Any] | None = None,
        json: Any = None,
        xsrf: bool = False,
        raise_error: bool = False,
        follow_redirects: bool = True,
        max_redirects: int = 5,
        **options: Any,
    ) -> HTTPResponse:
        """Fetch a path of the app over HTTP, with the cookies of this user.

        ::

            response = await ann.fetch("/rooms", method="POST", data={"name": "den"}, xsrf=True)

        :arg data: a form, sent urlencoded; a value may be a list
        :arg json: sent as JSON
        :arg xsrf: send the ``_xsrf`` cookie (a new one, if the user has none) and its token as ``X-XSRFToken``,
            which is what ``xsrf_cookies=True`` demands. Nothing is sent otherwise but a cookie that is there
        :arg raise_error: raise `HTTPClientError` for a status of 400 and more
        :arg follow_redirects: to paths of the app; one that leads elsewhere is returned
        :arg options: keyword arguments of `tornado.httpclient.HTTPRequest`; time-outs are for each redirect

        A ``POST``, ``PUT`` or ``PATCH`` without a body sends an empty one.
        """
        __tracebackhide__ = True
        check_path(path)
        check_fetch(method=method, xsrf=xsrf, **options)
        headers = join_headers(self._headers, options.pop("headers", None))
        _add_body(method, headers, options, data, json)
        while True:
            if xsrf:
                headers["X-XSRFToken"] = self._xsrf_token(path)
            sent = {"headers": self._with_cookies(headers, path), "follow_redirects": False, **options}
            response = await self._tester.fetch(path, method=method, **sent)
            self._jar.obey(path, response.headers)
            target = self._target(response, path, headers)
            if target is None or not follow_redirects or max_redirects <= 0:
                break
            path, max_redirects = target, max_redirects - 1
            if _becomes_get(method, response.code):
                method = "GET"
                _remove_body(headers, options)
        if raise_error:
            response.rethrow()
        return response

    def ws_connect(self, path: str | None = None, **options: Any) -> Coroutine[Any, Any, WebSocketClientConnection]:
        """Connect as this user, and return Tornado's own connection. See `WebSocketTester.connect`."""
        return self._tester.connect(path, **self._with_jar(options))

    def ws_client(self, path: str | None = None, **options: Any) -> Opening[WebSocketTestClient]:
        """Connect as this user, and take the client through the handshake. See `WebSocketTester.client`."""
        count = self._clients + 1
        name = self.name if self.name is None or count == 1 else f"{self.name} {count}"
        opening = self._tester.client(path, **self._with_jar({"name": name, **options}))
        self._clients = count
        return opening

    async def expect_rejected(self, path: str | None = None, *, status: int = 403, **options: Any) -> HTTPResponse:
        """The server refuses this user's opening handshake. See `WebSocketTester.expect_rejected`."""
        __tracebackhide__ = True
        return await self._tester.expect_rejected(path, status=status, **self._with_jar(options))

    def __repr__(self) -> str:
        return f"<Session {self.name or 'without a name'}, cookies: {', '.join(self.cookies) or 'none'}>"

    def _with_jar(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"jar": self._jar, **options, "headers": join_headers(self._headers, options.get("headers"))}

    def _with_cookies(self, headers: HTTPHeaders, path: str) -> HTTPHeaders:
        sent = headers.copy()
        cookies = "; ".join(filter(None, [headers.get("Cookie"), self._jar.header(path)]))
        if cookies:
            sent["Cookie"] = cookies
        return sent

    def _xsrf_token(self, path: str) -> str:
        """Return the token that this user has, or make one: the app compares the cookie with the header only."""
        app = self._tester.server.app
        name = app.settings.get("xsrf_cookie_name", "_xsrf") if isinstance(app, Application) else "_xsrf"
        if not self._jar.read(path).get(name):
            self._jar.put(name, secrets.token_hex(16))
        return self._jar.read(path)[name]

    def _target(self, response: HTTPResponse, path: str, headers: HTTPHeaders) -> str | None:
        """Return the path of the app to which a response redirects, or None."""
        location = response.headers.get("Location")
        if response.code not in (301, 302, 303, 307, 308) or location is None:
            return None
        here = urlsplit(self._tester.server.url(path))
        here = here._replace(netloc=headers.get("Host", here.netloc))
        try:
            target = urlsplit(urljoin(here.geturl(), location))
        except ValueError:
            return None  # no URL, so none of the app's
        if target[:2] != here[:2]:
            return None
        query = f"?{target.query}" if target.query else ""
        return quote((target.path or "/") + query, safe=_URL_CHARACTERS, encoding="latin-1")


def _add_body(method: str, headers: HTTPHeaders, options: dict[str, Any], data: Any, json: Any) -> None:
    """Turn a form or a value into the body of ``options``, with its content type."""
    bodies = {"data": data, "json": json, **{name: options.get(name) for name in ("body", "body_producer")}}
    given = [name for name, value in bodies.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{'= and '.join(given)}= together: a request has one body")
    if given and method in ("GET", "HEAD"):
        raise UsageError(f"{given[0]}= with {method}: a {method} has no body; is it method='POST'?")
    if data is not None:
        options["body"] = _form(data)
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif json is not None:
        try:
            options["body"] = dumps(json)
        except (TypeError, ValueError) as error:
            raise UsageError(f"json= cannot be {show(json)}: {error}") from None
        headers.setdefault("Content-Type", "application/json")
    elif not given and method in _SENDS_A_BODY:
        options["body"] = b""


def _form(data: Any) -> str:
    pairs = check_pairs("data", data)
    for name, value in pairs:
        if value is None or isinstance(value, Mapping):
            raise UsageError(f"the field {name!r} of data= is a str or a list of them, not {show(value)}")
    return urlencode(pairs, doseq=True)


def _becomes_get(method: str, code: int) -> bool:
    """Is the request that a redirect leads to a GET? As in browsers and Tornado."""
    return (code == 303 and method != "HEAD") or (code in (301, 302) and method == "POST")


def _remove_body(headers: HTTPHeaders, options: dict[str, Any]) -> None:
    for name in ("body", "body_producer"):
        options.pop(name, None)
    for name in _OF_A_BODY:
        headers.pop(name, None)
