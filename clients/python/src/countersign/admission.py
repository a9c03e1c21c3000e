"""Which connections a server has room for, before it knows who they are.

As the program decides it: those that have not authenticated are limited, in all and for each
network. If there are too many, the oldest is evicted for a new one, once it has had the time that
an honest client needs.
"""

from collections import OrderedDict

from .endpoint import HANDSHAKE_TIMEOUT
from .errors import ConfigError, TooManyConnections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    Waiting = OrderedDict[Any, float]

GRACE = 0.1
"""The part of the time for the handshake that each connection has before it can be evicted."""


class Admission:
    """The connections of a server. They go by objects of the caller, and time is an argument.

    Threads have to take turns. `max_unauthenticated` is for all networks together, and
    `max_per_address` for one address of IPv4 or one /64 network of IPv6; half of the former if it
    is None.
    """

    def __init__(
        self,
        max_connections: int,
        max_unauthenticated: int,
        max_per_address: "int | None" = None,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        if max_per_address is None:
            max_per_address = (max_unauthenticated + 1) // 2
        for name, limit in (
            ("max_connections", max_connections),
            ("max_unauthenticated", max_unauthenticated),
            ("max_per_address", max_per_address),
        ):
            if limit < 1:
                raise ConfigError(f"{name} is at least 1")
        self.max_connections, self.max_unauthenticated = max_connections, max_unauthenticated
        self.max_per_address = max_per_address
        self._grace = handshake_timeout * GRACE
        self._open: Dict[Any, str] = {}
        """The network of each connection."""
        self._waiting: Waiting = OrderedDict()
        """When each unauthenticated one was accepted, the oldest first."""
        self._networks: Dict[str, Waiting] = {}
        """The same for each network that has any."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def unauthenticated(self) -> int:
        """How many connections have not authenticated."""
        return len(self._waiting)

    def room_at(self) -> "float | None":
        """When there is room for one more: 0 if there is, None if not before one has ended."""
        if len(self._waiting) < self.max_unauthenticated and len(self._open) < self.max_connections:
            return 0
        return next(iter(self._waiting.values())) + self._grace if self._waiting else None

    def admit(self, connection: "Any", network: str, now: float) -> "Any | None":
        """Adds a connection. Returns the one that has lost its place to it, if one has."""
        own = self._networks.get(network, OrderedDict())
        evicted = None
        if len(own) >= self.max_per_address:
            evicted = self._evict(own, now)
        elif self.room_at() != 0:
            evicted = self._evict(self._waiting, now)
        self._open[connection] = network
        self._waiting[connection] = now
        self._networks.setdefault(network, OrderedDict())[connection] = now
        return evicted

    def _evict(self, waiting: "Dict[Any, float]", now: float) -> "Any":
        """Removes the oldest of these."""
        oldest = next(iter(waiting), None)
        if oldest is None or now < waiting[oldest] + self._grace:
            raise TooManyConnections()
        self.leave(oldest)
        return oldest

    def is_evicted(self, connection: "Any") -> bool:
        """Whether a connection has lost its place."""
        return connection not in self._open

    def authenticated(self, connection: "Any") -> None:
        """A connection has authenticated, and can't be evicted any more."""
        if self._waiting.pop(connection, None) is not None:
            network = self._open[connection]
            del self._networks[network][connection]
            if not self._networks[network]:
                del self._networks[network]

    def leave(self, connection: "Any") -> None:
        """A connection has ended."""
        self.authenticated(connection)
        self._open.pop(connection, None)


def network_of(address: "Any") -> str:
    """What has one share of the places: an address of IPv4, a /64 network of IPv6, or all of a Unix
    socket."""
    if not isinstance(address, tuple):
        return "unix"
    host = str(address[0])
    if ":" not in host:
        return host
    from ipaddress import IPv6Address

    bits = IPv6Address(host.partition("%")[0])
    return str(bits.ipv4_mapped or bits.packed[:8])
