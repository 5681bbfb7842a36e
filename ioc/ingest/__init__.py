"""From the broker into the journal: decode, validate, tell duplicates, acknowledge."""

from ioc.ingest.ingest import Ingest, IngestSettings, ingest

__all__ = ["Ingest", "IngestSettings", "ingest"]
