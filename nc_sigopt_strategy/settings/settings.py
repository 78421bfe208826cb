"""``strategy_kwargs`` checked once and turned into one immutable ``Settings``."""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.address import Address
from nc_sigopt_strategy.settings.checks import (
    AT_LEAST_0,
    AT_LEAST_1,
    BATCH_SIZES,
    CA_BUNDLE,
    CLIENT_CERT,
    EXPERIMENT_ID,
    EXPERIMENT_NAME,
    FLAG,
    FOLDER,
    HOSTS,
    LOCKED_OPS,
    ODDS,
    PATTERNS,
    PROBING,
    PROJECT_ID,
    PROPERTIES,
    PROXY,
    SECONDS,
    SEED,
    SESSION_OPTIONS,
    SOME_SECONDS,
    TEXT,
    TOKEN,
    URL,
    WORKER,
    Check,
    function,
    one_of,
    whole,
)
from nc_sigopt_strategy.settings.choices import (
    ACTIVATION_TYPES,
    AUTO,
    CALIBRATIONS,
    CONSTRAINT,
    DEFAULT_EXPERIMENT_NAME,
    DEFAULT_PROJECT_ID,
    DEFAULT_SAMPLER,
    EVEN_ODDS,
    FINISHED,
    FINISHINGS,
    FITTED,
    GOALS,
    LEASE_SECONDS,
    LOCAL,
    PARETO,
    PRESETS,
    REQUEST_TIMEOUT_SECONDS,
    SAMPLERS,
    SUGGESTIONS,
)
from nc_sigopt_strategy.settings.secret import Secret
from nc_sigopt_strategy.settings.server_options import ClientCertificate

# What the client itself reads these settings from.
_VARIABLES = {
    "sigopt_api_token": "SIGOPT_API_TOKEN",
    "sigopt_api_url": "SIGOPT_API_URL",
    "sigopt_project_id": "SIGOPT_PROJECT",
}

ModelLatency = Callable[[Any], float]
ModelAccuracy = Callable[[Any], Any]
ModelMetrics = Callable[[Any], Mapping[str, float]]


