"""Plays the cases of tests/vectors to a session: under CPython, and under MicroPython too.

play.py FILE [STEP]    every case at every cut, or at every STEPth
"""

import json
import sys
from binascii import unhexlify as unhex

import chacha20poly1305

from countersign import ClientConfig, Key, KeyRing, ServerConfig, Session, errors
from countersign.wire import Fields, u16

chacha20poly1305.install()

OUTCOMES = {1: "version", 2: "refused", 3: "busy", 4: "malformed", 5: "timeout"}
SILENT = (errors.ForeignProtocol, errors.Reflected)
NAMES = (
    (errors.Unproven, "unproved"),
    (errors.Truncated, "truncated"),
    (errors.TimedOut, "timeout"),
    (errors.ProtocolError, "violation"),
)


def cases(path):
    """The role and the fields of each case, with the defaults filled in."""
    with open(path) as file:
        vectors = json.load(file)
    for kind in ("server", "client", "records"):
        for case in vectors[kind]:
            fields = dict(vectors["defaults"])
            fields.update(case)
            yield case.get("role", kind), fields


def extensions(text):
    block = unhex(text)
    return Fields(u16(len(block)) + block).extensions()


def server_config(case):
    keys = [Key(unhex(kid), unhex(key)) for kid, key in case["ring"].items()]
    ring = KeyRing(keys, unhex(case["instance_s"]), unhex(case["decoy"]))
    config = ServerConfig(
        ring,
        records=case["records"],
        framing=case["plain"],
        message_max=case["server_max_record"] - 16,
        busy=case["busy"],
        extensions=extensions(case["server_ext"]),
    )
    config.audiences = [unhex(audience) for audience in case["audiences"]]
    return config


def client_config(case):
    key = Key(unhex(case["kid"]), unhex(case["key"]))
    ring = KeyRing([key], unhex(case["instance_c"]), unhex(case["decoy"]))
    config = ClientConfig(
        ring,
        audience=unhex(case["aud"]),
        framing=case["plain"],
        message_max=case["client_max_record"] - 16,
        extensions=extensions(case["client_ext"]),
    )
    config.flags = case["client_flags"]
    config.versions = case["ver_min"], case["ver_max"]
    return config


def configured(role, case):
    """What the sessions of a case share."""
    return server_config(case) if role == "server" else client_config(case)


class Player:
    """An end under test, and what it has sent and received."""

    def __init__(self, role, case, config):
        self.case, self.role = case, role
        self.sent, self.messages = b"", []
        self.has_begun = False
        if role == "server":
            self.session = Session.server(config, unhex(case["sg"]), 0)
        else:
            self.session = Session.client(config, unhex(case["nonce_c"]), 0)

    def play(self, pieces):
        """The outcome, all that was sent, and the messages."""
        try:
            for piece in filter(None, pieces):
                self.session.receive_data(piece)
                self.converse()
            if self.case["then"] == "eof":
                self.session.receive_data(b"")
                self.converse()
            if self.case["then"] == "reset":
                self.session.connection_lost()
                self.converse()
            if self.case["then"] == "timeout":
                self.session.time_out()
            outcome = "closed" if self.is_closed() else "open"
        except errors.Error as error:
            outcome = self.outcome(error)
        self.flush()
        return outcome, self.sent, self.messages

    def is_closed(self):
        return self.session.closed and self.session.peer_closed

    def converse(self):
        if not self.session.is_established:
            return
        if not self.has_begun:
            self.has_begun = True
            self.session.send(*[unhex(message) for message in self.case["say"]])
            if self.case["closes"] == "first":
                self.session.close()
        self.take_messages()
        if not self.session.peer_closed:
            return
        if self.case["closes"] == "answer":
            self.session.close()
        else:
            self.take_messages()

    def take_messages(self):
        while True:
            message = self.session.next_message()
            if message is None:
                break
            self.messages.append(message)

    def flush(self):
        self.sent += self.session.data_to_send()

    def outcome(self, error):
        if isinstance(error, errors.Rejected):
            return "refused: " + OUTCOMES.get(error.reason, "unknown")
        if isinstance(error, SILENT):
            return "silent"
        # A refusal is sent in place of the answer or the accept, if the call has been heard.
        if self.role == "server" and error.code and not self.session.is_established:
            self.flush()
            if self.sent:
                return "refused: " + OUTCOMES[error.code]
        return next(name for kind, name in NAMES if isinstance(error, kind))


def cuts(data, step=1):
    """All at once, byte by byte, and in two pieces at every place, or every STEPth."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data), step):
        yield [data[:at], data[at:]]


def check(role, case, step=1):
    """Plays a case at these cuts; returns how many there were."""
    data = b"".join(unhex(piece) for piece in case["in"])
    wanted = case["outcome"], unhex(case["out"]), [unhex(each) for each in case["messages"]]
    count, config = 0, configured(role, case)
    for pieces in cuts(data, step):
        got = Player(role, case, config).play(pieces)
        assert got == wanted, "%s: %s\n%r instead of\n%r" % (role, case["name"], got, wanted)
        count += 1
    return count + check_ends(role, case, config, data, step)


def check_ends(role, case, config, data, step):
    """Ends the stream at these places, and loses the connection: each is truncated there."""
    if case["outcome"] not in ("open", "closed") or not has_records(role, case, config, data):
        return 0
    for at in range(0, len(data), step):
        for then in ("eof", "reset"):
            ending = dict(case)
            ending["then"] = then
            outcome, _, messages = Player(role, ending, config).play([data[:at]])
            assert outcome == "truncated", "%s: %s at %d" % (case["name"], outcome, at)
            assert messages == [unhex(each) for each in case["messages"][: len(messages)]]
    return 2 * len(range(0, len(data), step))


def has_records(role, case, config, data):
    player = Player(role, case, config)
    player.play([data])
    return player.session.has_records


def check_all(path, step=1):
    """Plays every case at these cuts."""
    counts = [check(role, case, step) for role, case in cases(path)]
    return "%d cases at %d cuts" % (len(counts), sum(counts))


if __name__ == "__main__":
    print(check_all(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1))
