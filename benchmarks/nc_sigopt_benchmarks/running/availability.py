"""Which strategies can run here, and what a reader should know of some."""

from __future__ import annotations

from importlib.util import find_spec

from nc_sigopt_benchmarks.config.rivals import HOST_MODULES, RIVALS
from nc_sigopt_benchmarks.config.run_config import StrategyConfig
from nc_sigopt_benchmarks.models.find import BenchmarkModel
from nc_sigopt_benchmarks.models.model_files import TENSORFLOW
from nc_sigopt_benchmarks.running.one_shot import ONE_SHOTS, check_one_shot
from nc_sigopt_benchmarks.running.run_plan import PlannedRun
from nc_sigopt_benchmarks.runtimes.installed import lacking
from nc_sigopt_strategy.errors import SigOptStrategyError

# Checked in Neural Compressor 2.6 and 3.7.1.
_NOTES = {
    "random": "Neural Compressor's random evaluates one configuration again and again: its "
    "sampler hands out the same object each time.",
    "tpe": "Neural Compressor's tpe divides by zero before its first trial: it scales its "
    "loss by a tuning history that is still empty.",
    "bayesian": "Neural Compressor's bayesian models accuracy alone: latency plays no part in it.",
}


def skip_reason(run: PlannedRun, model: BenchmarkModel) -> str | None:
    """Why a run cannot be made on this machine or of this model, if so.

    Neural Compressor installs what its "tpe" needs by itself, in the middle of a run, or fails.
    """
    modules = _modules(run.strategy)
    if modules:
        if run.strategy.runtime == TENSORFLOW and model.framework != TENSORFLOW:
            return "the model is an ONNX file, which TensorFlow cannot run"
        return lacking(modules, run.strategy.environment)
    if run.name == "tpe" and find_spec("hyperopt") is None:
        return "hyperopt is not installed (pip install 'nc_sigopt_benchmarks[strategies]')"
    if run.name == "hawq_v2" and model.framework == TENSORFLOW:
        return "Neural Compressor has it for PyTorch only"
    if run.name in ONE_SHOTS:
        try:
            check_one_shot(run.name, run.strategy.strategy_kwargs, model.framework)
        except SigOptStrategyError as error:
            return str(error)
    return None


def _modules(strategy: StrategyConfig) -> tuple[str, ...]:
    """What a rival, or a host that is named, has to be able to import."""
    if strategy.name in RIVALS:
        return RIVALS[strategy.name].modules
    return () if strategy.host is None else HOST_MODULES[strategy.host]


def strategy_note(run: PlannedRun) -> str | None:
    """A known defect or trait of a strategy that explains its results."""
    return _NOTES.get(run.name)
