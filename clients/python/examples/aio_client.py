#!/usr/bin/env python3
"""Sends each line of stdin as a message, and prints each reply: with asyncio.

aio_client.py ADDRESS KEYFILE
"""

import asyncio
import sys

import countersign


async def main(address, keys):
    lines = sys.stdin.buffer.read().splitlines()
    async with await countersign.open_connection(address, keys) as server:
        for line in lines:
            await server.send(line)
            reply = await server.receive()
            if reply is None:
                sys.exit("the server closed the connection")
            print(reply.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (countersign.Error, OSError) as error:
        sys.exit(f"client: {error}")
