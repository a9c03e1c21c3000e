"""The verbs connect, serve, ping and keygen, as the program `countersign` has them."""

import argparse
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
import time

from . import arguments
from .connection import Connection, connect
from .endpoint import format_address, parse_address
from .errors import (
    AddressError,
    AuthenticationError,
    ConfigError,
    Error,
    HandshakeTimeout,
    KeyFileError,
    NoUsableKey,
    Over,
    ProtectionMismatch,
    ProtocolError,
    TimedOut,
    Truncated,
    Unsendable,
)
from .key_file import add_key, default_path
from .keys import COUNTERSIGN, to_text
from .server import Server, StreamRequestHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

# As sysexits(3) has them; the first class that fits counts.
EXITS = (
    (ProtectionMismatch, 77),
    (AuthenticationError, 77),
    (ProtocolError, 76),
    (Truncated, 76),
    (TimedOut, 69),
    (Over, 69),
    (AddressError, 69),
    (KeyFileError, 65),
    (NoUsableKey, 78),
    (ConfigError, 2),
    (Unsendable, 1),
)
HINTS = (
    (
        HandshakeTimeout,
        "do both ends have the same dialect, or does the server delay this address after failed "
        "attempts to authenticate?",
    ),
    (
        Truncated,
        "do both ends have the same dialect and framing, may this address connect, and has it "
        "failed to authenticate too often?",
    ),
    (ProtectionMismatch, "use the same --records at both ends"),
)
"""What to look at, if a client fails like this."""
REMEDIES = {
    errno.ECONNREFUSED: "is the server running?",
    errno.ETIMEDOUT: "is the address right, and does a firewall let you through?",
    errno.EADDRINUSE: "another program uses the port; stop it or use another port",
    errno.EADDRNOTAVAIL: "no interface of this machine has the address",
}


def main(words: "Sequence[str] | None" = None) -> int:
    """Runs a command, and returns its exit code."""
    options = arguments.parser(sys.modules[__name__]).parse_args(words)
    try:
        arguments.check(options)
        return options.run(options) or 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads what is printed, and the interpreter must not try again when it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 74
    except (Error, OSError) as error:
        report(options, error)
        return exit_code(options, error)


def report(options: argparse.Namespace, error: Exception) -> None:
    """Prints an error."""
    if not getattr(options, "quiet", False):
        print(f"countersign: {describe(options, error)}", file=sys.stderr)


def exit_code(options: argparse.Namespace, error: Exception) -> int:
    """What tells a script the kind of an error."""
    if isinstance(error, KeyFileError) and error.is_missing:
        return 66
    if isinstance(error, OSError):
        return 1 if options.run is keygen else 69
    return next((code for kind, code in EXITS if isinstance(error, kind)), 1)


def describe(options: argparse.Namespace, error: Exception) -> str:
    """What happened, at which address, and the remedy."""
    if isinstance(error, OSError):
        return describe_os_error(options, error)
    if isinstance(error, AddressError):
        return f"cannot {attempt(options)} {options.address}: {error}"
    if isinstance(error, ConfigError):
        return str(error)
    hint = next((f"; {hint}" for kind, hint in HINTS if isinstance(error, kind)), "")
    return f"{options.address}: {error}{hint}"


def describe_os_error(options: argparse.Namespace, error: OSError) -> str:
    """What the system refuses."""
    text = error.strerror or str(error)
    text = text[:1].lower() + text[1:]
    if options.run is keygen:
        return f"cannot write {options.keys or default_path()}: {text}"
    if isinstance(error, socket.gaierror):
        text = f"cannot resolve {parse_address(options.address)[0]}: {text}"
    remedy = REMEDIES.get(error.errno or 0)
    if error.errno == errno.ENOENT and options.address.startswith("unix:"):
        remedy = "create the directory first" if options.run is serve else "is the server running?"
    end = f"; {remedy}" if remedy else ""
    return f"cannot {attempt(options)} {options.address}: {text}{end}"


def attempt(options: argparse.Namespace) -> str:
    """What is done with an address."""
    return "bind" if options.run is serve else "connect to"


def protocol(options: argparse.Namespace) -> "dict[str, Any]":
    """The options that a configuration takes."""
    names = "dialect", "records", "framing", "mac", "message_max"
    return {name: getattr(options, name) for name in names}


# The verbs.


