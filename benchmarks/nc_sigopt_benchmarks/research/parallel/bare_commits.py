"""What a durable commit of one small row costs here: the floor of whatever a store does."""

from __future__ import annotations

import time

import numpy as np
import sqlalchemy

_COMMITS = 60


def commit_milliseconds(storage_url: str) -> tuple[float, float]:
    """Median and 95th percentile of a commit, with SQLite as the engine sets it up.

    Args:
        storage_url: Of a database in which a table may be made.
    """
    engine = sqlalchemy.create_engine(storage_url)
    times = []
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sqlalchemy.text("PRAGMA journal_mode = WAL"))
            connection.execute(sqlalchemy.text("PRAGMA synchronous = FULL"))
            connection.commit()
        connection.execute(sqlalchemy.text("CREATE TABLE commits (number INTEGER)"))
        connection.commit()
        for number in range(_COMMITS):
            begun = time.perf_counter()
            connection.execute(
                sqlalchemy.text("INSERT INTO commits VALUES (:number)"), {"number": number}
            )
            connection.commit()
            times.append(1e3 * (time.perf_counter() - begun))
    engine.dispose()
    median, high = np.percentile(times, (50, 95))
    return float(median), float(high)
