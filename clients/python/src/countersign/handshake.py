"""The handshakes: generators that yield how many bytes they need next, and are sent exactly those.

Each returns the `Established` connection. It raises what the peer did wrong, after it has sent what
the peer is to be told. A deadline, or the end of the stream, is thrown into it.
"""

from . import config as options
from .crypto import compare_digest
from .errors import (
    AuthenticationError,
    Busy,
    Error,
    ForeignProtocol,
    Malformed,
    ProtectionMismatch,
    ProtocolError,
    Reflected,
    Rejected,
    UnknownKey,
    Unproven,
    VersionMismatch,
    WrongAudience,
    WrongProof,
)
from .framing import FRAMINGS
from .keys import COUNTERSIGN, HEX, OPEN, RAW
from .records import Records
from .wire import (
    ACCEPT,
    ANSWER,
    CONFIRM,
    HELLO,
    LENGTHS,
    MAGIC,
    NONCE,
    PROOF,
    REFUSAL,
    Fields,
    Secrets,
    encode_extensions,
    frame,
    frame_header,
    u16,
)

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Any, Callable, Generator

    from .config import ClientConfig, Config, ServerConfig
    from .framing import Framing
    from .keys import Key

    Send = Callable[[bytes], object]
    Handshake = Generator[int, bytes, "Established"]


class Established:
    """What a handshake has led to: how messages travel, and what is known about the peer."""

    def __init__(
        self,
        framing: "Framing | Records",
        key_id: bytes = b"",
        audience: bytes = b"",
        secrets: "Secrets | None" = None,
        is_confirmed: bool = True,
    ) -> None:
        self.framing, self.key_id, self.audience = framing, key_id, audience
        self.secrets = secrets
        self.is_confirmed = is_confirmed
        """Whether the peer has accepted our proof, as far as it is known."""


def read_frame(*types: int) -> "Generator[int, bytes, bytes]":
    """The next frame, of one of these types. Its header is checked before the body is awaited."""
    head = yield 4
    length = int.from_bytes(head[1:], "big")
    low, high = LENGTHS[head[0]] if head[0] in types else (1, 0)
    if not low <= length <= high:
        raise Malformed()
    return head + (yield length)


# countersign/1, the client.


def call_server(config: "ClientConfig", nonce: bytes, now: float, send: "Send") -> "Handshake":
    """Nothing but the call is sent before the server has proved that it holds the key."""
    key = config.usable_key(now)
    call = MAGIC + frame(HELLO, client_hello(config, key, nonce))
    send(call)
    server_nonce = yield NONCE
    try:
        answer = yield from read_reply(ANSWER)
    except Malformed:
        raise what_answered(server_nonce) from None
    secrets = Secrets(key.prk, server_nonce, call, answer[:-PROOF])
    if not compare_digest(secrets.mac_s, answer[-PROOF:]):
        raise Unproven()
    has_records, seals, record_max = check_answer(config, Fields(answer[4:-PROOF]))
    send(frame(CONFIRM, secrets.mac_c))
    accept = yield from read_reply(ACCEPT)
    if not compare_digest(secrets.accept(), accept):
        raise Malformed()
    framing: Framing | Records
    if has_records:
        keys = secrets.k_c2s, secrets.k_s2c
        framing = Records(send, keys, (0, 1), record_max, config.record_max, seals)
    else:
        framing = FRAMINGS[config.framing](send, config.message_max)
    return Established(framing, key.id, config.audience, secrets)


def what_answered(opening: bytes) -> ProtocolError:
    """Why a server's first bytes, which are random in this protocol, are not followed by more."""
    name = foreign_protocol(opening)
    if name != UNKNOWN:
        return ForeignProtocol(name)
    return Malformed(
        "the server violated the protocol, or speaks another dialect: the handshake is malformed; "
        "do both ends have the same dialect, and is it the right port?"
    )


def client_hello(config: "ClientConfig", key: "Key", nonce: bytes) -> bytes:
    """What the client offers."""
    return (
        bytes(config.versions)
        + u16(config.flags)
        + config.record_max.to_bytes(4, "big")
        + nonce
        + config.keys.instance
        + bytes([len(key.id)])
        + key.id
        + bytes([len(config.audience)])
        + config.audience
        + encode_extensions(config.extensions)
    )


