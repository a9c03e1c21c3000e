"""Peers that don't authenticate: silent ones, slow ones and many of them, with both servers."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
import unittest

from pair import ring
from test_aio import shout
from test_threads import Shout, served, until

import countersign
from countersign import connect, errors, start_server
from countersign.admission import Admission, network_of
from countersign.event_log import EventLog

PATIENCE = 60
MAGIC = b"\x9ecsgn/1\n"
BEGUN = MAGIC + b"\1\0\1\0"
"""The header of a call of 256 bytes."""
BUSY = b"\5\0\0\1\3"
CROWD = 500


class Rules(unittest.TestCase):
    """Who is admitted, and who is evicted for it, at given times."""

    def test_the_oldest_is_evicted_once_it_has_had_its_time(self):
        admission = Admission(100, 3, 3, handshake_timeout=5)
        for now, (name, network) in enumerate([("a", "one"), ("b", "two"), ("c", "one")]):
            self.assertEqual(admission.room_at(), 0)
            self.assertIsNone(admission.admit(name, network, now / 10))
        # It has waited for less than half a second.
        self.assertEqual(admission.room_at(), 0.5)
        with self.assertRaises(errors.TooManyConnections):
            admission.admit("d", "three", 0.4)
        self.assertEqual(admission.admit("d", "three", 0.5), "a")
        self.assertTrue(admission.is_evicted("a"))
        self.assertEqual((len(admission), admission.unauthenticated), (3, 3))
        admission.authenticated("b")
        self.assertIsNone(admission.admit("e", "one", 0.5))
        self.assertEqual(admission.admit("f", "one", 1), "c")
        for name in "abcdef":
            admission.leave(name)
        self.assertEqual((len(admission), admission._networks, admission._waiting), (0, {}, {}))

    def test_one_network_can_have_half_of_the_places(self):
        admission = Admission(100, 5, handshake_timeout=5)
        for name in "abc":
            self.assertIsNone(admission.admit(name, "one", 0))
        with self.assertRaises(errors.TooManyConnections):
            admission.admit("d", "one", 0.4)
        self.assertIsNone(admission.admit("e", "two", 0.4))
        self.assertEqual(admission.admit("d", "one", 0.5), "a")

    def test_those_that_have_authenticated_stay(self):
        admission = Admission(2, 2, 2, handshake_timeout=5)
        for name in "ab":
            admission.admit(name, "one", 0)
            admission.authenticated(name)
            admission.authenticated(name)
        self.assertIsNone(admission.room_at())
        with self.assertRaises(errors.TooManyConnections):
            admission.admit("c", "two", 1000)
        admission.leave("a")
        self.assertEqual(admission.room_at(), 0)

    def test_a_limit_is_a_number_above_zero(self):
        for limits in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
            with self.assertRaisesRegex(countersign.ConfigError, "is at least 1"):
                Admission(*limits)

    def test_a_network_is_an_address_or_what_one_customer_has(self):
        for address, network in (
            (("192.0.2.7", 80), "192.0.2.7"),
            (("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7"),
            ("", "unix"),
        ):
            self.assertEqual(network_of(address), network)
        ours = network_of(("2001:db8::1", 80, 0, 0))
        self.assertEqual(ours, network_of(("2001:db8::ffff:2%eth0", 81, 0, 0)))
        self.assertNotEqual(ours, network_of(("2001:db8:0:1::1", 80, 0, 0)))

    def test_ten_lines_a_second_are_about_refused_peers(self):
        log = EventLog()
        lines = [log._allows(now) for now in [10.0] * 52 + [10.9, 11.0, 11.1]]
        self.assertEqual(lines, [""] * 10 + [None] * 43 + [" (43 similar messages suppressed)", ""])


@contextlib.contextmanager
def threaded(**options):
    with served(Shout, **options) as server:
        yield server.server_address


@contextlib.contextmanager
def on_asyncio(**options):
    """A server on asyncio, in a thread of its own."""
    address, stopped = [], threading.Event()

    async def run():
        server = await start_server(shout, "127.0.0.1:0", ring(), **options)
        address.append(server.sockets[0].getsockname())
        while not stopped.is_set():
            await asyncio.sleep(0.01)
        server.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        until(lambda: address)
        yield address[0]
    finally:
        stopped.set()
        thread.join()


SERVERS = threaded, on_asyncio


class Peers(unittest.TestCase):
    def dial(self, address, first=b""):
        sock = socket.create_connection(address)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.sendall(first)
        return sock

    def exchange(self, address, **options):
        with connect(address, ring(), timeout=PATIENCE, **options) as client:
            client.send(b"hello")
            self.assertEqual(client.receive(), b"HELLO")

    def test_silence_and_drops_end_at_the_deadline_and_not_before(self):
        for server in SERVERS:
            for dialect, opening in (("countersign/1", BEGUN), ("raw", b"")):
                with self.subTest(server.__name__, dialect=dialect):
                    options = dict(dialect=dialect, handshake_timeout=0.3)
                    with server(**options) as address:
                        with self.assertLogs("countersign", logging.WARNING) as logs:
                            begin = time.monotonic()
                            peers = self.dial(address), self.dial(address, opening)
                            self.drip(peers[1])
                            self.wait_for_end(peers[0])
                            until(lambda logs=logs: len(logs.output) == 2)
                        self.assertGreater(time.monotonic() - begin, 0.2)
                        for line in logs.output:
                            self.assertIn("WARNING:countersign:refused: handshake-timeout", line)
                        self.exchange(address, dialect=dialect)

    def wait_for_end(self, sock):
        while sock.recv(100):
            pass

    def drip(self, sock):
        """Sends a byte now and then, as long as the other end is there."""

        stopped = threading.Event()

        def run():
            with contextlib.suppress(OSError):
                while not stopped.wait(0.05):
                    sock.sendall(b"\0")

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stopped.set)

    def test_the_oldest_loses_its_place_and_is_told_if_it_has_begun(self):
        for server in SERVERS:
            with self.subTest(server.__name__):
                options = dict(max_unauthenticated=2, max_per_address=2, handshake_timeout=2)
                with server(**options) as address:
                    begun, silent = self.dial(address, MAGIC), self.dial(address)
                    with self.assertLogs("countersign", logging.WARNING) as logs:
                        time.sleep(0.3)
                        self.exchange(address)
                        self.assertEqual(begun.recv(100)[32:], BUSY)
                        self.assertEqual(begun.recv(100), b"")
                    self.assertIn("refused: too-many-connections", logs.output[0])
                    self.assertIn("(too many connections had not authenticated)", logs.output[0])
                    # The other one still has its place.
                    silent.setblocking(False)
                    with self.assertRaises(BlockingIOError):
                        silent.recv(1)

    def test_connections_that_have_authenticated_keep_their_places(self):
        for server in SERVERS:
            with self.subTest(server.__name__):
                with server(max_connections=3, handshake_timeout=0.5) as address:
                    clients = [connect(address, ring()) for _ in range(2)]
                    for _ in range(3):
                        silent = self.dial(address)
                        time.sleep(0.1)
                    for client in clients:
                        client.send(b"hello")
                        self.assertEqual(client.receive(), b"HELLO")
                        client.close()
                    silent.close()

    def test_a_crowd_of_silent_peers_keeps_nobody_out(self):
        for server in SERVERS:
            with self.subTest(server.__name__):
                options = dict(max_unauthenticated=50, max_per_address=50, handshake_timeout=1)
                with server(**options) as address, self.assertLogs("countersign") as logs:
                    before = threading.active_count()
                    client = connect(address, ring())
                    crowd = [self.dial(address, MAGIC) for _ in range(CROWD)]
                    self.assertLess(threading.active_count() - before, 60)
                    client.send(b"still here")
                    self.assertEqual(client.receive(), b"STILL HERE")
                    client.close()
                    # A newcomer is served once the oldest have had their time.
                    until(lambda address=address: self.is_served(address))
                    for peer in crowd:
                        peer.close()
                self.assertLess(len(logs.output), 5 * CROWD)

    def is_served(self, address):
        try:
            self.exchange(address)
        except (errors.AuthenticationError, errors.Truncated):
            return False
        return True


if __name__ == "__main__":
    unittest.main()
