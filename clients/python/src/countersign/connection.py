"""Connections with blocking calls."""

import contextlib
import socket
import threading
import time

from .config import ClientConfig
from .endpoint import (
    READ_SIZE,
    REFUSED_MAX,
    RESET,
    TIMEOUT,
    Endpoint,
    dial,
    is_readable,
    linger,
    load_keys,
    reset_on_close,
    shake_hands,
)
from .errors import Error, IdleTimeout, Over, TimedOut, Truncated, WriteTimeout
from .keys import COUNTERSIGN
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator

    from typing_extensions import Unpack

    from .config import ClientOptions
    from .endpoint import Address, Keys


def connect(
    address: "Address",
    keys: "Keys" = None,
    *,
    timeout: "float | None" = TIMEOUT,
    **options: "Unpack[ClientOptions]",
) -> "Connection":
    """Connects to a server, which has proved that it holds the key when this returns.

    `address` is a pair of host and port, "HOST:PORT" or "unix:/PATH"; `keys` is a key file or a
    `KeyRing`. `timeout` is for all of the handshake, and then for each call. The options are those
    of `ClientConfig`. An error of the system is an `OSError`, any other one an `Error`.
    """
    ring = load_keys(keys, options.get("dialect", COUNTERSIGN))
    session = Session.client(ClientConfig(ring, **options))
    begin = time.monotonic()
    try:
        sock = dial(address, timeout)
    except socket.timeout:
        raise TimedOut("nothing answers at this address") from None
    left = None if timeout is None else max(0.0, timeout - (time.monotonic() - begin))
    return Connection.establish(sock, session, left, timeout)


class Connection(Endpoint):
    """An authenticated connection, which carries messages.

    One thread may send while another one receives.
    """

    def __init__(self, sock: socket.socket, session: Session) -> None:
        super().__init__(session)
        self._sock = sock
        self._state = threading.Lock()
        self._writing = threading.Lock()

    @classmethod
    def establish(
        cls,
        sock: socket.socket,
        session: Session,
        handshake_timeout: "float | None",
        timeout: "float | None",
        is_evicted: "Callable[[], bool]" = bool,
    ) -> "Connection":
        """Does the handshake over a socket, which is closed if that fails."""
        try:
            shake_hands(sock, session, handshake_timeout, is_evicted)
        except Error:
            linger(sock, session.data_to_send(), REFUSED_MAX)
            raise
        except BaseException:
            sock.close()
            raise
        sock.settimeout(timeout)
        return cls(sock, session)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __iter__(self) -> "Iterator[bytes]":
        """The messages of the peer, until it closes."""
        while True:
            message = self.receive()
            if message is None:
                return
            yield message

    def settimeout(self, timeout: "float | None") -> None:
        """How long each call may take as a whole, in seconds; None for no limit."""
        self._sock.settimeout(timeout)

    def fileno(self) -> int:
        """The descriptor of the socket, for select."""
        return self._sock.fileno()

    def send(self, *messages: bytes) -> None:
        """Sends messages. Those of one call travel together, and are cheaper for it."""
        with self._state:
            self._session.send(*messages)
        self._flush()

    def receive(self) -> "bytes | None":
        """The next message; None if the peer has closed."""
        if self._inbox:
            return self._inbox.popleft()
        deadline = None
        while True:
            message = self._take()
            if message is not None:
                return message
            if self._session.peer_closed:
                self._check_refused(self.abort)
                return None
            deadline = self._fill(deadline)

    def ping(self, payload: bytes = b"") -> float:
        """Waits until the peer answers, and returns the seconds that took; in records alone."""
        begin, awaited = time.perf_counter(), self._session.pongs + 1
        with self._state:
            self._session.ping(payload)
        self._flush()
        deadline = None
        while True:
            message = self._take()
            if message is not None:
                self._inbox.append(message)
            if self._session.pongs >= awaited:
                return time.perf_counter() - begin
            if message is None:
                if self._session.peer_closed:
                    raise Over()
                deadline = self._fill(deadline)

    def finish(self) -> None:
        """Says that no more messages will be sent. Those of the peer can still be received."""
        with self._state:
            self._session.close()
        self._flush()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes the connection. What was sent before still arrives."""
        if self._sock.fileno() < 0:
            return
        try:
            self.finish()
        except (Error, OSError):
            self.abort()
        else:
            linger(self._sock)

    def abort(self) -> None:
        """Closes the connection at once, so that the peer sees it truncated."""
        reset_on_close(self._sock, self._session)
        self._sock.close()

    def _take(self) -> "bytes | None":
        try:
            with self._state:
                message = self._session.next_message()
        except Error:
            # What was sent before may arrive, unless another thread has sent a part of a message.
            if self._writing.locked():
                self.abort()
            self._sock.close()
            raise
        self._flush(waits=False)
        return message

    def _fill(self, deadline: "float | None") -> "float | None":
        """Reads more. Returns when further reads of the same call must have ended."""
        timeout = self._sock.gettimeout()
        if deadline is not None:
            if not is_readable(self._sock, deadline - time.monotonic()):
                raise IdleTimeout()
        elif timeout is not None:
            deadline = time.monotonic() + timeout
        try:
            data = self._sock.recv(READ_SIZE)
        except socket.timeout:
            raise IdleTimeout() from None
        except RESET:
            with self._state:
                self._session.connection_lost()
        else:
            with self._state:
                self._session.receive_data(data)
        return deadline

    def _flush(self, waits: bool = True) -> None:
        """Sends what the session has. A thread that finds another one sending leaves it to that."""
        while self._session.has_output:
            if not self._writing.acquire(blocking=waits):
                return
            try:
                with self._state:
                    data = self._session.data_to_send()
                self._send_all(data)
            except socket.timeout:
                raise WriteTimeout() from None
            except RESET:
                raise Truncated() from None
            finally:
                self._writing.release()

    def _send_all(self, data: bytes) -> None:
        """Sends it, or ends the connection: if a part of it was sent, nothing can follow."""
        try:
            self._sock.sendall(data)
        except BaseException:
            self.abort()
            raise