def read_reply(type: int) -> "Generator[int, bytes, bytes]":
    """A frame, or a refusal in its place."""
    reply = yield from read_frame(type, REFUSAL)
    if reply[0] == REFUSAL:
        raise Rejected(reply[4])
    return reply


def check_answer(config: "ClientConfig", fields: Fields) -> "tuple[bool, bool, int]":
    """Whether there are records, whether they are sealed, and how long they may be."""
    version, status, flags = fields.number(1), fields.number(1), fields.number(2)
    record_max, instance = fields.record_max(), fields.take(16)
    answered = fields.extensions()
    if not config.versions[0] <= version <= config.versions[1] or status != 0:
        raise Malformed()
    if flags & ~(config.flags & options.RECORDS) or set(answered) - set(config.extensions):
        raise Malformed()
    if instance == config.keys.instance:
        raise Reflected()
    has_records = flags == options.RECORDS
    if config.flags & options.REQUIRED and not has_records:
        raise ProtectionMismatch()
    suites, suite = config.extensions.get(options.SEALING), answered.get(options.SEALING)
    if suites is not None and (
        not has_records or suite is None or len(suite) != 1 or suite not in suites
    ):
        raise ProtectionMismatch()
    return has_records, suites is not None, record_max


# countersign/1, the server.


def answer_client(config: "ServerConfig", nonce: bytes, now: float, send: "Send") -> "Handshake":
    """Nothing is sent before the call is complete, so that scanners receive nothing."""
    opening = yield len(MAGIC)
    if opening != MAGIC:
        raise ForeignProtocol(foreign_protocol(opening))
    unsent = [nonce]
    try:
        return (yield from accept_client(config, now, send, unsent))
    except Error as error:
        if error.code:
            send(b"".join(unsent) + frame(REFUSAL, bytes([error.code])))
        raise


def accept_client(
    config: "ServerConfig", now: float, send: "Send", unsent: "list[bytes]"
) -> "Handshake":
    """Until the proof is there, what is done depends on the configuration and the offer alone."""
    hello = yield from read_frame(HELLO)
    offer = Offer(config, Fields(hello[4:]))
    key = config.keys.key(offer.key_id)
    fault: AuthenticationError | None = None
    if key is None or not key.serves(COUNTERSIGN, now):
        fault = UnknownKey()
    elif offer.audience not in config.audiences or not key.is_for(offer.audience):
        fault = WrongAudience()
    prk = config.keys.decoy if key is None or fault else key.prk
    body = server_hello(config, offer)
    answer = frame_header(ANSWER, len(body) + PROOF) + body
    nonce = unsent.pop()
    secrets = Secrets(prk, nonce, MAGIC + hello, answer)
    send(nonce + answer + secrets.mac_s)
    confirm = yield from read_frame(CONFIRM)
    if not compare_digest(secrets.mac_c, confirm[4:]) or fault:
        raise fault or WrongProof()
    send(secrets.accept())
    framing: Framing | Records
    if offer.has_records:
        keys = secrets.k_s2c, secrets.k_c2s
        framing = Records(send, keys, (1, 0), offer.record_max, config.record_max, config.seals)
    else:
        framing = FRAMINGS[config.framing](send, config.message_max)
    return Established(framing, offer.key_id, offer.audience, secrets)


