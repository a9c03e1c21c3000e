"""Secret files: the open file is checked and not its name, so it can't be replaced in between."""

import contextlib
import os
import select
import stat
import time

from .errors import ConfigError, KeyFileError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has neither locks of this kind nor modes.
    fcntl = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

LARGEST = 1 << 20
PIPE_TIMEOUT = 5
MISSING = (
    "no such file; `python -m countersign keygen --keys FILE` adds a key on a server; a client "
    "needs a copy of a key's line from there"
)


def read_secret(path: "str | os.PathLike[str]") -> bytes:
    """Reads a regular file or a pipe, of 1 MiB at most, that only its owner can read."""
    try:
        # Opening a pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | NONBLOCK)
    except OSError as error:
        is_missing = isinstance(error, FileNotFoundError)
        failure = KeyFileError(MISSING if is_missing else f"can't be read: {describe(error)}")
        failure.is_missing = is_missing
        raise failure from None
    try:
        status = os.fstat(descriptor)
        is_pipe = stat.S_ISFIFO(status.st_mode)
        if not is_pipe and not stat.S_ISREG(status.st_mode):
            raise KeyFileError("is not a regular file; name one")
        check_access(status)
        text = read_pipe(descriptor) if is_pipe else os.read(descriptor, LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(text) > LARGEST:
        raise KeyFileError("is larger than 1 MiB; name another file")
    if text[:2] in (b"\xff\xfe", b"\xfe\xff") or (len(text) > 1 and (not text[0]) != (not text[1])):
        raise KeyFileError("is UTF-16 text; save it as UTF-8")
    return text


NONBLOCK = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def describe(error: OSError) -> str:
    """What the system says, in lower case as in a sentence."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def check_access(status: os.stat_result) -> None:
    """Refuses a file that others own or can read. Root may let a group of this process read."""
    if not hasattr(os, "geteuid"):  # pragma: no cover - Windows
        return
    owner, mode = status.st_uid, stat.S_IMODE(status.st_mode) & 0o777
    if owner not in (0, os.geteuid()):
        raise KeyFileError(
            f"belongs to the user {owner}, but must belong to root or to the user that reads it "
            f"(user {os.geteuid()}); `chown` it"
        )
    is_lent = owner == 0 and status.st_gid in (os.getegid(), *os.getgroups())
    if mode & (0o037 if is_lent else 0o077):
        raise KeyFileError(f"others have access to it (mode {mode:03o}); `chmod 600` it")


def read_pipe(descriptor: int) -> bytes:
    """Reads to the end of a pipe. A limit for each read alone could be stretched for ever."""
    deadline, text, has_waited = time.monotonic() + PIPE_TIMEOUT, b"", False
    while len(text) <= LARGEST:
        data = read_now(descriptor)
        if data:
            text += data
        elif data is not None and (text or has_waited):
            # Its writer is gone, which select doesn't tell one that came later.
            break
        elif not select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
            if text:
                raise KeyFileError(
                    f"the end of this pipe did not come within {PIPE_TIMEOUT} s; have its writer "
                    "close it, or name a regular file"
                )
            break
        else:
            has_waited = True
    if not text:
        raise KeyFileError(
            "no data arrives from this pipe; a pipe can be read only once, so use a regular file "
            "if it must be read again"
        )
    return text


def read_now(descriptor: int) -> "bytes | None":
    """What is there; b"" if there is no writer, and None if it has written nothing more yet."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None


# Replacing a file as the program does it: under a lock on the new version beside the old one.


@contextlib.contextmanager
def locked_beside(path: str, deadline: float) -> "Iterator[int]":
    """The new version of a file, locked until the end of the block, and removed if it failed."""
    beside = path + ".new"
    while True:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | NONBLOCK | NOFOLLOW, 0o600)
        if lock(descriptor, beside):
            break
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise ConfigError(f"another program is changing {path}; try again later")
        time.sleep(0.01)
    try:
        os.ftruncate(descriptor, 0)
        yield descriptor
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    finally:
        os.close(descriptor)


NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def lock(descriptor: int, path: str) -> bool:
    """Whether the lock was free, and the file is still there: its last holder may have moved it."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise ConfigError(f"cannot make {path}: it is not a regular file of this user; remove it")
    if fcntl is None:  # pragma: no cover - Windows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(status, os.lstat(path))
    except (BlockingIOError, FileNotFoundError):
        return False


def replace(descriptor: int, path: str, text: bytes) -> None:
    """Puts the new version, with this text, in the place of the old one, whose access it takes."""
    while text:
        text = text[os.write(descriptor, text) :]
    mode = 0o600
    if os.path.exists(path) and hasattr(os, "fchown"):
        old = os.stat(path)
        os.fchown(descriptor, old.st_uid, old.st_gid)
        mode = stat.S_IMODE(old.st_mode)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, mode)
    os.fsync(descriptor)
    os.replace(path + ".new", path)
