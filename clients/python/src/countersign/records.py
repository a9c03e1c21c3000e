"""The records of countersign/1: tagged or sealed, one message in each or several."""

from . import crypto
from .config import RECORD_MAX, TAG
from .crypto import compare_digest, hmac_sha256
from .errors import BadRecord, Over, Truncated, Unsendable
from .wire import frame_header

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Callable, Iterator

    from .buffer import Buffer

DATA, PING, PONG, CLOSE, BATCH = 0x10, 0x11, 0x12, 0x13, 0x14
PING_MAX = 125
BATCH_MAX = 1 << 14
SEAL_LABEL = b"countersign/1 chacha20-poly1305"


class Tagged:
    """Payloads stay readable. A tag is over the number, the header and the payload."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def protect(self, number: int, head: bytes, payload: bytes) -> bytes:
        """What follows the header."""
        signed = number.to_bytes(8, "big") + head + payload
        return payload + hmac_sha256(self._key, signed)[:TAG]

    def open(self, number: int, head: bytes, body: bytes) -> bytes:
        """The payload of a body with the right tag."""
        payload = body[:-TAG]
        signed = number.to_bytes(8, "big") + head + payload
        if not compare_digest(hmac_sha256(self._key, signed)[:TAG], body[-TAG:]):
            raise BadRecord()
        return payload


class Sealed:
    """Payloads are encrypted. The header stays readable, and is under the tag."""

    def __init__(self, key: bytes) -> None:
        cipher, self._invalid_tag = crypto.load_chacha20poly1305()
        self._cipher = cipher(hmac_sha256(key, SEAL_LABEL))

    def protect(self, number: int, head: bytes, payload: bytes) -> bytes:
        """What follows the header."""
        return self._cipher.encrypt(number.to_bytes(12, "big"), payload, head)

    def open(self, number: int, head: bytes, body: bytes) -> bytes:
        """The payload of a body with the right tag."""
        try:
            return self._cipher.decrypt(number.to_bytes(12, "big"), body, head)
        except self._invalid_tag:
            raise BadRecord() from None


def encode_batch(messages: "list[bytes]") -> bytes:
    """The payload of a batch."""
    return b"".join([len(message).to_bytes(3, "big") + message for message in messages])


def decode_batch(payload: bytes) -> "list[bytes]":
    """The messages of a batch: at least one, and nothing left over."""
    messages, end, length = [], 0, len(payload)
    while end < length:
        start = end + 3
        end = start + int.from_bytes(payload[end:start], "big")
        messages.append(payload[start:end])
    if end != length or not messages:
        raise BadRecord()
    return messages


class Records:
    """One direction's records with one key, the other's with another; both are counted.

    `keys` and `numbers` are those of the next record that is sent and the next that is received,
    `record_max` is what the peer accepts, and `own_max` what it may send.
    """

    has_records = True

    def __init__(
        self,
        send: "Callable[[bytes], object]",
        keys: "tuple[bytes, bytes]",
        numbers: "tuple[int, int]",
        record_max: int,
        own_max: int,
        seals: bool,
    ) -> None:
        protection = Sealed if seals else Tagged
        self._send = send
        self._out, self._in = protection(keys[0]), protection(keys[1])
        self._number_out, self._number_in = numbers
        self._record_max, self._own_max = record_max, min(own_max, RECORD_MAX)
        self._messages: list[bytes] = []
        """Those of a batch that have not been taken yet, the next one last."""
        self._has_closed = False
        self.peer_closed = False
        self.pongs = 0

    @property
    def pending(self) -> int:
        """How many messages have been verified and not been taken."""
        return len(self._messages)

    def receive(self, input: "Buffer") -> "bytes | None":
        """Takes the next message; None if it isn't complete, or if the peer has closed."""
        while not self._messages:
            record = self._read(input)
            if record is None:
                return None
            type, payload = record
            if type == DATA:
                return payload
            if type == BATCH:
                self._messages = decode_batch(payload)
                self._messages.reverse()
            elif type == CLOSE:
                self.peer_closed = True
                return None
            elif type == PONG:
                self.pongs += 1
            elif not self._has_closed:
                self._write(PONG, payload)
        return self._messages.pop()

    def _read(self, input: "Buffer") -> "tuple[int, bytes] | None":
        """The type and the payload of the next record. Its length is checked first."""
        head = input.peek(4)
        if len(head) < 4:
            if self.peer_closed and head:
                raise BadRecord()
            return None
        type, length = head[0], int.from_bytes(head[1:], "big")
        if self.peer_closed or not DATA <= type <= BATCH or not TAG <= length <= self._own_max:
            raise BadRecord()
        if (type == CLOSE and length > TAG) or (type == PING and length > PING_MAX + TAG):
            raise BadRecord()
        if len(input) < 4 + length:
            return None
        body = input.peek(length, 4)
        payload = self._in.open(self._number_in, head, body)
        input.skip(4 + length)
        self._number_in += 1
        return type, payload

    def receive_last(self, input: "Buffer") -> "bytes | None":
        """Checks that a stream that has ended was closed before."""
        if not self.peer_closed:
            raise Truncated()
        return None

    def send(self, messages: "tuple[bytes, ...]") -> None:
        """Sends messages; those that go out together are one batch, as far as the peer takes it."""
        if self._has_closed:
            raise Over()
        for message in messages:
            if len(message) + TAG > self._record_max:
                raise Unsendable(
                    "the message is longer than the peer accepts; raise its limit, or send less"
                )
        for group in self._groups(messages):
            if len(group) > 1:
                self._write(BATCH, encode_batch(group))
            else:
                self._write(DATA, group[0])

    def _groups(self, messages: "tuple[bytes, ...]") -> "Iterator[list[bytes]]":
        most = min(self._record_max, BATCH_MAX) - TAG
        group: list[bytes] = []
        size = 0
        for message in messages:
            if group and size + 3 + len(message) > most:
                yield group
                group, size = [], 0
            group.append(message)
            size += 3 + len(message)
        if group:
            yield group

    def ping(self, payload: bytes) -> None:
        """Asks for a sign of life."""
        if len(payload) > PING_MAX:
            raise Unsendable("a ping has at most 125 bytes")
        self._write(PING, payload)

    def close(self) -> None:
        """Says that nothing more will be sent."""
        if not self._has_closed:
            self._write(CLOSE, b"")
            self._has_closed = True

    def _write(self, type: int, payload: bytes) -> None:
        if self._has_closed:
            raise Over()
        head = frame_header(type, len(payload) + TAG)
        self._send(head + self._out.protect(self._number_out, head, payload))
        self._number_out += 1
