"""What of Optuna is private is reached from one file, which knows for which versions."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage

import nc_sigopt_strategy
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.engine.database import optuna_tables
from nc_sigopt_strategy.errors import UnsupportedVersionError
from tests.engine.examples import discrete

PACKAGE = Path(nc_sigopt_strategy.__file__).parent
# A private module of Optuna's by its dotted name, and private names of its public classes.
PRIVATE = re.compile(
    r"""\boptuna(\.\w+)*\._[a-z]       # optuna.storages._rdb
    |from\ optuna[\w.]*\ import\ _     # from optuna.storages import _rdb
    |\b_rdb\b|\b_CachedStorage\b
    |\._(trial_id|study_id|get_trials|is_multi_objective)\b
    |\bstudy\._storage\b|\bstorage\._backend\b
    |\btrial_params\b|\btrial_values\b|\bstudy_user_attributes\b""",
    re.VERBOSE,
)


def test_one_file_reaches_for_what_is_private() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if PRIVATE.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"engine/database/optuna_tables.py"}


@pytest.mark.parametrize("version", ["3.6.1", "6.0.0", "50.1", "6.0.0.dev1"])
def test_an_optuna_that_nobody_has_looked_at(version: str) -> None:
    with pytest.raises(UnsupportedVersionError, match=re.escape(version)) as caught:
        optuna_tables.check_optuna(version)
    assert "Optuna 4 to 5" in caught.value.fact
    assert "pip install 'optuna>=4,<6'" in caught.value.hint


@pytest.mark.parametrize("version", ["4.0.0", "4.9.0", "5.0.0", "5.1.0.dev2"])
def test_an_optuna_that_is_known(version: str) -> None:
    optuna_tables.check_optuna(version)


def test_it_is_said_before_anything_private_is_imported() -> None:
    program = (
        "import sys, optuna\n"
        "optuna.__version__ = '6.0.0'\n"
        "sys.modules['optuna.storages._rdb'] = None\n"
        "import nc_sigopt_strategy.engine\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert "UnsupportedVersionError: Optuna 6.0.0 is installed." in ended.stderr


def test_tables_of_another_form(tmp_path: Path) -> None:
    class Later(RDBStorage):
        def get_head_version(self) -> str:
            return "v6.0.0.a"

    storage = Later(f"sqlite:///{tmp_path}/later.db")
    with pytest.raises(UnsupportedVersionError, match=r"form v6\.0\.0\.a, not v3\.2\.0\.a"):
        optuna_tables.check_tables(storage)
    storage.engine.dispose()


def test_optuna_tells_the_same_time(storage_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Optuna 4 keeps local time, Optuna 5 UTC; far from Greenwich the two differ by hours."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        driver = EmbeddedDriver(storage_url)
        path = ["experiments", driver.answer("POST", ["experiments"], discrete(3))["id"]]
        made = driver.answer("POST", [*path, "suggestions"], {})
        report = {"suggestion": made["id"], "values": [{"name": "score", "value": 1.0}]}
        driver.answer("POST", [*path, "observations"], report)
        driver.close()
        storage = RDBStorage(storage_url)
        (name,) = optuna.get_all_study_names(storage)
        (trial,) = optuna.load_study(study_name=name, storage=storage).trials
        storage.engine.dispose()
        for told in (trial.datetime_start, trial.datetime_complete):
            assert told is not None
            assert abs(told - datetime.now()) < timedelta(minutes=5)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_time_comes_back_as_the_local_one() -> None:
    told = optuna_tables.local_time(optuna_tables.time_now())
    assert told is not None
    assert abs(told - datetime.now()) < timedelta(minutes=1)
    assert optuna_tables.local_time(None) is None
