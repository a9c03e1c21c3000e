#!/usr/bin/env python3
"""The same load of stock Python clients on this program and on Python's own Listener, in turn.

    beside.py path/to/countersign [--quick] [--python PYTHON]

Four client processes connect, or send messages of 32 bytes and wait for their echo. The Listener
takes connections in a loop and gives each a thread, which is how it is used. Clients and Listener run
under the newest Python that pyenv keeps, or PYTHON. Each figure is how often it was done in a second,
by all clients together: the median (least-most) of five runs of two seconds. The ratio is the median
of those of each pair of runs.
"""
import glob
import os
import subprocess
import sys
import tempfile
import threading
import time

from multiprocessing.connection import Client, Listener
from statistics import median

CLIENTS = 4
SECRET = '000102030405060708090a0b0c0d0e0f'
MESSAGE = b'x' * 32
SPOKEN = ['--dialect', 'multiprocessing', '--service', 'echo', '--log-level', 'warn']


def connect(address):
    return Client(address, authkey=bytes.fromhex(SECRET))


def handshake(address, line):
    connect(address).close()
    return 1


def connection(address, line):
    line = connect(address)
    exchange(line, 1)
    line.close()
    return 1


def exchange(line, depth):
    for _ in range(depth):
        line.send_bytes(MESSAGE)
    for _ in range(depth):
        assert line.recv_bytes() == MESSAGE
    return depth


# What is counted, and one step of it.
WORK = {
    'handshakes': handshake,
    'connections with a message': connection,
    'messages, one at a time': lambda address, line: exchange(line, 1),
    'messages, 16 at a time': lambda address, line: exchange(line, 16),
}


def client(port, what, seconds):
    """Does it for so long, from when it is told to; prints how often."""
    address, step = ('127.0.0.1', int(port)), WORK[what]
    line = connect(address)
    print('ready', flush=True)
    sys.stdin.readline()
    count, end = 0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        count += step(address, line)
    print(count)


def echo(line):
    try:
        while True:
            line.send_bytes(line.recv_bytes())
    except (EOFError, OSError):
        line.close()


def listener():
    # Its queue has room for one, unless it is told otherwise.
    with Listener(('127.0.0.1', 0), backlog=128, authkey=bytes.fromhex(SECRET)) as where:
        print('listening on %s:%d' % where.address, flush=True)
        while True:
            threading.Thread(target=echo, args=(where.accept(),), daemon=True).start()


def rate(python, port, what, seconds):
    """How much of it all clients together get done in a second."""
    command = [python, '-B', __file__, 'client', port, what, str(seconds)]
    clients = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for _ in range(CLIENTS)]
    for each in clients:
        assert each.stdout.readline() == b'ready\n'
    for each in clients:
        each.stdin.write(b'\n')
        each.stdin.flush()
    counts = [int(each.communicate()[0]) for each in clients]
    return sum(counts) / seconds


def served(command):
    """A server, and the port that it listens at."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return process, process.stdout.readline().decode().strip().rsplit(':', 1)[1]


def newest():
    found = [path for minor in (13, 12)
             for path in glob.glob(os.path.expanduser('~/.pyenv/versions/3.%d.*/bin/python' % minor))]
    return (found + [sys.executable])[0]


def signs_by_md5(python):
    """As Pythons up to 3.11 do."""
    asked = [python, '-c', 'import sys; sys.exit(sys.version_info < (3, 12))']
    return subprocess.run(asked).returncode != 0


def has_md5(program):
    asked = subprocess.run([program, 'connect', '127.0.0.1:1', '--mac', 'md5'],
                           stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return b'has no MD5' not in asked.stderr


def spread(values):
    return '{:.0f} ({:.0f}-{:.0f})'.format(median(values), min(values), max(values))


def compare(program, python, quick):
    seconds, repeats = (0.1, 1) if quick else (2, 5)
    with tempfile.TemporaryDirectory() as directory:
        keys = os.path.join(directory, 'keys')
        with open(os.open(keys, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as file:
            file.write('py hex:{} dialects=multiprocessing\n'.format(SECRET))
        md5 = ['--mac', 'md5'] if signs_by_md5(python) else []
        if md5 and not has_md5(program):
            return print('SKIP: {} signs by MD5, which this build has not'.format(python))
        ours = served([program, 'serve', '--bind', '127.0.0.1:0', '--keys', keys, *SPOKEN, *md5])
        theirs = served([python, '-B', __file__, 'listener'])
        try:
            print('{:<28}{:>24}{:>24}{:>8}'.format('a second', 'countersign', 'Listener', 'ratio'))
            for what in WORK:
                pairs = [[rate(python, port, what, seconds) for _, port in (ours, theirs)]
                         for _ in range(repeats)]
                shown = [spread(column) for column in zip(*pairs)]
                ratio = median(a / b for a, b in pairs)
                print('{:<28}{:>24}{:>24}{:>8.2f}'.format(what, *shown, ratio), flush=True)
        finally:
            for process, _ in (ours, theirs):
                process.kill()
                process.wait()


def main(arguments):
    if arguments[:1] == ['client']:
        return client(*arguments[1:])
    if arguments[:1] == ['listener']:
        return listener()
    quick = '--quick' in arguments
    rest = [argument for argument in arguments if argument != '--quick']
    python = rest.pop() if rest[-2:-1] == ['--python'] else newest()
    rest = [argument for argument in rest if argument != '--python']
    if len(rest) != 1:
        sys.exit(__doc__)
    compare(rest[0], python, quick)


if __name__ == '__main__':
    main(sys.argv[1:])
