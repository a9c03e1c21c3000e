#!/usr/bin/env python3
"""Every Python that is found against the program: `multiprocessing.connection`, both directions.

    matrix.py path/to/countersign

Prints a table with a row for each version, direction and address family; SKIP says what is missing
here. The exit code is 1 if anything in it has failed. Pythons are looked for as `python3` in the
PATH and where pyenv keeps them.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

from kit import Program, Skip, lines, run, same, server, until

HERE = os.path.dirname(os.path.abspath(__file__))
STOCK = os.path.join(HERE, 'stock.py')
EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'examples', 'python')

KEY, WRONG, EMPTY = 'hex:000102030405060708090a0b0c0d0e0f', 'hex:ffeeddccbbaa99887766554433', 'hex:'
VERSIONS = ['2.7'] + ['3.%d' % minor for minor in range(6, 14)]
# Python writes the first three at once, and header and bytes of the others one by one.
SIZES = ['0', '1', '16384', '16385', '1048576']
CLIENT_TESTS = SIZES + ['burst', 'pickle']
COLUMNS = ['right', 'wrong', 'empty'] + CLIENT_TESTS

SPOKEN = ['--dialect', 'multiprocessing', '--message-max', '2m']


class Python:
    """One that is installed."""

    def __init__(self, path, red_hat=False):
        self.path = path
        self.red_hat = red_hat
        text = subprocess.run([path, '-c', 'import sys; print("%d.%d.%d" % sys.version_info[:3])'],
                              stdout=subprocess.PIPE, check=True).stdout.decode().strip()
        self.version = tuple(map(int, text.split('.')))
        self.name = text + (' as Red Hat' if red_hat else '')

    def command(self, *arguments):
        mark = ['env', 'RED_HAT=1'] if self.red_hat else []
        return [*mark, self.path, '-B', STOCK, *arguments]

    def options(self, program):
        """What the program needs to speak with it."""
        if self.red_hat:
            return ['--rhel']
        if self.version >= (3, 12):
            return []
        return ['--mac', 'md5']


def found():
    """One of each version, and the one that `python3` is; those that are missing by their names."""
    paths = [shutil.which('python3')]
    for version in VERSIONS:
        paths += glob.glob(os.path.expanduser('~/.pyenv/versions/%s.*/bin/python' % version))[:1]
    pythons, seen = [], set()
    for path in paths:
        try:
            python = Python(path)
        except (OSError, subprocess.CalledProcessError):
            continue
        if python.version not in seen:
            seen.add(python.version)
            pythons.append(python)
    pythons.sort(key=lambda python: python.version)
    old = [python for python in pythons if (3, 6) <= python.version < (3, 12)][-1:]
    there = {'%d.%d' % python.version[:2] for python in pythons}
    return (pythons + [Python(python.path, red_hat=True) for python in old],
            [version for version in VERSIONS if version not in there])


def client_row(program, python, bind, files):
    """Python's Client, and our server."""
    row = {}
    with program.serve('--bind', bind, *SPOKEN, *python.options(program), keys=files[0]) as ours:
        def tell(keys, *tests):
            return run(python.command('client', ours.address, *tests), '', keys)
        done = tell(files[0], *CLIENT_TESTS)
        held = done.stdout.split()
        row['right'] = done.returncode == 0 or done.stderr
        row.update({test: test in held or done.stderr for test in CLIENT_TESTS})
        for name, keys in zip(['wrong', 'empty'], files[1:]):
            done = tell(keys, '1')
            row[name] = (done.returncode != 0 and not done.stdout) or done.stdout
        # Whoever was refused has done no harm.
        same(tell(files[0], '1').stdout.split(), ['1'], 'after the others')
    return row


def listener_row(program, python, bind, files):
    """Our client, and Python's Listener."""
    row, options = {}, [*SPOKEN, *python.options(program)]
    with server(python.command('listener', bind), files[0]) as theirs:
        def tell(keys, messages):
            return program.run('connect', theirs.address, *options, '--timeout', '30s',
                               messages=messages, keys=keys)
        for size in SIZES:
            message = 'x' * int(size)
            done = tell(files[0], [message])
            row[size] = (done.returncode, done.stdout) == (0, message + '\n') or done.stderr
        row['right'] = row['1']
        done = tell(files[1], ['time'])
        row['wrong'] = (done.returncode, done.stdout) == (77, '') or done.stderr
    # To most Pythons up to 3.11 it means that nobody has to prove anything: no challenge comes.
    with server(python.command('listener', bind.replace('.sock', '-empty.sock')), files[2]) as theirs:
        done = program.run('connect', theirs.address, *options, '--timeout', '500ms',
                           messages=['time'], keys=files[0])
        row['empty'] = (done.returncode != 0 and done.stdout == '') or done.stdout
    return row


