"""Something that is being opened: ``await`` it, or use it in ``async with``."""

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Opening"]


class _ClosesItself(Protocol):
    async def __aenter__(self) -> Any: ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None, /
    ) -> None: ...


T = TypeVar("T", bound=_ClosesItself)


class Opening(Coroutine[Any, Any, T], Generic[T]):
    """A coroutine whose result may also be had, and closed again, by ``async with``.

    It is a coroutine in every respect, so that `asyncio.gather`, `asyncio.create_task` and the ``yield`` of
    Tornado's generator tests take it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._opened: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Go on, as a coroutine does."""
        return self._coroutine.send(value)

    def throw(self, *exc_info: Any) -> Any:
        """Raise inside, as in a coroutine."""
        return self._coroutine.throw(*exc_info)

    def close(self) -> None:
        """Give up, as a coroutine does. (What has been opened has a `close` of its own.)"""
        self._coroutine.close()

    async def __aenter__(self) -> T:
        self._opened = await self._coroutine
        return self._opened

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        if self._opened is not None:
            await self._opened.__aexit__(exc_type, exc, tb)
