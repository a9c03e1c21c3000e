#!/usr/bin/env python3
"""Answers each message with itself, until SIGTERM.

server.py ADDRESS KEYFILE
"""

import signal
import sys

import countersign


class Echo(countersign.StreamRequestHandler):
    def handle(self):
        for message in self.connection:
            self.connection.send(message)


def main(address, keys):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with countersign.Server(address, Echo, keys) as server:
        print("listening on", server.address, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
