"""The command line: verbs and options of the program, whose values are read as it reads them."""

import argparse
import os
import re

from . import __version__
from .config import DIALECTS, FRAMINGS, MACS, PROTECTIONS, check_audience
from .errors import ConfigError, KeyFileError
from .key_file import parse_dialects, parse_options
from .keys import COUNTERSIGN, HEX, RAW, Key
from .server import MAX_CONNECTIONS, MAX_UNAUTHENTICATED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, List

DEFAULT = "127.0.0.1:9527"
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
SCALES = {"": 0, "k": 1, "m": 2, "g": 3}


def parser(verbs: "Any") -> argparse.ArgumentParser:
    """The command line, whose verbs are functions of `verbs`."""
    top = argparse.ArgumentParser(
        prog="python -m countersign",
        description="Mutual authentication with a shared key, and messages that nobody can change",
    )
    top.add_argument("-V", "--version", action="version", version=f"countersign {__version__}")
    made = top.add_subparsers(metavar="VERB", required=True)
    add_connect(
        add_verb(made, "connect", verbs.converse, "Connect to a server and exchange messages")
    )
    serve = add_verb(made, "serve", verbs.serve, "Serve clients that hold a key")
    add_serve(serve, verbs.SERVICES)
    add_ping(add_verb(made, "ping", verbs.ping, "Check whether a server works"))
    add_keygen(add_verb(made, "keygen", verbs.keygen, "Add a fresh random key to the key file"))
    return top


class HelpFormatter(argparse.HelpFormatter):
    """Shows defaults that are values, as the program does."""

    def _get_help_string(self, action: argparse.Action) -> str:
        has_value = type(action.default) in (str, int) and action.default != argparse.SUPPRESS
        return (action.help or "") + (" [default: %(default)s]" if has_value else "")


def add_verb(verbs: "Any", name: str, run: "Callable[..., object]", text: str) -> "Any":
    """A parser for a verb."""
    made = verbs.add_parser(
        name,
        help=text,
        description=text,
        formatter_class=HelpFormatter,
    )
    made.set_defaults(run=run)
    return made


def add_connect(made: argparse.ArgumentParser) -> None:
    """The options of `connect`."""
    add_client(made)
    made.add_argument(
        "--timeout",
        type=duration("1ms", or_never=True),
        metavar="TIME",
        default="10s",
        help="for connecting, and for each reply; 0s for no limit",
    )
    made.add_argument(
        "--no-reply", action="store_true", help="don't wait for replies, until the end of input"
    )
    add_protocol(made)


def add_serve(made: argparse.ArgumentParser, services: "Iterable[str]") -> None:
    """The options of `serve`."""
    made.add_argument(
        "--bind", dest="address", metavar="ADDR", default=DEFAULT, help="address to listen on"
    )
    made.add_argument("--service", choices=services, default="timestamp", help="what it does")
    for name, default, text in (
        ("--max-connections", MAX_CONNECTIONS, "open connections"),
        ("--max-unauthenticated", MAX_UNAUTHENTICATED, "those that have not authenticated"),
        (
            "--max-per-address",
            None,
            "the same for one IPv4 address or IPv6 /64 [default: half of --max-unauthenticated]",
        ),
    ):
        made.add_argument(name, type=count("1", "10m"), metavar="N", default=default, help=text)
    made.add_argument(
        "--handshake-timeout",
        type=duration("1ms"),
        metavar="TIME",
        default="5s",
        help="to authenticate",
    )
    made.add_argument(
        "--idle-timeout",
        type=duration("1ms", or_never=True),
        metavar="TIME",
        default="5m",
        help="for each message; 0s for no limit",
    )
    add_protocol(made)


def add_ping(made: argparse.ArgumentParser) -> None:
    """The options of `ping`."""
    add_client(made)
    made.add_argument(
        "--timeout", type=duration("1ms"), metavar="TIME", default="2s", help="for one ping"
    )
    made.add_argument(
        "-c", "--count", type=count("1", "1g"), metavar="N", default=1, help="number of pings"
    )
    made.add_argument(
        "-i",
        "--interval",
        type=duration("0s"),
        metavar="TIME",
        default="1s",
        help="pause between pings",
    )
    made.add_argument(
        "--message",
        metavar="TEXT",
        help="send this and wait for the reply [default: `ping`, in raw, hex and open]",
    )
    made.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing, only set the exit code"
    )
    add_protocol(made)


def add_keygen(made: argparse.ArgumentParser) -> None:
    """The options of `keygen`."""
    made.add_argument(
        "id", metavar="ID", nargs="?", default="default", type=key_id, help="id of the key"
    )
    for name, metavar, text in (
        ("dialects", "LIST", "dialects that the key is valid for"),
        ("audience", "NAME", "the only audience that the key is valid for"),
        ("not-before", "DATE", "the key is valid from this date"),
        ("not-after", "DATE", "the key is valid until this date, which is included"),
    ):
        made.add_argument(
            "--" + name,
            type=dialects if name == "dialects" else key_option(name),
            metavar=metavar,
            help=text,
            default=argparse.SUPPRESS,
        )
    add_keys(made)


