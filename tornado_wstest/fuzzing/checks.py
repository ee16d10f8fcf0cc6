"""What must hold whatever a client sends: each check is a class with a code, a sentence, and a look at the facts.

What Tornado itself does is not the app's bug: it drops a connection without a close frame after a malformed
frame and after an exception, and it refuses large messages with 1009. So the checks look at the app's own doing, and
the first that fails is told: an exception makes the connection drop, not the other way round.
"""

import dataclasses
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import UsageError
from ..frames import NO_CODE, NO_FRAME
from ..text import elide, is_library, nearest, one_line, show, show_error
from .observation import Observation
from .settings import FuzzSettings, allows

__all__ = ["CHECKS", "Check", "Problem", "chosen_checks", "first_problem", "needs_bystander"]


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a check has found in one observation."""

    code: str
    """The check's."""
    title: str
    """One line: what happened."""
    expected: str
    actual: str
    place: str = ""
    """Where, so far as it is known; two problems of one check and place are one bug."""
    traceback: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells one bug from another."""
        return self.code, self.place


class Check:
    """Looks at what was seen."""

    code = ""
    sentence = ""
    """What must hold."""
    by_default = True

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        """Return what is wrong, or None."""
        raise NotImplementedError

    def _problem(self, title: str, actual: str, **more: Any) -> Problem:
        return Problem(self.code, title, self.sentence, actual, **more)


class BlockedLoop(Check):
    """The loop stood still: no other client was served meanwhile."""

    code = "blocked-loop"
    sentence = "the loop is never blocked for long"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if seen.blocked <= settings.blocked:
            return None
        where = f" at {seen.blocked_at[-1]}" if seen.blocked_at else ""
        return self._problem(
            f"the loop was blocked{where}",
            f"it stood still for {seen.blocked:.1f} s of real time (more than {settings.blocked:g})",
            # A line inside is met by chance; the app's function that tornado or asyncio called is the same each time.
            place=seen.blocked_at[0].rpartition(" in ")[2] if seen.blocked_at else "",
            traceback="\n".join(seen.blocked_at),
        )


class Subprotocol(Check):
    """The server chose a subprotocol that the client had not offered (RFC 6455, section 4.2.2)."""

    code = "subprotocol"
    sentence = "a subprotocol is one of those that the client offers"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not settings.validate_subprotocols or seen.subprotocol is None or seen.subprotocol in seen.offered:
            return None
        offered = ", ".join(seen.offered) or "none"
        return self._problem(
            f"the subprotocol {seen.subprotocol!r} was chosen, which was not offered",
            f"{seen.subprotocol!r}, and {offered} offered",
        )


class ServerRaised(Check):
    """An exception left the app's own code."""

    code = "server-error"
    sentence = "no handler raises"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.errors:
            return None
        caught = seen.errors[0]
        place = _place(caught.exception)
        return self._problem(
            f"{one_line(str(caught))}{f' at {place}' if place else ''}",
            one_line(show_error(caught.exception, 400)),
            place=place or type(caught.exception).__name__,
            traceback="".join(traceback.format_exception(caught.exception)),
        )


class Dropped(Check):
    """The connection ended without a close frame, and the client had not asked for it."""

    code = "dropped"
    sentence = "the server closes with a close frame"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.closed_by_server or seen.close_code != NO_FRAME or seen.fault:
            return None
        if seen.sent_no_utf8:
            return self._problem(
                "the server sent text that is no UTF-8",
                "a client must drop such a connection (RFC 6455, section 8.1); for bytes there is"
                " write_message(..., binary=True)",
                place="no UTF-8",
            )
        return self._problem("the connection was dropped", "it ended without a close frame (1006)")


class CloseCode(Check):
    """The server closed with a code that is none of those allowed."""

    code = "close-code"
    sentence = "the server closes with a code that means what it should"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        code = seen.close_code
        if not seen.closed_by_server or code in (None, NO_CODE, NO_FRAME) or seen.fault:
            return None
        if allows(settings.allowed_close_codes, code):
            return None
        reason = f" {show(seen.close_reason, 80)}" if seen.close_reason else ""
        allowed = ", ".join(settings.allowed_close_codes)
        return self._problem(
            f"the server closed with {code}", f"{code}{reason}; allowed are {allowed}", place=str(code)
        )


class Unresponsive(Check):
    """The handler does not come back: no message, no ping and no close of the client's is looked at any more."""

    code = "unresponsive"
    sentence = "the server answers a ping after every message"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if seen.restless:
            return self._problem("the app never comes to rest", seen.restless)
        if not seen.unanswered:
            return None
        title, _, rest = seen.unanswered.partition("\n")
        return self._problem(title, rest or title)


