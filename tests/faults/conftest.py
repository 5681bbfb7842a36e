from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Mosquitto, Nats, Server


@pytest.fixture(params=[Nats, Mosquitto], ids=["nats", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A running broker: each test runs against both."""
    program: type[Server] = request.param
    if program.missing():
        pytest.skip(program.missing())
    server = program(tmp_path / "broker")
    with server:
        yield server
