"""Plays cases to the Python peer."""
import socket

import countersign1 as c

from exchange import DEFAULTS


class Pause(Exception):
    """The peer waits."""


class Script:
    """In place of a socket: what comes is known beforehand, what goes is kept."""

    def __init__(self, case):
        self.left, self.then = b''.join(case['in']), case['then']
        self.out = b''

    def read(self, size):
        if len(self.left) < size:
            self.dry()
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def line(self):
        if b'\n' not in self.left:
            self.dry()
        return self.read(self.left.index(b'\n') + 1)

    def at_end(self):
        return not self.left and self.dry()

    def dry(self):
        raise {None: Pause, 'eof': c.Truncated, 'timeout': socket.timeout}[self.then]()

    def write(self, data):
        self.out += data

    def finish(self):
        pass


def play(role, case):
    """What the peer under test makes of it: the outcome, all that it sent, and the messages."""
    case = dict(DEFAULTS, **case)
    wire, messages, session = Script(case), [], None
    try:
        session = (serve if role == 'server' else dial)(case, wire)
        session.send(*case['say'])
        if case['closes'] == 'first':
            session.close()
        for message in iter(session.receive, None):
            messages.append(message)
        if case['closes'] == 'never':
            session.receive()
        elif case['closes'] == 'answer':
            session.close()
        outcome = 'closed'
    except Pause:
        outcome = 'open' if session else 'waiting'
    except c.Refused as refusal:
        outcome = 'refused: ' + refusal.reason
    except socket.timeout:
        outcome = 'timeout'
    except c.Failure as failure:
        outcome = {c.Silenced: 'silent'}.get(type(failure), type(failure).__name__.lower())
    return outcome, wire.out, messages


def serve(f, wire):
    server = c.Server(
        f['ring'], f['audiences'], f['records'], f['plain'], busy=f['busy'], decoy=f['decoy'],
        instance=f['instance_s'], max_record=f['server_max_record'], ext=parsed(f['server_ext']))
    return server.accept(wire, f['sg'])


def dial(f, wire):
    client = c.Client(
        f['kid'], f['key'], f['aud'], f['client_flags'], f['plain'], f['instance_c'],
        (f['ver_min'], f['ver_max']), f['client_max_record'], parsed(f['client_ext']))
    return client.connect(wire, f['nonce_c'])


def parsed(block):
    return c.Body(c.number(len(block), 2) + block).extensions()


def check(role, cases):
    names = set()
    for case in cases:
        name, tested = case['name'], case.get('role', role)
        assert name not in names, 'twice: ' + name
        names.add(name)
        got = play(tested, case)
        expected = case['outcome'], case['out'], case.get('messages', [])
        assert got == expected, '{}: {}\n{} instead of\n{}'.format(tested, name, got, expected)
