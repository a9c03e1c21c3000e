"""The bytes of countersign/1: frames, hellos and what both ends derive from them."""

from hashlib import sha256

from .config import RECORD_MAX, RECORD_MIN
from .crypto import hkdf_expand, hmac_sha256
from .errors import Malformed

MAGIC = b"\x9ecsgn/1\n"
NONCE = PROOF = 32
HELLO, ANSWER, CONFIRM, ACCEPT, REFUSAL = 1, 2, 3, 4, 5
# The lengths that a frame's header may have. A call has 512 bytes at most, with its magic, and so
# has an answer.
LENGTHS = {
    HELLO: (0, 500),
    ANSWER: (58, 508),
    CONFIRM: (32, 32),
    ACCEPT: (17, 17),
    REFUSAL: (1, 1),
}


def frame_header(type: int, length: int) -> bytes:
    """What precedes a body or the payload of a record."""
    return bytes((type, length >> 16, length >> 8 & 255, length & 255))


def frame(type: int, body: bytes) -> bytes:
    """A message of the handshake."""
    return frame_header(type, len(body)) + body


def u16(value: int) -> bytes:
    """Two bytes, big-endian like all integers here."""
    return value.to_bytes(2, "big")


def encode_extensions(extensions: "dict[int, bytes]") -> bytes:
    """The last field of a hello."""
    ids = sorted(extensions)
    values = b"".join(u16(id) + u16(len(extensions[id])) + extensions[id] for id in ids)
    return u16(len(values)) + values


class Fields:
    """Reads a body from front to back."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if len(self._body) < size:
            raise Malformed()
        taken, self._body = self._body[:size], self._body[size:]
        return taken

    def number(self, size: int) -> int:
        """The next integer."""
        return int.from_bytes(self.take(size), "big")

    def record_max(self) -> int:
        """The longest record that the sender accepts."""
        size = self.number(4)
        if size < RECORD_MIN:
            raise Malformed()
        return min(size, RECORD_MAX)

    def extensions(self) -> "dict[int, bytes]":
        """The last field. Nothing may follow it."""
        fields, found = Fields(self.take(self.number(2))), {}
        while fields._body:
            id, value = fields.number(2), fields.take(fields.number(2))
            if id in found:
                raise Malformed()
            found[id] = value
        if self._body:
            raise Malformed()
        return found


class Secrets:
    """A key for each purpose and direction, and both proofs, which sign the whole transcript."""

    def __init__(self, prk: bytes, nonce: bytes, call: bytes, answer: bytes) -> None:
        self.th = sha256(b"countersign/1 th" + nonce + call + answer).digest()
        okm = hkdf_expand(prk, b"countersign/1 keys" + self.th, 160)
        ks_fin, kc_fin, self.k_s2c, self.k_c2s, self.exporter = (
            okm[start : start + 32] for start in range(0, 160, 32)
        )
        self.mac_s = hmac_sha256(ks_fin, b"countersign/1 server" + self.th)
        self.mac_c = hmac_sha256(kc_fin, b"countersign/1 client" + self.th + self.mac_s)

    def accept(self) -> bytes:
        """The server's record 0, which has a tag whatever protects the records behind it."""
        head = frame_header(ACCEPT, 17)
        return head + b"\0" + hmac_sha256(self.k_s2c, bytes(8) + head + b"\0")[:16]
