"""The model of a PyTorch run, built again from its recipe.

    python examples/recipes/rebuild_torch.py PROGRAM.pt2 RECIPE.json DATA.npy BEST.pt2

``PROGRAM.pt2`` is the tuned module as ``torch.export.save`` writes it, ``RECIPE.json`` the run
folder's ``recipe.json``, ``DATA.npy`` the inputs that calibrated, in one array.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from nc_sigopt_strategy.hosts.torch.exported import rewritten
from nc_sigopt_strategy.hosts.torch.op_sources import tell_sources


class LeavingFloat(x86.X86InductorQuantizer):
    """Leaves the nodes of some names in float."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = set(names)
        self.set_global(x86.get_default_x86_inductor_quantization_config())

    def annotate(self, model: Any) -> Any:
        """Let every op be a thing of its own, and pass by those that stay float."""
        tell_sources(model.graph)
        for node in model.graph.nodes:
            if node.name in self.names:
                x86._annotate_nodes_not_quantize(node)
        return super().annotate(model)


def rebuild(graph: Any, batches: Iterable[Sequence[Any]], recipe: Mapping[str, Any]) -> Any:
    """The model of a recipe, to be given to ``torch.compile``.

    Args:
        graph: ``rewritten(torch.export.export(module, ...))`` of the module that was tuned.
        batches: Positional inputs that calibrate, ``recipe["sampling_size"]`` in all.
        recipe: Of the run.
    """
    if not recipe["sampling_size"] and not recipe["bf16"]:
        return graph
    prepared = prepare_pt2e(graph, LeavingFloat(recipe["floating"]))
    if recipe["sampling_size"]:
        with torch.no_grad():
            for inputs in batches:
                prepared(*inputs)
    model = convert_pt2e(prepared)
    if recipe["bf16"]:
        # PT2E has no bf16: the casts are ours, and need no run.
        from nc_sigopt_strategy.hosts.torch.reduced_precision import run_in_bf16

        run_in_bf16(model, recipe["bf16"])
    return model


if __name__ == "__main__":
    source, recipe_file, data, target = sys.argv[1:]
    told = json.loads(Path(recipe_file).read_text())
    inputs = torch.from_numpy(np.load(data)[: told["sampling_size"]])
    program = torch.export.load(source)
    made = rebuild(rewritten(program), [(batch,) for batch in inputs.split(10)], told)
    batch = {0: torch.export.Dim.AUTO}
    with torch.no_grad():
        saved = torch.export.export(made, (inputs[:2],), dynamic_shapes=(batch,))
    torch.export.save(saved, target)
    print("import torchao; torch.compile(torch.export.load(...).module()), freezing on")
