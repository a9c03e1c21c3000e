"""What a server must answer: to each offer, each fault, and each stranger."""
import wire as c

from exchange import DEFAULTS, KEY, Exchange, ext, hello_of, refusal, run_of
from wire import DATA


def server_cases():
    yield from server_versions()
    yield from server_flags()
    yield from server_fields()
    yield from server_forms()
    yield from server_proofs()
    yield from server_strangers()
    yield from server_plain()


def opens(name, **given):
    x = Exchange(**given)
    return x.case(name, [x.ch, x.cf], x.sg + x.sh + x.sf, 'open')


def refuses(name, reason, incoming=None, hello=None, note=None, **given):
    """In place of SH: what has arrived so far is enough to say no."""
    x = Exchange(hello=hello, **given)
    code = {word: code for code, word in c.REASONS.items()}[reason]
    more = {'note': note} if note else {}
    return x.case(name, incoming or [x.ch], x.sg + refusal(code), 'refused: ' + reason, **more)


def malformed(name, hello, **given):
    return refuses(name, 'malformed', hello=hello, **given)


def server_versions():
    yield opens('version 1 is the only one offered')
    yield opens('versions 0 to 1 are offered', ver_min=0)
    yield opens('versions 1 to 255 are offered', ver_max=255)
    yield opens('versions 0 to 255 are offered', ver_min=0, ver_max=255)
    yield refuses('versions 0 to 0 are offered', 'version', ver_min=0, ver_max=0)
    yield refuses('versions 2 to 3 are offered', 'version', ver_min=2, ver_max=3)
    yield refuses("versions 2 to 3, and a hello that version 1 can't read", 'version',
                  hello=b'\x02\x03' + b'?' * 9, ver_min=2, ver_max=3)
    yield refuses('versions 2 to 3, and nothing else', 'version', hello=b'\x02\x03',
                  ver_min=2, ver_max=3)
    yield refuses('versions 1 to 0: the least is above the most', 'malformed',
                  ver_min=1, ver_max=0)
    yield refuses('versions 3 to 2: the least is above the most', 'malformed',
                  ver_min=3, ver_max=2)
    yield malformed('a hello of one byte', b'\x01')
    yield malformed('a hello of versions only', b'\x01\x01')


def server_flags():
    yield opens('records offered, the server requires them', client_flags=1)
    yield opens('records offered, the server allows them', client_flags=1, records='allowed')
    yield opens('records required, the server allows them', records='allowed')
    yield opens('records offered, the server never makes them', client_flags=1, server_flags=0,
                records='off')
    yield opens('no records offered, the server allows them', client_flags=0, server_flags=0,
                records='allowed')
    yield opens('no records offered, the server never makes them', client_flags=0, server_flags=0,
                records='off')
    yield refuses('no records offered, the server requires them', 'refused', client_flags=0)
    yield refuses('records required, the server never makes them', 'refused', records='off')
    yield refuses('no records offered by an unknown kid, the server requires them', 'refused',
                  client_flags=0, kid=b'k2')
    yield refuses('records required by an unknown kid, the server never makes them', 'refused',
                  records='off', kid=b'k2')
    yield refuses('bit 1 without bit 0', 'malformed', client_flags=2)
    yield refuses('bit 1 without bit 0, the server allows records', 'malformed', client_flags=2,
                  records='allowed')
    yield opens('flags that nobody knows, and records', client_flags=0xfffd)
    yield opens('flags that nobody knows, and records required', client_flags=0xffff)
    yield opens('flags that nobody knows, and no records', client_flags=0xfffc, server_flags=0,
                records='allowed')


