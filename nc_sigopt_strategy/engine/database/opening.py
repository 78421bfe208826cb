"""Opening the Optuna storage: created when new, refused when of another version."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from nc_sigopt_strategy.engine.database.idle_connections import check_idle_connections
from nc_sigopt_strategy.engine.database.location import Location
from nc_sigopt_strategy.engine.database.optuna_tables import STORAGE_LOGGER, check_tables
from nc_sigopt_strategy.engine.database.own_tables import METADATA
from nc_sigopt_strategy.errors import StoreError

# Two processes that create the tables of one new file at the same moment get in each other's
# way; the one that failed finds them made when it tries again.
_ATTEMPTS = 5

# Connections that are kept, and how many more there may be: a thread of a server needs one.
_POOL_SIZE, _POOL_OVERFLOW = 8, 24

# Any number that no other program locks in the same database.
_OPENING_LOCK = 0x5160_0917

DATABASE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, StorageInternalError)


def open_storage(location: Location, kind: type[RDBStorage] = RDBStorage) -> RDBStorage:
    """Open or create the storage.

    Args:
        location: Where it is.
        kind: What is made of it.

    Raises:
        StoreError: The database cannot be reached or written, is not a database, or its tables
            are of another Optuna version.
        UnsupportedVersionError: The engine does not know the tables of this Optuna.
    """
    location.prepare()
    with quiet_optuna():
        storage = _open_with_retries(location, kind)
    try:
        check_tables(storage)
        _check_version(storage, location)
        _check_own_tables(storage, location)
    except BaseException:
        storage.engine.dispose()
        raise
    return storage


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's storage from announcing each new study on the user's terminal."""
    logger = logging.getLogger(STORAGE_LOGGER)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _open_with_retries(location: Location, kind: type[RDBStorage]) -> RDBStorage:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _open(location, kind)
        except ImportError as error:
            raise StoreError(
                f"The driver for the store {location.display} is not installed: {error}",
                location.driver_hint,
            ) from error
        except DATABASE_ERRORS as error:
            explained = location.explain(error)
            if attempt == _ATTEMPTS or location.is_hopeless(error):
                raise explained from error
            time.sleep(random.uniform(0.05, 0.2) * attempt)
    raise StoreError(f"The store {location.display} cannot be opened.")  # pragma: no cover


def _open(location: Location, kind: type[RDBStorage]) -> RDBStorage:
    if location.is_sqlite and location.path is not None:
        # Connections are made by the location, and a path that is not UTF-8 has no URL.
        url = "sqlite:///the.file"
    else:
        # Optuna fills in ``{SCHEMA_VERSION}`` in a URL; a brace of ours must survive that.
        url = location.url.render_as_string(hide_password=False)
        url = url.replace("{", "{{").replace("}", "}}")
    options: dict[str, Any] = {}
    if location.is_sqlite and location.path is None:
        # One connection for all threads: in memory each would be a database of its own.
        options = {"creator": location.connect, "poolclass": sqlalchemy.pool.StaticPool}
    else:
        options = {"pool_size": _POOL_SIZE, "max_overflow": _POOL_OVERFLOW, "pool_timeout": 60}
        if location.is_sqlite:
            options["creator"] = location.connect
        else:
            options["connect_args"] = location.connect_args
    if not location.is_postgresql:
        return _with_our_tables(_storage(location, kind, url, options))
    # Two processes that create the tables at the same moment would fail in a dozen ways.
    engine = sqlalchemy.create_engine(
        location.url, poolclass=sqlalchemy.pool.NullPool, connect_args=location.connect_args
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_OPENING_LOCK})"))
        return _with_our_tables(_storage(location, kind, url, options))


def _storage(
    location: Location, kind: type[RDBStorage], url: str, options: dict[str, Any]
) -> RDBStorage:
    # The version check is ours: Optuna's would not say which file it is about.
    storage = kind(url, engine_kwargs=options, skip_compatibility_check=True)
    location.guard(storage.engine)
    if storage.engine.dialect.name != "sqlite":
        check_idle_connections(storage.engine)
    return storage


def _with_our_tables(storage: RDBStorage) -> RDBStorage:
    try:
        METADATA.create_all(storage.engine)
    except BaseException:
        storage.engine.dispose()
        raise
    return storage


def _check_version(storage: RDBStorage, location: Location) -> None:
    try:
        current, head = storage.get_current_version(), storage.get_head_version()
        known = storage.get_all_versions()
    except DATABASE_ERRORS as error:
        raise location.explain(error) from error
    if current == head:
        return
    place = location.path or location.display
    if current in known:
        raise StoreError(
            f"The store {place} was made by an older Optuna (tables {current}, needed {head}).",
            f"Copy it, then run: optuna storage upgrade --storage {location.display}",
        )
    raise StoreError(
        f"The store {place} was made by a newer Optuna (tables {current}, known up to {head}).",
        "Update it with pip install -U optuna, or name another file.",
    )


def _check_own_tables(storage: RDBStorage, location: Location) -> None:
    """Refuse a store whose tables beside Optuna's are not as this version makes them."""
    try:
        inspector = sqlalchemy.inspect(storage.engine)
        for table in METADATA.sorted_tables:
            found = {column["name"] for column in inspector.get_columns(table.name)}
            if found != set(table.columns.keys()):
                raise StoreError(
                    f"The store {location.path or location.display} was made by another version "
                    f"of this package: its table {table.name} has {', '.join(sorted(found))}.",
                    "Update this package, or name another store.",
                )
    except DATABASE_ERRORS as error:
        raise location.explain(error) from error
