"""The negative control: `ioc serve`, but acknowledging before the journal has a message.

Run like `ioc`. The audit must find losses with it; if it does not, the audit proves nothing.
"""

from __future__ import annotations

import sys

from ioc.cli import main
from ioc.ingest.broker import Message, Session

_take = Session.take


def _take_and_acknowledge(self: Session, limit: int) -> list[Message]:
    messages = _take(self, limit)
    self.acknowledge(messages)
    return [message._replace(qos=0) for message in messages]  # not a second time


if __name__ == "__main__":
    Session.take = _take_and_acknowledge  # type: ignore[method-assign]  # the broken service
    main(sys.argv[1:])
