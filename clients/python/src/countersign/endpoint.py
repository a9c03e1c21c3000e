"""What ends with sockets share: addresses, keys from files, and a socket's last second."""

import contextlib
import os
import selectors
import socket
import struct
import time
from collections import deque

from .errors import AddressError, HandshakeTimeout, Refused, Truncated
from .key_file import default_path
from .keys import KeyRing
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Tuple, Union

    Address = Union[str, Tuple[str, int]]
    Keys = Union[None, str, os.PathLike[str], KeyRing]

PORT = 9527
HANDSHAKE_TIMEOUT = 5.0
"""How long a server waits for a client's proof, in seconds."""
TIMEOUT = 10.0
"""How long a client waits: for a connection with its handshake, and for each reply."""
IDLE_TIMEOUT = 300.0
"""How long a server waits for a message."""
LINGER_TIME, LINGER_MAX = 1.0, 1 << 20
"""How long, and for how many bytes, an end that has closed waits for the other."""
QUEUE = 1024
"""How many connections wait in the system's queue until a server accepts them."""
REFUSED_MAX = 4096
"""The same after a refusal."""
READ_SIZE = 1 << 16
RESET = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
# `select` alone would not take descriptors above 1,023.
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Endpoint:
    """What is known about an authenticated connection."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._inbox: deque[bytes] = deque()
        """Messages that arrived while a ping was awaited."""

    @property
    def key_id(self) -> str:
        """The id of the key that both ends hold."""
        return self._session.key_id.decode(errors="backslashreplace")

    @property
    def audience(self) -> str:
        """The service that the client means."""
        return self._session.audience.decode(errors="backslashreplace")

    @property
    def pending(self) -> int:
        """How many messages can be received without waiting, of those that came together."""
        return len(self._inbox) + self._session.pending

    def secret(self, label: bytes) -> bytes:
        """A secret of 32 bytes that both ends derive from this label, in countersign/1 alone."""
        return self._session.secret(label)

    def _check_refused(self, abort: "Callable[[], object]") -> None:
        """In raw and hex, a server says no by ending the stream."""
        if self._session.was_refused:
            abort()
            raise Refused()


def load_keys(keys: "Keys", dialect: str) -> KeyRing:
    """A ring as it is, or from a file; without either, from the user's own file."""
    if isinstance(keys, KeyRing):
        return keys
    if keys is None and dialect == "open":
        return KeyRing()
    return KeyRing.from_file(default_path() if keys is None else keys)


def parse_address(address: "Address") -> "Address":
    """A pair of host and port, or the path of a Unix socket: from HOST:PORT, HOST or unix:/PATH."""
    if not isinstance(address, str):
        return address
    if address.startswith("unix:") and address != "unix:":
        return address[len("unix:") :]
    if address.isdecimal():
        return "127.0.0.1", to_port(address, address)
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not host or not bracket or (port and not port.startswith(":")):
            raise AddressError(address)
        return host, to_port(address, port[1:] if port else str(PORT))
    host, colon, port = address.rpartition(":")
    if ":" in host or (address and not colon):
        return address, PORT
    # An empty host would be all addresses of the machine.
    return host or "127.0.0.1", to_port(address, port)


def to_port(address: str, text: str) -> int:
    """A port of TCP."""
    if not text.isdecimal() or int(text) > 65535:
        raise AddressError(address)
    return int(text)


def format_address(address: "Any") -> str:
    """An address of a socket as it is written in a command."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"unix:{os.fsdecode(address)}"


def dial(address: "Address", timeout: "float | None") -> socket.socket:
    """Connects to a server."""
    place = parse_address(address)
    if isinstance(place, tuple):
        sock = socket.create_connection(place, timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.settimeout(timeout)
        sock.connect(place)
    except BaseException:
        sock.close()
        raise
    return sock


def shake_hands(
    sock: socket.socket,
    session: Session,
    timeout: "float | None",
    is_evicted: "Callable[[], bool]" = bool,
) -> None:
    """Exchanges the messages of a handshake, which has one deadline for all of it.

    Another thread that evicts the connection shuts down its input to end the wait for more.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        sock.sendall(session.data_to_send())
        while not session.is_established:
            data = receive_before(sock, deadline)
            if is_evicted():
                session.evict()
            session.receive_data(data)
            sock.sendall(session.data_to_send())
    except HandshakeTimeout:
        with contextlib.suppress(HandshakeTimeout):
            session.time_out()
        raise
    except RESET:
        raise Truncated() from None


def receive_before(sock: socket.socket, deadline: "float | None") -> bytes:
    """Some bytes, or none at the end of the stream."""
    if deadline is not None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise HandshakeTimeout()
        sock.settimeout(left)
    try:
        return sock.recv(READ_SIZE)
    except socket.timeout:
        raise HandshakeTimeout() from None


def is_readable(sock: socket.socket, timeout: float) -> bool:
    """Waits for something to read, or for the end of the stream. Returns whether it has come."""
    with Selector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(max(0.0, timeout)))


def reset_on_close(sock: socket.socket, session: Session) -> None:
    """Makes closing the socket reset the connection, if the peer could take that for the end.

    In records, an end without a close record is truncated. Without them, a part of a message may
    look whole.
    """
    if session.is_established and not session.has_records:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def linger(sock: socket.socket, last: bytes = b"", most: int = LINGER_MAX) -> None:
    """Sends the last bytes and ends the stream, then waits a moment for the peer to end its own.

    Closing with unread input would reset the connection, which can destroy what was sent last.
    """
    deadline = time.monotonic() + LINGER_TIME
    with contextlib.suppress(OSError, HandshakeTimeout):
        sock.settimeout(LINGER_TIME)
        if last:
            sock.sendall(last)
        sock.shutdown(socket.SHUT_WR)
        while most > 0:
            data = receive_before(sock, deadline)
            if not data:
                break
            most -= len(data)
    sock.close()
