"""Connections and servers with blocking calls, over real sockets."""

import contextlib
import errno
import logging
import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

from pair import WRONG, ring
from test_session import EVERY

import countersign
from countersign import Connection, Server, Session, StreamRequestHandler, connect, errors
from countersign.endpoint import format_address, parse_address

PATIENCE = 30


class Shout(StreamRequestHandler):
    def handle(self):
        for message in self.connection:
            if message == b"fail":
                raise ValueError("the service has failed")
            if message == b"whoami":
                message = f"{self.connection.key_id} {self.connection.audience}".encode()
            self.connection.send(message.upper())


class Lines(StreamRequestHandler):
    """As it was written for socketserver."""

    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"[now] " + line)
            self.wfile.flush()


@contextlib.contextmanager
def served(handler=Shout, keys=None, address=("127.0.0.1", 0), **options):
    """A server that runs as long as the block does."""
    with Server(address, handler, keys or ring(), **options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def until(condition):
    """Waits for what another thread does."""
    tick = threading.Event()
    for _ in range(PATIENCE * 100):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("waited in vain")


class Conversations(unittest.TestCase):
    def test_every_dialect_works(self):
        for options in EVERY:
            with self.subTest(**options), served(**options) as server:
                with connect(server.address, ring(), **options) as client:
                    for message in (b"hello", "百变星君".encode(), b"x" * 900):
                        client.send(message)
                        self.assertEqual(client.receive(), message.upper())
                    client.finish()
                    self.assertEqual(list(client), [])
                    self.assertIsNone(client.receive())

    def test_who_is_there_is_known(self):
        with served(audiences=["pump", b""]) as server:
            with connect(server.address, ring(), audience="pump", key="pump") as client:
                client.send(b"whoami")
                self.assertEqual(client.receive(), b"PUMP PUMP")
                self.assertEqual((client.key_id, client.audience), ("pump", "pump"))
                self.assertEqual(len(client.secret(b"label")), 32)
                self.assertGreaterEqual(client.fileno(), 0)

    def test_a_handler_for_socketserver_works(self):
        with served(Lines) as server, connect(server.address, ring()) as client:
            client.send(b"one", b"two")
            self.assertEqual(client.receive(), b"[now] one")
            self.assertEqual(client.receive(), b"[now] two")

    def test_pings_and_messages_do_not_get_in_each_others_way(self):
        with served() as server, connect(server.address, ring()) as client:
            client.send(b"one", b"two")
            self.assertGreater(client.ping(b"still there?"), 0)
            self.assertEqual(client.pending, 2)
            self.assertEqual([client.receive(), client.receive()], [b"ONE", b"TWO"])

    def test_one_thread_sends_while_another_receives(self):
        many = [b"%d" % n * 50 for n in range(2000)]
        with served() as server, connect(server.address, ring()) as client:
            sender = threading.Thread(target=lambda: [client.send(each) for each in many])
            sender.start()
            replies = [client.receive() for _ in many]
            sender.join()
        self.assertEqual(replies, many)

    def test_a_unix_socket_is_for_its_owner_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            with served(address="unix:" + path) as server:
                self.assertEqual(server.address, "unix:" + path)
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                with connect("unix:" + path, ring()) as client:
                    client.send(b"hello")
                    self.assertEqual(client.receive(), b"HELLO")
            self.assertFalse(os.path.exists(path))
            with self.assertRaises(FileNotFoundError):
                connect("unix:" + path, ring())

    @unittest.skipUnless(socket.has_ipv6, "there is no IPv6 here")
    def test_ipv6_works(self):
        try:
            with served(address="[::1]:0") as server:
                self.assertRegex(server.address, r"^\[::1\]:\d+$")
                connect(server.address, ring()).close()
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            self.skipTest("there is no IPv6 here")

    def test_a_key_file_is_named_by_its_path(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "keys")
            countersign.key_file.add_key(path, "default")
            with served(keys=path) as server, connect(server.address, path) as client:
                self.assertEqual(client.key_id, "default")
            with mock.patch("countersign.endpoint.default_path", lambda: path):
                with served(keys=path) as server, connect(server.address) as client:
                    self.assertEqual(client.key_id, "default")


class Failures(unittest.TestCase):
    def refused(self, server, client, error, **options):
        with served(**server) as running:
            with self.assertLogs("countersign", logging.INFO) as logs:
                with self.assertRaises(error):
                    connect(running.address, **client, **options).receive()
                until(lambda: logs.output)
            # It serves the others as before.
            good = {name: value for name, value in server.items() if name != "max_connections"}
            with connect(running.address, ring(), **good) as connection:
                connection.send(b"hello")
                self.assertEqual(connection.receive(), b"HELLO")
            return "\n".join(logs.output)

    def test_a_wrong_key_is_refused_and_nothing_else(self):
        self.refused({}, dict(keys=ring(WRONG)), errors.Unproven)
        log = self.refused(
            dict(dialect="raw"), dict(keys=ring(WRONG), dialect="raw"), errors.Refused
        )
        self.assertIn("refused: wrong-proof peer=127.0.0.1:", log)

    def test_other_options_are_refused(self):
        log = self.refused({}, dict(keys=ring(), records="off"), errors.Rejected)
        self.assertIn("refused: protection", log)

    def test_a_peer_that_says_nothing_is_given_up(self):
        with served(handshake_timeout=0.05) as server:
            with self.assertLogs("countersign", logging.INFO) as logs:
                sock = socket.create_connection(server.server_address)
                self.assertEqual(sock.recv(100), b"")
                sock.close()
                until(lambda: logs.output)
            self.assertIn("refused: handshake-timeout", logs.output[0])
            # One that has begun is told why.
            sock = socket.create_connection(server.server_address)
            sock.sendall(b"\x9ecsgn/1\n")
            sock.settimeout(PATIENCE)
            self.assertEqual(sock.recv(100)[32:], b"\5\0\0\1\5")
            sock.close()

    def test_a_byte_now_and_then_does_not_extend_the_handshake(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            stop = threading.Event()

            def drip():
                peer, _ = listener.accept()
                with peer, contextlib.suppress(OSError):
                    while not stop.wait(0.02):
                        peer.send(b"\0")

            thread = threading.Thread(target=drip)
            thread.start()
            with self.assertRaises(errors.HandshakeTimeout):
                connect(listener.getsockname(), ring(), timeout=0.2)
            stop.set()
            thread.join()

    def test_a_server_that_does_not_reply_times_out(self):
        done = threading.Event()
        self.addCleanup(done.set)

        class Silent(StreamRequestHandler):
            def handle(self):
                done.wait(PATIENCE)

        with served(Silent) as server, connect(server.address, ring()) as client:
            client.settimeout(0.05)
            client.send(b"hello")
            with self.assertRaises(errors.TimedOut):
                client.receive()
            with self.assertRaises(errors.TimedOut):
                # Nobody reads, so the buffers fill up.
                while True:
                    client.send(bytes(60000))
            client.close()
            client.close()

    def test_an_idle_client_is_closed(self):
        with served(timeout=0.05) as server, connect(server.address, ring()) as client:
            with self.assertLogs("countersign", logging.INFO) as logs:
                with self.assertRaises(errors.Truncated):
                    client.receive()
                until(lambda: logs.output)
            self.assertIn("closed: idle-timeout", logs.output[0])

    def test_a_handler_that_fails_ends_its_own_connection(self):
        with served() as server:
            other = connect(server.address, ring())
            with self.assertLogs("countersign", logging.ERROR) as logs:
                client = connect(server.address, ring())
                client.send(b"fail")
                with self.assertRaises(errors.Truncated):
                    client.receive()
                until(lambda: logs.output)
            self.assertIn("closed: service-failure", logs.output[0])
            other.send(b"still here")
            self.assertEqual(other.receive(), b"STILL HERE")
            other.close()

    def test_a_client_that_vanishes_is_noticed(self):
        with served() as server, self.assertLogs("countersign", logging.INFO) as logs:
            with contextlib.suppress(RuntimeError), connect(server.address, ring()):
                raise RuntimeError("an exception leaves the connection truncated")
            until(lambda: logs.output)
        self.assertIn("closed: truncated", logs.output[0])

    def test_changed_bytes_end_the_connection(self):
        ours, theirs = socket.socketpair()
        client = Session.client(countersign.ClientConfig(ring()))
        server = Session.server(countersign.ServerConfig(ring()))
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
        connection = Connection(ours, client)
        server.send(b"hello")
        theirs.sendall(server.data_to_send()[:-1] + b"?")
        with self.assertRaises(errors.BadRecord):
            connection.receive()
        self.assertEqual(connection.fileno(), -1)
        theirs.close()

    def test_a_reset_is_a_truncated_stream(self):
        with served() as server:
            client = connect(server.address, ring())
            client._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            with self.assertLogs("countersign", logging.INFO) as logs:
                client.abort()
                until(lambda: logs.output)
            self.assertIn("closed: truncated", logs.output[0])

    def test_a_server_that_closes_leaves_a_ping_unanswered(self):
        class Bye(StreamRequestHandler):
            def handle(self):
                pass

        with served(Bye) as server, connect(server.address, ring()) as client:
            self.assertIsNone(client.receive())
            with self.assertRaises(errors.Error):
                client.ping()

    def test_connections_above_the_limit_wait_for_those_that_are_open(self):
        with served(max_connections=1) as server:
            first = connect(server.address, ring())
            with self.assertRaises(errors.HandshakeTimeout):
                connect(server.address, ring(), timeout=0.2)
            threading.Timer(0.1, first.close).start()
            connect(server.address, ring(), timeout=PATIENCE).close()

    @staticmethod
    def can_connect(server):
        try:
            connect(server.address, ring()).close()
        except errors.Truncated:
            return False
        return True

    def test_a_server_out_of_descriptors_waits_and_goes_on(self):
        with served() as server:
            failing = OSError(errno.EMFILE, "too many open files")
            with mock.patch.object(server, "socket", wraps=server.socket) as sock:
                sock.accept.side_effect = [failing, server.socket.accept]
                with self.assertRaises(OSError), mock.patch("time.sleep") as sleep:
                    server.get_request()
                sleep.assert_called_once()
            connect(server.address, ring()).close()

    def test_a_thread_that_cannot_start_gives_its_place_back(self):
        with served(max_connections=1) as server:
            with mock.patch("threading.Thread.start", side_effect=RuntimeError), self.assertLogs(
                "countersign", logging.ERROR
            ):
                with self.assertRaises(errors.Truncated):
                    connect(server.address, ring())
            until(lambda: self.can_connect(server))

    def test_nobody_listens(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            with self.assertRaises(ConnectionRefusedError):
                connect(sock.getsockname(), ring())

    def test_an_address_that_does_not_answer_times_out(self):
        with mock.patch("socket.create_connection", side_effect=socket.timeout):
            with self.assertRaisesRegex(errors.TimedOut, "nothing answers"):
                connect("192.0.2.1", ring(), timeout=0.1)


class Addresses(unittest.TestCase):
    def test_they_are_written_as_for_the_program(self):
        for text, address in (
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("example.org", ("example.org", 9527)),
            ("80", ("127.0.0.1", 80)),
            # A host that was left blank is not all of the machine's addresses.
            (":80", ("127.0.0.1", 80)),
            ("::1", ("::1", 9527)),
            ("[::1]", ("::1", 9527)),
            ("[::1]:80", ("::1", 80)),
            ("unix:/run/socket", "/run/socket"),
        ):
            self.assertEqual(parse_address(text), address)
        self.assertEqual(parse_address(("host", 80)), ("host", 80))
        for text in ("host:port", "host:65536", "[::1", "[::1]80", "[]:80", "unix:", "", "99999"):
            with self.assertRaises(errors.ConfigError):
                parse_address(text)
        self.assertEqual(format_address(("::1", 80, 0, 0)), "[::1]:80")
        self.assertEqual(format_address(b"/run/socket"), "unix:/run/socket")


if __name__ == "__main__":
    unittest.main()
