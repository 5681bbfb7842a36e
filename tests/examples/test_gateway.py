"""What the gateway makes of one answer; and what a person is shown of it. The agent is real."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from examples.ups_snmp.config import WELL_KNOWN_ALARMS_FILE, AlarmTypes, Broker, Config
from examples.ups_snmp.gateway import Gateway
from examples.ups_snmp.outbox import Outbox
from examples.ups_snmp.show import show
from ioc.clock import VirtualClock
from ioc.files import read_yaml
from tests.examples.lab import V2C, V3, AgentsHere, free_udp_port
from tests.servers import free_port

TYPES = read_yaml(WELL_KNOWN_ALARMS_FILE, AlarmTypes).alarms


class Asking:
    """A gateway of one UPS that is asked when the test says so; nothing is sent."""

    def __init__(self, here: AgentsHere, *, port: int, max_alarms: int = 1000) -> None:
        self.clock = VirtualClock()
        self.outbox = Outbox(
            Broker(port=free_port()),
            status_topic="s",
            client_id="c",
            clock=self.clock,
            max_alarms=max_alarms,
        )
        self.gateway = Gateway(config(here, port=port), TYPES, outbox=self.outbox, clock=self.clock)

    async def ask(self) -> tuple[dict[str, Any] | None, list[tuple[str, str]]]:
        """The reading, and the alarms that were said."""
        (unit,) = self.gateway._units
        reading = await self.gateway._ask(unit)
        said = [json.loads(message.payload) for message in self.outbox._alarms]
        self.outbox._alarms.clear()
        await self.clock.advance(10)
        return reading, [(alarm["alarm_id"], alarm["state"]) for alarm in said]


def config(here: AgentsHere, *, port: int, **access: Any) -> Config:
    return Config.model_validate(
        {
            "province": "khanh-hoa",
            "gateway": "GW",
            "timeout_s": 1,
            "ups": [{"asset": "UPS-1", "host": "127.0.0.1", "port": port, **(access or V2C)}],
        },
        context={"folder": here.folder},
    )


async def test_each_reading_has_the_next_seq_of_one_boot(here: AgentsHere) -> None:
    asking = Asking(here, port=here.open())
    for seq in range(3):
        reading, _ = await asking.ask()
        assert reading is not None
        assert (reading["kind"], reading["asset"]) == ("ups", "UPS-1")
        assert (reading["boot"], reading["seq"]) == (asking.gateway._boot, seq)
        assert reading["ts"] == asking.clock.now_ms() - 10_000
    asking.gateway._engines.close()


async def test_who_does_not_answer_is_not_spoken_for(here: AgentsHere) -> None:
    asking = Asking(here, port=free_udp_port())
    assert await asking.ask() == (None, [])
    asking.gateway._engines.close()


async def test_a_card_that_lost_its_ups_has_an_alarm_and_no_values(here: AgentsHere) -> None:
    asking = Asking(here, port=here.open())
    assert (await asking.ask())[0] is not None
    here.say(lambda said: said.update(alarms=["upsAlarmCommunicationsLost"]))
    assert await asking.ask() == (None, [("upsAlarmCommunicationsLost", "raised")])
    here.say(lambda said: None)
    reading, said = await asking.ask()
    assert said == [("upsAlarmCommunicationsLost", "cleared")]
    assert reading is not None
    assert reading["seq"] == 1, "what was not sent is no gap"
    asking.gateway._engines.close()


async def test_when_alarms_found_no_room_all_of_them_are_said_again(here: AgentsHere) -> None:
    asking = Asking(here, port=here.open(), max_alarms=5)
    await asking.ask()
    assert asking.outbox.dropped_alarms == len(TYPES) + 1 - 5
    publishing = asyncio.create_task(asking.gateway._publish())
    await asking.clock.advance(1)
    publishing.cancel()
    dropped = asking.outbox.dropped_alarms
    await asking.ask()
    assert asking.outbox.dropped_alarms == 2 * dropped
    asking.gateway._engines.close()


# ── --show ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("vi", ["UPS trả lời", "gửi đi", "Điện áp vào 229 V", "cảnh báo major", "đang chạy bằng"]),
        ("en", ["the UPS says", "sent", "Input voltage 229 V", "alarm major", "runs on its"]),
    ],
)
async def test_people_are_shown_what_a_ups_says_in_their_language(
    here: AgentsHere, capsys: pytest.CaptureFixture[str], language: Any, words: list[str]
) -> None:
    here.say(lambda said: said.update(alarms=["upsAlarmOnBattery"]))
    assert await show(config(here, port=here.open()), TYPES, language=language)
    shown = " ".join(capsys.readouterr().out.split())
    for word in words:
        assert word in shown


@pytest.mark.parametrize(
    ("wrong", "vi", "en"),
    [
        ({}, "xem địa chỉ, cổng UDP", "see address, UDP port"),
        ({"user": "nobody"}, "không có người dùng v3 này", "does not have this v3 user"),
        (
            {"auth_file": "wrong"},
            "mật khẩu hoặc thuật toán xác thực",
            "algorithm of authentication",
        ),
        ({"privacy_file": "wrong"}, "mật khẩu hoặc thuật toán mã hoá", "algorithm of privacy"),
    ],
    ids=["nobody-there", "user", "auth", "privacy"],
)
async def test_people_are_told_why_a_ups_does_not_answer(
    here: AgentsHere, capsys: pytest.CaptureFixture[str], wrong: dict[str, str], vi: str, en: str
) -> None:
    port = here.open(access=V3) if wrong else free_udp_port()
    asked = config(here, port=port, v3={**V3["v3"], **wrong})
    for language, hint in (("vi", vi), ("en", en)):
        assert not await show(asked, TYPES, language=language)  # type: ignore[arg-type]  # one of two
        assert hint in " ".join(capsys.readouterr().out.split())
