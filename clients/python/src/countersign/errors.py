"""The errors: all are an `Error`, and each has the name that the program logs it under."""


class Error(Exception):
    """Anything that this package can't do, or that a peer did wrong."""

    name = "error"
    text = ""
    code = 0
    """What a server tells a client with such a handshake; 0 for nothing."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class ConfigError(Error):
    """Options that can't be combined, or a key that can't be used."""

    name = "configuration"


class AddressError(ConfigError):
    """What isn't an address. It has not been looked up."""

    name = "address"

    def __init__(self, address: str) -> None:
        super().__init__(f'"{address}" is not an address; write HOST:PORT or unix:/PATH')


class KeyFileError(ConfigError):
    """A key file that can't be read or trusted. The text names the line and never a secret."""

    name = "key-file"
    is_missing = False
    """Whether there is no such file."""


class NoUsableKey(ConfigError):
    """No key of the ring is valid now for this dialect and audience."""

    name = "no-usable-key"
    text = "there is no key to sign with"


class Unsendable(Error):
    """A message that can't be sent. Nothing of the call has been sent."""

    name = "unsendable"


class Over(Error):
    """A call on a connection that has ended or failed before."""

    name = "over"
    text = "the connection has ended or failed before; connect again"


# What a peer can do wrong.

REASONS = {
    1: "it supports none of our versions",
    2: "it does not accept this key for this service with these options; compare the keys, "
    "the audience and the records of both ends",
    3: "it is busy or stopping",
    4: "it considers our handshake malformed",
    5: "our handshake took too long",
}


class AuthenticationError(Error):
    """One end did not accept the other."""

    name = "authentication"


class Unproven(AuthenticationError):
    """To a client: nothing was sent to the server but the call."""

    name = "unproven"
    text = (
        "the server did not prove that it holds the key; do both ends have the same key under the "
        "same id, and is it valid there, for this audience?"
    )


class Rejected(AuthenticationError):
    """To a client: the server refuses. The reason is not authenticated, so it is only a hint."""

    name = "rejected"

    def __init__(self, reason: int) -> None:
        text = REASONS.get(reason, "unknown reason %d" % reason)
        super().__init__("the server refuses: " + text)
        self.reason = reason


class Refused(AuthenticationError):
    """To a client of raw or hex: the server ended the stream without an answer."""

    name = "refused"
    text = (
        "the server closed the connection after the client's proof; do both ends have the same "
        "key, dialect and MAC, and does the server accept messages of this length?"
    )


class WrongProof(AuthenticationError):
    """To a server: the proof of the client."""

    name = "wrong-proof"
    text = "the proof matches no key"
    code = 2


class UnknownKey(AuthenticationError):
    """To a server: the id that the client has named."""

    name = "unknown-key"
    text = "there is no valid key with this id"
    code = 2


class WrongAudience(AuthenticationError):
    """To a server: the client means another service, or its key is for another."""

    name = "wrong-audience"
    text = "the audience is another service"
    code = 2


class Busy(AuthenticationError):
    """To a server that is configured to accept nobody."""

    name = "busy"
    text = "the server is busy or stopping"
    code = 3


class TooManyConnections(AuthenticationError):
    """To a server: a connection that it has no room for, or that lost its place to a newer one."""

    name = "too-many-connections"
    text = "too many connections had not authenticated"
    code = 3


class ProtocolError(Error):
    """The peer violated the protocol, or speaks another."""

    name = "protocol"


class Malformed(ProtocolError):
    """A message of the handshake."""

    name = "malformed"
    text = "the handshake is malformed"
    code = 4


class VersionMismatch(ProtocolError):
    """The ends have no version in common."""

    name = "version"
    text = "no version in common"
    code = 1


class ProtectionMismatch(ProtocolError):
    """One end requires what the other doesn't offer or choose."""

    name = "protection"
    text = "the ends do not agree on records, or on sealing them"
    code = 2


class ForeignProtocol(ProtocolError):
    """The peer doesn't begin as one of this protocol does."""

    name = "foreign"

    def __init__(self, protocol: str) -> None:
        super().__init__("the peer speaks " + protocol)
        self.protocol = protocol


class Reflected(ProtocolError):
    """The peer has our own key ring, so it is this end itself."""

    name = "reflected"
    text = "it reflected our own challenge; are you connecting to yourself?"


class BadRecord(ProtocolError):
    """A record with a wrong tag, or a malformed one."""

    name = "bad-record"
    text = "a record is forged, repeated or out of order"


class BadLength(ProtocolError):
    """A length in the framing `length` that no message can have."""

    name = "bad-length"
    text = "a length field is malformed"


class MessageTooLong(ProtocolError):
    """A message longer than `message_max`."""

    name = "message-too-long"
    text = "a message is longer than the limit"


class Truncated(Error):
    """The stream ended inside the handshake or a message, or without the close record."""

    name = "truncated"
    text = "the stream was truncated"


class TimedOut(Error):
    """A call did not finish in time."""

    name = "timeout"
    text = "timed out; do both ends have the same dialect and framing?"


class IdleTimeout(TimedOut):
    """The peer sent no message in time."""

    name = "idle-timeout"


class WriteTimeout(TimedOut):
    """The peer did not take in time what it was sent."""

    name = "write-timeout"


class HandshakeTimeout(TimedOut):
    """The handshake was not over at its deadline."""

    name = "handshake-timeout"
    text = "the handshake took too long"
    code = 5
