"""What is kept between trials, and what INC leaves behind in each, so that a trial costs less.

The only package that reaches into INC's internals; each reach says which versions it was checked
on and is undone after the call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .statistics import StatisticsStore
from .usage import CalibrationUsage

EXACT = "exact"
AS_PRINTED = "as_printed"
STOCK = "stock"
MODES = (EXACT, AS_PRINTED, STOCK)


@contextlib.contextmanager
def calibrate_once(
    framework: str,
    usage: CalibrationUsage,
    *,
    mode: str = EXACT,
    folder: Path | None = None,
    data_digest: str | None = None,
) -> Iterator[None]:
    """While entered, INC calibrates a model once and quantizes it as often as asked.

    Serves any strategy of INC. Afterwards INC behaves as if this had never been entered.

    Args:
        framework: INC's name of it; one that is not covered is left to INC, with a warning.
        usage: Where it is counted how often the statistics served.
        mode: ``exact``; ``as_printed``, with INC's own loss of digits (TensorFlow); or ``stock``,
            which leaves everything to INC.
        folder: Keeps the statistics for later runs, together with ``data_digest``.
        data_digest: Digest of all calibration data.
    """
    if mode == STOCK:
        yield
        return
    store = StatisticsStore(folder, data_digest)
    with contextlib.ExitStack() as stack:
        if framework == "tensorflow":
            from .tensorflow import Precision, feed_tensorflow

            precision: Precision = "as_printed" if mode == AS_PRINTED else "exact"
            stack.enter_context(feed_tensorflow(store, usage, precision))
        elif framework.startswith(("onnxrt", "onnxruntime")):
            from .onnxruntime import feed_onnxruntime

            stack.enter_context(feed_onnxruntime(store, usage))
        else:
            usage.left_to_inc(f"framework {framework!r} is not covered")
        yield
