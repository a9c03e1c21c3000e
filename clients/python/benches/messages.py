#!/usr/bin/env python3
"""Messages of 32 bytes and their echoes, beside `multiprocessing.connection`, in one run.

    messages.py [--quick] [--tsv]

Both ends are Python, each in a process of its own, over TCP on the loopback interface. In each
round everything has its turn, so that a machine that slows down slows all of it. Shows the median
of the rounds with the lowest and the highest: messages a second, and the processor time of a
message at each end, which depends less on what else the machine does.
"""

import argparse
import multiprocessing as mp
import os
import sys
import time
from multiprocessing.connection import Client, Listener
from statistics import median

import countersign
from countersign import crypto

KEY = b"thirty-two bytes, as keygen has!"
MESSAGE = b"x" * 32
CPU = b"cpu"
TOGETHER = 16


def ring():
    return countersign.KeyRing([countersign.Key("bench", KEY)])


class Echo(countersign.StreamRequestHandler):
    def handle(self):
        replies = []
        for message in self.connection:
            replies.append(processor_time() if message == CPU else message)
            if not self.connection.pending:
                self.connection.send(*replies)
                replies = []


def processor_time():
    return repr(time.process_time()).encode()


def serve_ours(ready, options):
    with countersign.Server("127.0.0.1:0", Echo, ring(), **options) as server:
        ready.send(server.address)
        server.serve_forever()


def serve_stock(ready, _):
    listener = Listener(("127.0.0.1", 0), authkey=KEY)
    ready.send(listener.address)
    with listener.accept() as connection:
        try:
            while True:
                message = connection.recv_bytes()
                connection.send_bytes(processor_time() if message == CPU else message)
        except EOFError:
            pass


class Ours:
    """A client of this package; `together` messages travel as one batch."""

    def __init__(self, address, options):
        self.connection = countersign.connect(address, ring(), timeout=600, **options)

    def exchange(self, messages):
        self.connection.send(*messages)
        for message in messages:
            assert self.connection.receive() == message

    def ask(self, message):
        self.connection.send(message)
        return self.connection.receive()


class Stock:
    """A client of multiprocessing.connection."""

    def __init__(self, address, _):
        self.connection = Client(tuple(address), authkey=KEY)

    def exchange(self, messages):
        for message in messages:
            self.connection.send_bytes(message)
        for message in messages:
            assert self.connection.recv_bytes() == message

    def ask(self, message):
        self.connection.send_bytes(message)
        return self.connection.recv_bytes()


class Bench:
    """One way of exchanging messages, with its server, and what its rounds took."""

    def __init__(self, name, serve, client, options, together):
        self.name, self.together = name, together
        # Its kernel delays acknowledgements by 40 ms, which holds up what follows.
        self.is_slow = client is Stock and together > 1
        ours, theirs = mp.Pipe()
        self.process = mp.Process(target=serve, args=(theirs, options), daemon=True)
        self.process.start()
        self.client = client(ours.recv(), options)
        self.rounds = []

    def server_time(self):
        return float(self.client.ask(CPU))

    def run(self, count):
        count = count // 10 if self.is_slow else count
        messages = [MESSAGE] * self.together
        server, own, begin = self.server_time(), time.process_time(), time.perf_counter()
        for _ in range(count // self.together):
            self.client.exchange(messages)
        took = time.perf_counter() - begin
        own, server = time.process_time() - own, self.server_time() - server
        self.rounds.append((count / took, own / count * 1e6, server / count * 1e6))

    def figures(self):
        """The median, the lowest and the highest of each."""
        return [(median(each), min(each), max(each)) for each in zip(*self.rounds)]


def benches():
    for together in (1, TOGETHER):
        often = "one at a time" if together == 1 else f"{together} at a time"
        yield f"multiprocessing.connection, {often}", serve_stock, Stock, {}, together
        yield f"plain, {often}", serve_ours, Ours, {"records": "off"}, together
        yield f"tagged, {often}", serve_ours, Ours, {}, together
        if can_seal():
            yield f"sealed, {often}", serve_ours, Ours, {"records": "sealed"}, together


def can_seal():
    try:
        crypto.load_chacha20poly1305()
    except ImportError:
        return False
    return True


def show(name, figures, tsv):
    if tsv:
        print(name, *(f"{value:.2f}" for each in figures for value in each), sep="\t")
        return
    rate, client, server = figures
    columns = ["{:,.0f} ({:,.0f}-{:,.0f})".format(*rate)]
    columns += ["{:.1f} ({:.1f}-{:.1f})".format(*each) for each in (client, server)]
    print("|", " | ".join([name, *columns]), "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="see that it works")
    parser.add_argument("--tsv", action="store_true", help="values separated by tabs")
    options = parser.parse_args()
    count, rounds = (320, 1) if options.quick else (9600, 9)
    every = [Bench(*each) for each in benches()]
    for _ in range(rounds):
        for bench in every:
            bench.run(count)
    if not options.tsv:
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors\n")
        print("| | messages a second | client, µs a message | server, µs a message |")
        print("| --- | --- | --- | --- |")
    for bench in every:
        show(bench.name, bench.figures(), options.tsv)
        bench.process.terminate()


if __name__ == "__main__":
    main()
