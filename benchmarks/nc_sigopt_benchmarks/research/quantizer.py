"""Quantize one model in many op-wise ways through Neural Compressor, without tuning it.

What tests compare and benchmarks time: the steps between a configuration and a quantized model,
as ``traverse`` takes them.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from nc_sigopt_strategy.backends import Backend, backend_for
from nc_sigopt_strategy.space.parameter_graph import parameter_graph
from nc_sigopt_strategy.space.search_space import SearchSpace, SpaceRequest, build_search_space

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
        config: Further arguments of ``PostTrainingQuantConfig``.

    Attributes:
        space: What each op can be; its parameters are in graph order. With the preset "full" that
            is int8 in all variants, bf16, fp32.
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
        self._strategy = STRATEGIES["basic"](
            model=wrapped,
            conf=SimpleNamespace(quantization=conf),
            q_dataloader=calib_dataloader,
            # Its presence is what makes Neural Compressor calibrate; it is never asked.
            eval_func=_no_evaluation,
        )
        self._strategy.baseline = (0.0, [0.0])
        self._strategy._prepare_tuning()
        _, _, default = self._strategy.initial_tuning_cfg()
        self.framework = str(self._strategy.framework)
        self.backend: Backend = backend_for(self.framework)
        self.space: SearchSpace = build_search_space(
            self._strategy.tuning_space,
            approach=conf.approach,
            framework=self.framework,
            default_config=default,
            sampling_sizes=[sampling_size],
            graph_order=self.backend.graph_order(self._optimized_model()),
            request=SpaceRequest(preset),
        )

    @property
    def fp32_model(self) -> Any:
        """Neural Compressor's model object of the model as it was given."""
        return self._strategy.model

    def op_graph(self) -> dict[str, Any]:
        """Parameters with their sizes and edges; see ``parameter_graph``."""
        graph = self.backend.op_graph(self._optimized_model(), self.space.ops)
        return parameter_graph(graph, {p.name: p.ops for p in self.space.parameters})

    def quantize(self, assignments: dict[str, str]) -> Any:
        """Neural Compressor's model object of one configuration."""
        strategy = self._strategy
        config = strategy._tune_cfg_converter(self.space.decode(assignments))
        strategy.set_param_for_pre_quantization_algos(
            strategy.algo_scheduler, config, strategy.model
        )
        strategy.model = strategy.algo_scheduler("pre_quantization")
        quantized = strategy.adaptor.quantize(
            copy.deepcopy(config), strategy.model, strategy.calib_dataloader, strategy.q_func
        )
        strategy.set_param_for_post_quantization_algos(
            strategy.algo_scheduler, config, strategy.adaptor.pre_optimized_model, quantized
        )
        final = strategy.algo_scheduler("post_quantization")
        strategy.algo_scheduler.reset_exec_algorithms()
        return final

    def op_states(self, assignments: dict[str, str]) -> Any:
        """Neural Compressor's op states of a configuration, for ``write_recipe``."""
        return self._strategy._tune_cfg_converter(self.space.decode(assignments))["op"]

    def _optimized_model(self) -> Any:
        # As in the strategy: the adaptor's own rewrite has the names of the quantizable ops.
        return getattr(self._strategy.adaptor, "pre_optimized_model", None) or self._strategy.model

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
