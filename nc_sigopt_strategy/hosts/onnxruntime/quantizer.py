"""ONNX Runtime's own quantizer, fed with a plan and known ranges.

A trial differs from the one before in which nodes are quantized, hardly ever in how a weight is:
so what ``QDQQuantizer`` computes of weights is kept, by everything that it depends on. The models
are the same to the byte.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType, qdq_quantizer
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from nc_sigopt_strategy.hosts.onnxruntime.graph_view import GraphView
from nc_sigopt_strategy.hosts.onnxruntime.grouping import FLOAT_RESULT, QUANTIZABLE
from nc_sigopt_strategy.hosts.onnxruntime.plan import Plan

Ranges = Mapping[str, tuple[float, float]]
ACTIVATION_TYPES = {"uint8": QuantType.QUInt8, "int8": QuantType.QInt8}
WEIGHT_TYPE = QuantType.QInt8
# Tells the quantizer that it need not infer shapes, which writes the model to a file and back.
INFERRED = ("onnx.infer", "onnxruntime.quant")
# ONNX has scales per channel since then; ONNX Runtime's own ops have them in any opset.
_PER_CHANNEL_OPSET = 13
_QUANTIZE = "quantize_onnx_initializer"


class Quantizer:
    """Makes quantized models of one prepared model.

    Args:
        view: The prepared model.
        activation_type: ``uint8`` or ``int8``.
        remembers: Whether what was computed of weights is kept between models.
    """

    def __init__(self, view: GraphView, activation_type: str, *, remembers: bool = True) -> None:
        self._view = view
        self._activation_type = activation_type
        self._memory = _Memory() if remembers else None
        self._fitted: Mapping[str, Any] = {}
        self._place = {t.name: i for i, t in enumerate(view.model.graph.initializer)}
        self._bare = onnx.ModelProto()
        self._bare.CopyFrom(view.model)
        # Of tensors that the quantizer may rename; what it needs of them is in the ranges.
        del self._bare.graph.value_info[:]
        if not any(entry.key == INFERRED[0] for entry in self._bare.metadata_props):
            self._bare.metadata_props.add(key=INFERRED[0], value=INFERRED[1])

    def fit(self, weights: Mapping[str, Any]) -> None:
        """Take up weights that are to stand in for the model's own where a plan says so.

        Args:
            weights: Initializers by name; see ``weight_fitting.as_initializers``.
        """
        self._fitted = dict(weights)

    def options(self, plan: Plan) -> dict[str, Any]:
        """The quantizer's arguments as JSON-safe data, ranges left out."""
        kinds = set(QUANTIZABLE)
        excluded = [
            name
            for name, node in self._view.nodes.items()
            if node.op_type in kinds and name not in plan.nodes
        ]
        extra: dict[str, Any] = {"OpTypesToExcludeOutputQuantization": list(FLOAT_RESULT)}
        if self._view.opset < _PER_CHANNEL_OPSET:
            extra["UseQDQContribOps"] = True
        if plan.per_tensor:
            extra["TensorQuantOverrides"] = {
                name: [{"quant_type": str(WEIGHT_TYPE)}] for name in plan.per_tensor
            }
        return {
            "per_channel": True,
            "reduce_range": False,
            "weight_type": str(WEIGHT_TYPE),
            "activation_type": str(ACTIVATION_TYPES[self._activation_type]),
            "op_types_to_quantize": list(QUANTIZABLE),
            "nodes_to_exclude": excluded,
            "extra_options": extra,
        }

    def quantize(self, plan: Plan, ranges: Ranges) -> Any:
        """The model of a plan.

        Args:
            plan: What is quantized.
            ranges: Tensor to its limits, for every tensor of the plan.

        Raises:
            Exception: Whatever the quantizer raises.
        """
        options = self.options(plan)
        extra = dict(options["extra_options"])
        if "TensorQuantOverrides" in extra:
            extra["TensorQuantOverrides"] = {
                name: [{"quant_type": WEIGHT_TYPE}] for name in plan.per_tensor
            }
        model = onnx.ModelProto()
        model.CopyFrom(self._bare)
        fitted = frozenset(plan.fitted).intersection(self._fitted)
        for name in fitted:
            model.graph.initializer[self._place[name]].CopyFrom(self._fitted[name])
        model.graph.value_info.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in ranges
        )
        with _quiet(), self._remembering(fitted):
            quantizer = (QDQQuantizer if self._memory is None else _RememberingQuantizer)(
                model,
                options["per_channel"],
                options["reduce_range"],
                WEIGHT_TYPE,
                ACTIVATION_TYPES[self._activation_type],
                tensors_data(ranges),
                [],
                options["nodes_to_exclude"],
                options["op_types_to_quantize"],
                extra,
            )
            if isinstance(quantizer, _RememberingQuantizer):
                quantizer.memory, quantizer.fitted = self._memory, fitted
            made = quantizer.quantize_model()
        del made.graph.value_info[:]
        return made

    @contextlib.contextmanager
    def _remembering(self, fitted: frozenset[str]) -> Iterator[None]:
        if self._memory is None or not hasattr(qdq_quantizer, _QUANTIZE):
            yield
            return
        real = getattr(qdq_quantizer, _QUANTIZE)
        memory = self._memory

        def quantized(weight: Any, *arguments: Any, **named: Any) -> Any:
            return memory.quantized(real, weight.name in fitted, weight, *arguments, **named)

        setattr(qdq_quantizer, _QUANTIZE, quantized)
        try:
            yield
        finally:
            setattr(qdq_quantizer, _QUANTIZE, real)


