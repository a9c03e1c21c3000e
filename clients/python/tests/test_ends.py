"""How connections end: in order, by a reset, within a message, or because a call takes too long."""

import asyncio
import contextlib
import logging
import socket
import struct
import threading
import unittest

from pair import ring
from test_threads import PATIENCE, served, until

from countersign import StreamRequestHandler, connect, errors, open_connection, start_server

OPEN = dict(dialect="open", keys=None)
# What comes, what is received of it when the stream ends, and when the connection is reset.
PLAIN = (
    ("lines", b"", [], [errors.Truncated]),
    ("lines", b"one\ntw", [b"one", b"tw"], [b"one", errors.Truncated]),
    ("lines", b"one\n", [b"one"], [b"one", errors.Truncated]),
    ("chunks", b"one", [b"one"], [b"one", errors.Truncated]),
    ("length", b"\0\0\0\3one", [b"one"], [b"one", errors.Truncated]),
    ("length", b"\0\0\0\3one\0\0", [b"one", errors.Truncated], [b"one", errors.Truncated]),
    ("length", b"\0\0\0\3one\0\0\0\3tw", [b"one", errors.Truncated], [b"one", errors.Truncated]),
    ("length", b"\xff\xff\xff\xff\0\0", [errors.Truncated], [errors.Truncated]),
)
TOO_MUCH = b"x" * 60000


