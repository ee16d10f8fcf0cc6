"""The websocket routes of an app, as Tornado will find them.

Tornado asks its rules in order, router inside router. What that means for a route inside others:

- every path that stands around a route is matched against the *whole* path of the request, and so is its own:
  a route ``/a/chat`` inside ``/a/.*``; nothing is cut off on the way down
- the handler gets the arguments of its own rule only: groups and keyword arguments of a rule around it are dropped
- a router in which no rule matches passes the request on to the next rule; an `Application` never does, it
  answers 404 itself, so that what comes after it under the same path is never reached

Nothing is requested and no handler is made.
"""

import asyncio
import dataclasses
import fnmatch
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tornado.httputil import HTTPServerConnectionDelegate
from tornado.routing import AnyMatches, DefaultHostMatches, HostMatches, Matcher, PathMatches, Router, Rule, RuleRouter
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from ..errors import UsageError
from ..text import elide, one_line, plural, show
from .regexes import matching_strings
from .target import App, Target, load_target, make_app

__all__ = [
    "App",
    "Route",
    "Target",
    "explain_no_routes",
    "find_routes",
    "load_target",
    "make_app",
    "websocket_routes",
]

_LOCAL = "127.0.0.1"
_HOSTS = (_LOCAL, "localhost", "example.com", "www.example.com")
_HOST = re.compile(r"[a-z0-9_.-]+")
_PATH = re.compile(r"/[!-~]*")
_EXAMPLES = 12
_CAPTURING = re.compile(r"\((?:\?P<(?P<name>\w+)>|(?!\?))")

_MATCH_METHODS = (AnyMatches.match, HostMatches.match, DefaultHostMatches.match, PathMatches.match)


@dataclasses.dataclass(frozen=True)
class Route:
    """One way to a websocket handler.

    ``str(route)`` is one line for a list of routes.
    """

    pattern: str
    """The path as the app has it, without the ``$`` that Tornado adds; ``.*`` where any path will do."""

    handler: type[WebSocketHandler]

    regex: re.Pattern[str] | None = None
    """The pattern, compiled; `None` where any path will do."""

    arguments: tuple[str | int, ...] = ()
    """What the handler's ``open`` gets from the path: names, or positions from 0."""

    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    """What the handler's ``initialize`` gets."""

    name: str | None = None
    """The rule's, for ``reverse_url``."""

    host: str | None = None
    """The pattern that the request's host must match, if any will not do."""

    within: tuple[str, ...] = ()
    """The patterns around this one, outermost first. They match the whole path, too."""

    conditions: tuple[str, ...] = ()
    """Matchers of the app's own, of which nothing can be known."""

    example_path: str | None = None
    """The simplest path that leads here, if one is known."""

    example_host: str = _LOCAL
    """The ``Host`` that leads here."""

    unreachable: str = ""
    """Why no request comes here, if none does: what stands before it."""

    path_regexes: tuple[re.Pattern[str], ...] = ()
    """All that the path must match, outermost first."""

    def accepts(self, path: str) -> bool:
        """May a request carry ``path`` (as it is sent, without its query), and does it match here?"""
        return _is_sendable(path) and all(regex.match(path) for regex in self.path_regexes)

    @property
    def label(self) -> str:
        """The pattern for people: ``/chat/{room}`` for ``/chat/(?P<room>[^/]+)``, ``{0}`` for one without name."""
        return _label(self.pattern)

    def is_meant_by(self, pattern: str) -> bool:
        """Is this one of the routes that ``pattern`` names? With ``*``, ``?`` and ``[...]`` as in file names.

        It is matched with the route as it stands in the app, with its label, and with its example path; the route
        itself (``/chat/([^/]+)``) will do as well.
        """
        names = (self.pattern, self.label, self.example_path or self.pattern)
        return pattern in names or any(fnmatch.fnmatchcase(name, pattern) for name in names)

    def __str__(self) -> str:
        parts = [self.pattern, f"{self.handler.__module__}.{self.handler.__qualname__}"]
        if self.arguments:
            parts.append(f"({', '.join(map(str, self.arguments))})")
        parts += [f"name={self.name!r}"] if self.name else []
        parts += [f"host={self.host!r}"] if self.host else []
        parts += [f"within {pattern!r}" for pattern in self.within]
        parts += [f"if {condition}" for condition in self.conditions]
        parts += [f"[unreachable: {self.unreachable}]"] if self.unreachable else []
        return one_line(elide(" ".join(parts), 400))


def find_routes(target: Target) -> list[Route]:
    """Return the websocket routes of the app that ``target`` is or makes, which it does in a loop of its own.

    Raises `UsageError` if it has none, or makes no app.
    """

    async def look() -> list[Route]:
        app = await make_app(target)
        routes = websocket_routes(app)
        if not routes:
            raise UsageError(explain_no_routes(app))
        return routes

    with asyncio.Runner() as runner:
        return runner.run(look())


