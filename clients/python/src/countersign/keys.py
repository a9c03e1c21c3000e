"""Keys and key rings. `key_file` reads them from files."""

import os
import time

from .crypto import compare_digest, hkdf_extract, hmac_sha256
from .errors import ConfigError

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Sequence

COUNTERSIGN, RAW, HEX = "countersign/1", "raw", "hex"
MULTIPROCESSING, OPEN = "multiprocessing", "open"
# Those whose proofs name no key, so that a server tries each.
NAMELESS = (RAW, HEX, MULTIPROCESSING)
TRIED_MAX = 8
ID_MAX = 64
SHORT = 16


class Key:
    """A secret that both ends share, and the id under which it is known.

    `dialects` says what it may be used for, `audience` the only service that it is for, and
    `not_before` and `not_after` when it is valid, in seconds since 1970.
    """

    def __init__(
        self,
        id: "str | bytes",
        secret: bytes,
        dialects: "Sequence[str]" = (COUNTERSIGN,),
        audience: "str | bytes" = b"",
        not_before: "float | None" = None,
        not_after: "float | None" = None,
    ) -> None:
        self.id = to_bytes(id)
        self.dialects = tuple(dialects)
        self.audience = to_bytes(audience)
        self.not_before, self.not_after = not_before, not_after
        self._secret = bytes(secret)
        self._check()
        self.prk = hkdf_extract(b"countersign/1 psk", self._secret)

    def _check(self) -> None:
        if not 1 <= len(self.id) <= ID_MAX:
            raise ConfigError("an id is one printable word of 1 to 64 bytes; choose another")
        if len(self.audience) > ID_MAX:
            raise ConfigError("an audience is one printable word of 1 to 64 bytes; change it")
        if not any(self._secret):
            raise ConfigError("the secret is empty; use 32 random bytes")
        if COUNTERSIGN in self.dialects and len(self._secret) < SHORT:
            raise ConfigError(
                "the secret has fewer than 16 bytes, too few for countersign/1; use 32 random "
                "bytes, or use the key for raw and hex only"
            )
        if MULTIPROCESSING in self.dialects and (RAW in self.dialects or HEX in self.dialects):
            raise ConfigError(
                "a Python program can be tricked into signing the challenge of a raw or hex "
                "server, so a key for multiprocessing can't be for raw or hex too; use separate "
                "keys"
            )
        begin, end = self.not_before, self.not_after
        if begin is not None and end is not None and begin >= end:
            raise ConfigError("the key expires before it becomes valid; change one of the dates")

    def __repr__(self) -> str:
        return "Key(%r, …)" % self.id

    def serves(self, dialect: str, now: float) -> bool:
        """Whether it may be used for a dialect at this time."""
        begun = self.not_before is None or self.not_before <= now
        return dialect in self.dialects and begun and not self.has_expired(now)

    def has_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.not_after is not None and self.not_after <= now

    def is_for(self, audience: bytes) -> bool:
        """Whether it may be used for a service."""
        return self.audience in (b"", audience)

    def sign(self, challenge: bytes, mac: str = "sha256") -> bytes:
        """The proof of raw: the HMAC of a challenge."""
        if mac == "sha256":
            return hmac_sha256(self._secret, challenge)
        from hmac import digest

        return digest(self._secret, challenge, mac)

    def fingerprint(self) -> str:
        """A name for the secret that doesn't give it away, unless it can be guessed."""
        return hmac_sha256(self._secret, b"countersign fingerprint")[:8].hex()

    def is_same_secret(self, other: "Key") -> bool:
        """Whether another key has the same secret, as an HMAC sees it."""
        return self.fingerprint() == other.fingerprint()


class KeyRing:
    """Keys by their ids, and the random bytes that all ends with this ring share.

    By `instance` an end recognizes itself: a client that is given the very ring of a server in the
    same process is refused by it. `decoy` takes the place of the keys that a server doesn't have.
    """

    def __init__(
        self,
        keys: "Iterable[Key]" = (),
        instance: "bytes | None" = None,
        decoy: "bytes | None" = None,
    ) -> None:
        self.keys: list[Key] = []
        self.instance = instance or os.urandom(16)
        self.decoy = decoy or os.urandom(32)
        for key in keys:
            self.add(key)

    @staticmethod
    def from_file(path: "str | os.PathLike[str]") -> "KeyRing":
        """Reads a key file that only its owner can read."""
        from .key_file import read

        return read(path)

    @staticmethod
    def parse(text: "str | bytes") -> "KeyRing":
        """Reads the text of a key file."""
        from .key_file import parse

        return parse(to_bytes(text))

    def add(self, key: Key) -> None:
        """Adds a key whose id and secret are not on the ring yet."""
        for other in self.keys:
            if other.id == key.id:
                raise ConfigError("the id %s is used twice; change one of them" % to_text(key.id))
            if other.is_same_secret(key):
                raise ConfigError(
                    "the key %s has the same secret; remove one of them" % to_text(other.id)
                )
        for dialect in NAMELESS:
            others = [other for other in self.keys if dialect in other.dialects]
            if dialect in key.dialects and len(others) == TRIED_MAX:
                raise ConfigError(
                    f"more than 8 keys are for {dialect}, and each is tried for every proof; "
                    f"remove {dialect} from the dialects of one"
                )
        self.keys.append(key)

    def __iter__(self) -> "Iterator[Key]":
        return iter(self.keys)

    def __repr__(self) -> str:
        return "KeyRing(%s)" % ", ".join(to_text(key.id) for key in self.keys)

    def key(self, id: bytes) -> "Key | None":
        """The key with this id."""
        for key in self.keys:
            if key.id == id:
                return key
        return None

    def serving(self, dialect: str, now: "float | None" = None) -> "list[Key]":
        """The keys that may be used for a dialect at this time."""
        at = time.time() if now is None else now
        return [key for key in self.keys if key.serves(dialect, at)]

    def verify(
        self, dialect: str, now: float, challenge: bytes, proof: bytes, mac: str
    ) -> "Key | None":
        """The key that a proof was made with. All are tried, so the time tells nothing."""
        found = None
        for key in self.serving(dialect, now):
            expected = key.sign(challenge, mac)
            if dialect == HEX:
                expected = expected.hex().encode()
            if compare_digest(expected, proof):
                found = key
        return found


def to_bytes(value: "str | bytes") -> bytes:
    """Ids, audiences and key files are bytes; a text stands for its UTF-8."""
    return value.encode() if isinstance(value, str) else bytes(value)


def to_text(value: bytes) -> str:
    """An id as it may be printed."""
    try:
        text = value.decode()
    except UnicodeError:
        return value.hex()
    return "".join(c if " " <= c != "\x7f" else "\\x%02x" % ord(c) for c in text)
