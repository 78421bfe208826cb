"""Quantize one model in many op-wise ways through Neural Compressor, without tuning it.

What tests compare and benchmarks time: the steps between a configuration and a quantized model, as
a trial takes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from nc_sigopt_strategy.hosts.inc.inc_host import IncHost
from nc_sigopt_strategy.settings.choices import EXACT, UNFINISHED
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.parameter_graph import parameter_graph
from nc_sigopt_strategy.space.search_space import SpaceRequest, build_search_space

# What a label says of an op that is calibrated by "kl"; without it, by min-max.
_KL = "-kl"


class Quantizer:
    """Neural Compressor set up for one model.

    Args:
        model: A frozen TensorFlow graph or an ONNX file.
        calib_dataloader: Yields (inputs, labels).
        workspace: Where Neural Compressor writes.
        inputs: Names of the input ops; TensorFlow only.
        outputs: Names of the output ops; TensorFlow only.
        sampling_size: How many inputs calibrate.
        preset: Of the search space; see ``Settings.search_space``.
        finishing: See ``Settings.finishing``; "off" gives Neural Compressor's own graphs.
        config: Further arguments of ``PostTrainingQuantConfig``.

    Attributes:
        space: What each op can be; its parameters are in graph order. With the preset "full" that
            is int8 in all variants, bf16, fp32.
        ops: What the host quantizes, with what runs as one with each.
        backend: Of the model's framework.
        framework: Neural Compressor's name of the model's framework.
    """

    def __init__(
        self,
        model: Path,
        calib_dataloader: Any,
        workspace: Path,
        *,
        inputs: tuple[str, ...] = (),
        outputs: tuple[str, ...] = (),
        sampling_size: int = 100,
        preset: str = "full",
        finishing: str = UNFINISHED,
        **config: Any,
    ) -> None:
        from neural_compressor import config as inc
        from neural_compressor.model import Model
        from neural_compressor.strategy import STRATEGIES

        inc.options.workspace = str(workspace)
        conf = inc.PostTrainingQuantConfig(
            quant_level=1,
            inputs=list(inputs),
            outputs=list(outputs),
            calibration_sampling_size=[sampling_size],
            **config,
        )
        wrapped = Model(str(model), conf=conf)
        strategy = STRATEGIES["basic"](
            model=wrapped,
            conf=SimpleNamespace(quantization=conf),
            q_dataloader=calib_dataloader,
            # Its presence is what makes Neural Compressor calibrate; it is never asked.
            eval_func=_no_evaluation,
        )
        self._host = IncHost(strategy, Settings(finishing=finishing, calibration=EXACT))
        self.framework = self._host.framework
        self.backend = self._host.backend
        self.ops = self._host.ops()
        self.space = build_search_space(self.ops, [sampling_size], SpaceRequest(preset))

    @property
    def fp32_model(self) -> Any:
        """Neural Compressor's model object of the model as it was given."""
        return self._host.fp32

    def op_graph(self) -> dict[str, Any]:
        """Parameters with their sizes and edges; see ``parameter_graph``."""
        graph = self._host.op_graph(self.space.ops)
        return parameter_graph(graph, {p.name: p.ops for p in self.space.parameters})

    def quantize(self, assignments: dict[str, str]) -> Any:
        """Neural Compressor's model object of one configuration."""
        return self._host.quantize(self.space.decode(assignments))

    def recipe(self, assignments: dict[str, str]) -> Mapping[str, Any]:
        """What Neural Compressor rebuilds a configuration from."""
        return self._host.recipe(self.space.decode(assignments))

    def uniform(self, *wanted: str) -> dict[str, str]:
        """Every op in the first of these labels that it has, else in its default one."""
        return {
            parameter.name: next(
                (label for label in wanted if label in parameter.values),
                self.space.default[parameter.name],
            )
            for parameter in self.space.parameters
        }

    def random(
        self,
        rng: np.random.Generator,
        *,
        labels: Collection[str] | None = None,
        kl_ops: int | None = None,
    ) -> dict[str, str]:
        """Every op in one of its labels, drawn evenly.

        Args:
            rng: Source of randomness.
            labels: Of these only; every op has one of them. ``None``: of all.
            kl_ops: At most so many ops are calibrated by "kl", which takes stock Neural
                Compressor minutes on TensorFlow; ``None`` for no limit.
        """
        drawn = {
            p.name: str(rng.choice([v for v in p.values if labels is None or v in labels]))
            for p in self.space.parameters
        }
        with_kl = [name for name, label in drawn.items() if _KL in label]
        for name in rng.permutation(with_kl)[len(with_kl) if kl_ops is None else kl_ops :]:
            drawn[str(name)] = drawn[str(name)].replace(_KL, "")
        return drawn


def _no_evaluation(model: Any) -> float:
    return 0.0
