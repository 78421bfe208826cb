"""The TensorFlow model of a run with host "inc3", built again by Neural Compressor 3.8 or newer.

    python examples/recipes/rebuild_inc3.py MODEL.pb INPUT OUTPUT RECIPE.json DATA.npy NEW.pb

``MODEL.pb`` is the frozen graph that was tuned, ``INPUT`` and ``OUTPUT`` name its ends,
``RECIPE.json`` is the run folder's ``recipe.json``, ``DATA.npy`` what calibrated: all batches in
one array, of shape (batches, batch, ...). The recipe says whether weights were fitted to the
data and whether the model was finished. In the place of ``MODEL.pb`` may stand a SavedModel.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from neural_compressor.tensorflow import Model, StaticQuantConfig, quantize_model

import nc_sigopt_strategy


class Batches:
    """What calibrates, as Neural Compressor reads it."""

    def __init__(self, batches: np.ndarray) -> None:
        self.batches, self.batch_size = batches, batches.shape[1]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch in self.batches:
            yield batch, np.zeros(len(batch))


def rebuild(path: Path, ends: tuple[str, str], recipe: Mapping[str, Any], data: Any) -> Any:
    """Neural Compressor's model of a recipe.

    Args:
        path: Of the frozen graph, or a SavedModel's folder.
        ends: Names of its input and its output; a SavedModel says its own.
        recipe: Of the run.
        data: Yields ``(inputs, labels)`` and has a ``batch_size``.
    """
    if path.is_dir():
        model = Model(str(path), modelType="saved_model")
    else:
        model = Model(str(path))
        model.input_tensor_names, model.output_tensor_names = [ends[0]], [ends[1]]
    config = StaticQuantConfig.from_dict(recipe["quant_config"])
    with nc_sigopt_strategy.fitted_weights() if recipe["fitted"] else contextlib.nullcontext():
        made = quantize_model(model, config, data, calib_iteration=recipe["calib_iteration"])
    return nc_sigopt_strategy.finish(made) if recipe["finished"] else made


if __name__ == "__main__":
    given, graph_input, graph_output, recipe_file, data_file, best = sys.argv[1:]
    found = rebuild(
        Path(given),
        (graph_input, graph_output),
        json.loads(Path(recipe_file).read_text(encoding="utf-8")),
        Batches(np.load(data_file)),
    )
    Path(best).write_bytes(found.graph_def.SerializeToString())
