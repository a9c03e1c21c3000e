"""countersign1.py and countersign, each at either end, with and without records."""
import os
import time

from kit import MESSAGES, lines, run, same, server, stamped, until

PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'countersign1.py')
KEY, WRONG = '000102030405060708090a0b0c0d0e0f', 'ffeeddccbbaa99887766554433221100'
SAID = MESSAGES + ['', 'end']
# What countersign1.py exits with.
BROKEN, REFUSED, UNPROVED = 76, 77, 80

# What agrees: the name, the options of our end, and those of countersign1.py as client and server.
# Every third is what other Pythons than this one do too.
AGREEING = [
    ('records', [], [], []),
    ('records if wanted', ['--records', 'allowed'], ['--allow'], ['--records', 'allowed']),
    ('records for one audience', ['--audience', 'pump'], ['--audience', 'pump'],
     ['--audience', 'pump']),
    ('lines', ['--records', 'off'], ['--plain', 'lines'],
     ['--records', 'off', '--plain', 'lines']),
    ('length', ['--records', 'off', '--framing', 'length'], ['--plain', 'length'],
     ['--records', 'off', '--plain', 'length']),
    ('lines, records offered', ['--records', 'off'], ['--plain', 'lines', '--allow'],
     ['--records', 'allowed', '--plain', 'lines']),
    ('sealed records', ['--records', 'sealed'], ['--seal', '--depth', '3'],
     ['--records', 'sealed']),
    ('batches of several messages', [], ['--depth', '3'], []),
    ('batches alone', [], ['--depth', '3', '--batches', 'only'], ['--batches', 'only']),
    ('no batches', [], ['--depth', '3', '--batches', 'never'], ['--batches', 'never']),
    ('sealed batches alone', ['--records', 'sealed'],
     ['--seal', '--depth', '3', '--batches', 'only'],
     ['--records', 'sealed', '--batches', 'only']),
    ('sealed records, no batches', ['--records', 'sealed'], ['--seal', '--batches', 'never'],
     ['--records', 'sealed', '--batches', 'never']),
]

# What doesn't, the same way; then what countersign1.py exits with, and what our log says. A client
# that hangs up in place of its proof has not proved anything.
DIFFERING = [
    ('a wrong key', [], ['--key-hex', WRONG], UNPROVED, 'wrong-proof'),
    ('an unknown kid', [], ['--kid', 'stranger'], UNPROVED, 'unknown-key'),
    ('a wrong audience', [], ['--audience', 'pump'], UNPROVED, 'wrong-audience'),
    ('no audience', ['--audience', 'pump'], [], UNPROVED, 'wrong-audience'),
    ('no records, which we require', [], ['--plain', 'lines'], REFUSED, 'protection'),
    ('required records, which we leave out', ['--records', 'off'], ['--require'], REFUSED,
     'protection'),
    ('no sealing, which we require', ['--records', 'sealed'], [], REFUSED, 'protection'),
    ('no records, and we require that they are sealed', ['--records', 'sealed'],
     ['--plain', 'lines'], REFUSED, 'protection'),
    ('required sealing, which we leave out', [], ['--seal'], BROKEN, 'protection'),
    ('required sealing, where records are optional', ['--records', 'allowed'], ['--seal'], BROKEN,
     'protection'),
]

# And the other way round: the options of our client, those of its server, and what we say.
UNPROVEN, REJECTED = 'did not prove that it holds the key', 'the server refuses: '
DISAGREED = 'the ends do not agree on records, or on sealing them'
DIFFERING_SERVERS = [
    ('another key', [], ['--key-hex', WRONG], UNPROVEN),
    ('a kid of its own', [], ['--kid', 'stranger'], UNPROVEN),
    ('another audience', ['--audience', 'pump'], [], UNPROVEN),
    ('an audience', [], ['--audience', 'pump'], UNPROVEN),
    ('records required', ['--records', 'off'], [], REJECTED),
    ('no records', [], ['--records', 'off'], REJECTED),
    ('no sealing', ['--records', 'sealed'], [], DISAGREED),
    ('sealing required', [], ['--records', 'sealed'], REJECTED),
]


def peer(python, role, address, options):
    """Its command. Of an option that is given twice, the last one counts."""
    return [python, PEER, role, address, '--kid', 'pair', '--key-hex', KEY, *options]


def keys(program):
    return program.keys('hex:' + KEY, 'countersign/1')


def its_client(program, python, ours, theirs):
    since = time.time()
    with program.serve('--bind', '127.0.0.1:0', *ours, keys=keys(program)) as process:
        done = run(peer(python, 'client', process.address, theirs), lines(SAID))
        same(done.returncode, 0, done.stderr + process.logged())
        stamped(done.stdout.splitlines(), SAID, since)


def its_server(program, python, ours, theirs):
    since = time.time()
    with server(peer(python, 'server', '127.0.0.1:0', theirs)) as process:
        done = program.run('connect', process.address, *ours, messages=SAID, keys=keys(program))
        same(done.returncode, 0, done.stderr + process.logged())
        stamped(done.stdout.splitlines(), SAID, since)
        same((done.stderr, process.logged()), ('', ''), 'what was complained of')


def its_client_fails(program, python, ours, theirs, code, why):
    with program.serve('--bind', '127.0.0.1:0', *ours, keys=keys(program)) as process:
        done = run(peer(python, 'client', process.address, theirs), lines(SAID))
        same((done.returncode, done.stdout), (code, ''), done.stderr)
        until(process.logged, lambda text: 'refused: {} peer='.format(why) in text,
              process.printed)


def its_server_fails(program, python, ours, theirs, said):
    with server(peer(python, 'server', '127.0.0.1:0', theirs)) as process:
        done = program.run('connect', process.address, *ours, messages=SAID, keys=keys(program))
        same((done.returncode, done.stdout), (77, ''), done.stderr)
        assert said in done.stderr, done.stderr


def pairs(program, python, every):
    """The name of each pair, and how to run it: every one, or what shows that a Python is able."""
    for name, ours, client, its in AGREEING if every else AGREEING[0::3]:
        yield name + ', its client', lambda: its_client(program, python, ours, client)
        yield name + ', its server', lambda: its_server(program, python, ours, its)
    for name, *plan in DIFFERING if every else DIFFERING[:1]:
        yield name + ', its client', lambda: its_client_fails(program, python, *plan)
    for name, *plan in DIFFERING_SERVERS if every else DIFFERING_SERVERS[:1]:
        yield name + ', its server', lambda: its_server_fails(program, python, *plan)