@dataclass(frozen=True)
class Settings:
    """Everything a run takes from ``strategy_kwargs``; the field names are its keys.

    Attributes:
        sigopt_api_token: SigOpt API token. Without one (here, in ``SIGOPT_API_TOKEN`` or in the
            SigOpt client's own config file) the embedded engine does the job.
        sigopt_project_id: Project of the experiment, else ``SIGOPT_PROJECT``; ``[a-z0-9-_.]``, 1
            to 32 characters. It is created if it is not there.
        sigopt_experiment_name: Name of a new experiment, 1 to 100 characters.
        sigopt_experiment_id: Continue this experiment instead of creating one.
        sigopt_api_url: Base URL of a SigOpt server; else ``SIGOPT_API_URL``.
        sigopt_ca_bundle: PEM file of the authorities that may have signed the server's
            certificate; else ``SIGOPT_API_VERIFY_SSL_CERTS``, else those that requests knows.
        sigopt_client_cert: What this side shows the server: a PEM file with certificate and key,
            or a pair of files. The key must not be encrypted.
        sigopt_proxy: URL of an http or https proxy that only the server is reached through; else
            the environment's, except for a server on this machine.
        sigopt_timeout_seconds: How long to wait for the server to take a connection, and then
            for each piece of its answer. Above 0.
        sigopt_plain_http_hosts: Hosts that the token may go to without TLS, besides this machine.
        suggestions: Who proposes where there is a server: ``local``, our sampler, and the server
            records; or ``server``, the server's engine.
        parallel_bandwidth: How many workers will ask at the same time.
        worker: This worker's name among those of the experiment, the same after a restart: 1 to 64
            characters of ``[A-Za-z0-9_.:/-]``. Default: from the host's name and the run folder.
        lease_seconds: How long a suggestion belongs to a worker that does not renew it.
        one_trial_per_machine: Whether the workers of one machine take turns, so that they do not
            disturb each other's timing; default: if ``parallel_bandwidth`` is above 1.
        storage: Optuna storage URL of the local store; default: one SQLite file in the user's
            data folder, whose path is logged.
        goal: ``constraint``: the fastest model within INC's accuracy criterion; ``pareto``: all
            models that no other beats in accuracy and latency at once.
        sampler: Which sampler of the embedded engine suggests.
        seed: Seed of sampler and measurement order; default: INC's ``options.random_seed``.
        search_space: Options offered per op: ``dtype`` (best int8 variant, bf16, fp32), ``int8``
            (all int8 variants) or ``full`` (both).
        locked_ops: Regular expression on op names to the value those ops always take. What a
            runtime makes one op of goes by the names of all its parts, here and below.
        excluded_ops: Regular expressions on op names that are not quantized: fp32, or the most
            precise type that the runtime has for the op.
        max_parameters: Neighbouring ops are grouped until at most this many parameters remain.
        stop_at_first: Stop at the first model that meets the bound and is faster than FP32,
            instead of looking for the fastest.
        patience: Stop when a model was found and for so many suggestions in a row nothing was
            expected of another trial; 0: never. Default: ``DEFAULT_PATIENCE`` with the sampler
            ``quantization``, never with others, where it counts trials that were not faster.
        probing: Whether single ops are looked at, without evaluating, before the sampler is asked:
            ``auto``, where that saves more than it costs; ``off``; or for so many seconds.
        trial_timeout_seconds: A trial that takes longer is a failed one. Checked between its
            phases, because native code cannot be interrupted. 0: no limit.
        calibration: ``fitted`` calibrates once, feeds every trial and, for TensorFlow models,
            rounds int8 weights and corrects biases as the data wants it; ``exact`` leaves weights
            and biases to INC; ``as_printed`` too, with the digits that INC loses on TensorFlow;
            ``stock`` calibrates in every trial, as INC.
        calibration_cache: Folder that keeps calibration statistics for later runs; default: none.
        finishing: ``on`` rewrites every TensorFlow model that Neural Compressor makes so that it
            computes the same in less time, see ``backends.finishing``; ``off`` leaves its graph
            node by node as it is. Other models are not rewritten.
        finalists: How many of the best models are timed side by side at the end.
        bound_confidence: How probable it must be that the returned model keeps the bound on other
            data of the same kind; above 0 and below 1.
        confirm_func: ``confirm_func(model) -> accuracy`` on other data, in the form of the
            evaluation's; called for FP32 and finalists. A finalist that misses the bound there,
            counted from what FP32 reaches there, is passed over.
        latency_func: ``latency_func(model) -> seconds``, replaces our timing of a model.
        stored_metrics_func: ``stored_metrics_func(model) -> {name: value}``, further metrics of a
            model that are kept with its trial; see ``measurement.stored_metrics``.
        latency_repeats: Pairs of timed runs (model, reference) per trial.
        latency_batch_size: Inputs in the timed batch, or a mapping of sizes to their weights, such
            as ``{1: 1, 20: 1}``: then the weighted geometric mean of the latencies is minimized.
            Default: the first calibration batch whole.
        onnxruntime_session_options: Of every session that ONNX models are timed in; see
            ``checked_session_options``. Default: ONNX Runtime's own, without spinning.
        activation_type: What ONNX Runtime's host quantizes activations to, in all ops of a run:
            ``uint8`` or ``int8``. Weights are int8.
        openvino_properties: What OpenVINO models are compiled with, as its CPU device names them;
            see ``checked_properties``. Default: the hint on performance is latency.
        output_dir: Run folder for outcome, trials, recipe and the best model; default: ``sigopt``
            in INC's workspace.
        progress: Live progress bar; default: when standard error is a terminal.
        live_page: Whether ``report.html`` is written between trials, too, and not only at the end;
            it takes a hundredth of the time at most.
        show_inc_log: Whether what Neural Compressor logs during a run is shown; it is written to
            ``log.txt`` in the run folder instead.
    """

    sigopt_api_token: Annotated[Secret | None, TOKEN] = None
    sigopt_project_id: Annotated[str, PROJECT_ID] = DEFAULT_PROJECT_ID
    sigopt_experiment_name: Annotated[str, EXPERIMENT_NAME] = DEFAULT_EXPERIMENT_NAME
    sigopt_experiment_id: Annotated[str | None, EXPERIMENT_ID] = None
    sigopt_api_url: Annotated[Address | None, URL] = None
    sigopt_ca_bundle: Annotated[Path | None, CA_BUNDLE] = None
    sigopt_client_cert: Annotated[ClientCertificate | None, CLIENT_CERT] = None
    sigopt_proxy: Annotated[Secret | None, PROXY] = None
    sigopt_timeout_seconds: Annotated[float, SOME_SECONDS] = REQUEST_TIMEOUT_SECONDS
    sigopt_plain_http_hosts: Annotated[tuple[str, ...], HOSTS] = ()
    suggestions: Annotated[str, one_of(*SUGGESTIONS)] = LOCAL
    parallel_bandwidth: Annotated[int, AT_LEAST_1] = 1
    worker: Annotated[str | None, WORKER] = None
    lease_seconds: Annotated[float, SOME_SECONDS] = LEASE_SECONDS
    one_trial_per_machine: Annotated[bool | None, FLAG] = None
    storage: Annotated[str | None, TEXT] = None
    goal: Annotated[str, one_of(*GOALS)] = CONSTRAINT
    sampler: Annotated[str, one_of(*SAMPLERS)] = DEFAULT_SAMPLER
    seed: Annotated[int | None, SEED] = None
    search_space: Annotated[str, one_of(*PRESETS)] = PRESETS[0]
    locked_ops: Annotated[Mapping[str, str], LOCKED_OPS] = field(default_factory=dict)
    excluded_ops: Annotated[tuple[str, ...], PATTERNS] = ()
    max_parameters: Annotated[int | None, AT_LEAST_1] = None
    stop_at_first: Annotated[bool, FLAG] = False
    patience: Annotated[int | None, AT_LEAST_0] = None
    probing: Annotated[str | float, PROBING] = AUTO
    trial_timeout_seconds: Annotated[float, SECONDS] = 0.0
    calibration: Annotated[str, one_of(*CALIBRATIONS)] = FITTED
    calibration_cache: Annotated[Path | None, FOLDER] = None
    finishing: Annotated[str, one_of(*FINISHINGS)] = FINISHED
    finalists: Annotated[int, AT_LEAST_1] = 3
    bound_confidence: Annotated[float, ODDS] = EVEN_ODDS
    confirm_func: Annotated[ModelAccuracy | None, function("its accuracy")] = field(
        default=None, repr=False
    )
    latency_func: Annotated[ModelLatency | None, function("seconds")] = field(
        default=None, repr=False
    )
    stored_metrics_func: Annotated[ModelMetrics | None, function("a dict of metrics")] = field(
        default=None, repr=False
    )
    latency_repeats: Annotated[int, whole(2)] = 12
    latency_batch_size: Annotated[int | Mapping[int, float] | None, BATCH_SIZES] = None
    onnxruntime_session_options: Annotated[Mapping[str, Any] | None, SESSION_OPTIONS] = None
    activation_type: Annotated[str, one_of(*ACTIVATION_TYPES)] = ACTIVATION_TYPES[0]
    openvino_properties: Annotated[Mapping[str, Any] | None, PROPERTIES] = None
    output_dir: Annotated[Path | None, FOLDER] = None
    progress: Annotated[bool | None, FLAG] = None
    live_page: Annotated[bool, FLAG] = False
    show_inc_log: Annotated[bool, FLAG] = False

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any] | None) -> Settings:
        """Check ``strategy_kwargs`` and fill in the defaults.

        Raises:
            SettingsError: An unknown key, or a value of the wrong type or out of range.
        """
        if kwargs is None:
            kwargs = {}
        if not isinstance(kwargs, Mapping):
            raise SettingsError(
                f"strategy_kwargs must be a dict, but is a {type(kwargs).__name__}.",
                'For example: strategy_kwargs={"sigopt_experiment_name": "nc-tune"}.',
            )
        _reject_unknown(kwargs)
        values = {key: _checked(key, key, value) for key, value in kwargs.items()}
        values = {key: value for key, value in values.items() if value is not None}
        for key, variable in _VARIABLES.items():
            text = os.environ.get(variable, "").strip()
            if text and key not in values:
                values[key] = _checked(key, variable, text)
        settings = cls(**values)
        _check_goal(settings)
        return settings


