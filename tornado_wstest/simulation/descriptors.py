"""Which descriptors of a loop have both their ends in it, and which lead elsewhere."""

import selectors
import socket
import sys
from typing import Any

__all__ = ["ForeignDescriptors"]


class ForeignDescriptors:
    """Those of a loop's descriptors that have an end which we cannot see: a database, a subprocess."""

    def __init__(self, loop: Any, selector: selectors.BaseSelector, ports: set[int]) -> None:
        self._selector = selector
        self._ports = ports
        self._new: set[int] = {key.fd for key in (selector.get_map() or {}).values()}
        self._foreign: set[int] = set()
        # The loop's own pipe, on which other threads wake it.
        self._wake_up = getattr(getattr(loop, "_ssock", None), "fileno", lambda: -1)()

    def __bool__(self) -> bool:
        self._sort_new()
        return bool(self._foreign)

    def __contains__(self, fd: int) -> bool:
        self._sort_new()
        return fd in self._foreign

    def add(self, fd: int) -> None:
        """The loop has begun to look at ``fd``, which may be another file than the last one of this number."""
        self._new.add(fd)

    def describe(self) -> list[str]:
        """Return a line for each."""
        self._sort_new()
        map_ = self._selector.get_map() or {}
        return [f"a descriptor that is not ours: {map_[fd].fileobj!r}" for fd in self._foreign]

    def _sort_new(self) -> None:
        if not (self._new or self._foreign):
            return
        # What the loop looks at no longer is forgotten here, and not when it happens: streams are let go of often.
        watched = self._selector.get_map() or {}
        self._foreign = {fd for fd in self._foreign if fd in watched and fd not in self._new}
        while self._new:
            fd = self._new.pop()
            if fd in watched and fd != self._wake_up and not self._is_ours(fd):
                self._foreign.add(fd)

    def _is_ours(self, fd: int) -> bool:
        """Is this a socket that listens here, or an end of a connection over one of our ports?"""
        if sys.platform == "win32":
            return False  # a socket's number is a handle there
        try:
            # Only to ask the kernel for its names, whoever owns it. (With a family and a type Python asks for neither.)
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        except OSError:
            return False  # a pipe, or a terminal
        try:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return True
            return self._has_our_port(sock.getpeername()) or self._has_our_port(sock.getsockname())
        except OSError:
            return False
        finally:
            sock.detach()

    def _has_our_port(self, name: Any) -> bool:
        return isinstance(name, tuple) and name[1] in self._ports
