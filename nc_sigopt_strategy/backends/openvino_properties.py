"""The properties of OpenVINO's CPU device: which there are, what a run chose, what follows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import openvino as ov

from nc_sigopt_strategy.backends.openvino_core import DEVICE, the_core
from nc_sigopt_strategy.errors import SettingsError, in_one_line
from nc_sigopt_strategy.settings.openvino_properties import (
    MODE_KEY,
    PRECISION_KEY,
    checked_properties,
)

SETTING = "openvino_properties"
BF16, F16, F32 = "bf16", "f16", "f32"
# One inference at a time, on all cores: what a latency is.
DEFAULTS: Mapping[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
_PLACES = re.compile(r"(Exception from|Check '.*' failed at) [\w./]+:\d+:?")
_UNDECIDED = ("", "dynamic", "undefined")


class Properties:
    """What models are compiled with.

    Args:
        chosen: The setting ``openvino_properties``.

    Attributes:
        chosen: The same, in one fixed order.

    Raises:
        SettingsError: A name that the CPU device does not have or does not let be set, or a value
            that it refuses.
    """

    def __init__(self, chosen: Mapping[str, Any] | None = None) -> None:
        self.chosen = checked_properties(SETTING, chosen) or {}
        if self.chosen:
            self._check()

    @property
    def floats(self) -> Sequence[str]:
        """The precisions that float ops may be computed in, least precise first.

        One where the user fixed it, else bf16 and f32 on a processor that has bf16.
        """
        fixed = str(self.chosen.get(PRECISION_KEY, "")).lower()
        if fixed not in _UNDECIDED:
            return (fixed,)
        if str(self.chosen.get(MODE_KEY, "")).upper() == "ACCURACY" or not _has_bf16():
            return (F32,)
        return (BF16, F32)

    def of(self, precision: str) -> dict[str, Any]:
        """All that a model is compiled with whose float ops are computed in ``precision``."""
        return {**DEFAULTS, **self.chosen, PRECISION_KEY: precision}

    def _check(self) -> None:
        supported = the_core().get_property(DEVICE, "SUPPORTED_PROPERTIES")
        settable = sorted(name for name, access in supported.items() if access != "RO")
        for name in self.chosen:
            if name in settable:
                continue
            near = difflib.get_close_matches(name, settable, n=3, cutoff=0.5)
            meant = f"Did you mean {' or '.join(near)}? " if near else ""
            what = "can only be read" if name in supported else "is none of the CPU device's"
            raise SettingsError(
                f"{SETTING} has the property {name!r}, which {what} (OpenVINO {version()}).",
                f"{meant}Those that can be set: {', '.join(settable)}.",
            )
        try:
            the_core().compile_model(_smallest_model(), DEVICE, dict(self.chosen))
        except Exception as error:  # OpenVINO has one class for all that can go wrong
            raise SettingsError(
                f"{SETTING} is {self.chosen!r}, which OpenVINO refuses: {plain_words(error)}",
                "Correct the value that it names.",
            ) from error


def version() -> str:
    """OpenVINO's, without the build."""
    return str(ov.__version__).split("-", maxsplit=1)[0]


def plain_words(error: BaseException) -> str:
    """What OpenVINO says of an error, without where in its source that was."""
    return in_one_line(_PLACES.sub("", str(error)))


def _has_bf16() -> bool:
    return "BF16" in the_core().get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")


def _smallest_model() -> ov.Model:
    from openvino import opset8

    given = opset8.parameter([1], np.float32)
    return ov.Model([opset8.relu(given)], [given], "smallest")
