"""One end of a connection, without a socket, a clock or a thread.

session = Session.client(ClientConfig(keys))
session.send(b"hello")                      # as soon as it is established
socket.sendall(session.data_to_send())      # after each call
session.receive_data(socket.recv(65536))
message = session.next_message()
"""

import os
import time

from .buffer import Buffer
from .crypto import hmac_sha256
from .errors import Error, HandshakeTimeout, Over, TooManyConnections, Truncated
from .handshake import CLIENTS, SERVERS

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Any, Callable

    from .config import ClientConfig, Config, ServerConfig
    from .framing import Framing
    from .handshake import Established, Handshake, Send
    from .records import Records

    Start = Callable[[Any, bytes, float, Send], Handshake]


class Session:
    """The protocol of one connection: bytes in, bytes out, and messages between them.

    Send what `data_to_send` returns after each call, also after one that has raised an error: the
    peer may be told why. After an error, close the connection.
    """

    def __init__(self, config: "Config", handshake: "Handshake", output: "list[bytes]") -> None:
        self.config = config
        self._output = output
        self._input = Buffer()
        self._handshake = handshake
        self._wanted = 0
        """How many bytes the handshake needs next."""
        self._established: Established | None = None
        self._failure: Error | None = None
        self._has_ended = False
        self._is_lost = False
        """Whether the connection was reset, so that messages may be missing."""
        self._has_received = False
        """Whether anything has arrived after the handshake."""
        self.closed = False
        """Whether `close` has been called."""
        self._advance(None)

    @classmethod
    def client(
        cls, config: "ClientConfig", nonce: "bytes | None" = None, now: "float | None" = None
    ) -> "Session":
        """The end that connects. `nonce` is 32 random bytes, `now` the seconds since 1970."""
        return cls._begin(config, CLIENTS[config.dialect], nonce, now)

    @classmethod
    def server(
        cls, config: "ServerConfig", nonce: "bytes | None" = None, now: "float | None" = None
    ) -> "Session":
        """The end that accepts connections, with the same arguments."""
        return cls._begin(config, SERVERS[config.dialect], nonce, now)

    @classmethod
    def _begin(
        cls, config: "Config", handshake: "Start", nonce: "bytes | None", now: "float | None"
    ) -> "Session":
        output: list[bytes] = []
        nonce = os.urandom(32) if nonce is None else nonce
        now = time.time() if now is None else now
        return cls(config, handshake(config, nonce, now, output.append), output)

    # The wire.

    def receive_data(self, data: bytes) -> None:
        """Takes what the peer has sent, or b"" if its stream has ended."""
        if self._failure:
            raise Over()
        if data:
            self._input.append(data)
        else:
            self._has_ended = True
        if self._established is None:
            self._continue_handshake()
        if self._established is not None and len(self._input):
            self._has_received = True

    def connection_lost(self) -> None:
        """The connection was reset, or lost in another way: the peer has not ended its stream."""
        self._is_lost = not self._has_ended
        self.receive_data(b"")

    @property
    def has_output(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._output)

    def data_to_send(self) -> bytes:
        """Removes and returns what the peer is to be sent."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def time_out(self) -> None:
        """Ends a handshake whose deadline has passed, with an error."""
        self._throw(HandshakeTimeout())

    def evict(self) -> None:
        """Ends a handshake because others need its place, with an error."""
        self._throw(TooManyConnections())

    def _continue_handshake(self) -> None:
        while self._established is None and len(self._input) >= self._wanted:
            self._advance(self._input.take(self._wanted))
        if self._established is None and self._has_ended:
            self._throw(Truncated())

    def _advance(self, data: "bytes | None") -> None:
        try:
            self._wanted = self._handshake.send(data)  # type: ignore[arg-type]
        except StopIteration as result:
            self._established = result.value
        except Error as error:
            self._failure = error
            raise

    def _throw(self, error: Error) -> None:
        if self._established is None and self._failure is None:
            self._failure = error
            self._handshake.throw(error)
        raise error

    # The messages.

    def next_message(self) -> "bytes | None":
        """Takes the next message; None if it isn't there yet, or if the peer sends no more."""
        if self._failure:
            raise self._failure
        if self._established is None:
            return None
        try:
            message = self._established.framing.receive(self._input)
            if message is None and self._has_ended:
                message = self._receive_last(self._established.framing)
        except Error as error:
            self._failure = error
            raise
        return message

    def _receive_last(self, framing: "Framing | Records") -> "bytes | None":
        """The last message of a stream that has ended. A stream that was lost has none."""
        if self._is_lost and not framing.peer_closed and not self.was_refused:
            raise Truncated()
        return framing.receive_last(self._input)

    def send(self, *messages: bytes) -> None:
        """Sends messages. Those of one call travel together, and share a record if they can."""
        framing = self._open().framing
        for message in messages:
            if isinstance(message, str):
                raise TypeError("a message is bytes and not str; encode it")
        framing.send(messages)

    def ping(self, payload: bytes = b"") -> None:
        """Asks for a sign of life, in records; each one that is answered adds one to `pongs`."""
        self._open().framing.ping(payload)

    def close(self) -> None:
        """Says that no more messages will be sent. Those of the peer can still be received."""
        if not self.closed:
            self._open().framing.close()
            self.closed = True

    def _open(self) -> "Established":
        if self._established is None or self._failure or self.closed:
            raise Over()
        return self._established

    # What is known.

    @property
    def is_established(self) -> bool:
        """Whether the handshake is over, and messages can be sent."""
        return self._established is not None

    @property
    def peer_closed(self) -> bool:
        """Whether the peer has ended its messages, as far as they have been taken."""
        if self._established is None:
            return self._has_ended
        ended = self._has_ended and not len(self._input) and not self.pending
        return ended or self._established.framing.peer_closed

    @property
    def has_records(self) -> bool:
        """Whether messages are in records, in which an end without a close record is truncated."""
        return self._established is not None and self._established.framing.has_records

    @property
    def was_refused(self) -> bool:
        """Whether a server of raw or hex has ended the stream in place of its first message."""
        if self._established is None or self._established.is_confirmed:
            return False
        return self._has_ended and not self._has_received

    @property
    def buffered(self) -> int:
        """How many bytes have been received and not been processed."""
        return len(self._input)

    @property
    def pending(self) -> int:
        """How many messages of a batch have not been taken yet."""
        return 0 if self._established is None else self._established.framing.pending

    @property
    def pongs(self) -> int:
        """How many pings have been answered."""
        return 0 if self._established is None else self._established.framing.pongs

    @property
    def key_id(self) -> bytes:
        """The id of the key that both ends hold."""
        return b"" if self._established is None else self._established.key_id

    @property
    def audience(self) -> bytes:
        """The service that the client means."""
        return b"" if self._established is None else self._established.audience

    def secret(self, label: bytes) -> bytes:
        """A secret of 32 bytes that both ends derive from this label, in countersign/1 alone."""
        secrets = None if self._established is None else self._established.secrets
        if secrets is None:
            raise Over("a secret needs an established connection in countersign/1")
        return hmac_sha256(secrets.exporter, label)
