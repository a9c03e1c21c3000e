"""A socket with exact reads and deadlines, and the framings that need nothing else."""
import socket
import struct
import time

HANDSHAKE, IDLE, DRAIN = 10, 30, 1    # seconds
MESSAGE_MAX, DRAIN_MAX = 1 << 20, 4096


class Failure(Exception):
    """How a connection may end, other than well; `exit` is what the command makes of it."""
    exit = 1


class Truncated(Failure):
    """The stream ended where more was due."""
    exit = 74


class Violation(Failure):
    """The peer broke the protocol."""
    exit = 76


class Stream:
    """The handshake has one deadline for all of it; after that, each read has one of its own."""

    def __init__(self, sock):
        self.sock, self.inbox = sock, b''
        self.deadline = time.monotonic() + HANDSHAKE

    def fill(self):
        """Waits for more; false if nothing will come."""
        left = self.deadline - time.monotonic() if self.deadline else IDLE
        self.sock.settimeout(max(left, 0.001))
        got = self.sock.recv(1 << 16)
        self.inbox += got
        return bool(got)

    def read(self, size):
        while len(self.inbox) < size:
            if not self.fill():
                raise Truncated('the peer closed the connection')
        taken, self.inbox = self.inbox[:size], self.inbox[size:]
        return taken

    def line(self):
        while b'\n' not in self.inbox and len(self.inbox) <= MESSAGE_MAX and self.fill():
            pass
        return self.read(self.inbox.find(b'\n') + 1 or len(self.inbox))

    def at_end(self):
        return not self.inbox and not self.fill()

    def write(self, data):
        self.sock.sendall(data)

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def hang_up(self):
        """A close with unread input resets the connection, and the last words may be lost."""
        self.deadline = time.monotonic() + DRAIN
        try:
            self.finish()
            self.read(DRAIN_MAX)
        except (OSError, Truncated):
            pass
        self.sock.close()


class Plain:
    """Messages that nothing protects, nor their end."""

    left = ()    # no two come together

    def __init__(self, stream):
        self.stream, self.end = stream, b'\n'

    def close(self):
        self.stream.finish()


class Lines(Plain):
    """LF or CRLF; a reply ends as its request did, and the last line may have no end."""

    def send(self, *messages):
        self.stream.write(b''.join(message + self.end for message in messages))

    def receive(self):
        line = self.stream.line()
        message = line[:-1] if line.endswith(b'\n') else line
        message = line[:-2] if line.endswith(b'\r\n') else message
        self.end = line[len(message):]
        return message if line else None


class Lengths(Plain):
    """Four bytes of length, and the message."""

    def send(self, *messages):
        framed = (struct.pack('>i', len(message)) + message for message in messages)
        self.stream.write(b''.join(framed))

    def receive(self):
        if self.stream.at_end():
            return None
        size, = struct.unpack('>i', self.stream.read(4))
        if not 0 <= size <= MESSAGE_MAX:
            raise Violation('a length of {}'.format(size))
        return self.stream.read(size)


PLAIN = {'lines': Lines, 'length': Lengths}
