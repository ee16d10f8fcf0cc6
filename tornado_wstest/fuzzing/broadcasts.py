"""Who should have got which broadcast, and who got it: counted after each step of a state machine.

Knows no client and no loop: names, rooms, and the keys by which messages are recognised come in, sentences go out.
Keys and rooms are only compared, so they need no hash.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..text import show

__all__ = ["Broadcasts", "Sent"]

_MOST_MESSAGES = 3
_WIDTH = 80


class Sent(NamedTuple):
    """One message that a member sent to a room."""

    sender: str
    key: Any
    room: Any
    must: tuple[str, ...]
    """Who was in the room from the beginning of the step to its end."""
    may: tuple[str, ...]
    """Those, and who came or went meanwhile."""


class Broadcasts:
    """The broadcasts of one run.

    :arg to_sender: does whoever sends a message get it back?
    """

    def __init__(self, *, to_sender: bool) -> None:
        self._to_sender = to_sender
        self._rooms: dict[str, Any] = {}
        self._been: dict[str, list[Any]] = {}
        self._past: list[Sent] = []

    def problems(
        self, sent: Iterable[tuple[str, Any]], received: Mapping[str, Sequence[Any]], rooms: Mapping[str, Any]
    ) -> list[str]:
        """Return what was wrong with the broadcasts of one step, as lines of text.

        :arg sent: who sent what in this step, in order: a name and a key
        :arg received: the keys of what each client got in this step, in order
        :arg rooms: who is in which room now that the step is over; None for no room
        """
        before, self._rooms = self._rooms, dict(rooms)
        told = [self._sent(sender, key, before, rooms) for sender, key in sent]
        blocks = [self._delivery(told, key, received) for key in _different(message.key for message in told)]
        blocks += self._strays(told, received, before)
        if not any(blocks):
            blocks = [_order(told, name, keys) for name, keys in received.items()]
        self._past += told
        for name, room in rooms.items():
            if room not in self._been.setdefault(name, []):
                self._been[name].append(room)
        found = [block for block in blocks if block]
        more = [[f"and {len(found) - _MOST_MESSAGES} more went wrong"]] if len(found) > _MOST_MESSAGES else []
        return [line for block in found[:_MOST_MESSAGES] + more for line in block]

    def _sent(self, sender: str, key: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sent:
        was, now = before.get(sender), after.get(sender)
        room = now if was is None else was
        names = [name for name in {**before, **after} if name != sender or self._to_sender]
        may = [name for name in names if room is not None and room in (before.get(name), after.get(name))]
        # Whose own place changed after it had been theirs: the app may have seen that first.
        is_sure = was is None or was == now
        must = [name for name in may if is_sure and before.get(name) == after.get(name)]
        return Sent(sender, key, room, tuple(must), tuple(may))

    # One message

    def _delivery(self, told: list[Sent], key: Any, received: Mapping[str, Sequence[Any]]) -> list[str]:
        """Count the arrivals of all messages of this step that have the same key."""
        same = [message for message in told if message.key == key]
        is_homeless = all(message.room is None for message in same)
        missed: list[str] = []
        often: list[str] = []
        strangers: list[str] = []
        gone: list[str] = []
        for name in dict.fromkeys([*(name for message in same for name in message.may), *received]):
            count = list(received.get(name, ())).count(key)
            most = sum(name in message.may for message in same)
            if count < sum(name in message.must for message in same):
                missed.append(name if most == 1 else f"{name} ({count} of {most})")
            elif count > most > 0:
                often.append(f"{name} ({count} times{f' instead of {most}' if most > 1 else ''})")
            elif count > most:
                (gone if not is_homeless and self._has_left(name, same) else strangers).append(name)
        lines = _labelled(
            ("did not get it", missed),
            ("got it more than once", often),
            ("got it after leaving the room", gone),
            (f"got it, {'though the sender is in no room' if is_homeless else 'and is not in the room'}", strangers),
        )
        senders = " and of ".join(dict.fromkeys(message.sender for message in same))
        audience = ", ".join(dict.fromkeys(name for message in same for name in message.must)) or "nobody"
        return [f"{show(key, _WIDTH)} of {senders}, for {audience}:", *lines] if lines else []

    def _has_left(self, name: str, messages: list[Sent]) -> bool:
        return any(message.room in self._been.get(name, ()) for message in messages)

    # What nobody has sent in this step

    def _strays(
        self, told: list[Sent], received: Mapping[str, Sequence[Any]], before: Mapping[str, Any]
    ) -> list[list[str]]:
        sent_now = [message.key for message in told]
        strays = _different(key for keys in received.values() for key in keys if key not in sent_now)
        return [self._stray(key, [name for name, keys in received.items() if key in keys], before) for key in strays]

    def _stray(self, key: Any, names: list[str], before: Mapping[str, Any]) -> list[str]:
        last = next((message for message in reversed(self._past) if message.key == key), None)
        if last is None:
            return [f"{show(key, _WIDTH)}, which nobody has sent:", *_labelled(("got it", names))]
        new = [name for name in names if name not in last.may]
        lines = _labelled(
            ("got it again, or late", [name for name in names if name in last.may]),
            ("got it, and was not in the room then", new),
        )
        return [f"{show(key, _WIDTH)} of {last.sender}, sent in an earlier step:", *lines]


def _order(told: list[Sent], name: str, keys: Sequence[Any]) -> list[str]:
    """Compare the order in which a client got the messages of each sender with that in which they were sent."""
    lines = []
    for sender in dict.fromkeys(message.sender for message in told):
        theirs = [message.key for message in told if message.sender == sender and name in message.may]
        theirs = [key for key in theirs if key in keys]
        rest = iter(keys)
        if not all(any(key == one for one in rest) for key in theirs):
            came = [key for key in keys if key in theirs]
            lines += [f"{name} got the messages of {sender} in another order:", f"  sent: {_shown(theirs)}"]
            lines += [f"  came: {_shown(came)}"]
    return lines


def _different(keys: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for key in keys:
        if key not in found:
            found.append(key)
    return found


def _labelled(*lists: tuple[str, list[str]]) -> list[str]:
    return [f"  {label}: {', '.join(names)}" for label, names in lists if names]


def _shown(keys: Iterable[Any]) -> str:
    return ", ".join(show(key, _WIDTH) for key in keys)
