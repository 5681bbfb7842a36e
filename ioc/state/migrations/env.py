"""Alembic's entry: migrations run on the connection that ``ioc.state.database`` hands in."""

from alembic import context

from ioc.state.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
