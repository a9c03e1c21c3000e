"""Hostile clients, for the scripts beside this file."""

import contextlib
import json
import random
import selectors
import socket
import threading
from pathlib import Path


class Attack(threading.Thread):
    """Hostile clients: a quarter each is silent, drips, sends noise, and proves itself with another key."""

    def __init__(self, address, count):
        super().__init__(daemon=True)
        vectors = json.loads(Path("tests/vectors/countersign-1.json").read_text())
        self.proof = bytes.fromhex(vectors["client"][0]["out"])
        self.address, self.count, self.made, self.ended = address, count, 0, threading.Event()
        self.selector, self.random = selectors.DefaultSelector(), random.Random(9527)

    def run(self):
        while not self.ended.is_set():
            for _ in range(min(1000, self.count - len(self.selector.get_map()))):
                self.connect()
            for key, events in self.selector.select(0.05):
                self.guarded(key.fileobj, self.work, key, events)
            drips = [key for key in self.selector.get_map().values() if key.data == 1]
            for key in self.random.sample(drips, min(50, len(drips))):
                self.guarded(key.fileobj, key.fileobj.send, self.proof[1:2])
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def connect(self):
        peer = socket.socket()
        peer.setblocking(False)
        # From so many addresses that the limits of one don't matter.
        number = self.made % 500
        peer.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
        with contextlib.suppress(BlockingIOError):
            peer.connect(self.address)
        self.selector.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, self.made % 4)
        self.made += 1

    def work(self, key, events):
        if events & selectors.EVENT_WRITE:
            self.selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            key.fileobj.send([b"", self.proof[:1], self.random.randbytes(900), self.proof][key.data])
        if events & selectors.EVENT_READ and not key.fileobj.recv(4096):
            raise ConnectionResetError

    def guarded(self, peer, act, *arguments):
        """Does something with a connection that the server may have closed. Another one takes its place."""
        try:
            act(*arguments)
        except BlockingIOError:
            pass
        except OSError:
            self.selector.unregister(peer)
            peer.close()

    def stop(self):
        self.ended.set()
        self.join()
