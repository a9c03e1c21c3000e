"""Key files: one key a line, `id  encoding:secret  [option=value ...]`, as the program has them.

The secret is written as `hex:`, `base64:`, `text:` or `passphrase:`. The options are
`dialects=NAME,NAME`, `audience=NAME`, `not-before=DATE` and `not-after=DATE`.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import re
import secrets
import time

from .errors import ConfigError, KeyFileError
from .files import locked_beside, read_secret, replace
from .keys import COUNTERSIGN, HEX, MULTIPROCESSING, RAW, Key, KeyRing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterator, Sequence

PASSPHRASE_ROUNDS = 600_000
HEADER = b"# Keys, one a line: id  encoding:secret  [option=value ...]\n"
BOM = b"\xef\xbb\xbf"
# White space as Unicode has it; str.split() takes four control characters for blanks too.
BLANKS = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
DAY = 86400


def read(path: "str | os.PathLike[str]") -> KeyRing:
    """Reads a file that only its owner can read."""
    name = os.fsdecode(path)
    try:
        ring = parse(read_secret(path))
    except KeyFileError as error:
        failure = KeyFileError(f"{name}: {error}")
        failure.is_missing = error.is_missing
        raise failure from None
    if not ring.keys:
        raise KeyFileError(f"{name}: holds no key; add one")
    return ring


def parse(text: bytes) -> KeyRing:
    """Reads the text of a file."""
    ring = KeyRing()
    if text.startswith(BOM):
        text = text[len(BOM) :]
    for number, line in enumerate(text.split(b"\n"), 1):
        try:
            key = parse_line(line)
            if key is not None:
                ring.add(key)
        except ConfigError as error:
            raise KeyFileError(f"line {number}: {error}") from None
    return ring


def parse_line(line: bytes) -> "Key | None":
    """The key of a line; None for a blank line or a comment."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise KeyFileError("the line is not UTF-8; write such a secret as hex:") from None
    fields = [field for field in BLANKS.split(text) if field]
    if not fields or fields[0].startswith("#"):
        return None
    if len(fields) < 2:
        raise KeyFileError("a key needs an id and a secret; write `id  hex:00112233…`")
    key_id, secret, *options = fields
    check_word(key_id, "an id is one printable word of 1 to 64 bytes; choose another")
    return Key(key_id, decode_secret(key_id, secret), **parse_options(options))  # type: ignore[arg-type]


def check_word(word: str, fault: str) -> None:
    """Refuses what has a control character, or a byte order mark, which nobody would see."""
    if any(char < " " or "\x7f" <= char < "\xa0" or char == "\ufeff" for char in word):
        raise KeyFileError(fault)


def decode_secret(key_id: str, field: str) -> bytes:
    """The secret of a field, whose content is never repeated in an error."""
    encoding, colon, text = field.partition(":")
    if not colon or encoding not in ENCODINGS:
        raise KeyFileError(
            "the secret has no encoding; write hex:, base64:, text: or passphrase: before it"
        )
    if not text:
        raise KeyFileError("the secret is empty; use 32 random bytes")
    name, decode = ENCODINGS[encoding]
    try:
        return decode(text, key_id)
    except (ValueError, binascii.Error):
        raise KeyFileError(
            f"the secret is not valid {name}; correct it or choose another encoding"
        ) from None


def from_base64(text: str, key_id: str) -> bytes:
    """Base64, with or without `=` at the end, and with no bits left over."""
    stripped = text.rstrip("=")
    secret = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    padded = base64.b64encode(secret).decode()
    if text not in (padded, padded.rstrip("=")):
        raise ValueError
    return secret


def from_passphrase(text: str, key_id: str) -> bytes:
    """PBKDF2 with the id in the salt; it takes a good part of a second."""
    salt = b"countersign/1 pass" + key_id.encode()
    return hashlib.pbkdf2_hmac("sha256", text.encode(), salt, PASSPHRASE_ROUNDS, 32)


ENCODINGS: "dict[str, tuple[str, Callable[[str, str], bytes]]]" = {
    "hex": ("hexadecimal", lambda text, key_id: bytes.fromhex(text)),
    "base64": ("base64", from_base64),
    "text": ("UTF-8", lambda text, key_id: text.encode()),
    "passphrase": ("UTF-8", from_passphrase),
}


