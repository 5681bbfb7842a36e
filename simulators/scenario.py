"""What happens by itself while the simulators run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ioc.text import Text
from simulators.province import Province

INCIDENT_AT_S = 60.0
INCIDENT_FOR_S = 120.0
# How many stations the demo incident should take out of service: enough to see, few enough to
# read.
_FEWEST, _BEST, _MOST = 20, 40, 60


@dataclass(frozen=True, kw_only=True)
class Step:
    """One fault that begins ``at_s`` after the start and lasts ``for_s``."""

    at_s: float
    for_s: float
    fault: str
    asset: str
    note: str = ""


SCENARIOS: dict[str, Text] = {
    "calm": Text(
        vi="Không có sự cố: ngày thường, không cảnh báo nào.",
        en="Nothing breaks: an ordinary day without a single alarm (--no-incident).",
    ),
    "demo": Text(
        vi="Sau một phút một chặng cáp đứt và cô lập vài chục trạm; hai phút sau được hàn nối.",
        en="After a minute a fibre span is cut and takes some dozens of stations with it; "
        "two minutes later it is mended (--incident, as it comes).",
    ),
}


def demo_incident(province: Province) -> list[Step]:
    """The cut of the demo: the simulated span whose failure alone takes the number of stations
    nearest to 40 out of service, between 20 and 60 where the network has such a span. Real
    equipment is left alone. Empty when no span cuts a station off (everything is in rings)."""
    network, table = province.network, province.stations.table
    stations = np.bincount(table.site, minlength=len(network.sites))
    cuts = [
        (int(stations[sites].sum()), network.spans[row].id)
        for row, sites in network.cut_off_by().items()
        if network.spans[row].simulated and not province.real[sites].any()
    ]
    cuts = [cut for cut in cuts if cut[0] > 0]
    if not cuts:
        return []
    count, span = min(cuts, key=lambda cut: (not _FEWEST <= cut[0] <= _MOST, _off(cut[0]), cut[1]))
    return [
        Step(
            at_s=INCIDENT_AT_S,
            for_s=INCIDENT_FOR_S,
            fault="span-cut",
            asset=span,
            note=f"{count} stations hang on it",
        )
    ]


def _off(stations: int) -> int:
    return abs(stations - _BEST)
