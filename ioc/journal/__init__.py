"""The journal: the one order of events, on disk before anything is acknowledged.

A single SQLite file that ingest, operators' commands and changes of the inventory are appended to,
and that every consumer reads from its own position.
"""

from ioc.journal.file import Checkpoint
from ioc.journal.journal import Journal, JournalStatus, open_journal

__all__ = ["Checkpoint", "Journal", "JournalStatus", "open_journal"]
