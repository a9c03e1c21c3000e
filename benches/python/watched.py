#!/usr/bin/env python3
"""What a load sees of its server's pages being read, fed with garbage and held open.

    watched.py path/to/countersign [--quick]

Two servers run. One is under an open loop of 20,000 messages a second; meanwhile the page /metrics
is read ten times a second, as often somebody says garbage there, and one client asks and never reads:
at the loaded server in one run, at the other in the next, so that both have the same company on
the machine. Microseconds of the replies' latency: the median (least-most) of nine runs of three
seconds each, and whether every message was answered.
"""
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading

from statistics import median

REQUEST = b'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'
SHOWN = ['p50', 'p99', 'p99.9']


class Server:
    def __init__(self, program, home):
        command = [program, 'serve', '--bind', '127.0.0.1:0', '--admin', '127.0.0.1:0']
        environment = dict(os.environ, XDG_CONFIG_HOME=home)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        env=environment, text=True)
        line = lambda: self.process.stdout.readline().split()[-1]
        self.address, self.admin = line(), line()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def dial(address):
    host, port = address.rsplit(':', 1)
    return socket.create_connection((host, int(port)))


def read(address):
    with dial(address) as page:
        page.sendall(REQUEST)
        text = b''.join(iter(lambda: page.recv(1 << 16), b''))
    assert text.startswith(b'HTTP/1.1 200 '), text[:80]


def watch(address, over):
    deaf = dial(address)
    deaf.sendall(REQUEST)
    while not over.wait(0.1):
        read(address)
        with dial(address) as stranger:
            stranger.sendall(os.urandom(200))
    deaf.close()


def run(program, home, loaded, watched, rate, seconds):
    over = threading.Event()
    watcher = threading.Thread(target=watch, args=(watched.admin, over))
    watcher.start()
    command = [program, 'load', loaded.address, '-q', rate, '-z', f'{seconds}s', '--output', 'json']
    environment = dict(os.environ, XDG_CONFIG_HOME=home)
    told = json.loads(subprocess.run(command, env=environment, check=True, text=True,
                                     stdout=subprocess.PIPE).stdout)
    over.set()
    watcher.join()
    # A percentile that was not reached, since messages went unanswered, has no value.
    found = [told['latencyPercentiles'][name] for name in SHOWN]
    latency = [math.inf if value is None else value * 1e6 for value in found]
    return told['summary']['successRate'] == 1, latency


def main():
    program, quick = sys.argv[1], '--quick' in sys.argv
    rate, seconds, rounds = ('1k', 1, 1) if quick else ('20k', 3, 9)
    with tempfile.TemporaryDirectory() as home:
        loaded, other = Server(program, home), Server(program, home)
        found = {'its own pages': [], "another server's": []}
        for _ in range(rounds):
            for watched, runs in zip((loaded, other), found.values()):
                runs.append(run(program, home, loaded, watched, rate, seconds))
        loaded.stop()
        other.stop()
    print(f'{"what is read":<20}' + ''.join(f'{name:>20}' for name in SHOWN) + '  all answered')
    for name, runs in found.items():
        columns = [sorted(column) for column in zip(*(latency for _, latency in runs))]
        shown = [f'{median(each):.0f} ({each[0]:.0f}-{each[-1]:.0f})' for each in columns]
        answered = 'yes' if all(all_answered for all_answered, _ in runs) else 'no'
        print(f'{name:<20}' + ''.join(f'{each:>20}' for each in shown) + f'  {answered}')


if __name__ == '__main__':
    main()
