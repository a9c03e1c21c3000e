"""What users write, for `mypy --strict`: an ignore that is not needed is an error there."""

import asyncio
from typing import List, Optional

import countersign
from countersign.aio import Connection


class Timestamp(countersign.StreamRequestHandler):
    def handle(self) -> None:
        for message in self.connection:
            self.connection.send(message.upper())
            self.connection.send("text")  # type: ignore[arg-type]


def serve() -> None:
    with countersign.Server("localhost:0", Timestamp, "keys", audiences=["pump"]) as server:
        server.serve_forever()
    countersign.Server("localhost:0", Timestamp, "keys", audience="pump")  # type: ignore[call-arg]


def ask(question: bytes) -> Optional[bytes]:
    ring = countersign.KeyRing.from_file("keys")
    with countersign.connect(("localhost", 9527), ring, records="sealed", timeout=None) as server:
        server.send(question, b"and another")
        return server.receive()


def misuse() -> None:
    countersign.connect("localhost", "keys", record="off")  # type: ignore[call-arg]
    countersign.connect("localhost", "keys", message_max="64k")  # type: ignore[arg-type]
    server = countersign.connect("localhost", "keys")
    server.receive().decode()  # type: ignore[union-attr]


async def collect(connection: Connection) -> List[bytes]:
    return [message async for message in connection]


async def main() -> None:
    server = await countersign.start_server(collect, "localhost:0", "keys")
    async with await countersign.open_connection("localhost", "keys", audience=b"pump") as client:
        await client.send(b"hello")
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
