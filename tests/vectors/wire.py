"""What travels, by the Python package: frames and records, put together by hand."""
from countersign import crypto
from countersign.errors import (
    Busy, HandshakeTimeout, Malformed, VersionMismatch, WrongProof)
from countersign.records import (
    BATCH, CLOSE, DATA, PING, PONG, SEAL_LABEL, Sealed, Tagged, encode_batch as batch)
from countersign.config import CHACHA20_POLY1305, SEALING, TAG
from countersign.wire import (
    ACCEPT, ANSWER, CONFIRM, HELLO, MAGIC, REFUSAL, Secrets, frame, frame_header as header)

REASONS = {VersionMismatch.code: 'version', WrongProof.code: 'refused', Busy.code: 'busy',
           Malformed.code: 'malformed', HandshakeTimeout.code: 'timeout'}


def number(value, size):
    return value.to_bytes(size, 'big')


def extract(key):
    """HKDF-Extract, once for each key."""
    return crypto.hkdf_extract(b'countersign/1 psk', key)


def proving_keys(prk, th):
    """Those of both proofs, which a session doesn't keep."""
    okm = crypto.hkdf_expand(prk, b'countersign/1 keys' + th, 64)
    return okm[:32], okm[32:]


def client_proof(prk, th, mac_s):
    """mac_c, of whatever these are."""
    return crypto.hmac_sha256(proving_keys(prk, th)[1], b'countersign/1 client' + th + mac_s)


def sealing_key(key):
    """Of the key of a direction."""
    return crypto.hmac_sha256(key, SEAL_LABEL)


def record(protection, seq, type, payload):
    head = header(type, len(payload) + TAG)
    return head + protection.protect(seq, head, payload)
