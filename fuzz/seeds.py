#!/usr/bin/env python3
"""Writes what the fuzz targets begin with, seeds/TARGET/*: mostly the test vectors."""

import json
from hashlib import sha256
from itertools import product
from pathlib import Path
from re import MULTILINE, findall

HERE = Path(__file__).resolve().parent
VECTORS = json.loads((HERE.parent / "tests/vectors/countersign-1.json").read_text())

# The choices of src/setup.rs, by their places.
DIALECTS = ["countersign/1", "raw", "hex", "multiprocessing", "open", "countersign/1+raw"]
PROTECTIONS = ["sealed", "required", "allowed", "off"]
MANY, SIGNS, CUT = 0, 200, 2


def write(target: str, content: bytes) -> None:
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha256(content).hexdigest()[:16]).write_bytes(content)


def session(dialect: str, stream: bytes, *, is_client=False, records="required", framing=0, mac=0):
    head = [
        int(is_client),
        DIALECTS.index(dialect),
        PROTECTIONS.index(records),
        framing,
        mac,
        MANY,
        4,
        SIGNS,
        CUT,
    ]
    write("session", bytes(head) + stream)
    if is_client:
        write("client", bytes(head) + stream)


def of_vectors() -> None:
    for kind in ("server", "client", "records"):
        for case in VECTORS[kind]:
            fields = VECTORS["defaults"] | case
            stream = bytes.fromhex("".join(case["in"]))
            if len(stream) < 3000:
                is_client = case.get("role", kind) == "client"
                records = fields["records"]
                session("countersign/1", stream, is_client=is_client, records=records)


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def of_other_dialects() -> None:
    lines = b"one\ntwo\r\n\nthr"
    for mac, length in enumerate((32, 16)):
        session("raw", bytes(length) + lines, mac=mac)
        session("hex", bytes(2 * length) + lines, mac=mac)
        session("raw", bytes(length) + frame(b"one") + frame(b""), mac=mac, framing=1)
    for dialect in ("raw", "hex", "open"):
        session(dialect, bytes(32) + lines, is_client=True)
    session("open", lines, framing=2)
    session("countersign/1+raw", bytes(32) + lines)
    challenge = frame(b"#CHALLENGE#{sha256}" + bytes(40))
    old, answer, welcome = (
        frame(b"#CHALLENGE#" + bytes(20)),
        frame(b"{sha256}" + bytes(32)),
        frame(b"#WELCOME#"),
    )
    for mac, proof in enumerate((answer, frame(bytes(16)), frame(bytes(32)))):
        for asked in (challenge, old):
            session("multiprocessing", proof + asked + welcome + frame(b"one"), mac=mac)
            session(
                "multiprocessing", asked + welcome + proof + frame(b"one"), mac=mac, is_client=True
            )


def key_files() -> None:
    for text in (
        "# keys\ngarden  hex:9f86d081884c7d659a2feaa0c55ad015  audience=sprinkler\n\n",
        "gate text:open-sesame dialects=raw,hex not-after=2027-01-31\r\n",
        "shed base64:AAECAwQFBgcICQoLDA0ODw== not-before=2027-01-01T06:00:00+01:00\n",
        "\ufeffpy text:a-key-of-sixteen-bytes dialects=multiprocessing\nb hex:00",
    ):
        write("keyfile", text.encode())


def proxy_headers() -> None:
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    four, six = bytes(range(12)), bytes(range(36))
    for header in (
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4200 9527\r\n",
        b"PROXY TCP6 2001:db8::7 2001:db8::1 4200 9527\r\n",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        signature + b"\x20\x00\0\0",
        signature + b"\x21\x11\0\x0c" + four,
        signature + b"\x21\x21\0\x24" + six,
        signature + b"\x21\x11\0\x17" + four + b"\x04\0\x03abc\xe0\0\x02ab",
        signature + b"\x21\x31\0\xd8" + bytes(216),
    ):
        write("proxy_header", bytes([CUT]) + header + b"hello\nworld")


def records() -> None:
    for choices in (0, 1):
        for is_sealed in (0, 1):
            send = bytes([0, choices, 4, 2, 7, 1, 0, 4, 9, 3, 1])
            write(
                "records", bytes([is_sealed, 1]) + send * 2 + bytes([5, 0, 3, 3, 0, 5, 0, 1]) + send
            )
            # Four messages of 6,000 bytes at once: two batches.
            write(
                "records",
                bytes([is_sealed, 2, 0, choices, 4, 5, 1, 5, 2, 5, 3, 5, 4, 5, choices, 0]),
            )


def pages() -> None:
    for request in (
        "GET /metrics HTTP/1.1\r\nHost: localhost:9529\r\n\r\n",
        "HEAD /status HTTP/1.0\r\n\r\n",
        "GET http://[::1]:1/healthz?x HTTP/1.1\nHost: a\n\nbody",
        "POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ):
        write("http", bytes([CUT]) + request.encode())


def configurations() -> None:
    """Each key of the schema by itself, and files."""
    schema = (HERE.parent / "cli/src/config/schema.rs").read_text()
    for key, value in product(
        findall(r'^\s+"([a-z-]+)" =>', schema, MULTILINE), ("7", '"7s"', "true")
    ):
        write("config", f"{key} = {value}\n".encode())
    write("config", (HERE.parent / "deploy/countersign.toml").read_bytes())
    write("config", b'[[listener]]\nbind = "127.0.0.1:1"\n[[listener]]\nbind = ["unix:a", "b:2"]\n')


def choices() -> None:
    """For targets that draw all from their input."""
    for number in range(20):
        stream = b"".join(sha256(bytes([number, part])).digest() for part in range(8))
        write("capi", stream)
        write("beside_c", stream)
    write("capi", bytes(200))


of_vectors()
of_other_dialects()
key_files()
proxy_headers()
records()
pages()
configurations()
choices()
