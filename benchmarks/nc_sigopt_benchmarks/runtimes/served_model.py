"""A model that runs in a process of its own, as its parent sees it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from nc_sigopt_benchmarks.runtimes.data_files import BoolArray, DataFiles
from nc_sigopt_benchmarks.runtimes.deployed import Deployed
from nc_sigopt_benchmarks.runtimes.own_process import last_lines, start
from nc_sigopt_strategy.errors import ModelError

_SERVING = "nc_sigopt_benchmarks.runtimes.serving"
_CLOSING_SECONDS = 5.0


class ServedModel:
    """Starts the process; ``close``, or the end of the ``with`` block, ends it.

    Args:
        deployed: What it opens, and with which Python.
        data: Its inputs.
        log: Gets what the process prints.

    Attributes:
        version: Of its runtime.
        precision: What its float ops run in, where the runtime tells.

    Raises:
        ModelError: The process cannot be started or cannot open the model.
    """

    def __init__(self, deployed: Deployed, data: DataFiles, log: Path) -> None:
        self._deployed, self._log = deployed, log
        request = {"deployed": deployed.to_json(), "data": data.to_json()}
        handle, path = tempfile.mkstemp(suffix=".json", prefix="nc_sigopt_")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(request, stream)
        self._request = Path(path)
        try:
            with log.open("ab") as output:
                self._process = start(
                    _SERVING,
                    path,
                    python=deployed.python,
                    log=output,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
        except OSError as error:
            self._request.unlink(missing_ok=True)
            raise ModelError(f"{deployed.python} cannot be started: {error}.") from error
        try:
            hello = self._answer()
        except BaseException:
            self.close()
            raise
        self.version: str = hello["version"]
        self.precision: str = hello["precision"]

    def seconds(self, batch_size: int) -> tuple[float, float]:
        """One inference: wall seconds, and CPU seconds of all threads of the process."""
        answer = self._ask(do="run", size=batch_size)
        return answer["wall"], answer["cpu"]

    def right(self, part: str) -> BoolArray:
        """Which images of a part of the data it is right on, shape ``(images,)``."""
        return np.asarray(self._ask(do="right", part=part)["right"], bool)

    def accuracy(self) -> float:
        """What the evaluation says, in the metric's own units."""
        return float(self._ask(do="accuracy")["accuracy"])

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._request.unlink(missing_ok=True)

    def __enter__(self) -> ServedModel:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, **question: Any) -> dict[str, Any]:
        pipe = _pipe(self._process.stdin)
        with contextlib.suppress(OSError):  # it has ended: there will be no answer either
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            code = self._process.wait()
            raise ModelError(
                f"The process of {self._deployed.path} ({self._deployed.runtime}) ended with exit "
                f"code {code}: {last_lines(self._log) or 'it said nothing'}",
                f"See {self._log}.",
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ModelError(answer["error"])
        return answer


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe
