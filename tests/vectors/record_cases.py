"""What both must make of records, in each direction: after SF there is no other word."""
import wire as c

from exchange import Exchange, refusal
from wire import CLOSE, DATA, PING, PONG


def record_cases():
    for role in (ToServer, ToClient):
        yield from record_goods(role)
        yield from record_ends(role)
        yield from record_faults(role)
    yield from client_only()
    yield from server_only()


class ToServer:
    """Records that come from a client."""
    role, limit = 'server', 'server_max_record'

    def __init__(self, **given):
        self.x = x = Exchange(**given)
        self.prefix = 'to the {}{}: '.format(self.role, ', sealed' * x.is_sealed)
        self.first, self.own = 0, 1
        self.come, self.go = x.c2s, x.s2c
        self.handshake, self.said = [x.ch, x.cf], x.sg + x.sh + x.sf

    def data(self, number, payload):
        return self.come(self.first + number, DATA, payload)

    def case(self, name, pieces, outcome='open', out=b'', **more):
        return self.x.case(self.prefix + name, self.handshake + pieces, self.said + out, outcome,
                           role=self.role, **more)


class ToClient(ToServer):
    """Records that come from a server: SF was its first."""
    role, limit = 'client', 'client_max_record'

    def __init__(self, **given):
        super().__init__(**given)
        x = self.x
        self.first, self.own = 1, 0
        self.come, self.go = x.s2c, x.c2s
        self.handshake, self.said = [x.sg + x.sh, x.sf], x.ch + x.cf


def record_goods(role):
    r = role()
    first, own = r.first, r.own
    time, date = r.data(0, b'time'), r.data(1, b'date')
    yield r.case('a message', [time], messages=[b'time'])
    yield r.case('an empty message', [r.data(0, b'')], messages=[b''])
    yield r.case('two messages in one piece', [time + date], messages=[b'time', b'date'])
    yield r.case('a message cut within its header and its tag', [time[:2], time[2:-1], time[-1:]],
                 messages=[b'time'])
    yield r.case('half a message', [time + date[:-1]], messages=[b'time'])
    yield r.case('an empty ping', [r.come(first, PING)], out=r.go(own, PONG))
    longest = bytes(range(125))
    yield r.case('a ping of 125 bytes', [r.come(first, PING, longest)],
                 out=r.go(own, PONG, longest))
    yield r.case('two pings and a message',
                 [r.come(first, PING, b'1') + r.come(first + 1, PING, b'2') + r.data(2, b'x')],
                 out=r.go(own, PONG, b'1') + r.go(own + 1, PONG, b'2'), messages=[b'x'])
    yield r.case('a pong that nobody asked for, and a message',
                 [r.come(first, PONG, b'?'), date], messages=[b'date'])
    small = role(**{r.limit: 1024})
    yield small.case('the longest message', [small.data(0, b'x' * 1008)],
                     messages=[b'x' * 1008])
    yield small.case('a byte more than the longest message', [c.header(DATA, 1025)],
                     'violation', note='a header is enough: nothing waits for the body')


def record_ends(role):
    r = role()
    first, own = r.first, r.own
    close = r.come(first, CLOSE)
    after = r.come(first + 1, CLOSE)
    yield r.case('a close', [close], 'closed', r.go(own, CLOSE))
    yield r.case('a message and a close', [r.data(0, b'time') + after], 'closed',
                 r.go(own, CLOSE), messages=[b'time'])
    yield r.case('a ping and a close', [r.come(first, PING) + after], 'closed',
                 r.go(own, PONG) + r.go(own + 1, CLOSE))
    yield r.case('a close, which waits for its answer', [close], closes='never')
    yield r.case('the stream ends behind the handshake', [], 'truncated', then='eof')
    yield r.case('the stream ends behind a message', [r.data(0, b'time')], 'truncated', then='eof',
                 messages=[b'time'])
    yield r.case('the stream ends within a message', [r.data(0, b'time')[:-1]], 'truncated',
                 then='eof')
    for what, record in (('a message', r.data(1, b'time')), ('a ping', r.come(first + 1, PING)),
                         ('a pong', r.come(first + 1, PONG)), ('another close', after)):
        yield r.case(what + ' behind a close', [close + record], 'violation', closes='never',
                     note='our own close is not sent yet')


