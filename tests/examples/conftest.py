"""Telegraf is no part of CI: its test is there where Telegraf is on the path."""

from __future__ import annotations

from tests.servers import find_program

collect_ignore = [] if find_program("telegraf") else ["test_telegraf.py"]
