"""The negative control: `ioc serve`, but acknowledging before the journal has a message.

Run like `ioc`. The audit must find losses with it; if it does not, the audit proves nothing.
"""

from __future__ import annotations

import sys

from paho.mqtt.client import Client, MQTTMessage

from ioc.cli import main
from ioc.ingest.broker import Session

_receive = Session._on_message


def _receive_and_acknowledge(
    self: Session, client: Client, data: object, message: MQTTMessage
) -> None:
    _receive(self, client, data, message)
    if message.qos:
        client.ack(message.mid, message.qos)
        self._waiting[-1] = self._waiting[-1]._replace(qos=0)  # not a second time


if __name__ == "__main__":
    Session._on_message = _receive_and_acknowledge  # type: ignore[method-assign, assignment]  # the fault
    main(sys.argv[1:])
