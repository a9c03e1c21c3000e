"""Mutual authentication with a shared key, and messages that nobody can change."""

from .config import ClientConfig, ServerConfig
from .errors import (
    AuthenticationError,
    ConfigError,
    Error,
    KeyFileError,
    ProtocolError,
    TimedOut,
    Truncated,
)
from .keys import Key, KeyRing
from .session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .aio import open_connection, start_server
    from .connection import Connection, connect
    from .server import Server, StreamRequestHandler

__version__ = "0.1.0"
__all__ = [
    "AuthenticationError",
    "ClientConfig",
    "ConfigError",
    "Connection",
    "Error",
    "Key",
    "KeyFileError",
    "KeyRing",
    "ProtocolError",
    "Server",
    "ServerConfig",
    "Session",
    "StreamRequestHandler",
    "TimedOut",
    "Truncated",
    "connect",
    "open_connection",
    "start_server",
]

# What needs sockets, threads or asyncio is imported when it is first used: MicroPython lacks some
# of these, and others take longer to import than to use.
LAZY = {
    "Connection": "connection",
    "connect": "connection",
    "Server": "server",
    "StreamRequestHandler": "server",
    "open_connection": "aio",
    "start_server": "aio",
}


def __getattr__(name: str) -> object:
    if name not in LAZY:
        raise AttributeError(f"module 'countersign' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("." + LAZY[name], "countersign"), name)
