"""Grafana boards as Python: one file per board, each a function of the language.

``python -m dashboards`` writes the JSON that Grafana is provisioned with; it is committed.
"""
