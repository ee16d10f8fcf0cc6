"""The network between the clients and the server: latency, jitter, bandwidth, stalls and cuts.

A `Link` is the way between one client and the server, over the memory transport; a `Network` is all of them. What
a link does, in each direction by itself:

- bytes leave one after the other, ``bandwidth`` of them a second, headers of frames and of HTTP included; more
  than 1,460 at once leave in segments of so many, and a segment arrives when its last byte does
- then they travel for ``latency`` seconds, give or take ``jitter``; none overtakes another
- a stalled link is frozen: what is under way stays where it is, and goes on from there
- the end of a connection (FIN) comes after the last byte; bytes that come to a closed end are answered with a reset
- a cut resets both ends at once. What has arrived is still read, what is under way is lost
- an unread byte takes room wherever it is: each direction holds ``ws_server.buffer_size`` bytes, under way or
  arrived. Beyond that, the sender waits: the server's write buffer grows
- a connection over a link that is slow or stalled is opened as over TCP: one round trip to connect, one for the
  opening handshake

An arrival is a timer of the loop, like any other. Under virtual time links are exact and cost nothing; in real
time they are as late as they say. Bytes that are under way have not arrived: the app settles without them,
``expect_nothing()`` does not see them, and ``expect_nothing(seconds=1)`` or ``clock.advance(1)`` let them come.

When a test ends, nothing is slow any more: a stalled link is cut, on others what is under way arrives at once.

What is left out of TCP: there are no acknowledgements (a sender knows at once that there is room again), and nothing
is lost and sent again; that shows as jitter.
"""

import asyncio
import dataclasses
import errno
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from tornado.iostream import StreamClosedError

from ..errors import UsageError
from ..text import show
from .lanes import Lane
from .memory import Endpoint

__all__ = ["Link", "Network"]


@dataclasses.dataclass(frozen=True)
class _Conditions:
    """How bytes travel. Checked when made."""

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        for name in ("latency", "jitter"):
            seconds = getattr(self, name)
            if not _is_number(seconds) or seconds < 0:
                raise UsageError(f"{name} is a number of seconds, 0 or more, not {show(seconds)}")
        if self.jitter > self.latency:
            raise UsageError(
                f"the jitter is at most the latency, so that nothing arrives before it is sent:"
                f" {show(self.jitter)} s is more than {show(self.latency)} s"
            )
        if self.bandwidth is None:
            return
        if not _is_number(self.bandwidth) or self.bandwidth < 0:
            raise UsageError(
                "bandwidth is a number of bytes a second, more than 0, or None for no limit,"
                f" not {show(self.bandwidth)}"
            )
        if self.bandwidth == 0:
            raise UsageError("a bandwidth of 0 is a link that stands still: stall() it, and resume() it later")

    @property
    def are_ideal(self) -> bool:
        """Is everything there as soon as it is sent?"""
        return not self.latency and self.bandwidth is None


