"""Connections on asyncio.

A task can be cancelled at any `await`: a message is either taken and returned, or still there; and
what `send` was called for is sent as a whole.
"""

import asyncio
import contextlib
import os
import time

from .admission import Admission, network_of
from .config import ClientConfig, ServerConfig
from .endpoint import (
    HANDSHAKE_TIMEOUT,
    IDLE_TIMEOUT,
    LINGER_MAX,
    LINGER_TIME,
    QUEUE,
    READ_SIZE,
    REFUSED_MAX,
    TIMEOUT,
    Endpoint,
    format_address,
    load_keys,
    parse_address,
    reset_on_close,
)
from .errors import (
    Error,
    HandshakeTimeout,
    IdleTimeout,
    Over,
    TimedOut,
    TooManyConnections,
    Truncated,
    WriteTimeout,
)
from .event_log import EventLog
from .keys import COUNTERSIGN
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncIterator, Awaitable, Callable

    from typing_extensions import Unpack

    from .config import ClientOptions, ServerOptions
    from .endpoint import Address, Keys

    Handler = Callable[["Connection"], Awaitable[object]]

MAX_CONNECTIONS, MAX_UNAUTHENTICATED = 10000, 4096


async def open_connection(
    address: "Address",
    keys: "Keys" = None,
    *,
    timeout: "float | None" = TIMEOUT,
    **options: "Unpack[ClientOptions]",
) -> "Connection":
    """Connects to a server, with the arguments of `countersign.connect`."""
    ring = load_keys(keys, options.get("dialect", COUNTERSIGN))
    link = Link(Session.client(ClientConfig(ring, **options)))
    begin = time.monotonic()
    try:
        try:
            await asyncio.wait_for(link.connect(parse_address(address)), timeout)
        except asyncio.TimeoutError:
            raise TimedOut("nothing answers at this address") from None
        await link.shake_hands(None if timeout is None else begin + timeout)
    except BaseException:
        link.abort()
        raise
    return Connection(link, timeout)


async def start_server(
    handler: "Handler",
    address: "Address",
    keys: "Keys" = None,
    *,
    handshake_timeout: float = HANDSHAKE_TIMEOUT,
    timeout: "float | None" = IDLE_TIMEOUT,
    max_connections: int = MAX_CONNECTIONS,
    max_unauthenticated: int = MAX_UNAUTHENTICATED,
    max_per_address: "int | None" = None,
    **options: "Unpack[ServerOptions]",
) -> "asyncio.AbstractServer":
    """Starts a server that awaits `handler(connection)` for each client that has authenticated.

    The arguments are those of `countersign.Server`, and the result is that of
    `asyncio.start_server`. When the handler returns, the connection is closed. A connection for
    which there is no room is closed at once.
    """
    ring = load_keys(keys, options.get("dialect", COUNTERSIGN))
    listener = Listener(
        ServerConfig(ring, **options),
        handler,
        Admission(max_connections, max_unauthenticated, max_per_address, handshake_timeout),
        handshake_timeout,
        timeout,
    )
    loop, place = asyncio.get_running_loop(), parse_address(address)
    if isinstance(place, tuple):
        return await loop.create_server(listener.accept, *place, backlog=QUEUE)
    # Anyone who can write to the socket can connect.
    old = os.umask(0o177)
    try:
        return await loop.create_unix_server(listener.accept, place, backlog=QUEUE)
    finally:
        os.umask(old)


