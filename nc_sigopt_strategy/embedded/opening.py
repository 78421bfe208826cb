"""Opening the Optuna storage: created when new, refused when of another version."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage

from nc_sigopt_strategy.embedded.location import Location
from nc_sigopt_strategy.errors import StoreError

# Two processes that create the tables of one new file at the same moment get in each other's
# way; the one that failed finds them made when it tries again.
_ATTEMPTS = 5

DATABASE_ERRORS = (sqlalchemy.exc.SQLAlchemyError, StorageInternalError)


def open_storage(location: Location) -> RDBStorage:
    """Open or create the storage.

    Raises:
        StoreError: The database cannot be reached or written, is not a database, or its tables
            are of another Optuna version.
    """
    location.prepare()
    storage = _open_with_retries(location)
    try:
        _check_version(storage, location)
    except BaseException:
        storage.engine.dispose()
        raise
    return storage


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna's storage from announcing each new study on the user's terminal."""
    logger = logging.getLogger("optuna.storages._rdb.storage")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _open_with_retries(location: Location) -> RDBStorage:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _open(location)
        except ImportError as error:
            raise StoreError(
                f"The driver for the store {location.display} is not installed: {error}",
                "Install the Python package for that database.",
            ) from error
        except DATABASE_ERRORS as error:
            if attempt == _ATTEMPTS or isinstance(error, sqlalchemy.exc.ArgumentError):
                raise location.explain(error) from error
            time.sleep(random.uniform(0.05, 0.2) * attempt)
    raise StoreError(f"The store {location.display} cannot be opened.")  # pragma: no cover


def _open(location: Location) -> RDBStorage:
    # Optuna fills in ``{SCHEMA_VERSION}`` in a URL; a brace of ours must survive that.
    url = location.url.render_as_string(hide_password=False)
    url = url.replace("{", "{{").replace("}", "}}")
    engine_kwargs: dict[str, object] = {}
    if location.is_sqlite:
        engine_kwargs["creator"] = location.connect
        if location.path is None:
            # One connection for all threads: in memory each would be a database of its own.
            engine_kwargs["poolclass"] = sqlalchemy.pool.StaticPool
    # The version check is ours: Optuna's would not say which file it is about.
    return RDBStorage(url, engine_kwargs=engine_kwargs, skip_compatibility_check=True)


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
