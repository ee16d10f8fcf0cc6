"""What was seen while a case was played: facts, of which the checks make findings."""

import dataclasses

from ..codec import Message
from ..watch import Caught
from .case import Case

__all__ = ["Observation"]


@dataclasses.dataclass
class Observation:
    """The facts of one case. Indexes count the messages of all its visits, from 0."""

    case: Case
    # The opening handshake
    accepted: bool = False
    """Was some visit accepted?"""
    status: int | None = None
    """The HTTP status with which the last visit was refused."""
    handshake_failure: str = ""
    """Why the handshake of the test's (a login) did not go through."""
    offered: tuple[str, ...] = ()
    subprotocol: str | None = None
    foreign_origin: str | None = None
    """The foreign origin that was accepted."""
    reads_cookies: bool = False
    size_limit: int = 0
    """Bytes of the longest message that the handler says it takes."""
    # The messages
    connections: int = 0
    sent: int = 0
    received: list[Message] = dataclasses.field(default_factory=list)
    answered: list[Message] = dataclasses.field(default_factory=list)
    """The messages after which something came."""
    index: int | None = None
    """The message after which things went wrong; None if it was no message's doing."""
    errors: list[Caught] = dataclasses.field(default_factory=list)
    unanswered: str = ""
    """What the server gave no answer to, in words."""
    restless: str = ""
    """What keeps running, where the app does not come to rest."""
    blocked: float = 0.0
    """For how many real seconds the loop stood still at most."""
    blocked_at: tuple[str, ...] = ()
    """Where, innermost last."""
    bystander: list[Message] = dataclasses.field(default_factory=list)
    """What somebody else got meanwhile."""
    fault: str = ""
    """The name of the violation of the protocol that came last."""
    others_unserved: str = ""
    """What somebody else did not get who was connected meanwhile, in words."""
    takes_any_size: bool = False
    """Was the connection still open when an oversized frame had begun?"""
    # The end
    closed_by_server: bool = False
    close_code: int | None = None
    close_reason: str = ""
    sent_no_utf8: bool = False
    """Did the client give up because a text message of the server's was no UTF-8?"""
    unclean: str = ""
    """What the closing handshake lacks, in words."""
    left: tuple[str, ...] = ()
    """What stayed behind of the connections."""
    seconds: float = 0.0
    """How long it took, by the test's clock."""
    transcript: str = ""
