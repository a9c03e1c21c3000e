#!/usr/bin/env python3
"""Answers each message with itself, until SIGTERM: with asyncio.

aio_server.py ADDRESS KEYFILE
"""

import asyncio
import signal
import sys

import countersign


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main(address, keys):
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    server = await countersign.start_server(echo, address, keys)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
