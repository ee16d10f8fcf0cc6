"""How a client is opened: kept, so that it can be opened again. Pure."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from .codec import Codec
from .errors import UsageError
from .handshake import Handshake, check_handshake
from .request import check_timeout
from .text import show

__all__ = ["Plan", "check_client_options"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where a client connects, with which options, and what it goes through first."""

    path: str | None
    options: Mapping[str, Any]
    """What `tornado_wstest.request.build_request` takes."""
    handshake: Handshake | None
    handshake_kwargs: Mapping[str, Any]
    timeout: float | None = None
    """Seconds that a wait lasts from now on, and what encodes messages: None for those that the client has."""
    codec: Codec | None = None

    def changed(self, path: str | None, changes: Mapping[str, Any]) -> "Plan":
        """Return the plan with ``changes``, the keyword arguments of a reconnect, in place of what it had.

        A handshake that is given anew does not get the keyword arguments of the one before.
        """
        options = dict(changes)
        handshake = options.pop("handshake", self.handshake)
        kwargs = options.pop("handshake_kwargs", None if "handshake" in changes else self.handshake_kwargs)
        timeout, codec = options.pop("timeout", None), options.pop("codec", None)
        if "name" in options:
            raise UsageError(f"a client keeps its name; reconnect() takes no name={show(options['name'])}")
        check_client_options(handshake=handshake, handshake_kwargs=kwargs, codec=codec)
        if timeout is not None:
            check_timeout(timeout)
        path = self.path if path is None else path
        return Plan(path, {**self.options, **options}, handshake, kwargs or {}, timeout, codec)


def check_client_options(*, handshake: Any, handshake_kwargs: Any, codec: Any) -> None:
    """Raise `UsageError` for what no client can be opened with."""
    if handshake is not None:
        check_handshake(handshake)
    elif handshake_kwargs:
        raise UsageError("handshake_kwargs without a handshake: there is nothing that takes them")
    if codec is not None and not isinstance(codec, Codec):
        raise UsageError(f"codec is a Codec(encode, decode), not {show(codec)}")
