"""The fastest mixed-precision version of a model that still meets your accuracy bound.

    import nc_sigopt_strategy as ncs

    result = ncs.autotune("model.onnx", eval_fn=accuracy, calib_dataloader=loader, timeout=900)
    result.save("best.onnx")

It tunes ONNX models for ONNX Runtime and OpenVINO, and TensorFlow models with Intel Neural
Compressor. Importing the package also registers the "sigopt" strategy with Neural Compressor 2.6
to 3.7, where that is installed, whether it was imported before or is imported later:

    from neural_compressor import config

    conf = config.PostTrainingQuantConfig(strategy="sigopt")

INC's class takes ``strategy``, ``strategy_kwargs``, ``timeout`` and ``max_trials`` from then on;
``TuningCriterion`` takes them as ever.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# On a CPU without VNNI TensorFlow leaves oneDNN off, and then INC's int8 ops have no kernel: every
# trial would fail. TensorFlow reads this once, when it is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from nc_sigopt_strategy.errors import SigOptStrategyError
from nc_sigopt_strategy.hosts.inc.registration import (
    check_version,
    register,
    register_with_import,
)
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.results.run_files import last_outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.version import __version__

if TYPE_CHECKING:
    from nc_sigopt_strategy.autotuning.autotune import autotune
    from nc_sigopt_strategy.autotuning.result import TuningResult
    from nc_sigopt_strategy.backends.finishing.finish import finish
    from nc_sigopt_strategy.example.digits import write_example
    from nc_sigopt_strategy.hosts.inc.calibration import fitted_weights
    from nc_sigopt_strategy.hosts.inc.quant_config import PostTrainingQuantConfig
    from nc_sigopt_strategy.hosts.inc.strategy import SigOptTuneStrategy
    from nc_sigopt_strategy.hosts.predictor import predictor
    from nc_sigopt_strategy.measurement.per_input import PerInput

__all__ = [
    "Outcome",
    "PerInput",
    "PostTrainingQuantConfig",
    "Settings",
    "SigOptStrategyError",
    "SigOptTuneStrategy",
    "TrialRecord",
    "TuningResult",
    "__version__",
    "autotune",
    "finish",
    "fitted_weights",
    "last_outcome",
    "predictor",
    "register",
    "write_example",
]

# Neural Compressor, which imports TensorFlow, or the engine come with these: time that reading an
# outcome or `nc-sigopt --help` should not cost.
_LAZY = {
    "PerInput": "nc_sigopt_strategy.measurement.per_input",
    "PostTrainingQuantConfig": "nc_sigopt_strategy.hosts.inc.quant_config",
    "SigOptTuneStrategy": "nc_sigopt_strategy.hosts.inc.strategy",
    "TuningResult": "nc_sigopt_strategy.autotuning.result",
    "autotune": "nc_sigopt_strategy.autotuning.autotune",
    "finish": "nc_sigopt_strategy.backends.finishing.finish",
    "fitted_weights": "nc_sigopt_strategy.hosts.inc.calibration",
    "predictor": "nc_sigopt_strategy.hosts.predictor",
    "write_example": "nc_sigopt_strategy.example.digits",
}
# They need a Neural Compressor that has tuning strategies.
_OF_STRATEGIES = ("PostTrainingQuantConfig", "SigOptTuneStrategy")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        if name in _OF_STRATEGIES:
            check_version()
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_import()
