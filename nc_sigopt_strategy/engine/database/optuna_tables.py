"""Optuna's tables and trial ids: the one file that reaches for what Optuna keeps private.

Optuna's own calls need one transaction per attribute to finish a trial, and read everything to
show a part. So the engine reads and writes the tables itself, and only those of the versions that
it knows.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from nc_sigopt_strategy.errors import UnsupportedVersionError

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy as FrozenStudy

# The versions of Optuna whose tables were looked at, and what Optuna calls the tables' form.
KNOWN_OPTUNA = (4, 5)
KNOWN_TABLES = "v3.2.0.a"

# Who announces each new study on the user's terminal.
STORAGE_LOGGER = "optuna.storages._rdb.storage"


def check_optuna(version: str) -> None:
    """Refuse a version of Optuna whose tables nobody has looked at.

    Raises:
        UnsupportedVersionError: It is such a version.
    """
    if version.partition(".")[0] not in map(str, KNOWN_OPTUNA):
        raise _unknown(f"Optuna {version} is installed.")


def check_tables(storage: RDBStorage) -> None:
    """Refuse tables that this version of Optuna makes in another form than the known one.

    Raises:
        UnsupportedVersionError: It does.
    """
    made = storage.get_head_version()
    if made != KNOWN_TABLES:
        raise _unknown(
            f"Optuna {optuna.__version__} makes its tables in the form {made}, not {KNOWN_TABLES}."
        )


def _unknown(fact: str) -> UnsupportedVersionError:
    first, last = KNOWN_OPTUNA[0], KNOWN_OPTUNA[-1]
    return UnsupportedVersionError(
        f"{fact} The embedded engine knows the tables of Optuna {first} to {last}.",
        f"Install one of them with: pip install 'optuna>={first},<{last + 1}'",
    )


def _models() -> Any:
    check_optuna(optuna.__version__)
    from optuna.storages._rdb import models

    return models


_MODELS = _models()
STUDIES: sqlalchemy.Table = _MODELS.StudyModel.__table__
STUDY_DIRECTIONS: sqlalchemy.Table = _MODELS.StudyDirectionModel.__table__
STUDY_USER_ATTRS: sqlalchemy.Table = _MODELS.StudyUserAttributeModel.__table__
STUDY_SYSTEM_ATTRS: sqlalchemy.Table = _MODELS.StudySystemAttributeModel.__table__
TRIALS: sqlalchemy.Table = _MODELS.TrialModel.__table__
TRIAL_PARAMS: sqlalchemy.Table = _MODELS.TrialParamModel.__table__
TRIAL_VALUES: sqlalchemy.Table = _MODELS.TrialValueModel.__table__
TRIAL_USER_ATTRS: sqlalchemy.Table = _MODELS.TrialUserAttributeModel.__table__
TRIAL_SYSTEM_ATTRS: sqlalchemy.Table = _MODELS.TrialSystemAttributeModel.__table__
# What ``value_type`` says of a value that is no infinity.
FINITE: Any = _MODELS.TrialValueModel.TrialValueType.FINITE

# Optuna 4 keeps the local time, Optuna 5 that of Greenwich; no column tells which.
_KEEPS_UTC = int(optuna.__version__.partition(".")[0]) >= 5


def time_now() -> datetime:
    """The time as the installed Optuna keeps it."""
    return datetime.now(timezone.utc).replace(tzinfo=None) if _KEEPS_UTC else datetime.now()


def local_time(kept: datetime | None) -> datetime | None:
    """A time that was kept, as trials show it."""
    if kept is None or not _KEEPS_UTC:
        return kept
    return kept.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None)


def study_id(study: FrozenStudy) -> int:
    """The id of a study, unique in the store."""
    return study._study_id


def trial_id(trial: FrozenTrial) -> int:
    """The id of a trial, unique in the store."""
    return trial._trial_id
