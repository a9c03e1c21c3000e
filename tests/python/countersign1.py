#!/usr/bin/env python3
"""countersign/1 in plain Python: client and server, from the first byte to the authenticated close.

    countersign1.py client HOST:PORT --kid ID --key-hex HEX    each line of stdin is a message
    countersign1.py server HOST:PORT --kid ID --key-hex HEX    each comes back with a time in front

    C→S  CH = MAGIC, frame(HELLO, versions, flags, max_record, nonce_c, instance_c, kid, aud, ext)
    S→C  SG = nonce_s
    S→C  SH = frame(ANSWER, version, status, flags, max_record, instance_s, ext, mac_s)
    C→S  CF = frame(PROOF, mac_c)
    S→C  SF = record 0 of the server's: WELCOME, status
         records both ways; or lines or length frames, if records are not chosen

Written from the protocol's page alone, to check the other implementation and to be read beside it.
A test's peer: a real program keeps its key out of its arguments, where others can read it.
Exit codes of the client: 69 nobody listens, 74 truncated, 75 timed out, 76 the server broke the
protocol, 77 the server refused, 80 the server did not prove that it knows the key.
"""
import argparse
import hashlib
import hmac
import itertools
import os
import socket
import sys
import threading
import time

from records import BATCHES, RECORD_MOST, Records, Tagged, header, mac, number, record
from stream import HANDSHAKE, PLAIN, Truncated, Failure, Stream, Violation

MAGIC = b'\x9ecsgn/1\n'
HELLO, ANSWER, PROOF, WELCOME, REFUSAL = 1, 2, 3, 4, 5
# What a frame may measure behind its header: CH, with its magic, and SH have 512 bytes at most.
SIZES = {HELLO: range(501), ANSWER: range(58, 509), PROOF: [32], WELCOME: [17], REFUSAL: [1]}
REASONS = {1: 'version', 2: 'refused', 3: 'busy', 4: 'malformed', 5: 'timeout'}
RECORDS, REQUIRED = 1, 2    # the flags
SEALING, CHACHA20_POLY1305 = 1, 1    # an extension, and the one suite that there is for it
RECORD_LEAST = 1024


class Unproved(Failure):
    """The server does not know the key, or what was said has been changed on the way."""
    exit = 80


class Silenced(Failure):
    """A foreign opening, or ourselves at the other end: nothing more is said."""
    exit = 76


class Refused(Failure):
    """The server says no. To a client this is a hint, which anybody may have sent."""
    exit = 77

    def __init__(self, code, why='refused by the server'):
        self.code, self.reason = code, REASONS.get(code, 'unknown')
        super().__init__('{}: code {}, {}'.format(why, code, self.reason))


# What both ends derive from the key and from all that was said.


def extract(key):
    """HKDF-Extract, once for each key."""
    return mac(b'countersign/1 psk', key)