def server_fields():
    yield refuses('max_record 0', 'malformed', client_max_record=0)
    yield refuses('max_record 1023', 'malformed', client_max_record=1023)
    yield refuses('max_record 1023 without records', 'malformed', client_max_record=1023,
                  client_flags=0, records='off')
    yield opens('max_record 1024', client_max_record=1024)
    yield opens('max_record 16777215', client_max_record=0xffffff)
    yield opens('max_record 16777216', client_max_record=0x1000000)
    yield opens('max_record 4294967295', client_max_record=0xffffffff)
    yield opens('max_record 1024 of the server', server_max_record=1024)
    yield refuses('kid of no bytes', 'malformed', kid=b'')
    yield opens('kid of 1 byte, 00', kid=b'\0', ring={b'\0': KEY})
    yield opens('kid of 64 bytes', kid=b'k' * 64, ring={b'k' * 64: KEY})
    yield refuses('kid of 65 bytes', 'malformed', kid=b'k' * 65)
    yield opens('kid and aud that are not text', kid=b'\xff\n', ring={b'\xff\n': KEY},
                aud=b'\xfe\0', audiences=[b'\xfe\0'])
    yield opens('aud of no bytes, which the server has', aud=b'', audiences=[b''])
    yield opens('aud of 64 bytes', aud=b'a' * 64, audiences=[b'a' * 64])
    yield refuses('aud of 65 bytes', 'malformed', aud=b'a' * 65, audiences=[b'a' * 65])
    yield opens('one aud of two', audiences=[b'date', b'time'])
    yield opens('one kid of two, with a key of its own', kid=b'k2', key=run_of(0x20, 16),
                ring={b'k1': KEY, b'k2': run_of(0x20, 16)})
    yield opens('a key of 80 bytes', key=run_of(0, 80), ring={b'k1': run_of(0, 80)})
    yield opens('an extension that nobody knows', client_ext=ext(0xfffe, b'abc'))
    yield opens('an empty extension that nobody knows', client_ext=ext(0xfffe))
    yield opens('two extensions that nobody knows', client_ext=ext(8, b'abc') + ext(7, b'abc'))
    yield refuses('one extension twice', 'malformed', client_ext=ext(7, b'a') + ext(7, b'b'))
    yield refuses('one extension twice, with another between', 'malformed',
                  client_ext=ext(7) + ext(8) + ext(7))
    yield refuses('an extension whose value overruns', 'malformed', client_ext=b'\0\7\0\4abc')
    yield refuses('a second extension whose value overruns', 'malformed',
                  client_ext=ext(6) + b'\0\7\0\1')
    yield refuses('an extension of an id and half a length', 'malformed', client_ext=b'\0\7\0')


def server_forms():
    f, whole = dict(DEFAULTS), Exchange()
    yield malformed('the extensions overrun the hello', hello_of(f, ext_len=1))
    yield malformed('the hello goes on behind its extensions', whole.hello + b'\0')
    yield malformed('the hello lacks its last byte', whole.hello[:-1])
    yield malformed('kid overruns the hello', hello_of(f, kid_len=64))
    yield malformed('aud overruns the hello', hello_of(f, aud_len=64))
    filled = ext(0xfffe, b'x' * 308)
    yield opens('CH of 512 bytes', kid=b'k' * 64, ring={b'k' * 64: KEY}, aud=b'a' * 64,
                audiences=[b'a' * 64], client_ext=filled)
    header_only = 'a header is enough: nothing waits for the body'
    for size in (501, 0x10000, 0xffffff):
        yield refuses('a hello of {} bytes'.format(size), 'malformed', note=header_only,
                      incoming=[c.MAGIC + c.header(c.HELLO, size)])
    yield refuses('a hello of no bytes', 'malformed', incoming=[c.MAGIC + c.header(c.HELLO, 0)])
    for type in (0x00, 0x02, 0x05, 0x10):
        yield refuses('a frame of type {:02x} in place of the hello'.format(type), 'malformed',
                      incoming=[c.MAGIC + c.frame(type, whole.hello)])