def websocket_routes(app: App) -> list[Route]:
    """Return every websocket route of ``app``, in the order in which Tornado asks them.

    ::

        for route in websocket_routes(make_app()):
            print(route)                    # /chat/([^/]+) chat.ChatHandler (0)

    Routes inside nested routers, applications and host rules are among them, and so are those that no request
    reaches because another rule comes before them: they say so (``unreachable``). That is found out with some
    paths that the route matches: it is certain for those, and a guess for others.

    What it cannot see: routes of a `Router` class of the app's own, and of a function that answers requests.
    Raises `UsageError` for what has no rules.
    """
    _check_app(app)
    leaves = _leaves(app)
    return [_route(leaf, leaves) for leaf in leaves if _is_websocket(leaf.target)]


def explain_no_routes(app: App) -> str:
    """Return a sentence on an app without websocket routes: what it has instead."""
    _check_app(app)
    leaves = _leaves(app)
    handlers = [leaf for leaf in leaves if _is_handler(leaf.target)]
    others = [leaf for leaf in leaves if not _is_handler(leaf.target) and not isinstance(leaf.target, Application)]
    told = f"the app has no websocket route, only {plural(len(handlers), 'HTTP route')}"
    if handlers:
        told += f": {elide(', '.join(leaf.pattern for leaf in handlers), 120)}"
    if others:
        told += f"; what {show(others[0].target, 80)} serves cannot be seen"
    return f"{told}\na websocket route leads to a subclass of tornado.websocket.WebSocketHandler"


def _label(pattern: str) -> str:
    """Put ``{name}`` or ``{number}`` for each capturing group. Other groups stay, with what is in them."""
    label, count, place = "", 0, 0
    while place < len(pattern):
        if pattern[place] == "(" and (match := _CAPTURING.match(pattern, place)):
            label += "{" + (match["name"] or str(count)) + "}"
            end = _end_of_group(pattern, place)
            count += max(re.compile(pattern[place:end]).groups, 1)
            place = end
            continue
        step = 2 if pattern[place] == "\\" else 1
        label += pattern[place : place + step].removeprefix("\\" if pattern[place + 1 : place + 2] in "./-" else "")
        place += step
    return label


def _end_of_group(pattern: str, start: int) -> int:
    """Return where the group ends that begins at ``start``: behind the shortest part that is a whole regex."""
    for end in range(start + 1, len(pattern) + 1):
        if pattern[end - 1] == ")":
            try:
                re.compile(pattern[start:end])
            except re.error:
                continue
            return end
    return len(pattern)


def _check_app(app: Any) -> None:
    if not isinstance(app, App):
        raise UsageError(f"routes are those of an Application, not of {show(app)}")


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """Where a request ends: the matchers on the way, and what serves it then."""

    matchers: tuple[Any, ...]
    target: Any
    rule: Rule | None = None
    kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    is_broken: bool = False

    @property
    def pattern(self) -> str:
        """The innermost path."""
        paths = [matcher for matcher in self.matchers if isinstance(matcher, PathMatches)]
        return _pattern(paths[-1].regex) if paths else ".*"

    def takes(self, path: str, host: str) -> bool:
        """Does this surely end here, if nothing before it takes it? A matcher of the app's own is no certainty."""
        return not isinstance(self.target, _Unknown) and all(
            _applies(matcher, path, host) is True for matcher in self.matchers
        )

    def __str__(self) -> str:
        if isinstance(self.target, Application):
            return f"{self.pattern!r}, whose Application answers 404 itself"
        return f"{self.pattern!r}, {getattr(self.target, '__qualname__', None) or show(self.target, 60)}"


class _Unknown:
    """A router of the app's own."""

    def __init__(self, router: Any) -> None:
        self.router = router

    def __repr__(self) -> str:
        return show(self.router)


def _leaves(app: App) -> list[_Leaf]:
    found = list(_walk(app, (), ()))
    # With a default host, add_handlers puts the same rules a second time behind all others; the one with its
    # own host comes first, and the matchers share one regex.
    hosts = {
        id(matcher.host_pattern) for leaf in found for matcher in leaf.matchers if isinstance(matcher, HostMatches)
    }
    return [
        leaf
        for leaf in found
        if not any(isinstance(m, DefaultHostMatches) and id(m.host_pattern) in hosts for m in leaf.matchers)
    ]


def _walk(router: App, matchers: tuple[Any, ...], around: tuple[Any, ...]) -> Iterator[_Leaf]:
    """Yield what ``router`` leads to, in order. A router inside itself is not entered again."""
    if any(router is outer for outer in around):
        return
    around = (*around, router)
    if isinstance(router, Application):
        yield from _walk(router.default_router, matchers, around)
        handler = router.settings.get("default_handler_class")
        yield _Leaf(matchers, handler or router, kwargs=router.settings.get("default_handler_args") or {})
        return
    if type(router).find_handler is not RuleRouter.find_handler:
        matchers = (*matchers, router)
    for rule in router.rules:
        inner = (*matchers, rule.matcher)
        if isinstance(rule.target, App):
            yield from _walk(rule.target, inner, around)
        elif _is_handler(rule.target):
            is_broken = type(router).get_target_delegate is RuleRouter.get_target_delegate
            yield _Leaf(inner, rule.target, rule, rule.target_kwargs, is_broken)
        elif isinstance(rule.target, Router):
            yield _Leaf(inner, _Unknown(rule.target), rule)
        elif isinstance(rule.target, HTTPServerConnectionDelegate) or callable(rule.target):
            yield _Leaf(inner, rule.target, rule)


