"""The tables of tokens, in the same database as the experiments."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table

MAX_NAME_LENGTH = 100

METADATA = MetaData()
TOKENS = Table(
    "nc_sigopt_tokens",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scope", String(8), nullable=False),
    Column("created", Integer, nullable=False),
    Column("last_used", Integer),
    Column("revoked", Boolean, nullable=False, default=False),
)
# A table of their own: stores of earlier versions have the other one without these columns.
GUESTS = Table(
    "nc_sigopt_guest_tokens",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("made_by", Integer, nullable=False),
    Column("experiment", Integer),
    Column("training_run", Integer),
    Column("created", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
    Column("revoked", Boolean, nullable=False, default=False),
)
