"""The first schema.

Tables are created from ``ioc.state.schema`` as it was at the first release; until then this file
follows it.
"""

from alembic import op

from ioc.state.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
