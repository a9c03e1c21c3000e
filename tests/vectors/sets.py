"""The exchanges of the protocol's page, with all that lies between key and tag."""
import wire as c

import page

from exchange import DEFAULTS, SEALING, Exchange, ext, hexed, run_of
from wire import BATCH, CLOSE, DATA, PONG, batch
from replay import check


def sets():
    plain = dict(key=run_of(0, 80), ring={b'k' * 64: run_of(0, 80)}, kid=b'k' * 64, aud=b'',
                 audiences=[b''], client_flags=0, server_flags=0, records='off',
                 sg=run_of(0xa0, 32), nonce_c=run_of(0x50, 32))
    extended = dict(key=run_of(0, 16), ring={b'k1': run_of(0, 16)}, aud=b'a' * 64,
                    audiences=[b'a' * 64], client_ext=ext(0xfffe, b'abc'), server_ext=ext(0xfffe),
                    client_max_record=65536, server_max_record=4096,
                    sg=run_of(0xa0, 32), nonce_c=run_of(0x50, 32))
    one, two, three = Exchange(client_flags=1), Exchange(**plain), Exchange(**extended)
    four = Exchange(client_ext=SEALING, server_ext=SEALING, records='sealed')
    several = batch([b'a', b'', b'bc'])
    yield values('1: records', one, ('client', 0, DATA, b'time'), ('client', 1, CLOSE, b''),
                 ('client', 1, BATCH, several))
    yield values('2: plain', two)
    yield values('3: extensions', three, ('server', 1, PONG, b'x'), ('server', 2, DATA, b''))
    yield values('4: sealed', four, ('client', 0, DATA, b'time'), ('server', 1, BATCH, several),
                 ('client', 1, CLOSE, b''))


def values(name, x, *sent):
    f, s = x.fields, x.secrets
    shown = ('key', 'kid', 'aud', 'ver_min', 'ver_max', 'client_flags', 'client_max_record',
             'nonce_c', 'instance_c', 'client_ext', 'sg', 'ver', 'status', 'server_flags',
             'server_max_record', 'instance_s', 'server_ext', 'ring', 'audiences', 'records')
    one = dict(name=name, **{word: f[word] for word in shown})
    ks_fin, kc_fin = c.proving_keys(x.prk, s.th)
    one.update(ch=x.ch, sh_unsigned=x.unsigned, prk=x.prk, th=s.th, ks_fin=ks_fin,
               kc_fin=kc_fin, k_s2c=s.k_s2c, k_c2s=s.k_c2s, exporter=s.exporter, mac_s=s.mac_s,
               sh=x.sh, mac_c=s.mac_c, cf=x.cf, sf=x.sf,
               sent=[dict(zip(('from', 'seq', 'type', 'payload'), one),
                          record=(x.c2s if one[0] == 'client' else x.s2c)(*one[1:]))
                     for one in sent])
    if x.is_sealed:
        one.update(seal_s2c=c.sealing_key(s.k_s2c), seal_c2s=c.sealing_key(s.k_c2s))
    return one


def check_sets(exchanges):
    for one in exchanges:
        expected = page.SETS[one['name'][0]]
        for word, value in expected.items():
            ours = [each['record'] for each in one[word]] if word == 'sent' else one[word]
            assert hexed(ours) == value, '{}: {}'.format(one['name'], word)
        inputs = {word: value for word, value in one.items() if word in DEFAULTS}
        both = (('server', [one['ch'], one['cf']], one['sg'] + one['sh'] + one['sf']),
                ('client', [one['sg'] + one['sh'], one['sf']], one['ch'] + one['cf']))
        for role, incoming, out in both:
            check(role, [dict(inputs, name=one['name'], out=out, outcome='open',
                              **{'in': incoming})])
