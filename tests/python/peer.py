#!/usr/bin/env python3
"""The Python package as a peer: its command, with two options for how messages go together.

    peer.py [--depth N] [--batches several|never|only] connect|serve ...

What follows is as for `python -m countersign`. A client sends N lines before it waits for their
replies. If several messages go together, they are one record, or one each, or even one alone is a
batch.
"""
import argparse
import itertools
import os
import sys

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../clients/python')
sys.path[:0] = [os.path.join(CLIENT, folder) for folder in ('src', 'tests')]

import chacha20poly1305

from countersign import cli
from countersign.errors import Over
from countersign.records import BATCH, DATA, Records, encode_batch


def converse(depth, options):
    with cli.dial(options) as connection:
        for lines in iter(lambda: list(itertools.islice(sys.stdin.buffer, depth)), []):
            connection.send(*(line.rstrip(b'\r\n') for line in lines))
            for _ in lines:
                reply = connection.receive()
                if reply is None:
                    raise Over('the server closed before it had replied')
                cli.show(reply)


def each_alone(records, messages):
    for message in messages:
        records._write(DATA, message)


def each_a_batch(records, messages):
    for message in messages:
        records._write(BATCH, encode_batch([message]))


SENDERS = {'several': Records.send, 'never': each_alone, 'only': each_a_batch}


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument('--depth', type=int, default=1)
    parser.add_argument('--batches', choices=SENDERS, default='several')
    own, rest = parser.parse_known_args()
    chacha20poly1305.install()
    Records.send = SENDERS[own.batches]
    cli.converse = lambda options: converse(own.depth, options)
    sys.exit(cli.main(rest))


if __name__ == '__main__':
    main()