def expand(prk, info, length):
    """HKDF-Expand."""
    okm = block = b''
    while len(okm) < length:
        block = mac(prk, block, info, bytes([len(okm) // 32 + 1]))
        okm += block
    return okm[:length]


class Secrets:
    """A key for each purpose and direction, and the two proofs, which sign the whole transcript."""

    def __init__(self, prk, sg, ch, sh_unsigned):
        self.th = hashlib.sha256(b'countersign/1 th' + sg + ch + sh_unsigned).digest()
        okm = expand(prk, b'countersign/1 keys' + self.th, 160)
        keys = (okm[at:at + 32] for at in range(0, 160, 32))
        self.ks_fin, self.kc_fin, self.k_s2c, self.k_c2s, self.exporter = keys
        self.mac_s = mac(self.ks_fin, b'countersign/1 server', self.th)
        self.mac_c = mac(self.kc_fin, b'countersign/1 client', self.th, self.mac_s)


# What travels.


def frame(type, body):
    return header(type, len(body)) + body


def welcome(secrets, status=b'\0'):
    """SF: the server's record 0, which has a tag whatever comes after it."""
    return record(Tagged(secrets.k_s2c), 0, WELCOME, status)


def extensions(values):
    ext = b''.join(number(id, 2) + number(len(v), 2) + v for id, v in sorted(values.items()))
    return number(len(ext), 2) + ext


def take_frame(stream, *types):
    """The next frame, of one of these types. Its header is judged before the body is waited for."""
    head = stream.read(4)
    type, size = head[0], int.from_bytes(head[1:], 'big')
    if type not in types or size not in SIZES[type]:
        raise Violation('a frame of type {} and {} bytes'.format(type, size))
    return head + stream.read(size)


class Body:
    """Takes the body of a frame apart, from front to back."""

    def __init__(self, data):
        self.data = data

    def take(self, size):
        if len(self.data) < size:
            raise Violation('a field overruns')
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def number(self, size):
        return int.from_bytes(self.take(size), 'big')

    def max_record(self):
        size = self.number(4)
        if size < RECORD_LEAST:
            raise Violation('max_record {}'.format(size))
        return min(size, RECORD_MOST)

    def extensions(self):
        """The values by id. They come last: whatever is left over is one thing too many."""
        ext, found = Body(self.take(self.number(2))), {}
        while ext.data:
            id, value = ext.number(2), ext.take(ext.number(2))
            if id in found:
                raise Violation('extension {} twice'.format(id))
            found[id] = value
        if self.data:
            raise Violation('bytes left over')
        return found


# The handshake. Chance is an argument, so that it can be repeated.


class Client:
    """What a client offers, and how it verifies the server. If it offers to seal, it insists."""

    def __init__(self, kid, key, aud=b'', flags=RECORDS | REQUIRED, plain='lines', instance=None,
                 versions=(1, 1), max_record=1 << 14, ext=(), batches=BATCHES[0]):
        self.kid, self.prk, self.aud, self.flags, self.plain = kid, extract(key), aud, flags, plain
        self.versions, self.max_record, self.ext = versions, max_record, dict(ext)
        self.instance, self.batches = instance or os.urandom(16), batches

    def connect(self, stream, nonce):
        """The session. Nothing but CH leaves before mac_s is verified."""
        hello = (bytes(self.versions) + number(self.flags, 2) + number(self.max_record, 4) + nonce
                 + self.instance + number(len(self.kid), 1) + self.kid
                 + number(len(self.aud), 1) + self.aud + extensions(self.ext))
        ch = MAGIC + frame(HELLO, hello)
        stream.write(ch)
        sg, sh = stream.read(32), self.heard(stream, ANSWER)
        secrets = Secrets(self.prk, sg, ch, sh[:-32])
        if not hmac.compare_digest(sh[-32:], secrets.mac_s):
            raise Unproved('the server did not prove that it knows the key')
        records, max_out = self.check(Body(sh[4:-32]))
        stream.write(frame(PROOF, secrets.mac_c))
        if self.heard(stream, WELCOME) != welcome(secrets):
            raise Violation('a false welcome')
        if records:
            return Records(stream, secrets, False, max_out, self.max_record, SEALING in self.ext,
                           self.batches)
        return PLAIN[self.plain](stream)

    @staticmethod
    def heard(stream, type):
        reply = take_frame(stream, type, REFUSAL)
        if reply[0] == REFUSAL:
            raise Refused(reply[4])
        return reply

    def check(self, body):
        """Is all that the server has chosen among what was offered?"""
        version, status, flags = body.number(1), body.number(1), body.number(2)
        max_record, instance, answered = body.max_record(), body.take(16), body.extensions()
        if not self.versions[0] <= version <= self.versions[1] or status != 0:
            raise Violation('version {}, status {}'.format(version, status))
        if flags & ~(self.flags & RECORDS) or self.flags & REQUIRED and not flags & RECORDS:
            raise Violation('flags {} chosen'.format(flags))
        if instance == self.instance:
            raise Silenced('our own instance')
        if set(answered) - set(self.ext):
            raise Violation('an extension that was not offered')
        self.check_suite(flags, answered.get(SEALING))
        return flags & RECORDS, max_record

    def check_suite(self, flags, chosen):
        """What was offered to be sealed is sealed, or nothing is sent."""
        suites = self.ext.get(SEALING)
        if suites is not None and not (flags & RECORDS and chosen and len(chosen) == 1
                                       and chosen in suites):
            raise Violation('records are not sealed')


class Server:
    """What a listener accepts, by key ids, audiences and configuration."""

    def __init__(self, ring, audiences=(b'',), records='required', plain='lines', instance=None,
                 decoy=None, max_record=1 << 14, ext=(), busy=False, batches=BATCHES[0]):
        self.ring = {kid: extract(key) for kid, key in ring.items()}
        self.audiences, self.records, self.plain, self.busy = audiences, records, plain, busy
        self.instance, self.decoy = instance or os.urandom(16), decoy or os.urandom(32)
        self.max_record, self.ext, self.batches = max_record, dict(ext), batches

    def accept(self, stream, nonce):
        """The session; or a refusal, but not a word to one who does not begin as a client does."""
        if stream.read(8) != MAGIC:
            raise Silenced('a foreign opening')
        unsaid = [nonce]
        try:
            return self.handshake(stream, unsaid)
        except Refused as refusal:
            refused = refusal
        except Violation as violation:
            refused = Refused(4, str(violation))
        except socket.timeout:
            refused = Refused(5, 'too slow')
        stream.write(b''.join(unsaid) + frame(REFUSAL, bytes([refused.code])))
        raise refused

    def handshake(self, stream, unsaid):
        """SG is `unsaid` until it can go out with SH, or with a refusal: scanners hear nothing."""
        hello = take_frame(stream, HELLO)
        kid, aud, records, max_out, sealed, offered = self.check(Body(hello[4:]))
        # Whoever has no key here causes the same work, and sees bytes of the same kind.
        known = kid in self.ring and aud in self.audiences
        answered = {id: self.ext[id] for id in offered & set(self.ext)}
        if sealed:
            answered[SEALING] = bytes([CHACHA20_POLY1305])
        answer = (b'\1\0' + number(RECORDS if records else 0, 2) + number(self.max_record, 4)
                  + self.instance + extensions(answered))
        sh = header(ANSWER, len(answer) + 32) + answer
        secrets = Secrets(self.ring[kid] if known else self.decoy, unsaid[0], MAGIC + hello, sh)
        stream.write(unsaid.pop() + sh + secrets.mac_s)
        proof = take_frame(stream, PROOF)
        if not hmac.compare_digest(proof[4:], secrets.mac_c) or not known:
            raise Refused(2, 'wrong proof' if known else 'unknown kid, or wrong aud')
        stream.write(welcome(secrets))
        if records:
            return Records(stream, secrets, True, max_out, self.max_record, sealed, self.batches)
        return PLAIN[self.plain](stream)

    def check(self, body):
        """What the client offers. Nothing here may depend on the keys."""
        low, high = body.number(1), body.number(1)
        if low > high:
            raise Violation('versions {} to {}'.format(low, high))
        if not low <= 1 <= high:
            raise Refused(1, 'versions {} to {}'.format(low, high))
        flags, max_record = body.number(2), body.max_record()
        instance = body.take(32 + 16)[32:]    # behind the nonce, which only the transcript needs
        kid, aud = body.take(body.number(1)), body.take(body.number(1))
        offered = body.extensions()
        if not 1 <= len(kid) <= 64 or len(aud) > 64 or flags & REQUIRED and not flags & RECORDS:
            raise Violation('kid, aud or flags')
        suites = offered.get(SEALING)
        if suites is not None and (not flags & RECORDS or not suites
                                   or len(set(suites)) < len(suites)):
            raise Violation('suites {}'.format(suites))
        if instance == self.instance:
            raise Silenced('our own instance')
        if self.busy:
            raise Refused(3, 'busy')
        sealed = self.records == 'sealed'
        if self.records == 'required' and not flags & RECORDS:
            raise Refused(2, 'no records offered')
        if sealed and CHACHA20_POLY1305 not in (suites or b''):
            raise Refused(2, 'no sealing offered')
        if self.records == 'off' and flags & REQUIRED:
            raise Refused(2, 'records required')
        records = flags & RECORDS and self.records != 'off'
        return kid, aud, records, max_record, sealed, set(offered)


# The command.


def converse(options, address):
    client = Client(options.kid, options.key, options.aud, options.flags, options.plain,
                    ext=options.ext, batches=options.batches)
    with socket.create_connection(address, HANDSHAKE) as sock:
        stream = Stream(sock)
        session = client.connect(stream, os.urandom(32))
        stream.deadline = None
        for lines in iter(lambda: list(itertools.islice(sys.stdin.buffer, options.depth)), []):
            session.send(*(line.rstrip(b'\r\n') for line in lines))
            for _ in lines:
                show(session.receive())
        session.close()
        for reply in iter(session.receive, None):
            show(reply)


def show(reply):
    if reply is None:
        raise Truncated('the server closed before it had replied')
    sys.stdout.buffer.write(reply + b'\n')
    sys.stdout.buffer.flush()


def listen(options, address):
    server = Server({options.kid: options.key}, {options.aud}, options.records, options.plain,
                    batches=options.batches)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(16)
    print('listening on {}:{}'.format(*listener.getsockname()), flush=True)
    while True:
        sock, peer = listener.accept()
        threading.Thread(target=serve, args=(server, sock, peer), daemon=True).start()


def serve(server, sock, peer):
    stream = Stream(sock)
    try:
        session = server.accept(stream, os.urandom(32))
        stream.deadline = None
        replies = []
        for message in iter(session.receive, None):
            replies.append('[{}] '.format(time.ctime()).encode() + message)
            # What has come together is answered together.
            if not session.left:
                session.send(*replies)
                replies = []
        session.close()
    except (Failure, OSError) as failure:
        print('{}:{}: {}'.format(*peer, failure), file=sys.stderr, flush=True)
    stream.hang_up()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('role', choices=['client', 'server'])
    parser.add_argument('address', metavar='HOST:PORT', help='a server may say port 0')
    parser.add_argument('--kid', type=os.fsencode, required=True)
    parser.add_argument('--key-hex', type=bytes.fromhex, dest='key', required=True)
    parser.add_argument('--audience', type=os.fsencode, dest='aud', default=b'')
    parser.add_argument('--plain', choices=PLAIN, help='the framing where there are no records')
    offer = parser.add_mutually_exclusive_group()
    offer.add_argument('--require', dest='flags', action='store_const', const=RECORDS | REQUIRED)
    offer.add_argument('--allow', dest='flags', action='store_const', const=RECORDS)
    offer.add_argument('--seal', dest='ext', action='store_const', default={},
                       const={SEALING: bytes([CHACHA20_POLY1305])})
    parser.add_argument('--records', choices=['sealed', 'required', 'allowed', 'off'],
                        default='required')
    parser.add_argument('--batches', choices=BATCHES, default=BATCHES[0],
                        help='whether messages that go together are one record')
    parser.add_argument('--depth', type=int, default=1, metavar='N',
                        help='how many lines a client sends before it waits for their replies')
    options = parser.parse_args()
    if options.flags is None:
        options.flags = 0 if options.plain else RECORDS | REQUIRED
    options.plain = options.plain or 'lines'
    if len(options.key) < 16 or not 1 <= len(options.kid) <= 64 or len(options.aud) > 64:
        parser.error('a key has 16 bytes or more, a kid 1 to 64, an audience 0 to 64')
    return options


def main():
    options = arguments()
    host, port = options.address.rsplit(':', 1)
    try:
        {'client': converse, 'server': listen}[options.role](options, (host, int(port)))
    except (Failure, OSError) as failure:
        exits = {ConnectionRefusedError: 69, socket.timeout: 75}
        print('countersign1.py: {}'.format(failure), file=sys.stderr)
        sys.exit(getattr(failure, 'exit', exits.get(type(failure), 74)))


if __name__ == '__main__':
    main()
