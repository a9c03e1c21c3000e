#!/usr/bin/env python3
"""Sends each line of stdin as a message, and prints each reply: with asyncio.

aio_client.py ADDRESS KEYFILE
"""

import asyncio
import sys

import countersign


async def main(address, keys):
    loop = asyncio.get_running_loop()
    async with await countersign.open_connection(address, keys) as server:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            await server.send(line.rstrip(b"\r\n"))
            reply = await server.receive()
            if reply is None:
                sys.exit("the server closed the connection")
            show(reply)
        # Without the close of the server, somebody may have cut the connection.
        await server.finish()
        async for reply in server:
            show(reply)


def show(reply):
    sys.stdout.buffer.write(reply + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (countersign.Error, OSError) as error:
        sys.exit(f"client: {error}")
