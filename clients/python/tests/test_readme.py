"""The examples of the README, as they stand there."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from pair import HERE, SOURCE

PATIENCE = 600


def examples():
    """The blocks of Python."""
    with open(os.path.join(HERE, "..", "README.md"), encoding="utf-8") as file:
        return re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Readme(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.environment = dict(os.environ, PYTHONPATH=SOURCE, PYTHONIOENCODING="utf-8")
        self.run_python("-m", "countersign", "keygen", "--keys", "keys")

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-B", *arguments], env=self.environment, cwd=self.directory,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8",
        )  # fmt: skip

    def run_python(self, *arguments, stdin=""):
        with self.start(*arguments) as process:
            out, err = process.communicate(stdin, timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        return out

    def test_the_first_two_are_a_server_and_its_client(self):
        server, client = examples()[:2]
        for text in (server, client):
            self.assertLessEqual(len(text.splitlines()), 12)
        address = f"127.0.0.1:{free_port()}"
        server, client = (text.replace("localhost:9527", address) for text in (server, client))
        with self.start("-c", server) as process:
            try:
                self.wait_for(address)
                out = self.run_python("-c", client, stdin="time\n\n百变星君\nquit\n")
            finally:
                process.kill()
        pattern = r">>> \[.{24}\] time\n>>> >>> \[.{24}\] 百变星君\n>>> "
        self.assertRegex(out, f"^{pattern}$")

    def wait_for(self, address):
        host, port = address.split(":")
        for _ in range(PATIENCE * 20):
            try:
                socket.create_connection((host, int(port))).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.fail("the server does not listen")

    def test_the_third_is_on_asyncio(self):
        text = examples()[2].replace("localhost:9528", f"127.0.0.1:{free_port()}")
        self.assertEqual(self.run_python("-c", text), "b'hello'\n")


if __name__ == "__main__":
    unittest.main()
