"""The verbs connect, serve, ping and keygen, with the options of the program `countersign`."""

import argparse
import contextlib
import logging
import os
import re
import signal
import sys
import threading
import time

from . import __version__
from .config import DIALECTS, FRAMINGS, MACS, PROTECTIONS
from .connection import Connection, connect
from .endpoint import format_address, parse_address
from .errors import (
    AuthenticationError,
    ConfigError,
    Error,
    KeyFileError,
    Over,
    ProtectionMismatch,
    ProtocolError,
    TimedOut,
    Truncated,
    Unsendable,
)
from .key_file import add_key, default_path
from .keys import COUNTERSIGN, to_text
from .server import MAX_CONNECTIONS, MAX_UNAUTHENTICATED, Server, StreamRequestHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

DEFAULT = "127.0.0.1:9527"
# As sysexits(3) has them; the first class that fits counts.
EXITS = (
    (ProtectionMismatch, 77),
    (AuthenticationError, 77),
    (ProtocolError, 76),
    (Truncated, 76),
    (TimedOut, 69),
    (Over, 69),
    (KeyFileError, 65),
    (ConfigError, 78),
    (Unsendable, 1),
)
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20}


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Runs a command, and returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
        return 0
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Nobody reads what is printed, and the interpreter must not try again when it ends.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 74
    except (Error, OSError) as error:
        print(f"countersign: {describe(options, error)}", file=sys.stderr)
        return exit_code(error)


def exit_code(error: Exception) -> int:
    """What tells a script the kind of an error."""
    if isinstance(error, KeyFileError) and error.is_missing:
        return 66
    return next((code for kind, code in EXITS if isinstance(error, kind)), 69)


def describe(options: "argparse.Namespace", error: Exception) -> str:
    """What happened, at which address, and the remedy."""
    if isinstance(error, ConfigError) or options.run is keygen:
        return str(error)
    if not isinstance(error, OSError):
        return f"{options.address}: {error}"
    remedy = "; is the server running?" if isinstance(error, ConnectionRefusedError) else ""
    text = error.strerror or str(error)
    what = "bind" if options.run is serve else "connect to"
    return f"cannot {what} {options.address}: {text[:1].lower()}{text[1:]}{remedy}"


# The options.


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m countersign",
        description="Mutual authentication with a shared key, and messages that nobody can change",
    )
    top.add_argument("-V", "--version", action="version", version=f"countersign {__version__}")
    verbs = top.add_subparsers(metavar="VERB", required=True)
    add_connect(verbs)
    add_serve(verbs)
    add_ping(verbs)
    add_keygen(verbs)
    return top


def verb(verbs: "Any", name: str, run: "Callable[..., None]", text: str) -> argparse.ArgumentParser:
    """A parser for a verb."""
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=text,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.set_defaults(run=run)
    return made


def add_connect(verbs: "Any") -> None:
    """`connect` and its options."""
    made = verb(verbs, "connect", converse, "Connect to a server and exchange messages")
    add_client(made, 10)
    made.add_argument(
        "--no-reply", action="store_true", help="don't wait for replies, until the end of input"
    )
    add_protocol(made)


def add_serve(verbs: "Any") -> None:
    """`serve` and its options."""
    made = verb(verbs, "serve", serve, "Serve clients that hold a key")
    made.add_argument(
        "--bind", dest="address", metavar="ADDR", default=DEFAULT, help="address to listen on"
    )
    made.add_argument("--service", choices=SERVICES, default="timestamp", help="what it does")
    made.add_argument(
        "--max-connections", type=int, metavar="N", default=MAX_CONNECTIONS, help="at once"
    )
    made.add_argument(
        "--max-unauthenticated",
        type=int,
        metavar="N",
        default=MAX_UNAUTHENTICATED,
        help="of these, before they have authenticated",
    )
    made.add_argument(
        "--max-per-address",
        type=int,
        metavar="N",
        help="the same for one IPv4 address or IPv6 /64; half of --max-unauthenticated",
    )
    made.add_argument(
        "--handshake-timeout", type=duration, metavar="TIME", default="5s", help="to authenticate"
    )
    made.add_argument(
        "--idle-timeout", type=duration, metavar="TIME", default="5m", help="for each message"
    )
    add_protocol(made)