def parse_options(fields: "Sequence[str]") -> "dict[str, object]":
    """The options as arguments of a key. An unknown one may be the rest of a secret."""
    found: dict[str, object] = {}
    for field in fields:
        name, equals, text = field.partition("=")
        if not equals or name not in OPTIONS:
            raise KeyFileError(
                "options are dialects=, audience=, not-before= and not-after=; write a text: "
                "secret with blanks as hex: or base64:"
            )
        value = OPTIONS[name](text)
        argument = name.replace("-", "_")
        if argument in found:
            raise KeyFileError(f"{name}= is given twice; combine the two, or remove one")
        found[argument] = value
    return found


def parse_dialects(text: str) -> "tuple[str, ...]":
    """The names of dialects that take a key."""
    names = text.split(",")
    if not set(names) <= {COUNTERSIGN, RAW, HEX, MULTIPROCESSING}:
        raise KeyFileError(
            "dialects= takes countersign/1, raw, hex and multiprocessing; write one, or several "
            "separated by commas"
        )
    return tuple(names)


def parse_audience(text: str) -> bytes:
    """One printable word."""
    fault = "an audience is one printable word of 1 to 64 bytes; change it"
    check_word(text, fault)
    if not 1 <= len(text.encode()) <= 64:
        raise KeyFileError(fault)
    return text.encode()


def parse_date(name: str, text: str, day_takes: int) -> float:
    """Seconds since 1970. A day is at midnight, UTC, or `day_takes` seconds later."""
    with contextlib.suppress(ValueError):
        if DATE.fullmatch(text):
            return max(0, midnight(text) + day_takes)
        instant = INSTANT.fullmatch(text)
        if instant:
            return max(0, seconds(*instant.groups()))
    raise KeyFileError(
        f"{name}= takes a date; write it as 2027-01-31, or with the time of day as "
        "2027-01-31T12:00:00Z"
    )


def midnight(day: str) -> int:
    """The beginning of a day. The year 0, which datetime lacks, has the days of the year 4."""
    from datetime import date

    year, month, number = (int(part) for part in day.split("-"))
    return (date(year or 4, month, number) - date(1970, 1, 1)).days * DAY


def seconds(
    day: str, hour: str, minute: str, second: str, fraction: str, sign: str, east: str, west: str
) -> float:
    """An instant of RFC 3339."""
    time_of_day = int(hour) * 3600 + int(minute) * 60 + int(second)
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError
    offset = int(east or 0) * 3600 + int(west or 0) * 60
    if int(east or 0) > 23 or int(west or 0) > 59:
        raise ValueError
    return midnight(day) + time_of_day + float(fraction or 0) - offset * (-1 if sign == "-" else 1)


OPTIONS: "dict[str, Callable[[str], object]]" = {
    "dialects": parse_dialects,
    "audience": parse_audience,
    "not-before": lambda text: parse_date("not-before", text, 0),
    "not-after": lambda text: parse_date("not-after", text, DAY),
}


# Where the file is, and adding to it.


def default_path() -> str:
    """The file `keys` among systemd's credentials, else in the user's configuration directory."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and os.path.exists(os.path.join(credentials, "keys")):
        return os.path.join(credentials, "keys")
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "countersign", "keys")


def add_key(path: "str | os.PathLike[str]", key_id: str, options: "Sequence[str]" = ()) -> Key:
    """Adds a fresh random key to a file, which is made if it isn't there.

    `options` are those of the line, such as `dialects=raw,hex`.
    """
    name = os.fsdecode(path)
    fields = [key_id, "hex:" + secrets.token_hex(32), *options]
    if any(BLANKS.search(field) or not field for field in fields):
        raise ConfigError("an id and an option are one word each")
    line = "  ".join(fields).encode()
    key = parse_line(line)
    if key is None:
        raise ConfigError("an id is one printable word of 1 to 64 bytes; choose another")
    os.makedirs(os.path.dirname(name) or ".", mode=0o700, exist_ok=True)
    with changed(name) as lines:
        try:
            ring = parse(b"".join(lines))
        except KeyFileError as error:
            raise KeyFileError(f"{name}: {error}") from None
        if ring.key(key.id):
            raise KeyFileError(f"{name}: there is already a key {key_id}; choose another id")
        lines.append(line + b"\n")
    return key


@contextlib.contextmanager
def changed(path: str) -> "Iterator[list[bytes]]":
    """The text of a file, in pieces that may be added to, under the lock of its new version."""
    real = os.path.realpath(path)
    with locked_beside(real, time.monotonic() + 10) as new:
        try:
            text = read_secret(real)
        except KeyFileError as error:
            if os.path.exists(real):
                raise KeyFileError(f"{path}: {error}") from None
            text = HEADER
        lines = [text if not text or text.endswith(b"\n") else text + b"\n"]
        yield lines
        replace(new, real, b"".join(lines))
