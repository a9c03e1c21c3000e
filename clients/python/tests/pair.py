"""What the tests share: key rings, and two sessions that face each other."""

import os

import chacha20poly1305

import countersign
from countersign import ClientConfig, KeyRing, ServerConfig, Session

chacha20poly1305.install()

KEYS = (
    "garden text:sixteen-bytes-or-more\n"
    "gate text:open-sesame dialects=raw,hex\n"
    "pump text:sixteen-bytes-for-pumps audience=pump\n"
)
WRONG = "garden text:sixteen-other-bytes\ngate text:barley dialects=raw,hex\n"
# Where the package under test is: in a wheel that is installed, or among the sources.
SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(countersign.__file__)))
HERE = os.path.dirname(os.path.abspath(__file__))


def ring(text=KEYS):
    """A ring of its own: the two ends of a connection must not share one."""
    return KeyRing.parse(text)


class Pair:
    """A client and a server; what one has to send, the other receives."""

    def __init__(self, client=None, server=None, **both):
        self.client = Session.client(ClientConfig(ring(), **both, **(client or {})))
        self.server = Session.server(ServerConfig(ring(), **both, **(server or {})))

    def run(self):
        """Passes bytes until nobody has more to say."""
        while self.client.has_output or self.server.has_output:
            for one, other in ((self.client, self.server), (self.server, self.client)):
                data = one.data_to_send()
                if data:
                    other.receive_data(data)
        return self


def messages(session):
    """What can be taken."""
    return list(iter(session.next_message, None))
