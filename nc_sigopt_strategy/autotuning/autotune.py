"""``autotune``: a model in, the fastest one that still meets the accuracy bound out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.autotuning.every_runtime import (
    EveryRuntime,
    Everywhere,
    outcome_with,
)
from nc_sigopt_strategy.autotuning.report import rows_of, verdict_of
from nc_sigopt_strategy.autotuning.request import DEFAULT_TRIALS, Place, Request, Share
from nc_sigopt_strategy.autotuning.result import TuningResult, recipe_of, result_of
from nc_sigopt_strategy.autotuning.run_folder import new_run_folder
from nc_sigopt_strategy.autotuning.runners import runner_for
from nc_sigopt_strategy.errors import SettingsError, SigOptStrategyError, TrialError, named
from nc_sigopt_strategy.hosts.find import AUTO, host_for, installed_hosts
from nc_sigopt_strategy.hosts.given import DEFAULT_LOSS, Criterion, Given
from nc_sigopt_strategy.measurement.per_input import heard
from nc_sigopt_strategy.results.run_files import set_last_outcome
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.tuning.ending_signals import EndingSignals

RUNS_FOLDER = Path("runs")
# What may be said of the model besides ``Settings``.
_OF_THE_MODEL = (
    "inputs",
    "outputs",
    "calibration_sampling_size",
    "relative",
    "higher_is_better",
)


def autotune(
    model: Any,
    *,
    eval_fn: Callable[[Any], Any],
    calib_dataloader: Any,
    tolerable_loss: float = DEFAULT_LOSS,
    max_trials: int = DEFAULT_TRIALS,
    timeout: float = 0,
    host: str | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> TuningResult:
    """Find the fastest mixed-precision version of a model that meets an accuracy bound.

    Args:
        model: Path of an ONNX model, OpenVINO's IR, a frozen TensorFlow graph or a SavedModel; or
            a framework's own model object.
        eval_fn: Gets the runtime's model and returns its accuracy. ``predictor(model)`` calls
            the models of every runtime in one way.
        calib_dataloader: Yields ``(inputs, labels)``, from the start each time it is iterated;
            it calibrates, and latency is timed on its first batch.
        tolerable_loss: The share of FP32's accuracy that may be lost, from 0 up to but not 1.
        max_trials: How many models are tried at most.
        timeout: Seconds for everything; 0 leaves the end to ``max_trials``.
        host: ``onnxruntime``, ``openvino``, ``torch``, ``inc`` (Neural Compressor to 3.7),
            ``inc3`` (from 3.8 on), or ``auto`` to tune on every runtime that is installed and take
            the fastest; ``None``: as the kind of model suggests.
        settings: Of ``Settings``, as a mapping.
        more: Settings as keywords; ``inputs`` and ``outputs`` (names, of a frozen graph),
            ``calibration_sampling_size`` (100), ``relative`` (True) and ``higher_is_better``
            (True) of the accuracy.

    Returns:
        The model and what is known of it; ``found`` is False if none met the bound. After Ctrl-C
        it is the best so far.

    Raises:
        SettingsError: An argument cannot be used.
        ModelError: The model cannot be found, read or run.
        DataError: The data cannot be used, or does not fit the model.
        MissingExtraError: The host is not installed.
        SigOptStrategyError: The experiment, its store or its server cannot be used.
        Exception: What ``eval_fn`` raised on FP32.
        SystemExit: After SIGTERM or SIGHUP, once everything is written.
    """
    own, chosen = _split(settings, more)
    # First, so that a wrong name is not hidden by a missing file.
    known = None if host == AUTO else host_for(model, host)
    given = Given(
        _absolute(model),
        calib_dataloader,
        heard(eval_fn),
        Criterion(
            tolerable_loss,
            own.get("relative", True),
            _directions(own.get("higher_is_better", True)),
        ),
        sampling_sizes=_sizes(own.get("calibration_sampling_size")),
        inputs=_names("inputs", own.get("inputs")),
        outputs=_names("outputs", own.get("outputs")),
    )
    request = Request(given, chosen, Share(max_trials, timeout))
    output_dir = request.checked_settings().output_dir
    with EndingSignals():
        if known is None:
            hosts = installed_hosts(given.model)
            place = Place(_folder(output_dir, model))
            return result_everywhere(EveryRuntime(request, place, hosts).tune())
        known.require()
        run = runner_for(known, request).run(request.budget, Place(_folder(output_dir, model)))
    if run.error is not None and not run.outcome.trials and not run.interrupted:
        _raise(run.error)
    return result_of(run)


def result_everywhere(found: Everywhere) -> TuningResult:
    """The result of tuning on every runtime: of the one with the fastest model."""
    timing, bound = found.timing, found.bound
    fastest = None if timing is None else timing.fastest
    if fastest is not None:
        run, model = fastest.run, fastest.model
    else:
        # Nothing was timed, or nothing met the bound.
        runs = sorted(found.runs.values(), key=lambda run: not run.outcome.found)
        run, model = runs[0], None if timing is not None else runs[0].model
    outcome = run.outcome
    is_fp32 = fastest is not None and fastest.is_fp32
    if is_fp32:
        outcome = dataclasses.replace(
            outcome, found=True, best=None, faster_than_fp32=False, speedup=None, verdict=""
        )
    if bound is not None:
        outcome = dataclasses.replace(
            outcome, baseline_accuracy=bound.baseline_scalar, accuracy_target=bound.target
        )
    outcome = outcome_with(outcome, verdict_of(found))
    set_last_outcome(outcome)
    run = dataclasses.replace(run, interrupted=found.interrupted)
    return TuningResult(
        run, outcome, None if is_fp32 else recipe_of(run), rows_of(found), own_model=model
    )


def _split(
    settings: Mapping[str, Any] | None, more: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of the model, and what is a setting; each key once.

    Raises:
        SettingsError: A key is unknown, there twice, or has a value that cannot be used.
    """
    if settings is not None and not isinstance(settings, Mapping):
        raise SettingsError(
            f"settings must be a dict, but is {settings!r} ({type(settings).__name__}).",
            'For example: settings={"search_space": "full"}.',
        )
    twice = sorted(set(settings or {}) & set(more))
    if twice:
        raise SettingsError(
            f"{twice[0]} is given as a keyword and in settings.", "Leave one of the two out."
        )
    both = {**(settings or {}), **more}
    own = {key: both.pop(key) for key in _OF_THE_MODEL if key in both}
    Settings.from_kwargs(both)
    if not isinstance(own.get("relative", True), bool):
        raise SettingsError(f"relative must be True or False, but is {own['relative']!r}.")
    return own, both


def _directions(value: Any) -> bool | tuple[bool, ...]:
    if isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(d, bool) for d in value):
        return tuple(value)
    raise SettingsError(
        f"higher_is_better must be True or False, or one of them per metric, but is {value!r}."
    )


def _sizes(value: Any) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _names(key: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{key} must be a list of names, but is {value!r}.")
    return tuple(names)


def _absolute(model: Any) -> Any:
    # The user's functions may change the working folder.
    if isinstance(model, (str, os.PathLike)):
        return Path(model).expanduser().absolute()
    return model


def _folder(output_dir: Path | None, model: Any) -> Path:
    if output_dir is not None:
        return output_dir.absolute()
    is_path = isinstance(model, (str, os.PathLike))
    name = Path(model).stem if is_path else type(model).__name__
    return new_run_folder(name or "model", RUNS_FOLDER, "autotune", named_by="output_dir")


def _raise(error: BaseException) -> None:
    if isinstance(error, SigOptStrategyError):
        raise error
    if isinstance(error, SystemExit):
        raise TrialError(named(error)) from error
    raise error
