"""NNCF's quantization, run once for each number of inputs that calibrates.

Biases are corrected by NNCF's full bias correction, not by its fast one, which is its default: on
MobileNet_v1 the fast one corrects 15 of 28 ops, and the output's error is ten times as large
(0.031 of the outputs' variance and not 0.003, where bf16 has 0.004). It takes some seconds, once.
A model with attention is quantized as a transformer, and there the fast one is right: the outputs
of MiniLM agree with FP32's to 0.997 with it, to 0.69 with the full one, and to 0.25 as a
convolutional model.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nncf
import openvino as ov

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.backends.openvino_properties import plain_words
from nc_sigopt_strategy.errors import ModelError
from nc_sigopt_strategy.hosts.calibration_usage import CalibrationUsage
from nc_sigopt_strategy.hosts.openvino.attention import attends

logger = logging.getLogger("nc_sigopt_strategy")

Items = Iterable[Mapping[str, Array]]


# Processors' words for it.
_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp")


@dataclass
class Quantizer:
    """Quantizes one model with NNCF.

    Attributes:
        model: Float, with stable names; not changed.
        items: Yields what the model takes at once, input name to array, for a number of inputs.
        used: Counted in.
        doing: Told in a few words what takes long.
    """

    model: ov.Model
    items: Callable[[int], Items]
    used: CalibrationUsage = field(default_factory=CalibrationUsage)
    doing: Callable[[str], None] = field(default=lambda what: None, repr=False)
    _made: dict[int, ov.Model] = field(default_factory=dict, repr=False)
    _full_failed: bool = field(default=False, repr=False)

    @property
    def options(self) -> dict[str, Any]:
        """What NNCF is told beyond the number of items, JSON-safe: as a recipe keeps it."""
        found: dict[str, Any] = {
            "fast_bias_correction": self._is_transformer or self._full_failed,
        }
        if self._is_transformer:
            found["model_type"] = nncf.ModelType.TRANSFORMER.value
        if has_int8_dot_products():
            # Weights of 7 bits, against sums that overflow, are for older processors.
            found["overflow_fix"] = nncf.OverflowFix.DISABLE.value
        return found

    @cached_property
    def _is_transformer(self) -> bool:
        return attends(self.model)

    @property
    def _branches(self) -> int:
        return sum(node.get_type_name() == "If" for node in self.model.get_ops())

    def structure(self, max_size: int) -> ov.Model:
        """The model quantized by one input, to see where NNCF quantizes; ranges mean nothing.

        Args:
            max_size: How many inputs may be taken where one does not reach every branch.

        Raises:
            ModelError: NNCF cannot quantize it.
        """
        size = max_size if self._branches else 1
        options = {**self.options, "fast_bias_correction": True, "disable_bias_correction": True}
        return self._quantized(size, options)

    def quantized(self, sampling_size: int) -> ov.Model:
        """The model with everything quantized that can be; made once, not to be changed.

        Args:
            sampling_size: How many inputs calibrate.

        Raises:
            ModelError: NNCF cannot quantize it.
        """
        if sampling_size not in self._made:
            self.doing(f"calibrating with {sampling_size} inputs")
            begun = time.monotonic()
            self._made[sampling_size] = self._corrected(sampling_size)
            self.used.passes += 1
            self.used.seconds += time.monotonic() - begun
        self.used.fed += 1
        return self._made[sampling_size]

    def _corrected(self, sampling_size: int) -> ov.Model:
        try:
            return self._quantized(sampling_size, self.options)
        except ModelError as error:
            if self.options["fast_bias_correction"]:
                raise
            logger.warning("NNCF's fast bias correction is taken: %s", error.fact)
            self._full_failed = True
        return self._quantized(sampling_size, self.options)

    def _quantized(self, sampling_size: int, options: Mapping[str, Any]) -> ov.Model:
        # All of the items count: there may be fewer, but not more than inputs.
        data = nncf.Dataset(_Again(lambda: self.items(sampling_size)))
        try:
            with _silent_nncf():
                return nncf.quantize(
                    self.model.clone(), data, subset_size=sampling_size, **as_keywords(options)
                )
        except Exception as error:  # NNCF and OpenVINO raise what they like
            raise ModelError(
                f"NNCF {nncf.__version__} cannot quantize the model: {plain_words(error)}",
                f"It has {self._branches} If ops, and NNCF calibrates their branches: give "
                "calibration data that reaches each of them."
                if self._branches
                else "",
            ) from error


def as_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in plain words as the keywords of ``nncf.quantize``."""
    found, advanced = {}, nncf.AdvancedQuantizationParameters()
    for name, value in options.items():
        if name == "model_type":
            found[name] = nncf.ModelType(value)
        elif name == "overflow_fix":
            advanced.overflow_fix = nncf.OverflowFix(value)
        elif hasattr(advanced, name):
            setattr(advanced, name, value)
        else:
            found[name] = value
    return {**found, "advanced_parameters": advanced}


def has_int8_dot_products() -> bool:
    """Whether the processor multiplies bytes without overflow; ``False`` where it does not say."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in _DOT_PRODUCTS)


class _Again:
    """Items that are made anew each time they are iterated."""

    def __init__(self, make: Callable[[], Items]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Mapping[str, Array]]:
        return iter(self._make())


@contextlib.contextmanager
def _silent_nncf() -> Iterator[None]:
    """Without NNCF's progress bars, which would be drawn into ours, and its log on stdout."""
    log = logging.getLogger("nncf")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)
