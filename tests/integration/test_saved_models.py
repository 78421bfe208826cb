"""SavedModels and Neural Compressor: tuned from a folder, and quantized graphs written as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from nc_sigopt_benchmarks.models.frozen_graphs import op_name
from nc_sigopt_benchmarks.models.saved_models import FrozenModel, run_graph, write_saved_model
from tests.conftest import CLASSES, INPUT_NAME, OUTPUT_NAME, Loader
from tests.integration.fitting import configure, fit

pytestmark = pytest.mark.integration


def test_a_saved_model_is_tuned_and_the_quantized_graph_written_as_one(
    small_model: Path,
    small_loader: Loader,
    small_data: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
) -> None:
    folder = write_saved_model(small_model, [INPUT_NAME], [OUTPUT_NAME], tmp_path / "fp32")
    # Neural Compressor evaluates the baseline on what the SavedModel loads as, trials on graphs.
    graphs: list[Any] = []

    def accuracy(model: Any) -> float:
        if isinstance(model, tf.Graph):
            graphs.append(model.as_graph_def())
        return 1.0

    best = fit(folder, configure(tmp_path, max_trials=2), small_loader, accuracy)
    assert best is not None
    graph_def = graphs[0]
    assert any("Quantized" in node.op for node in graph_def.node)
    path = tmp_path / "int8.pb"
    path.write_bytes(graph_def.SerializeToString())
    inputs, outputs = (
        [op_name(name) for name in names]
        for names in (best.input_tensor_names, best.output_tensor_names)
    )
    written = write_saved_model(path, inputs, outputs, tmp_path / "int8")
    signature = tf.saved_model.load(str(written)).signatures["serving_default"]
    found = signature(**{inputs[0]: tf.constant(small_data[0])})[outputs[0]].numpy()
    (wanted,) = run_graph(FrozenModel(graph_def, tuple(inputs), tuple(outputs)), [small_data[0]])
    assert found.shape == (64, CLASSES)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
