"""What each UPS says now, for the person who connects it. Nothing is published."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from examples.ups_snmp.alarms import COMMUNICATIONS_LOST, AlarmTable
from examples.ups_snmp.config import AlarmType, Config, Ups
from examples.ups_snmp.mapping import KIND, metrics
from examples.ups_snmp.mib import (
    COLUMNS,
    DESCRIPTION,
    SCALARS,
    UNITS,
    BatteryStatus,
    OutputSource,
    scaled,
)
from examples.ups_snmp.snmp import Engines, NoAnswerError, Snapshot, Value, agent_of
from ioc.catalog import load_catalog
from ioc.text import Language, Text

SAYS = Text(vi="UPS trả lời", en="the UPS says")
SENT = Text(vi="gửi đi", en="sent")
NOT_THERE = Text(vi="UPS không có", en="the UPS has none")
YES, NO = Text(vi="có", en="yes"), Text(vi="không", en="no")
ALARM = Text(vi="cảnh báo", en="alarm")
NO_ALARM = Text(vi="không có cảnh báo", en="no alarm")
NO_ANSWER = Text(vi="không trả lời", en="no answer")
CARD_ALONE = Text(
    vi="thẻ mạng không liên lạc được với UPS, nên không gửi số liệu",
    en="the network card cannot reach the UPS, so no readings are sent",
)
# By pysnmp's word for what went wrong.
HINTS = {
    "RequestTimedOut": Text(
        vi="xem địa chỉ, cổng UDP, tường lửa, quyền truy cập; v2c: sai community cũng im lặng",
        en="see address, UDP port, firewall, access list; v2c: a wrong community gets no answer",
    ),
    "UnknownUserName": Text(
        vi="UPS không có người dùng v3 này (user)", en="the UPS does not have this v3 user (user)"
    ),
    "UnsupportedSecurityLevel": Text(
        vi="trên UPS, người dùng này cần mức authPriv", en="on the UPS this user needs authPriv"
    ),
    "WrongDigest": Text(
        vi="sai mật khẩu hoặc thuật toán xác thực (auth, auth_file)",
        en="wrong passphrase or algorithm of authentication (auth, auth_file)",
    ),
    "DecryptionError": Text(
        vi="sai mật khẩu hoặc thuật toán mã hoá (privacy, privacy_file)",
        en="wrong passphrase or algorithm of privacy (privacy, privacy_file)",
    ),
}


async def show(config: Config, types: tuple[AlarmType, ...], *, language: Language) -> bool:
    """Ask every UPS once and print what it says; whether all answered."""
    console = Console()
    engines = Engines()
    try:
        answers = await asyncio.gather(*(_ask(config, ups, engines) for ups in config.ups))
    finally:
        engines.close()
    for ups, answer in zip(config.ups, answers, strict=True):
        console.print(f"[bold]{ups.asset}[/]  {ups.host}:{ups.port}", highlight=False)
        if isinstance(answer, NoAnswerError):
            hint = HINTS.get(answer.failure)
            console.print(f"  {NO_ANSWER.of(language)}: {answer}", highlight=False)
            if hint:
                console.print(f"  → {hint.of(language)}", highlight=False)
            continue
        alarms = AlarmTable(types, language=language).standing(answer)
        console.print(_table(answer, language), highlight=False)
        for alarm in alarms.values():
            console.print(
                f"  {ALARM.of(language)} {alarm.type.severity}: {alarm.text} ({alarm.type.id})",
                highlight=False,
            )
        if COMMUNICATIONS_LOST in alarms:
            console.print(f"  → {CARD_ALONE.of(language)}", highlight=False)
        elif not alarms:
            console.print(f"  {NO_ALARM.of(language)}", highlight=False)
    return not any(isinstance(answer, NoAnswerError) for answer in answers)


async def _ask(config: Config, ups: Ups, engines: Engines) -> Snapshot | NoAnswerError:
    try:
        return await agent_of(ups, config, engines).describe()
    except NoAnswerError as error:
        return error


def _table(snapshot: Snapshot, language: Language) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column(f"{SAYS.of(language)} (RFC 1628)")
    table.add_column("", justify="right")
    for name, value in _said(snapshot):
        table.add_row(name, value)
    table.add_section()
    table.add_row(f"[bold]{SENT.of(language)}[/]", "")
    sent = metrics(snapshot)
    for name, metric in load_catalog().kinds[KIND].metrics.items():
        found = sent.get(name)
        if found is None:
            shown = NOT_THERE.of(language)
        elif isinstance(found, bool):
            shown = (YES if found else NO).of(language)
        else:
            shown = f"{found:g} {metric.unit}"
        table.add_row(f"{name}  {metric.title.of(language)}", shown)
    return table


def _said(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for name in (*DESCRIPTION, *SCALARS):
        if name in snapshot.scalars:
            yield name, _shown(name, [snapshot.scalars[name]])
    for name in COLUMNS:
        rows = snapshot.columns.get(name)
        if name != "upsAlarmDescr" and rows:
            yield name, _shown(name, rows.values())


def _shown(name: str, values: Iterable[Value]) -> str:
    words = {"upsOutputSource": OutputSource, "upsBatteryStatus": BatteryStatus}.get(name)
    parts = []
    for value in values:
        if not isinstance(value, int):
            parts.append(str(value))
        elif words is not None and value in set(words):
            parts.append(f"{words(value).name} ({value})")
        else:
            parts.append(str(scaled(name, value)))
    return f"{' / '.join(parts)} {UNITS.get(name, '')}".rstrip()
