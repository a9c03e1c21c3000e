"""Checks ChaCha20-Poly1305 by hand: with RFC 8439, and with the package `cryptography`."""
import random
import sys

import chacha20poly1305 as aead

try:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
except ImportError:
    ChaCha20Poly1305 = None

# RFC 8439, 2.8.2.
KEY, NONCE = bytes(range(0x80, 0xa0)), bytes.fromhex('070000004041424344454647')
HEADER = bytes.fromhex('50515253c0c1c2c3c4c5c6c7')
PAYLOAD = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
           b'future, sunscreen would be it.')
SEALED = bytes.fromhex(
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92'
    '728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b'
    '4831d7bc3ff4def08e4b7a9de576d26586cec64b6116'
    '1ae10b594f09e26a7e902ecbd0600691')


def check_seals():
    ours = aead.ChaCha20Poly1305(KEY)
    assert ours.encrypt(NONCE, PAYLOAD, HEADER) == SEALED
    assert ours.decrypt(NONCE, SEALED, HEADER) == PAYLOAD
    for at in (0, len(PAYLOAD) - 1, len(PAYLOAD), len(SEALED) - 1):
        wrong = SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1:]
        assert is_refused(ours, NONCE, wrong, HEADER)
    assert is_refused(ours, NONCE, SEALED, HEADER[:-1])
    if not ChaCha20Poly1305:
        print('SKIP  our ChaCha20-Poly1305 beside another: the package cryptography is not there',
              file=sys.stderr)
        return
    draw = random.Random(1)
    for size in [*range(66), 127, 128, 129, 1000]:
        key, nonce, payload = (bytes(draw.choices(range(256), k=k)) for k in (32, 12, size))
        ours, theirs = aead.ChaCha20Poly1305(key), ChaCha20Poly1305(key)
        sealed = ours.encrypt(nonce, payload, HEADER[:4])
        assert sealed == theirs.encrypt(nonce, payload, HEADER[:4]), size
        assert ours.decrypt(nonce, sealed, HEADER[:4]) == payload, size
        assert is_refused(ours, nonce, sealed, HEADER[:5]), size


def is_refused(cipher, nonce, sealed, header):
    try:
        cipher.decrypt(nonce, sealed, header)
    except aead.InvalidTag:
        return True
    return False
