"""Sends back what it is sent, to one peer at a time: listener.py HOST PORT."""
import os
import sys
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener

listener = Listener((sys.argv[1], int(sys.argv[2])), authkey=bytes.fromhex(os.environ['AUTHKEY']))
print('listening on %s:%d' % listener.address, flush=True)
while True:
    with suppress(EOFError, OSError, AuthenticationError), listener.accept() as client:
        while True:
            client.send_bytes(client.recv_bytes())
