"""The stage and its history run on both state databases."""

from tests.state.conftest import postgres, state, state_url

__all__ = ["postgres", "state", "state_url"]