def add_ping(verbs: "Any") -> None:
    """`ping` and its options."""
    made = verb(verbs, "ping", ping, "Check whether a server works")
    add_client(made, 2)
    made.add_argument("-c", "--count", type=int, metavar="N", default=1, help="number of pings")
    made.add_argument(
        "-i", "--interval", type=duration, metavar="TIME", default="1s", help="pause between pings"
    )
    made.add_argument("--message", metavar="TEXT", help="send this and wait for the reply")
    made.add_argument("-q", "--quiet", action="store_true", help="only set the exit code")
    add_protocol(made)


def add_keygen(verbs: "Any") -> None:
    """`keygen` and its options."""
    made = verb(verbs, "keygen", keygen, "Add a fresh random key to the key file")
    made.add_argument("id", metavar="ID", nargs="?", default="default", help="id of the key")
    for name, metavar, text in (
        ("dialects", "LIST", "dialects that the key is valid for"),
        ("audience", "NAME", "the only audience that the key is valid for"),
        ("not-before", "DATE", "the key is valid from this date"),
        ("not-after", "DATE", "the key is valid until this date, which is included"),
    ):
        made.add_argument("--" + name, metavar=metavar, help=text, default=argparse.SUPPRESS)
    add_keys(made)


def add_client(made: argparse.ArgumentParser, timeout: int) -> None:
    """What the verbs of a client share."""
    made.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        default=DEFAULT,
        help="HOST:PORT, HOST, PORT or unix:/PATH",
    )
    made.add_argument("--key", metavar="ID", help="id of the key to authenticate with")
    made.add_argument(
        "--timeout", type=duration, metavar="TIME", default=f"{timeout}s", help="0s for no limit"
    )


def add_protocol(made: argparse.ArgumentParser) -> None:
    """What must be the same at both ends."""
    group = made.add_argument_group("Protocol (the same at both ends)")
    group.add_argument("--dialect", choices=DIALECTS, default=COUNTERSIGN, help="the handshake")
    group.add_argument(
        "--records", choices=PROTECTIONS, default="required", help="protection of each message"
    )
    group.add_argument("--audience", metavar="NAME", default="", help="name of the service")
    group.add_argument(
        "--framing", choices=FRAMINGS, default="lines", help="how messages are delimited"
    )
    group.add_argument(
        "--mac", choices=MACS, default="sha256", help="hash function, in raw and hex"
    )
    group.add_argument(
        "--message-max", type=size, metavar="SIZE", default="64k", help="maximum of a message"
    )
    add_keys(group)


def add_keys(group: "Any") -> None:
    """Where the keys are."""
    group.add_argument(
        "--keys", metavar="FILE", default=os.environ.get("COUNTERSIGN_KEYS"), help="the key file"
    )


def duration(text: str) -> float:
    """Seconds, from a number with the unit ms, s, m or h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not found:
        raise argparse.ArgumentTypeError("write a time such as 500ms, 10s, 5m or 1h")
    return float(found[1]) * UNITS[found[2]]


def size(text: str) -> int:
    """Bytes, from a number that may have the unit k or m."""
    found = re.fullmatch(r"(\d+)([km]?)", text)
    if not found:
        raise argparse.ArgumentTypeError("write a size such as 500, 64k or 1m")
    return int(found[1]) * SIZES[found[2]]


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
        audience=options.audience,
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


def ping(options: argparse.Namespace) -> None:
    """Connects, and waits for a sign of life."""
    for number in range(options.count):
        if number:
            time.sleep(options.interval)
        begin = time.perf_counter()
        with dial(options) as connection:
            if options.message is not None:
                connection.send(os.fsencode(options.message))
                if connection.receive() is None:
                    raise Over("the server closed the connection")
            elif options.dialect == COUNTERSIGN and options.records != "off":
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
        audiences=[options.audience],
        **protocol(options),
    )
    with server:
        print(f"listening on {server.address}", flush=True)

        def stop(*_: object) -> None:
            threading.Thread(target=server.shutdown).start()

        with contextlib.suppress(ValueError):  # Only the main thread handles signals.
            signal.signal(signal.SIGTERM, stop)
        server.serve_forever()
