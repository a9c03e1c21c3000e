"""The records of countersign/1: tagged or sealed, one message in each or several."""
import hmac

from chacha20poly1305 import seal, unseal
from stream import Failure, Violation

DATA, PING, PONG, CLOSE, BATCH = 0x10, 0x11, 0x12, 0x13, 0x14
RECORD_MOST, BATCH_MOST, PING_MOST, TAG = (1 << 24) - 1, 1 << 14, 125, 16
BATCHES = 'several', 'never', 'only'    # when a batch is sent: if several messages go together


def mac(key, *parts):
    return hmac.new(key, b''.join(parts), 'sha256').digest()


def number(value, size):
    return value.to_bytes(size, 'big')


def header(type, size):
    return number(type, 1) + number(size, 3)


class Tagged:
    """The payload stays readable, and a tag is over the number, the header and the payload."""

    def __init__(self, key):
        self.key = key

    def protect(self, seq, head, payload):
        return payload + mac(self.key, number(seq, 8), head, payload)[:TAG]

    def open(self, seq, head, body):
        """The payload, or None if the tag is wrong."""
        payload = body[:-TAG]
        return payload if hmac.compare_digest(body, self.protect(seq, head, payload)) else None


class Sealed:
    """The payload is encrypted; the header stays readable, and is under the tag."""

    def __init__(self, key):
        self.key = mac(key, b'countersign/1 chacha20-poly1305')

    def protect(self, seq, head, payload):
        return seal(self.key, bytes(4) + number(seq, 8), payload, head)

    def open(self, seq, head, body):
        return unseal(self.key, bytes(4) + number(seq, 8), body, head)


def record(protection, seq, type, payload):
    head = header(type, len(payload) + TAG)
    return head + protection.protect(seq, head, payload)


def batch(messages):
    return b''.join(number(len(message), 3) + message for message in messages)


def unbatch(payload):
    """The messages in it: at least one, and nothing left over."""
    messages, at = [], 0
    while at < len(payload):
        size = int.from_bytes(payload[at:at + 3], 'big')
        at += 3 + size
        if at > len(payload):
            raise Violation('a message overruns its batch')
        messages.append(payload[at - size:at])
    if not messages:
        raise Violation('an empty batch')
    return messages


class Records:
    """Messages, each under a tag over its direction, its number, its type and itself."""

    def __init__(self, stream, secrets, serving, max_out, max_in, sealed=False, batches=BATCHES[0]):
        keys = (secrets.k_s2c, secrets.k_c2s) if serving else (secrets.k_c2s, secrets.k_s2c)
        self.out, self.come = map(Sealed if sealed else Tagged, keys)
        # SF was the server's number 0.
        self.seq_out, self.seq_in = (1, 0) if serving else (0, 1)
        self.stream, self.max_out, self.max_in = stream, max_out, min(max_in, RECORD_MOST)
        self.batches = batches
        self.left = []    # of a batch, what has not been received yet
        self.closing = self.closed = False

    def send(self, *messages):
        """What goes out together is one batch, as far as the peer takes it in one record."""
        for group in self.groups(messages):
            size = len(batch(group)) + TAG
            if len(group) > 1 or self.batches == 'only' and size <= self.max_out:
                self.write(BATCH, batch(group))
            else:
                self.write(DATA, group[0])

    def groups(self, messages):
        most = 0 if self.batches == 'never' else min(self.max_out, BATCH_MOST) - TAG
        group = []
        for message in messages:
            if group and len(batch(group + [message])) > most:
                yield group
                group = []
            group.append(message)
        if group:
            yield group

    def write(self, type, payload):
        if len(payload) + TAG > self.max_out:
            raise Failure('the peer takes no record of {} bytes'.format(len(payload) + TAG))
        self.stream.write(record(self.out, self.seq_out, type, payload))
        self.seq_out += 1

    def close(self):
        """No more will be sent; what the peer still has to say can be received."""
        self.write(CLOSE, b'')
        self.closing = True

    def receive(self):
        """The next message, or None if the peer has closed."""
        while not self.left:
            type, payload = self.read()
            if type == DATA:
                return payload
            if type == BATCH:
                self.left = unbatch(payload)
            if type == CLOSE:
                self.closed = True
                return None
            if type == PING and not self.closing:
                self.write(PONG, payload)
        return self.left.pop(0)

    def read(self):
        head = self.stream.read(4)
        type, size = head[0], int.from_bytes(head[1:], 'big')
        if self.closed or not DATA <= type <= BATCH or not TAG <= size <= self.max_in:
            raise Violation('a record of type {} and {} bytes'.format(type, size))
        payload = self.come.open(self.seq_in, head, self.stream.read(size))
        if payload is None:
            raise Violation('a wrong tag at record {}'.format(self.seq_in))
        if type == CLOSE and payload or type == PING and len(payload) > PING_MOST:
            raise Violation('a close or a ping of {} bytes'.format(len(payload)))
        self.seq_in += 1
        return type, payload
