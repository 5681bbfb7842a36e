"""Brings boards and alerting to a Grafana that runs elsewhere, through its HTTP API.

It takes the same files that provisioning takes (``dashboards/grafana``), and touches what they name
and nothing else (docs/grafana.md).
"""
