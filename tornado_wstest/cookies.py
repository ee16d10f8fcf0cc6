"""One user's cookies for one server, as RFC 6265 has them.

Why none of the standard library's own jars: `http.cookiejar` works on requests of `urllib`, and its rules for
hosts let no cookie with a ``Domain`` through for 127.0.0.1; `http.cookies.SimpleCookie` drops a whole header for
one attribute that it does not know (``Partitioned``), and gives values back otherwise quoted than they came.
What RFC 6265 says in sections 5.1.4 to 5.4 is short. Its loose dates are `email.utils.parsedate_tz`'s work.

Pure: a jar is told what time it is, and knows neither loop nor server.
"""

import calendar
import contextlib
import dataclasses
import email.utils
import re
import time
from collections.abc import Callable, Collection

from tornado.httputil import HTTPHeaders, parse_cookie

__all__ = ["CookieJar"]

_RESOLUTION = 1e-6
"""Seconds within which two times are the same: a time that is a sum of steps is no exact one."""


@dataclasses.dataclass(frozen=True)
class _Cookie:
    name: str
    value: str
    """As it stands in the header, quotes and all."""
    path: str
    expires: float | None
    """When it expires, by the jar's clock; None when the session ends."""
    secure: bool


class CookieJar:
    """Keeps the cookies that one server sets.

    The server is the only one there is: ``Domain`` and ``SameSite`` are not looked at, nor is ``HttpOnly``.

    :arg now: returns seconds; from when on does not matter
    :arg secure: does the server speak https? Then cookies with ``Secure`` are sent
    """

    def __init__(self, now: Callable[[], float], *, secure: bool = False) -> None:
        self._now = now
        self._secure = secure
        self._cookies: dict[tuple[str, str], _Cookie] = {}  # in the order of their creation

    def put(self, name: str, value: str) -> None:
        """Keep a cookie for every path, until the session ends; ``value`` is quoted where it must be."""
        self._cookies[name, "/"] = _Cookie(name, value, "/", None, False)

    def obey(self, path: str, headers: HTTPHeaders) -> None:
        """Do what the ``Set-Cookie`` headers of a response say.

        :arg path: which was asked for
        """
        for text in headers.get_list("Set-Cookie"):
            cookie = self._parse(text, _default_path(path))
            if cookie is not None:
                self._cookies[cookie.name, cookie.path] = cookie
        self._drop_expired()

    def header(self, path: str, *, without: Collection[str] = ()) -> str:
        """Return what to send in ``Cookie`` to this path: longer paths first, then older cookies first.

        :arg without: names to leave out
        """
        self._drop_expired()
        cookies = [cookie for cookie in self._cookies.values() if self._is_sent(cookie, path)]
        cookies.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies if cookie.name not in without)

    def read(self, path: str) -> dict[str, str]:
        """Return names and values as a handler of this path reads them."""
        return parse_cookie(self.header(path))

    def _is_sent(self, cookie: _Cookie, path: str) -> bool:
        return _path_matches(path.partition("?")[0], cookie.path) and (self._secure or not cookie.secure)

    def _drop_expired(self) -> None:
        now = self._now() + _RESOLUTION
        for key, cookie in list(self._cookies.items()):
            if cookie.expires is not None and cookie.expires <= now:
                del self._cookies[key]

    def _parse(self, text: str, default_path: str) -> _Cookie | None:
        """Read one ``Set-Cookie``: RFC 6265, section 5.2. The last of several attributes counts."""
        pair, *rest = text.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            return None
        attributes = {key.strip().lower(): given.strip() for key, _, given in (part.partition("=") for part in rest)}
        path = attributes.get("path", "")
        return _Cookie(
            name,
            value,
            path if path.startswith("/") else default_path,
            self._expiry(attributes),
            "secure" in attributes,
        )

    def _expiry(self, attributes: dict[str, str]) -> float | None:
        max_age = attributes.get("max-age", "")
        if re.fullmatch(r"-?[0-9]+", max_age):
            return self._now() + float(max_age)
        date = _date(attributes.get("expires", ""))
        # The server's date is the real one, even where the jar's clock is not.
        return None if date is None else self._now() + date - time.time()


def _date(text: str) -> float | None:
    """Return the seconds since the epoch that a date names, or None if it names none."""
    parsed = email.utils.parsedate_tz(text)
    if parsed is not None:
        with contextlib.suppress(ValueError, OverflowError):
            return calendar.timegm(parsed[:9])  # always UTC, whatever zone it names
    return None


def _default_path(path: str) -> str:
    """Return the directory of a request's path: RFC 6265, section 5.1.4."""
    return path.partition("?")[0].rpartition("/")[0] or "/"


def _path_matches(path: str, cookie_path: str) -> bool:
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