def server_proofs():
    x = Exchange()

    def answered(name, pieces, code, **more):
        return x.case(name, [x.ch] + pieces, x.sg + x.sh + refusal(code),
                      'refused: ' + c.REASONS[code], **more)

    for bit in (0, 255):
        wrong = bytearray(x.cf)
        wrong[4 + bit // 8] ^= 0x80 >> bit % 8
        yield answered('a proof with bit {} wrong'.format(bit), [bytes(wrong)], 2)
    yield answered('a proof of zeros', [c.frame(c.CONFIRM, bytes(32))], 2)
    yield answered('mac_s in place of mac_c', [c.frame(c.CONFIRM, x.secrets.mac_s)], 2)
    yield answered('the proof of another nonce', [Exchange(sg=bytes(32)).cf], 2)
    yield answered('a wrong proof and a record behind it',
                   [c.frame(c.CONFIRM, bytes(32)) + x.c2s(0, DATA, b'time')], 2,
                   note='no message is handed on')
    for size in (0, 31, 33, 0xffffff):
        yield answered('a proof of {} bytes'.format(size), [c.header(c.CONFIRM, size)], 4,
                       note='a header is enough: nothing waits for the body')
    yield answered('a frame of type 10 in place of the proof', [c.header(DATA, 32)], 4)
    yield answered('a refusal in place of the proof', [refusal(2)], 4)
    for name, given, note in (
            ('an unknown kid', dict(kid=b'k2'),
             'an expired kid, and one that is not meant for this dialect, look the same'),
            ('a wrong aud', dict(aud=b'date'), ''),
            ('an aud that is longer than the right one', dict(aud=b'times'), ''),
            ('an empty aud, which the server does not have', dict(aud=b''), ''),
            ('an aud, and the server has the empty one only', dict(audiences=[b'']), '')):
        decoy = Exchange(prk=DEFAULTS['decoy'], **given)
        real = Exchange(**given)
        more = {'note': note} if note else {}
        out = decoy.sg + decoy.sh + refusal(2)
        yield decoy.case(name, [decoy.ch, c.frame(c.CONFIRM, real_proof(real, decoy))], out,
                         'refused: refused', **more)
        yield decoy.case(name + ', and the proof that the decoy would take', [decoy.ch, decoy.cf],
                         out, 'refused: refused')


def real_proof(real, decoy):
    """What a client would send that has the key and skips mac_s."""
    return c.client_proof(real.prk, real.secrets.th, decoy.secrets.mac_s)


def server_strangers():
    x = Exchange()
    for what, kid in (('its own instance', b'k1'), ('its own instance with an unknown kid', b'k2')):
        own = Exchange(instance_c=DEFAULTS['instance_s'], kid=kid)
        yield own.case('the server hears ' + what, [own.ch], b'', 'silent')
    yield refuses('the server is busy', 'busy', busy=True)
    for what, opening in (
            ('TLS', bytes.fromhex('1603010200010001fc0303') + bytes(32)),
            ('HTTP', b'GET / HTTP/1.1\r\nHost: time\r\n\r\n'),
            ('a PROXY header', b'PROXY TCP4 192.0.2.1 192.0.2.2 40000 9527\r\n' + x.ch),
            ('a length of multiprocessing', c.number(14, 4) + b'#CHALLENGE#abc'),
            ('zeros', bytes(64)),
            ('a magic with its last byte wrong', x.ch[:7] + b'\r' + x.ch[8:]),
            ('the magic behind another byte', b'\n' + x.ch),
            ('a hello without the magic', x.ch[8:])):
        yield x.case('a foreign opening: ' + what, [opening], b'', 'silent')
    yield x.case('nothing comes', [], b'', 'timeout', then='timeout')
    yield x.case('half the magic comes, then nothing', [x.ch[:4]], b'', 'timeout', then='timeout')
    for what, size in (('the magic', 8), ('half the hello', 40)):
        yield x.case(what + ' comes, then nothing', [x.ch[:size]], x.sg + refusal(5),
                     'refused: timeout', then='timeout')
    yield x.case('the hello comes, then nothing', [x.ch], x.sg + x.sh + refusal(5),
                 'refused: timeout', then='timeout')
    yield x.case('half the proof comes, then nothing', [x.ch, x.cf[:20]],
                 x.sg + x.sh + refusal(5), 'refused: timeout', then='timeout')
    yield x.case('the stream ends at once', [], b'', 'truncated', then='eof')


def server_plain():
    given = dict(client_flags=0, server_flags=0, records='off')
    x = Exchange(**given)
    yield x.case('lines behind the proof, in one segment', [x.ch, x.cf + b'time\nda', b'te\r\nx'],
                 x.sg + x.sh + x.sf, 'open', messages=[b'time', b'date'])
    x = Exchange(plain='length', **given)
    framed = c.number(4, 4) + b'time' + c.number(0, 4)
    yield x.case('length frames behind the proof, in one segment', [x.ch, x.cf + framed],
                 x.sg + x.sh + x.sf, 'open', messages=[b'time', b''])
    x = Exchange()
    yield x.case('a proof that comes with the hello',
                 [x.ch + Exchange(sg=bytes(32)).cf], x.sg + x.sh + refusal(2), 'refused: refused',
                 note='nobody can make a right one before SG is there')
