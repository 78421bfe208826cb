"""``strategy_kwargs`` checked once and turned into one immutable ``Settings``."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.experiments.lease import LEASE_SECONDS, MAX_WORKER_NAME
from nc_sigopt_strategy.hosts.inc.calibration import EXACT, MODES
from nc_sigopt_strategy.settings.secret import TOKEN_KEY, SealedKwargs, Secret
from nc_sigopt_strategy.settings.server_options import (
    ClientCertificate,
    checked_ca_bundle,
    checked_client_cert,
    checked_hosts,
    checked_proxy,
    checked_url,
)
from nc_sigopt_strategy.settings.session_options import checked_session_options

PRESETS = ("dtype", "int8", "full")
CONSTRAINT, PARETO = GOALS = ("constraint", "pareto")
LOCAL, SERVER = SUGGESTIONS = ("local", "server")
WORKER_PATTERN = re.compile(rf"[A-Za-z0-9_.:/\-]{{1,{MAX_WORKER_NAME}}}")
PROJECT_ID_PATTERN = re.compile(r"[a-z0-9\-_.]{1,32}")
DEFAULT_EXPERIMENT_NAME = "nc-tune"
DEFAULT_PROJECT_ID = "nc-tune"
REQUEST_TIMEOUT_SECONDS = 15.0

ModelLatency = Callable[[Any], float]
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
        locked_ops: Regular expression on op names to the value those ops always take.
        excluded_ops: Regular expressions on op names that are left in fp32.
        max_parameters: Neighbouring ops are grouped until at most this many parameters remain.
        stop_at_first: Stop at the first model that meets the bound instead of spending the budget.
        trial_timeout_seconds: A trial that takes longer is a failed one. Checked between its
            phases, because native code cannot be interrupted. 0: no limit.
        calibration: ``exact`` calibrates once and feeds every trial; ``as_printed`` does so with
            the digits that INC loses on TensorFlow; ``stock`` calibrates in every trial, as INC.
        calibration_cache: Folder that keeps calibration statistics for later runs; default: none.
        finalists: How many of the best models are timed side by side at the end.
        latency_func: ``latency_func(model) -> seconds``, replaces our timing of a model.
        stored_metrics_func: ``stored_metrics_func(model) -> {name: value}``, further metrics of a
            model that are kept with its trial; see ``measurement.stored_metrics``.
        latency_repeats: Pairs of timed runs (model, reference) per trial.
        latency_batch_size: Inputs in the timed batch; default: the first calibration batch whole.
        onnxruntime_session_options: Of every session that ONNX models are timed in; see
            ``checked_session_options``. Default: ONNX Runtime's own.
        output_dir: Run folder for outcome, trials, recipe and the best model; default: ``sigopt``
            in INC's workspace.
        progress: Live progress bar; default: when standard error is a terminal.
    """

    sigopt_api_token: Secret | None = None
    sigopt_project_id: str = DEFAULT_PROJECT_ID
    sigopt_experiment_name: str = DEFAULT_EXPERIMENT_NAME
    sigopt_experiment_id: str | None = None
    sigopt_api_url: str | None = None
    sigopt_ca_bundle: Path | None = None
    sigopt_client_cert: ClientCertificate | None = None
    sigopt_proxy: Secret | None = None
    sigopt_timeout_seconds: float = REQUEST_TIMEOUT_SECONDS
    sigopt_plain_http_hosts: tuple[str, ...] = ()
    suggestions: str = LOCAL
    parallel_bandwidth: int = 1
    worker: str | None = None
    lease_seconds: float = LEASE_SECONDS
    one_trial_per_machine: bool | None = None
    storage: str | None = None
    goal: str = CONSTRAINT
    sampler: str = "quantization"
    seed: int | None = None
    search_space: str = "dtype"
    locked_ops: Mapping[str, str] = field(default_factory=dict)
    excluded_ops: tuple[str, ...] = ()
    max_parameters: int | None = None
    stop_at_first: bool = False
    trial_timeout_seconds: float = 0.0
    calibration: str = EXACT
    calibration_cache: Path | None = None
    finalists: int = 3
    latency_func: ModelLatency | None = field(default=None, repr=False)
    stored_metrics_func: ModelMetrics | None = field(default=None, repr=False)
    latency_repeats: int = 12
    latency_batch_size: int | None = None
    onnxruntime_session_options: Mapping[str, Any] | None = None
    output_dir: Path | None = None
    progress: bool | None = None

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any] | SealedKwargs | None) -> Settings:
        """Check ``strategy_kwargs`` and fill in the defaults.

        Raises:
            SettingsError: An unknown key, or a value of the wrong type or out of range.
        """
        if isinstance(kwargs, SealedKwargs):
            if kwargs.left_out:
                raise SettingsError(
                    "These strategy_kwargs are a copy, and a copy never holds "
                    f"{', '.join(kwargs.left_out)}.",
                    "Set tuning_criterion.strategy_kwargs again before fitting with this "
                    "configuration.",
                )
            kwargs = kwargs.reveal()
        if kwargs is None:
            kwargs = {}
        if not isinstance(kwargs, Mapping):
            raise SettingsError(
                f"strategy_kwargs must be a dict, but is a {type(kwargs).__name__}.",
                'For example: strategy_kwargs={"sigopt_experiment_name": "nc-tune"}.',
            )
        _reject_unknown(kwargs)
        values = {key: _CHECKS[key](key, value) for key, value in kwargs.items()}
        values = {key: value for key, value in values.items() if value is not None}
        if "sigopt_api_token" not in values:
            token = os.environ.get("SIGOPT_API_TOKEN", "").strip()
            if token:
                values["sigopt_api_token"] = Secret(token)
        url = os.environ.get("SIGOPT_API_URL", "").strip()
        if url and "sigopt_api_url" not in values:
            values["sigopt_api_url"] = checked_url("SIGOPT_API_URL", url)
        project = os.environ.get("SIGOPT_PROJECT", "").strip()
        if project and "sigopt_project_id" not in values:
            values["sigopt_project_id"] = _project_id("SIGOPT_PROJECT", project)
        settings = cls(**values)
        _check_goal(settings)
        return settings


