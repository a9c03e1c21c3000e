#!/usr/bin/env python3
"""Runs the program against the C peer and the C examples, in both directions.

    both_ways.py path/to/countersign path/to/peer path/to/examples

What agrees and what doesn't is the same as for the Python peer: see tests/python/mutual.py.
Prints PASS or FAIL for each pair; the exit code is 1 if one has failed.
"""
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', '..', 'tests', 'python'))

import mutual

from kit import Program, lines, run, same, server, stamped, until
from pairs import verdict

RIGHT, OTHER, SAID = mutual.RIGHT, mutual.OTHER, mutual.SAID
FRAMINGS = ('lines', 'length')
# What the C peer exits with as a client that was cut off, and what the program does then.
TRUNCATED, LOST = 74, 69


def digits(key):
    return key[1].removeprefix('hex:')


def command(peer, *arguments, key=RIGHT):
    return [peer, *arguments, '--kid', key[0], '--key-hex', digits(key)]


def agreed(peer, program):
    """The pairs of the Python peer. A batch of one message is received, but never sent."""
    mutual.peer = lambda _, peer, arguments, key=RIGHT: command(peer, *arguments, key=key)
    for name, pair in mutual.pairs(program, peer, every=True):
        if 'batches alone' not in name:
            yield name, pair


def raw(peer, program):
    keys, wrong = (program.keys(secret, 'raw') for _, secret in (RIGHT, OTHER))

    def its_client(framing):
        since = time.time()
        spoken = '--dialect', 'raw', '--framing', framing
        with program.serve('--bind', '127.0.0.1:0', *spoken, keys=keys) as process:
            client = 'connect', process.address, '--raw', '--framing', framing
            done = run(command(peer, *client), lines(SAID))
            same(done.returncode, 0, done.stderr + process.logged())
            stamped(done.stdout.splitlines(), SAID, since)
            done = run(command(peer, *client, key=OTHER), lines(SAID))
            same((done.returncode, done.stdout), (TRUNCATED, ''), 'with a wrong key')
            until(process.logged, lambda text: 'refused: wrong-proof' in text, process.printed)

    def its_server(framing):
        since = time.time()
        spoken = '--dialect', 'raw', '--framing', framing
        its = 'serve', '--bind', '127.0.0.1:0', '--raw', '--framing', framing
        with server(command(peer, *its)) as process:
            done = program.run('connect', process.address, *spoken, messages=SAID, keys=keys)
            same(done.returncode, 0, done.stderr + process.logged())
            stamped(done.stdout.splitlines(), SAID, since)
            done = program.run('connect', process.address, *spoken, messages=SAID, keys=wrong)
            same((done.returncode, done.stdout), (77, ''), 'with a wrong key')

    for framing in FRAMINGS:
        yield 'raw, {}, its client'.format(framing), lambda: its_client(framing)
        yield 'raw, {}, its server'.format(framing), lambda: its_server(framing)


def truncated(peer, program):
    keys = mutual.keys(program)

    def its_client():
        log = '--log-level', 'debug'
        with program.serve('--bind', '127.0.0.1:0', *log, keys=keys) as process:
            done = run(command(peer, 'connect', process.address, '--cut'), lines(SAID))
            same(done.returncode, 0, done.stderr)
            until(process.logged, lambda text: 'truncated' in text, process.printed)

    def its_server():
        with server(command(peer, 'serve', '--bind', '127.0.0.1:0', '--cut')) as process:
            done = program.run('connect', process.address, messages=SAID, keys=keys)
            same(done.returncode, LOST, done.stderr)
            assert 'without a close record' in done.stderr, done.stderr

    def both():
        with server(command(peer, 'serve', '--bind', '127.0.0.1:0', '--cut')) as process:
            done = run(command(peer, 'connect', process.address), lines(SAID))
            same(done.returncode, TRUNCATED, done.stderr)

    yield 'without a close record, its client', its_client
    yield 'without a close record, its server', its_server
    yield 'without a close record, both', both


def examples(folder, program):
    keys = mutual.keys(program)

    def client():
        since = time.time()
        with program.serve('--bind', '127.0.0.1:0', keys=keys) as process:
            host, port = process.address.split(':')
            example = [os.path.join(folder, 'client'), host, port, 'pair']
            done = run([*example, digits(RIGHT)], lines(SAID))
            same(done.returncode, 0, done.stderr + process.logged())
            stamped(done.stdout.splitlines(), SAID, since)
            done = run([*example, digits(OTHER)], lines(SAID))
            same((done.returncode, done.stdout), (1, ''), 'with a wrong key')

    def its_server():
        example = [os.path.join(folder, 'server'), '0', 'pair', digits(RIGHT)]
        with server(example) as process:
            done = program.run('connect', process.address, messages=SAID, keys=keys)
            same((done.returncode, done.stdout), (0, lines(SAID)), done.stderr)
            done = program.run('load', process.address, '-n', '2k', '-c', '1', '-P', '16',
                               '--fail-if', 'errors>0', keys=keys)
            same(done.returncode, 0, done.stderr + done.stdout + process.logged())

    yield 'the example of a client', client
    yield 'the example of a server', its_server


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        program, peer = Program(sys.argv[1], directory), os.path.abspath(sys.argv[2])
        groups = agreed(peer, program), raw(peer, program), truncated(peer, program)
        for group in (*groups, examples(sys.argv[3], program)):
            for name, pair in group:
                mark, reason = verdict(pair)
                failed += mark == 'FAIL'
                print('{}  {}{}'.format(mark, name, reason and '  ({})'.format(reason)), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
