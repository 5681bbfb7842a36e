"""Integrations that run as they are: real equipment on one side, contract v1 on the other.

Each is a package of its own, explained in ``docs/connect.md`` and tried end to end by
``tests/examples``. They come with the checkout, not with the wheel; what they need beside the
service is in the dependency group ``examples``.
"""
