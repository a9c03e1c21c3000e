"""A server with a thread for each connection, used as those of `socketserver` are."""

import contextlib
import errno
import os
import socket
import socketserver
import sys
import threading
import time

from .admission import Admission, network_of
from .config import ServerConfig
from .connection import Connection
from .endpoint import (
    HANDSHAKE_TIMEOUT,
    IDLE_TIMEOUT,
    QUEUE,
    format_address,
    load_keys,
    parse_address,
)
from .errors import TooManyConnections
from .event_log import EventLog
from .keys import COUNTERSIGN
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from typing_extensions import Unpack

    from .config import ServerOptions
    from .endpoint import Address, Keys

MAX_CONNECTIONS, MAX_UNAUTHENTICATED = 1000, 400
ROOM_WAIT = 0.1
"""How long to wait for room, or for descriptors, before `shutdown` is looked at again."""
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class StreamRequestHandler(socketserver.BaseRequestHandler):
    """Handles one authenticated connection: override `handle`.

    `self.connection` is the `Connection`. For handlers that were written for `socketserver`,
    `self.rfile` reads a message as a line, and `self.wfile` sends what is written as one.
    """

    request: Connection
    server: "Server"

    def setup(self) -> None:
        self.connection = self.request
        self.rfile = MessageReader(self.connection)
        self.wfile = MessageWriter(self.connection)

    def finish(self) -> None:
        # After a failure, the client must not see a clean end.
        if sys.exc_info()[0] is None:
            self.connection.close()


class MessageReader:
    """Messages as lines, with a line feed at the end of each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readline(self) -> bytes:
        """The next message, or b"" at the end."""
        message = self._connection.receive()
        return b"" if message is None else message + b"\n"

    def __iter__(self) -> "MessageReader":
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class MessageWriter:
    """Sends each line as a message, without its line feed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, line: bytes) -> int:
        """Sends one message."""
        self._connection.send(line[:-1] if line.endswith(b"\n") else line)
        return len(line)

    def flush(self) -> None:
        """Does nothing: what was written has been sent."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Accepts connections, authenticates clients and runs a handler for each, in threads.

    `handler` is a class such as `StreamRequestHandler`. `keys` is a key file or a `KeyRing`, and
    the options are those of `ServerConfig`. A client has `handshake_timeout` seconds to
    authenticate, and `timeout` seconds for each message.

    At most `max_connections` are open; further ones wait in the system's queue. At most
    `max_unauthenticated` of them have not authenticated, and `max_per_address` of one address (of
    IPv6, one /64 network), by default half as many. The oldest of these is closed for a new one,
    once it has had a tenth of `handshake_timeout`.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = QUEUE

    def __init__(
        self,
        address: "Address",
        handler: "Callable[[Any, Any, Any], socketserver.BaseRequestHandler]",
        keys: "Keys" = None,
        *,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
        timeout: "float | None" = IDLE_TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
        max_unauthenticated: int = MAX_UNAUTHENTICATED,
        max_per_address: "int | None" = None,
        **options: "Unpack[ServerOptions]",
    ) -> None:
        ring = load_keys(keys, options.get("dialect", COUNTERSIGN))
        self.config = ServerConfig(ring, **options)
        self.handshake_timeout, self.idle_timeout = handshake_timeout, timeout
        self._admission = Admission(
            max_connections, max_unauthenticated, max_per_address, handshake_timeout
        )
        self._events = EventLog()
        self._room = threading.Condition()
        """Guards the admission, and tells of connections that have ended or authenticated."""
        place = parse_address(address)
        if not isinstance(place, tuple):
            self.address_family = socket.AF_UNIX
        elif ":" in place[0]:
            self.address_family = socket.AF_INET6
        super().__init__(place, handler)  # type: ignore[arg-type]

    @property
    def address(self) -> str:
        """Where it listens: HOST:PORT or unix:/PATH."""
        return format_address(self.server_address)

    def server_bind(self) -> None:
        if self.address_family != getattr(socket, "AF_UNIX", None):
            super().server_bind()
            return
        # Anyone who can write to the socket can connect.
        old = os.umask(0o177)
        try:
            super().server_bind()
        finally:
            os.umask(old)

    def server_close(self) -> None:
        super().server_close()
        if isinstance(self.server_address, str):
            with contextlib.suppress(OSError):
                os.unlink(self.server_address)

    def get_request(self) -> "tuple[socket.socket, Any]":
        if not self._has_room():
            # It stays in the queue. What calls this takes an OSError for a connection that is gone.
            raise BlockingIOError
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                # The connection stays in the queue: an attempt at once would fail again.
                time.sleep(ROOM_WAIT)
            raise

    def _has_room(self) -> bool:
        """Whether there is room for one more connection, now or in a moment."""
        with self._room:
            return self._room.wait_for(self._has_room_now, ROOM_WAIT)

    def _has_room_now(self) -> bool:
        at = self._admission.room_at()
        return at is not None and at <= time.monotonic()

    def verify_request(self, request: "Any", client_address: "Any") -> bool:
        """Gives a connection its place, which another one may lose for it."""
        try:
            with self._room:
                network = network_of(client_address)
                evicted = self._admission.admit(request, network, time.monotonic())
        except TooManyConnections as error:
            self._events.ended(self.name(client_address), error)
            return False
        if evicted is not None:
            # Its thread, which waits for input, does the rest.
            with contextlib.suppress(OSError):
                evicted.shutdown(socket.SHUT_RD)
        return True

    def process_request(self, request: "Any", client_address: "Any") -> None:
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._leave(request)
            raise

    def process_request_thread(self, request: "Any", client_address: "Any") -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._leave(request)

    def _leave(self, request: "Any") -> None:
        with self._room:
            self._admission.leave(request)
            self._room.notify()

    def finish_request(self, request: "Any", client_address: "Any") -> None:
        """Authenticates the client, then runs the handler."""
        connection = self._authenticate(request)
        try:
            self.RequestHandlerClass(connection, client_address, self)  # type: ignore[arg-type]
        finally:
            connection.abort()

    def _authenticate(self, request: "Any") -> Connection:
        def is_evicted() -> bool:
            return self._admission.is_evicted(request)

        if self.address_family != getattr(socket, "AF_UNIX", None):
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection.establish(
            request,
            Session.server(self.config),
            self.handshake_timeout,
            self.idle_timeout,
            is_evicted,
        )
        with self._room:
            if not is_evicted():
                self._admission.authenticated(request)
                self._room.notify()
                return connection
        connection.abort()
        raise TooManyConnections()

    def handle_error(self, request: "Any", client_address: "Any") -> None:
        """Logs how one connection has failed. The others are served as before."""
        error = sys.exc_info()[1]
        if error is not None:
            self._events.ended(self.name(client_address), error)

    @staticmethod
    def name(client_address: "Any") -> str:
        """A client in the log."""
        return format_address(client_address) if client_address else "unix"
