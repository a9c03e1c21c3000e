#!/usr/bin/env python3
"""Lets tshark dissect captures of the protocol's vectors, and of what damages them.

usage: run.py [MUTATED]    so many damaged connections, 10,000 unless told otherwise"""

import functools
import hashlib
import hmac
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import captures

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parents[2] / "tests" / "vectors" / "countersign-1.json"
SCRIPT = HERE.parent / "countersign.lua"
DERIVE = HERE.parent / "derive.py"
BAD, GOOD, UNCHECKED = "0", "1", "2"
MUTATED = 10_000

unhex = bytes.fromhex
KEY = bytes(range(32))


def key_file(vectors):
    """All the keys of the vectors. A dissector tries each that has the right id."""
    rings = [vectors["defaults"]["ring"]]
    rings += [
        each["ring"]
        for part in vectors.values()
        if isinstance(part, list)
        for each in part
        if isinstance(each, dict) and each.get("ring")
    ]
    keys = {(unhex(kid), secret) for ring in rings for kid, secret in ring.items()}
    words = re.compile(rb"[!-~]+")
    return "".join(
        f"{kid.decode()} hex:{secret}\n" for kid, secret in sorted(keys) if words.fullmatch(kid)
    )


def handshake(vector):
    call, nonce, answer, confirm, accept = (
        unhex(vector[name]) for name in ("ch", "sg", "sh", "cf", "sf")
    )
    return [("client", call), ("server", nonce + answer), ("client", confirm), ("server", accept)]


def records(vector):
    return [(record["from"], unhex(record["record"])) for record in vector["sent"]]


def in_order(vector):
    """The records that were sent; two that have the same number stand in each other's place."""
    seen, kept = set(), []
    for record in vector["sent"]:
        if (record["from"], record["seq"]) not in seen:
            seen.add((record["from"], record["seq"]))
            kept.append(record)
    return {**vector, "sent": kept}


def in_place(vector):
    kept = [record for record in vector["sent"] if record["type"] != 0x13]
    return {**vector, "sent": kept}


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.vectors = json.loads(VECTORS.read_text())
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.keys = cls.folder / "keys"
        cls.keys.write_text(key_file(cls.vectors) + f"seed hex:{KEY.hex()}\n")

    def ids(self):
        return {line.split()[0].encode() for line in self.keys.read_text().splitlines()}

    def tshark(self, connections, *arguments, keys=True):
        capture = self.folder / "capture"
        captures.write(capture, connections)
        line = ["tshark", "-X", f"lua_script:{SCRIPT}", "-r", capture, *arguments]
        if keys:
            line += ["-o", f"countersign.keys:{self.keys}"]
        ran = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for text in (ran.stdout, ran.stderr):
            self.assertNotIn("Lua Error", text)
            self.assertNotIn("countersign.lua:", text)
        return ran.stdout

    def dissected(self, connections, *arguments, keys=True):
        """The layers of each packet, as (number of the connection, fields)."""
        said = self.tshark(
            connections,
            "-Y",
            "countersign",
            "-T",
            "json",
            "--no-duplicate-keys",
            *arguments,
            keys=keys,
        )
        for packet in json.loads(said):
            layers = packet["_source"]["layers"]
            found = layers["countersign"]
            for fields in found if isinstance(found, list) else [found]:
                yield int(layers["tcp"]["tcp.stream"]), fields


def flat(fields):
    """The values of all fields by their names, from whatever depth."""
    found = {}

    def walk(value, name):
        if isinstance(value, dict):
            for key, each in value.items():
                walk(each, key)
        elif isinstance(value, list):
            for each in value:
                walk(each, name)
        elif name.startswith("countersign."):
            found.setdefault(name.removeprefix("countersign."), []).append(value)

    walk(fields, "")
    return found


def plain(text):
    return text.replace(":", "")


def frame(body):
    """A message of Python's multiprocessing."""
    return len(body).to_bytes(4, "big") + body


