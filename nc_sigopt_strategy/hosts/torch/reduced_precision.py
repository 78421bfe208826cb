"""Ops of a graph in bfloat16, with casts only where its values leave it.

Chosen ops run in bf16, and so does what merely follows them: activations, residual adds, pooling
and what moves values, as long as all that they read is bf16. Weights are cast in the graph, which
freezing folds away. Softmax and normalizations stay float32, as in ``torch.autocast``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from nc_sigopt_strategy.backends.torch_model import attribute

aten = torch.ops.aten

_FOLLOWING = frozenset(
    (aten.relu.default, aten.relu6.default, aten.relu_.default, aten.hardtanh.default,
     aten.hardtanh_.default, aten.clamp.default, aten.silu.default, aten.silu_.default,
     aten.gelu.default, aten.hardswish.default, aten.hardswish_.default,
     aten.hardsigmoid.default, aten.sigmoid.default, aten.leaky_relu.default,
     aten.add.Tensor, aten.add_.Tensor, aten.mul.Tensor, aten.max_pool2d.default,
     aten.avg_pool2d.default, aten.adaptive_avg_pool2d.default, aten.cat.default,
     aten.pad.default, aten.constant_pad_nd.default, aten.flatten.using_ints, aten.view.default,
     aten.reshape.default, aten.permute.default, aten.transpose.int, aten.dropout.default,
     aten.contiguous.default, aten.unsqueeze.default, aten.squeeze.dim, aten.slice.Tensor)
)  # fmt: skip
_DEQUANTIZED = "dequantize_per"


def run_in_bf16(module: torch.fx.GraphModule, names: Collection[str]) -> None:
    """Change a graph in place so that nodes, and what follows them, compute in bfloat16.

    Args:
        module: As ``torch.export`` or PT2E made it.
        names: Of the nodes that multiply.
    """
    _Rewriter(module, frozenset(names)).rewrite()


class _Rewriter:
    def __init__(self, module: torch.fx.GraphModule, names: frozenset[str]) -> None:
        self._module = module
        self._names = names
        # What holds bf16, and each value's cast to the other type.
        self._half: set[Any] = set()
        self._casts: dict[tuple[Any, torch.dtype], Any] = {}

    def rewrite(self) -> None:
        """See ``run_in_bf16``."""
        graph = self._module.graph
        for node in list(graph.nodes):
            if node.name in self._names or self._follows(node):
                self._read_as(node, torch.bfloat16)
                self._half.add(node)
            elif node.op != "get_attr":
                self._read_as(node, torch.float32)
        graph.lint()
        self._module.recompile()

    def _follows(self, node: Any) -> bool:
        if node.op != "call_function" or node.target not in _FOLLOWING:
            return False
        floats = [source for source in node.all_input_nodes if self._is_float(source)]
        return bool(floats) and all(source in self._half for source in floats)

    def _read_as(self, node: Any, wanted: torch.dtype) -> None:
        for source in node.all_input_nodes:
            holds = torch.bfloat16 if source in self._half else torch.float32
            if self._is_float(source) and holds is not wanted:
                node.replace_input_with(source, self._cast(source, wanted, node))

    def _cast(self, source: Any, wanted: torch.dtype, reader: Any) -> Any:
        found = self._casts.get((source, wanted))
        if found is None:
            with self._module.graph.inserting_before(reader):
                found = self._module.graph.call_function(aten.to.dtype, (source, wanted))
            self._casts[source, wanted] = found
        return found

    def _is_float(self, node: Any) -> bool:
        if node.op == "get_attr":
            held = attribute(self._module, str(node.target))
            return isinstance(held, torch.Tensor) and held.dtype is torch.float32
        if _DEQUANTIZED in str(node.target):
            return True
        value = node.meta.get("val")
        return isinstance(value, torch.Tensor) and value.dtype is torch.float32
