"""Ranges for int8, gathered once and put into every model that is made.

PT2E calibrates each model anew: it is prepared, fed and converted. But observers look at FP32's
activations, whatever other ops run as. So what an observer has seen is kept under what it looked
at, and a model for new choices gets it before it is converted. An observer that was never there
before (one that others share in another way) is fed when it first comes; that depends on what it
looks at only, so models do not depend on the order of trials.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from nc_sigopt_strategy.errors import ModelError, in_one_line
from nc_sigopt_strategy.hosts.calibration_usage import CalibrationUsage
from nc_sigopt_strategy.hosts.torch.quantizer import converted, observers_of, prepared


@dataclass
class Quantizer:
    """Makes int8 models of one graph.

    Attributes:
        graph: Float, as ``torch.export`` made it; not changed.
        feed: Runs a prepared graph on batches of so many inputs.
        used: Counted in.
        doing: Told in a few words what takes long.
    """

    graph: torch.fx.GraphModule
    feed: Callable[[torch.fx.GraphModule, int], None]
    used: CalibrationUsage = field(default_factory=CalibrationUsage)
    doing: Callable[[str], None] = field(default=lambda what: None, repr=False)
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    def quantized(self, floating: Collection[str], sampling_size: int) -> torch.fx.GraphModule:
        """The model in which all is int8 that can be, some nodes excepted.

        Args:
            floating: Names of the nodes that stay float.
            sampling_size: How many inputs calibrate.

        Raises:
            ModelError: PT2E cannot quantize it.
        """
        try:
            observed = prepared(self.graph, floating)
            self._calibrate(observed, sampling_size)
            made = converted(observed)
        except Exception as error:  # torchao raises what it likes
            raise ModelError(f"PT2E cannot quantize the model: {in_one_line(error)}") from error
        self.used.fed += 1
        return made

    def _calibrate(self, observed: torch.fx.GraphModule, sampling_size: int) -> None:
        observers = observers_of(observed)
        keys = {
            name: (sampling_size, str(observer.dtype), str(observer.qscheme), *sorted(nodes))
            for name, (observer, nodes) in observers.items()
        }
        if any(key not in self._known for key in keys.values()):
            self.doing(f"calibrating with {sampling_size} inputs")
            begun = time.monotonic()
            self.feed(observed, sampling_size)
            self.used.passes += 1
            self.used.seconds += time.monotonic() - begun
            for name, key in keys.items():
                self._known.setdefault(key, copy.deepcopy(observers[name][0]))
        copies = {key: copy.deepcopy(self._known[key]) for key in set(keys.values())}
        for name, key in keys.items():
            setattr(observed, name, copies[key])


def batches_through(
    call: Callable[[Any, Any], Any], batches: Iterable[Any], module: torch.fx.GraphModule
) -> None:
    """Run a graph on batches, for what its observers see."""
    with torch.no_grad():
        for batch in batches:
            call(module, batch)
