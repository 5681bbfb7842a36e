from __future__ import annotations

import pytest

from ioc.ingest.clocks import Clocks, Listening

NOW = 1_767_225_600_000


class TestClocks:
    def judge(self, clocks: Clocks, late_s: float, at_s: float, *, draining: bool = False) -> str:
        received = NOW + round(at_s * 1000)
        return clocks.judge(
            "a",
            ts_ms=received - round(late_s * 1000),
            received_ms=received,
            draining=draining,
        )

    def test_within_the_limit_either_way(self) -> None:
        clocks = Clocks(limit_s=120)
        assert self.judge(clocks, 119.9, 0) == "ok"
        assert self.judge(clocks, -119.9, 1) == "ok"

    def test_beyond_the_limit_either_way(self) -> None:
        assert self.judge(Clocks(limit_s=120), 121, 0) == "off"
        assert self.judge(Clocks(limit_s=120), -121, 0) == "off"

    def test_a_wrong_clock_stays_wrong_whatever_the_jitter(self) -> None:
        clocks = Clocks(limit_s=120)
        for n in range(50):
            assert self.judge(clocks, 600 + 0.2 * (n % 2), n * 10) == "off"

    def test_what_waited_at_the_broker_is_late_not_wrong(self) -> None:
        clocks = Clocks(limit_s=120)
        assert self.judge(clocks, 3600, 0, draining=True) == "ok"

    def test_a_clock_ahead_is_wrong_also_while_a_backlog_drains(self) -> None:
        assert self.judge(Clocks(limit_s=120), -600, 0, draining=True) == "off"

    def test_what_waited_in_the_device_is_late_not_wrong(self) -> None:
        clocks = Clocks(limit_s=120)
        self.judge(clocks, 0, 0)
        # An hour later the device sends what it kept: a reading each 10 s, 20 a second.
        states = {self.judge(clocks, 3600 - n * 10, 3600 + n * 0.05) for n in range(1, 300)}
        assert states == {"ok"}


class TestListening:
    def connected(self, *, grace_s: float = 15) -> Listening:
        listening = Listening(grace_s=grace_s)
        listening.connected(100)
        return listening

    def test_not_while_the_broker_is_away(self) -> None:
        listening = Listening(grace_s=0)
        assert not listening.listening(1000)
        listening.connected(1000)
        assert listening.listening(1000)
        listening.disconnected()
        assert not listening.listening(2000)

    def test_devices_get_time_to_come_back(self) -> None:
        listening = self.connected()
        assert not listening.listening(114)
        assert listening.listening(115)  # also when nothing came: that is silence

    def test_after_a_short_gap_devices_need_less_time(self) -> None:
        """A stall of our own disk cut only us off: what comes has hardly stopped."""
        listening = self.connected()
        listening.received(200, lag_s=0.1, waiting=0)
        listening.disconnected()
        listening.connected(201.2)
        assert not listening.listening(201.2 + 6.1)
        assert listening.listening(201.2 + 6.2)

    @pytest.mark.parametrize(("gap_s", "grace_s"), [(0, 5), (4, 9), (10, 15), (600, 15)])
    def test_the_longer_the_gap_the_longer_the_grace(self, gap_s: float, grace_s: float) -> None:
        listening = self.connected()
        listening.received(200, lag_s=0.1, waiting=0)
        listening.disconnected()
        listening.connected(200 + gap_s)
        assert not listening.listening(200 + gap_s + grace_s - 0.1)
        assert listening.listening(200 + gap_s + grace_s)

    def test_a_gap_is_as_long_as_nothing_came(self) -> None:
        """A frozen broker is noticed late, by keep-alive."""
        listening = self.connected()
        listening.received(200, lag_s=0.1, waiting=0)
        listening.disconnected()  # 25 s later
        listening.connected(226)
        assert not listening.listening(240)
        assert listening.listening(241)

    def test_a_short_gap_does_not_cut_a_grace_short(self) -> None:
        """A broker that starts, takes a message, falls over and starts again."""
        listening = self.connected()
        listening.received(101, lag_s=0.1, waiting=0)
        listening.disconnected()
        listening.connected(102)
        assert not listening.listening(114)
        assert listening.listening(115)

    def test_not_while_a_backlog_drains(self) -> None:
        listening = self.connected(grace_s=1)
        for second in range(40):  # an hour's worth, ever less late
            listening.received(100.5 + second, lag_s=3600 - second * 90, waiting=0)
            assert not listening.listening(101 + second)
        listening.received(141, lag_s=0.2, waiting=0)
        assert listening.listening(147)

    def test_a_wrong_clock_is_no_backlog(self) -> None:
        listening = self.connected(grace_s=1)
        for second in range(60):
            lag = 600 if second % 2 else 0.1
            listening.received(100.5 + second, lag_s=lag, waiting=0)
        assert listening.listening(120)
        assert listening.listening(160)

    def test_a_deep_queue_is_a_backlog_at_any_time(self) -> None:
        listening = self.connected()
        assert listening.listening(500)
        listening.received(500, lag_s=0.1, waiting=5000)
        assert not listening.listening(504)
        assert listening.listening(505)
