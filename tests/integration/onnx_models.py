"""Tiny ONNX models of the kinds that people bring, and a run of ``fit`` on one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from neural_compressor import quantization

from nc_sigopt_strategy.results.run_files import read_trials
from tests.integration.fitting import configure

HELPER, NUMPY, T = onnx.helper, onnx.numpy_helper, onnx.TensorProto
FLOAT16, BFLOAT16, FLOAT, INT64 = T.FLOAT16, T.BFLOAT16, T.FLOAT, T.INT64

Feed = Mapping[str, Any]


class Feeds:
    """A dataloader of batches that are lists, in the order of the inputs."""

    def __init__(self, feeds: Sequence[Feed], as_dict: bool = False) -> None:
        self._feeds, self._as_dict = feeds, as_dict
        first = next(iter(feeds[0].values()))
        self.batch_size = len(first) if np.ndim(first) else 1

    def __iter__(self) -> Iterator[tuple[Any, None]]:
        for feed in self._feeds:
            parts = list(feed.values())
            one = parts[0] if len(parts) == 1 else parts
            yield (dict(feed) if self._as_dict else one), None

    def __len__(self) -> int:
        return len(self._feeds)


def weights(name: str, *shape: int, seed: int = 0, dtype: Any = np.float32) -> Any:
    rng = np.random.default_rng([seed, len(name), *shape])
    return NUMPY.from_array((rng.normal(size=shape) * 0.3).astype(dtype), name)


def value(name: str, *shape: Any, kind: int = FLOAT) -> Any:
    return HELPER.make_tensor_value_info(name, kind, list(shape))


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **more: Any) -> Any:
    return HELPER.make_node(op, list(inputs), list(outputs), f"{op.lower()}_{outputs[0]}", **more)


def build(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
    *,
    opset: int = 13,
    ir: int = 8,
    more_opsets: Sequence[tuple[str, int]] = (),
) -> Any:
    graph = HELPER.make_graph(list(nodes), "g", list(inputs), list(outputs), list(constants))
    opsets = [HELPER.make_opsetid(*entry) for entry in (*more_opsets, ("", opset))]
    return HELPER.make_model(graph, opset_imports=opsets, ir_version=ir)


def dense(kind: int = FLOAT, dtype: Any = np.float32, **more: Any) -> Any:
    """Two matrix multiplications with a Relu between them."""
    return build(
        [
            node("MatMul", ["x", "w"], ["h"]),
            node("Relu", ["h"], ["r"]),
            node("MatMul", ["r", "w2"], ["y"]),
        ],
        [value("x", "N", 16, kind=kind)],
        [value("y", "N", 16, kind=kind)],
        [weights("w", 16, 16, dtype=dtype), weights("w2", 16, 16, dtype=dtype)],
        **more,
    )


def dense_feeds(dtype: Any = np.float32, batch: int = 8) -> list[Feed]:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(batch, 16)).astype(dtype)} for _ in range(2)]


def agreement(reference: Any, feeds: Sequence[Feed]) -> Callable[[Any], float]:
    """An ``eval_func``: 1 for the outputs of the reference, less the farther they are off."""
    wanted = [outputs_of(reference, feed) for feed in feeds]

    def evaluate(model: Any) -> float:
        errors = [
            float(np.mean(np.abs(got - want)) / (np.mean(np.abs(want)) + 1e-9))
            for feed, expected in zip(feeds, wanted, strict=True)
            for got, want in zip(outputs_of(model, feed), expected, strict=True)
        ]
        return 1 / (1 + float(np.mean(errors)))

    return evaluate


def outputs_of(model: Any, feed: Feed) -> list[Any]:
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    outputs = onnxruntime.InferenceSession(source).run(None, dict(feed))
    return [
        np.asarray(array, np.float32)
        for array in outputs
        if isinstance(array, np.ndarray) and array.dtype.kind == "f"
    ]


def tune(
    folder: Path,
    given: Any,
    feeds: Sequence[Feed],
    eval_func: Callable[[Any], float] = lambda model: 1.0,
    *,
    loader: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    **more: Any,
) -> Any:
    """What ``fit`` returns for a model given in whatever way."""
    settings = {"latency_repeats": 2, **(kwargs or {})}
    conf = configure(folder, settings, loss=0.9, max_trials=more.pop("max_trials", 3), **more)
    conf.inputs, conf.outputs = [], []
    return quantization.fit(
        given, conf, calib_dataloader=loader or Feeds(feeds), eval_func=eval_func
    )


def quantized_trials(folder: Path) -> list[Any]:
    """The trials that gave an accuracy with an op in int8; a failed one fails the test."""
    trials = read_trials(folder / "run")
    assert [trial.failure for trial in trials] == [None] * len(trials)
    return [
        trial
        for trial in trials
        if trial.accuracy is not None and "int8" in str(trial.assignments.values())
    ]
