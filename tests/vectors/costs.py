"""What a handshake and a record cost, in bytes and in compressions of SHA-256.

Both are counted from the sets, and each row of the protocol's page that shows them is checked.
"""
import os

from unittest import mock

from countersign import crypto, records, wire
from exchange import DEFAULTS
from replay import play
from wire import DATA, TAG, Sealed, Tagged, batch, record

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../src/manual/protocol.md')


# What each end sends: a challenge, an answer to that of the other, and a welcome.
MULTIPROCESSING = b'#CHALLENGE#{sha256}' + bytes(40), b'{sha256}' + bytes(32), b'#WELCOME#'


class Compressions:
    """Counts them while an end is at work: two for each key of an HMAC, then those of the data."""

    def __enter__(self):
        self.keys, self.count = set(), 0
        self.real = crypto.hmac_sha256, wire.sha256
        self.replaced = [mock.patch.object(module, 'hmac_sha256', self.hmac_sha256)
                         for module in (crypto, records, wire)]
        self.replaced.append(mock.patch.object(wire, 'sha256', self.sha256))
        for each in self.replaced:
            each.start()
        return self

    def __exit__(self, *_):
        for each in self.replaced:
            each.stop()

    def sha256(self, data):
        self.count += blocks(len(data))
        return self.real[1](data)

    def hmac_sha256(self, key, data):
        # The prk is extracted once for each key, when it is loaded.
        if key != b'countersign/1 psk':
            self.count += 0 if key in self.keys else 2
            self.keys.add(key)
            self.count += blocks(len(data)) + 1
        return self.real[0](key, data)


def blocks(size):
    """Of 64 bytes, with the nine or more bytes that end what is hashed."""
    return (size + 8) // 64 + 1


def handshake(role, one):
    """Its compressions at one end, with the keys of both directions: a record goes each way."""
    given = {word: value for word, value in one.items() if word in DEFAULTS}
    protection = Sealed if one.get('seal_c2s') else Tagged
    if role == 'server':
        pieces = [one['ch'], one['cf'], record(protection(one['k_c2s']), 0, DATA, b'')]
    else:
        pieces = [one['sg'] + one['sh'], one['sf'], record(protection(one['k_s2c']), 1, DATA, b'')]
    with Compressions() as counted:
        outcome, _, messages = play(role, dict(given, say=[b''], **{'in': pieces}))
    assert (outcome, messages) == ('open', [b'']), outcome
    return counted.count - (0 if protection is Sealed else 2 * of_record(b''))


def of_record(payload):
    with Compressions() as counted:
        record(Tagged(bytes(32)), 1, DATA, payload)
    return counted.count - 2


def rows(one, sealed):
    for name, each in (('tagged', one), ('sealed', sealed)):
        sent = len(each['ch']) + len(each['cf']), len(each['sg'] + each['sh'] + each['sf'])
        yield '| `countersign/1`, records {} | {} | {} | **{}** | 1 |'.format(name, *sent, sum(sent))
    half = sum(4 + len(message) for message in MULTIPROCESSING)
    yield "| Python's `multiprocessing` | {} | {} | **{}** | 3 |".format(half, half, 2 * half)
    both = {handshake(role, one) for role in ('server', 'client')}
    yield '| **in all** | **{}** |'.format(*both)
    more = {handshake(role, sealed) for role in ('server', 'client')}
    yield '| keys that seal | {} more |'.format(*(all - each for all, each in zip(more, both)))
    for count, size in ((1, 4), (1, 32), (1, 43), (1, 44), (1, 1024), (16, 32), (64, 32)):
        payload = bytes(size) if count == 1 else batch([bytes(size)] * count)
        cost, beside = of_record(payload), 4 + len(payload) + TAG - count * size
        yield '| {} of {:,} bytes | {} | {} | {:.2f} |'.format(
            'a message' if count == 1 else 'a batch of {} messages'.format(count), size, beside,
            cost, cost / count)


def check_costs(exchanges):
    with open(PAGE, encoding='utf-8') as file:
        page = file.read().splitlines()
    for row in rows(exchanges[0], exchanges[3]):
        assert row in page, 'the page lacks: ' + row
