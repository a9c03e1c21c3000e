"""What a server logs about connections that end badly, with the words of the program.

Peers decide how often they are refused, so there are at most ten such lines a second, and the next
one says how many were suppressed.
"""

import logging
import threading
import time

from .errors import AuthenticationError, Error, HandshakeTimeout, ProtocolError

log = logging.getLogger("countersign")
LINES_PER_SECOND = 10
REFUSALS = AuthenticationError, ProtocolError, HandshakeTimeout


class EventLog:
    """The log of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since, self._lines = 0.0, 0
        """When the current second has begun, and its lines with those suppressed."""

    def ended(self, peer: str, error: BaseException) -> None:
        """A connection has failed. What a peer must not do is a refusal, and a warning."""
        if isinstance(error, REFUSALS):
            suppressed = self._allows(time.monotonic())
            if suppressed is not None:
                log.warning("refused: %s peer=%s (%s)%s", error.name, peer, error, suppressed)
        elif isinstance(error, Error):
            log.info("closed: %s peer=%s (%s)", error.name, peer, error)
        elif isinstance(error, OSError):
            log.info("closed: io-error peer=%s (%s)", peer, error)
        else:
            log.error("closed: service-failure peer=%s", peer, exc_info=error)

    def _allows(self, now: float) -> "str | None":
        """None if a line is one too many, else what follows it."""
        with self._lock:
            suppressed = 0
            if now >= self._since + 1:
                suppressed = max(0, self._lines - LINES_PER_SECOND)
                self._since, self._lines = now, 0
            self._lines += 1
            if self._lines > LINES_PER_SECOND:
                return None
        return f" ({suppressed} similar messages suppressed)" if suppressed else ""
