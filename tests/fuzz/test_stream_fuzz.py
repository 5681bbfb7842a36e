"""The stream from a broker, cut anywhere: the messages in it, and all else handed on."""

from __future__ import annotations

import contextlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ioc.ingest.broker import KEPT_OF_TOO_LARGE, MAX_PAYLOAD_BYTES, Incoming, Message


class Wire:
    """A socket that gives a stream in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def recv(self, size: int) -> bytes:
        if not self._pieces:
            raise BlockingIOError
        piece = self._pieces.pop(0)
        if len(piece) > size:
            self._pieces.insert(0, piece[size:])
        return piece[:size]


def read(pieces: list[bytes]) -> tuple[list[Message], bytes]:
    """What is delivered, and what is handed on."""
    messages: list[Message] = []
    wire = Wire([piece for piece in pieces if piece])
    incoming = Incoming(wire, messages.append)
    others = b""
    while wire._pieces or incoming.pending():
        with contextlib.suppress(BlockingIOError):
            others += incoming.recv(7)
    return messages, others


def packet(first: int, body: bytes) -> bytes:
    length, head = len(body), bytes([first])
    while True:
        head += bytes([length % 128 | (0x80 if length >= 128 else 0)])
        length //= 128
        if not length:
            return head + body


def publish(topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    return packet(0x30 | qos << 1, body + (packet_id.to_bytes(2, "big") if qos else b"") + payload)


MESSAGES = st.tuples(
    st.text(max_size=20),
    st.binary(max_size=300),
    st.integers(0, 1),
    st.integers(1, 65535),
)
OTHERS = st.builds(packet, st.sampled_from([0x20, 0x40, 0x90, 0xD0]), st.binary(max_size=200))


@settings(max_examples=200)
@given(st.lists(MESSAGES | OTHERS, max_size=12), st.data())
def test_a_stream_cut_anywhere(
    content: list[tuple[str, bytes, int, int] | bytes], data: st.DataObject
) -> None:
    stream = b"".join(c if isinstance(c, bytes) else publish(*c) for c in content)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    messages, others = read(pieces)
    assert others == b"".join(c for c in content if isinstance(c, bytes))
    assert messages == [
        Message(c[0], c[1], len(c[1]), c[2], c[3] if c[2] else 0)
        for c in content
        if not isinstance(c, bytes)
    ]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, 262_130, 262_144, 700_000]),
    st.integers(2_000, 300_000),
)
def test_a_large_message_leaves_its_beginning_and_the_stream_goes_on(size: int, cut: int) -> None:
    stream = publish("t", b"x" * size, 1, 7) + publish("u", b"y", 1, 8) + packet(0xD0, b"")
    pieces = [stream[at : at + cut] for at in range(0, len(stream), cut)]
    messages, others = read(pieces)
    kept = size if size <= MAX_PAYLOAD_BYTES else KEPT_OF_TOO_LARGE
    assert messages == [Message("t", b"x" * kept, size, 1, 7), Message("u", b"y", 1, 1, 8)]
    assert others == packet(0xD0, b"")


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_any_bytes_end_the_connection_at_the_worst(pieces: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        read(pieces)
