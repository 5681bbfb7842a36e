"""Grafana's alert rules, contact points, notification policies and mute timings.

A second watch beside the service's own: it looks at what has reached InfluxDB, and at what has not,
and tells people even when the service does not live (docs/grafana.md).
"""