class Offer:
    """What a client offers, checked against the configuration."""

    def __init__(self, config: "ServerConfig", fields: Fields) -> None:
        low, high = fields.number(1), fields.number(1)
        if low > high:
            raise Malformed()
        if not low <= 1 <= high:
            raise VersionMismatch()
        self.flags, self.record_max = fields.number(2), fields.record_max()
        fields.take(NONCE)
        instance = fields.take(16)
        self.key_id = fields.take(fields.number(1))
        self.audience = fields.take(fields.number(1))
        self.extensions = fields.extensions()
        self.suites = self.extensions.get(options.SEALING)
        self._check_form()
        if instance == config.keys.instance:
            raise Reflected()
        if config.busy:
            raise Busy()
        self._check_protection(config)
        self.has_records = self.flags & options.RECORDS != 0 and config.records != "off"

    def _check_form(self) -> None:
        offered, required = self.flags & options.RECORDS, self.flags & options.REQUIRED
        if not 1 <= len(self.key_id) <= 64 or len(self.audience) > 64:
            raise Malformed()
        if required and not offered:
            raise Malformed()
        suites = self.suites
        if suites is not None and not (offered and suites and len(set(suites)) == len(suites)):
            raise Malformed()

    def _check_protection(self, config: "ServerConfig") -> None:
        offered, required = self.flags & options.RECORDS, self.flags & options.REQUIRED
        if config.records in ("required", "sealed") and not offered:
            raise ProtectionMismatch()
        if config.records == "off" and required:
            raise ProtectionMismatch()
        if config.seals and options.CHACHA20_POLY1305 not in (self.suites or b""):
            raise ProtectionMismatch()


def server_hello(config: "ServerConfig", offer: Offer) -> bytes:
    """What the server chooses."""
    answered = {id: config.extensions[id] for id in offer.extensions if id in config.extensions}
    if config.seals:
        answered[options.SEALING] = bytes([options.CHACHA20_POLY1305])
    return (
        b"\1\0"
        + u16(options.RECORDS if offer.has_records else 0)
        + config.record_max.to_bytes(4, "big")
        + config.keys.instance
        + encode_extensions(answered)
    )


UNKNOWN = "another protocol"
FOREIGN = (
    (b"HTTP/", "HTTP"),
    (b"SSH-", "SSH"),
    (b"GET ", "HTTP"),
    (b"HEAD ", "HTTP"),
    (b"POST ", "HTTP"),
    (b"PUT ", "HTTP"),
    (b"OPTIONS ", "HTTP"),
    (b"PRI * ", "HTTP"),
    (b"PROXY ", "the PROXY protocol"),
    (b"\r\n\r\n\0\r\n", "the PROXY protocol"),
    (b"\0\0\0", "Python's multiprocessing"),
)


def foreign_protocol(opening: bytes) -> str:
    """What a peer speaks whose first bytes are these."""
    if is_client_hello(opening):
        return "TLS"
    for start, name in FOREIGN:
        if opening.startswith(start):
            return name
    return UNKNOWN


def is_client_hello(opening: bytes) -> bool:
    """Whether they are of TLS: a record of at most 16 KiB with a client hello."""
    is_record = opening[:2] == b"\x16\x03" and opening[2:3] <= b"\4" and opening[3:4] <= b"\x40"
    return is_record and opening[5:6] == b"\1"


# raw, hex and open.


def prove(config: "ClientConfig", nonce: bytes, now: float, send: "Send") -> "Handshake":
    """As a client: answers the challenge with its HMAC. The server doesn't confirm."""
    key = config.usable_key(now)
    proof = key.sign((yield NONCE), config.mac)
    send(proof.hex().encode() if config.dialect == HEX else proof)
    framing = FRAMINGS[config.framing](send, config.message_max)
    return Established(framing, key.id, is_confirmed=False)


def challenge(config: "ServerConfig", nonce: bytes, now: float, send: "Send") -> "Handshake":
    """As a server: what follows the proof isn't looked at before it is verified."""
    send(nonce)
    length = 32 if config.mac == "sha256" else 16
    proof = yield length * 2 if config.dialect == HEX else length
    key = config.keys.verify(config.dialect, now, nonce, proof, config.mac)
    if key is None:
        raise WrongProof()
    return Established(FRAMINGS[config.framing](send, config.message_max), key.id)


def no_handshake(config: "Config", nonce: bytes, now: float, send: "Send") -> "Handshake":
    """At either end: nobody proves anything."""
    return Established(FRAMINGS[config.framing](send, config.message_max))
    yield 0  # This makes it a generator.


CLIENTS: "dict[str, Any]" = {
    COUNTERSIGN: call_server,
    RAW: prove,
    HEX: prove,
    OPEN: no_handshake,
}
SERVERS: "dict[str, Any]" = {
    COUNTERSIGN: answer_client,
    RAW: challenge,
    HEX: challenge,
    OPEN: no_handshake,
}
