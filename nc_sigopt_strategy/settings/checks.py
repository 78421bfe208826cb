"""Each setting's value checked and brought into one form, without going anywhere."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.choices import (
    ACTIVATION_TYPES,
    AUTO,
    CALIBRATIONS,
    FINISHINGS,
    GOALS,
    MAX_WORKER_NAME,
    OFF,
    PRESETS,
    SAMPLERS,
    SUGGESTIONS,
)
from nc_sigopt_strategy.settings.openvino_properties import checked_properties
from nc_sigopt_strategy.settings.secret import TOKEN_KEY, Secret
from nc_sigopt_strategy.settings.server_options import (
    checked_ca_bundle,
    checked_client_cert,
    checked_hosts,
    checked_proxy,
    checked_url,
)
from nc_sigopt_strategy.settings.session_options import checked_session_options

_WORKER = re.compile(rf"[A-Za-z0-9_.:/\-]{{1,{MAX_WORKER_NAME}}}")
_PROJECT_ID = re.compile(r"[a-z0-9\-_.]{1,32}")


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
    if project_id is not None and not _PROJECT_ID.fullmatch(project_id):
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
    if name is not None and not _WORKER.fullmatch(name):
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


def _odds(key: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise _wrong(key, "a probability above 0 and below 1, such as 0.95", value)
    return float(value)


def _probing(key: str, value: object) -> str | float | None:
    if value is None or (isinstance(value, str) and value in (AUTO, OFF)):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise _wrong(key, f"'{AUTO}', '{OFF}' or a number of seconds above 0", value)
    return float(value)


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


def _batch_sizes(key: str, value: object) -> int | dict[int, float] | None:
    if not isinstance(value, Mapping):
        return _whole(1)(key, value)
    wanted = f"{key} must map sizes of batches to weights above 0, such as {{1: 1, 20: 1}}"
    found: dict[int, float] = {}
    for size, weight in value.items():
        # JSON has text only for keys.
        size = int(size) if isinstance(size, str) and size.isdecimal() else size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise SettingsError(f"{wanted}, but the size {size!r} is no whole number from 1 on.")
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not is_number or not 0 < weight < math.inf:
            raise SettingsError(f"{wanted}, but the weight of {size} is {weight!r}.")
        found[size] = float(weight)
    if not found:
        raise SettingsError(f"{wanted}, but it is empty.", "Leave it out for the default.")
    return dict(sorted(found.items()))


# Each takes what a message is to call the setting, and its value; ``None`` stands for the default.
CHECKS: dict[str, Callable[[str, object], Any]] = {
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
    "sampler": _one_of(*SAMPLERS),
    "seed": _whole(0),
    "search_space": _one_of(*PRESETS),
    "locked_ops": _locked_ops,
    "excluded_ops": _patterns,
    "max_parameters": _whole(1),
    "stop_at_first": _flag,
    "patience": _whole(0),
    "probing": _probing,
    "trial_timeout_seconds": _seconds,
    "calibration": _one_of(*CALIBRATIONS),
    "calibration_cache": _path,
    "finishing": _one_of(*FINISHINGS),
    "finalists": _whole(1),
    "bound_confidence": _odds,
    "confirm_func": _function("its accuracy"),
    "latency_func": _function("seconds"),
    "stored_metrics_func": _function("a dict of metrics"),
    "latency_repeats": _whole(2),
    "latency_batch_size": _batch_sizes,
    "onnxruntime_session_options": checked_session_options,
    "activation_type": _one_of(*ACTIVATION_TYPES),
    "openvino_properties": checked_properties,
    "output_dir": _path,
    "progress": _flag,
    "live_page": _flag,
    "show_inc_log": _flag,
}
