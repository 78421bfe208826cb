"""One model in a process of its own, which answers whoever started it.

``python -m nc_sigopt_benchmarks.runtimes.serving MODEL.json``

It reads a JSON object a line from its standard input and writes one a line to its standard
output: ``{"do": "run"}`` gives the seconds of one inference, ``{"do": "right"}`` and
``{"do": "accuracy"}`` what the evaluation says. What the runtime prints goes to the log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nc_sigopt_benchmarks.runtimes.data_files import DataFiles
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.opened import Opened, open_deployed
from nc_sigopt_benchmarks.runtimes.own_process import end_with_parent
from nc_sigopt_strategy.errors import in_one_line


class Served:
    """Answers to what a parent asks of a model.

    Args:
        opened: The model.
        data: Its inputs.
    """

    def __init__(self, opened: Opened, data: DataFiles) -> None:
        self._opened = opened
        self._data = data
        self._batches: dict[int, Any] = {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What comes of one question; raises whatever the runtime does."""
        answers: dict[str, Callable[[], dict[str, Any]]] = {
            "run": lambda: self._run(int(asked["size"])),
            "right": lambda: {
                "right": self._data.right(self._opened, asked["part"]).astype(int).tolist()
            },
            "accuracy": lambda: {"accuracy": self._data.accuracy(self._opened)},
        }
        return answers[asked["do"]]()

    def _run(self, size: int) -> dict[str, float]:
        if size not in self._batches:
            self._batches[size] = self._data.batch(size)
        batch = self._batches[size]
        # CPU time is that of all threads of this process.
        cpu, wall = time.process_time(), time.perf_counter()
        self._opened.run(batch)
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main(arguments: list[str]) -> int:
    """Serve the model that a file names until the input ends; returns the exit code."""
    # Whatever native code prints on descriptor 1 must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    end_with_parent(signal.SIGKILL)
    asked = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        opened = open_deployed(Deployed.from_json(asked["deployed"]))
    except Exception as error:  # told to the parent, who shows it
        traceback.print_exc()
        tell({"error": in_one_line(error)})
        return 1
    served = Served(opened, DataFiles.from_json(asked["data"]))
    tell({"version": opened.version, "precision": opened.precision})
    for line in sys.stdin:
        try:
            answer = served.answer(json.loads(line))
        except Exception as error:  # likewise: one question failed, not the process
            traceback.print_exc()
            answer = {"error": in_one_line(f"{type(error).__name__}: {error}")}
        tell(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
