"""The TensorFlow model of a run, built again from its recipe by Neural Compressor's ``basic``.

    python examples/recipes/rebuild_tensorflow.py MODEL.pb INPUT OUTPUT RECIPE.json DATA.npy NEW.pb

``MODEL.pb`` is the frozen graph that was tuned, ``INPUT`` and ``OUTPUT`` name its ends,
``RECIPE.json`` is the run folder's ``recipe.json``, ``DATA.npy`` what calibrated: all batches in
one array, of shape (batches, batch, ...). The recipe says whether weights were fitted to the
data and whether the model was finished.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from neural_compressor import config, quantization

import nc_sigopt_strategy


class Batches:
    """What calibrates, as Neural Compressor reads it."""

    def __init__(self, batches: np.ndarray) -> None:
        self.batches, self.batch_size = batches, batches.shape[1]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for batch in self.batches:
            yield batch, np.zeros(len(batch))

    def __len__(self) -> int:
        return len(self.batches)


def rebuild(path: Path, ends: tuple[str, str], recipe: Mapping[str, Any], data: np.ndarray) -> Any:
    """The finished graph of a recipe.

    Args:
        path: Of the frozen graph.
        ends: Names of its input and its output.
        recipe: Of the run.
        data: What calibrated, of shape (batches, batch, ...).
    """
    conf = config.PostTrainingQuantConfig(
        inputs=[ends[0]],
        outputs=[ends[1]],
        quant_level=1,
        calibration_sampling_size=[data.shape[0] * data.shape[1]],
        op_name_dict=dict(recipe),
        tuning_criterion=config.TuningCriterion(strategy="basic", max_trials=1),
    )
    fitted = any("nc_sigopt_strategy.fitted_weights" in pattern for pattern in recipe)
    with nc_sigopt_strategy.fitted_weights() if fitted else contextlib.nullcontext():
        # One trial with a constant accuracy: it builds the model of the recipe and stops.
        model = quantization.fit(
            str(path), conf, calib_dataloader=Batches(data), eval_func=lambda graph: 1.0
        )
    finished = any("nc_sigopt_strategy.finish" in pattern for pattern in recipe)
    return (nc_sigopt_strategy.finish(model) if finished else model).graph_def


if __name__ == "__main__":
    given, graph_input, graph_output, recipe_file, data_file, best = sys.argv[1:]
    made = rebuild(
        Path(given),
        (graph_input, graph_output),
        json.loads(Path(recipe_file).read_text(encoding="utf-8")),
        np.load(data_file),
    )
    Path(best).write_bytes(made.SerializeToString())
