#!/usr/bin/env python3
"""Sends each line of stdin as a message, and prints each reply.

client.py ADDRESS KEYFILE
"""

import sys

import countersign


def main(address, keys):
    with countersign.connect(address, keys) as server:
        for line in sys.stdin.buffer:
            server.send(line.rstrip(b"\r\n"))
            reply = server.receive()
            if reply is None:
                sys.exit("the server closed the connection")
            show(reply)
        # Without the close of the server, somebody may have cut the connection.
        server.finish()
        for reply in server:
            show(reply)


def show(reply):
    sys.stdout.buffer.write(reply + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (countersign.Error, OSError) as error:
        sys.exit(f"client: {error}")
