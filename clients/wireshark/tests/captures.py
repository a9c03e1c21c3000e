"""Writes captures of connections, as a network would have recorded them.

A connection is a list of segments: who sends, and the bytes. Checksums are left out, and nothing is
retransmitted."""

import struct

CLIENT, SERVER = ("127.0.0.1", 40000), ("127.0.0.1", 9527)
FIN, SYN, PUSH, ACK = 1, 2, 8, 16


def _packet(source, target, number, acknowledged, flags, data):
    tcp = struct.pack(
        "!HHIIBBHHH", source, target, number, acknowledged, 5 << 4, flags, 65535, 0, 0
    )
    address = b"\x7f\0\0\1"
    length = 20 + len(tcp) + len(data)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, 0, 0, 64, 6, 0, address, address)
    return ip + tcp + data


def connection(segments, client=40000, server=9527):
    """The packets of one connection, with its beginning and its end."""
    ports = {"client": (client, server), "server": (server, client)}
    sent = {"client": 1000, "server": 5000}
    other = {"client": "server", "server": "client"}

    def packet(who, flags, data=b""):
        made = _packet(*ports[who], sent[who], sent[other[who]], flags, data)
        sent[who] += len(data) + (flags & (SYN | FIN) != 0)
        return made

    packets = [packet("client", SYN), packet("server", SYN | ACK), packet("client", ACK)]
    packets += [packet(who, PUSH | ACK, data) for who, data in segments if data]
    return packets + [packet("server", FIN | ACK), packet("client", FIN | ACK)]


def write(path, connections):
    """A capture of these connections, one after the other."""
    with open(path, "wb") as out:
        # The type of link is IPv4 without anything below it.
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 228))
        packets = [packet for packets in connections for packet in packets]
        for number, packet in enumerate(packets):
            seconds, micros = divmod(number, 1_000_000)
            out.write(
                struct.pack("<IIII", 1_700_000_000 + seconds, micros, len(packet), len(packet))
            )
            out.write(packet)


def cut(segments, size):
    """The same bytes in segments of this size."""
    for who, data in segments:
        for start in range(0, len(data), size):
            yield who, data[start : start + size]
