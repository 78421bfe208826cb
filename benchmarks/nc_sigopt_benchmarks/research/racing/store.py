"""Results of a race as they come: one run a line, so that an interrupted race goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from nc_sigopt_benchmarks.research.racing.result import RunResult
from nc_sigopt_strategy.errors import DataError
from nc_sigopt_strategy.files import write_whole

RUNS_FILE = "runs.jsonl"
_KEY = "key"


class RunStore:
    """The file of runs in an output folder.

    Args:
        folder: Made if it is not there. A half-written last line, which a killed race leaves, is
            dropped.
        again: Competitors whose runs are forgotten.

    Raises:
        DataError: The file holds something else.
    """

    def __init__(self, folder: Path, again: Iterable[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / RUNS_FILE
        forgotten = frozenset(again)
        self._runs = {
            key: run for key, run in self._read().items() if run.competitor not in forgotten
        }
        write_whole(self._path, "".join(map(_line, self._runs, self._runs.values())))

    def done(self, key: str) -> bool:
        """Whether a run was made and did not break off."""
        return key in self._runs and self._runs[key].error is None

    def add(self, key: str, run: RunResult) -> None:
        """Keep a run, on disk at once."""
        self._runs[key] = run
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_line(key, run))

    def runs(self, keys: Iterable[str]) -> list[RunResult]:
        """Those of these runs that there are, in this order."""
        return [self._runs[key] for key in keys if key in self._runs]

    def _read(self) -> dict[str, RunResult]:
        if not self._path.is_file():
            return {}
        *lines, _ = self._path.read_text(encoding="utf-8").split("\n")
        runs = {}
        for number, line in enumerate(lines, 1):
            try:
                raw = json.loads(line)
                key = raw.pop(_KEY)
                runs[key] = RunResult.from_json(raw)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"Line {number} of {self._path} is not a run of a race: {error!r}.",
                    "Give another --output folder.",
                ) from error
        return runs


def _line(key: str, run: RunResult) -> str:
    return json.dumps({_KEY: key, **run.to_json()}) + "\n"