@contextlib.contextmanager
def peer():
    """A listener, for a peer that speaks no protocol."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield listener


def accepted(listener):
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    return sock


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def refuse(listener):
    """Sends a challenge, and then does not read the proof."""
    with accepted(listener) as sock:
        sock.sendall(bytes(32))
        sock.recv(1, socket.MSG_PEEK)


def read_all(sock):
    """How many bytes come until the stream ends."""
    count = 0
    while True:
        data = sock.recv(1 << 20)
        if not data:
            return count
        count += len(data)


@contextlib.contextmanager
def dripping(data=b"x"):
    """The address of a peer that sends the same again and again."""
    stop = threading.Event()

    def drip(listener):
        with accepted(listener) as sock, contextlib.suppress(OSError):
            while not stop.wait(0.01):
                sock.sendall(data)

    with peer() as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            stop.set()
            thread.join()


class Threads(unittest.TestCase):
    """Connections with blocking calls."""

    def received(self, client):
        """The messages that come, and what ends them."""
        messages = []
        try:
            for message in client:
                messages.append(message)
        except errors.Error as error:
            messages.append(type(error))
        return messages

    def test_only_the_end_of_a_stream_can_end_a_message(self):
        for framing, data, ended, was_reset in PLAIN:
            for end, expected in ((socket.socket.close, ended), (reset, was_reset)):
                with self.subTest(framing=framing, data=data, end=end), peer() as listener:
                    client = connect(listener.getsockname(), framing=framing, **OPEN)
                    sock = accepted(listener)
                    sock.sendall(data)
                    end(sock)
                    self.assertEqual(self.received(client), expected)
                    client.close()

    def test_a_server_that_resets_at_once_has_refused_a_proof(self):
        with peer() as listener:
            thread = threading.Thread(target=refuse, args=(listener,))
            thread.start()
            client = connect(listener.getsockname(), ring(), dialect="raw", key="gate")
            thread.join()
            with self.assertRaises(errors.Refused):
                client.receive()

    def test_a_part_of_a_message_is_never_the_end(self):
        for leave in ("abort", "close"):
            with self.subTest(leave), peer() as listener:
                client = connect(listener.getsockname(), **OPEN)
                sock = accepted(listener)
                client.settimeout(0.05)
                with self.assertRaises(errors.WriteTimeout):
                    while True:
                        client.send(TOO_MUCH)
                getattr(client, leave)()
                with sock, self.assertRaises(ConnectionResetError):
                    read_all(sock)

    def test_a_connection_is_aborted_so_that_the_peer_sees_it(self):
        with peer() as listener:
            address = listener.getsockname()
            with contextlib.suppress(RuntimeError), connect(address, **OPEN) as client:
                sock = accepted(listener)
                client.send(b"the first of two")
                self.assertEqual(sock.recv(100), b"the first of two\n")
                raise RuntimeError("there is no second")
            with sock, self.assertRaises(ConnectionResetError):
                sock.recv(100)

    def test_a_handler_that_fails_does_not_end_the_stream(self):
        with served(**OPEN) as server:
            with self.assertLogs("countersign", logging.ERROR) as logs:
                with connect(server.address, **OPEN) as client:
                    client.send(b"fail")
                    with self.assertRaises(errors.Truncated):
                        client.receive()
                until(lambda: logs.output)

    def test_replies_before_a_message_that_is_too_long_arrive(self):
        with served(message_max=8, **OPEN) as server:
            with self.assertLogs("countersign", logging.INFO) as logs:
                with connect(server.address, **OPEN) as client:
                    client.send(b"one")
                    client.send(b"much too long")
                    self.assertEqual(self.received(client), [b"ONE"])
                until(lambda: logs.output)

    def test_a_call_has_one_deadline_however_slowly_a_message_comes(self):
        with dripping() as address, connect(address, **OPEN) as client:
            client.settimeout(0.2)
            with self.assertRaises(errors.IdleTimeout):
                client.receive()
            # What has come is still there, and nothing but the client ends the wait.
            self.assertGreater(client._session.buffered, 1)

    def test_a_ping_has_one_deadline_whatever_else_comes(self):
        class Chatter(StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(errors.Error):
                    while not stop.wait(0.01):
                        self.connection.send(b"no pong")

        stop = threading.Event()
        self.addCleanup(stop.set)
        with served(Chatter) as server, connect(server.address, ring()) as client:
            client.settimeout(0.2)
            # The server does not read, so it answers none.
            with self.assertRaises(errors.IdleTimeout):
                client.ping()
            stop.set()
            self.assertEqual(client.receive(), b"no pong")


class Asyncio(unittest.IsolatedAsyncioTestCase):
    """The same on asyncio."""

    async def received(self, client):
        messages = []
        try:
            async for message in client:
                messages.append(message)
        except errors.Error as error:
            messages.append(type(error))
        return messages

    async def accepted(self, listener):
        return await asyncio.get_running_loop().run_in_executor(None, accepted, listener)

    async def test_only_the_end_of_a_stream_can_end_a_message(self):
        for framing, data, ended, was_reset in PLAIN:
            for end, expected in ((socket.socket.close, ended), (reset, was_reset)):
                with self.subTest(framing=framing, data=data, end=end), peer() as listener:
                    client = await open_connection(listener.getsockname(), framing=framing, **OPEN)
                    sock = await self.accepted(listener)
                    sock.sendall(data)
                    end(sock)
                    self.assertEqual(await self.received(client), expected)
                    await client.close()

    async def test_a_part_of_a_message_is_never_the_end(self):
        for leave in ("abort", "close"):
            with self.subTest(leave), peer() as listener:
                client = await open_connection(listener.getsockname(), **OPEN)
                sock = await self.accepted(listener)
                client.settimeout(0.05)
                with self.assertRaises(errors.WriteTimeout):
                    while True:
                        await client.send(TOO_MUCH)
                left = getattr(client, leave)()
                if left is not None:
                    await left
                await asyncio.sleep(0)
                with sock, self.assertRaises(ConnectionResetError):
                    read_all(sock)

    async def test_a_connection_that_another_task_aborts_has_no_last_message(self):
        with peer() as listener:
            client = await open_connection(listener.getsockname(), **OPEN)
            sock = await self.accepted(listener)
            sock.sendall(b"half a li")
            reading = asyncio.ensure_future(client.receive())
            while not client._session.buffered:
                await asyncio.sleep(0.001)
            client.abort()
            with self.assertRaises(errors.Truncated):
                await reading
            with sock, self.assertRaises(ConnectionResetError):
                sock.recv(100)

    async def test_a_handler_that_fails_does_not_end_the_stream(self):
        async def fail(connection):
            raise ValueError("the service has failed")

        server = await start_server(fail, "127.0.0.1:0", **OPEN)
        with self.assertLogs("countersign", logging.ERROR):
            client = await open_connection(server.sockets[0].getsockname(), **OPEN)
            with self.assertRaises(errors.Truncated):
                await client.receive()
        server.close()

    async def test_a_call_has_one_deadline_however_slowly_a_message_comes(self):
        with dripping() as address:
            client = await open_connection(address, **OPEN)
            client.settimeout(0.2)
            with self.assertRaises(errors.IdleTimeout):
                await client.receive()
            self.assertGreater(client._session.buffered, 1)
            client.abort()
            await asyncio.sleep(0)


if __name__ == "__main__":
    unittest.main()