class Link(asyncio.Protocol):
    """A session and its transport: what arrives goes into the one, what it has to say out."""

    transport: "asyncio.Transport"

    def __init__(self, session: Session) -> None:
        self.session = session
        self.failure: Exception | None = None
        self.is_connected = False
        self.is_lost = False
        self._has_eof = False
        self._is_paused = False
        self._discarded: int | None = None
        """How many bytes may still be dropped, once the connection is being closed."""
        self.readers: set[asyncio.Future[None]] = set()
        self.writers: set[asyncio.Future[None]] = set()

    async def connect(self, place: "Address") -> None:
        """Opens a transport for this end."""
        loop = asyncio.get_running_loop()
        if isinstance(place, tuple):
            await loop.create_connection(lambda: self, *place)
        else:
            await loop.create_unix_connection(lambda: self, place)

    async def shake_hands(self, deadline: "float | None") -> None:
        """Waits for the end of the handshake."""
        try:
            while not self.session.is_established:
                if self.failure:
                    raise self.failure
                await self.hear(deadline)
        except IdleTimeout:
            raise HandshakeTimeout() from None

    # What asyncio calls.

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101
        self.transport, self.is_connected = transport, True
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._discarded is None:
            self._feed(data)
            return
        self._discarded -= len(data)
        if self._discarded < 0:
            self.abort()

    def eof_received(self) -> bool:
        self._has_eof = True
        if self._discarded is None:
            self._feed(b"")
            return True
        return False

    def connection_lost(self, error: "Exception | None") -> None:
        self.is_lost = True
        if self._discarded is None:
            self._receive(self.session.connection_lost)
        self.wake(self.readers)
        self.wake(self.writers)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self.wake(self.writers)

    def _feed(self, data: bytes) -> None:
        self._receive(self.session.receive_data, data)

    def _receive(self, receive: "Callable[..., None]", *data: bytes) -> None:
        if self.failure is None:
            try:
                receive(*data)
            except Error as error:
                self.failure = error
            self.flush()
            if self.session.buffered > READ_SIZE:
                self.transport.pause_reading()
        self.wake(self.readers)

    # What the connection calls.

    def flush(self) -> None:
        """Passes to the transport what the session has to send."""
        if self.session.has_output:
            data = self.session.data_to_send()
            if not self.is_lost:
                self.transport.write(data)

    def take(self) -> "bytes | None":
        """The next message, if it is there; if not, more is read."""
        try:
            message = self.session.next_message()
        except Error:
            self.abort()
            raise
        self.flush()
        if message is None and not self.is_lost:
            self.transport.resume_reading()
        return message

    async def hear(self, deadline: "float | None") -> None:
        """Waits for something from the peer."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            await self.wait(self.readers, left)
        except TimedOut:
            raise IdleTimeout() from None

    async def drain(self, timeout: "float | None") -> None:
        """Waits while the transport has more to send than it should."""
        if self._is_paused and not self.is_lost:
            try:
                await self.wait(self.writers, timeout)
            except TimedOut:
                self.abort()
                raise WriteTimeout() from None
        if self.is_lost:
            raise Truncated()

    async def wait(self, waiters: "set[asyncio.Future[None]]", timeout: "float | None") -> None:
        """Waits until they are woken."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, expire, future)
        waiters.add(future)
        try:
            await future
        finally:
            waiters.discard(future)
            if timer:
                timer.cancel()

    @staticmethod
    def wake(waiters: "set[asyncio.Future[None]]") -> None:
        """Wakes those that wait."""
        for future in waiters:
            if not future.done():
                future.set_result(None)

    def end(self) -> None:
        """Ends the own stream."""
        if not self.is_lost and self.transport.can_write_eof():
            # The peer may have reset the connection already.
            with contextlib.suppress(OSError):
                self.transport.write_eof()

    def linger(self, most: int = LINGER_MAX) -> None:
        """Ends the own stream, and gives the peer a moment to end its own.

        Closing with unread input would reset the connection, which can destroy what was sent last.
        """
        if self.is_lost:
            return
        self._discarded = most - self.session.buffered
        if self._has_eof:
            self.transport.close()
            return
        self.end()
        self.transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_TIME, self.abort)

    def abort(self, shows: bool = False) -> None:
        """Closes the connection at once; `shows` whether the peer must see that it is truncated."""
        if not self.is_connected or self.is_lost:
            return
        # A part of a message may have been sent.
        has_unsent = self.transport.get_write_buffer_size() > 0
        if has_unsent or (shows and not self.transport.is_closing()):
            reset_on_close(self.transport.get_extra_info("socket"), self.session)
        self.transport.abort()


def expire(future: "asyncio.Future[None]") -> None:
    """Ends a wait that took too long."""
    if not future.done():
        future.set_exception(TimedOut())


class Listener:
    """What the connections of a server share."""

    def __init__(
        self,
        config: ServerConfig,
        handler: "Handler",
        admission: Admission,
        handshake_timeout: float,
        timeout: "float | None",
    ) -> None:
        self.config, self.handler, self.admission = config, handler, admission
        self.handshake_timeout, self.timeout = handshake_timeout, timeout
        self.events = EventLog()

    def accept(self) -> "ServerLink":
        """A new connection."""
        return ServerLink(self)


