"""A UPS that does not exist: an SNMP agent that says what a file says (UPS-MIB, RFC 1628).

    python -m examples.ups_snmp.agent ups.yaml --port 16101

The file is read anew when it changes: edit it, and the mains have failed. Values go out as they are
written, also impossible ones. Only reading is answered, on the loopback.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config as entity
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.hlapi.v3arch.asyncio import SnmpEngine
from pysnmp.proto.rfc1902 import Gauge32, Integer32, ObjectIdentifier, ObjectName, OctetString
from pysnmp.proto.rfc1905 import endOfMibView, noSuchInstance
from pysnmp.smi.instrum import AbstractMibInstrumController

from examples.ups_snmp.config import WELL_KNOWN_ALARMS_FILE, Access, AlarmTypes
from examples.ups_snmp.mib import COLUMNS, DESCRIPTION, SCALARS, UPS_OBJECTS, Oid
from examples.ups_snmp.snmp import AUTH, PRIVACY
from ioc.errors import ConfigError, FileError
from ioc.files import read_yaml

HOST = "127.0.0.1"
# RFC 3411: a private enterprise number (64512 is nobody's), then octets of our own.
ENGINE_ID = b"\x80\x00\xfc\x00\x05ups"
ALARMS_PRESENT = "upsAlarmsPresent"
WRITABLE = {**SCALARS, **DESCRIPTION}
LINES = {name: oid for name, oid in COLUMNS.items() if name != "upsAlarmDescr"}
Number = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class Said(BaseModel):
    """The file: what the UPS says. ``lines`` are the columns with a row for each line; ``alarms``
    are names of RFC 1628 or OIDs of a maker's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    access: Access
    objects: dict[str, Number | Annotated[str, Field(max_length=255)]]
    lines: dict[str, list[Number]] = {}
    alarms: list[str] = []

    @field_validator("objects")
    @classmethod
    def _known_objects(cls, objects: dict[str, int | str]) -> dict[str, int | str]:
        return _known(objects, WRITABLE.keys() - {ALARMS_PRESENT})

    @field_validator("lines")
    @classmethod
    def _known_lines(cls, lines: dict[str, list[int]]) -> dict[str, list[int]]:
        return _known(lines, LINES.keys())


class Variables(AbstractMibInstrumController):  # type: ignore[misc]  # pysnmp has no types
    """The variables, made from the file as it is at each question."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = {
            known.id: known.oid for known in read_yaml(WELL_KNOWN_ALARMS_FILE, AlarmTypes).alarms
        }
        self._rows: dict[str, int] = {}
        self._next_row = 1
        self._seen: object = None
        self._variables: dict[Oid, Any] = {}
        self._order: list[Oid] = []
        self.said = self._read()

    def read_variables(self, *asked: Any, **request: Any) -> list[Any]:
        """GET."""
        self._refresh()
        answer = []
        for name, value in asked:
            _check(request, name, value)
            answer.append((name, self._variables.get(tuple(name), noSuchInstance)))
        return answer

    def read_next_variables(self, *asked: Any, **request: Any) -> list[Any]:
        """GETNEXT and GETBULK."""
        self._refresh()
        answer = []
        for name, value in asked:
            place = bisect.bisect_right(self._order, tuple(name))
            if place == len(self._order):
                answer.append((name, endOfMibView))
                continue
            following = self._order[place]
            _check(request, following, value)
            answer.append((ObjectName(following), self._variables[following]))
        return answer

    def _refresh(self) -> None:
        # A file that is just being written is read a moment later.
        with contextlib.suppress(OSError, FileError):
            self.said = self._read()

    def _read(self) -> Said:
        state = self._path.stat()
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if stamp == self._seen:
            return self.said
        said = read_yaml(self._path, Said)
        found: dict[Oid, Any] = {
            WRITABLE[name]: Integer32(value) if isinstance(value, int) else OctetString(value)
            for name, value in said.objects.items()
        }
        for name, values in said.lines.items():
            found |= {(*LINES[name], row): Integer32(v) for row, v in enumerate(values, start=1)}
        found[DESCRIPTION[ALARMS_PRESENT]] = Gauge32(len(said.alarms))
        for row, alarm in self._alarm_rows(said.alarms):
            oid = self._names.get(alarm, alarm)
            found[*COLUMNS["upsAlarmDescr"], row] = ObjectIdentifier(oid)
        self._variables, self._order, self._seen = found, sorted(found), stamp
        return said

    def _alarm_rows(self, alarms: list[str]) -> list[tuple[int, str]]:
        """RFC 1628: a new row has the next number, whatever became free."""
        self._rows = {alarm: row for alarm, row in self._rows.items() if alarm in alarms}
        for alarm in alarms:
            if alarm not in self._rows:
                self._rows[alarm] = self._next_row
                self._next_row += 1
        return [(row, alarm) for alarm, row in self._rows.items()]


def _known(found: dict[str, Any], names: Any) -> dict[str, Any]:
    for name in found:
        if name not in names:
            raise ValueError(f"{name}: expected one of {', '.join(sorted(names))}")
    return found


def _check(request: dict[str, Any], name: Any, value: Any) -> None:
    """Refuse who may not read; raises pysnmp's own error for it."""
    allowed: Callable[..., object] = request["acFun"]
    allowed("read", (name, value), **request)


