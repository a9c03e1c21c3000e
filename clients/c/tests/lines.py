#!/usr/bin/env python3
"""Prints the vectors of countersign/1 as lines for play.c, and some of the dialect raw.

    lines.py [--tagged]    without those that need sealed records

Left out, as in tests/vectors.rs: what a client does that offers extensions which nobody defines.
"""
import hashlib
import hmac
import itertools
import json
import os
import sys

FILE = os.path.join(os.path.dirname(__file__), '../../../tests/vectors/countersign-1.json')
SEALING = '0001000101'
IN_LEAST = 1028


def joined(items):
    return ','.join(item or '.' for item in items) or '-'


def line(role, case, keys, records, random, instance, in_size, pieces, then, secret):
    words = [role, records, instance, case['decoy'], random, str(in_size),
             ','.join(':'.join(word or '.' for word in key) for key in keys),
             joined(case['say']), case['closes'], 'no', case['plain'], then, joined(pieces),
             case['outcome'].replace(' ', ''), case['out'] or '.', joined(case['messages']),
             secret or '.', case['name'].replace(' ', '_')]
    return ' '.join(words)


def vectors(with_sealing):
    with open(FILE) as file:
        content = json.load(file)
    for kind in ('server', 'client', 'records'):
        for given in content[kind]:
            case = dict(content['defaults'], **given)
            role = case.get('role', kind)
            if not with_sealing and case['needs'] == 'sealing':
                continue
            if role == 'client' and case['client_ext'] not in ('', SEALING):
                continue
            yield (server if role == 'server' else client)(case)


def common(case, size):
    pieces, then = case['in'], case['then'] or '-'
    if case['busy']:
        # A server that is busy says so before it has processed the call.
        pieces, then = [''.join(pieces)[:-2]], 'busy'
    secret = ''
    if case.get('exporter') and case['outcome'] in ('open', 'closed'):
        secret = hmac.new(bytes.fromhex(case['exporter']), b'label', hashlib.sha256).hexdigest()
    return max(size + 4, IN_LEAST), pieces, then, secret


def server(case):
    keys = [(kid, aud, key) for (kid, key), aud
            in itertools.product(case['ring'].items(), case['audiences'])]
    size, *rest = common(case, case['server_max_record'])
    return line('server', case, keys, case['records'], case['sg'], case['instance_s'], size,
                *rest)


def client(case):
    records = {0: 'off', 1: 'allowed', 3: 'required'}[case['client_flags']]
    if case['client_ext'] == SEALING:
        records = 'sealed'
    size, *rest = common(case, case['client_max_record'])
    keys = [(case['kid'], case['aud'], case['key'])]
    return line('client', case, keys, records, case['nonce_c'], case['instance_c'], size, *rest)


def raw():
    """Keys of all lengths that differ, a wrong proof, one of several keys, bytes behind a proof."""
    challenge = bytes(range(0xa0, 0xb0)) * 2
    case = dict(decoy='00' * 32, say=[], closes='never', plain='lines', outcome='open',
                messages=[])

    def proof(key):
        return hmac.new(key, challenge, hashlib.sha256).hexdigest()

    def played(role, name, keys, pieces, out, **more):
        given = dict(case, name=name, out=out, **more)
        keys = [('6b', '', key.hex()) for key in keys]
        random = challenge.hex()
        return line(role, given, keys, 'off', random, '00' * 16, 145, pieces,
                    given.pop('then', '-'), '')

    sizes = (1, 12, 32, 63, 64, 65, 80)
    keys = [bytes(range(1, 1 + size)) for size in sizes]
    for key in keys:
        name = 'a key of {} bytes'.format(len(key))
        yield played('raw-client', name, [key], [challenge.hex()], proof(key))
        yield played('raw-server', name, [key], [proof(key)], challenge.hex())
        yield played('raw-server', name + ' of all', keys, [proof(key) + b'a\nb'.hex()],
                     challenge.hex(), messages=[b'a'.hex()])
    page = hmac.new(bytes(range(32)), challenge, hashlib.sha256).hexdigest()
    assert page == 'b23d940f8be945b6ec8013230c8d215aa876b8ffefd162577bdde8ae14b0a62b'
    yield played('raw-client', 'what follows', keys[:1], [challenge.hex() + b'a\nb\n'.hex()],
                 proof(keys[0]), messages=[b'a'.hex(), b'b'.hex()])
    yield played('raw-client', 'what is said', keys[:1], [challenge.hex()],
                 proof(keys[0]) + b'one\n'.hex() + b'two\n'.hex(),
                 say=[b'one\n'.hex(), b'two\n'.hex()])
    wrong = '%02x' % (int(proof(keys[0])[:2], 16) ^ 1) + proof(keys[0])[2:]
    yield played('raw-server', 'a wrong proof', keys, [wrong + b'a\n'.hex()], challenge.hex(),
                 outcome='refused:refused')
    yield played('raw-server', 'half a proof', keys, [wrong[:32]], challenge.hex(),
                 outcome='truncated', then='eof')
    yield played('raw-client', 'half a challenge', keys, [challenge.hex()[:32]], '',
                 outcome='waiting')
    python = b'\0\0\0\x3b#CHALLENGE#{sha256}' + bytes(40)
    yield played('raw-client', 'a challenge of multiprocessing', keys, [python.hex()], '',
                 outcome='silent')


if __name__ == '__main__':
    if sys.argv[1:] not in ([], ['--tagged']):
        sys.exit(__doc__)
    for each in itertools.chain(vectors(not sys.argv[1:]), [] if sys.argv[1:] else raw()):
        print(each)
