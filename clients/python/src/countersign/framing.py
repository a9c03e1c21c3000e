"""The framings without protection: lines, chunks and length."""

from .errors import BadLength, MessageTooLong, Truncated, Unsendable

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Callable

    from .buffer import Buffer

CHUNK_MAX = 1024


class Framing:
    """How messages follow each other. Nothing protects them, nor the end of the stream."""

    # What records alone have.
    has_records = False
    peer_closed = False
    pongs = 0

    def __init__(self, send: "Callable[[bytes], object]", message_max: int) -> None:
        self._send = send
        self._message_max = message_max

    @property
    def pending(self) -> int:
        """How many messages have been received and not been taken, if that is known."""
        return 0

    def receive(self, input: "Buffer") -> "bytes | None":
        """Takes the next message; None if it isn't complete."""
        raise NotImplementedError

    def receive_last(self, input: "Buffer") -> "bytes | None":
        """Takes the last message of a stream that has ended; None if there is none."""
        if len(input):
            raise Truncated()
        return None

    def send(self, messages: "tuple[bytes, ...]") -> None:
        """Sends messages."""
        raise NotImplementedError

    def ping(self, payload: bytes) -> None:
        """Asks for a sign of life."""
        raise Unsendable("only records have pings")

    def close(self) -> None:
        """Ends the stream, as the caller does at the socket."""


class Lines(Framing):
    """A message ends with LF or CRLF, and its reply as itself."""

    def __init__(self, send: "Callable[[bytes], object]", message_max: int) -> None:
        super().__init__(send, message_max)
        self._ending = b"\n"
        self._searched = 0

    def receive(self, input: "Buffer") -> "bytes | None":
        length = input.find(b"\n", self._searched)
        if length < 0:
            self._searched = len(input)
            # The byte over the limit may be the CR of the terminator.
            self._check(input, self._searched)
            return None
        self._check(input, length)
        self._searched = 0
        line = input.take(length + 1)
        self._ending = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        return line[: -len(self._ending)]

    def _check(self, input: "Buffer", length: int) -> None:
        over = length - self._message_max
        if over > 1 or (over == 1 and input.peek(1, length - 1) != b"\r"):
            raise MessageTooLong()

    def receive_last(self, input: "Buffer") -> "bytes | None":
        if not len(input):
            return None
        if len(input) > self._message_max:
            raise MessageTooLong()
        self._ending = b""
        return input.take(len(input))

    def send(self, messages: "tuple[bytes, ...]") -> None:
        for message in messages:
            if b"\n" in message:
                raise Unsendable("the framing lines can't carry this message; length carries any")
        for message in messages:
            self._send(message + self._ending)


class Chunks(Framing):
    """What one read returns, up to 1,024 bytes, is one message."""

    def receive(self, input: "Buffer") -> "bytes | None":
        return input.take(min(CHUNK_MAX, self._message_max)) or None

    def send(self, messages: "tuple[bytes, ...]") -> None:
        for message in messages:
            self._send(message)


class Lengths(Framing):
    """A message follows its length."""

    def receive(self, input: "Buffer") -> "bytes | None":
        head = input.peek(4)
        if len(head) < 4:
            return None
        length = int.from_bytes(head, "big")
        if head == b"\xff\xff\xff\xff":
            head = input.peek(12)
            if len(head) < 12:
                return None
            length = int.from_bytes(head[4:], "big")
        elif length >> 31:
            raise BadLength()
        if length > self._message_max:
            raise MessageTooLong()
        if len(input) < len(head) + length:
            return None
        input.skip(len(head))
        return input.take(length)

    def send(self, messages: "tuple[bytes, ...]") -> None:
        for message in messages:
            if len(message) >> 31:
                raise Unsendable("a message has at most 2 GiB")
        for message in messages:
            self._send(len(message).to_bytes(4, "big") + message)


FRAMINGS = {"lines": Lines, "chunks": Chunks, "length": Lengths}
