"""Who is told: contact points, the policies that lead to them, and when warnings keep quiet.

Names in ``${…}`` are variables of Grafana's environment (docs/grafana.md). One that stands for a
secret may be the secret itself or ``$__file{/path}``, which Grafana reads.
"""

from __future__ import annotations

from typing import Any

from dashboards.alerting.watch import SYSTEM
from dashboards.setting import Setting

SERVICE = "ioc-service"
RECIPIENTS = "ioc-recipients"
MAINTENANCE = "ioc-maintenance"
GROUP_BY = ["grafana_folder", "alertname", "asset"]


def contact_points() -> list[dict[str, Any]]:
    """The service, which makes alarms of alerts, and whoever is told beside it.

    The ``#`` ends no address of anybody, and keeps one that was left out from being empty: Grafana
    does not start with an empty one.
    """
    return [
        _contact_point(
            SERVICE,
            {
                "url": "${IOC_ALERT_URL}#ioc",
                "authorization_scheme": "Bearer",
                "authorization_credentials": "${IOC_ALERT_TOKEN}",
            },
        ),
        _contact_point(RECIPIENTS, {"url": "${IOC_RECIPIENT_URL}#ioc"}),
    ]


def policy() -> dict[str, Any]:
    """The whole tree: our alerts by our rules, and anybody else's to the service, too."""
    return {
        "receiver": SERVICE,
        "group_by": GROUP_BY,
        "group_wait": "10s",
        "group_interval": "30s",
        "repeat_interval": "4h",
        "routes": [ours()],
    }


def ours() -> dict[str, Any]:
    """The branch of the tree that has our alerts."""
    return {
        "receiver": SERVICE,
        "group_by": GROUP_BY,
        "group_wait": "10s",
        "group_interval": "30s",
        "repeat_interval": "4h",
        "object_matchers": [["system", "=", SYSTEM]],
        "routes": [
            {
                # Without the variable nothing matches, and nobody is told beside the service.
                "receiver": RECIPIENTS,
                "object_matchers": [["severity", "=~", "${IOC_RECIPIENT_SEVERITIES}"]],
                "continue": True,
            },
            {
                "receiver": SERVICE,
                "object_matchers": [["severity", "=", "warning"]],
                "mute_time_intervals": [MAINTENANCE],
            },
            # Where a child has matched, the branch itself is not asked: the rest needs one, too.
            {"receiver": SERVICE},
        ],
    }


def mute_timings(on: Setting) -> list[dict[str, Any]]:
    """When maintenance is usual: Sunday night. Only warnings keep quiet then."""
    return [
        {
            "name": MAINTENANCE,
            "time_intervals": [
                {
                    "weekdays": ["sunday"],
                    "times": [{"start_time": "01:00", "end_time": "03:00"}],
                    "location": on.province.time_zone,
                }
            ],
        }
    ]


def _contact_point(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "receivers": [
            {
                "uid": name,
                "type": "webhook",
                "settings": {"httpMethod": "POST", **settings},
                "disableResolveMessage": False,
            }
        ],
    }
