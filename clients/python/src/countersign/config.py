"""What an end of a connection is configured to do."""

from . import crypto
from .errors import ConfigError, NoUsableKey
from .keys import COUNTERSIGN, HEX, OPEN, RAW, Key, KeyRing, to_bytes, to_text

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Iterable

    from typing_extensions import TypedDict

    class Options(TypedDict, total=False):
        """The options of `Config`."""

        dialect: str
        records: str
        framing: str
        mac: str
        message_max: int
        extensions: dict[int, bytes]

    class ClientOptions(Options, total=False):
        """The options of `ClientConfig`."""

        audience: str | bytes
        key: str | bytes | None

    class ServerOptions(Options, total=False):
        """The options of `ServerConfig`."""

        audiences: Iterable[str | bytes]
        busy: bool


DIALECTS = (COUNTERSIGN, RAW, HEX, OPEN)
FRAMINGS = ("lines", "chunks", "length")
PROTECTIONS = ("sealed", "required", "allowed", "off")
MACS = ("sha256", "md5")
RECORDS, REQUIRED = 1, 2
"""The flags of a hello."""
SEALING, CHACHA20_POLY1305 = 1, 1
"""The extension, and its only suite."""
MESSAGE_MAX, MESSAGE_LIMIT = 1 << 16, 1 << 30
RECORD_MIN, RECORD_MAX, TAG = 1024, (1 << 24) - 1, 16


class Config:
    """What both ends have: these options must be the same at both.

    `dialect` is countersign/1, raw, hex or open. `records` says how messages are protected in
    countersign/1: sealed, required, allowed or off. `framing` says how they are delimited without
    records: lines, chunks or length. `message_max` limits what is received, in bytes.
    """

    VERSIONS = (1, 1)

    def __init__(
        self,
        keys: "KeyRing | None" = None,
        dialect: str = COUNTERSIGN,
        records: str = "required",
        framing: str = "lines",
        mac: str = "sha256",
        message_max: int = MESSAGE_MAX,
        extensions: "dict[int, bytes] | None" = None,
    ) -> None:
        self.keys = KeyRing() if keys is None else keys
        self.dialect, self.records, self.framing, self.mac = dialect, records, framing, mac
        self.message_max = message_max
        self.extensions = dict(extensions or {})
        self.versions = self.VERSIONS
        for option, value, known in (
            ("dialect", dialect, DIALECTS),
            ("records", records, PROTECTIONS),
            ("framing", framing, FRAMINGS),
            ("mac", mac, MACS),
        ):
            if value not in known:
                raise ConfigError("%s is one of: %s" % (option, ", ".join(known)))
        self._check()

    def _check(self) -> None:
        is_plain = self.dialect == COUNTERSIGN and self.records in ("allowed", "off")
        if is_plain and self.framing == "chunks":
            raise ConfigError("in countersign/1, chunks need records; use lines or length")
        if self.mac != "sha256" and self.dialect not in (RAW, HEX):
            raise ConfigError("only raw and hex have another MAC than sha256")
        if not 0 < self.message_max <= MESSAGE_LIMIT:
            raise ConfigError("message_max is 1 to %d bytes" % MESSAGE_LIMIT)
        if self.seals:
            try:
                crypto.load_chacha20poly1305()
            except ImportError:
                text = "sealing needs cryptography; `pip install countersign[seal]`"
                raise ConfigError(text) from None
        if self.dialect != OPEN and not self.keys.keys:
            raise NoUsableKey("there is no key; add one to the ring")

    @property
    def seals(self) -> bool:
        """Whether messages are encrypted."""
        return self.dialect == COUNTERSIGN and self.records == "sealed"

    @property
    def record_max(self) -> int:
        """The longest record that is accepted, as the length in its header."""
        return min(max(RECORD_MIN, self.message_max + TAG), RECORD_MAX)


class ClientConfig(Config):
    """The configuration of a client.

    `key` is the id of the key to authenticate with, by default the first one that can be used;
    `audience` is the name of the service that is meant.
    """

    def __init__(
        self,
        keys: "KeyRing | None" = None,
        dialect: str = COUNTERSIGN,
        records: str = "required",
        audience: "str | bytes" = b"",
        key: "str | bytes | None" = None,
        framing: str = "lines",
        mac: str = "sha256",
        message_max: int = MESSAGE_MAX,
        extensions: "dict[int, bytes] | None" = None,
    ) -> None:
        super().__init__(keys, dialect, records, framing, mac, message_max, extensions)
        self.audience = check_audience(audience)
        self.key_id = None if key is None else to_bytes(key)
        self.flags = {"off": 0, "allowed": RECORDS}.get(records, RECORDS | REQUIRED)
        if self.seals:
            self.extensions[SEALING] = bytes([CHACHA20_POLY1305])

    def usable_key(self, now: float) -> Key:
        """The key to authenticate with."""
        for key in self.keys.serving(self.dialect, now):
            if self.key_id in (None, key.id) and key.is_for(self.audience):
                return key
        named = "" if self.key_id is None else " " + to_text(self.key_id)
        raise NoUsableKey(f"there is no valid key{named} for {self.dialect}; add one to the ring")


class ServerConfig(Config):
    """The configuration of a server.

    `audiences` are the names of the services that it is; by default, one without a name. While
    `busy` is true, no client is accepted.
    """

    def __init__(
        self,
        keys: "KeyRing | None" = None,
        dialect: str = COUNTERSIGN,
        records: str = "required",
        audiences: "Iterable[str | bytes]" = (b"",),
        framing: str = "lines",
        mac: str = "sha256",
        message_max: int = MESSAGE_MAX,
        extensions: "dict[int, bytes] | None" = None,
        busy: bool = False,
    ) -> None:
        super().__init__(keys, dialect, records, framing, mac, message_max, extensions)
        self.audiences = frozenset(check_audience(audience) for audience in audiences)
        self.busy = busy


def check_audience(audience: "str | bytes") -> bytes:
    """An audience as bytes."""
    audience = to_bytes(audience)
    if len(audience) > 64:
        raise ConfigError("an audience has at most 64 bytes")
    return audience
