"""Every error the service raises on purpose, each saying whether a retry can help.

A caller decides by ``error.retryable``, never by the text. The text names the field, the value,
the file and line where there is one, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class IocError(Exception):
    """Base of all errors raised on purpose.

    ``retryable`` says whether the same call may succeed later with nothing changed by a person.
    """

    retryable: ClassVar[bool] = False


class ConfigError(IocError):
    """A setting, option or file is wrong. A person must change it."""


class FileError(ConfigError):
    """A file a person wrote does not hold what it must; one line per fault, ``file:line: …``."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class InventoryError(ConfigError):
    """An asset cannot be added, changed or retired as asked."""


class InUseError(ConfigError):
    """A port, folder or database is held by another process."""


class JournalError(IocError):
    """The journal cannot be opened or is not the one a consumer knows."""


class JournalFullError(IocError):
    """The journal or its disk is at the reserve: nothing is admitted until consumers catch up."""

    retryable = True


class BrokerError(IocError):
    """The broker cannot be reached or ended the connection."""

    retryable = True


class StoreUnavailableError(IocError):
    """The time-series store does not answer. What was not written stays in the journal."""

    retryable = True


class StoreRejectedError(IocError):
    """The time-series store refuses these points; sending them again changes nothing."""


class QueryError(IocError):
    """A typed query asks for something the catalog or the store's common ground does not have."""


class StateUnavailableError(IocError):
    """The state database (alarms, outbox, users) does not answer."""

    retryable = True


class CommandError(IocError):
    """An operator's command does not fit the alarm it names (for example: already cleared)."""


class DeliveryError(IocError):
    """A webhook was not delivered; another attempt may succeed."""

    retryable = True


class DeliveryRefusedError(IocError):
    """A webhook's receiver or our own guard refuses it for good."""


class SignatureError(IocError):
    """A webhook's signature, time or id is missing or wrong: it is not to be believed."""
