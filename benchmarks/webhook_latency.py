"""How long from a publish to its webhook, with the whole province sending beside it.

    python -m benchmarks.webhook_latency [--scale 1.0] [--alarms 100]

Starts `ioc up` with this program as the receiver, waits until the province is on the air, then
publishes one reading that breaks a rule, or one device alarm, at a time, and notes when its
webhook arrives. Both ends are on this machine's clock. Prints p50, p99 and the most, in ms.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.acceptance.demo import Demo, eventually

ON_THE_AIR_S = 20.0
PAUSE_S = 0.3


class Arrivals:
    """When the webhook of each alarm object arrived first (Unix s)."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        arrivals = self.at_s

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now_s = time.time()
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in body["alerts"]:
                    labels = alert["labels"]
                    name = labels.get("object") or labels["asset"]
                    if alert["status"] == "firing":
                        arrivals.setdefault(name, now_s)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--alarms", type=int, default=100)
    given = options.parse_args()
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(
            Path(folder),
            *("--scale", str(given.scale), "--no-demo-incident", "--webhook", arrivals.url),
        )
        demo.start()
        try:
            time.sleep(ON_THE_AIR_S)
            took_ms = measure(demo, arrivals, alarms=given.alarms)
        finally:
            demo.stop()
    cuts = quantiles(took_ms, n=100)
    print(
        f"publish to webhook, {len(took_ms)} alarms at scale {given.scale:g}: "
        f"p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, most {max(took_ms):.0f} ms"
    )


def measure(demo: Demo, arrivals: Arrivals, *, alarms: int) -> list[float]:
    """Milliseconds from publish to webhook, for one device alarm after the other."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", demo.mqtt_port)
    client.loop_start()
    took_ms = []
    try:
        for number in range(alarms):
            name = f"part-{number}"
            alarm = {
                "ts": time.time_ns() // 1_000_000,
                "alarm_id": name,
                "state": "raised",
                "severity": "major",
                "event_type": "equipment",
                "probable_cause": "rectifierFailure",
                "object": name,
                "text": "synthetic",
            }
            began_s = time.time()
            client.publish("ioc/v1/khanh-hoa/bts/KH-LAB-01/alarm", json.dumps(alarm), qos=1)
            eventually(partial(arrivals.at_s.__contains__, name), within_s=30, what=name)
            took_ms.append((arrivals.at_s[name] - began_s) * 1000)
            time.sleep(PAUSE_S)
    finally:
        client.disconnect()
        client.loop_stop()
    return took_ms


if __name__ == "__main__":
    main()
