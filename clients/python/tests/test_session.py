"""Sessions without sockets: what the vectors don't ask."""

import contextlib
import os
import re
import subprocess
import sys
import unittest
from unittest import mock

from pair import SOURCE, WRONG, Pair, messages, ring

import countersign
from countersign import ClientConfig, Key, KeyRing, ServerConfig, Session, config, crypto, errors
from countersign.records import decode_batch, encode_batch

PLAIN = [
    dict(dialect=dialect, framing=framing)
    for dialect in ("raw", "hex", "open")
    for framing in ("lines", "chunks", "length")
]
EVERY = [
    {},
    dict(records="sealed"),
    dict(records="allowed"),
    dict(records="off"),
    dict(records="off", framing="length"),
    dict(dialect="raw", mac="md5"),
    *PLAIN,
]

# Prints which of these are imported, whether they are found or not.
IMPORTS = """
import contextlib, sys

class Recorder:
    names = set()

    def find_spec(self, name, *_):
        self.names.update({name.split(".")[0]} & {"cryptography", "asyncio"})

sys.meta_path.insert(0, Recorder())
import countersign

countersign.connect, countersign.Server
ring = countersign.KeyRing([countersign.Key("garden", bytes(range(32)))])
countersign.Session.client(countersign.ClientConfig(ring))
print(sorted(Recorder.names))
with contextlib.suppress(countersign.ConfigError):
    countersign.Session.client(countersign.ClientConfig(ring, records="sealed"))
print(sorted(Recorder.names))
"""


class Conversations(unittest.TestCase):
    def test_every_dialect_carries_messages_both_ways(self):
        for options in EVERY:
            with self.subTest(**options):
                pair = Pair(**options).run()
                self.assertTrue(pair.client.is_established and pair.server.is_established)
                for one, other in ((pair.client, pair.server), (pair.server, pair.client)):
                    one.send(b"hello")
                    pair.run()
                    self.assertEqual(messages(other), [b"hello"])
                self.assertEqual(pair.server.key_id, pair.client.key_id)

    def test_a_close_is_answered_by_the_end_of_the_rest(self):
        for options in EVERY:
            with self.subTest(**options):
                pair = Pair(**options).run()
                pair.client.send(b"last")
                pair.client.close()
                pair.client.close()
                pair.run()
                pair.server.receive_data(b"")
                self.assertEqual(messages(pair.server), [b"last"])
                self.assertTrue(pair.server.peer_closed)
                pair.server.send(b"reply")
                pair.server.close()
                pair.run()
                pair.client.receive_data(b"")
                self.assertEqual(messages(pair.client), [b"reply"])
                self.assertTrue(pair.client.peer_closed)
                with self.assertRaises(errors.Over):
                    pair.client.send(b"more")

    def test_messages_of_one_call_share_records_as_far_as_the_peer_takes_them(self):
        pair = Pair(server=dict(message_max=2000)).run()
        many = [bytes([n % 256]) * 300 for n in range(40)]
        pair.client.send(*many)
        data = pair.client.data_to_send()
        # 2,000 bytes hold six messages of 303.
        self.assertEqual(len(data), 40 * 303 + 7 * 20)
        pair.server.receive_data(data)
        self.assertEqual(pair.server.next_message(), many[0])
        self.assertEqual(pair.server.pending, 5)
        self.assertEqual(messages(pair.server), many[1:])

    def test_batches_are_taken_apart_whole_or_not_at_all(self):
        self.assertEqual(decode_batch(encode_batch([b"", b"a"])), [b"", b"a"])
        for payload in (b"", b"\0\0", b"\0\0\2a", b"\0\0\1a\0"):
            with self.assertRaises(errors.BadRecord):
                decode_batch(payload)

    def test_what_is_too_long_for_the_peer_is_not_sent(self):
        pair = Pair(server=dict(message_max=1008)).run()
        with self.assertRaisesRegex(errors.Unsendable, "longer than the peer accepts"):
            pair.client.send(b"short", bytes(1009))
        self.assertFalse(pair.client.has_output)
        pair.client.send(bytes(1008))
        self.assertEqual(len(messages(pair.run().server)), 1)

    def test_pings_are_answered(self):
        pair = Pair().run()
        pair.client.ping(b"are you there?")
        pair.run()
        self.assertIsNone(pair.server.next_message())
        pair.run()
        self.assertIsNone(pair.client.next_message())
        self.assertEqual(pair.client.pongs, 1)
        with self.assertRaises(errors.Unsendable):
            pair.client.ping(bytes(126))
        with self.assertRaises(errors.Unsendable):
            Pair(dialect="open").client.ping()

    def test_both_ends_derive_the_same_secrets(self):
        pair = Pair().run()
        self.assertEqual(pair.client.secret(b"label"), pair.server.secret(b"label"))
        self.assertNotEqual(pair.client.secret(b"label"), pair.client.secret(b"other"))
        for session in (Pair().client, Pair(dialect="raw").run().client):
            with self.assertRaises(errors.Over):
                session.secret(b"label")

    def test_nothing_is_known_before_the_handshake(self):
        session = Pair().client
        known = session.key_id, session.audience, session.pending, session.pongs
        self.assertEqual(known, (b"", b"", 0, 0))
        self.assertIsNone(session.next_message())
        self.assertFalse(session.peer_closed or session.was_refused)
        with self.assertRaises(errors.Over):
            session.send(b"early")


