"""What can break. A fault begins on one asset, ends after its time, and spreads by the physics and
the topology: nothing here sends an alarm for what a reading already shows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ioc.errors import ConfigError
from ioc.text import Text
from simulators.table import Table


class FaultError(ConfigError):
    """A fault that cannot be injected as asked: no such fault, asset, or not on this kind."""


@dataclass(frozen=True, kw_only=True)
class DeviceAlarm:
    """What the equipment itself reports while a fault lasts (X.733 words)."""

    severity: Literal["critical", "major", "minor", "warning"]
    event_type: str
    probable_cause: str
    object: str
    text: str


@dataclass(frozen=True, kw_only=True)
class FaultKind:
    """One thing that can break. ``kinds`` empty: any kind of asset. ``needs`` names a metric that
    only assets with the part that breaks measure. ``alarm`` is what the asset itself says of it;
    what it says of its readings is in ``device_alarms``."""

    id: str
    kinds: frozenset[str]
    text: Text
    alarm: DeviceAlarm | None = None
    needs: str = ""

    def fits(self, kind: str) -> bool:
        return not self.kinds or kind in self.kinds


@dataclass(frozen=True, kw_only=True)
class ActiveFault:
    """A fault in force until ``until_ms`` (simulated time)."""

    fault: str
    asset: str
    until_ms: int


def _kind(
    id_: str, kinds: str, *, vi: str, en: str, alarm: DeviceAlarm | None = None, needs: str = ""
) -> tuple[str, FaultKind]:
    return id_, FaultKind(
        id=id_, kinds=frozenset(kinds.split()), text=Text(vi=vi, en=en), alarm=alarm, needs=needs
    )


FAULTS: dict[str, FaultKind] = dict(
    (
        # Fibre.
        _kind(
            "span-cut",
            "span",
            vi="Cáp đứt: đầu còn liên lạc báo mất tín hiệu, những gì phía sau mất liên lạc.",
            en="The cable is cut: the end that still speaks reports loss of signal, "
            "what hangs behind it falls silent.",
        ),
        _kind(
            "span-bend",
            "span",
            vi="Cáp bị uốn: suy hao tăng 4,5 dB trong hai phút.",
            en="The cable is bent: its loss grows by 4.5 dB within two minutes.",
        ),
        _kind(
            "flapping-link",
            "span uplink",
            vi="Kết nối chập chờn: lúc có lúc mất, vài giây một lần.",
            en="The link comes and goes every few seconds.",
        ),
        _kind(
            "laser-ageing",
            "span",
            vi="Laser sắp hết tuổi thọ: dòng phân cực tăng cao.",
            en="The laser nears its end of life: its bias current is high.",
        ),
        # Masts and stations.
        _kind(
            "mains-failure",
            "bts dc_site transfer_switch",
            vi="Mất điện lưới: ắc quy gánh tải cho đến khi cạn, máy phát chạy nếu có.",
            en="Mains fails: the battery carries the load until it is empty, "
            "a genset starts where there is one.",
        ),
        _kind(
            "battery-low",
            "bts",
            vi="Mất điện lưới khi ắc quy gần cạn: nhà trạm ngừng sau chừng nửa giờ.",
            en="Mains fails while the battery is nearly empty: "
            "the site is out of service in about half an hour.",
        ),
        _kind(
            "battery-theft",
            "bts",
            vi="Ắc quy bị mất trộm: cửa mở, không còn dự phòng.",
            en="The battery is stolen: the door is open and nothing is left for a mains failure.",
            alarm=DeviceAlarm(
                severity="major",
                event_type="environmental",
                probable_cause="intrusionDetection",
                object="shelter",
                text="Intrusion detected",
            ),
        ),
        _kind(
            "rectifier-failure",
            "bts",
            vi="Một bộ nắn hỏng: mất dự phòng N+1.",
            en="A rectifier fails: the N+1 spare is gone.",
        ),
        _kind(
            "cell-unavailable",
            "bts",
            vi="Một nửa số cell ngừng hoạt động.",
            en="Half of the station's cells are unavailable.",
        ),
        _kind(
            "out-of-service",
            "bts",
            vi="Khối băng gốc hỏng: mọi cell ngừng, nhà trạm vẫn gửi số liệu.",
            en="The baseband fails: no cell radiates, the site still reports.",
        ),
        _kind(
            "vswr",
            "bts",
            vi="Phi đơ bị ẩm: VSWR tăng lên 2,6.",
            en="Water in a feeder: the standing wave ratio rises to 2.6.",
        ),
        _kind(
            "interference",
            "bts",
            vi="Nhiễu ngoài lên −96 dBm mỗi PRB.",
            en="An outside source raises uplink interference to −96 dBm per resource block.",
        ),
        _kind(
            "sync-loss",
            "bts",
            vi="Mất đồng bộ: sai số vượt 1,5 µs.",
            en="Synchronisation is lost: the error passes 1.5 µs.",
        ),
        _kind(
            "door-open",
            "bts dc_site",
            vi="Cửa mở.",
            en="A door stands open.",
        ),
        _kind(
            "smoke",
            "bts dc_site",
            vi="Đầu báo khói tác động.",
            en="The smoke detector goes off.",
        ),
        _kind(
            "high-temperature",
            "bts dc_site rack",
            vi="Nhiệt độ tăng cao trong vài phút.",
            en="The temperature climbs within minutes.",
        ),
        _kind(
            "cooling-failure",
            "bts dc_site cooling_unit",
            vi="Làm lạnh hỏng: nóng dần lên (cả cơ sở: mọi máy lạnh; máy chủ giảm tốc rồi tự tắt).",
            en="Cooling fails and it grows hot "
            "(on a site: all its units; servers slow down, then stop).",
        ),
        _kind(
            "flood",
            "bts",
            vi="Nước ngập nhà trạm: sau mười phút mọi thiết bị mất nguồn.",
            en="Water rises in the shelter: ten minutes later everything in it is without power.",
            alarm=DeviceAlarm(
                severity="critical",
                event_type="environmental",
                probable_cause="flood",
                object="shelter",
                text="Water in the shelter",
            ),
        ),
        _kind(
            "low-fuel",
            "bts genset",
            vi="Bồn nhiên liệu của máy phát cố định gần cạn.",
            en="The fuel tank of a fixed genset is nearly empty.",
            needs="fuel_percent",
        ),
        # Data centres.
        _kind(
            "ups-on-battery",
            "ups",
            vi="Áp tô mát đầu vào UPS nhảy: chạy ắc quy.",
            en="The UPS's input breaker trips: it runs on battery.",
        ),
        _kind(
            "ups-failure",
            "ups",
            vi="UPS hỏng, không còn đầu ra: UPS của nhánh kia gánh cả hai.",
            en="The UPS fails and gives nothing: the one of the other feed carries both.",
        ),
        _kind(
            "ups-bypass",
            "ups",
            vi="UPS chuyển sang nhánh tắt.",
            en="The UPS goes to bypass.",
        ),
        _kind(
            "genset-not-in-auto",
            "genset",
            vi="Máy phát không ở chế độ tự động: mất điện sẽ không chạy.",
            en="The genset is not in automatic: it will not start.",
        ),
        _kind(
            "genset-failure",
            "genset",
            vi="Máy phát không khởi động được.",
            en="The genset fails to start.",
            alarm=DeviceAlarm(
                severity="major",
                event_type="environmental",
                probable_cause="generatorFailure",
                object="engine",
                text="Genset failed to start",
            ),
        ),
        _kind(
            "water-leak",
            "dc_site",
            vi="Rò nước dưới sàn.",
            en="Water leaks under the floor.",
        ),
        _kind(
            "storage-full",
            "storage_backup",
            vi="Dung lượng lưu trữ đã dùng 93 %.",
            en="Storage is 93 % full.",
        ),
        _kind(
            "backup-failed",
            "storage_backup",
            vi="Sao lưu thất bại: bản mới nhất cũ dần.",
            en="The backup fails and the newest one grows old.",
        ),
        _kind(
            "replication-stopped",
            "storage_backup",
            vi="Đồng bộ ngừng: độ trễ tăng từng giây.",
            en="Replication stops: its lag grows by the second.",
        ),
        _kind(
            "link-down",
            "uplink",
            vi="Đường truyền đứt: đường còn lại gánh lưu lượng.",
            en="The uplink is down: the other one carries the traffic.",
        ),
        # What the readings themselves can suffer, on any asset.
        _kind(
            "silent",
            "",
            vi="Ngừng gửi dữ liệu, thiết bị vẫn chạy.",
            en="It stops sending, though it works.",
        ),
        _kind(
            "sensor-spike",
            "",
            vi="Cảm biến thỉnh thoảng đọc một giá trị vô lý.",
            en="A sensor now and then reads one absurd value.",
        ),
        _kind(
            "sensor-stuck",
            "",
            vi="Cảm biến bị treo: đọc mãi một giá trị.",
            en="A sensor is stuck: it reads the same value again and again.",
        ),
        _kind(
            "bad-payload",
            "",
            vi="Phần mềm lỗi: gửi bản tin sai định dạng, tất cả vào khu cách ly.",
            en="Bad firmware: what it sends is nonsense and ends in quarantine.",
        ),
        _kind(
            "clock-skew",
            "",
            vi="Đồng hồ thiết bị chạy lệch: nhanh 45 phút nếu kịch bản không nói khác.",
            en="The device's clock is wrong: 45 minutes fast where a scenario says nothing else.",
        ),
    )
)


class Faults:
    """The faults in force, on the tables of all kinds. Belongs to one event loop."""

    def __init__(self, tables: Mapping[str, Table], *, not_simulated: Iterable[str] = ()) -> None:
        self._tables = tables
        self._kind_of = {asset: kind for kind, table in tables.items() for asset in table.index}
        self._not_simulated = frozenset(not_simulated)
        self._active: dict[tuple[str, str], ActiveFault] = {}

    @property
    def active(self) -> list[ActiveFault]:
        """All faults in force, those that end first in front."""
        return sorted(self._active.values(), key=lambda fault: fault.until_ms)

    def check(self, fault: str, asset: str) -> FaultKind:
        """The fault's kind. Raises ``FaultError`` in one line when it cannot be on this asset."""
        if fault not in FAULTS:
            near = difflib.get_close_matches(fault, FAULTS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise FaultError(f"fault {fault!r}: not known; {hint}known are {', '.join(FAULTS)}")
        kind = self._kind_of.get(asset)
        if kind is None:
            if asset in self._not_simulated:
                raise FaultError(f"asset {asset}: is not simulated; only its owner can break it")
            near = difflib.get_close_matches(asset, self._kind_of, n=3, cutoff=0.6)
            hint = f"; close to it are {', '.join(near)}" if near else ""
            raise FaultError(f"asset {asset!r}: no such asset{hint}")
        if not FAULTS[fault].fits(kind):
            able = ", ".join(known.id for known in FAULTS.values() if known.fits(kind))
            raise FaultError(f"fault {fault}: not on a {kind} ({asset}); it can have {able}")
        table, needs = self._tables[kind], FAULTS[fault].needs
        if needs in table.masks and not table.masks[needs][table.index[asset]]:
            raise FaultError(f"fault {fault}: {asset} does not measure {needs}")
        return FAULTS[fault]

    def begin(self, fault: str, asset: str, *, now_ms: int, for_ms: int) -> ActiveFault:
        """Let a fault begin now; one that is already there lasts anew from now.

        Raises ``FaultError`` as ``check`` does.
        """
        self.check(fault, asset)
        begun = ActiveFault(fault=fault, asset=asset, until_ms=now_ms + for_ms)
        self._active[fault, asset] = begun
        self._set(begun, present=True)
        return begun

    def end_due(self, now_ms: int) -> list[ActiveFault]:
        """End the faults whose time is over; they are returned."""
        due = [fault for fault in self._active.values() if fault.until_ms <= now_ms]
        for fault in due:
            del self._active[fault.fault, fault.asset]
            self._set(fault, present=False)
        return due

    def _set(self, fault: ActiveFault, *, present: bool) -> None:
        table = self._tables[self._kind_of[fault.asset]]
        table.fault(fault.fault)[table.index[fault.asset]] = present

    def kind_of(self, asset: str) -> str:
        return self._kind_of[asset]
