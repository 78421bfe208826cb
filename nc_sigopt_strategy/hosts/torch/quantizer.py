"""PT2E's recipe for x86 CPUs, with some ops left in float.

``X86InductorQuantizer`` annotates the patterns that Inductor has int8 kernels for, and passes by
what is annotated already. An op that is to stay float is annotated before, with nothing: then
patterns form around it just as they would where the recipe cannot quantize it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection
from typing import Any

import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as recipe
import torchao.utils
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from nc_sigopt_strategy.hosts.torch.op_sources import tell_sources


class PartlyFloat(recipe.X86InductorQuantizer):  # type: ignore[misc]
    """The default recipe of x86 with int8 weights and activations.

    Args:
        floating: Names of nodes that stay float.
    """

    def __init__(self, floating: Collection[str] = ()) -> None:
        super().__init__()
        self._floating = frozenset(floating)
        self.set_global(recipe.get_default_x86_inductor_quantization_config())

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        """See ``torchao.quantization.pt2e.quantizer.Quantizer``."""
        tell_sources(model.graph)
        for node in model.graph.nodes:
            if node.name in self._floating:
                recipe._annotate_nodes_not_quantize(node)
        return super().annotate(model)


def prepared(graph: torch.fx.GraphModule, floating: Collection[str] = ()) -> torch.fx.GraphModule:
    """A copy of a graph with observers on all that is to be int8.

    Args:
        graph: As ``torch.export`` made it; not changed.
        floating: Names of nodes that stay float.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prepare_pt2e(copy.deepcopy(graph), PartlyFloat(floating))


def converted(observed: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """The int8 model of a graph whose observers have seen data; it takes the graph over."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = convert_pt2e(observed)
    # torchao keeps the last models in a cache of its own, each with all of its weights.
    forget = getattr(torchao.utils._assert_and_get_unique_device, "cache_clear", None)
    if forget is not None:
        forget()
    return made


def observers_of(observed: torch.fx.GraphModule) -> dict[str, tuple[Any, list[str]]]:
    """Name of an observer's module to the observer and the nodes that it sees.

    Observers that are shared, as by the inputs of a concatenation, see several.
    """
    seen: dict[int, list[str]] = {}
    found: dict[str, tuple[Any, list[str]]] = {}
    for node in observed.graph.nodes:
        if is_observer(node):
            observer = getattr(observed, node.target)
            nodes = seen.setdefault(id(observer), [])
            nodes.append(node.args[0].name)
            found[node.target] = (observer, nodes)
    return found


def is_observer(node: Any) -> bool:
    """Whether a node is where an observer looks at a tensor."""
    return node.op == "call_module" and "activation_post_process" in str(node.target)
