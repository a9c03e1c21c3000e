"""Plays cases to the Python package."""
import play as player

from exchange import DEFAULTS, hexed


def play(role, case):
    """What the end under test makes of it: the outcome, all that it sent, and the messages."""
    fields = dict(hexed(DEFAULTS), **hexed(case))
    return player.Player(role, fields, player.configured(role, fields)).play([b''.join(case['in'])])


def check(role, cases):
    names = set()
    for case in cases:
        name, tested = case['name'], case.get('role', role)
        assert name not in names, 'twice: ' + name
        names.add(name)
        got = play(tested, case)
        expected = case['outcome'], case['out'], case.get('messages', [])
        assert got == expected, '{}: {}\n{} instead of\n{}'.format(tested, name, got, expected)