class Framings(unittest.TestCase):
    def established(self, **options):
        return Pair(dialect="open", **options).run()

    def test_a_reply_ends_as_its_line(self):
        server = self.established().server
        replies = []
        for line in (b"one\n", b"two\r\n", b"three\r", b"\n", b"last"):
            server.receive_data(line)
            for message in messages(server):
                server.send(message)
                replies.append(server.data_to_send())
        server.receive_data(b"")
        server.send(*messages(server))
        replies.append(server.data_to_send())
        self.assertEqual(replies, [b"one\n", b"two\r\n", b"three\r\n", b"last"])
        self.assertTrue(server.peer_closed)

    def test_a_line_has_no_line_feed_inside(self):
        client = self.established().client
        with self.assertRaisesRegex(errors.Unsendable, "length carries any"):
            client.send(b"fine", b"two\nlines")
        self.assertFalse(client.has_output)

    def test_limits_hold_before_anything_is_kept(self):
        cases = [
            ("lines", b"12345678\r\n", None),
            ("lines", b"12345678\r", None),
            ("lines", b"123456789\n", errors.MessageTooLong),
            ("lines", b"123456789", errors.MessageTooLong),
            ("length", b"\0\0\0\x09", errors.MessageTooLong),
            ("length", b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x09", errors.MessageTooLong),
            ("length", b"\xff\xff\xff\xfe", errors.BadLength),
            ("length", b"\xff\xff\xff\xff\0\0\0\0\0\0\0\x0812345678", None),
            ("length", b"\xff\xff\xff\xff\0\0", None),
        ]
        for framing, data, fault in cases:
            with self.subTest(data):
                server = self.established(framing=framing, message_max=8).server
                server.receive_data(data)
                with self.assertRaises(fault) if fault else contextlib.nullcontext():
                    messages(server)
                if fault:
                    with self.assertRaises(fault):
                        server.next_message()
                    with self.assertRaises(errors.Over):
                        server.receive_data(b"more")

    def test_a_long_last_line_is_refused_and_half_a_frame_is_truncated(self):
        for framing, data, fault in (
            ("lines", b"12345678\r", errors.MessageTooLong),
            ("length", b"\0\0\0\2a", errors.Truncated),
        ):
            server = self.established(framing=framing, message_max=8).server
            server.receive_data(data)
            server.receive_data(b"")
            with self.assertRaises(fault):
                messages(server)

    def test_a_chunk_is_what_was_read_up_to_1024_bytes(self):
        server = self.established(framing="chunks").server
        server.receive_data(bytes(2500))
        self.assertEqual([len(message) for message in messages(server)], [1024, 1024, 452])

    def test_two_gibibytes_are_no_frame(self):
        class Huge(bytes):
            def __len__(self):
                return 1 << 31

        with self.assertRaisesRegex(errors.Unsendable, "2 GiB"):
            self.established(framing="length").client.send(Huge())


class Failures(unittest.TestCase):
    def fails(self, client=None, server=None, keys=None, **both):
        """What the two ends raise."""
        pair = Pair(client, server, **both)
        if keys:
            config = ClientConfig(ring(keys), **both, **(client or {}))
            pair.client = Session.client(config)
        raised = []
        for _ in range(4):
            for one, other in ((pair.client, pair.server), (pair.server, pair.client)):
                data = one.data_to_send()
                try:
                    if data:
                        other.receive_data(data)
                except errors.Error as error:
                    raised.append(error)
        return raised

    def test_each_end_says_what_is_wrong(self):
        for arguments, names in (
            (dict(keys=WRONG), ["unproven"]),
            (dict(keys="stranger text:sixteen-bytes-or-more"), ["unproven"]),
            (dict(client=dict(audience="pump", key="pump")), ["unproven"]),
            (dict(client=dict(records="off")), ["protection", "rejected"]),
            (dict(server=dict(records="off")), ["protection", "rejected"]),
            (dict(server=dict(records="sealed")), ["protection", "rejected"]),
            (dict(client=dict(records="sealed")), ["protection"]),
            (dict(server=dict(busy=True)), ["busy", "rejected"]),
            (dict(keys=WRONG, dialect="raw"), ["wrong-proof"]),
            (dict(keys=WRONG, dialect="hex"), ["wrong-proof"]),
        ):
            with self.subTest(str(arguments)):
                self.assertEqual([error.name for error in self.fails(**arguments)], names)

    def test_a_ring_does_not_talk_to_itself(self):
        own = ring()
        client, server = Session.client(ClientConfig(own)), Session.server(ServerConfig(own))
        with self.assertRaises(errors.Reflected):
            server.receive_data(client.data_to_send())
        self.assertFalse(server.has_output)

    def test_foreign_protocols_are_named_and_told_nothing(self):
        for opening, name in (
            (b"GET / HTTP/1.1", "HTTP"),
            (b"\x16\x03\x01\2\0\1\0\1", "TLS"),
            (b"PROXY TCP4 ", "the PROXY protocol"),
            (b"\0\0\0\x0b#CHALLENGE", "Python's multiprocessing"),
            (b"whatever", "another protocol"),
            (b"\x16\x03\x01\2\0\2\0\1", "another protocol"),
        ):
            server = Pair().server
            with self.assertRaisesRegex(errors.ForeignProtocol, name):
                server.receive_data(opening)
            self.assertFalse(server.has_output)

    def test_a_deadline_ends_a_handshake_alone(self):
        pair = Pair()
        with self.assertRaises(errors.HandshakeTimeout):
            pair.client.time_out()
        with self.assertRaises(errors.Over):
            pair.client.receive_data(b"late")
        pair = Pair().run()
        with self.assertRaises(errors.HandshakeTimeout):
            pair.server.time_out()
        self.assertEqual(messages(pair.server), [])

    def test_an_end_of_the_stream_is_truncated_unless_it_was_closed(self):
        pair = Pair().run()
        pair.server.receive_data(b"")
        with self.assertRaises(errors.Truncated):
            pair.server.next_message()
        session = Pair().client
        with self.assertRaises(errors.Truncated):
            session.receive_data(b"")
        self.assertTrue(session.peer_closed)

    def test_an_unknown_reason_is_shown(self):
        self.assertIn("unknown reason 77", str(errors.Rejected(77)))
        self.assertIn("busy", str(errors.Rejected(3)))

    def test_every_error_is_an_error_with_a_name_and_a_text(self):
        kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
        self.assertGreater(len(kinds), 20)
        for kind in kinds:
            self.assertTrue(issubclass(kind, countersign.Error))
            self.assertRegex(kind.name, "^[a-z-]+$")


class Configurations(unittest.TestCase):
    def test_what_cannot_be_combined_is_refused(self):
        for fault, options in (
            ("dialect is one of", dict(dialect="rot13")),
            ("dialect is one of", dict(dialect="countersign/1+raw")),
            ("records is one of", dict(records="some")),
            ("framing is one of", dict(framing="words")),
            ("mac is one of", dict(mac="sha1")),
            ("chunks need records", dict(framing="chunks", records="off")),
            ("another MAC", dict(mac="md5")),
            ("message_max is 1 to", dict(message_max=0)),
            ("message_max is 1 to", dict(message_max=(1 << 30) + 1)),
            ("at most 64 bytes", dict(audience="a" * 65)),
        ):
            with self.assertRaisesRegex(countersign.ConfigError, fault):
                ClientConfig(ring(), **options)

    def test_a_server_of_another_protocol_is_named(self):
        for opening, text in (
            (b"HTTP/1.0 400 Bad request syntax\r\n\r\n<html>", "the peer speaks HTTP"),
            (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "the peer speaks SSH"),
            (b"220 mail.example.org ESMTP Postfix and more", "and is it the right port?"),
        ):
            session = Session.client(ClientConfig(ring()))
            with self.assertRaisesRegex(errors.ProtocolError, re.escape(text)):
                session.receive_data(opening)

    def test_a_text_is_no_message(self):
        for options in EVERY:
            pair = Pair(**options).run()
            with self.assertRaisesRegex(TypeError, "a message is bytes and not str"):
                pair.client.send(b"one", "two")
            # Nothing of the call was sent.
            pair.client.send(b"three")
            self.assertEqual(messages(pair.run().server), [b"three"])

    def test_sealing_needs_its_package(self):
        missing = mock.patch.object(crypto, "load_chacha20poly1305", side_effect=ImportError)
        with missing, self.assertRaisesRegex(countersign.ConfigError, "pip install"):
            ServerConfig(ring(), records="sealed")

    def test_what_takes_long_to_import_waits_for_the_first_session_that_seals(self):
        command = [sys.executable, "-c", IMPORTS]
        environment = dict(os.environ, PYTHONPATH=SOURCE)
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        self.assertEqual(done.stdout.split(), [b"[]", b"['cryptography']"])

    def test_a_key_is_chosen_by_its_id_audience_and_time(self):
        keys = KeyRing.parse(
            "old text:sixteen-bytes-or-more not-after=2020-01-01\n"
            "pump text:sixteen-bytes-for-pumps audience=pump\n"
            "new text:sixteen-bytes-or-newer\n"
        )
        self.assertEqual(ClientConfig(keys).usable_key(2e9).id, b"new")
        self.assertEqual(ClientConfig(keys, audience="pump").usable_key(2e9).id, b"pump")
        self.assertEqual(ClientConfig(keys, key="old").usable_key(1e9).id, b"old")
        for options, text in (
            (dict(key="old"), "no valid key old for countersign/1"),
            (dict(key="pump"), "no valid key pump"),
            (dict(dialect="raw"), "no valid key for raw"),
        ):
            with self.assertRaisesRegex(errors.NoUsableKey, text):
                Session.client(ClientConfig(keys, **options))
        with self.assertRaises(errors.NoUsableKey):
            ClientConfig(None)
        with self.assertRaises(errors.NoUsableKey):
            ServerConfig(KeyRing())

    def test_an_expired_key_is_as_none(self):
        pair = Pair()
        keys = KeyRing.parse("garden text:sixteen-bytes-or-more not-after=2020-01-01")
        pair.server = Session.server(ServerConfig(keys), now=2e9)
        with self.assertRaises(errors.Unproven):
            pair.run()

    def test_extensions_are_answered_if_they_were_offered(self):
        pair = Pair(
            dict(extensions={0xFF00: b"offer"}), dict(extensions={0xFF00: b"answer", 0xFF01: b""})
        )
        self.assertTrue(pair.run().client.is_established)

    def test_fallbacks_are_what_the_library_computes(self):
        key, data = b"k" * 80, b"data"
        by_library = crypto.hmac_sha256(key, data), crypto.hmac_sha256(b"short", data)
        with open(crypto.__file__) as file:
            source = file.read().replace("from hmac import", "from no_hmac import")
        by_hand = {}
        exec(source, by_hand)
        self.assertEqual(by_hand["hmac_sha256"](key, data), by_library[0])
        self.assertEqual(by_hand["hmac_sha256"](b"short", data), by_library[1])
        self.assertTrue(by_hand["compare_digest"](b"same", b"same"))
        self.assertFalse(by_hand["compare_digest"](b"same", b"some"))
        self.assertFalse(by_hand["compare_digest"](b"same", b"same longer"))

    def test_names_are_shown_as_far_as_they_can_be(self):
        keys = [Key(b"\xff", b"x" * 16), Key("a\x07", b"y" * 16)]
        self.assertEqual(repr(KeyRing(keys)), "KeyRing(ff, a\\x07)")

    def test_only_known_names_are_in_the_package(self):
        for name in countersign.__all__:
            self.assertIsNotNone(getattr(countersign, name))
        with self.assertRaises(AttributeError):
            countersign.nonsense  # noqa: B018

    def test_the_limits_of_records_are_those_of_the_wire(self):
        self.assertEqual(ClientConfig(ring(), message_max=1).record_max, config.RECORD_MIN)
        self.assertEqual(ClientConfig(ring(), message_max=2000).record_max, 2016)


if __name__ == "__main__":
    unittest.main()
