"""Mutual authentication with a shared key, and messages that nobody can change."""

from .config import ClientConfig, ServerConfig
from .errors import Error
from .keys import Key, KeyRing
from .session import Session

__version__ = "0.1.0"
__all__ = ["ClientConfig", "Error", "Key", "KeyRing", "ServerConfig", "Session"]
