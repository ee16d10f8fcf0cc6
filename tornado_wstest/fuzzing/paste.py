"""A finding as a test: a whole file that runs beside the app, fails while the bug is there, and passes without it.

Pure: from a case and what a check said of it to the text of a Python file.
"""

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ..codec import Message
from ..text import one_line, show
from ..transcript import is_secret
from .case import Case, Visit
from .checks import Problem
from .observation import Observation
from .routes import Route
from .settings import FuzzSettings

__all__ = ["literal", "name_of_object", "paste"]

_RUN = re.compile(r"(.{1,8}?)\1{15,}", re.DOTALL)
"""What is repeated often enough to be written as a product."""
_WORD = re.compile(r"\W+")
_WIDTH = 100
_QUIET = 60
"""Seconds after which what a connection has left behind should be gone."""
_MODULES = ("asyncio", "base64", "gc", "os", "time", "weakref")
_NAMES = {*_MODULES, "FoundTest", "HTTPClientError", "WebSocketTestCase", "WebSocketTester", "faults", "mock"}
"""What the test needs for itself."""


def paste(seen: Observation, problem: Problem, *, target: str, app: str, route: Route, settings: FuzzSettings) -> str:
    """Return the text of a test module.

    ::

        python -m tornado.testing test_found

    :arg target: the app, as ``"chat:make_app"``
    :arg app: what the target is: ``"app"``, ``"factory"`` or ``"async factory"``; or ``"test case"`` or
        ``"async test case"`` for a class that has ``test_fuzz`` and a ``get_app``, which may be async
    """
    return _Paste(seen, problem, target=target, app=app, route=route, settings=settings).text()


def literal(message: Message) -> str:
    """Return an expression for a message: what is repeated in it is written once."""
    plain = _repr(message)
    if len(plain) <= _WIDTH:
        return plain
    parts = [part for part in _products(message) if part not in ('""', 'b""')]
    if len(parts) > 1 or (parts and " * " in parts[0]):
        return " + ".join(parts)
    return plain


def _products(message: Message) -> Iterator[str]:
    text = message.decode("latin-1") if isinstance(message, bytes) else message
    done = 0
    for run in _RUN.finditer(text):
        yield _repr(_like(message, text[done : run.start()]))
        unit = run[1]
        yield f"{_repr(_like(message, unit))} * {len(run[0]) // len(unit)}"
        done = run.end()
    yield _repr(_like(message, text[done:]))


def _like(message: Message, text: str) -> Message:
    return text.encode("latin-1") if isinstance(message, bytes) else text


def _repr(message: Message) -> str:
    """Return the message's ``repr``, in double quotes where that needs no more backslashes."""
    text = repr(message)
    quote = text.removeprefix("b")[0]
    if quote == "'" and '"' not in text:
        return f'{text[: len(text) - len(text.lstrip("b"))]}"{text.lstrip("b")[1:-1]}"'
    return text