KEYS = tuple(f.name for f in dataclasses.fields(Settings))
CHECKS: Mapping[str, Check] = {
    name: declared.__metadata__[0]
    for name, declared in get_type_hints(Settings, include_extras=True).items()
}


def _checked(key: str, called: str, value: object) -> Any:
    try:
        return CHECKS[key].function(called, value)
    except SettingsError as error:
        error.key = key
        raise


def _reject_unknown(kwargs: Mapping[str, Any]) -> None:
    for key in kwargs:
        if key in KEYS:
            continue
        # Behind a colon without its space, in YAML, stands a value: it may be a token.
        name, colon, value = str(key).partition(":")
        near = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        shown = repr(f"{name}{colon}..." if value else key)
        error = SettingsError(
            f"Unknown key {shown} in strategy_kwargs.", f"{meant}Known keys: {', '.join(KEYS)}."
        )
        error.key = key
        raise error


def _check_goal(settings: Settings) -> None:
    if settings.goal != PARETO:
        return
    if settings.sampler == "gp":
        raise SettingsError(
            "The sampler 'gp' is not offered with goal='pareto'.",
            "Choose quantization, tpe, random or grid.",
        )
    if settings.stop_at_first:
        raise SettingsError(
            "stop_at_first=True does not go with goal='pareto': a front has no first model.",
            "Leave one of them out.",
        )
    if settings.confirm_func is not None or settings.bound_confidence != EVEN_ODDS:
        key = "bound_confidence" if settings.confirm_func is None else "confirm_func"
        raise SettingsError(
            f"{key} does not go with goal='pareto': a front has no bound that could be kept.",
            "Leave one of them out.",
        )
