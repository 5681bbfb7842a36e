"""Telling a message that came again from a new one, in bounded memory.

A message with ``boot`` and ``seq`` is told by (asset, boot, seq): a bitmap of the last 1,024 seqs
of each of the last 4 boots of an asset, and from where on all before it have come. One without, or
one whose seq lies before all that, is told by a digest of asset, time and content among the last
131,072 such messages of all assets.

What a message changes is provisional until ``keep``: if the journal does not take the batch, its
messages come again, and must not be duplicates of themselves. ``undo`` takes them back.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

WINDOW = 1024
BOOTS = 4
DIGESTS = 131_072
_MASK = (1 << WINDOW) - 1
_DIGEST_BYTES = 8

# What ``by_seq`` says when it is not a count of skipped seqs.
DUPLICATE = -1
LATE = -2  # new, but it fills a gap: it was counted as missed before
BEFORE_WINDOW = -3  # cannot be told by its seq: ask ``by_content``

# One boot: (boot, highest seq, bitmap with bit i for the highest seq less i, floor). Every seq from
# the floor up to the bitmap has come.
_Boot = tuple[int, int, int, int]


class _Saved(msgspec.Struct, array_like=True):
    """The form in a checkpoint."""

    windows: dict[str, list[tuple[int, int, bytes, int]]]
    digests: bytes


class Dedup:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        # Per asset, the boot that spoke last first.
        self._windows: dict[str, tuple[_Boot, ...]] = {}
        self._digests: dict[int, None] = {}  # in the order they came
        self._before: dict[str, tuple[_Boot, ...]] = {}
        self._added: list[int] = []

    def by_seq(self, asset: str, boot: int, seq: int) -> int:
        """How many seqs were skipped before this new one; or DUPLICATE, LATE, BEFORE_WINDOW.

        The first message of a boot skips none: what went before it is not known.
        """
        windows = self._windows.get(asset, ())
        if windows and windows[0][0] == boot:
            others = windows[1:]
            _, high, bits, floor = windows[0]
        else:
            others = tuple(window for window in windows if window[0] != boot)
            if len(others) == len(windows):  # a new boot; the one silent for longest makes way
                self._before.setdefault(asset, windows)
                self._windows[asset] = ((boot, seq, 1, seq), *others[: BOOTS - 1])
                return 0
            _, high, bits, floor = next(window for window in windows if window[0] == boot)
        ahead = seq - high
        if ahead > 0:
            if ahead < WINDOW:
                # What leaves the bitmap without having come moves the floor above it.
                absent = (bits >> (WINDOW - ahead)) ^ ((1 << ahead) - 1)
                if absent:
                    lowest_bit = (absent & -absent).bit_length() - 1
                    floor = max(floor, high - (WINDOW - ahead) - lowest_bit + 1)
                bits = ((bits << ahead) | 1) & _MASK
            else:  # a shift by so much would make a number of that many bits
                floor, bits = max(floor, seq - WINDOW + 1), 1
            self._before.setdefault(asset, windows)
            self._windows[asset] = ((boot, seq, bits, floor), *others)
            return ahead - 1
        if -ahead >= WINDOW:
            return DUPLICATE if seq >= floor else BEFORE_WINDOW
        bit = 1 << -ahead
        if bits & bit:
            return DUPLICATE
        self._before.setdefault(asset, windows)
        self._windows[asset] = ((boot, high, bits | bit, floor), *others)
        return LATE

    def by_content(self, digest: int) -> bool:
        """Whether a message of this digest is new."""
        if digest in self._digests:
            return False
        self._digests[digest] = None
        self._added.append(digest)
        return True

    def keep(self) -> None:
        """What was new since the last ``keep`` or ``undo`` is in the journal."""
        self._before.clear()
        self._added.clear()
        while len(self._digests) > DIGESTS:
            del self._digests[next(iter(self._digests))]

    def undo(self) -> None:
        """Forget what was new since the last ``keep`` or ``undo``: it comes again."""
        for asset, windows in self._before.items():
            if windows:
                self._windows[asset] = windows
            else:
                del self._windows[asset]
        self._before.clear()
        for digest in self._added:
            del self._digests[digest]
        self._added.clear()

    def to_bytes(self) -> bytes:
        """All that is remembered, for a checkpoint. Only when nothing is provisional."""
        assert not self._before
        assert not self._added
        saved = _Saved(
            {
                asset: [
                    (boot, high, bits.to_bytes((bits.bit_length() + 7) // 8, "big"), floor)
                    for boot, high, bits, floor in windows
                ]
                for asset, windows in self._windows.items()
            },
            b"".join(digest.to_bytes(_DIGEST_BYTES, "big") for digest in self._digests),
        )
        return msgspec.msgpack.encode(saved)

    @classmethod
    def from_bytes(cls, content: bytes) -> Dedup:
        """What ``to_bytes`` gave. Raises ``msgspec.MsgspecError`` for anything else."""
        saved = msgspec.msgpack.decode(content, type=_Saved)
        dedup = cls()
        dedup._windows = {
            asset: tuple(
                (boot, high, int.from_bytes(bits, "big"), floor)
                for boot, high, bits, floor in windows
            )
            for asset, windows in saved.windows.items()
        }
        digests = memoryview(saved.digests)
        dedup._digests = {
            int.from_bytes(digests[begin : begin + _DIGEST_BYTES], "big"): None
            for begin in range(0, len(digests), _DIGEST_BYTES)
        }
        return dedup


_encoder = msgspec.msgpack.Encoder(order="deterministic")


def digest_of(*content: Any) -> int:
    """64 bits that stand for asset, time and content. The order of a mapping does not matter."""
    return int.from_bytes(
        blake2b(_encoder.encode(content), digest_size=_DIGEST_BYTES).digest(), "big"
    )
