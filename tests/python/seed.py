"""The seed: four pairs of programs, unchanged; countersign takes the place of one of each pair."""
import ctypes
import fcntl
import glob
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

from kit import LONGEST, MESSAGES, Skip, lines, run, same, stamped, started, until

HERE = os.path.dirname(os.path.abspath(__file__))
BESIDE = os.path.join(HERE, '..', '..', '..', 'shared', 'seed')
SEED = os.path.normpath(os.environ.get('COUNTERSIGN_SEED') or BESIDE)
# The seed's programs know no other port.
PORT = 9527
VERIFY = ['--dialect', 'hex', '--mac', 'md5', '--verify-only']
CONVERSE = ['--dialect', 'raw', '--mac', 'md5', '--framing', 'chunks']
LINE = ['--dialect', 'open', '--once']
CHUNK = ['--dialect', 'open', '--framing', 'chunks', '--once']
KEY_1, KEY_2 = 'text:老衲洗头用飘柔', 'text:芝麻开门'
WRONG = 'text:another-key-altogether'


def play(program, pair):
    """Runs a pair on the seed's port, in a network of its own where the system gives one."""
    if not os.path.isdir(SEED):
        raise Skip('the seed is not in ' + SEED + '; set COUNTERSIGN_SEED')
    seed_python()
    private = enter_network()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, pair not in ALONE)
        try:
            probe.bind(('127.0.0.1', PORT))
        except OSError as error:
            where = 'its own network' if private else 'no network of its own'
            raise Skip('{}, and port {}: {}'.format(where, PORT, error.strerror))
    pair(program)


def enter_network():
    """Leaves all that ran before behind, also what is in TIME_WAIT. Says whether it could."""
    newuser, newnet, siocsifflags, iff_up = 0x10000000, 0x40000000, 0x8914, 1
    if sys.platform != 'linux':
        return False
    unshare = ctypes.CDLL(None).unshare
    if unshare(newnet) and unshare(newuser | newnet):
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, siocsifflags, struct.pack('16sH14x', b'lo', iff_up))
    return True


def seed_python():
    """One that still takes hmac.new(key, message)."""
    for version in ('3.6', '3.7'):
        installed = sorted(glob.glob(os.path.expanduser(
            '~/.pyenv/versions/{}.*/bin/python3'.format(version))))
        for python in installed + [shutil.which('python' + version)]:
            if python and works(python):
                return python
    raise Skip('the seed needs a Python 3.6 or 3.7, and none is here')


