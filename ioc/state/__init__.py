"""The state database: alarms, outbox, users."""

from ioc.state.database import State, open_state

__all__ = ["State", "open_state"]
