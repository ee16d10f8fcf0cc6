"""Python code, laid out as formatters do it: on one line where it fits, else an item a line."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["Chain", "Code", "Group", "Link", "Sum", "call", "comment", "flat", "lay_out", "quote", "quote_pattern"]

_WIDTH = 100


class Group(NamedTuple):
    """Items between brackets: a call, a list, a dict.

    :arg items: what stands before each (``name=``, ``"key": ``), and the item
    """

    opening: str
    items: Sequence[tuple[str, "Code"]]
    closing: str

    @property
    def is_call(self) -> bool:
        return self.closing == ")"


class Sum(NamedTuple):
    """Terms with a ``+`` between them."""

    terms: Sequence[str]


Code = str | Group | Sum
"""An expression; a `str` is one that has no place for a line break."""


class Link(NamedTuple):
    """One call of a chain, and the comments above it."""

    call: Group
    comments: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join([*(comment(text, 4) for text in self.comments), "    " + lay_out(self.call, 4)])


class Chain(NamedTuple):
    """``name = head.call().call()``, with comments above it, between the calls, and after the last."""

    name: str
    head: Group
    links: Sequence[Link]
    above: Sequence[str] = ()
    below: Sequence[str] = ()

    def __str__(self) -> str:
        return "\n".join([*(comment(text) for text in self.above), self._assignment()])

    def _assignment(self) -> str:
        is_broken = any(link.comments for link in self.links)
        line = flat(self.head) + "".join(flat(link.call) for link in self.links)
        if len(f"{self.name} = {line}") <= _WIDTH and not is_broken and not self.below:
            return f"{self.name} = {line}"
        if len(self.links) == 1 and not is_broken and not self.below:
            return f"{self.name} = {lay_out(self.head, 0, _WIDTH)}{flat(self.links[0].call)}"
        if 4 + len(line) <= _WIDTH and not is_broken:
            lines = [f"    {line}"]
        else:
            lines = ["    " + lay_out(self.head, 4), *(str(link) for link in self.links)]
        return "\n".join([f"{self.name} = (", *lines, *(comment(text, 4) for text in self.below), ")"])


def flat(code: Code) -> str:
    """Return ``code`` on one line."""
    if isinstance(code, Group):
        return code.opening + ", ".join(prefix + flat(item) for prefix, item in code.items) + code.closing
    return " + ".join(code.terms) if isinstance(code, Sum) else code


def lay_out(code: Code, indent: int, used: int = 0, after: int = 0) -> str:
    """Return ``code`` on as many lines as it takes.

    :arg indent: of the line on which it begins
    :arg used: characters before it on that line, after the indent
    :arg after: characters that follow its last one
    """
    line = flat(code)
    if indent + used + len(line) + after <= _WIDTH or isinstance(code, str):
        return line
    if isinstance(code, Sum):
        return f"\n{' ' * indent}+ ".join(code.terms)
    if not code.items:
        return line
    inner = indent + 4
    body = ", ".join(prefix + flat(item) for prefix, item in code.items)
    if code.is_call and (inner + len(body) <= _WIDTH or len(code.items) == 1):
        ((prefix, item),) = code.items if len(code.items) == 1 else (("", body),)
        lines = [_item(prefix, item, inner, 0)]
    else:
        lines = [_item(prefix, item, inner, 1) + "," for prefix, item in code.items]
    return "\n".join([code.opening, *(" " * inner + text for text in lines), " " * indent + code.closing])


def _item(prefix: str, item: Code, indent: int, after: int) -> str:
    """Lay out an item; a sum after a prefix gets parentheses where it has more than one line."""
    if isinstance(item, Sum) and prefix and indent + len(prefix) + len(flat(item)) + after > _WIDTH:
        space = " " * (indent + 4)
        return f"{prefix}(\n{space}{lay_out(item, indent + 4)}\n{' ' * indent})"
    return prefix + lay_out(item, indent, len(prefix), after)


def comment(text: str, indent: int = 0) -> str:
    """Return ``text`` as lines of comment."""
    return "\n".join(
        textwrap.wrap(
            text,
            _WIDTH,
            initial_indent=" " * indent + "# ",
            subsequent_indent=" " * indent + "# ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def quote(value: object) -> str:
    """Return the literal of a str, bytes, number, bool or None; in double quotes if that needs no more escapes."""
    text = repr(value)
    if isinstance(value, float):
        return text.replace("e+", "e")
    if not isinstance(value, (str, bytes)) or text.endswith('"'):
        return text
    prefix, body = text[: text.index("'")], text[text.index("'") + 1 : -1]
    singles, doubles = body.count("'"), body.count('"')
    if doubles > singles:
        return text
    # A backslash before a quote is an escape only if it is not itself escaped.
    body = re.sub(r"\\(.)", lambda match: "'" if match[1] == "'" else match[0], body)
    return f'{prefix}"{_escape_doubles(body)}"'


def quote_pattern(text: str) -> str:
    """Return the literal of a pattern: raw, where that is possible."""
    if "\\" not in text or not text.isprintable() or '"' in text or text.endswith("\\"):
        return quote(text)
    return f'r"{text}"'


def _escape_doubles(body: str) -> str:
    return body.replace('"', '\\"')


def call(function: str, arguments: Iterable[Code] = (), /, **named: Code) -> Group:
    """Return the code of a call."""
    items = [("", argument) for argument in arguments]
    return Group(f"{function}(", [*items, *((f"{key}=", value) for key, value in named.items())], ")")
