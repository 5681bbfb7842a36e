"""The province that does not exist: simulated equipment, seeded, on an injected clock.

One file per domain holds its physics (``bts``, ``fibre``, ``data_center`` with its parts ``dc_*``),
``sites`` what masts share, ``network`` what hangs on what, ``faults`` what can break, ``province``
all of it together.
"""
