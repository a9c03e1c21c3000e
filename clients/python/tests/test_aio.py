"""Connections and servers on asyncio, over real sockets."""

import asyncio
import contextlib
import logging
import os
import socket
import tempfile
import unittest

from pair import WRONG, ring
from test_session import EVERY

from countersign import connect, errors, open_connection, start_server

PATIENCE = 30


async def shout(connection):
    async for message in connection:
        if message == b"fail":
            raise ValueError("the service has failed")
        if message == b"os":
            raise OSError("the disk is full")
        if message == b"whoami":
            message = f"{connection.key_id} {connection.audience}".encode()
        await connection.send(message.upper())


@contextlib.asynccontextmanager
async def served(handler=shout, address="127.0.0.1:0", keys=None, **options):
    """The address of a server that runs as long as the block does."""
    server = await start_server(handler, address, keys or ring(), **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


async def until(condition):
    """Waits for what another task does."""
    for _ in range(PATIENCE * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


class Conversations(unittest.IsolatedAsyncioTestCase):
    async def test_every_dialect_works(self):
        for options in EVERY:
            with self.subTest(**options):
                async with served(**options) as address:
                    async with await open_connection(address, ring(), **options) as client:
                        for message in (b"hello", "百变星君".encode(), b"x" * 900):
                            await client.send(message)
                            self.assertEqual(await client.receive(), message.upper())
                        await client.finish()
                        self.assertEqual([each async for each in client], [])

    async def test_it_works_with_the_blocking_calls(self):
        def converse(address):
            with connect(address, ring()) as client:
                client.send(b"one", b"two")
                return client.receive(), client.receive(), client.ping() > 0

        async with served() as address:
            loop = asyncio.get_running_loop()
            got = await loop.run_in_executor(None, converse, address)
        self.assertEqual(got, (b"ONE", b"TWO", True))

    async def test_who_is_there_is_known(self):
        options = dict(audience="pump", key="pump")
        async with served(audiences=["pump"]) as address:
            async with await open_connection(address, ring(), **options) as client:
                await client.send(b"whoami")
                self.assertEqual(await client.receive(), b"PUMP PUMP")
                self.assertEqual(client.get_extra_info("peername"), address)

    async def test_pings_and_messages_do_not_get_in_each_others_way(self):
        async with served() as address:
            async with await open_connection(address, ring()) as client:
                await client.send(b"one", b"two")
                self.assertGreater(await client.ping(b"still there?"), 0)
                self.assertEqual(client.pending, 2)
                self.assertEqual(await client.receive(), b"ONE")
                self.assertEqual(await client.receive(), b"TWO")

    async def test_large_messages_pass_while_both_ends_are_slow(self):
        big = bytes(range(256)) * 4000
        async with served(message_max=2_000_000) as address:
            options = dict(message_max=2_000_000)
            async with await open_connection(address, ring(), **options) as client:

                async def send():
                    for _ in range(10):
                        await client.send(big)

                task = asyncio.ensure_future(send())
                for _ in range(10):
                    self.assertEqual(await client.receive(), big.upper())
                await task

    async def test_a_unix_socket_is_for_its_owner_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "socket")
            async with served(address="unix:" + path):
                self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
                async with await open_connection("unix:" + path, ring()) as client:
                    await client.send(b"hello")
                    self.assertEqual(await client.receive(), b"HELLO")


class Failures(unittest.IsolatedAsyncioTestCase):
    async def test_a_wrong_key_is_refused_and_nothing_else(self):
        for options, error in (({}, errors.Unproven), (dict(dialect="raw"), errors.Refused)):
            async with served(**options) as address:
                with self.assertLogs("countersign", logging.INFO) as logs:
                    with self.assertRaises(error):
                        client = await open_connection(address, ring(WRONG), **options)
                        await client.receive()
                    await until(lambda logs=logs: logs.output)
                # In countersign/1 the client leaves before it proves anything.
                self.assertRegex(logs.output[0], "refused: wrong-proof|closed: truncated")
                async with await open_connection(address, ring(), **options) as client:
                    await client.send(b"hello")
                    self.assertEqual(await client.receive(), b"HELLO")

    async def test_other_options_are_refused(self):
        async with served() as address:
            with self.assertLogs("countersign", logging.INFO) as logs:
                with self.assertRaises(errors.Rejected):
                    await open_connection(address, ring(), records="off")
            self.assertIn("refused: protection", logs.output[0])

    async def test_a_peer_that_says_nothing_is_given_up(self):
        async with served(handshake_timeout=0.05) as address:
            with self.assertLogs("countersign", logging.INFO):
                reader, writer = await asyncio.open_connection(*address)
                self.assertEqual(await reader.read(), b"")
                writer.close()
                reader, writer = await asyncio.open_connection(*address)
                writer.write(b"\x9ecsgn/1\n")
                self.assertEqual((await reader.read())[32:], b"\5\0\0\1\5")
                writer.close()

    async def test_a_peer_that_floods_a_closing_connection_is_cut_off(self):
        async with served() as address:
            with self.assertLogs("countersign", logging.INFO):
                _, writer = await asyncio.open_connection(*address)
                with self.assertRaises(ConnectionError):
                    while True:
                        writer.write(bytes(1 << 16))
                        await writer.drain()
                writer.close()

    async def test_a_client_gives_up_in_time(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            with self.assertRaises(errors.HandshakeTimeout):
                await open_connection(listener.getsockname(), ring(), timeout=0.05)
            address = listener.getsockname()
        with self.assertRaises(ConnectionRefusedError):
            await open_connection(address, ring())

    async def test_calls_time_out(self):
        async def silent(connection):
            await asyncio.sleep(PATIENCE)

        async with served(silent) as address:
            client = await open_connection(address, ring())
            client.settimeout(0.05)
            with self.assertRaises(errors.TimedOut):
                await client.receive()
            with self.assertRaises(errors.TimedOut):
                while True:
                    await client.send(bytes(60000))
            with self.assertRaises(errors.Error):
                await client.send(b"more")
            await client.close()

    async def test_a_handler_that_fails_ends_its_own_connection(self):
        async with served() as address:
            other = await open_connection(address, ring())
            for message, log in ((b"fail", "service-failure"), (b"os", "io-error")):
                with self.assertLogs("countersign", logging.INFO) as logs:
                    client = await open_connection(address, ring())
                    await client.send(message)
                    with self.assertRaises(errors.Truncated):
                        await client.receive()
                self.assertIn("closed: " + log, logs.output[0])
            await other.send(b"still here")
            self.assertEqual(await other.receive(), b"STILL HERE")
            await other.close()

    async def test_a_client_that_vanishes_is_noticed(self):
        async with served() as address:
            with self.assertLogs("countersign", logging.INFO) as logs:
                with contextlib.suppress(RuntimeError):
                    async with await open_connection(address, ring()):
                        raise RuntimeError("an exception leaves the connection truncated")
                await until(lambda: logs.output)
            self.assertIn("closed: truncated", logs.output[0])

    async def test_a_server_that_closes_leaves_a_ping_unanswered(self):
        async def bye(connection):
            pass

        async with served(bye) as address:
            client = await open_connection(address, ring())
            self.assertIsNone(await client.receive())
            with self.assertRaises(errors.Error):
                await client.ping()
            await client.close()
            await client.close()

    async def test_changed_bytes_end_the_connection(self):
        async def damage(connection):
            connection._session.send(b"hello")
            data = connection._session.data_to_send()
            connection._link.transport.write(data[:-1] + b"?")
            await asyncio.sleep(PATIENCE)

        async with served(damage) as address:
            client = await open_connection(address, ring())
            with self.assertRaises(errors.BadRecord):
                await client.receive()
            client.abort()

    async def test_too_many_connections_are_turned_away(self):
        async with served(max_connections=1) as address:
            first = await open_connection(address, ring())
            with self.assertLogs("countersign", logging.WARNING) as logs:
                with self.assertRaises(errors.Truncated):
                    await open_connection(address, ring())
            self.assertIn("too-many-connections", logs.output[0])
            await first.close()


class Cancellation(unittest.IsolatedAsyncioTestCase):
    async def steps(self, make):
        """Cancels what `make` returns after 0, 1, 2 ... turns of the loop, until it is done."""
        for turns in range(1000):
            task = asyncio.ensure_future(make())
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.done():
                return task.result()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                # What was done in spite of it is returned.
                return await task
        raise AssertionError("it is never done")

    async def test_connecting_can_be_cancelled_at_every_step(self):
        counts = {"open": 0}

        async def count(connection):
            counts["open"] += 1
            try:
                await connection.receive()
            finally:
                counts["open"] -= 1

        async with served(count) as address:
            logging.disable()
            self.addCleanup(logging.disable, logging.NOTSET)
            client = await self.steps(lambda: open_connection(address, ring()))
            await until(lambda: counts["open"] == 1)
            await client.close()
            await until(lambda: counts["open"] == 0)

    async def test_no_message_is_lost_or_doubled_when_receiving_is_cancelled(self):
        many = [b"%d" % n for n in range(300)]

        async def send(connection):
            for message in many:
                await connection.send(message)
                await asyncio.sleep(0)

        async with served(send) as address:
            client = await open_connection(address, ring())
            got = []
            for turns in range(10**6):
                task = asyncio.ensure_future(client.receive())
                for _ in range(turns % 5):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    message = await task
                    if message is None:
                        break
                    got.append(message)
            self.assertEqual(got, many)
            await client.close()

    async def test_a_cancelled_send_is_whole(self):
        got = []

        async def collect(connection):
            async for message in connection:
                got.append(message)

        async with served(collect) as address:
            client = await open_connection(address, ring())
            many = [bytes([n]) * 60000 for n in range(100)]
            for message in many:
                task = asyncio.ensure_future(client.send(message))
                await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await client.close()
            await until(lambda: len(got) == len(many))
            self.assertEqual(got, many)

    async def test_closing_and_pinging_can_be_cancelled(self):
        async with served() as address:
            client = await open_connection(address, ring())
            for _ in range(3):
                task = asyncio.ensure_future(client.ping())
                await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            self.assertGreater(await client.ping(), 0)
            task = asyncio.ensure_future(client.close())
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def test_a_server_that_is_cancelled_stops_its_handlers(self):
        async def wait(connection):
            await connection.receive()

        server = await start_server(wait, "127.0.0.1:0", ring())
        address = server.sockets[0].getsockname()
        client = await open_connection(address, ring())
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with self.assertRaises(errors.Truncated):
            await client.receive()


class Crowds(unittest.TestCase):
    def test_a_thousand_clients_at_once_lose_nothing(self):
        async def client(address, number):
            async with await open_connection(address, ring_of_all, timeout=600) as connection:
                for n in range(3):
                    await connection.send(b"%d %d" % (number, n))
                    reply = await connection.receive()
                    assert reply == b"%d %d" % (number, n), reply
            return 3

        async def run():
            server = await start_server(shout, "127.0.0.1:0", ring(), handshake_timeout=600)
            address = server.sockets[0].getsockname()
            counts = await asyncio.gather(*(client(address, n) for n in range(CROWD)))
            server.close()
            return sum(counts)

        ring_of_all = ring()
        self.assertEqual(asyncio.run(run()), 3 * CROWD)


# Both ends are in this process, with a descriptor each.
CROWD = 400


if __name__ == "__main__":
    unittest.main()
