"""The properties that OpenVINO models are compiled with, checked without OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.quantities import brief

# How float ops are computed: the user's word on it fixes what tuning would else choose.
PRECISION_KEY = "INFERENCE_PRECISION_HINT"
MODE_KEY = "EXECUTION_MODE_HINT"
_DEVICE_KEYS = ("DEVICE", "DEVICE_NAME")
_EXAMPLE = 'For example: {"INFERENCE_NUM_THREADS": 2, "PERFORMANCE_HINT": "LATENCY"}.'


def checked_properties(key: str, value: object) -> dict[str, Any] | None:
    """Properties as a new dict in one fixed order; ``None`` if none are given.

    Whether OpenVINO knows them is seen once it is there; see ``backends.openvino_properties``.

    Args:
        key: What a message calls them.
        value: Names of properties of OpenVINO's CPU device to a string, number or boolean.

    Raises:
        SettingsError: No mapping, a name that is no string, a value of another type, or a device
            other than the CPU.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise SettingsError(
            f"{key} must be a dict, but is {brief(value)} ({type(value).__name__}).", _EXAMPLE
        )
    for name, chosen in value.items():
        if not isinstance(name, str):
            raise SettingsError(
                f"{key} has the name {brief(name)} ({type(name).__name__}), which is no string.",
                _EXAMPLE,
            )
        if not isinstance(chosen, (str, int, float)):
            raise SettingsError(
                f"{key}: {name} must be a string, a number or a boolean, but is {brief(chosen)} "
                f"({type(chosen).__name__}).",
                'Write values as OpenVINO\'s documentation does, such as "LATENCY" or "f32".',
            )
    found = {name.upper(): value[name] for name in sorted(value)}
    for name in _DEVICE_KEYS:
        if name in found and str(found.pop(name)).upper() != "CPU":
            raise SettingsError(
                f"{key}: {name} is {brief(value[name])}, and models are tuned for the CPU only.",
                "Leave it out.",
            )
    return found or None