KEYS = tuple(f.name for f in dataclasses.fields(Settings))


def _reject_unknown(kwargs: Mapping[str, Any]) -> None:
    for key in kwargs:
        if key in KEYS:
            continue
        near = difflib.get_close_matches(str(key), KEYS, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        raise SettingsError(
            f"Unknown key {key!r} in strategy_kwargs.", f"{meant}Known keys: {', '.join(KEYS)}."
        )


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


def _wrong(key: str, wanted: str, value: object) -> SettingsError:
    shown = "***" if key == TOKEN_KEY else repr(value)
    return SettingsError(f"{key} must be {wanted}, but is {shown} ({type(value).__name__}).")


def _text(key: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise _wrong(key, "a string that is not empty", value)
    return value.strip()


def _token(key: str, value: object) -> Secret | None:
    if value is None:
        return None
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise _wrong(key, "a string", value)
    if not value.strip():
        raise SettingsError(
            f"{key} is empty.",
            "Leave the key out to use the embedded engine, or give the token of a SigOpt server.",
        )
    return Secret(value.strip())


def _project_id(key: str, value: object) -> str | None:
    project_id = _text(key, value)
    if project_id is not None and not PROJECT_ID_PATTERN.fullmatch(project_id):
        raise SettingsError(
            f"{key} {project_id!r} is not a SigOpt project id.",
            "Use 1 to 32 characters of a-z, 0-9, '-', '_' and '.'.",
        )
    return project_id


def _experiment_name(key: str, value: object) -> str | None:
    name = _text(key, value)
    if name is not None and (len(name) > 100 or any(ord(c) < 0x20 for c in name)):
        raise SettingsError(
            f"{key} {name!r} is not an experiment name.",
            "Use 1 to 100 characters without control characters.",
        )
    return name


def _experiment_id(key: str, value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = _text(key, value)
    if text is not None and not text.isdigit():
        raise SettingsError(
            f"{key} {text!r} is not an experiment id: ids are whole numbers.",
            "Did you mean sigopt_experiment_name? `nc-sigopt experiments list` shows the ids.",
        )
    return text


def _worker(key: str, value: object) -> str | None:
    name = _text(key, value)
    if name is not None and not WORKER_PATTERN.fullmatch(name):
        raise SettingsError(
            f"{key} {name!r} is not a name of a worker.",
            f"Use 1 to {MAX_WORKER_NAME} characters of A-Z, a-z, 0-9 and _ . : / -.",
        )
    return name


def _one_of(*choices: str) -> Callable[[str, object], str | None]:
    def check(key: str, value: object) -> str | None:
        text = _text(key, value)
        if text is not None and text not in choices:
            near = difflib.get_close_matches(text, choices, n=1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(
                f"{key} must be one of {', '.join(choices)}, but is {text!r}.{meant}"
            )
        return text

    return check


def _sampler(key: str, value: object) -> str | None:
    # The engine's samplers are imported only when the key is there: Optuna costs time to import.
    from nc_sigopt_strategy.sampling import SAMPLER_NAMES

    return _one_of(*SAMPLER_NAMES)(key, value)


def _whole(minimum: int) -> Callable[[str, object], int | None]:
    def check(key: str, value: object) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise _wrong(key, f"a whole number of at least {minimum}", value)
        return value

    return check


def _seconds(key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise _wrong(key, "a number of seconds of at least 0", value)
    return float(value)


def _some_seconds(key: str, value: object) -> float | None:
    seconds = _seconds(key, value)
    if seconds is not None and not 0 < seconds < math.inf:
        raise _wrong(key, "a number of seconds above 0", value)
    return seconds


def _flag(key: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise _wrong(key, "True or False", value)
    return value


def _pattern(key: str, value: object) -> str:
    text = _text(key, value)
    if text is None:
        raise _wrong(key, "a regular expression", value)
    try:
        re.compile(text)
    except re.error as error:
        raise SettingsError(
            f"{key} holds {text!r}, which is not a regular expression: {error}."
        ) from error
    return text


def _patterns(key: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise _wrong(key, "a list of regular expressions", value)
    return tuple(_pattern(key, item) for item in value)


def _locked_ops(key: str, value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(key, 'a dict such as {".*Logits.*": "fp32"}', value)
    return {_pattern(key, op): str(_text(key, label)) for op, label in value.items()}


def _function(returned: str) -> Callable[[str, object], Any]:
    def check(key: str, value: object) -> Any:
        if value is not None and not callable(value):
            raise _wrong(key, f"a function that takes a model and returns {returned}", value)
        return value

    return check


def _path(key: str, value: object) -> Path | None:
    if value is None:
        return None
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise _wrong(key, "the path of a folder", value)
    return Path(value).expanduser()


_CHECKS: dict[str, Callable[[str, object], Any]] = {
    "sigopt_api_token": _token,
    "sigopt_project_id": _project_id,
    "sigopt_experiment_name": _experiment_name,
    "sigopt_experiment_id": _experiment_id,
    "sigopt_api_url": checked_url,
    "sigopt_ca_bundle": checked_ca_bundle,
    "sigopt_client_cert": checked_client_cert,
    "sigopt_proxy": checked_proxy,
    "sigopt_timeout_seconds": _some_seconds,
    "sigopt_plain_http_hosts": checked_hosts,
    "suggestions": _one_of(*SUGGESTIONS),
    "parallel_bandwidth": _whole(1),
    "worker": _worker,
    "lease_seconds": _some_seconds,
    "one_trial_per_machine": _flag,
    "storage": _text,
    "goal": _one_of(*GOALS),
    "sampler": _sampler,
    "seed": _whole(0),
    "search_space": _one_of(*PRESETS),
    "locked_ops": _locked_ops,
    "excluded_ops": _patterns,
    "max_parameters": _whole(1),
    "stop_at_first": _flag,
    "trial_timeout_seconds": _seconds,
    "calibration": _one_of(*MODES),
    "calibration_cache": _path,
    "finalists": _whole(1),
    "latency_func": _function("seconds"),
    "stored_metrics_func": _function("a dict of metrics"),
    "latency_repeats": _whole(2),
    "latency_batch_size": _whole(1),
    "onnxruntime_session_options": checked_session_options,
    "output_dir": _path,
    "progress": _flag,
}
