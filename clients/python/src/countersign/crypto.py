"""HMAC-SHA256, HKDF and ChaCha20-Poly1305, by what the interpreter has."""

from hashlib import sha256

__all__ = [
    "compare_digest",
    "hkdf_expand",
    "hkdf_extract",
    "hmac_sha256",
    "load_chacha20poly1305",
]

TYPE_CHECKING = False  # Type checkers take it as true; MicroPython has no typing.
if TYPE_CHECKING:
    from typing import Any

    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

try:
    from hmac import compare_digest
    from hmac import digest as _digest

    def hmac_sha256(key: bytes, data: bytes) -> bytes:
        """The HMAC of RFC 2104 over SHA-256."""
        return _digest(key, data, "sha256")

except ImportError:  # MicroPython has SHA-256 alone.
    IPAD, OPAD = (int.from_bytes(bytes([byte] * 64), "big") for byte in (0x36, 0x5C))

    def hmac_sha256(key: bytes, data: bytes) -> bytes:
        """The HMAC of RFC 2104 over SHA-256."""
        if len(key) > 64:
            key = sha256(key).digest()
        # As one number, which is much faster there than byte by byte.
        block = int.from_bytes(key + bytes(64 - len(key)), "big")
        inner = sha256((block ^ IPAD).to_bytes(64, "big") + data).digest()
        return sha256((block ^ OPAD).to_bytes(64, "big") + inner).digest()

    def compare_digest(a: "Any", b: "Any") -> bool:  # type: ignore[no-redef]
        """Whether two values are equal, in a time that depends on their lengths alone."""
        difference = len(a) ^ len(b)
        for x, y in zip(a, b):
            difference |= x ^ y
        return difference == 0


def load_chacha20poly1305() -> "tuple[type[ChaCha20Poly1305], type[Exception]]":
    """The cipher of sealed records, and what it raises for a wrong tag.

    Imports the package `cryptography`, which takes longer than to import all of this one: only a
    configuration that seals needs it, and fails with an ImportError without it.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305, InvalidTag


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """The pseudorandom key of RFC 5869."""
    return hmac_sha256(salt, secret)


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """The output keying material of RFC 5869."""
    okm = block = b""
    while len(okm) < length:
        block = hmac_sha256(prk, block + info + bytes([len(okm) // 32 + 1]))
        okm += block
    return okm[:length]