def dial(options: argparse.Namespace) -> Connection:
    """The connection that the options ask for."""
    return connect(
        options.address,
        options.keys,
        timeout=options.timeout or None,
        audience=options.audience[0] if options.audience else b"",
        key=options.key,
        **protocol(options),
    )


def converse(options: argparse.Namespace) -> None:
    """Each line of the input is a message, and each reply becomes a line of the output."""
    with dial(options) as connection:
        for line in sys.stdin.buffer:
            connection.send(line.rstrip(b"\r\n"))
            if not options.no_reply:
                reply = connection.receive()
                if reply is None:
                    raise Over("the server closed the connection")
                show(reply)
        connection.finish()
        for reply in connection:
            show(reply)


def show(reply: bytes) -> None:
    """Prints a reply."""
    sys.stdout.buffer.write(reply + b"\n")
    sys.stdout.buffer.flush()


def ping(options: argparse.Namespace) -> int:
    """Pings as often as it was asked for, and returns the exit code of the first that failed."""
    code = 0
    for number in range(options.count):
        if number:
            time.sleep(options.interval)
        try:
            ping_once(options)
        except (ConfigError, BrokenPipeError):
            raise
        except (Error, OSError) as error:
            report(options, error)
            code = code or exit_code(options, error)
    return code


def ping_once(options: argparse.Namespace) -> None:
    """Connects, and waits for a sign of life."""
    has_records = options.dialect == COUNTERSIGN and options.records != "off"
    message = options.message
    if message is None and options.dialect != COUNTERSIGN:
        # The server has proved nothing.
        message = "ping"
    begin = time.perf_counter()
    with dial(options) as connection:
        if message is not None:
            connection.send(os.fsencode(message))
            if connection.receive() is None:
                raise Over("the server closed the connection")
        elif has_records:
            connection.ping()
        took = (time.perf_counter() - begin) * 1000
        key = f", key {connection.key_id}" if connection.key_id else ""
    if not options.quiet:
        address = format_address(parse_address(options.address))
        print(f"{address}: {options.dialect}{key}: {took:.2f} ms", flush=True)


def keygen(options: argparse.Namespace) -> None:
    """Prints the id and the fingerprint of the new key, but not the key."""
    names = "dialects", "audience", "not_before", "not_after"
    given = {"dialects": COUNTERSIGN, **vars(options)}
    line = [f"{name.replace('_', '-')}={given[name]}" for name in names if name in given]
    path = options.keys or default_path()
    key = add_key(path, options.id, line)
    print(to_text(key.id), key.fingerprint())
    print(f"added to {path}", file=sys.stderr)


class Handler(StreamRequestHandler):
    """Replies to each message; what has come together is answered together."""

    def reply(self, message: bytes) -> "list[bytes]":
        """What is sent in answer to a message."""
        raise NotImplementedError

    def handle(self) -> None:
        replies: list[bytes] = []
        for message in self.connection:
            replies += self.reply(message)
            if not self.connection.pending:
                self.connection.send(*replies)
                replies = []


class Timestamp(Handler):
    """Puts the time in front, as Python's time.ctime() writes it."""

    def reply(self, message: bytes) -> "list[bytes]":
        return [b"[%s] %s" % (time.ctime().encode(), message)]


class Echo(Handler):
    """Sends back what it gets."""

    def reply(self, message: bytes) -> "list[bytes]":
        return [message]


class Discard(Handler):
    """Sends nothing back."""

    def reply(self, message: bytes) -> "list[bytes]":
        return []


SERVICES = {"timestamp": Timestamp, "echo": Echo, "discard": Discard}


def serve(options: argparse.Namespace) -> None:
    """Serves until a signal says to stop."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    server = Server(
        options.address,
        SERVICES[options.service],
        options.keys,
        handshake_timeout=options.handshake_timeout,
        timeout=options.idle_timeout or None,
        max_connections=options.max_connections,
        max_unauthenticated=options.max_unauthenticated,
        max_per_address=options.max_per_address,
        audiences=options.audience or [b""],
        **protocol(options),
    )
    with server:
        print(f"listening on {server.address}", flush=True)

        def stop(number: int, _: object) -> None:
            # A second one ends the process.
            signal.signal(number, signal.SIG_DFL)
            threading.Thread(target=server.shutdown).start()

        with contextlib.suppress(ValueError):  # Only the main thread handles signals.
            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
        server.serve_forever()
