"""What a client must make of a server's choices, faults and refusals."""
import wire as c

from exchange import DEFAULTS, Exchange, answer_of, ext, refusal, run_of
from wire import DATA


def client_cases():
    yield from client_choices()
    yield from client_forms()
    yield from client_refusals()
    yield from client_welcomes()


def welcomed(name, **given):
    x = Exchange(**given)
    return x.case(name, [x.sg + x.sh, x.sf], x.ch + x.cf, 'open')


def stops(name, outcome='violation', reply=None, then=None, note=None, **given):
    """CH is all that the client says."""
    x = Exchange(**given)
    more = {word: value for word, value in (('then', then), ('note', note)) if value}
    return x.case(name, [x.sg + (x.sh if reply is None else reply)], x.ch, outcome, **more)


def client_choices():
    yield welcomed('records required, and chosen')
    yield welcomed('records offered, and chosen', client_flags=1)
    yield welcomed('records offered, and not chosen', client_flags=1, server_flags=0)
    yield welcomed('no records offered, and none chosen', client_flags=0, server_flags=0)
    yield stops('records required, and not chosen', server_flags=0)
    yield stops('records chosen, and not offered', client_flags=0)
    yield stops('bit 1 chosen', server_flags=2, client_flags=1)
    yield stops('bits 0 and 1 chosen', server_flags=3)
    yield stops('a bit chosen that nobody knows', server_flags=0x8001)
    yield stops('version 0 chosen', ver=0)
    yield stops('version 2 chosen', ver=2)
    yield stops('status 1 in SH', status=1)
    yield stops('max_record 0 of the server', server_max_record=0)
    yield stops('max_record 1023 of the server', server_max_record=1023)
    yield welcomed('max_record 1024 of the server', server_max_record=1024)
    yield welcomed('max_record 16777216 of the server', server_max_record=0x1000000)
    yield welcomed('max_record 4294967295 of the server', server_max_record=0xffffffff)
    yield stops('the client hears its own instance', 'silent', instance_s=DEFAULTS['instance_c'])
    yield welcomed('an extension offered, and not answered', client_ext=ext(7, b'a'))
    yield welcomed('an extension offered, and answered', client_ext=ext(7, b'a'),
                   server_ext=ext(7, b'bc'))
    yield welcomed('one extension answered of two', client_ext=ext(7, b'a') + ext(8),
                   server_ext=ext(8, b'bc'))
    yield stops('an extension answered that was not offered', server_ext=ext(7))
    yield stops('another extension answered than was offered', client_ext=ext(7),
                server_ext=ext(8))
    yield stops('one extension answered twice', client_ext=ext(7), server_ext=ext(7) + ext(7))
    yield stops('an answered extension overruns', client_ext=ext(7), server_ext=b'\0\7\0\1')