def has_unix(program):
    asked = program.run('connect', 'unix:/nowhere', *SPOKEN, keys=program.keys(KEY, SPOKEN[1]))
    return 'invalid' not in asked.stderr and 'write HOST:PORT' not in asked.stderr


def table(program, directory):
    """Each row's name with what is in it: a dictionary, or why it was skipped."""
    files = [program.keys(secret, SPOKEN[1]) for secret in (KEY, WRONG, EMPTY)]
    families = [('AF_INET', lambda: '127.0.0.1:0')]
    if has_unix(program):
        families += [('AF_UNIX', lambda: 'unix:' + tempfile.mktemp('.sock', dir=directory))]
    else:
        yield 'AF_UNIX', 'the program knows no unix:'
    pythons, missing = found()
    for python in pythons:
        for what, row in [('Client', client_row), ('Listener', listener_row)]:
            for family, bind in families:
                name = '{:<18} {:<9} {:<8}'.format(python.name, what, family)
                try:
                    yield name, row(program, python, bind(), files)
                except Skip as reason:
                    yield name, str(reason)
    for version in missing:
        yield version, 'not installed'


def refused_without_md5(program):
    """A Python up to 3.11 is told of its failure, and the log says why, where MD5 isn't asked for."""
    old = [python for python in found()[0] if python.version < (3, 12)]
    if not old:
        raise Skip('there is no Python up to 3.11')
    keys = program.keys(KEY, SPOKEN[1])
    with program.serve('--bind', '127.0.0.1:0', *SPOKEN, keys=keys) as ours:
        for python in old:
            done = run(python.command('client', ours.address, '1'), '', keys)
            assert 'AuthenticationError: digest sent was rejected' in done.stderr, done.stderr
        # No more than ten lines a second are.
        told = 'refused: other-digest'
        until(ours.logged, lambda log: log.count(told) >= min(len(old), 10), ours.logged)


def examples(program):
    """Those that the manual shows, under the Python that runs this."""
    keys = program.keys(KEY, SPOKEN[1])
    options = [] if sys.version_info >= (3, 12) else ['--mac', 'md5']
    mark = ['env', 'AUTHKEY=' + KEY.split(':')[1], sys.executable, '-B']
    with program.serve('--bind', '127.0.0.1:0', *SPOKEN, *options, keys=keys) as ours:
        place = ours.address.split(':')
        done = run([*mark, os.path.join(EXAMPLES, 'client.py'), *place], lines(['one', '', 'two']))
        ends = [reply.split('] ', 1)[1] for reply in done.stdout.splitlines()]
        same(ends, ['one', '', 'two'], done.stderr)
    with server([*mark, os.path.join(EXAMPLES, 'listener.py'), '127.0.0.1', '0']) as theirs:
        wrong = program.keys(WRONG, SPOKEN[1])
        for ring, code, out in [(keys, 0, 'one\n\n'), (wrong, 77, ''), (keys, 0, 'one\n\n')]:
            done = program.run('connect', theirs.address, *SPOKEN, *options, messages=['one', ''],
                               keys=ring)
            same((done.returncode, done.stdout), (code, out), done.stderr)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    faults = []
    print('{:<37} {}'.format('', '  '.join('{:>7}'.format(column) for column in COLUMNS)))
    with tempfile.TemporaryDirectory() as directory:
        program = Program(sys.argv[1], directory)
        for name, row in table(program, directory):
            if isinstance(row, str):
                print('{:<37} SKIP: {}'.format(name, row), flush=True)
                continue
            faults += ['{}, {}: {}'.format(name, column, held)
                       for column, held in row.items() if held is not True]
            marks = [('ok' if row[column] is True else 'FAIL') if column in row else '-'
                     for column in COLUMNS]
            cells = '  '.join('{:>7}'.format(mark) for mark in marks)
            print('{:<37} {}'.format(name, cells), flush=True)
        for check in (refused_without_md5, examples):
            try:
                check(program)
                print('ok    {}'.format(check.__doc__))
            except Skip as reason:
                print('SKIP  {} ({})'.format(check.__doc__, reason))
            except Exception as failure:
                faults.append('{}: {}'.format(check.__doc__, failure))
    print(*faults, sep='\n')
    sys.exit(1 if faults else 0)


if __name__ == '__main__':
    main()
