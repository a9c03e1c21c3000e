#!/usr/bin/env python3
"""Runs the program against Python peers, in both directions.

    pairs.py path/to/countersign

First the seed: four pairs of small programs, unchanged, each of which keeps its place while
countersign takes that of the other. Then, under every Python that is found, the package in
clients/python: in the dialects raw, hex and open, and in countersign/1. The seed is looked for in
../shared/seed beside the repository, or where COUNTERSIGN_SEED says.

Prints PASS, FAIL or SKIP for each pair; the exit code is 1 if one has failed.
"""
import glob
import os
import subprocess
import sys
import tempfile
import time

import mutual
import seed

from kit import MESSAGES, Program, Skip, lines, run, same, server, stamped

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peer.py')
KEY, WRONG = 'base64:AAECAwQFBgcICQoLDA0ODw==', 'hex:ffeeddccbbaa99887766554433221100'


def peer_connects(program, python, dialect, framing, mac='sha256'):
    spoken, keys, messages = conversation(program, dialect, framing, mac)
    since = time.time()
    with program.serve('--bind', '127.0.0.1:0', *spoken, keys=keys) as process:
        client = [python, '-B', PEER, 'connect', process.address, *spoken]
        done = run(client, lines(messages), keys)
        same(done.returncode, 0, done.stderr)
        stamped(done.stdout.splitlines(), messages, since)
        if dialect != 'open':
            done = run(client, 'time\n', program.keys(WRONG, dialect))
            same((done.returncode != 0, done.stdout), (True, ''), 'with a wrong key')


def peer_serves(program, python, dialect, framing, mac='sha256'):
    spoken, keys, messages = conversation(program, dialect, framing, mac)
    since = time.time()
    command = [python, '-B', PEER, 'serve', '--bind', '127.0.0.1:0', *spoken]
    with server(command, keys) as process:
        done = program.run('connect', process.address, *spoken, messages=messages, keys=keys)
        same(done.returncode, 0, done.stderr)
        stamped(done.stdout.splitlines(), messages, since)
        if dialect != 'open':
            wrong = program.keys(WRONG, dialect)
            done = program.run('connect', process.address, *spoken, messages=['time'], keys=wrong)
            same((done.returncode, done.stdout), (77, ''), 'with a wrong key')


def conversation(program, dialect, framing, mac):
    spoken = ['--dialect', dialect, '--framing', framing, '--mac', mac]
    keys = None if dialect == 'open' else program.keys(KEY, dialect)
    # A chunk of no bytes is none.
    return spoken, keys, MESSAGES + ([] if framing == 'chunks' else ['', 'end'])


def peer_plans():
    """All that can be spoken with the Python that runs this, and some with every other."""
    for dialect in ('raw', 'hex', 'open'):
        for framing in ('lines', 'chunks', 'length'):
            yield sys.executable, dialect, framing
    yield sys.executable, 'raw', 'lines', 'md5'
    yield sys.executable, 'hex', 'length', 'md5'
    for python in others():
        yield python, 'raw', 'lines'
        yield python, 'hex', 'length'


def others():
    """One Python of each version that is found, beside the one that runs this."""
    for minor in range(8, 14):
        found = glob.glob(os.path.expanduser('~/.pyenv/versions/3.%d.*/bin/python3' % minor))
        yield from [python for python in found if seed.works(python)][:1]


def version(python):
    asked = [python, '-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3])']
    return subprocess.run(asked, stdout=subprocess.PIPE).stdout.decode().strip()


def pairs(program):
    """The name of each pair, and how to run it."""
    for what, pair in seed.PAIRS:
        yield 'seed ' + what, lambda: seed.play(program, pair)
    for plan in peer_plans():
        name = 'package, Python {}, {}'.format(version(plan[0]), ' '.join(plan[1:]))
        yield name + ', its client', lambda: peer_connects(program, *plan)
        yield name + ', its server', lambda: peer_serves(program, *plan)
    for python in [sys.executable, *others()]:
        name = 'package, Python {}, countersign/1, '.format(version(python))
        for what, pair in mutual.pairs(program, python, every=python == sys.executable):
            yield name + what, pair


def verdict(pair):
    try:
        pair()
    except Skip as reason:
        return 'SKIP', str(reason)
    except Exception as failure:
        return 'FAIL', '{}: {}'.format(type(failure).__name__, failure)
    return 'PASS', ''


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    counts = {'PASS': 0, 'FAIL': 0, 'SKIP': 0}
    with tempfile.TemporaryDirectory() as directory:
        for what, pair in pairs(Program(sys.argv[1], directory)):
            mark, reason = verdict(pair)
            counts[mark] += 1
            reason = '  ({})'.format(reason) if reason else ''
            # What a terminal can't show must not end the run.
            line = '{}  {}{}\n'.format(mark, what, reason).encode('utf-8', 'backslashreplace')
            sys.stdout.buffer.write(line)
            sys.stdout.flush()
    print('{PASS} passed, {FAIL} failed, {SKIP} skipped'.format(**counts))
    sys.exit(1 if counts['FAIL'] else 0)


if __name__ == '__main__':
    main()
