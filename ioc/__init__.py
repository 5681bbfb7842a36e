"""Real-time monitoring of a province's digital infrastructure.

The packages are the way of the data: ``ingest`` → ``journal`` → ``store``, ``kpi``, ``alarms`` →
``notify`` → ``web``. ``app.py`` assembles them in one function.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("provincial-ioc")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