def add_client(made: argparse.ArgumentParser) -> None:
    """What the verbs of a client share."""
    made.add_argument(
        "address",
        metavar="ADDRESS",
        nargs="?",
        default=DEFAULT,
        help="HOST:PORT, HOST, PORT or unix:/PATH",
    )
    made.add_argument(
        "--key",
        metavar="ID",
        help="id of the key to authenticate with [default: the first key for the dialect]",
    )


def add_protocol(made: argparse.ArgumentParser) -> None:
    """What must be the same at both ends."""
    group = made.add_argument_group("Protocol (the same at both ends)")
    group.add_argument("--dialect", choices=DIALECTS, default=COUNTERSIGN, help="the handshake")
    group.add_argument(
        "--records", choices=PROTECTIONS, default="required", help="protection of each message"
    )
    group.add_argument(
        "--audience",
        type=audiences,
        metavar="NAME",
        default=[],
        help="name of the service; a server can have several, separated by commas [default: none]",
    )
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
    default = os.environ.get("COUNTERSIGN_KEYS")
    place = "" if default else " [default: countersign/keys in the user's configuration directory]"
    group.add_argument("--keys", metavar="FILE", default=default, help="the key file" + place)


def check(options: argparse.Namespace) -> None:
    """Refuses options that can't be combined."""
    if not hasattr(options, "dialect"):
        return
    if options.audience and options.dialect != COUNTERSIGN:
        raise ConfigError("--audience is for countersign/1; remove it")
    if options.mac != "sha256" and options.dialect not in (RAW, HEX):
        raise ConfigError("--mac is for raw and hex; remove it")
    is_protected = options.dialect != COUNTERSIGN or options.records in ("required", "sealed")
    if options.framing == "chunks" and not is_protected:
        raise ConfigError(
            "in countersign/1, --framing chunks needs records; write --framing lines or length, or "
            "remove --records"
        )


# The values.


def count(least: str, most: str) -> "Callable[[str], int]":
    """Reads a number of things; k, m and g are powers of 1000."""
    return scaled(1000, least, most, f"write a number from {least} to {most}, like 500 or 10k")


def scaled(kilo: int, least: str, most: str, remedy: str) -> "Callable[[str], int]":
    """Reads a number that may have a unit."""

    def value(text: str) -> int:
        found = re.fullmatch(r"(\d+)([kmg]?)", text.lower(), re.ASCII)
        return int(found[1]) * kilo ** SCALES[found[2]] if found else -1

    def read(text: str) -> int:
        if not value(least) <= value(text) <= value(most):
            raise argparse.ArgumentTypeError(remedy)
        return value(text)

    return read


size = scaled(1024, "1", "1g", "write a size from 1 to 1g, like 4096, 64k or 1m")


def duration(least: str, or_never: bool = False) -> "Callable[[str], float]":
    """Reads a time such as `1h 30m`, in seconds."""
    remedy = f"write a time from {least} to 48d, like 500ms, 5s or 1h"

    def value(text: str) -> float:
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text, re.ASCII)
        if "".join(number + unit for number, unit in parts) != "".join(text.split()) or not parts:
            return 0 if text == "0" else -1
        return sum(float(number) * UNITS.get(unit, -1e9) for number, unit in parts)

    def read(text: str) -> float:
        seconds = value(text)
        if or_never and seconds == 0:
            return 0
        if not value(least) <= seconds <= value("48d"):
            raise argparse.ArgumentTypeError(remedy + (", or 0s for none" if or_never else ""))
        return seconds

    return read


def audiences(text: str) -> "List[str]":
    """Reads the names of services."""
    names = text.split(",")
    try:
        if all(check_audience(name) for name in names):
            return names
    except ConfigError:
        pass
    raise argparse.ArgumentTypeError("a name has 1 to 64 bytes")


def key_id(text: str) -> str:
    """Reads the id of a new key."""
    try:
        if len(text.split()) == 1 and text.isprintable() and not text.startswith("#"):
            return Key(text, bytes(range(32))).id.decode()
    except ConfigError:
        pass
    raise argparse.ArgumentTypeError("an id is one printable word of 1 to 64 bytes; choose another")


def dialects(text: str) -> str:
    """Reads the dialects of a new key."""
    try:
        parse_dialects(text)
    except KeyFileError:
        remedy = "write countersign/1, raw, hex or multiprocessing, separated by commas"
        raise argparse.ArgumentTypeError(remedy) from None
    return text


def key_option(name: str) -> "Callable[[str], str]":
    """Reads an option of a key as a key file does."""

    def read(text: str) -> str:
        if len(text.split()) != 1:
            raise argparse.ArgumentTypeError("write one word")
        try:
            parse_options([f"{name}={text}"])
        except KeyFileError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return text

    return read
