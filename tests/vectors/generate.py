#!/usr/bin/env python3
"""Writes countersign-1.json: what an implementation of countersign/1 must send, byte for byte.

    generate.py            writes the file beside this one
    generate.py --check    exits 1 if the file is not what would be written, or a case fails

Nothing is written that clients/python does not do, as client and as server; and the
sets must be those of the protocol's page, and what is counted there must be what they cost.

The file is one object:

    format      1
    defaults    the fields of a case, with the values that hold where a case does not give its own
    sets        the exchanges of the protocol's page: the fields of a case that are given, and all
                values in between; `sent` are records: from, seq, type, payload, record. One with
                the number of another is in its place
    server      cases: a server is under test, `in` comes from a client
    client      cases: a client is under test, `in` comes from a server
    records     cases: `role` says who is under test; after the handshake come records

Bytes are lower-case hex, kids and messages too. A case:

    name        a sentence, unlike all others
    note        what else a reader should know
    needs       sealing: for implementations that have extension 0x0001
    key, kid, aud, ver_min, ver_max, client_flags, client_max_record, nonce_c, instance_c,
    client_ext  the client's side: to be set up if it is under test, otherwise what `in` is made of.
                A client with extension 0x0001 offers those suites and goes on with none else
    ring        the server's keys by kid
    decoy       the server's prk for all that it can't serve
    audiences, records (sealed, required, allowed, off), busy: the server's configuration
    sg, server_max_record, instance_s    the rest of it, drawn or set
    ver, status, server_flags, server_ext    what SH says, or would say
    plain       lines or length: the framing without records, on both sides
    in          what arrives, in pieces; any other cut must give the same
    then        null: the peer waits; eof: its stream ends; timeout: the handshake's deadline passes
    out         all that must have been sent, in one: a server holds SG back until CH is complete
    outcome     open        the handshake is done, and nothing is wrong yet
                closed      both closes were seen
                refused: version, refused, busy, malformed, timeout, unknown    sent, or heard
                silent      closed without another word: a foreign opening, our own instance
                unproved    mac_s is wrong
                violation   the connection is closed at once, nothing more is sent
                truncated   the stream ended where more was due
                timeout     the deadline passed before anything could be answered
    messages    what was handed to the application, whatever the outcome
    say         messages that the side under test sends together, as soon as the handshake is done
    closes      when it sends its close: first (after `say`), answer (to the peer's close), never
    th, k_s2c, k_c2s, exporter    of the session, where there is one
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT = os.path.join(HERE, '..', '..', 'clients', 'python')
sys.path[:0] = [os.path.join(CLIENT, folder) for folder in ('src', 'tests')]

from batch_cases import batch_cases
from client_cases import client_cases
from costs import check_costs
from exchange import DEFAULTS, RESULTS, hexed
from record_cases import record_cases
from replay import check
from sealing_cases import client_sealing, sealed_cases, server_sealing
from seals import check_seals
from server_cases import server_cases
from sets import check_sets, sets

FILE = os.path.join(HERE, 'countersign-1.json')


def ordered(case):
    """The name first, then what is given, then the bytes and what becomes of them."""
    order = ['name', 'note', 'needs', 'role']
    order += [word for word in DEFAULTS if word not in order] + list(RESULTS)
    known = [word for word in order if word in case and case[word] != DEFAULTS.get(word, case)]
    return {word: hexed(case[word]) for word in known + [w for w in case if w not in order]}


def cases():
    """The cases by kind. Of those that not every implementation can play, `needs` says what for."""
    def needing(what, cases):
        return (dict(case, needs=what) for case in cases)

    yield 'server', [*server_cases(), *needing('sealing', server_sealing())]
    yield 'client', [*client_cases(), *needing('sealing', client_sealing())]
    yield 'records', [*record_cases(), *batch_cases(), *needing('sealing', sealed_cases())]


def text():
    check_seals()
    exchanges = list(sets())
    check_sets(exchanges)
    check_costs(exchanges)
    content = {'format': 1, 'defaults': hexed(DEFAULTS), 'sets': hexed(exchanges)}
    for kind, each in cases():
        check(kind, each)
        content[kind] = [ordered(case) for case in each]
    return json.dumps(content, indent=1) + '\n'


def main():
    if sys.argv[1:] not in ([], ['--check']):
        sys.exit(__doc__)
    wanted = text()
    if sys.argv[1:]:
        with open(FILE) as file:
            if file.read() != wanted:
                sys.exit('{} is not current: run {}'.format(FILE, sys.argv[0]))
    else:
        with open(FILE, 'w') as file:
            file.write(wanted)


if __name__ == '__main__':
    main()
