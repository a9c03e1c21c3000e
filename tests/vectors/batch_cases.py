"""What both must make of batches, in each direction: records with several messages."""
from record_cases import ToClient, ToServer
from wire import BATCH, CLOSE, DATA, PING, PONG, batch, header


def batch_cases():
    for role in (ToServer, ToClient):
        yield from batch_goods(role)
        yield from batch_ends(role)
        yield from batch_faults(role)
        yield from batch_sent(role)


def batch_goods(role):
    r = role()
    first, own = r.first, r.own

    def batched(number, *messages):
        return r.come(first + number, BATCH, batch(messages))

    def taken(name, *messages):
        return r.case(name, [batched(0, *messages)], messages=list(messages))

    two = [b'time', b'date']
    yield taken('a batch of two messages', *two)
    yield taken('a batch of one message', b'time')
    yield taken('a batch of one empty message', b'')
    yield taken('a batch of three messages, the second of which is empty', b'a', b'', b'bc')
    yield taken('a batch of 100 empty messages', *[b''] * 100)
    yield taken('a batch of 20 messages, each a byte longer than the one before',
                *(b'x' * size for size in range(20)))
    yield taken('a message in a batch that looks like a record', r.data(1, b'time'), b'date')
    yield r.case('a batch, a message and a batch in one piece',
                 [batched(0, *two) + r.data(1, b'x') + batched(2, b'', b'y')],
                 messages=two + [b'x', b'', b'y'])
    whole = batched(0, *two)
    yield r.case('a batch cut within a length, a message and the tag',
                 [whole[:5], whole[5:9], whole[9:-3], whole[-3:]], messages=two)
    yield r.case('a batch without the last byte of its tag', [whole[:-1]],
                 note='nothing of it is handed on before its tag is verified')
    yield r.case('pings around a batch',
                 [r.come(first, PING, b'1') + batched(1, *two) + r.come(first + 2, PING, b'2')],
                 out=r.go(own, PONG, b'1') + r.go(own + 1, PONG, b'2'), messages=two)
    small = role(**{r.limit: 1024})
    longest = [b'x' * 502, b'y' * 500]
    yield small.case('the longest batch', [small.come(first, BATCH, batch(longest))],
                     messages=longest)
    yield small.case('a byte more than the longest batch', [header(BATCH, 1025)], 'violation',
                     note='a header is enough: nothing waits for the body')


def batch_ends(role):
    r = role()
    first, own = r.first, r.own
    two = [b'time', b'date']
    whole = r.come(first, BATCH, batch(two))
    yield r.case('a batch and a close', [whole + r.come(first + 1, CLOSE)], 'closed',
                 r.go(own, CLOSE), messages=two)
    yield r.case('the stream ends behind a batch', [whole], 'truncated', then='eof', messages=two)
    yield r.case('the stream ends within a batch', [whole[:-1]], 'truncated', then='eof')
    after = r.come(first + 1, BATCH, batch(two))
    yield r.case('a batch behind a close', [r.come(first, CLOSE) + after], 'violation',
                 closes='never', note='our own close is not sent yet')


def batch_faults(role):
    r = role()
    first = r.first

    def wrong(name, *pieces, messages=()):
        return r.case(name, list(pieces), 'violation', messages=list(messages))

    def malformed(name, payload):
        return wrong(name, r.come(first, BATCH, payload))

    whole = batch([b'time', b'date'])
    yield malformed('an empty batch', b'')
    yield malformed('a batch whose only message overruns by a byte', whole[:6])
    yield malformed('a batch whose second message overruns by a byte', whole[:-1])
    yield malformed('a batch whose message has the longest of lengths', b'\xff\xff\xff' + whole)
    for size in (1, 2):
        yield malformed('a batch with {} byte(s) behind its last message'.format(size),
                        whole + bytes(size))
    yield malformed('a batch of one byte', b'\0')
    sealed = r.come(first, BATCH, whole)

    def flipped(at):
        return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1:]

    yield wrong('a batch with a bit of its tag wrong', flipped(len(sealed) - 1))
    yield wrong('a batch with a bit of a length wrong', flipped(6))
    yield wrong('a batch with a bit of its last message wrong', flipped(len(sealed) - 17))
    yield wrong('a batch made a message', bytes([DATA]) + sealed[1:])
    yield wrong('a message made a batch', bytes([BATCH]) + r.come(first, DATA, whole)[1:])
    yield wrong('a batch replayed', sealed + sealed, messages=[b'time', b'date'])
    yield wrong('a batch dropped', r.come(first + 1, BATCH, whole))
    yield wrong('a batch behind a malformed one', r.come(first, BATCH, b'') +
                r.come(first + 1, BATCH, whole))


def batch_sent(role):
    """What is sent together is one batch, as far as one record takes it."""
    r = role()
    own = r.own

    def sent(name, say, *records, **more):
        out = b''.join(r.go(own + at, *record) for at, record in enumerate(records))
        return r.case(name, [], out=out, say=say, **more)

    two = [b'time', b'date']
    yield sent('one message is sent', [b'time'], (DATA, b'time'))
    yield sent('two messages are sent together', two, (BATCH, batch(two)))
    three = [b'a', b'', b'bc']
    yield sent('three messages are sent together, the second of which is empty', three,
               (BATCH, batch(three)))
    yield sent('two messages and a close are sent together', two, (BATCH, batch(two)),
               (CLOSE, b''), closes='first')
    peer_limit = {'server': 'client_max_record', 'client': 'server_max_record'}[r.role]
    r = role(**{peer_limit: 1024})
    longest = [b'x' * 502, b'y' * 500]
    yield sent('two messages that just fit into the longest batch', longest,
               (BATCH, batch(longest)))
    longer = [b'x' * 502, b'y' * 501]
    yield sent('two messages that are a byte too long for the longest batch', longer,
               (DATA, longer[0]), (DATA, longer[1]))
