"""Reading a UPS's agent: a real one on the loopback, in all the ways it is asked and can fail."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from pysnmp.hlapi.v3arch.asyncio import SnmpEngine
from pysnmp.smi import error as smi_error

from examples.ups_snmp import agent as simulated
from examples.ups_snmp.agent import Variables, open_agent
from examples.ups_snmp.config import Ups
from examples.ups_snmp.mapping import metrics
from examples.ups_snmp.mib import COLUMNS, SCALARS, WELL_KNOWN_ALARMS
from examples.ups_snmp.snmp import AUTH, MOST_ROWS, PRIVACY, Agent, Engines, NoAnswerError
from ioc.errors import FileError
from tests.examples.lab import LAB, V2C, V3, AgentsHere, free_udp_port

Ask = Callable[..., Agent]


@pytest.fixture
def ask(here: AgentsHere, engines: Engines) -> Ask:
    """Makes readers."""

    def reader(
        port: int, access: dict[str, Any] = V2C, *, timeout_s: float = 5, **options: Any
    ) -> Agent:
        about = {"asset": "A", "host": "127.0.0.1", "port": port, **access, **options}
        ups = Ups.model_validate(about, context={"folder": here.folder})
        return Agent(ups, engines, timeout_s=timeout_s, retries=0, within_s=30)

    return reader


EVERY_WAY = [
    pytest.param(V2C, id="v2c"),
    *(
        pytest.param({"v3": {**V3["v3"], "auth": auth, "privacy": privacy}}, id=f"{auth}-{privacy}")
        for auth in AUTH
        for privacy in PRIVACY
    ),
]


@pytest.mark.parametrize("access", EVERY_WAY)
async def test_everything_is_read_in_every_way(
    here: AgentsHere, ask: Ask, access: dict[str, Any]
) -> None:
    snapshot = await ask(here.open(access=access), access).poll()
    assert snapshot.scalars == {
        "upsEstimatedMinutesRemaining": 42,
        "upsEstimatedChargeRemaining": 100,
        "upsBatteryTemperature": 24,
        "upsOutputSource": 3,
    }
    assert snapshot.columns == {
        "upsInputVoltage": {1: 231, 2: 229, 3: 230},
        "upsOutputVoltage": {1: 220, 2: 221, 3: 220},
        "upsOutputPercentLoad": {1: 31, 2: 28, 3: 33},
        "upsAlarmDescr": {},
    }


async def test_what_people_want_to_know_is_read_on_demand(here: AgentsHere, ask: Ask) -> None:
    snapshot = await ask(here.open()).describe()
    assert snapshot.scalars["upsIdentModel"] == "Lab UPS 40 kVA"
    assert snapshot.scalars["upsBatteryVoltage"] == 5431
    assert metrics(snapshot)["battery_charge_percent"] == 100


@pytest.mark.parametrize(
    ("right", "wrong", "failure"),
    [
        (V2C, {"v2c": {"community_file": "wrong"}}, "RequestTimedOut"),
        (V3, V2C, "RequestTimedOut"),
        (V3, {"v3": {**V3["v3"], "user": "nobody"}}, "UnknownUserName"),
        (V3, {"v3": {**V3["v3"], "auth_file": "wrong"}}, "WrongDigest"),
        (V3, {"v3": {**V3["v3"], "privacy_file": "wrong"}}, "DecryptionError"),
        (V3, {"v3": {**V3["v3"], "privacy": "aes256"}}, "DecryptionError"),
    ],
    ids=["community", "version", "user", "passphrase", "privacy-passphrase", "privacy"],
)
async def test_who_has_the_wrong_credentials_is_told_why(
    here: AgentsHere,
    ask: Ask,
    right: dict[str, Any],
    wrong: dict[str, Any],
    failure: str,
) -> None:
    agent = ask(here.open(access=right), wrong, timeout_s=1)
    with pytest.raises(NoAnswerError) as caught:
        await agent.poll()
    assert caught.value.failure == failure
    assert "wrong-secret" not in str(caught.value)


async def test_nobody_there(ask: Ask) -> None:
    with pytest.raises(NoAnswerError, match="before timeout"):
        await ask(free_udp_port(), timeout_s=0.2).poll()


async def test_who_is_too_slow_is_given_up(here: AgentsHere, engines: Engines) -> None:
    about = {"asset": "A", "host": "127.0.0.1", "port": free_udp_port(), **V2C}
    ups = Ups.model_validate(about, context={"folder": here.folder})
    with pytest.raises(NoAnswerError, match=r"not within 0\.2 s"):
        await Agent(ups, engines, timeout_s=5, retries=5, within_s=0.2).poll()


async def test_a_name_that_does_not_exist_is_no_answer(ask: Ask) -> None:
    with pytest.raises(NoAnswerError, match=r"ups\.invalid"):
        await ask(161, host="ups.invalid").poll()


async def test_users_of_one_name_have_their_own_passphrases(here: AgentsHere, ask: Ask) -> None:
    other = {"v3": {**V3["v3"], "auth_file": "wrong", "privacy_file": "wrong"}}
    first, second = ask(here.open(access=V3), V3), ask(here.open(access=other), other)
    for agent in (first, second, first):
        assert metrics(await agent.poll())["runtime_min"] == 42


async def test_the_file_is_read_anew(here: AgentsHere, ask: Ask) -> None:
    agent = ask(here.open())
    assert (await agent.poll()).number("upsOutputSource") == 3
    here.say(lambda said: said["objects"].update(upsOutputSource=5))
    assert (await agent.poll()).number("upsOutputSource") == 5
    here.file.write_text("objects: {")  # half written: what was said before stands
    assert (await agent.poll()).number("upsOutputSource") == 5


async def test_alarms_have_rows_as_rfc_1628_numbers_them(here: AgentsHere, ask: Ask) -> None:
    agent = ask(here.open())

    async def rows(*alarms: str) -> dict[int, object]:
        here.say(lambda said: said.update(alarms=list(alarms)))
        return dict((await agent.poll()).columns["upsAlarmDescr"])

    on_battery, input_bad = (*WELL_KNOWN_ALARMS, 2), (*WELL_KNOWN_ALARMS, 6)
    assert await rows("upsAlarmOnBattery", "upsAlarmInputBad") == {1: on_battery, 2: input_bad}
    assert await rows("upsAlarmInputBad") == {2: input_bad}
    # The next new row is the third, though the first is free.
    assert await rows("upsAlarmInputBad", "upsAlarmOnBattery") == {2: input_bad, 3: on_battery}


async def test_a_long_table_is_read_to_its_end_and_an_endless_one_to_a_bound(
    here: AgentsHere, ask: Ask
) -> None:
    agent = ask(here.open())
    for rows, read in ((20, 20), (200, MOST_ROWS)):
        alarms = [f"1.3.6.1.4.1.64512.{rows}.{number}" for number in range(rows)]
        here.say(functools.partial(dict.update, alarms=alarms))
        assert len((await agent.poll()).columns["upsAlarmDescr"]) == read


async def test_a_ups_with_less_is_read_with_less(here: AgentsHere, ask: Ask) -> None:
    agent = ask(here.open())
    here.say(lambda said: said.update(objects={"upsOutputSource": 5}, lines={}))
    snapshot = await agent.poll()
    assert metrics(snapshot) == {"on_battery": True, "on_bypass": False}
    here.say(lambda said: said.update(objects={"upsOutputSource": "on battery"}, lines={}))
    assert metrics(await agent.poll()) == {}


async def test_an_agent_that_refuses_all_for_one_object_is_asked_without_it(
    here: AgentsHere, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = []

    class Refusing(Variables):
        def read_variables(self, *asked: Any, **request: Any) -> list[Any]:
            questions.append(len(asked))
            if tuple(asked[0][0]) == SCALARS["upsEstimatedMinutesRemaining"]:
                raise smi_error.GenError(idx=0)
            return super().read_variables(*asked, **request)

    monkeypatch.setattr(simulated, "Variables", Refusing)
    agent = ask(here.open())
    for _ in range(2):
        found = metrics(await agent.poll())
        assert "runtime_min" not in found
        assert found["battery_charge_percent"] == 100
    assert questions == [4, 3, 3], "it is asked once"


async def test_an_agent_that_goes_in_circles_is_not_followed(
    here: AgentsHere, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Circling(Variables):
        def read_next_variables(self, *asked: Any, **request: Any) -> list[Any]:
            found = super().read_next_variables(*asked, **request)
            first = super().read_next_variables((COLUMNS["upsInputVoltage"], None), **request)
            return [first[0]] * len(found)

    monkeypatch.setattr(simulated, "Variables", Circling)
    agent = ask(here.open(), timeout_s=1)
    with pytest.raises(NoAnswerError, match="goes in circles in upsInputVoltage"):
        await agent.poll()


async def test_datagrams_that_are_no_snmp_change_nothing(here: AgentsHere, ask: Ask) -> None:
    port = here.open()
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        for rubbish in (b"", b"\x30", b"\xff" * 1400, b"\x30\x82\xff\xff"):
            sender.sendto(rubbish, ("127.0.0.1", port))
    assert metrics(await ask(port).poll())["runtime_min"] == 42


def engine(*, boots: int, up_for_s: int) -> Any:
    """An SNMP engine as a card has it: with a count of its starts and a clock of its own."""
    made = SnmpEngine()
    names = ("snmpEngineBoots", "snmpEngineTime")
    count, since = made.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", *names)
    count.syntax = count.syntax.clone(boots)
    since.syntax = since.syntax.clone(int(time.time()) - up_for_s)
    return made


@pytest.mark.parametrize("boots", [5, 4, 1], ids=["restarted", "lost-its-clock", "lost-its-count"])
async def test_a_card_that_begins_anew_is_believed_again(
    here: AgentsHere, ask: Ask, monkeypatch: pytest.MonkeyPatch, boots: int
) -> None:
    """Version 3 refuses what is out of its time window (RFC 3414, 3.2.7), and cheap cards go back
    in time. One poll without an answer is enough to begin anew."""
    monkeypatch.setattr(simulated, "SnmpEngine", lambda: engine(boots=4, up_for_s=1000))
    port = here.open(access=V3)
    agent = ask(port, V3, timeout_s=2)
    await agent.poll()
    here.close()
    await asyncio.sleep(0)
    monkeypatch.setattr(simulated, "SnmpEngine", lambda: engine(boots=boots, up_for_s=0))
    here.open(port=port)
    with pytest.raises(NoAnswerError):
        await agent.poll()
    assert metrics(await agent.poll())["runtime_min"] == 42


# ── the simulated agent's file ───────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda said: said["objects"].update(upsOutputSorce=3), "upsOutputSorce: expected one of"),
        (lambda said: said["objects"].update(upsAlarmsPresent=3), "upsAlarmsPresent: expected"),
        (lambda said: said["lines"].update(upsBatteryVoltage=[1]), "upsBatteryVoltage: expected"),
        (lambda said: said["objects"].update(upsOutputSource=2**31), "upsOutputSource"),
        (lambda said: said.update(access={}), "give v2c or v3"),
    ],
)
async def test_a_fault_in_the_file_is_named(
    here: AgentsHere, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    here.say(change)
    with pytest.raises(FileError, match=says):
        open_agent(here.file, port=free_udp_port())


@pytest.mark.parametrize("name", ["ups-a.yaml", "ups-a-on-battery.yaml", "ups-b.yaml"])
async def test_the_labs_files_are_readable(here: AgentsHere, name: str) -> None:
    (here.folder / name).write_text((LAB / name).read_text())
    assert Variables(here.folder / name).said.objects["upsIdentManufacturer"] == "Synthetic"