def tensors_data(ranges: Ranges) -> TensorsData:
    """Ranges as ONNX Runtime's calibration gives them."""
    return TensorsData(
        CalibrationMethod.MinMax,
        {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()},
    )


class _Memory:
    """What was computed of weights so far; of one prepared model, whose weights have names."""

    def __init__(self) -> None:
        self.parameters: dict[tuple[Any, ...], Any] = {}
        self._quantized: dict[tuple[Any, ...], Any] = {}

    def quantized(
        self, real: Any, is_fitted: bool, weight: Any, kind: Any, zero: Any, scale: Any,
        *rest: Any, **named: Any,
    ) -> Any:  # fmt: skip
        """In place of ``quantize_onnx_initializer``."""
        key = (
            weight.name,
            is_fitted,
            int(kind),
            np.asarray(zero).tobytes(),
            np.asarray(scale).tobytes(),
            rest,
            tuple(sorted(named.items())),
        )
        if key not in self._quantized:
            self._quantized[key] = real(weight, kind, zero, scale, *rest, **named)
        return self._quantized[key]


class _RememberingQuantizer(QDQQuantizer):  # type: ignore[misc]  # ONNX Runtime has no types
    """Computes the scales of a weight once."""

    memory: Any
    tensors_to_quantize: dict[str, Any]
    fitted: frozenset[str]

    def _calc_initializer_quant_params(self) -> dict[str, Any]:
        wanted = self.tensors_to_quantize
        known = self.memory.parameters
        keys = {name: self._key(name, info) for name, info in wanted.items()}
        self.tensors_to_quantize = {
            name: info for name, info in wanted.items() if keys[name] not in known
        }
        try:
            found = super()._calc_initializer_quant_params()
        finally:
            new = set(self.tensors_to_quantize)
            self.tensors_to_quantize = wanted
        for name in new:
            known[keys[name]] = found.get(name)
        # In the order of the tensors, as if all were new. The quantizer widens scales in place.
        return {
            name: copy.deepcopy(known[keys[name]])
            for name in wanted
            if known[keys[name]] is not None
        }

    def _key(self, name: str, info: Any) -> tuple[Any, ...]:
        return (
            name,
            name in self.fitted,
            info.tensor_type,
            info.axis,
            info.data_type,
            repr(self.tensor_quant_overrides.get(name)),
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer warns on the root logger of what is chosen here on purpose."""
    root = logging.getLogger()

    def others(record: logging.LogRecord) -> bool:
        return "quantization" not in record.pathname

    root.addFilter(others)
    try:
        yield
    finally:
        root.removeFilter(others)
