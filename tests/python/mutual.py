"""The Python package and countersign, each at either end: what agrees in countersign/1, and what
doesn't."""
import os
import time

from kit import MESSAGES, lines, run, same, server, stamped, until

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peer.py')
KEY, WRONG = 'hex:000102030405060708090a0b0c0d0e0f', 'hex:ffeeddccbbaa99887766554433221100'
SAID = MESSAGES + ['', 'end']
OFF, ALLOWED, SEALED = (['--records', when] for when in ('off', 'allowed', 'sealed'))
LENGTH, PUMP = ['--framing', 'length'], ['--audience', 'pump']

# What agrees: the name, the options of our end, those of the peer's, and how its messages go together.
# Every third is what other Pythons than this one do too.
AGREEING = [
    ('records', [], [], []),
    ('records if wanted', ALLOWED, ALLOWED, []),
    ('records for one audience', PUMP, PUMP, []),
    ('lines', OFF, OFF, []),
    ('length', OFF + LENGTH, OFF + LENGTH, []),
    ('lines, records offered', OFF, ALLOWED, []),
    ('sealed records', SEALED, SEALED, ['--depth', '3']),
    ('batches of several messages', [], [], ['--depth', '3']),
    ('batches alone', [], [], ['--depth', '3', '--batches', 'only']),
    ('no batches', [], [], ['--depth', '3', '--batches', 'never']),
    ('sealed batches alone', SEALED, SEALED, ['--depth', '3', '--batches', 'only']),
    ('sealed records, no batches', SEALED, SEALED, ['--batches', 'never']),
]

# What doesn't: the options of our server, those of its client and its key, and what our log says. A
# client that hangs up in place of its proof has not proved anything.
RIGHT, OTHER, STRANGER = ('pair', KEY), ('pair', WRONG), ('stranger', KEY)
DIFFERING = [
    ('a wrong key', [], [], OTHER, 'wrong-proof'),
    ('an unknown kid', [], [], STRANGER, 'unknown-key'),
    ('a wrong audience', [], PUMP, RIGHT, 'wrong-audience'),
    ('no audience', PUMP, [], RIGHT, 'wrong-audience'),
    ('no records, which we require', [], OFF, RIGHT, 'protection'),
    ('required records, which we leave out', OFF, [], RIGHT, 'protection'),
    ('no sealing, which we require', SEALED, [], RIGHT, 'protection'),
    ('no records, and we require that they are sealed', SEALED, OFF, RIGHT, 'protection'),
    ('required sealing, which we leave out', [], SEALED, RIGHT, 'protection'),
    ('required sealing, where records are optional', ALLOWED, SEALED, RIGHT, 'protection'),
]

# And the other way round: the options of our client, those of its server, and what we say.
UNPROVEN, REJECTED = 'did not prove that it holds the key', 'the server refuses: '
DISAGREED = 'the ends do not agree on records, or on sealing them'
DIFFERING_SERVERS = [
    ('another key', [], [], OTHER, UNPROVEN),
    ('a kid of its own', [], [], STRANGER, UNPROVEN),
    ('another audience', PUMP, [], RIGHT, UNPROVEN),
    ('an audience', [], PUMP, RIGHT, UNPROVEN),
    ('records required', OFF, [], RIGHT, REJECTED),
    ('no records', [], OFF, RIGHT, REJECTED),
    ('no sealing', SEALED, [], RIGHT, DISAGREED),
    ('sealing required', [], SEALED, RIGHT, REJECTED),
]


def peer(program, python, arguments, key=RIGHT):
    """Its command. Of an option that is given twice, the last one counts."""
    return [python, '-B', PEER, *arguments, '--keys', keys(program, *key)]


def keys(program, id='pair', secret=KEY):
    return program.keys(secret, 'countersign/1', id=id)


def its_client(program, python, ours, theirs, together):
    since = time.time()
    with program.serve('--bind', '127.0.0.1:0', *ours, keys=keys(program)) as process:
        command = peer(program, python, [*together, 'connect', process.address, *theirs])
        done = run(command, lines(SAID))
        same(done.returncode, 0, done.stderr + process.logged())
        stamped(done.stdout.splitlines(), SAID, since)


def its_server(program, python, ours, theirs, together):
    since = time.time()
    command = peer(program, python, [*together, 'serve', '--bind', '127.0.0.1:0', *theirs])
    with server(command) as process:
        done = program.run('connect', process.address, *ours, messages=SAID, keys=keys(program))
        same(done.returncode, 0, done.stderr + process.logged())
        stamped(done.stdout.splitlines(), SAID, since)
        same((done.stderr, process.logged()), ('', ''), 'what was complained of')


def its_client_fails(program, python, ours, theirs, key, why):
    with program.serve('--bind', '127.0.0.1:0', *ours, keys=keys(program)) as process:
        command = peer(program, python, ['connect', process.address, *theirs], key)
        done = run(command, lines(SAID))
        same((done.returncode, done.stdout), (77, ''), done.stderr)
        until(process.logged, lambda text: 'refused: {} peer='.format(why) in text,
              process.printed)


def its_server_fails(program, python, ours, theirs, key, said):
    command = peer(program, python, ['serve', '--bind', '127.0.0.1:0', *theirs], key)
    with server(command) as process:
        done = program.run('connect', process.address, *ours, messages=SAID, keys=keys(program))
        same((done.returncode, done.stdout), (77, ''), done.stderr)
        assert said in done.stderr, done.stderr


def pairs(program, python, every):
    """The name of each pair, and how to run it: every one, or what shows that a Python is able."""
    for name, *plan in AGREEING if every else AGREEING[0::3]:
        yield name + ', its client', lambda: its_client(program, python, *plan)
        yield name + ', its server', lambda: its_server(program, python, *plan)
    for name, *plan in DIFFERING if every else DIFFERING[:1]:
        yield name + ', its client', lambda: its_client_fails(program, python, *plan)
    for name, *plan in DIFFERING_SERVERS if every else DIFFERING_SERVERS[:1]:
        yield name + ', its server', lambda: its_server_fails(program, python, *plan)
