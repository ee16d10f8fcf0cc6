"""Where a command prints: live on a terminal with rich, in plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from ..text import plural

__all__ = ["LiveScreen", "Screen", "say", "screen"]


def say(text: str, *, to: TextIO | None = None) -> None:
    """Print ``text`` on standard output, or to where it is told; what cannot be shown there is escaped."""
    file = to or sys.stdout
    print(_encodable(text, file), file=file, flush=True)


def _encodable(text: str, file: Any) -> str:
    encoding = getattr(file, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


class Screen:
    """Plain lines."""

    def start(self, name: str, line: str) -> None:
        """A route's turn has come."""
        self.say(line)

    def played(self) -> None:
        """A conversation was played."""

    def say(self, text: str) -> None:
        """Print something that stays."""
        say(text)

    def end(self, line: str) -> None:
        """A route is through."""
        self.say(line)


class LiveScreen(Screen):
    """A line that lives while a route is fuzzed.

    :arg status: a ``Status`` of rich's
    """

    def __init__(self, status: Any) -> None:
        self._status = status
        self._name = ""
        self._count = 0

    def start(self, name: str, line: str) -> None:
        """Show the line, and count below it."""
        self.say(line)
        self._name, self._count = name, 0
        self._show()
        self._status.start()

    def played(self) -> None:
        """Count."""
        self._count += 1
        self._show()

    def say(self, text: str) -> None:
        """Print above the line that lives."""
        # rich would break lines, and take [brackets] for colours: this is to be copied as it is.
        self._status.console.out(_encodable(text, self._status.console.file), highlight=False)

    def end(self, line: str) -> None:
        """Let the line go."""
        self._status.stop()
        self.say(line)

    def _show(self) -> None:
        from rich.text import Text

        self._status.update(Text(f"{self._name}: {plural(self._count, 'conversation')}"))


@contextlib.contextmanager
def screen() -> Iterator[Screen]:
    """In this block there is a screen: a `LiveScreen` if this is a terminal and rich is installed."""
    try:
        from rich.console import Console
    except ImportError:
        yield Screen()
        return
    console = Console()
    if not console.is_terminal:
        yield Screen()
        return
    status = console.status("")
    try:
        yield LiveScreen(status)
    finally:
        status.stop()
