"""What is kept between trials, and what INC leaves behind in each, so that a trial costs less.

The only package that reaches into INC's internals; each reach says which versions it was checked
on and is undone after the call.
"""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

from nc_sigopt_strategy.hosts.inc.calibration.reaches import Reach, absent, are_replaced, replaced
from nc_sigopt_strategy.hosts.inc.calibration.usage import CalibrationUsage
from nc_sigopt_strategy.hosts.statistics_store import StatisticsStore
from nc_sigopt_strategy.settings.choices import AS_PRINTED, EXACT, FITTED, STOCK


def fitted_weights() -> CalibratedOnce:
    """While entered, Neural Compressor fits weights and biases of TensorFlow models to the data.

    For rebuilding a model from a recipe that says so, with any strategy of INC and the data that
    calibrated then; for other uses see ``CalibratedOnce``.
    """
    return CalibratedOnce("tensorflow", CalibrationUsage(), mode=FITTED)


class CalibratedOnce:
    """While entered, INC calibrates a model once and quantizes it as often as asked.

    Serves any strategy of INC. Outside of it INC behaves as if it had never been entered; entered
    again, it still has its statistics. Where another one is entered already, that one serves.

    Args:
        framework: INC's name of it; one that is not covered is left to INC, with a warning.
        usage: Where it is counted how often the statistics served.
        mode: ``exact``; ``fitted``, with weights and biases fitted to the data (TensorFlow);
            ``as_printed``, with INC's own loss of digits (TensorFlow); or ``stock``, which leaves
            everything to INC.
        folder: Keeps the statistics for later runs, together with ``data_digest``.
        data_digest: Digest of all calibration data.
    """

    def __init__(
        self,
        framework: str,
        usage: CalibrationUsage,
        *,
        mode: str = EXACT,
        folder: Path | None = None,
        data_digest: str | None = None,
    ) -> None:
        self._framework = framework
        self._usage = usage
        self._mode = mode
        self._store = StatisticsStore(folder, data_digest)
        self._reaches: list[Reach] | None = None
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> CalibratedOnce:
        if self._reaches is None:
            self._reaches = [] if self._mode == STOCK else self._find_reaches()
        if self._reaches and not are_replaced(self._reaches):
            # INC collects garbage in each trial, which would walk through every module there is.
            gc.collect()
            gc.freeze()
            self._entered.callback(gc.unfreeze)
            self._entered.enter_context(replaced(self._reaches))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._entered.close()

    def _find_reaches(self) -> list[Reach]:
        # Imported late: each needs its framework.
        if self._framework == "tensorflow":
            from nc_sigopt_strategy.hosts.inc.calibration.tensorflow import tensorflow_reaches

            reaches = tensorflow_reaches(
                self._store,
                self._usage,
                as_printed=self._mode == AS_PRINTED,
                fitted=self._mode == FITTED,
            )
        elif self._framework.startswith(("onnxrt", "onnxruntime")):
            from nc_sigopt_strategy.hosts.inc.calibration.onnxruntime import onnxruntime_reaches

            reaches = onnxruntime_reaches(self._store, self._usage)
        else:
            self._usage.left_to_inc(f"framework {self._framework!r} is not covered")
            return []
        missing = absent(reaches)
        if missing:
            self._usage.left_to_inc(f"this version of Neural Compressor has no {missing}")
            return []
        return reaches
