"""What Prometheus reads. Worked out when it asks; nothing is counted twice for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ioc.alarms.model import SEVERITIES
from ioc.web.context import Context
from ioc.web.stream import LAST_MESSAGE, STATES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def expose(context: Context, deliveries: Mapping[str, int]) -> bytes:
    """All metrics in the Prometheus text format. ``deliveries`` counts them by status."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Service(context, deliveries))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


class _Service(Collector):
    def __init__(self, context: Context, deliveries: Mapping[str, int]) -> None:
        self._context = context
        self._deliveries = deliveries

    def collect(self) -> Iterator[Metric]:
        yield from self._stages()
        yield from self._journal()
        yield from self._network()
        yield _gauge(
            "ioc_deliveries",
            "Notifications kept in the delivery log, by status.",
            ("status",),
            (((status,), count) for status, count in sorted(self._deliveries.items())),
        )
        feed = self._context.feed
        yield _gauge("ioc_stream_clients", "Open live streams.", (), (((), len(feed.clients)),))
        restarts = CounterMetricFamily(
            "ioc_stream_restarts", "Streams told to start over: their client was too slow."
        )
        restarts.add_metric((), feed.restarts)
        yield restarts

    def _stages(self) -> Iterator[Metric]:
        stages = sorted(self._context.health.stages.items())
        yield _gauge(
            "ioc_stage_ready",
            "1 while the stage says that it does its work.",
            ("stage",),
            (((name,), float(stage.ready)) for name, stage in stages),
        )
        yield _gauge(
            "ioc_stage_behind",
            "What waits in front of the stage, in its own unit.",
            ("stage", "unit"),
            (((name, stage.unit), stage.behind) for name, stage in stages),
        )
        yield _gauge(
            "ioc_stage_lag_seconds",
            "How long the oldest of what waits has waited.",
            ("stage",),
            (((name,), stage.lag_s) for name, stage in stages),
        )
        yield _gauge(
            "ioc_stage_position",
            "The journal position the stage has reached.",
            ("stage",),
            (((name,), stage.position) for name, stage in stages),
        )
        restarts = CounterMetricFamily(
            "ioc_stage_restarts", "How often the supervisor started it again.", labels=("stage",)
        )
        events = CounterMetricFamily(
            "ioc_stage_events", "What the stage counts.", labels=("stage", "event")
        )
        for name, stage in stages:
            restarts.add_metric((name,), stage.restarts)
            for event, count in sorted(stage.counters.items()):
                if event != LAST_MESSAGE:  # a time among the counters
                    events.add_metric((name, event), count)
        yield restarts
        yield events
        ingest = self._context.health.stages.get("ingest")
        last_ms = ingest.counters.get(LAST_MESSAGE) if ingest is not None else None
        if last_ms is not None:
            yield _gauge(
                "ioc_last_message_timestamp_seconds",
                "When the last message came (Unix time).",
                (),
                (((), last_ms / 1000),),
            )

    def _journal(self) -> Iterator[Metric]:
        status = self._context.journal.status()
        for name, text, value in (
            ("ioc_journal_end_position", "The last position written.", status.end),
            ("ioc_journal_bytes", "What the journal's rows take.", status.bytes),
            ("ioc_journal_bound_bytes", "What they may take.", status.bound_bytes),
            ("ioc_journal_free_disk_bytes", "Free room on its disk.", status.free_disk_bytes),
            ("ioc_journal_admits", "1 while new readings are admitted.", float(status.admits)),
        ):
            yield _gauge(name, text, (), (((), value),))
        if status.hours_left is not None:
            yield _gauge(
                "ioc_journal_hours_left",
                "How long a consumer may be away before admission stops, at the present rate.",
                (),
                (((), status.hours_left),),
            )
        quarantined = CounterMetricFamily(
            "ioc_quarantined", "Messages that were not admitted, by reason.", labels=("reason",)
        )
        for reason, count in sorted(status.quarantined.items()):
            quarantined.add_metric((reason,), count)
        yield quarantined

    def _network(self) -> Iterator[Metric]:
        live = self._context.live
        yield _gauge(
            "ioc_assets",
            "Assets by kind and state.",
            ("kind", "state"),
            (
                ((kind, state), counts[state])
                for kind, counts in sorted(live.counts().items())
                for state in STATES
            ),
        )
        alarms = list(live.alarms.values())
        yield _gauge(
            "ioc_alarms_active",
            "Active alarms that are not suppressed, by severity.",
            ("severity",),
            (((s,), sum(a.severity == s and not a.suppressed for a in alarms)) for s in SEVERITIES),
        )
        yield _gauge(
            "ioc_alarms_suppressed",
            "Active alarms that a root alarm explains.",
            (),
            (((), sum(alarm.suppressed for alarm in alarms)),),
        )


def _gauge(
    name: str, text: str, labels: tuple[str, ...], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
