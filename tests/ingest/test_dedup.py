from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ioc.ingest.dedup import (
    BEFORE_WINDOW,
    BOOTS,
    DIGESTS,
    DUPLICATE,
    LATE,
    WINDOW,
    Dedup,
    digest_of,
)


def told(dedup: Dedup, *seqs: int, asset: str = "KH1", boot: int = 1) -> list[int]:
    return [dedup.by_seq(asset, boot, seq) for seq in seqs]


class TestBySeq:
    def test_the_first_of_a_boot_misses_none(self) -> None:
        assert told(Dedup(), 500) == [0]

    def test_counts_the_seqs_skipped(self) -> None:
        assert told(Dedup(), 0, 1, 5, 6) == [0, 0, 3, 0]

    def test_one_that_fills_a_gap_is_late_once(self) -> None:
        assert told(Dedup(), 0, 3, 1, 1, 2, 3) == [0, 2, LATE, DUPLICATE, LATE, DUPLICATE]

    def test_a_jump_beyond_the_window(self) -> None:
        dedup = Dedup()
        assert told(dedup, 0, 10**15) == [0, 10**15 - 1]
        assert told(dedup, 10**15 - WINDOW + 1, 10**15 - WINDOW) == [LATE, BEFORE_WINDOW]

    def test_before_the_window_a_row_without_a_gap_is_known(self) -> None:
        dedup = Dedup()
        told(dedup, *range(100, 5000))
        assert told(dedup, 100, 2000, 99) == [DUPLICATE, DUPLICATE, BEFORE_WINDOW]

    def test_before_the_window_a_gap_is_where_knowledge_ends(self) -> None:
        dedup = Dedup()
        told(dedup, *range(1000), *range(1001, 5000))
        assert told(dedup, 1001, 1000, 999) == [DUPLICATE, BEFORE_WINDOW, BEFORE_WINDOW]

    @given(st.lists(st.integers(0, 40) | st.integers(0, 4000), max_size=200), st.integers(1, 400))
    def test_never_takes_a_new_one_for_a_duplicate(self, seqs: list[int], step: int) -> None:
        dedup = Dedup()
        seen: set[int] = set()
        for index, seq in enumerate(seqs):
            for candidate in (seq, index * step):
                if dedup.by_seq("a", 1, candidate) == DUPLICATE:
                    assert candidate in seen
                seen.add(candidate)

    def test_assets_and_boots_are_apart(self) -> None:
        dedup = Dedup()
        assert told(dedup, 7) == [0]
        assert told(dedup, 7, asset="KH2") == [0]
        assert told(dedup, 7, boot=2) == [0]
        assert told(dedup, 7, boot=1) == [DUPLICATE]

    def test_the_boot_silent_for_longest_makes_way(self) -> None:
        dedup = Dedup()
        for boot in range(BOOTS):
            told(dedup, 7, boot=boot)
        told(dedup, 8, boot=0)  # speaks again
        told(dedup, 7, boot=99)
        assert told(dedup, 7, boot=0) == [DUPLICATE]
        assert told(dedup, 7, boot=1) == [0]  # forgotten

    @given(
        st.lists(
            st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), st.integers(0, 60)),
            max_size=300,
        )
    )
    def test_agrees_with_a_plain_set_within_the_window(
        self, messages: list[tuple[str, int, int]]
    ) -> None:
        dedup = Dedup()
        seen: set[tuple[str, int, int]] = set()
        missed = late = 0
        for message in messages:
            answer = dedup.by_seq(*message)
            assert (answer == DUPLICATE) == (message in seen)
            seen.add(message)
            missed += max(0, answer)
            late += answer == LATE
        boots = {message[:2] for message in seen}
        # What was skipped and never came, by the books, is what is absent between first and last.
        highest = {boot: max(m[2] for m in seen if m[:2] == boot) for boot in boots}
        first = {boot: next(m[2] for m in messages if m[:2] == boot) for boot in boots}
        before_first = sum(m[2] < first[m[:2]] for m in seen)
        absent = sum(
            (*boot, seq) not in seen for boot in boots for seq in range(first[boot], highest[boot])
        )
        assert missed - (late - before_first) == absent


class TestByContent:
    def test_the_order_of_a_mapping_does_not_matter(self) -> None:
        assert digest_of("a", 1, {"x": 1.0, "y": 2}) == digest_of("a", 1, {"y": 2, "x": 1.0})
        assert digest_of("a", 1, {"x": 1.0}) != digest_of("a", 2, {"x": 1.0})

    def test_is_bounded(self) -> None:
        dedup = Dedup()
        for digest in range(DIGESTS + 10):
            assert dedup.by_content(digest)
        dedup.keep()
        assert not dedup.by_content(DIGESTS + 9)
        assert dedup.by_content(9)  # forgotten
        assert not dedup.by_content(10)


class TestProvisional:
    def test_undone_messages_are_new_again(self) -> None:
        dedup = Dedup()
        told(dedup, 1, 2)
        dedup.by_content(5)
        dedup.keep()
        before = dedup.to_bytes()
        assert told(dedup, 3, 9, 4) == [0, 5, LATE]
        told(dedup, 1, boot=2)
        told(dedup, 1, asset="new")
        assert dedup.by_content(6)
        dedup.undo()
        assert dedup.to_bytes() == before
        assert told(dedup, 3, 2) == [0, DUPLICATE]
        assert dedup.by_content(6)
        assert not dedup.by_content(5)

    def test_kept_messages_stay_known(self) -> None:
        dedup = Dedup()
        told(dedup, 1)
        dedup.keep()
        dedup.undo()
        assert told(dedup, 1) == [DUPLICATE]


class TestCheckpoint:
    @settings(max_examples=30)
    @given(
        st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000)), max_size=100),
        st.sets(st.integers(0, 2**64 - 1), max_size=20),
    )
    def test_remembers_all(self, seqs: list[tuple[int, int]], digests: set[int]) -> None:
        dedup = Dedup()
        for boot, seq in seqs:
            dedup.by_seq("KH1", boot, seq)
        for digest in digests:
            dedup.by_content(digest)
        dedup.keep()
        again = Dedup.from_bytes(dedup.to_bytes())
        assert again.to_bytes() == dedup.to_bytes()
        for boot, seq in seqs[-50:]:
            assert again.by_seq("KH1", boot, seq) == dedup.by_seq("KH1", boot, seq)
        for digest in digests:
            assert not again.by_content(digest)

    def test_other_bytes_are_refused(self) -> None:
        with pytest.raises(msgspec.MsgspecError):
            Dedup.from_bytes(b"\x93\x01")
