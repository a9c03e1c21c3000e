"""What the pairs share: the binary under test, processes that end in time, and what is right."""
import os
import subprocess
import tempfile
import time

from contextlib import contextmanager

# A wait is given up when nothing has changed for so many seconds, and a client when it has run for so
# many: bounds for what hangs, each of them far more than ten times what a slow machine takes.
PATIENCE, LONGEST = 30, 600
# With its stamp, even the longest is what the seed's clients take for one reply: 1,024 bytes.
MESSAGES = ['time', '百变星君', 'x' * 900]


class Skip(Exception):
    """A pair that can't be run here; the text says why."""


class Program:
    """The binary, with a directory for its keys."""

    def __init__(self, path, directory):
        self.path = os.path.abspath(path)
        self.directory = directory

    def keys(self, secret, dialect, *others, id='pair'):
        """A file with this key, and with the lines of others, which nobody else can read."""
        handle, path = tempfile.mkstemp(dir=self.directory)
        with os.fdopen(handle, 'wb') as file:
            file.write(lines(['{}  {}  dialects={}'.format(id, secret, dialect), *others]).encode())
        return path

    def run(self, *arguments, messages=(), keys=None):
        return run([self.path, *arguments], lines(messages), keys)

    def serve(self, *arguments, keys=None):
        return server([self.path, 'serve', *arguments], keys)


def lines(messages):
    return ''.join(message + '\n' for message in messages)


def environment(keys):
    """One in which no option of the user's stands."""
    kept = {name: value for name, value in os.environ.items() if 'COUNTERSIGN' not in name}
    kept.update(PYTHONIOENCODING='utf-8', PYTHONUNBUFFERED='1')
    if keys:
        kept['COUNTERSIGN_KEYS'] = keys
    return kept


def run(command, text, keys=None):
    """Runs a client to its end."""
    done = subprocess.run(command, input=text.encode(), env=environment(keys), timeout=LONGEST,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


@contextmanager
def started(command, keys=None):
    """A process that runs as long as the block does; `printed` and `logged` are what it said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                   env=environment(keys))
        # The offset is shared with the process, so reading must not move it.
        process.printed = lambda: os.pread(out.fileno(), 1 << 20, 0).decode()
        process.logged = lambda: os.pread(log.fileno(), 1 << 20, 0).decode()
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def server(command, keys=None):
    """A server that says where it listens."""
    with started(command, keys) as process:
        line = until(process.printed, lambda text: '\n' in text, process.logged)
        process.address = line.split()[-1]
        yield process


def until(ask, satisfied, explain):
    """Asks until the answer is satisfying: neither a file nor a foreign program tells of news."""
    last, changed = None, time.monotonic()
    while True:
        answer = ask()
        if satisfied(answer):
            return answer
        if answer != last:
            last, changed = answer, time.monotonic()
        waited = time.monotonic() - changed
        assert waited < PATIENCE, 'waited in vain: {!r} {}'.format(answer, explain())
        time.sleep(0.01)


def same(got, expected, what):
    assert got == expected, '{:.200}: {!r:.200} instead of {!r:.200}'.format(
        what, short(got), short(expected))


def short(value):
    return value if len(repr(value)) < 200 else repr(value)[:200] + '...'


def stamped(replies, messages, since):
    """Each reply is its message with a time in front, and the time is that between then and now."""
    seconds = range(int(since), int(time.time()) + 1)
    same(len(replies), len(messages), 'the number of replies')
    for reply, message in zip(replies, messages):
        right = ['[{}] {}'.format(time.ctime(second), message) for second in seconds]
        assert reply in right, '{:.60}... is not {:.60}...'.format(reply, right[-1])
