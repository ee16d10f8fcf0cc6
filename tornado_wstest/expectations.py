"""Blocks that look at what they caused: ``with expect_server_error(...)``."""

import re
from collections.abc import Awaitable, Callable
from types import TracebackType

from .errors import UsageError, WSTestFailure
from .text import show
from .watch import Expectation, ServerWatch

__all__ = ["ExpectedServerError"]

__unittest = True

ErrorTypes = type[BaseException] | tuple[type[BaseException], ...]


class ExpectedServerError:
    """In this block a handler must raise; what it raised is ``exception`` afterwards.

    ``with`` looks when the block ends; ``async with`` lets the app settle first, which is what a block
    needs that ends with a `send`.
    """

    def __init__(
        self,
        watch: ServerWatch,
        types: ErrorTypes,
        match: str | re.Pattern[str] | None,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        for type_ in types if isinstance(types, tuple) else (types,):
            if not (isinstance(type_, type) and issubclass(type_, BaseException)):
                raise UsageError(f"expect_server_error() takes an exception class, not {show(type_)}")
        if match is not None and not isinstance(match, (str, re.Pattern)):
            raise UsageError(f"match= is a regular expression, not {show(match)}")
        self._watch = watch
        self._types = types
        try:
            self._match = re.compile(match) if match is not None else None
        except re.error as error:
            raise UsageError(f"match= is a regular expression, and {show(match)} is none: {error}") from None
        self._settle = settle
        self._expectation: Expectation | None = None
        self._before = 0

    @property
    def exception(self) -> BaseException:
        """What the handler raised."""
        caught = self._expectation.exception if self._expectation is not None else None
        if caught is None:
            raise UsageError("no handler has raised yet: the exception is known when the block has ended")
        assert isinstance(caught, BaseException)
        return caught

    def __enter__(self) -> "ExpectedServerError":
        self._watch.judge_tasks()
        self._before = len(self._watch.errors)
        self._expectation = Expectation(self._watch, self._wants)
        self._expectation.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        assert self._expectation is not None
        self._expectation.__exit__()
        if exc is None and self._expectation.exception is None:
            raise self._failure()

    async def __aenter__(self) -> "ExpectedServerError":
        return self.__enter__()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        try:
            if exc is None:
                await self._settle()
        finally:
            self.__exit__(exc_type, exc, tb)

    def _wants(self, error: BaseException) -> bool:
        if not isinstance(error, self._types):
            return False
        try:
            return self._match is None or bool(self._match.search(str(error)))
        except Exception:  # raised by the exception's own __str__
            return False

    def _failure(self) -> WSTestFailure:
        names = self._types if isinstance(self._types, tuple) else (self._types,)
        wanted = " or ".join(type_.__name__ for type_ in names)
        if self._match is not None:
            wanted += f" matching {self._match.pattern!r}"
        others = self._watch.errors[self._before :]
        if not others:
            return WSTestFailure(
                f"no handler raised {wanted} in this block; none raised anything\n"
                "a block that only sends needs 'async with', which settles before it looks"
            )
        failure = WSTestFailure(f"no handler raised {wanted} in this block, but {others[0]}")
        failure.__cause__ = others[0].exception
        return failure