def open_agent(path: Path, *, port: int) -> Any:
    """Begin to answer on a UDP port of the loopback; ``close_dispatcher`` of what is returned ends
    it. Needs a running event loop. Raises ``FileError`` and ``OSError``."""
    variables = Variables(path)
    engine = SnmpEngine()
    # A card keeps its id. (Given to the constructor, pysnmp would keep a file for it.)
    (own,) = engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID")
    own.syntax = engine.snmpEngineID = own.syntax.clone(ENGINE_ID + port.to_bytes(2))
    entity.add_transport(engine, udp.DOMAIN_NAME, udp.UdpTransport().open_server_mode((HOST, port)))
    _admit(engine, variables.said.access)
    mine = context.SnmpContext(engine)
    mine.unregister_context_name(b"")
    mine.register_context_name(b"", variables)
    cmdrsp.GetCommandResponder(engine, mine)
    cmdrsp.NextCommandResponder(engine, mine)
    cmdrsp.BulkCommandResponder(engine, mine)
    return engine


def _admit(engine: Any, access: Access) -> None:
    if access.v2c is not None:
        entity.add_v1_system(engine, "reader", access.v2c.community_file.get_secret_value())
        entity.add_vacm_user(engine, 2, "reader", "noAuthNoPriv", UPS_OBJECTS)
    if access.v3 is not None:
        entity.add_v3_user(
            engine,
            access.v3.user,
            AUTH[access.v3.auth],
            access.v3.auth_file.get_secret_value(),
            PRIVACY[access.v3.privacy],
            access.v3.privacy_file.get_secret_value(),
        )
        entity.add_vacm_user(engine, 3, access.v3.user, "authPriv", UPS_OBJECTS)


def run(
    file: Annotated[Path, typer.Argument(help="What the UPS says, in YAML.")],
    port: Annotated[int, typer.Option(min=1, max=65_535, help="UDP port on the loopback.")],
) -> None:
    """A simulated UPS with an SNMP agent (UPS-MIB, RFC 1628). Synthetic.

    UPS giả lập có SNMP; số liệu không có thật.

    Example: python -m examples.ups_snmp.agent ups.yaml --port 16101
    """
    asyncio.run(_until_told(file, port))


async def _until_told(file: Path, port: int) -> None:
    engine = open_agent(file, port=port)
    sys.stderr.write(f"a simulated UPS answers on udp {HOST}:{port}; it says what {file} says\n")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    engine.close_dispatcher()


def main() -> None:
    """Run the command; what a person must put right becomes one line each and exit code 1."""
    try:
        typer.run(run)
    except (ConfigError, OSError) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"ups_snmp.agent: {line}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
