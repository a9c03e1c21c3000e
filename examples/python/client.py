"""Sends lines to a server: client.py HOST PORT, with what stands behind hex: in the key's line."""
import os
import sys
from multiprocessing.connection import Client

key = bytes.fromhex(os.environ['AUTHKEY'])
with Client((sys.argv[1], int(sys.argv[2])), authkey=key) as server:
    for line in sys.stdin:
        server.send_bytes(line.rstrip('\n').encode())
        print(server.recv_bytes().decode())