class _Adjustable:
    """What has a latency, a jitter and a bandwidth that a test may set, and nothing else."""

    __slots__ = ("_conditions",)

    _conditions: _Conditions

    @property
    def latency(self) -> float:
        """Seconds that a byte travels, one way."""
        return self._conditions.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._adjust(latency=seconds)

    @property
    def jitter(self) -> float:
        """Seconds by which the latency may be more or less, at most the latency itself."""
        return self._conditions.jitter

    @jitter.setter
    def jitter(self, seconds: float) -> None:
        self._adjust(jitter=seconds)

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second, each way; None for no limit."""
        return self._conditions.bandwidth

    @bandwidth.setter
    def bandwidth(self, bytes_a_second: float | None) -> None:
        self._adjust(bandwidth=bytes_a_second)

    def _adjust(self, **changes: Any) -> None:
        self._conditions = dataclasses.replace(self._conditions, **changes)


class Network(_Adjustable):
    """All links of a test: how they begin, and what happens to all at once. For the memory transport.

    ::

        class PhoneTest(WebSocketTestCase):
            ws_transport = "memory"
            ws_virtual_time = True
            ws_network = Network(latency=0.2, jitter=0.05, bandwidth=50_000)

            async def test_a_tunnel(self):
                client = await self.ws_client()
                self.network.stall()
                await self.clock.advance(60)
                self.network.resume()

    A class's ``ws_network`` is a value, and the same in each test. ``self.network`` is the one of the test that
    runs: what is set there holds for all links, those to come included. ``client.link`` is one of them.

    :arg latency: seconds that a byte travels, one way
    :arg jitter: seconds by which this may be more or less, at most ``latency``
    :arg bandwidth: bytes a second, each way; None for no limit
    :arg seed: of the jitter. The same seed gives the same delays: how long the n-th piece takes on the n-th link
    """

    __slots__ = ("_is_stalled", "_links", "_loop", "_seed")

    def __init__(
        self, *, latency: float = 0.0, jitter: float = 0.0, bandwidth: float | None = None, seed: int = 0
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UsageError(f"a seed is an integer, not {show(seed)}: the same one gives the same delays again")
        self._conditions = _Conditions(latency, jitter, bandwidth)
        self._seed = seed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._links: list[Link] = []
        self._is_stalled = False

    @property
    def seed(self) -> int:
        """What the jitter is drawn from."""
        return self._seed

    def stall(self) -> None:
        """Let nothing arrive anywhere any more, until `resume`: the network is down. Clients to come cannot connect."""
        self._check_running("stall()")
        if self._is_stalled:
            raise UsageError("the network is stalled already; resume() it first")
        self._is_stalled = True
        for link in self._links:
            if not link.is_stalled:
                link.stall()

    def resume(self) -> None:
        """Let all links go on that are stalled."""
        self._check_running("resume()")
        if not self._is_stalled:
            raise UsageError("the network is not stalled; stall() it first, or resume() a client's own link")
        self._is_stalled = False
        for link in self._links:
            if link.is_stalled:
                link.resume()

    def cut(self) -> None:
        """Cut all connections that there are: everybody connects again at the same time."""
        self._check_running("cut()")
        for link in self._links:
            if link.is_connected:
                link.cut()

    def __repr__(self) -> str:
        return (
            f"Network(latency={self.latency!r}, jitter={self.jitter!r}, bandwidth={self.bandwidth!r},"
            f" seed={self._seed!r})"
        )

    # For the tester

    def started(self, loop: asyncio.AbstractEventLoop) -> "Network":
        """Return the network of one test, which begins as this one is."""
        network = Network(latency=self.latency, jitter=self.jitter, bandwidth=self.bandwidth, seed=self._seed)
        network._loop = loop
        return network

    def link(self, name: str, note: Callable[[str, bool], None] | None = None) -> "Link":
        """Return a new link.

        :arg name: whose
        :arg note: told of what the test does to it, in words, and whether that is a cut
        """
        assert self._loop is not None
        seed = f"{self._seed} {len(self._links)}"
        link = Link(name, self._loop, self._conditions, seed, note or _nobody, is_stalled=self._is_stalled)
        self._links.append(link)
        return link

    def finish(self) -> None:
        """The test is over: cut what is stalled, and let arrive at once what is under way elsewhere."""
        self._is_stalled = False
        self._conditions = _Conditions()
        for link in self._links:
            link.finish()

    # Inside

    def _adjust(self, **changes: Any) -> None:
        self._check_running(f"a new {next(iter(changes))}")
        super()._adjust(**changes)
        # All are checked before the first is changed.
        adjusted = [(link, dataclasses.replace(link._conditions, **changes)) for link in self._links]
        for link, conditions in adjusted:
            link.become(conditions)

    def _check_running(self, what: str) -> None:
        if self._loop is None:
            raise UsageError(
                f"{what} is for the network of a test that runs: self.network (wstest.network)\n"
                "a Network that is given to tests is a value, the same for each: make another one"
            )


class Link(_Adjustable):
    """The way between one client and the server. For the memory transport.

    ::

        client.link.latency = 0.2               # seconds, one way
        client.link.jitter = 0.05               # give or take
        client.link.bandwidth = 50_000          # bytes a second, each way
        client.link.stall()                     # nothing arrives...
        client.link.resume()                    # ...until now
        client.link.cut_after(100)              # a reset, 100 bytes from now
        client.link.cut()                       # a reset, now

    It belongs to the client, and serves the connections that follow a reconnect as well: they are as slow, and if it
    is stalled they wait. A new latency is for what is sent from now on; a new bandwidth is also for what has not left
    yet. Bytes are those of frames, with their headers.
    """

    __slots__ = ("_budget", "_connections", "_loop", "_name", "_note", "_randoms", "_seed", "_stalled_at", "_stood")

    def __init__(
        self,
        name: str,
        loop: asyncio.AbstractEventLoop,
        conditions: _Conditions,
        seed: str,
        note: Callable[[str, bool], None],
        *,
        is_stalled: bool,
    ) -> None:
        self._name = name
        self._loop = loop
        self._conditions = conditions
        self._seed = seed
        self._note = note
        self._connections: list[_Connection] = []
        self._budget: int | None = None
        """How many bytes may still arrive before the cut."""
        self._randoms: dict[str, random.Random] = {}
        self._stood = 0.0
        """Seconds for which it has been stalled, all in all."""
        self._stalled_at: float | None = self._loop.time() if is_stalled else None
        """Its own time, if it is stalled."""

    # For the test

    def stall(self) -> None:
        """Let nothing arrive any more, either way, until `resume`: a tunnel, a lift, a machine asleep.

        Neither end notices. What is sent meanwhile waits, and the server's write buffer grows when the buffers on
        the way are full; see ``client.server_buffer``.
        """
        if self._stalled_at is not None:
            raise UsageError(f"the link of {self._name} is stalled already; resume() it first")
        self._stalled_at = self.time()
        self._activate()
        for lane in self._lanes():
            lane.rearm()
        self._note("link stalled", False)

    def resume(self) -> None:
        """Let what is under way go on, from where it is."""
        if self._stalled_at is None:
            raise UsageError(f"the link of {self._name} is not stalled: there is nothing to resume; stall() it first")
        self._stood = self._loop.time() - self._stalled_at
        self._stalled_at = None
        self._note("link resumed", False)
        for lane in self._lanes():
            lane.move()

    def cut(self) -> None:
        """Reset the connection at both ends, now (RST). What is under way is lost, what has arrived is still read.

        The client and the handler's `on_close` hear of it in one of the next turns of the loop:
        ``await client.expect_closed(1006)``, or ``await self.settle()``.
        """
        if not self.is_connected:
            raise UsageError(f"{self._name} has no connection to cut: it is closed, or has not been opened yet")
        self._note("link cut", True)
        self._cut()

    def cut_after(self, count: int) -> None:
        """Cut the connection as soon as so many more bytes have arrived, either way: within a message, a frame.

        ::

            client.link.cut_after(10)
            await client.send("x" * 100)            # ten bytes of its frame reach the server

        The last time that this is called counts, and a cut is the end of it. Without a connection it is for the next.

        :arg count: bytes of frames, with their headers, of both directions together
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"cut_after() takes a number of bytes, 1 or more, not {show(count)}; cut() cuts now")
        self._budget = count
        self._activate()
        self._note(f"link to be cut after {count} bytes", False)

    @property
    def is_stalled(self) -> bool:
        """Does it stand still?"""
        return self._stalled_at is not None

    @property
    def is_connected(self) -> bool:
        """Is there a connection over it, or half of one? It ends when both ends know of its end."""
        return any(not connection.is_over for connection in self._connections)

    @property
    def bytes_under_way(self) -> int:
        """Bytes that were sent and have not arrived, both directions together."""
        return sum(end.under_way for connection in self._connections for end in connection.ends)

    def __repr__(self) -> str:
        state = ", stalled" if self.is_stalled else ""
        return (
            f"<Link of {self._name}: latency {self.latency:g} s, jitter {self.jitter:g} s,"
            f" bandwidth {self.bandwidth}{state}, {self.bytes_under_way} bytes under way>"
        )

    # For the transport and the tester

    async def attach(self, ours: Endpoint, theirs: Endpoint) -> None:
        """Carry the bytes of a new connection. Returns when it is established, one round trip later.

        :arg ours: the client's end
        """
        connection = _Connection(ours, theirs)
        self._connections = [known for known in self._connections if not known.is_over]
        self._connections.append(connection)
        self._activate()
        if connection.lanes:
            down, up = connection.lanes
            established = connection.established = self._loop.create_future()
            up.pass_on(lambda: down.pass_on(lambda: None if established.done() else established.set_result(None)))
            await established

    def become(self, conditions: _Conditions) -> None:
        """Change all conditions at once."""
        has_new_bandwidth = conditions.bandwidth != self._conditions.bandwidth
        self._conditions = conditions
        self._activate()
        if has_new_bandwidth:
            for lane in self._lanes():
                lane.reschedule()

    def finish(self) -> None:
        """The test is over, and nothing is slow any more."""
        self._budget = None
        self._conditions = _Conditions()
        if self.is_stalled:
            self._stalled_at = None
            self._cut()
        for lane in self._lanes():
            lane.flush()

    # For the lanes

    def time(self) -> float:
        """The link's own time, in seconds. It stands still while the link is stalled."""
        return self._loop.time() - self._stood if self._stalled_at is None else self._stalled_at

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call ``callback`` at this time of the link's, if it is not stalled until then."""
        return self._loop.call_at(when + self._stood, callback)

    def delay(self, direction: str) -> float:
        """Return for how many seconds the next piece travels."""
        latency, jitter = self.latency, self.jitter
        if not jitter:
            return latency
        if direction not in self._randoms:
            self._randoms[direction] = random.Random(f"{self._seed} {direction}")
        return latency + self._randoms[direction].uniform(-jitter, jitter)

    def pass_bytes(self, data: bytes) -> tuple[bytes, bool]:
        """Return what of ``data`` arrives before the cut, and whether the cut comes then."""
        if self._budget is None:
            return data, False
        passed = data[: self._budget]
        self._budget -= len(passed)
        return passed, not self._budget

    def cut_here(self) -> None:
        """So many bytes have arrived: cut."""
        self._note("link cut, as asked for", True)
        self._cut()

    # Inside

    def _adjust(self, **changes: Any) -> None:
        self.become(dataclasses.replace(self._conditions, **changes))

    def _activate(self) -> None:
        """Carry the bytes from now on, if there is anything to it."""
        if self.is_stalled or self._budget is not None or not self._conditions.are_ideal:
            for connection in self._connections:
                if not connection.lanes:
                    connection.lanes = (
                        Lane(self, connection.ends[0], "down"),
                        Lane(self, connection.ends[1], "up"),
                    )

    def _lanes(self) -> Iterator[Lane]:
        for connection in self._connections:
            yield from connection.lanes

    def _cut(self) -> None:
        self._budget = None
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.cut()


class _Connection:
    """One connection over a link: its ends, the client's first, and what carries bytes to them."""

    def __init__(self, ours: Endpoint, theirs: Endpoint) -> None:
        self.ends = (ours, theirs)
        self.lanes: tuple[Lane, ...] = ()
        self.established: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.ends[0].is_over

    def cut(self) -> None:
        for end in self.ends:
            end.reset()
        if self.established is not None and not self.established.done():
            text = "the link was cut before the connection was established"
            self.established.set_exception(StreamClosedError(ConnectionResetError(errno.ECONNRESET, text)))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _nobody(what: str, is_cut: bool) -> None:
    pass
