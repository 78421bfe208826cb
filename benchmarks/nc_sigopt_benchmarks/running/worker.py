"""One strategy in a process of its own.

``python -m nc_sigopt_benchmarks.running.worker REQUEST.json``

A process each, because Neural Compressor keeps state in its modules that one tuning leaves to the
next, and redirects file descriptors. Ends with exit code 0 when ``outcome.json`` was written, with
1 and an ``error.json`` when an error ended it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.config.yaml_file import read_config
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.running.dispatch import run_here
from nc_sigopt_benchmarks.running.resource_usage import write_usage
from nc_sigopt_benchmarks.running.run_plan import planned_run
from nc_sigopt_benchmarks.runtimes.own_process import end_with_parent
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE, REQUEST_FILE, describe_error


@dataclass(frozen=True)
class Request:
    """What a worker is asked to do.

    It names the configuration file and does not copy it, so that a token in it stays there.

    Attributes:
        config: The run configuration file.
        label: Which of its strategies.
        repeat: Which repeat of it, from 1.
        folder: Where the record goes.
        model: What is tuned, already found and checked.
        python: The interpreter that does it; ``None``: this one.
    """

    config: Path
    label: str
    repeat: int
    folder: Path
    model: BenchmarkModel
    python: str | None = None

    module = "nc_sigopt_benchmarks.running.worker"

    def write(self) -> Path:
        """Write ``request.json`` into the folder and return its path."""
        path = self.folder / REQUEST_FILE
        path.write_text(json.dumps(dataclasses.asdict(self), default=str, indent=2) + "\n")
        return path

    @classmethod
    def read(cls, path: Path) -> Request:
        """The inverse of ``write``."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            config=Path(raw["config"]),
            label=raw["label"],
            repeat=raw["repeat"],
            folder=Path(raw["folder"]),
            model=_model_from_json(raw["model"]),
        )


def main(arguments: list[str]) -> int:
    """Run the request whose file is the only argument; returns the exit code."""
    request = Request.read(Path(arguments[0]))
    end_with_parent()
    # A comparison started in the background inherits that SIGINT is ignored. Neural Compressor's
    # timeout is a simulated Ctrl-C and would never end a stock strategy then.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s")
    try:
        config = read_config(request.config)
        run = planned_run(config, config.strategy(request.label), request.repeat)
        run_here(config, run, request.model, request.folder)
    except Exception as error:  # the parent must learn of whatever it was
        traceback.print_exc()
        path = request.folder / ERROR_FILE
        path.write_text(json.dumps(describe_error(error), indent=2) + "\n", encoding="utf-8")
        return 1
    finally:
        write_usage(request.folder)
    return 0


def _model_from_json(raw: dict[str, Any]) -> BenchmarkModel:
    values = dict(raw)
    values["path"] = Path(values["path"])
    values["inputs"], values["outputs"] = tuple(values["inputs"]), tuple(values["outputs"])
    if values["data_folder"]:
        values["data_folder"] = Path(values["data_folder"])
    return BenchmarkModel(**values)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