class Vectors(Case):
    def expect_call(self, vector, fields):
        number = lambda name: int(fields[f"hello.{name}"][0], 0)
        for name in ("ver_min", "ver_max"):
            self.assertEqual(number(name.replace("ver", "version")), vector[name])
        self.assertEqual(number("flags"), vector["client_flags"])
        self.assertEqual(number("max_record"), vector["client_max_record"])
        self.assertEqual(plain(fields["magic"][0]), "9e6373676e2f310a")
        self.assertEqual(plain(fields["hello.nonce"][0]), vector["nonce_c"])
        self.assertEqual(plain(fields["hello.instance"][0]), vector["instance_c"])
        self.assertEqual(fields["hello.key_id"][0].encode(), unhex(vector["kid"]))
        self.assertEqual(number("key_id.length"), len(vector["kid"]) // 2)
        self.assertEqual(fields.get("hello.audience", [""])[0].encode(), unhex(vector["aud"]))
        self.assertEqual(number("extensions.length"), len(vector["client_ext"]) // 2)

    def expect_answer(self, vector, fields):
        self.assertEqual(fields["hello.version"], [str(vector["ver"])])
        self.assertEqual(fields["hello.status"], [str(vector["status"])])
        self.assertEqual(int(fields["hello.flags"][0], 0), vector["server_flags"])
        self.assertEqual(fields["hello.max_record"], [str(vector["server_max_record"])])
        self.assertEqual(plain(fields["hello.instance"][0]), vector["instance_s"])
        self.assertEqual(plain(fields["proof"][0]), vector["mac_s"])
        self.assertEqual(fields["transcript"], [vector["th"]])
        self.assertEqual(fields["proof.status"], [GOOD])

    def expect_record(self, record, fields):
        self.assertEqual(fields["record.number"], [str(record["seq"])])
        self.assertEqual(int(fields["record.type"][0], 0), record["type"])
        self.assertEqual(fields["record.tag.status"], [GOOD])
        self.assertEqual(plain(fields["record.tag"][0]), record["record"][-32:])
        payload = unhex(record["payload"])
        if record["type"] == 0x10:
            self.assertEqual(fields["message.length"], [str(len(payload))])
            self.assertEqual(plain("".join(fields.get("message", []))), payload.hex())
        elif record["type"] == 0x14:
            messages = []
            while payload:
                length = int.from_bytes(payload[:3], "big")
                messages.append(payload[3 : 3 + length])
                payload = payload[3 + length :]
            self.assertEqual(fields["message.length"], [str(len(each)) for each in messages])
            shown = [plain(each) for each in fields["message"]]
            self.assertEqual(shown, [each.hex() for each in messages if each])

    def expect_set(self, vector, found):
        call, nonce, answer, confirm, accept, *rest = found
        self.expect_call(vector, call)
        self.assertEqual(plain(nonce["nonce"][0]), vector["sg"])
        self.expect_answer(vector, answer)
        self.assertEqual(plain(confirm["proof"][0]), vector["mac_c"])
        self.assertEqual(confirm["proof.status"], [GOOD])
        self.assertEqual(accept["record.status"], ["0"])
        self.assertEqual(accept["record.tag.status"], [GOOD])
        self.assertEqual(len(rest), len(vector["sent"]))
        for record, fields in zip(vector["sent"], rest):
            self.expect_record(record, fields)

    def test_every_field_of_every_set_however_it_is_cut(self):
        sets = [
            vector for each in self.vectors["sets"] for vector in (in_order(each), in_place(each))
        ]
        for size in (None, 1, 7, 100):
            segments = [handshake(vector) + records(vector) for vector in sets]
            if size:
                segments = [list(captures.cut(each, size)) for each in segments]
            connections = [captures.connection(each, 40000 + n) for n, each in enumerate(segments)]
            found = {}
            for stream, fields in self.dissected(connections):
                found.setdefault(stream, []).append(flat(fields))
            for number, vector in enumerate(sets):
                with self.subTest(vector["name"], size=size):
                    self.expect_set(vector, found[number])

    def test_a_flipped_bit_is_reported_at_its_record(self):
        connections, expected = [], []
        for vector in map(in_order, self.vectors["sets"]):
            sent = records(vector)
            for number, (who, record) in enumerate(sent):
                # The header says where the record ends.
                for at in [0, *range(4, len(record))]:
                    damaged = bytearray(record)
                    damaged[at] ^= 1 << at % 8
                    segments = handshake(vector) + [
                        *sent[:number],
                        (who, bytes(damaged)),
                        *sent[number + 1 :],
                    ]
                    connections.append(captures.connection(segments, 20000 + len(connections)))
                    expected.append([GOOD if n != number else BAD for n in range(len(sent))])
        found = [[] for _ in connections]
        for stream, fields in self.dissected(connections):
            found[stream] += flat(fields).get("record.tag.status", [])
        self.assertGreater(len(connections), 100)
        for number, statuses in enumerate(found):
            # The accept comes first.
            self.assertEqual(statuses, [GOOD, *expected[number]], number)

    def test_without_a_key_file_nothing_is_called_wrong(self):
        vector = in_order(self.vectors["sets"][3])
        connection = captures.connection(handshake(vector) + records(vector))
        found = [flat(fields) for _, fields in self.dissected([connection], keys=False)]
        names = ("proof.status", "record.tag.status")
        statuses = [status for each in found for name in names for status in each.get(name, [])]
        self.assertEqual(statuses, [UNCHECKED] * (3 + len(vector["sent"])))
        self.assertTrue(all("message" not in each for each in found))

    def test_every_case_of_a_server_shows_the_verdict_of_the_server(self):
        connections, expected = [], []
        for case in self.vectors["server"]:
            out, segments = unhex(case["out"]), [("client", unhex(each)) for each in case["in"]]
            answer = out.find(b"\2\0\0", 32) if len(out) > 32 else -1
            end = 36 + int.from_bytes(out[33:36], "big") if answer == 32 else len(out)
            segments[1:1] = [("server", out[:end])]
            segments.append(("server", out[end:]))
            connections.append(captures.connection(segments, 20000 + len(connections)))
            # Ids that no key file can have are in the vectors too.
            kid = case.get("kid", self.vectors["defaults"]["kid"])
            expected.append(case["outcome"] == "open" and unhex(kid) in self.ids())
        proved, refused = set(), set()
        for stream, fields in self.dissected(connections):
            found = flat(fields)
            if "refusal" in found:
                refused.add(stream)
            elif found.get("frame.type") == ["0x03"] and found["proof.status"] == [GOOD]:
                proved.add(stream)
        for number, is_open in enumerate(expected):
            if is_open:
                self.assertIn(number, proved, self.vectors["server"][number]["name"])
                self.assertNotIn(number, refused)
        self.assertGreater(len(refused), 20)


class OtherDialects(Case):
    def mac(self, message, key=KEY, digest="sha256"):
        return hmac.new(key, message, digest).digest()

    def statuses(self, segments, *arguments):
        found = [
            flat(fields)
            for _, fields in self.dissected([captures.connection(segments)], *arguments)
        ]
        merged = {}
        for fields in found:
            for name, values in fields.items():
                merged.setdefault(name, []).extend(values)
        return merged

    def test_raw_and_hex(self):
        nonce = bytes(range(100, 132))
        right = self.mac(nonce)
        for proof, status in [(right, GOOD), (right.hex().encode(), GOOD), (bytes(32), BAD)]:
            found = self.statuses(
                [
                    ("server", nonce),
                    ("client", proof + b"one\ntw"),
                    ("client", b"o\n"),
                    ("server", b"1\n"),
                ]
            )
            self.assertEqual(plain(found["nonce"][0]), nonce.hex())
            self.assertEqual(found["proof.status"], [status])
            self.assertEqual(found["message.length"], ["4", "4", "2"])
        self.assertEqual(found.get("proof.key_id"), None)

    def test_md5_in_raw_and_hex(self):
        nonce = bytes(range(100, 132))
        right = self.mac(nonce, digest="md5")
        for proof, status in [(right, GOOD), (right.hex().encode(), GOOD), (bytes(16), BAD)]:
            segments = [("server", nonce), ("client", proof + b"one\n")]
            found = self.statuses(segments, "-o", "countersign.digest:md5")
            self.assertEqual(found["proof.status"], [status])
            self.assertEqual(found["message.text"], ["one\n"])

    def test_raw_behind_a_balancer_and_at_a_port_that_is_shared(self):
        header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
        nonce = bytes(range(100, 132))
        found = self.statuses([("client", header), ("server", nonce), ("client", self.mac(nonce))])
        self.assertEqual(plain(found["proxy"][0]), header.hex())
        self.assertEqual(found["proof.status"], [GOOD])
        vector = in_order(self.vectors["sets"][0])
        call, (_, answer), *rest = handshake(vector)
        found = self.statuses([("server", answer[:32]), call, ("server", answer[32:]), *rest])
        self.assertEqual(found["proof.status"], [GOOD, GOOD])

    def test_md5_in_multiprocessing(self):
        theirs, ours = b"{sha256}" + bytes(40), bytes(range(20))
        md5 = functools.partial(self.mac, digest="md5")
        segments = [
            ("server", frame(b"#CHALLENGE#" + theirs)),
            ("client", frame(md5(theirs))),
            ("server", frame(b"#WELCOME#")),
            ("client", frame(b"#CHALLENGE#" + ours)),
        ]
        for answer, status in [
            (md5(ours), GOOD),
            (b"{md5}" + md5(ours), GOOD),
            (self.mac(ours), GOOD),
            (md5(b"another"), BAD),
            (b"{sha384}" + self.mac(ours, digest="sha384"), UNCHECKED),
        ]:
            found = self.statuses([*segments, ("server", frame(answer))])
            self.assertEqual(found["proof.status"], [GOOD, status], answer)

    def test_multiprocessing(self):
        theirs, ours = b"{sha256}" + bytes(40), b"{sha256}" + bytes(range(40))
        found = self.statuses(
            [
                ("server", frame(b"#CHALLENGE#" + theirs)),
                ("client", frame(b"{sha256}" + self.mac(theirs))),
                ("server", frame(b"#WELCOME#")),
                ("client", frame(b"#CHALLENGE#" + ours)),
                ("server", frame(b"{sha256}" + self.mac(b"another"))),
                ("client", frame(b"#FAILURE#") + frame(b"hello")),
            ]
        )
        self.assertEqual([plain(each) for each in found["challenge"]], [theirs.hex(), ours.hex()])
        self.assertEqual(found["proof.status"], [GOOD, BAD])
        self.assertEqual(found["verb"], ["#CHALLENGE#", "#WELCOME#", "#CHALLENGE#", "#FAILURE#"])
        self.assertEqual(found["message.text"], ["hello"])

    def test_what_is_not_understood_is_shown_as_bytes(self):
        found = self.statuses([("client", b"GET / HTTP/1.1\r\n\r\n"), ("server", b"\x16\3\1" * 20)])
        self.assertIn("unknown", found)
        found = self.statuses(
            [("client", b"one\n"), ("server", b"two\n")], "-o", "countersign.dialect:open"
        )
        self.assertEqual(found["message.length"], ["4", "4"])


class KeyFiles(Case):
    def test_passphrases_are_derived_by_a_script(self):
        file = self.folder / "words"
        file.write_text(
            "\ufeff# keys\nd passphrase:tulip-anvil dialects=raw\nk text:sixteen-letters!\n"
        )
        ran = subprocess.run([DERIVE, file], capture_output=True, text=True, check=True)
        key = hashlib.pbkdf2_hmac("sha256", b"tulip-anvil", b"countersign/1 passd", 600_000)
        expected = f"# keys\nd hex:{key.hex()} dialects=raw\nk text:sixteen-letters!\n"
        self.assertEqual(ran.stdout, expected)


class Damaged(Case):
    def test_no_damage_raises_an_error(self):
        chance = random.Random(9527)
        whole = [handshake(vector) + records(vector) for vector in self.vectors["sets"]]
        for start in range(0, MUTATED, 1000):
            connections = [
                captures.connection(damage(list(chance.choice(whole)), chance), 10000 + number)
                for number in range(min(1000, MUTATED - start))
            ]
            dialect = chance.choice(
                ["auto", "countersign/1", "raw", "hex", "multiprocessing", "open"]
            )
            self.tshark(connections, "-V", "-o", f"countersign.dialect:{dialect}")


def damage(segments, chance):
    """Flips, cuts, drops, doubles, swaps or inserts, a few times."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(segments))
        who, data = segments[at]
        data, place = bytearray(data), chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0 if data:
                data[place - 1] ^= 1 << chance.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = chance.randbytes(chance.randrange(40))
            case 3:
                segments.insert(at, segments[at])
            case 4:
                other = chance.randrange(len(segments))
                segments[at], segments[other] = segments[other], segments[at]
                continue
            case 5 if data:
                data[place - 1] = chance.choice([0, 255])
        segments[at] = who, bytes(data)
    return segments


if __name__ == "__main__":
    if not shutil.which("tshark"):
        sys.exit(print("SKIP: tshark is not installed"))
    if len(sys.argv) > 1:
        MUTATED = int(sys.argv.pop())
    unittest.main()
