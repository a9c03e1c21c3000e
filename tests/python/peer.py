#!/usr/bin/env python3
"""A peer of countersign in plain Python: all of the protocol, on one page.

    peer.py connect HOST:PORT DIALECT FRAMING MAC    each line of stdin is a message
    peer.py serve   HOST:PORT DIALECT FRAMING MAC    each message comes back with the time in front

DIALECT is raw, hex or open; FRAMING is lines, chunks or length; MAC is sha256 or md5. The key is
the first one in the file that COUNTERSIGN_KEYS names: a secret has no place among the arguments.
"""
import base64
import hmac
import os
import socket
import struct
import sys
import time

DECODE = {'hex': bytes.fromhex, 'base64': base64.b64decode, 'text': str.encode}


def key():
    with open(os.environ['COUNTERSIGN_KEYS'], encoding='utf-8-sig') as lines:
        fields = [line.split() for line in lines if line.strip() and line[0] != '#']
    encoding, secret = fields[0][1].split(':', 1)
    return DECODE[encoding](secret)


def proof(nonce, dialect, mac):
    tag = hmac.new(key(), nonce, mac)
    return tag.digest() if dialect == 'raw' else tag.hexdigest().encode()


def prove(peer, dialect, mac):
    """The client's part: signs what the server has drawn."""
    if dialect != 'open':
        peer.write(proof(peer.read(32), dialect, mac))
        peer.flush()


def verify(peer, dialect, mac):
    """The server's part: draws 32 bytes, and compares in constant time."""
    if dialect == 'open':
        return True
    nonce = os.urandom(32)
    peer.write(nonce)
    peer.flush()
    expected = proof(nonce, dialect, mac)
    return hmac.compare_digest(peer.read(len(expected)), expected)


def send(peer, framing, message):
    if framing == 'length':
        message = struct.pack('>i', len(message)) + message
    peer.write(message)
    peer.flush()


def receive(peer, framing):
    """The next message, or None at the end. A line keeps its terminator, and so does its reply."""
    if framing == 'lines':
        return peer.readline() or None
    if framing == 'chunks':
        return peer.read1(1024) or None
    header = peer.read(4)
    return peer.read(struct.unpack('>i', header)[0]) if header else None


def connect(address, dialect, framing, mac):
    with socket.create_connection(address) as sock, sock.makefile('rwb') as peer:
        prove(peer, dialect, mac)
        for line in sys.stdin.buffer:
            send(peer, framing, line if framing == 'lines' else line.rstrip(b'\r\n'))
            reply = receive(peer, framing)
            if reply is None:
                sys.exit('the server closed the connection')
            sys.stdout.buffer.write(reply.rstrip(b'\r\n') + b'\n')


def serve(address, dialect, framing, mac):
    listener = socket.socket()
    listener.bind(address)
    listener.listen()
    print('listening on %s:%d' % listener.getsockname(), flush=True)
    while True:
        sock, _ = listener.accept()
        with sock, sock.makefile('rwb') as peer:
            if verify(peer, dialect, mac):
                for message in iter(lambda: receive(peer, framing), None):
                    send(peer, framing, b'[%s] %s' % (time.ctime().encode(), message))


if __name__ == '__main__':
    if len(sys.argv) != 6 or sys.argv[1] not in ('connect', 'serve'):
        sys.exit(__doc__)
    host, port = sys.argv[2].rsplit(':', 1)
    {'connect': connect, 'serve': serve}[sys.argv[1]]((host, int(port)), *sys.argv[3:])
