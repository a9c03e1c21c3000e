"""`python -m countersign`, in this process."""

import contextlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import usage
from pair import HERE, SOURCE
from test_threads import Shout, served

from countersign import KeyRing, arguments, cli

EXAMPLES = os.path.join(HERE, "..", "examples")


class Mute(Shout):
    """Closes each connection without a reply."""

    def handle(self):
        self.connection.receive()


class Cli(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.keys = os.path.join(directory.name, "keys")
        self.run_verb("keygen", "default")

    def run_verb(self, *arguments, stdin=b""):
        """The exit code, the output and the errors."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
        given = mock.Mock(buffer=io.BytesIO(stdin))
        with mock.patch("sys.stdin", given), contextlib.redirect_stderr(err):
            with contextlib.redirect_stdout(out):
                try:
                    keys = () if "--keys" in arguments else ("--keys", self.keys)
                    code = cli.main([*arguments, *keys])
                except SystemExit as error:
                    code = error.code
        out.flush()
        return code, out.buffer.getvalue().decode(), err.getvalue()

    def serve(self, **options):
        return served(keys=self.keys, **options)

    def test_lines_are_messages(self):
        with self.serve() as server:
            got = self.run_verb("connect", server.address, stdin=b"one\ntwo\r\n")
            self.assertEqual(got, (0, "ONE\nTWO\n", ""))
            got = self.run_verb("connect", server.address, "--no-reply", stdin=b"one\ntwo")
            self.assertEqual(got, (0, "ONE\nTWO\n", ""))

    def test_a_server_that_closes_is_named(self):
        with served(Mute, keys=self.keys) as server:
            code, out, err = self.run_verb("connect", server.address, stdin=b"one\n")
        self.assertEqual((code, out), (69, ""))
        self.assertIn(f"{server.address}: the server closed the connection", err)
        with served(Mute, keys=self.keys) as server:
            code, _, _ = self.run_verb("ping", server.address, "--message", "hello")
        self.assertEqual(code, 69)

    def test_a_ping_shows_what_it_took(self):
        with self.serve() as server:
            code, out, _ = self.run_verb("ping", server.address, "-c", "2", "-i", "1ms")
            line = r"127\.0\.0\.1:\d+: countersign/1, key default: \d+\.\d\d ms\n"
            self.assertEqual(code, 0)
            self.assertRegex(out, f"^({line}){{2}}$")
            got = self.run_verb("ping", server.address, "-q", "--message", "hello")
            self.assertEqual(got, (0, "", ""))

    def test_exit_codes_are_those_of_the_program(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            nobody = "{}:{}".format(*sock.getsockname())
            code, _, err = self.run_verb("ping", nobody)
            self.assertEqual(code, 69)
            self.assertIn(f"cannot connect to {nobody}: connection refused; is the", err)
            code, _, err = self.run_verb("serve", "--bind", nobody)
            self.assertEqual(code, 69)
            self.assertIn(f"cannot bind {nobody}: address already in use", err)
        with self.serve() as server:
            for code, arguments in (
                (77, ["--records", "off"]),
                (77, ["--records", "sealed"]),
                (78, ["--key", "stranger"]),
            ):
                self.assertEqual(self.run_verb("ping", server.address, *arguments)[0], code)
        with served(keys=KeyRing.parse("default text:sixteen-other-bytes")) as server:
            self.assertEqual(self.run_verb("ping", server.address)[0], 77)
        with open(self.keys, "a") as file:
            file.write("default hex:00\n")
        code, _, err = self.run_verb("ping", "80")
        self.assertEqual(code, 65)
        self.assertRegex(err, r"keys: line 3: the secret is empty")
        os.remove(self.keys)
        self.assertEqual(self.run_verb("ping", "80")[0], 66)

    def test_wrong_usage_is_told_apart_in_every_verb(self):
        for code, said, line in usage.ERRORS:
            with self.subTest(line):
                got, out, err = self.run_verb(*usage.words(line, os.path.dirname(self.keys)))
                self.assertEqual((got, out), (code, ""), err)
                self.assertIn(said, " ".join(err.split()))

    def test_values_are_read_as_by_the_program(self):
        for text, seconds in (("500ms", 0.5), ("1h 30m", 5400), ("1d", 86400), ("1.5s", 1.5)):
            self.assertEqual(arguments.duration("1ms")(text), seconds)
        self.assertEqual(arguments.duration("1ms", or_never=True)("0s"), 0)
        self.assertEqual(arguments.duration("0s")("0"), 0)
        for text, size in (("500", 500), ("64k", 65536), ("64K", 65536), ("1m", 1 << 20)):
            self.assertEqual(arguments.size(text), size)
        self.assertEqual(arguments.count("1", "1g")("10k"), 10000)

    def test_pings_go_on_after_one_that_failed_and_can_be_quiet(self):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            nobody = "{}:{}".format(*sock.getsockname())
            code, out, err = self.run_verb("ping", nobody, "-c", "3", "-i", "0s")
            self.assertEqual((code, out, err.count("connection refused")), (69, "", 3))
            self.assertEqual(self.run_verb("ping", nobody, "-q"), (69, "", ""))
        with open(self.keys, "a") as file:
            file.write("gate text:open-sesame dialects=raw\n")
        for options in (dict(dialect="open"), dict(dialect="raw")):
            with self.serve(**options) as server:
                arguments = "ping", server.address, "--dialect", options["dialect"]
                self.assertEqual(self.run_verb(*arguments)[0], 0)
        with served(Mute, keys=self.keys, dialect="open") as server:
            code, _, err = self.run_verb("ping", server.address, "--dialect", "open")
            self.assertEqual(code, 69)
            self.assertIn("the server closed the connection", err)

    def test_a_key_is_added_with_its_options(self):
        code, out, err = self.run_verb("keygen", "gate", "--dialects", "raw,hex")
        self.assertEqual(code, 0)
        self.assertRegex(out, "^gate [0-9a-f]{16}\n$")
        self.assertEqual(err, f"added to {self.keys}\n")
        self.assertEqual(self.run_verb("keygen", "gate")[0], 65)
        ring = KeyRing.from_file(self.keys)
        self.assertEqual(ring.keys[1].dialects, ("raw", "hex"))
        self.assertNotIn(ring.keys[1]._secret.hex(), out + err)

    def test_the_services_answer(self):
        class Connection(list):
            pending = 0
            sent = ()

            def send(self, *messages):
                self.sent += messages

        for name, pattern in (
            ("timestamp", rb"\[\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}\] hello"),
            ("echo", b"hello"),
            ("discard", None),
        ):
            handler = cli.SERVICES[name].__new__(cli.SERVICES[name])
            handler.connection = Connection([b"hello"])
            handler.handle()
            sent = b"".join(handler.connection.sent)
            self.assertTrue(re.fullmatch(pattern or b"", sent), sent)
        with self.assertRaises(NotImplementedError):
            cli.Handler.reply(handler, b"")

    def test_a_server_stops_when_it_is_told_to(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                self.stops(number)

    def stops(self, number):
        stopped = []

        def wait(server):
            signal.raise_signal(number)
            stopped.append(server)

        with mock.patch("countersign.server.Server.serve_forever", wait), mock.patch(
            "countersign.server.Server.shutdown"
        ) as shutdown:
            code, out, _ = self.run_verb("serve", "--bind", "127.0.0.1:0")
        self.assertEqual((code, len(stopped), shutdown.call_count), (0, 1, 1))
        self.assertRegex(out, r"^listening on 127\.0\.0\.1:\d+\n$")

    def test_an_interrupt_and_a_closed_pipe_are_quiet(self):
        for error, expected in ((KeyboardInterrupt, 130), (BrokenPipeError, 74)):
            with mock.patch("countersign.cli.dial", side_effect=error):
                code, _, err = self.run_verb("ping")
            self.assertEqual((code, err), (expected, ""))


class Processes(unittest.TestCase):
    """The module and the examples as they are run."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.keys, self.wrong = (os.path.join(directory.name, name) for name in ("keys", "wrong"))
        for path in (self.keys, self.wrong):
            done = self.run_python("-m", "countersign", "keygen", "--keys", path)
            self.assertEqual(done.returncode, 0, done.stderr)

    def start(self, *arguments, **options):
        environment = dict(os.environ, PYTHONPATH=SOURCE, PYTHONUNBUFFERED="1")
        # On Python 3.8, cryptography says that it will leave it.
        environment["PYTHONWARNINGS"] = "ignore"
        return subprocess.Popen(
            [sys.executable, "-B", *arguments], env=environment, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
        )  # fmt: skip

    def run_python(self, *arguments, stdin=""):
        with self.start(*arguments) as process:
            out, err = process.communicate(stdin, timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @contextlib.contextmanager
    def server(self, *arguments):
        with self.start(*arguments) as process:
            watch = threading.Timer(600, process.kill)
            watch.start()
            try:
                line = process.stdout.readline()
                self.assertTrue(line.startswith("listening on "), line)
                yield line.split()[-1]
                process.terminate()
                _, log = process.communicate()
                self.assertEqual(process.returncode, 0, log)
            finally:
                process.kill()
                watch.cancel()

    def test_the_examples_are_clients_and_servers(self):
        for server in ("server.py", "aio_server.py"):
            path = os.path.join(EXAMPLES, server)
            with self.server(path, "127.0.0.1:0", self.keys) as address:
                for client in ("client.py", "aio_client.py"):
                    with self.subTest(server=server, client=client):
                        path = os.path.join(EXAMPLES, client)
                        done = self.run_python(path, address, self.keys, stdin="one\ntwo\n")
                        self.assertEqual((done.returncode, done.stdout), (0, "one\ntwo\n"))
                        done = self.run_python(path, address, self.wrong, stdin="one\n")
                        self.assertEqual((done.returncode, done.stdout), (1, ""))
                        self.assertRegex(done.stderr, "^client: the server did not prove.*\n$")

    def test_a_client_tells_a_server_that_is_killed_from_one_that_ends(self):
        path = os.path.join(EXAMPLES, "server.py")
        for client in ("client.py", "aio_client.py"):
            with self.start(path, "127.0.0.1:0", self.keys) as server:
                address = server.stdout.readline().split()[-1]
                with self.start(os.path.join(EXAMPLES, client), address, self.keys) as process:
                    process.stdin.write("one\n")
                    process.stdin.flush()
                    self.assertEqual(process.stdout.readline(), "one\n")
                    server.kill()
                    server.wait()
                    _, err = process.communicate("", timeout=600)
                self.assertEqual(process.returncode, 1)
                self.assertIn("truncated", err)

    def test_the_module_serves_and_connects(self):
        verb = ("-m", "countersign")
        with self.server(*verb, "serve", "--bind", "127.0.0.1:0", "--keys", self.keys) as address:
            done = self.run_python(*verb, "connect", address, "--keys", self.keys, stdin="one\n")
            self.assertRegex(done.stdout, r"^\[.*\] one\n$")


if __name__ == "__main__":
    unittest.main()
