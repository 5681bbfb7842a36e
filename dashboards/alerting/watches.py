"""What Grafana watches. A new rule is one entry here.

No question costs more with more stations: each reads what the service has worked out, the service
itself, or the few assets of the data centre. A count of the stations' own readings over a minute
would take InfluxDB ten times as long at 39,000 stations as at 3,900.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards import ask
from dashboards.alerting.watch import TIMES, WINDOW_S, Asked, Watch, from_catalog
from dashboards.setting import Setting
from ioc.store.query import Aggregate
from ioc.text import Text

READING_EVERY_S = 10


def groups(on: Setting) -> dict[str, list[Watch]]:
    """The rules by group; those of a group are evaluated one after another."""
    watched: dict[str, Callable[[Setting], list[Watch]]] = {
        "ioc-service": _service,
        "ioc-network": _network,
        "ioc-data-center": _data_center,
    }
    return {name: watches(on) for name, watches in watched.items()}


def _service(on: Setting) -> list[Watch]:
    return [
        Watch(
            name="telemetry-missing",
            title=Text(vi="Không có số liệu", en="No telemetry"),
            team="ioc",
            severity="critical",
            event_type="communications",
            probable_cause="communicationsSubsystemFailure",
            text=Text(
                vi="Không có số liệu nào đến trong một phút, hoặc InfluxDB không trả lời",
                en="No telemetry for a minute, or InfluxDB does not answer",
            ),
            action=Text(
                vi="Kiểm tra theo thứ tự: dịch vụ IOC, broker, InfluxDB. Nếu dịch vụ đã ngừng, "
                "chỉ còn Grafana báo cho bạn.",
                en="Check in this order: the IOC service, the broker, InfluxDB. Where the service "
                "is down, Grafana is all that tells you.",
            ),
            # The service's own count: it ends with the service, too.
            asked=[_own(on, "readings_per_s", how="mean")],
            below=0.05,
            for_s=10,
            silent="Alerting",
            failed="Alerting",
            page="/system",
        ),
        Watch(
            name="alarm-engine-silent",
            title=Text(vi="Bộ xử lý cảnh báo im lặng", en="Alarm engine silent"),
            team="ioc",
            severity="critical",
            event_type="processingError",
            probable_cause="applicationSubsystemFailure",
            text=Text(
                vi="Một phút không có chỉ số và trạng thái cảnh báo nào được tính ra",
                en="No measures and no states of alarms have been worked out for a minute",
            ),
            action=Text(
                vi="Xem màn hình Hệ thống và tệp log của dịch vụ: bộ xử lý cảnh báo hoặc khối tính "
                "chỉ số đã dừng. Chừng nào còn vậy, có thể không có cảnh báo mới.",
                en="Look at the System screen and the service's log: the alarm engine or the stage "
                "of measures stands still. While it does, new alarms may not come.",
            ),
            asked=[_province(on, "alarms_active", how="count")],
            below=0.5,
            for_s=10,
            silent="Alerting",
            page="/system",
        ),
        from_catalog(on, "ioc", "ioc-alarms-late", team="ioc", page="/system"),
        from_catalog(on, "ioc", "ioc-store-late", team="ioc", page="/system"),
        from_catalog(on, "ioc", "ioc-journal-half", team="ioc", page="/system"),
        from_catalog(on, "ioc", "ioc-journal-nearly-full", team="ioc", page="/system"),
        Watch(
            name="journal-growing",
            title=Text(vi="Nhật ký sự kiện phình nhanh", en="Journal growing"),
            team="ioc",
            severity="warning",
            event_type="processingError",
            probable_cause="storageCapacityProblem",
            text=Text(
                vi="Nhật ký sự kiện đầy thêm {value} điểm phần trăm trong nửa giờ",
                en="The journal has filled by {value} percentage points in half an hour",
            ),
            action=Text(
                vi="Có khối nào ghi không kịp: xem độ trễ của kho lưu trữ và của bộ xử lý "
                "cảnh báo.",
                en="Something does not keep up: look at the lag of the store and of the alarm "
                "engine.",
            ),
            asked=[
                _own(on, "journal_used_percent", how="mean", from_s=300),
                _own(on, "journal_used_percent", how="mean", from_s=2100, to_s=1800),
            ],
            formula="$A - $B",
            above=3,
            clear=1,
            decimals=1,
            for_s=60,
            silent="OK",  # half an hour ago there was nothing
            page="/system",
        ),
        from_catalog(on, "ioc", "ioc-disk-low", team="ioc", page="/system"),
    ]


def _network(on: Setting) -> list[Watch]:
    return [
        _stations_out(on, share_percent=5, clear_percent=4, severe=False),
        _stations_out(on, share_percent=20, clear_percent=15, severe=True),
        Watch(
            name="span-down",
            title=Text(vi="Mất tín hiệu cáp quang", en="Loss of signal on a span"),
            team="network",
            severity="major",
            event_type="communications",
            probable_cause="lossOfSignal",
            text=Text(
                vi="Số chặng cáp quang mất tín hiệu: {value}",
                en="Fibre spans without signal: {value}",
            ),
            action=Text(
                vi="Mở bản đồ: chặng nào, trạm nào phụ thuộc vào nó, đội nào gần nhất.",
                en="Open the map: which span, which stations depend on it, which crew is nearest.",
            ),
            asked=[_province(on, "spans_down")],
            above=0.5,
            for_s=30,
            page="/",
        ),
    ]


def _stations_out(on: Setting, *, share_percent: int, clear_percent: int, severe: bool) -> Watch:
    return Watch(
        name=f"stations-out-{share_percent}",
        title=Text(
            vi=f"Trên {share_percent} % trạm ngừng", en=f"Over {share_percent} % of stations out"
        ),
        team="network",
        severity="critical" if severe else "major",
        event_type="communications",
        probable_cause="communicationsSubsystemFailure",
        text=Text(
            vi=f"{{value}} % trạm gốc ngừng hoặc mất liên lạc, trên {share_percent} %",
            en=f"{{value}} % of base stations are down or silent, above {share_percent} %",
        ),
        action=Text(
            vi="Tìm nguyên nhân chung trước: đứt cáp, mất điện diện rộng, hoặc đường truyền của "
            "một nhà mạng.",
            en="Look for what they share first: a cut, a power failure of a district, or one "
            "operator's transport.",
        ),
        asked=[_province(on, name) for name in ("bts_down", "bts_silent", "bts_total")],
        formula="($A + $B) / $C * 100",
        above=share_percent,
        clear=clear_percent,
        decimals=1,
        for_s=30,
        page="/",
    )


def _data_center(on: Setting) -> list[Watch]:
    sites = len(on.province.data_centers)
    supply = ask.latest(on, "ups", ["input_voltage_v"], group_by=["asset"], times=TIMES)
    readings = ask.latest(on, "dc_site", ["ts"], how="count", times=TIMES)
    return [
        Watch(
            name="dc-site-silent",
            title=Text(vi="Cơ sở dữ liệu im lặng", en="Data-centre site silent"),
            team="data-center",
            severity="critical",
            event_type="communications",
            probable_cause="communicationsSubsystemFailure",
            text=Text(
                vi=f"Có cơ sở trung tâm dữ liệu không gửi số liệu (tổng số cơ sở: {sites})",
                en=f"Not every one of the {sites} data-centre sites sends data",
            ),
            action=Text(
                vi="Gọi người trực tại cơ sở; kiểm tra hệ thống giám sát và đường truyền.",
                en="Call the people on duty at the site; check its monitoring and its uplinks.",
            ),
            asked=[Asked(text=readings.text)],
            # One site sends as many readings as a minute has; half of one may be under way.
            below=(sites - 0.5) * WINDOW_S / READING_EVERY_S,
            for_s=30,
            silent="Alerting",
            page="/",
        ),
        from_catalog(on, "dc_site", "dc-room-temperature", team="data-center"),
        Watch(
            name="ups-input-lost",
            title=Text(vi="UPS mất nguồn vào", en="UPS without supply"),
            team="data-center",
            severity="major",
            event_type="environmental",
            probable_cause="batteryDischarging",
            text=Text(
                vi="UPS {asset} mất nguồn vào: {value} V",
                en="UPS {asset} has lost its supply: {value} V",
            ),
            action=Text(
                vi="Kiểm tra điện lưới, máy phát và bộ chuyển nguồn; so với thời gian còn giữ "
                "được.",
                en="Check mains, genset and transfer switch; compare with the runtime left.",
            ),
            asked=[Asked(text=supply.text)],
            # A supply of 230 V less the 20 % that a UPS takes without its battery, about.
            below=180,
            clear=200,
            for_s=40,
            page="/assets/{asset}",
        ),
        from_catalog(on, "ups", "ups-runtime-low", team="data-center"),
    ]


def _own(
    on: Setting, metric: str, *, how: Aggregate, from_s: int = WINDOW_S, to_s: int = 0
) -> Asked:
    """A metric of the service itself."""
    target = ask.latest(on, "ioc", [metric], how=how, times=TIMES)
    return Asked(text=target.text, from_s=from_s, to_s=to_s)


def _province(on: Setting, measure: str, *, how: Aggregate = "last") -> Asked:
    """A measure of the whole province."""
    target = ask.latest(on, "kpi", [measure], where=ask.of_province(on), how=how, times=TIMES)
    return Asked(text=target.text)


def all_of(on: Setting) -> Sequence[Watch]:
    """Every rule, in the order of the groups."""
    return [watch for watches in groups(on).values() for watch in watches]
