"""Any Python, from 2.7 on, as it stands: `multiprocessing.connection` and nothing else.

    stock.py client ADDRESS TEST...    runs each test on one connection, and prints those that hold
    stock.py listener ADDRESS          sends back what it is sent, to one peer at a time

ADDRESS is HOST:PORT or unix:/path. A TEST is `burst`, `pickle`, or the length of a message. The key
is the first in the file that COUNTERSIGN_KEYS names, written as hex; it may be empty, which no key
of countersign's may. With RED_HAT in the environment, HMAC-MD5 is HMAC-SHA256, as on Red Hat's
systems where MD5 is forbidden.
"""
from __future__ import print_function

import binascii
import hmac
import os
import pickle
import sys
import threading

from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener

BURST = 10000


def key():
    with open(os.environ['COUNTERSIGN_KEYS']) as lines:
        return binascii.unhexlify(lines.read().split()[1].split(':')[1])


def place(address):
    if address.startswith('unix:'):
        return address[len('unix:'):]
    host, port = address.rsplit(':', 1)
    return host, int(port)


def answers(reply, message):
    """A reply is the message, or has a time stamp in front of it."""
    return reply == message or (reply[:1] == b'[' and reply.endswith(b'] ' + message))


def burst(line):
    """All of it is on its way before the first reply is looked at, or may be."""
    messages = [b'message %d' % n if sys.version_info[0] > 2 else 'message %d' % n
                for n in range(BURST)]
    sender = threading.Thread(target=lambda: [line.send_bytes(message) for message in messages])
    sender.start()
    right = all([answers(line.recv_bytes(), message) for message in messages])
    sender.join()
    return right


def unpickled_by_nobody(line):
    """What `send` makes of an object comes back as the bytes that it made."""
    message = {'a': [1, 2, 3]}
    line.send(message)
    reply = line.recv_bytes()
    return pickle.loads(reply[reply.find(b'] ') + 2 if reply[:1] == b'[' else 0:]) == message


def holds(line, test):
    if test == 'burst':
        return burst(line)
    if test == 'pickle':
        return unpickled_by_nobody(line)
    message = b'x' * int(test)
    line.send_bytes(message)
    return answers(line.recv_bytes(), message)


def client(address, *tests):
    line = Client(place(address), authkey=key())
    for test in tests:
        if holds(line, test):
            print(test)
            sys.stdout.flush()


def listener(address):
    where = Listener(place(address), authkey=key())
    shown = where.address
    print('listening on', 'unix:' + shown if isinstance(shown, str) else '%s:%d' % shown)
    sys.stdout.flush()
    while True:
        try:
            line = where.accept()
            while True:
                line.send_bytes(line.recv_bytes())
        except (EOFError, EnvironmentError, AuthenticationError):
            pass


if __name__ == '__main__':
    if 'RED_HAT' in os.environ:
        new = hmac.new
        hmac.new = lambda key, message, *digest: new(key, message, 'sha256')
    {'client': client, 'listener': listener}[sys.argv[1]](*sys.argv[2:])
