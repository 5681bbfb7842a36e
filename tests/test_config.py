"""Settings of the service: what is wrong is told in a line that names it."""

from __future__ import annotations

import pytest

from ioc.config import default, load_settings
from ioc.errors import ConfigError


def test_what_is_coarser_is_kept_at_least_as_long() -> None:
    assert load_settings(retention_days=30, retention_5m_days=30).retention_5m_days == 30
    with pytest.raises(ConfigError) as told:
        load_settings(retention_days=400)
    assert str(told.value).startswith("--retention-days, --retention-5m-days, --retention-1h-days:")
    assert "found 400, 365, 1826" in str(told.value)


def test_every_fault_names_its_option_and_variable() -> None:
    with pytest.raises(ConfigError) as told:
        load_settings(http_port=0, broker_port=99_999)
    lines = str(told.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "--broker-port (IOC_BROKER_PORT)",
        "--http-port (IOC_HTTP_PORT)",
    ]


def test_help_says_what_a_setting_is_by_default() -> None:
    assert default("http_port") == "8080; 1 to 65535"
    assert default("journal_bound_mib") == "8192; 64 or more"
    assert default("broker_tls") == "no"
    assert default("external_url") == ""
