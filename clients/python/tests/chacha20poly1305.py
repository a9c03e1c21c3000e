"""ChaCha20-Poly1305 of RFC 8439 by hand, with the interface of the package `cryptography`.

It is for tests where that package isn't installed: it is slow, and its time depends on the key.
"""

import struct

from countersign import crypto

WORD, PRIME, TAG = 0xFFFFFFFF, (1 << 130) - 5, 16
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def quarter_round(state, a, b, c, d):
    for to, by, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[to] = state[to] + state[by] & WORD
        mixed = state[turned] ^ state[to]
        state[turned] = (mixed << bits | mixed >> 32 - bits) & WORD


BLOCKS, BLOCKS_MAX = {}, 1000
"""Blocks of the key stream. A vector is played at each cut, with the same keys."""


def block(key, counter, nonce):
    """64 bytes of the key stream."""
    name = key, counter, nonce
    if name not in BLOCKS:
        if len(BLOCKS) == BLOCKS_MAX:
            BLOCKS.clear()
        BLOCKS[name] = compute_block(key, counter, nonce)
    return BLOCKS[name]


def compute_block(key, counter, nonce):
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    state = list(start)
    for _ in range(10):
        for quarter in COLUMNS + DIAGONALS:
            quarter_round(state, *quarter)
    return struct.pack("<16I", *(one + other & WORD for one, other in zip(start, state)))


def encrypted(key, nonce, data):
    """Decrypts as well. Block 0 is the key of the tag."""
    stream = b"".join(block(key, 1 + at // 64, nonce) for at in range(0, len(data), 64))
    return bytes(one ^ other for one, other in zip(data, stream))


def poly1305(key, data):
    factor = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at : at + 16] + b"\1", "little")) * factor % PRIME
    return (total + int.from_bytes(key[16:], "little") & (1 << 128) - 1).to_bytes(16, "little")


def tag(key, nonce, ciphertext, header):
    padded = b"".join(part + bytes(-len(part) % 16) for part in (header, ciphertext))
    lengths = struct.pack("<2Q", len(header), len(ciphertext))
    return poly1305(block(key, 0, nonce)[:32], padded + lengths)


class InvalidTag(Exception):
    """What was sealed has been changed."""


class ChaCha20Poly1305:
    """Encrypts and decrypts with one key. The tag behind a ciphertext is over the header too."""

    def __init__(self, key):
        self._key = key

    def encrypt(self, nonce, payload, header):
        ciphertext = encrypted(self._key, nonce, payload)
        return ciphertext + tag(self._key, nonce, ciphertext, header)

    def decrypt(self, nonce, sealed, header):
        ciphertext = sealed[:-TAG]
        if not crypto.compare_digest(sealed[-TAG:], tag(self._key, nonce, ciphertext, header)):
            raise InvalidTag()
        return encrypted(self._key, nonce, ciphertext)


def install():
    """Has records sealed by this, where the package is missing."""
    try:
        crypto.load_chacha20poly1305()
    except ImportError:
        crypto.load_chacha20poly1305 = lambda: (ChaCha20Poly1305, InvalidTag)
