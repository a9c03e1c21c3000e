"""Sealed records: who agrees on them, and all that records and batches must do, sealed."""
import wire as c

import batch_cases
import record_cases

from client_cases import stops, welcomed
from exchange import DEFAULTS, SEALING, Exchange, ext, refusal
from wire import BATCH, DATA, Tagged, batch, record
from server_cases import opens, refuses

SEALED = dict(client_ext=SEALING, server_ext=SEALING)
SEALS = dict(records='sealed')


def suites(*numbers):
    return ext(c.SEALING, bytes(numbers))


def server_sealing():
    yield from server_chooses()
    yield from server_declines()
    yield from server_faults()


def server_chooses():
    def sealed(name, client_ext=SEALING, **given):
        return opens(name, client_ext=client_ext, server_ext=SEALING, **SEALS, **given)

    yield sealed('sealing offered, the server seals')
    yield sealed('sealing offered, records not required, the server seals', client_flags=1)
    yield sealed('suite 1 before another', suites(1, 2))
    yield sealed('suite 1 behind another', suites(2, 1))
    yield sealed('suite 1 behind suite 0', suites(0, 1))
    yield sealed('all suites that there can be', suites(*reversed(range(256))))
    yield sealed('sealing offered among other extensions', ext(7, b'a') + SEALING + ext(8))
    decoy = Exchange(prk=DEFAULTS['decoy'], kid=b'k2', **SEALED, **SEALS)
    yield decoy.case('sealing offered by an unknown kid, the server seals', [decoy.ch, decoy.cf],
                     decoy.sg + decoy.sh + refusal(2), 'refused: refused')


def server_declines():
    yield opens('sealing offered, the server requires records', client_ext=SEALING)
    yield opens('sealing offered, the server allows records', client_ext=SEALING,
                records='allowed')
    yield opens('sealing offered, the server never makes records', client_ext=SEALING,
                client_flags=1, server_flags=0, records='off')
    yield refuses('no sealing offered, the server seals', 'refused', **SEALS)
    yield refuses('no sealing offered by an unknown kid, the server seals', 'refused', kid=b'k2',
                  **SEALS)
    yield refuses('no records offered, the server seals', 'refused', client_flags=0, **SEALS)
    yield refuses('another extension offered, the server seals', 'refused', client_ext=ext(7),
                  **SEALS)
    yield refuses('suites offered that nobody knows, the server seals', 'refused',
                  client_ext=suites(0, 2, 255), **SEALS)
    yield opens('suites offered that nobody knows, the server requires records',
                client_ext=suites(0, 2, 255))


def server_faults():
    for what, given in (('the server seals', SEALS), ('the server requires records', {}),
                        ('the server allows records', dict(records='allowed'))):
        yield refuses('no suite in the list, ' + what, 'malformed', client_ext=suites(), **given)
        yield refuses('suite 1 twice in the list, ' + what, 'malformed',
                      client_ext=suites(1, 2, 1), **given)
        yield refuses('another suite twice in the list, ' + what, 'malformed',
                      client_ext=suites(1, 2, 2), **given)
        yield refuses('sealing offered without records, ' + what, 'malformed',
                      client_ext=SEALING, client_flags=0, **given)
    yield refuses('sealing offered twice', 'malformed', client_ext=SEALING + SEALING, **SEALS)


def client_sealing():
    """A client that offers to seal requires it."""
    def unsealed(name, server_ext=b'', **given):
        return stops(name, client_ext=SEALING, server_ext=server_ext, **given)

    yield welcomed('sealing offered, and chosen', **SEALED)
    yield unsealed('sealing offered, and not chosen')
    yield unsealed('another suite chosen than was offered', suites(2))
    yield unsealed('no suite in the answer', suites())
    yield unsealed('two suites in the answer', suites(1, 2))
    yield unsealed('suite 1 twice in the answer', suites(1, 1))
    yield unsealed('sealing chosen twice', SEALING + SEALING)
    yield unsealed('sealing offered, and neither sealing nor records chosen', server_flags=0)
    yield unsealed('sealing chosen without records', SEALING, server_flags=0)
    yield unsealed('another extension answered than sealing', ext(7))
    yield stops('sealing chosen, and not offered', server_ext=SEALING)
    changed = Exchange(**SEALED)
    yield stops('the answered suite changed on the way', 'unproved',
                changed.sh[:-33] + b'\2' + changed.sh[-32:], client_ext=SEALING)
    yield stops('the offer to seal changed on the way', 'unproved',
                Exchange(server_ext=SEALING, client_ext=suites(2, 1)).sh, client_ext=SEALING)


class ToServer(record_cases.ToServer):
    def __init__(self, **given):
        super().__init__(**SEALED, **SEALS, **given)


class ToClient(record_cases.ToClient):
    def __init__(self, **given):
        super().__init__(**SEALED, **given)


def sealed_cases():
    for role in (ToServer, ToClient):
        for cases in (record_cases.record_goods, record_cases.record_ends,
                      record_cases.record_faults, batch_cases.batch_goods, batch_cases.batch_ends,
                      batch_cases.batch_faults, batch_cases.batch_sent, sealed_faults):
            yield from cases(role)
    yield from record_cases.client_only(ToClient)
    yield from record_cases.server_only(ToServer)
    yield from unsealed_faults()


def sealed_faults(role):
    r = role()
    s = r.x.secrets
    key = s.k_c2s if r.role == 'server' else s.k_s2c
    for what, type, payload in (('message', DATA, b'time'), ('batch', BATCH, batch([b'a', b'']))):
        yield r.case('a {} that is tagged and not sealed'.format(what),
                     [record(Tagged(key), r.first, type, payload)], 'violation')
    unsealed = Tagged(c.sealing_key(key))
    yield r.case('a message with a tag by the key that seals',
                 [record(unsealed, r.first, DATA, b'time')], 'violation')


def unsealed_faults():
    """And the other way round: what is sealed where only tags were agreed on."""
    for role, sealing in ((record_cases.ToServer, ToServer), (record_cases.ToClient, ToClient)):
        r = role()
        sealed = sealing()
        sealed.x.secrets = r.x.secrets
        yield r.case('a message that is sealed and not tagged', [sealed.data(0, b'time')],
                     'violation')
