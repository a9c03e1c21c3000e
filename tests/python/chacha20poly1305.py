"""ChaCha20-Poly1305 of RFC 8439: by the package `cryptography` where it is installed, else by hand.

What is written by hand is for tests alone: it is slow, and its time depends on the key.
"""
import hmac
import struct

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
except ImportError:
    ChaCha20Poly1305 = None

WORD, PRIME, TAG = 0xffffffff, (1 << 130) - 5, 16
COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def quarter_round(state, a, b, c, d):
    for to, by, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[to] = state[to] + state[by] & WORD
        mixed = state[turned] ^ state[to]
        state[turned] = (mixed << bits | mixed >> 32 - bits) & WORD


def block(key, counter, nonce):
    """64 bytes of the key stream."""
    start = struct.unpack('<16I', b'expand 32-byte k' + key + struct.pack('<I', counter) + nonce)
    state = list(start)
    for _ in range(10):
        for quarter in COLUMNS + DIAGONALS:
            quarter_round(state, *quarter)
    return struct.pack('<16I', *(one + other & WORD for one, other in zip(start, state)))


def encrypted(key, nonce, data):
    """Decrypts as well. Block 0 is the key of the tag."""
    stream = b''.join(block(key, 1 + at // 64, nonce) for at in range(0, len(data), 64))
    return bytes(one ^ other for one, other in zip(data, stream))


def poly1305(key, data):
    factor = int.from_bytes(key[:16], 'little') & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b'\1', 'little')) * factor % PRIME
    return (total + int.from_bytes(key[16:], 'little') & (1 << 128) - 1).to_bytes(16, 'little')


def tag(key, nonce, ciphertext, header):
    padded = b''.join(part + bytes(-len(part) % 16) for part in (header, ciphertext))
    lengths = struct.pack('<2Q', len(header), len(ciphertext))
    return poly1305(block(key, 0, nonce)[:32], padded + lengths)


def seal_by_hand(key, nonce, payload, header):
    ciphertext = encrypted(key, nonce, payload)
    return ciphertext + tag(key, nonce, ciphertext, header)


def unseal_by_hand(key, nonce, sealed, header):
    ciphertext = sealed[:-TAG]
    if not hmac.compare_digest(sealed[-TAG:], tag(key, nonce, ciphertext, header)):
        return None
    return encrypted(key, nonce, ciphertext)


def seal(key, nonce, payload, header):
    """The ciphertext and the tag behind it, which is over the header too."""
    if ChaCha20Poly1305:
        return ChaCha20Poly1305(key).encrypt(nonce, payload, header)
    return seal_by_hand(key, nonce, payload, header)


def unseal(key, nonce, sealed, header):
    """The payload, or None if the tag is wrong."""
    if not ChaCha20Poly1305:
        return unseal_by_hand(key, nonce, sealed, header)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, header)
    except InvalidTag:
        return None
