"""One model in a process of its own, which answers whoever started it.

``python -m nc_sigopt_benchmarks.runtimes.serving MODEL.json``

It reads a JSON object a line from its standard input and writes one a line to its standard
output: ``{"do": "run"}`` gives the seconds of one inference, ``{"do": "right"}`` and
``{"do": "accuracy"}`` what the evaluation says. What the runtime prints goes to the log.
"""

from __future__ import annotations

import functools
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
        open_model: Opens the model anew.
        data: Its inputs.

    Attributes:
        opened: The model as it is open now.
    """

    def __init__(self, open_model: Callable[[], Opened], data: DataFiles) -> None:
        self._open_model = open_model
        self._data = data
        self._batch: Any = None
        self._size: int | None = None
        self.opened = open_model()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What comes of one question; raises whatever the runtime does."""
        answers: dict[str, Callable[[], dict[str, Any]]] = {
            "run": lambda: self._run(int(asked["size"])),
            "right": lambda: {
                "right": self._data.right(self.opened, asked["part"]).astype(int).tolist()
            },
            "accuracy": lambda: {"accuracy": self._data.accuracy(self.opened)},
        }
        return answers[asked["do"]]()

    def _run(self, size: int) -> dict[str, float]:
        if size != self._size:
            # A runtime may lay weights out for the first batch that it meets, so that a model that
            # was evaluated on large ones is not the one that somebody serves at batch 1.
            self.opened = self._open_model()
            self._batch, self._size = self._data.batch(size), size
        # CPU time is that of all threads of this process.
        cpu, wall = time.process_time(), time.perf_counter()
        self.opened.run(self._batch)
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
        served = Served(
            functools.partial(open_deployed, Deployed.from_json(asked["deployed"])),
            DataFiles.from_json(asked["data"]),
        )
    except Exception as error:  # told to the parent, who shows it
        traceback.print_exc()
        tell({"error": in_one_line(error)})
        return 1
    tell({"version": served.opened.version, "precision": served.opened.precision})
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
