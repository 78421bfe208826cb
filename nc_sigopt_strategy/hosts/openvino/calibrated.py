"""NNCF's quantization, run once for each number of inputs that calibrates."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import nncf
import openvino as ov

from nc_sigopt_strategy.backends.backend import Array
from nc_sigopt_strategy.errors import ModelError, in_one_line

Items = Iterable[Mapping[str, Array]]


@dataclass
class Calibrations:
    """What calibrating took.

    Attributes:
        passes: How often NNCF quantized the model.
        seconds: What that took.
        fed: How many models were made from it.
    """

    passes: int = 0
    seconds: float = 0.0
    fed: int = 0

    def as_dict(self) -> dict[str, object]:
        """For ``outcome.json``."""
        return {"fed": self.fed, "passes": self.passes, "seconds": self.seconds, "stock": {}}


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
    used: Calibrations = field(default_factory=Calibrations)
    doing: Callable[[str], None] = field(default=lambda what: None, repr=False)
    _made: dict[int, ov.Model] = field(default_factory=dict, repr=False)

    def structure(self) -> ov.Model:
        """The model quantized by one batch, to see where NNCF quantizes; ranges mean nothing.

        Raises:
            ModelError: NNCF cannot quantize it.
        """
        advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True)
        return self._quantized(1, {"advanced_parameters": advanced})

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
            self._made[sampling_size] = self._quantized(sampling_size, {})
            self.used.passes += 1
            self.used.seconds += time.monotonic() - begun
        self.used.fed += 1
        return self._made[sampling_size]

    def _quantized(self, sampling_size: int, options: Mapping[str, Any]) -> ov.Model:
        # All of the items count: there may be fewer, but not more than inputs.
        data = nncf.Dataset(_Again(lambda: self.items(sampling_size)))
        try:
            with _silent_nncf():
                return nncf.quantize(
                    self.model.clone(), data, subset_size=sampling_size, **options
                )
        except Exception as error:  # NNCF and OpenVINO raise what they like
            raise ModelError(
                f"NNCF {nncf.__version__} cannot quantize the model: {in_one_line(error)}"
            ) from error


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
