"""The bytes of both sides, put together by hand: any field, length or order may be wrong."""
import wire as c

from wire import Sealed, Tagged, record


def run_of(first, count):
    return bytes(range(first, first + count))


KEY = run_of(0, 32)
DEFAULTS = dict(
    key=KEY, kid=b'k1', aud=b'time', ver_min=1, ver_max=1, client_flags=3, client_max_record=16384,
    nonce_c=run_of(0x50, 16) * 2, instance_c=b'C' * 16, client_ext=b'',
    ring={b'k1': KEY}, decoy=run_of(0xd0, 32), audiences=[b'time'], records='required', busy=False,
    sg=run_of(0xa0, 16) * 2, server_max_record=16384, instance_s=b'S' * 16,
    ver=1, status=0, server_flags=1, server_ext=b'', plain='lines', then=None, messages=[],
    say=[], closes='answer', needs='', note='')
RESULTS = ('in', 'out', 'outcome', 'th', 'k_s2c', 'k_c2s', 'exporter')


def ext(id, value=b''):
    return c.number(id, 2) + c.number(len(value), 2) + value


def refusal(code):
    return c.frame(c.REFUSAL, bytes([code]))


SEALING = ext(c.SEALING, bytes([c.CHACHA20_POLY1305]))


class Exchange:
    """All that both sides say. What is given as `hello` or `answer` replaces the right body."""

    def __init__(self, hello=None, answer=None, prk=None, **given):
        unknown = set(given) - set(DEFAULTS)
        assert not unknown, unknown
        self.given = given
        f = self.fields = dict(DEFAULTS, **given)
        self.hello = hello or hello_of(f)
        self.ch = c.MAGIC + c.frame(c.HELLO, self.hello)
        self.sg = f['sg']
        answer = answer_of(f) if answer is None else answer
        self.unsigned = c.header(c.ANSWER, len(answer) + 32) + answer
        self.prk = prk or c.extract(f['key'])
        self.secrets = c.Secrets(self.prk, self.sg, self.ch, self.unsigned)
        self.sh = self.unsigned + self.secrets.mac_s
        self.cf = c.frame(c.CONFIRM, self.secrets.mac_c)
        self.sf = self.secrets.accept()
        self.is_sealed = f['server_ext'] == SEALING
        self.protection = Sealed if self.is_sealed else Tagged

    def c2s(self, seq, type, payload=b''):
        return record(self.protection(self.secrets.k_c2s), seq, type, payload)

    def s2c(self, seq, type, payload=b''):
        return record(self.protection(self.secrets.k_s2c), seq, type, payload)

    def case(self, name, incoming, out, outcome, **more):
        case = dict(self.given, name=name, outcome=outcome, out=out, **more)
        case['in'] = incoming
        if outcome in ('open', 'closed') or 'role' in more:
            s = self.secrets
            case.update(th=s.th, k_s2c=s.k_s2c, k_c2s=s.k_c2s, exporter=s.exporter)
        return case


def hello_of(f, kid_len=None, aud_len=None, ext_len=None):
    def sized(value, size, said):
        return c.number(len(value) if said is None else said, size) + value
    return (bytes([f['ver_min'], f['ver_max']]) + c.number(f['client_flags'], 2)
            + c.number(f['client_max_record'], 4) + f['nonce_c'] + f['instance_c']
            + sized(f['kid'], 1, kid_len) + sized(f['aud'], 1, aud_len)
            + sized(f['client_ext'], 2, ext_len))


def answer_of(f, ext_len=None):
    size = len(f['server_ext']) if ext_len is None else ext_len
    return (bytes([f['ver'], f['status']]) + c.number(f['server_flags'], 2)
            + c.number(f['server_max_record'], 4) + f['instance_s'] + c.number(size, 2)
            + f['server_ext'])


def hexed(value):
    """Bytes as hex, whatever they are in."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {hexed(word) if isinstance(word, bytes) else word: hexed(each)
                for word, each in value.items()}
    return [hexed(each) for each in value] if isinstance(value, (list, tuple)) else value