def client_forms():
    x = Exchange()
    f = x.fields
    other = c.extract(run_of(0x20, 32))
    yield stops('a server with another key', 'unproved', Exchange(prk=other).sh)
    yield stops('a server that does not know the kid', 'unproved', Exchange(prk=f['decoy']).sh)
    for bit in (0, 255):
        wrong = bytearray(x.sh)
        wrong[-32 + bit // 8] ^= 0x80 >> bit % 8
        yield stops('mac_s with bit {} wrong'.format(bit), 'unproved', bytes(wrong))
    yield stops('mac_s over another hello', 'unproved', Exchange(client_flags=1).sh)
    yield stops('mac_s over another nonce', 'unproved', Exchange(sg=bytes(32)).sh)
    changed = bytearray(x.sh)
    changed[8] ^= 1
    yield stops('max_record changed on the way', 'unproved', bytes(changed))
    answer = answer_of(f)
    yield stops('SH goes on behind its extensions', answer=answer + b'\0')
    yield stops('SH ends within ext_len', answer=answer[:-1])
    yield stops('the extensions of SH overrun', answer=answer_of(f, ext_len=1))
    yield stops('SH of 31 bytes', reply=c.frame(c.ANSWER, bytes(31)))
    yield stops('SH of no bytes', reply=c.frame(c.ANSWER, b''))
    filled = dict(client_ext=ext(7), server_ext=ext(7, b'x' * 446))
    yield welcomed('SH of 512 bytes', **filled)
    for size in (509, 0xffffff):
        yield stops('SH whose header says {} bytes'.format(size),
                    reply=c.header(c.ANSWER, size), note='a header is enough')
    for type in (0x00, 0x01, 0x04, 0x10):
        yield stops('a frame of type {:02x} in place of SH'.format(type),
                    reply=c.frame(type, x.sh[4:]))
    yield x.case('the stream ends before SG', [], x.ch, 'truncated', then='eof')
    yield x.case('the stream ends within SG', [x.sg[:31]], x.ch, 'truncated', then='eof')
    yield stops('the stream ends behind SG', 'truncated', b'', then='eof')
    yield stops('the stream ends within SH', 'truncated', x.sh[:-1], then='eof')


def client_refusals():
    x = Exchange()
    for code in (1, 2, 3, 4, 5, 0, 6, 255):
        outcome = 'refused: ' + c.REASONS.get(code, 'unknown')
        yield stops('refusal {} in place of SH'.format(code), outcome, refusal(code))
        yield x.case('refusal {} in place of SF'.format(code), [x.sg + x.sh, refusal(code)],
                     x.ch + x.cf, outcome)
    for size in (0, 2):
        yield stops('a refusal of {} bytes in place of SH'.format(size),
                    reply=c.header(c.REFUSAL, size))
        yield x.case('a refusal of {} bytes in place of SF'.format(size),
                     [x.sg + x.sh, c.header(c.REFUSAL, size)], x.ch + x.cf, 'violation')


def client_welcomes():
    x = Exchange()

    def ends(name, sf, outcome='violation', **more):
        return x.case(name, [x.sg + x.sh] + ([sf] if sf else []), x.ch + x.cf, outcome, **more)

    for bit in (0, 127):
        wrong = bytearray(x.sf)
        wrong[5 + bit // 8] ^= 0x80 >> bit % 8
        yield ends('SF whose tag has bit {} wrong'.format(bit), bytes(wrong))
    yield ends('SF with status 1', x.s2c(0, c.ACCEPT, b'\1'))
    yield ends('SF with status 1, and the tag of status 0', x.sf[:4] + b'\1' + x.sf[5:])
    yield ends('SF with number 1', x.s2c(1, c.ACCEPT, b'\0'))
    yield ends('SF with the key of the other direction', x.c2s(0, c.ACCEPT, b'\0'))
    yield ends('SF without a status', x.s2c(0, c.ACCEPT))
    yield ends('SF with two bytes of status', x.s2c(0, c.ACCEPT, b'\0\0'))
    for size in (18, 0xffffff):
        yield ends('SF whose header says {} bytes'.format(size), c.header(c.ACCEPT, size),
                   note='a header is enough')
    yield ends('data in place of SF', x.s2c(0, DATA, b'\0'))
    yield ends('the stream ends in place of SF', b'', 'truncated', then='eof')
    yield ends('the stream ends within SF', x.sf[:-1], 'truncated', then='eof')
    plain = dict(client_flags=0, server_flags=0)
    x = Exchange(**plain)
    yield x.case('lines behind SF, in one segment', [x.sg, x.sh, x.sf + b'ti', b'me\n'],
                 x.ch + x.cf, 'open', messages=[b'time'])
    yield x.case('lines in place of SF', [x.sg + x.sh, b'time\n'], x.ch + x.cf, 'violation')
    x = Exchange(plain='length', **plain)
    yield x.case('length frames behind SF, in one segment',
                 [x.sg + x.sh + x.sf + c.number(4, 4) + b'time'], x.ch + x.cf, 'open',
                 messages=[b'time'])