def record_faults(role):
    r = role()
    first = r.first
    time, date = r.data(0, b'time'), r.data(1, b'date')

    def wrong(name, *pieces, **more):
        return r.case(name, list(pieces), 'violation', **more)

    def flipped(record, at, bit=1):
        return record[:at] + bytes([record[at] ^ bit]) + record[at + 1:]

    yield wrong('a tag with its first bit wrong', flipped(time, 8, 0x80))
    yield wrong('a tag with its last bit wrong', flipped(time, -1 + len(time)))
    yield wrong('a payload with a bit wrong', flipped(time, 4))
    yield wrong('a message made a ping', flipped(time, 0))
    yield wrong('a pong with a wrong tag', flipped(r.come(first, PONG), 19))
    yield wrong('a close with a wrong tag', flipped(r.come(first, CLOSE), 19))
    yield wrong('a message replayed', time + time, messages=[b'time'])
    yield wrong('two messages swapped', date + time)
    yield wrong('a message dropped', date)
    yield wrong('a message dropped after another', time + r.data(2, b'x'), messages=[b'time'])
    yield wrong('its own direction, reflected', r.go(first, DATA, b'time'))
    for size in (0, 15):
        yield wrong('a record of {} bytes'.format(size), c.frame(DATA, bytes(size)))
    for size in (1, 14, 16385, 0xffffff):
        yield wrong('a record of {} bytes'.format(size), c.header(DATA, size),
                    note='a header is enough: nothing waits for the body')
    for type in (0x00, 0x01, 0x03, 0x04, 0x05, 0x0f, 0x15, 0xff):
        yield wrong('a record of type {:02x}'.format(type), r.come(first, type, b'\0'))
    yield wrong('a refusal', refusal(2))
    yield wrong('a close with a payload', r.come(first, CLOSE, b'\0'))
    yield wrong('a ping of 126 bytes', r.come(first, PING, bytes(126)))
    yield wrong('a line', b'time\n')


def client_only(role=ToClient):
    r = role()
    x = r.x
    time = x.c2s(0, DATA, b'time')
    yield r.case('a reply', [x.s2c(1, DATA, b'now')], out=time, say=[b'time'],
                 messages=[b'now'])
    yield r.case('its own message, reflected', [time], 'violation', out=time, say=[b'time'])
    yield r.case('SF again', [x.sf], 'violation')
    yield r.case('a message with the number of SF', [x.s2c(0, DATA, b'now')], 'violation')
    yield x.case(r.prefix + 'a message in the segment of SF',
                 [x.sg + x.sh, x.sf + x.s2c(1, DATA)], x.ch + x.cf, 'open', role='client',
                 messages=[b''])
    closed = time + x.c2s(1, CLOSE)
    both = dict(say=[b'time'], closes='first')
    yield r.case('a reply and a close, after its own close',
                 [x.s2c(1, DATA, b'now'), x.s2c(2, CLOSE)], 'closed', closed,
                 messages=[b'now'], **both)
    yield r.case('a ping after its own close is not answered',
                 [x.s2c(1, PING, b'?'), x.s2c(2, CLOSE)], 'closed', closed, **both)
    yield r.case('the stream ends after its own close', [x.s2c(1, DATA, b'now')], 'truncated',
                 closed, messages=[b'now'], then='eof', **both)


def server_only(role=ToServer):
    r = role()
    x = r.x
    yield x.case(r.prefix + 'a message in the segment of the proof',
                 [x.ch, x.cf + x.c2s(0, DATA, b'time')], r.said, 'open', role='server',
                 messages=[b'time'])