def _is_handler(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, RequestHandler)


def _is_websocket(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, WebSocketHandler)


def _applies(matcher: Any, path: str, host: str) -> bool | None:
    """Does it match? `None` is: nobody knows."""
    if not _is_known(matcher):
        return None
    if isinstance(matcher, PathMatches):
        return bool(matcher.regex.match(path))
    if isinstance(matcher, HostMatches):
        return bool(matcher.host_pattern.match(host))
    if isinstance(matcher, DefaultHostMatches):
        default = matcher.application.default_host
        return default is not None and bool(matcher.host_pattern.match(default))
    return True


def _is_known(matcher: Any) -> bool:
    return isinstance(matcher, Matcher) and type(matcher).match in _MATCH_METHODS


def _pattern(regex: re.Pattern[str]) -> str:
    """Return the pattern as it was written, as far as one can tell: a ``$`` at the end is mostly Tornado's."""
    text = regex.pattern
    return text[:-1] if text.endswith("$") and not text.endswith("\\$") else text


def _route(leaf: _Leaf, leaves: list[_Leaf]) -> Route:
    paths = [matcher for matcher in leaf.matchers if isinstance(matcher, PathMatches)]
    hosts = [matcher.host_pattern for matcher in leaf.matchers if isinstance(matcher, HostMatches)]
    regexes = tuple(matcher.regex for matcher in paths)
    host = next(_examples(hosts, _HOSTS, _is_host), None)
    example_paths = list(itertools.islice(_examples(regexes, (), _is_sendable), _EXAMPLES))
    example, unreachable = _first_reached(leaf, leaves, example_paths, host)
    return Route(
        pattern=leaf.pattern,
        handler=leaf.target,
        regex=regexes[-1] if regexes else None,
        arguments=_arguments(leaf),
        kwargs=dict(leaf.kwargs),
        name=leaf.rule.name if leaf.rule else None,
        host=" and ".join(map(_pattern, hosts)) or None,
        within=tuple(map(_pattern, regexes[:-1])),
        conditions=tuple(show(matcher, 80) for matcher in leaf.matchers if not _is_known(matcher)),
        example_path=example,
        example_host=host or _LOCAL,
        unreachable=unreachable,
        path_regexes=regexes,
    )


def _arguments(leaf: _Leaf) -> tuple[str | int, ...]:
    matcher = leaf.rule.matcher if leaf.rule else None
    if not isinstance(matcher, PathMatches):
        return ()
    named = sorted(matcher.regex.groupindex, key=matcher.regex.groupindex.__getitem__)
    return tuple(named or range(matcher.regex.groups))


def _first_reached(leaf: _Leaf, leaves: list[_Leaf], paths: list[str], host: str | None) -> tuple[str | None, str]:
    """Return the first of the paths that ends at ``leaf``, or why none does."""
    if host is None:
        return next(iter(paths), None), "no host is known that all its host patterns match"
    if not paths:
        return None, "no path is known that it matches, within what is around it"
    if leaf.is_broken:
        return paths[0], "a RuleRouter cannot serve a handler class, an Application inside it can"
    if any(_applies(matcher, paths[0], host) is False for matcher in leaf.matchers):
        return paths[0], "the app's default_host is another"
    takers = [next((one for one in leaves if one is leaf or one.takes(path, host)), leaf) for path in paths]
    reached = next((path for path, taker in zip(paths, takers, strict=True) if taker is leaf), None)
    return (reached, "") if reached is not None else (paths[0], f"shadowed by {takers[0]}")


def _examples(regexes: Any, first: tuple[str, ...], is_valid: Callable[[str], bool]) -> Iterator[str]:
    """Yield texts that all of the regexes match: written for one of them, innermost first, and tried on the others."""
    regexes = tuple(regexes) or (re.compile(".*"),)
    words = (*first, "/a", "/", *_words_of(regexes))
    written = itertools.chain.from_iterable(matching_strings(regex, words) for regex in reversed(regexes))
    for text in dict.fromkeys([*first, *written]):
        if is_valid(text) and all(regex.match(text) for regex in regexes):
            yield text


def _words_of(regexes: tuple[re.Pattern[str], ...]) -> Iterator[str]:
    """Yield parts of what the regexes match, to be put where another takes any text."""
    if len(regexes) > 1:
        for regex in regexes:
            for text in itertools.islice(matching_strings(regex), 4):
                yield from dict.fromkeys([text, text[1:], text.strip("/"), *text.split("/")])


def _is_host(text: str) -> bool:
    return bool(_HOST.fullmatch(text))


def _is_sendable(path: str) -> bool:
    """Can a request line carry it as a path? A ``?`` begins the query, and a client cuts ``#`` off."""
    return bool(_PATH.fullmatch(path)) and "?" not in path and "#" not in path
