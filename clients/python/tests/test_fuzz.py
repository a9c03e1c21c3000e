"""No input raises anything but the package's own errors, whatever it is and however it is cut."""

import asyncio
import contextlib
import os
import unittest

from pair import Pair, messages
from test_session import EVERY

from countersign import Error, KeyRing, errors
from countersign.endpoint import parse_address

try:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
except ImportError as error:
    raise unittest.SkipTest("SKIP: there is no hypothesis here") from error

EXAMPLES = int(os.environ.get("COUNTERSIGN_EXAMPLES", "300"))
# How long it takes says something about the machine alone.
settings.register_profile(
    "ours",
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

OPTIONS = st.sampled_from(EVERY)
ROLES = st.sampled_from(["client", "server"])
PIECES = st.lists(st.binary(max_size=200), max_size=8)
# What a line of a key file is made of, so that most of it is understood.
WORDS = st.one_of(
    st.sampled_from(
        ["id", "hex:", "00ff", "base64:", "AAEC", "text:", "passphrase:", "dialects=", "raw",
         ",", "audience=", "not-before=", "not-after=", "2027-01-31", "T12:00:00Z", " ", "\n",
         "\t", "=", "#", "\ufeff", "countersign/1", "\x85", "9999-12-31", "0000-02-29"]
    ),
    st.text(max_size=5),
)  # fmt: skip


def drive(session, pieces):
    """Has a session take pieces, answer what it can, and end."""
    try:
        for piece in [*pieces, b""]:
            session.receive_data(piece)
            for message in messages(session):
                session.send(message)
            session.data_to_send()
        session.close()
    except Error:
        session.data_to_send()


class Fuzz(unittest.TestCase):
    @given(OPTIONS, ROLES, PIECES)
    def test_any_bytes(self, options, role, pieces):
        drive(getattr(Pair(**options), role), pieces)

    @given(OPTIONS, ROLES, PIECES)
    def test_any_bytes_after_the_handshake(self, options, role, pieces):
        drive(getattr(Pair(**options).run(), role), pieces)

    @given(st.data(), OPTIONS)
    def test_any_change_of_a_conversation(self, data, options):
        """Bytes that are changed, dropped, repeated or cut at any place."""
        pair = Pair(**options)
        for turn in range(4):
            for one, other in ((pair.client, pair.server), (pair.server, pair.client)):
                if turn == 2 and one.is_established:
                    one.send(b"hello", b"", b"x" * 300)
                sent = bytearray(one.data_to_send())
                place = data.draw(st.integers(0, max(0, len(sent) - 1)))
                kind = data.draw(st.sampled_from(["keep", "keep", "flip", "drop", "repeat"]))
                if sent and kind == "flip":
                    sent[place] ^= 1 << data.draw(st.integers(0, 7))
                elif kind == "drop":
                    del sent[place : place + data.draw(st.integers(1, 40))]
                elif kind == "repeat":
                    sent[place:place] = sent[place : place + 40]
                try:
                    other.receive_data(bytes(sent[:place]) or b"")
                    other.receive_data(bytes(sent[place:]))
                    messages(other)
                except Error:
                    return

    @given(st.lists(st.binary(max_size=3000), max_size=30), st.sampled_from(EVERY[:3]), st.data())
    def test_any_messages_arrive_in_order_at_any_cut(self, sent, options, data):
        pair = Pair(**options).run()
        if sent:
            pair.client.send(*sent)
        stream = pair.client.data_to_send()
        got, start = [], 0
        while start < len(stream):
            end = start + data.draw(st.integers(1, len(stream)))
            pair.server.receive_data(stream[start:end])
            got += messages(pair.server)
            start = end
        self.assertEqual(got, sent)

    @given(st.lists(WORDS, max_size=30))
    def test_any_key_file(self, words):
        # A passphrase takes a good part of a second.
        text = "".join(words).replace("passphrase:", "passphrase ")
        for content in (text.encode("utf-8", "surrogatepass"), text.encode("utf-16")):
            try:
                KeyRing.parse(content)
            except errors.KeyFileError as error:
                self.assertTrue(str(error).startswith("line "))

    @given(st.text(max_size=20))
    def test_any_address(self, text):
        with contextlib.suppress(errors.ConfigError):
            parse_address(text)

    @settings(max_examples=max(1, EXAMPLES // 10))
    @given(st.sampled_from(EVERY), st.lists(st.binary(min_size=1, max_size=200), max_size=4))
    def test_any_bytes_to_a_server_on_asyncio(self, options, pieces):
        asyncio.run(asyncio.wait_for(self.feed(options, pieces), 600))

    async def feed(self, options, pieces):
        from pair import ring

        from countersign import start_server

        async def handler(connection):
            async for message in connection:
                await connection.send(message)

        faults = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: faults.append(context))
        server = await start_server(handler, "127.0.0.1:0", ring(), **options)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        # A server may have closed the connection before it has heard all of it.
        with contextlib.suppress(OSError):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            writer.write_eof()
            while await reader.read(4096):
                pass
        writer.close()
        server.close()
        await asyncio.sleep(0)
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