def name_of_object(value: Any) -> str | None:
    """Return ``"module:name"`` of a function, or of what a module holds by a name; None for any other."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if module in sys.modules and name is not None and "<" not in name:
        return f"{module}:{name}"
    for module_name, loaded in list(sys.modules.items()):
        if module_name == "__main__" or loaded is None:
            continue
        for name, held in list(getattr(loaded, "__dict__", {}).items()):
            if held is value and name.isidentifier() and not keyword.iskeyword(name):
                return f"{module_name}:{name}"
    return None


class _Paste:
    """Writes one test."""

    def __init__(
        self, seen: Observation, problem: Problem, *, target: str, app: str, route: Route, settings: FuzzSettings
    ) -> None:
        self._module, _, attribute = target.partition(":")
        self._attribute = attribute.removesuffix("()")
        self._route = route
        self._settings = settings
        self._seen = seen
        self._case: Case = seen.case
        self._problem = problem
        self._app = app
        self._code = problem.code
        self._uses = {"WebSocketTestCase"}

    def text(self) -> str:
        """Return the file."""
        body = self._class()
        title = one_line(self._problem.title).replace("\\", "\\\\").replace('"', "'")
        return f'"""Found by fuzzing: {title}."""\n\n{self._imports()}\n\n\n{body}'

    # Around the test

    def _imports(self) -> str:
        plain = [f"import {name}" for name in _MODULES if name in self._uses]
        plain += ["from unittest import mock"] if "mock" in self._uses else []
        tornado = ["from tornado.httpclient import HTTPClientError"] if "HTTPClientError" in self._uses else []
        ours = sorted(self._uses & {"WebSocketTestCase", "WebSocketTester", "faults"})
        # A test case that a module imports is collected there, too.
        target = self._import_of(self._module, self._attribute)
        target = f"import {self._module}" if self._app.endswith("test case") else target
        own = [f"from tornado_wstest import {', '.join(ours)}", "", target]
        handshake = self._handshake()
        if handshake and handshake != f"{self._module}:{self._attribute}":
            own.append(self._import_of(*handshake.split(":")))
        groups = ["\n".join(plain), "\n".join(tornado), "\n".join(own)]
        return "\n\n".join(filter(None, groups))

    def _import_of(self, module: str, attribute: str) -> str:
        first = attribute.partition(".")[0]
        alias = _local(first)
        return f"from {module} import {first}{f' as {alias}' if alias != first else ''}"

    def _handshake(self) -> str | None:
        handshake = self._settings.handshake
        return None if handshake is None else name_of_object(handshake)

    def _class(self) -> str:
        # What the test needs decides on the imports: it is written first.
        options, test = self._options(), self._test()
        lines = [
            "class FoundTest(WebSocketTestCase):",
            f'    """{_doc(self._route.label)}: {self._problem.expected}."""',
            "",
            f'    ws_transport = "{self._settings.transport}"',
            f"    ws_virtual_time = {self._settings.virtual_time}",
        ]
        handshake = self._handshake()
        if handshake:
            lines.append(f"    handshake = {_local_path(handshake.partition(':')[2])}")
        elif self._settings.handshake is not None:
            lines.append(f"    # handshake = {one_line(show(self._settings.handshake))}: write it here")
        lines += ["", *self._get_app(), *options, "", *(f"    {line}".rstrip() for line in test), ""]
        return "\n".join(lines)

    def _get_app(self) -> list[str]:
        made = _local_path(self._attribute)
        if self._app == "app":
            return ["    def get_app(self):", f"        return {made}"]
        if self._app.endswith("test case"):
            made = f'{self._module}.{self._attribute}("test_fuzz").get_app'
        if self._app.startswith("async"):
            return ["    async def get_app(self):", f"        return await {made}()"]
        return ["    def get_app(self):", f"        return {made}()"]

    def _options(self) -> list[str]:
        settings = self._settings
        headers = self._values(settings.headers)
        authorization = self._authorization()
        if authorization:
            headers.setdefault("Authorization", authorization)
        # As the stage does it: who decides by the Host is to see the same one.
        if self._route.host is not None or any(visit.origin is not None for visit in self._case.visits):
            headers.setdefault("Host", _repr(self._route.example_host))
        options: dict[str, str] = {}
        for name, values in (("headers", headers), ("cookies", self._values(settings.cookies))):
            if values:
                options[name] = _dict(values)
        if settings.signed_cookies:
            options["signed_cookies"] = _dict({name: _repr(value) for name, value in settings.signed_cookies.items()})
        if settings.origin is not None:
            options["origin"] = _repr(settings.origin)
        if not options:
            return []
        return ["", "    def get_ws_options(self):", f"        return {_dict(options)}"]

    def _values(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return an expression for each value; a secret is taken from the environment."""
        found = {}
        for name, value in values.items():
            if is_secret(name):
                self._uses.add("os")
            found[name] = _environment(value, _WORD.sub("_", name).upper()) if is_secret(name) else _repr(value)
        return found

    def _authorization(self) -> str:
        """Return an expression for the header; a secret is taken from the environment."""
        if self._settings.auth is None:
            return ""
        kind, _, rest = self._settings.auth.partition(":")
        parts = rest.split(":")
        self._uses.add("os")
        if kind == "bearer":
            return f'"Bearer " + {_environment(parts[0], "TOKEN")}'
        self._uses.add("base64")
        user, password = _environment(parts[0], "USER_NAME"), _environment(parts[-1], "PASSWORD")
        return f'"Basic " + base64.b64encode(({user} + ":" + {password}).encode()).decode()'

    # The test

    def _test(self) -> list[str]:
        name = f"test_{self._code.replace('-', '_')}"
        write = getattr(self, f"_write_{self._code.replace('-', '_')}", self._write_talk)
        lines = [f"async def {name}(self):", f'    """{_sentence(self._problem.expected)}"""']
        return lines + [f"    {line}" for line in write()]

    def _write_talk(self) -> list[str]:
        return self._visits(connect="self.ws_client")

    def _write_origin(self) -> list[str]:
        visit = self._case.visits[-1]
        return [f"await self.expect_rejected({self._place(visit)})"]

    def _write_subprotocol(self) -> list[str]:
        visit = self._case.visits[-1]
        valid = ", ".join(["None", *map(_repr, self._seen.offered)])
        return [
            f"client = await self.ws_client({self._place(visit)})",
            f"self.assertIn(client.subprotocol, ({valid}{',' if not self._seen.offered else ''}))",
        ]

    def _write_oversize(self) -> list[str]:
        visit = self._case.visits[-1]
        return [
            f"client = await self.ws_client({self._place(visit)})",
            *self._talk(visit),
            "await client.receive_all()",
            f'await client.send_frame(1, b"", length={visit.declared_size})  # the head of a text of so many bytes',
            "await client.expect_closed(1009, timeout=10)",
        ]

    def _write_blocked_loop(self) -> list[str]:
        self._uses.add("time")
        return [
            "started = time.perf_counter()",
            *self._visits(connect="self.ws_client"),
            f"self.assertLess(time.perf_counter() - started, {self._settings.blocked:g})",
        ]

    def _write_isolation(self) -> list[str]:
        path = _repr(self._route.example_path or "/")
        return [
            f"bystander = await self.ws_client({path})",
            "await bystander.receive_all()",
            *self._visits(connect="self.ws_client"),
            "await bystander.expect_nothing()",
        ]

    def _write_faults(self) -> list[str]:
        path = _repr(self._route.example_path or "/")
        return [
            f"bystander = await self.ws_client({path})",
            *self._visits(connect="self.ws_client"),
            f"await bystander.ping(timeout={self._patience})",
        ]

    def _write_leak(self) -> list[str]:
        self._uses |= {"gc", "weakref", "WebSocketTester"}
        settings = self._settings
        arguments = [f'transport="{settings.transport}"', f"virtual_time={settings.virtual_time}"]
        if self._handshake():
            arguments.append("handshake=self.handshake")
        if self._options():
            arguments.append("options=self.get_ws_options()")
        is_task = any(left.startswith("the task") for left in self._seen.left)
        inside = self._visits(connect="wstest.client", watched=True)
        if settings.virtual_time:
            inside.append(f"await wstest.clock.advance({_QUIET})")
        if is_task:
            self._uses.add("asyncio")
            inside = ["tasks = asyncio.all_tasks()", *inside, "self.assertEqual(asyncio.all_tasks() - tasks, set())"]
        return [
            "handlers = []",
            f"async with WebSocketTester(self.ws_server.app, {', '.join(arguments)}) as wstest:",
            *(f"    {line}" for line in inside),
            "del client, wstest  # they know the handler",
            "gc.collect()",
            "self.assertEqual([handler() for handler in handlers if handler() is not None], [])",
        ]

    # A visit

    def _visits(self, *, connect: str, watched: bool = False) -> list[str]:
        lines: list[str] = []
        last = len(self._case.visits) - 1
        for number, visit in enumerate(self._case.visits):
            opening = f"client = await {connect}({self._place(visit)})"
            if self._may_be_refused(visit, number == last):
                self._uses.add("HTTPClientError")
                lines += [
                    "try:",
                    f"    {opening}",
                    "except HTTPClientError as error:",
                    "    self.assertLess(error.code, 500)",
                    "    return",
                ]
            else:
                lines.append(opening)
            lines += ["handlers.append(weakref.ref(client.handler))"] if watched else []
            if self._misses_on_close and number == last:
                self._uses.add("mock")
                lines += [
                    'on_close = client.handler.on_close = mock.Mock(wraps=client.handler.on_close, name="on_close")'
                ]
            lines += self._talk(visit)
            lines += self._ending(visit, number == last)
        return lines

    def _may_be_refused(self, visit: Visit, is_last: bool) -> bool:
        """Was it refused, or is the opening handshake all there is? A mended app may well refuse it."""
        return self._code == "server-error" and is_last and (not self._seen.accepted or not visit.messages)

    def _place(self, visit: Visit) -> str:
        arguments = [_repr(visit.path)]
        offered = visit.subprotocols or self._settings.subprotocols
        if offered:
            arguments.append(f"subprotocols=[{', '.join(map(_repr, offered))}]")
        if visit.origin is not None:
            arguments.append(f"origin={_repr(visit.origin)}")
        return ", ".join(arguments)

    def _talk(self, visit: Visit) -> list[str]:
        if not visit.messages:
            lines = []
        elif len(visit.messages) == 1:
            lines = [f"await client.send({literal(visit.messages[0])})", "await self.settle()"]
        else:
            after = [] if visit.pipelined else ["    await self.settle()"]
            lines = [
                "for message in (",
                *(f"    {literal(message)}," for message in visit.messages),
                "):",
                "    if not client.closed:",
                "        await client.send(message)",
                *(f"    {line}" for line in after),
            ]
            lines += ["await self.settle()"] if visit.pipelined else []
        if visit.fault:
            self._uses.add("faults")
            lines += ["if not client.closed:", f"    await client.send_raw(faults[{_repr(visit.fault)}].data)"]
        if visit.ping:
            lines += [
                "if not client.closed:",
                f"    await client.send_frame(10, {_repr(visit.ping)})  # a pong that nobody asked for",
                f"    await client.ping({_repr(visit.ping)}, timeout={self._patience})",
            ]
        if self._seen.seconds and self._code not in ("unresponsive", "oversize"):
            lines.append(self._pass_time())
        return lines or (["await self.settle()"] if self._code != "oversize" else [])

    @property
    def _patience(self) -> str:
        return f"{self._settings.message_timeout:g}"

    def _pass_time(self) -> str:
        seconds = f"{self._seen.seconds:.3f}".rstrip("0").rstrip(".")
        if self._settings.virtual_time:
            return f"await self.clock.advance({seconds})"
        self._uses.add("asyncio")
        return f"await asyncio.sleep({seconds})"

    def _ending(self, visit: Visit, is_last: bool) -> list[str]:
        """Return the last steps: what the check wants to see, and the client's leave."""
        if is_last and self._code == "dropped":
            return ["self.assertNotEqual(client.close_code, 1006)  # no close frame"]
        if is_last and self._code == "close-code":
            return [f"self.assertNotEqual(client.close_code, {self._seen.close_code})"]
        if is_last and self._code == "unresponsive":
            return ["if not client.closed:", f"    await client.ping(timeout={self._patience})"]
        if is_last and self._code == "unclean-close":
            return self._watched_leave(visit)
        if visit.ending is None:
            return ["await client.abort()"]
        return [f"await client.close({visit.ending})" if visit.ending != 1000 else "await client.close()"]

    def _watched_leave(self, visit: Visit) -> list[str]:
        timeout = f"timeout={self._settings.connection_timeout:g}"
        leave = f"client.abort({timeout})" if visit.ending is None else f"client.close({visit.ending}, {timeout})"
        return [f"await {leave}", *(["on_close.assert_called()"] if self._misses_on_close else [])]

    @property
    def _misses_on_close(self) -> bool:
        return self._code == "unclean-close" and "on_close did not run" in self._seen.unclean


def _local(name: str) -> str:
    """Return a name under which something can be imported beside what the test itself needs."""
    return f"app_{name}" if name in _NAMES else name


def _local_path(attribute: str) -> str:
    first, dot, rest = attribute.partition(".")
    return f"{_local(first)}{dot}{rest}"


def _dict(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{_repr(name)}: {value}" for name, value in values.items()) + "}"


def _environment(part: str, name: str) -> str:
    return f'os.environ["{part[1:] if part.startswith("$") else name}"]'


def _doc(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
