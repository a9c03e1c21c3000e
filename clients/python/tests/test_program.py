"""The package and the program `countersign`, which COUNTERSIGN_PROGRAM names, at either end."""

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import unittest

import usage
from pair import KEYS, WRONG, ring
from test_threads import Shout, served

from countersign import KeyRing, connect, errors, open_connection
from countersign.cli import Echo

PROGRAM = os.environ.get("COUNTERSIGN_PROGRAM")
PATIENCE = 600
CLIENTS, MESSAGES = 1000, 5
TAGGED, PLAIN, SEALED = {}, dict(records="off"), dict(records="sealed")
EVERY = [
    TAGGED,
    PLAIN,
    dict(records="off", framing="length"),
    SEALED,
    dict(records="allowed"),
    dict(dialect="raw"),
    dict(dialect="raw", mac="md5", framing="chunks"),
    dict(dialect="hex", framing="length"),
    dict(dialect="open"),
]


def setUpModule():
    if not PROGRAM:
        raise unittest.SkipTest("COUNTERSIGN_PROGRAM names no program")


def arguments(options):
    return [word for name, value in options.items() for word in ("--" + name, value)]


class Program(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.keys = os.path.join(directory.name, "keys")
        self.write(KEYS)
        kept = {name: value for name, value in os.environ.items() if "COUNTERSIGN" not in name}
        self.environment = dict(kept, COUNTERSIGN_KEYS=self.keys)

    def write(self, text):
        with open(os.open(self.keys, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)

    def run_program(self, *command, stdin=""):
        return subprocess.run(
            [PROGRAM, *command], env=self.environment, input=stdin, encoding="utf-8",
            capture_output=True, timeout=PATIENCE,
        )  # fmt: skip

    @contextlib.contextmanager
    def serve(self, *options):
        """The address of the program's server."""
        command = [PROGRAM, "serve", "--bind", "127.0.0.1:0", "--service", "echo", *options]
        with tempfile.TemporaryFile("w+") as log, subprocess.Popen(
            command, env=self.environment, encoding="utf-8", stdout=subprocess.PIPE, stderr=log
        ) as process:
            try:
                line = process.stdout.readline()
                if not line:
                    log.seek(0)
                    self.fail(log.read())
                yield line.split()[-1]
            finally:
                process.kill()

    def test_our_clients_and_its_server(self):
        for options in EVERY:
            with self.subTest(**options), self.serve(*arguments(options)) as address:
                with connect(address, ring(), **options) as client:
                    for message in (b"one", b"x" * 900, "百变星君".encode()):
                        client.send(message)
                        self.assertEqual(client.receive(), message)
                    if options.get("dialect") is None and options.get("records") != "off":
                        self.assertGreater(client.ping(), 0)
                        client.send(*[b"%d" % n for n in range(100)])
                        got = [client.receive() for _ in range(100)]
                        self.assertEqual(got, [b"%d" % n for n in range(100)])
                    client.finish()
                    self.assertIsNone(client.receive())
                asyncio.run(self.converse(address, options))

    async def converse(self, address, options):
        async with await open_connection(address, ring(), **options) as client:
            await client.send(b"hello")
            self.assertEqual(await client.receive(), b"hello")
            await client.finish()
            self.assertIsNone(await client.receive())

    def test_our_clients_of_either_dialect_share_a_port_of_the_program(self):
        with self.serve("--dialect", "countersign/1+raw") as address:
            for options in (TAGGED, SEALED, dict(dialect="raw")):
                with self.subTest(**options):
                    if options is SEALED:
                        # It protects records, but is not told to seal them.
                        with self.assertRaises(errors.ProtectionMismatch):
                            connect(address, ring(), **options)
                        continue
                    with connect(address, ring(), **options) as client:
                        client.send(b"hello")
                        self.assertEqual(client.receive(), b"hello")
                    asyncio.run(self.converse(address, options))

    def test_our_server_and_its_client(self):
        for options in EVERY:
            with self.subTest(**options), served(Shout, **options) as server:
                done = self.run_program(
                    "connect", server.address, *arguments(options), stdin="one\ntwo\n"
                )
                self.assertEqual((done.returncode, done.stdout), (0, "ONE\nTWO\n"), done.stderr)

    def test_its_load_on_our_server_loses_nothing(self):
        for options in (TAGGED, SEALED):
            with served(Echo, **options) as server:
                done = self.run_program(
                    "load", server.address, *arguments(options), "-n", "5k", "-c", "20", "-P", "16",
                    "--fail-if", "errors>0",
                )  # fmt: skip
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_wrong_keys_are_refused_at_both_ends(self):
        with self.serve() as address:
            with self.assertRaises(errors.Unproven):
                connect(address, ring(WRONG))
            with self.assertRaises(errors.Rejected):
                connect(address, ring(), records="off")
        with served(Shout, keys=ring(WRONG)) as server:
            done = self.run_program("connect", server.address, stdin="one\n")
            self.assertEqual((done.returncode, done.stdout), (77, ""))

    def test_key_files_mean_the_same_to_both(self):
        self.write(
            KEYS + "shed base64:AAECAwQFBgcICQoLDA0ODw==\n"
            "field passphrase:correct-horse not-after=2099-12-31\n"
        )
        done = self.run_program("keys", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        ours = {key.id.decode(): key.fingerprint() for key in KeyRing.from_file(self.keys)}
        for name, fingerprint in ours.items():
            self.assertRegex(done.stdout, rf"(?m)^{name} .*{fingerprint}")

    def test_wrong_usage_has_the_same_codes_and_remedies(self):
        self.write("default text:sixteen-bytes-or-more\n")
        for code, said, line in usage.ERRORS:
            with self.subTest(line):
                done = self.run_program(*usage.words(line, os.path.dirname(self.keys)))
                self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
                self.assertIn(said, " ".join(done.stderr.split()))

    def test_a_thousand_clients_at_once_lose_nothing(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * CLIENTS:
            self.skipTest(f"only {hard} descriptors can be had")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CLIENTS), hard))
        for options in (TAGGED, SEALED):
            limits = ["--handshake-timeout", "10m"]
            with self.serve(*arguments(options), *limits) as address:
                self.assertEqual(asyncio.run(self.crowd(address, options)), CLIENTS * MESSAGES)

    async def crowd(self, address, options):
        """How many replies are right, of clients that are all connected at the same time."""
        keys, everybody = ring(), asyncio.Event()
        connected = 0

        async def client(number):
            nonlocal connected
            count = 0
            async with await open_connection(address, keys, timeout=PATIENCE, **options) as peer:
                connected += 1
                if connected == CLIENTS:
                    everybody.set()
                await everybody.wait()
                for n in range(MESSAGES):
                    message = b"%d of client %d" % (n, number)
                    await peer.send(message)
                    count += await peer.receive() == message
            return count

        return sum(await asyncio.gather(*(client(number) for number in range(CLIENTS))))


if __name__ == "__main__":
    if not PROGRAM:
        sys.exit("SKIP: COUNTERSIGN_PROGRAM names no program")
    unittest.main()
