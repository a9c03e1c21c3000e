"""Received bytes that have not been processed yet."""


class Buffer:
    """A queue of bytes. What one read returned is kept as it is, and copied only if it was cut."""

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def append(self, data: bytes) -> None:
        """Adds what was received."""
        if self._start == len(self._data):
            self._data = bytes(data)
        elif self._start == 0 and isinstance(self._data, bytearray):
            self._data += data
        else:
            self._data = bytearray(self._data[self._start :]) + data
        self._start = 0

    def peek(self, size: int, skip: int = 0) -> bytes:
        """The bytes behind the first `skip`; fewer than `size` if no more are there."""
        start = self._start + skip
        return bytes(self._data[start : start + size])

    def skip(self, size: int) -> None:
        """Drops the first bytes."""
        self._start += size

    def take(self, size: int) -> bytes:
        """Removes the first bytes and returns them."""
        data = self.peek(size)
        self._start += len(data)
        return data

    def find(self, byte: bytes, skip: int = 0) -> int:
        """How many bytes precede the first such byte behind the first `skip`, or -1."""
        found = self._data.find(byte, self._start + skip)
        return -1 if found < 0 else found - self._start

    def clear(self) -> None:
        """Drops everything."""
        self._data, self._start = b"", 0