def works(python):
    done = subprocess.run([python, '-c', ''], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode == 0


def seed(name):
    return [seed_python(), os.path.join(SEED, name)]


def to_seed(program, spoken, keys, messages):
    """Our client, as soon as the seed's server listens. It must not be probed: it may serve one
    connection only."""
    address = 'localhost:{}'.format(PORT)
    return until(lambda: program.run('connect', address, *spoken, messages=messages, keys=keys),
                 lambda done: done.returncode != 69 or 'connection refused' not in done.stderr,
                 lambda: '')


def server_1(program, secret=KEY_1, verdict='是合法的客户端'):
    with started(seed('1_verify_server.py')) as process:
        done = to_seed(program, VERIFY, program.keys(secret, 'hex'), [])
        same(done.returncode, 0, done.stderr)
        process.wait(LONGEST)
        digest, said = process.printed().splitlines()
        same(len(bytes.fromhex(digest)), 16, 'the digest')
        same(said, verdict, 'the verdict')


def server_1_wrong(program):
    server_1(program, WRONG, '不是合法的客户端')


def server_2(program):
    since = time.time()
    with started(seed('2_timestamp_server.py')) as process:
        done = to_seed(program, CONVERSE, program.keys(KEY_2, 'raw'), MESSAGES)
        same(done.returncode, 0, done.stderr)
        stamped(done.stdout.splitlines(), MESSAGES, since)
        assert '链接已通过验证' in process.printed(), process.printed()


def server_2_wrong(program):
    with started(seed('2_timestamp_server.py')) as process:
        done = to_seed(program, CONVERSE, program.keys(WRONG, 'raw'), MESSAGES)
        same((done.returncode, done.stdout), (77, ''), done.stderr)
        until(process.printed, lambda text: '链接非法,关闭' in text, process.logged)


def server_3(program, name='3_line_server.py', spoken=LINE):
    since = time.time()
    with started(seed(name)) as process:
        done = to_seed(program, spoken, None, MESSAGES)
        same(done.returncode, 0, done.stderr + process.logged())
        stamped(done.stdout.splitlines(), MESSAGES, since)


def server_4(program):
    server_3(program, '4_threading_server.py', CHUNK)


# The seed's clients and our server


def from_seed(name, messages):
    done = run(seed(name), lines(messages))
    same((done.returncode, done.stderr), (0, ''), name)
    return done.stdout


def ours(program, spoken, keys=None):
    return program.serve('--bind', '127.0.0.1:{}'.format(PORT), *spoken, keys=keys)


def client_1(program):
    with ours(program, VERIFY, program.keys(KEY_1, 'hex')) as process:
        same(from_seed('1_verify_client.py', []), '--------\n', 'what the client prints')
        said = until(process.printed, lambda text: 'verified' in text, process.logged)
        assert said.splitlines()[1].startswith('verified 127.0.0.1:'), said


def client_1_wrong(program):
    with ours(program, VERIFY, program.keys(WRONG, 'hex')) as process:
        same(from_seed('1_verify_client.py', []), '--------\n', 'what the client prints')
        until(process.logged, lambda text: 'refused: wrong-proof' in text, process.printed)
        assert 'verified' not in process.printed(), process.printed()


def client_2(program):
    since = time.time()
    with ours(program, CONVERSE, program.keys(KEY_2, 'raw')):
        # A blank line is skipped, and nothing is sent after quit.
        said = from_seed('2_timestamp_client.py', [*MESSAGES, ' ', 'quit', 'unheard'])
        prompted(said, MESSAGES, '>>>>>>', since)


def client_2_wrong(program):
    with ours(program, CONVERSE, program.keys(WRONG, 'raw')) as process:
        done = run(seed('2_timestamp_client.py'), 'time\nquit\n')
        assert '[' not in done.stdout, done.stdout
        until(process.logged, lambda text: 'refused: wrong-proof' in text, process.printed)


def client_2_shared(program):
    """At a port where others speak countersign/1."""
    since = time.time()
    spoken = ['--dialect', 'countersign/1+raw', *CONVERSE[2:]]
    keys = program.keys(KEY_2, 'raw', 'own  hex:{}'.format('00ff' * 16))
    with ours(program, spoken, keys) as process:
        prompted(from_seed('2_timestamp_client.py', [*MESSAGES, 'quit']), MESSAGES, '>>>', since)
        done = program.run('connect', process.address, messages=MESSAGES, keys=keys)
        same((done.returncode, done.stderr), (0, ''), process.logged())
        stamped(done.stdout.splitlines(), MESSAGES, since)


def client_3(program, name='3_line_client.py', spoken=LINE):
    since = time.time()
    with ours(program, spoken):
        prompted(from_seed(name, [*MESSAGES, '']), MESSAGES, '>>>', since)


def client_4(program):
    client_3(program, '4_threading_client.py', CHUNK)


def prompted(said, messages, last, since):
    """A reply behind each prompt, and after them the prompts that had none."""
    *replies, prompts = said.split('\n')
    same(prompts, last, 'the last prompts')
    assert all(reply.startswith('>>>') for reply in replies), said
    stamped([reply[3:] for reply in replies], messages, since)


# These need the port to themselves: no server may have closed a connection there within the last
# minute, as numbers 3 and 4 do. Where there is only one network, that leaves number 3 out.
ALONE = [server_1, server_1_wrong, server_2, server_2_wrong, server_3]

# What it is called, how it runs, and whether it needs MD5.
PAIRS = [
    ('1, its server, our client', server_1),
    ('1, its server, our client with a wrong key', server_1_wrong),
    ('2, its server, our client', server_2),
    ('2, its server, our client with a wrong key', server_2_wrong),
    ('4, its server, our client', server_4),
    ('1, its client, our server', client_1),
    ('1, its client, our server with a wrong key', client_1_wrong),
    ('2, its client, our server', client_2),
    ('2, its client, our server with a wrong key', client_2_wrong),
    ('2, its client, our server of countersign/1 too', client_2_shared),
    ('3, its client, our server', client_3),
    ('4, its client, our server', client_4),
    ('3, its server, our client', server_3),
]