class ServerLink(Link):
    """One end of a server: it authenticates a client, and then has the handler serve it."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(Session.server(listener.config))
        self._listener = listener
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_refused = False

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        listener, address = self._listener, transport.get_extra_info("peername")
        self._name = format_address(address) if address else "unix"
        try:
            evicted = listener.admission.admit(self, network_of(address), time.monotonic())
        except TooManyConnections as error:
            listener.events.ended(self._name, error)
            self._is_refused = self.is_lost = True
            transport.abort()  # type: ignore[attr-defined]
            return
        if evicted is not None:
            evicted.evict()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(
            listener.handshake_timeout, self._end_handshake, self.session.time_out
        )
        super().connection_made(transport)
        # In the dialect open there is nothing to wait for.
        self._advance()

    def connection_lost(self, error: "Exception | None") -> None:
        super().connection_lost(error)
        self._listener.admission.leave(self)
        if self._timer:
            self._timer.cancel()

    def evict(self) -> None:
        """Closes a connection that has lost its place, at once. If it has begun, it is told."""
        self._end_handshake(self.session.evict)
        self.transport.close()

    def _feed(self, data: bytes) -> None:
        super()._feed(data)
        self._advance()

    def _end_handshake(self, end: "Callable[[], None]") -> None:
        if not self.session.is_established and self.failure is None:
            try:
                end()
            except Error as error:
                self.failure = error
            self.flush()
            self._advance()

    def _advance(self) -> None:
        if self.failure and not self._is_refused:
            self._is_refused = True
            self._listener.events.ended(self._name, self.failure)
            self.linger(REFUSED_MAX)
        elif self.session.is_established and self._task is None:
            self._listener.admission.authenticated(self)
            if self._timer:
                self._timer.cancel()
            self._task = asyncio.get_running_loop().create_task(self._serve())

    async def _serve(self) -> None:
        connection = Connection(self, self._listener.timeout)
        try:
            await self._listener.handler(connection)
            await connection.close()
        except Exception as error:
            self._listener.events.ended(self._name, error)
        finally:
            # After a failure, the client must not see a clean end.
            connection.abort()


class Connection(Endpoint):
    """An authenticated connection, which carries messages."""

    def __init__(self, link: Link, timeout: "float | None") -> None:
        super().__init__(link.session)
        self._link = link
        self._timeout = timeout

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    async def __aiter__(self) -> "AsyncIterator[bytes]":
        while True:
            message = await self.receive()
            if message is None:
                return
            yield message

    def get_extra_info(self, name: str) -> "Any":
        """What the transport knows, such as `peername`."""
        return self._link.transport.get_extra_info(name)

    def settimeout(self, timeout: "float | None") -> None:
        """How long each call may take as a whole, in seconds; None for no limit."""
        self._timeout = timeout

    async def send(self, *messages: bytes) -> None:
        """Sends messages. Those of one call travel together, and are cheaper for it."""
        self._session.send(*messages)
        self._link.flush()
        await self._link.drain(self._timeout)

    async def receive(self) -> "bytes | None":
        """The next message; None if the peer has closed."""
        deadline = self._deadline()
        while not self._inbox:
            message = self._link.take()
            if message is not None:
                return message
            if self._session.peer_closed:
                self._check_refused(self._link.abort)
                return None
            await self._link.hear(deadline)
        return self._inbox.popleft()

    def _deadline(self) -> "float | None":
        """When a call that begins now must have ended."""
        return None if self._timeout is None else time.monotonic() + self._timeout

    async def ping(self, payload: bytes = b"") -> float:
        """Waits until the peer answers, and returns the seconds that took; in records alone."""
        begin, awaited = time.perf_counter(), self._session.pongs + 1
        self._session.ping(payload)
        self._link.flush()
        deadline = self._deadline()
        while self._session.pongs < awaited:
            message = self._link.take()
            if message is not None:
                self._inbox.append(message)
            elif self._session.peer_closed:
                raise Over()
            elif self._session.pongs < awaited:
                await self._link.hear(deadline)
        return time.perf_counter() - begin

    async def finish(self) -> None:
        """Says that no more messages will be sent. Those of the peer can still be received."""
        if not self._session.closed:
            self._session.close()
            self._link.flush()
            self._link.end()
        await self._link.drain(self._timeout)

    async def close(self) -> None:
        """Closes the connection. What was sent before still arrives."""
        try:
            if not self._link.is_lost:
                await self.finish()
                self._link.linger()
                while not self._link.is_lost:
                    await self._link.wait(self._link.readers, None)
        except Error:
            pass
        finally:
            self._link.abort()

    def abort(self) -> None:
        """Closes the connection at once, so that the peer sees it truncated."""
        self._link.abort(shows=True)