class UncleanClose(Check):
    """The closing handshake was not completed, or `on_close` did not run."""

    code = "unclean-close"
    sentence = "a close is answered with a close frame, and on_close runs"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.unclean:
            return None
        title, _, rest = seen.unclean.partition("\n")
        return self._problem(title, rest or title)


class Leak(Check):
    """Something of the connection stayed behind: a handler, a task, a timer."""

    code = "leak"
    sentence = "nothing of a connection stays behind"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.left:
            return None
        return self._problem(f"{seen.left[0]} stayed behind", "; ".join(seen.left), place=seen.left[0])


class Origin(Check):
    """Any page on the web can use the app in the name of a user who is logged in (RFC 6455, section 10.2)."""

    code = "origin"
    sentence = "a foreign origin is refused where the handler reads cookies"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if seen.foreign_origin is None or not seen.reads_cookies:
            return None
        return self._problem(
            f"a page of {seen.foreign_origin} may connect, with the user's cookies",
            "the opening handshake was accepted; see WebSocketHandler.check_origin",
        )


class Oversize(Check):
    """A message over the limit was not refused, so that one client can take all memory."""

    code = "oversize"
    sentence = "an oversized message is refused with 1009"

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.takes_any_size:
            return None
        declared = max(visit.declared_size for visit in seen.case.visits)
        return self._problem(
            f"a message of {declared:,} bytes is not refused",
            f"the connection is still open; websocket_max_message_size is {seen.size_limit:,}",
        )


class Isolation(Check):
    """A client that only listened got something that another one's messages caused."""

    code = "isolation"
    sentence = "a bystander sees nothing of another client's conversation"
    by_default = False

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.bystander:
            return None
        messages = ", ".join(show(message, 80) for message in seen.bystander[:3])
        return self._problem("a bystander got what was not for it", elide(messages, 400))


class Faults(Check):
    """A client that violates the protocol harmed others. It is tried with each fault of the catalogue.

    What Tornado does with such a client is right. That its ``on_close`` ran, that nothing of it stayed behind and that
    nothing was raised is seen to by the other checks.
    """

    code = "faults"
    sentence = "whoever keeps to the protocol is served, whatever others do"
    by_default = False

    def look(self, seen: Observation, settings: FuzzSettings) -> Problem | None:
        if not seen.others_unserved:
            return None
        return self._problem(f"after {seen.fault!r} nobody else is served", seen.others_unserved)


CHECKS: dict[str, Check] = {
    check.code: check
    for check in (
        BlockedLoop(),
        Subprotocol(),
        ServerRaised(),
        Oversize(),
        Unresponsive(),
        Dropped(),
        CloseCode(),
        UncleanClose(),
        Leak(),
        Origin(),
        Isolation(),
        Faults(),
    )
}
"""By their codes; what comes first is the cause of what follows."""


def chosen_checks(wanted: Iterable[str]) -> list[Check]:
    """Return the checks of a run, in their order.

    Names alone are the checks to make; ``+name`` is one more than by default, ``-name`` one less. A check that is
    off by default is added to them by its name alone, if no other is named. Raises `UsageError` for an unknown one.
    """
    names = list(wanted)
    for name in names:
        if name.lstrip("+-") not in CHECKS:
            raise UsageError(f"there is no check {name!r}: {nearest(name.lstrip('+-'), CHECKS)}")
    plain = {name for name in names if name[0] not in "+-"}
    defaults = {code for code, check in CHECKS.items() if check.by_default}
    chosen = plain if plain & defaults else defaults | plain
    chosen |= {name[1:] for name in names if name[0] == "+"}
    chosen -= {name[1:] for name in names if name[0] == "-"}
    return [check for code, check in CHECKS.items() if code in chosen]


def needs_bystander(checks: Iterable[Check]) -> bool:
    """Does one of these look at a client that has nothing to do with what is played?"""
    return any(check.code in ("isolation", "faults") for check in checks)


def first_problem(seen: Observation, checks: Sequence[Check], settings: FuzzSettings) -> Problem | None:
    """Return what the first check has found that found something."""
    for check in checks:
        problem = check.look(seen, settings)
        if problem is not None:
            return problem
    return None


def _place(error: BaseException) -> str:
    """Return the innermost line of the app's own that an exception passed."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_library(frame.filename)]
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    if not ours:
        return ""
    frame = ours[-1]
    name = frame.filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.lineno} in {frame.name}"
