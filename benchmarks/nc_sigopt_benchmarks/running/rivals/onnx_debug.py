"""ONNX Runtime's way out when int8 costs too much: rank tensors by their error, leave ops out.

Its ``qdq_loss_debug`` compares each tensor before and after quantization; that the ops around the
worst are then excluded, a layer more each round until the bound is met, its documentation
leaves to the user.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#debugging
"""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import qdq_loss_debug
from onnxruntime.quantization.registry import QDQRegistry

from nc_sigopt_benchmarks.running.rivals.onnx_static import (
    MODEL_FILE,
    StaticQuantization,
    in_words,
)
from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_strategy.backends.onnx_kept_fp32 import THE_SWITCH

# All activations of these are held at once, of both models.
_RANKING_INPUTS = 8
_FUSED = ("Clip", "Relu", "LeakyRelu", "HardSigmoid", "Sigmoid")


def build_debug(task: RivalTask) -> Built:
    """The rival: the first of its models that meets the bound, else the most accurate."""
    end = time.monotonic() + task.timeout if task.timeout else float("inf")
    static = StaticQuantization(task.model.path, task.folder, task.kwargs, task.data.single_inputs)
    path, tried = task.folder / MODEL_FILE, task.folder / "candidate.onnx"
    # Without it ONNX Runtime quantizes some of the ops that were excluded, when a session is made.
    switch: dict[str, Any] = {"session_config_entries": dict(THE_SWITCH)}
    order: list[tuple[str, ...]] = []
    best, out, count = None, 0, 0
    while True:
        static.write(tried, without=list(chain.from_iterable(order[:count])))
        accuracy = task.accuracy(task.made(tried, **switch))
        print(f"{count} layers excluded: accuracy {accuracy:.4f}", flush=True)
        if best is None or _better(accuracy, best, task):
            best, out = accuracy, count
            tried.replace(path)
        if task.met(accuracy):
            break
        order = order or _worst_first(static, path, task.folder)
        count += 1
        if count > len(order) or time.monotonic() > end:
            break
    static.clean()
    tried.unlink(missing_ok=True)
    what = f"{in_words(task.kwargs)}, {out} of {len(order)} layers out" if out else ""
    model = task.made(path, what=what or in_words(task.kwargs), **switch)
    if task.met(best):
        return Built((model,))
    why = "all layers were out" if count > len(order) else "the time was up"
    return Built((model,), note=f"The bound was not met when {why}.")


def _better(one: float, other: float, task: RivalTask) -> bool:
    return one > other if task.higher_is_better else one < other


def _worst_first(
    static: StaticQuantization, quantized: Path, folder: Path
) -> list[tuple[str, ...]]:
    """Names of the quantized nodes, a layer at a time, by the noise of its worst tensor.

    A layer is a node with the activation function that alone reads it: apart they would have a
    quantized tensor between them.
    """
    errors = _errors(static, quantized, folder)
    nodes = list(onnx.load(str(static.prepared), load_external_data=False).graph.node)
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ranked: list[tuple[float, tuple[str, ...]]] = []
    taken: set[str] = set()
    for node in nodes:
        if not node.name or node.op_type not in QDQRegistry or node.name in taken:
            continue
        layer, tensors = [node.name], {*node.input, *node.output}
        following = readers.get(node.output[0], [])
        if len(following) == 1 and following[0].op_type in _FUSED and following[0].name:
            layer.append(following[0].name)
            tensors |= set(following[0].output)
        taken.update(layer)
        known = [errors[name] for name in tensors if name in errors]
        if known:
            ranked.append((min(known), tuple(layer)))
    return [layer for _, layer in sorted(ranked)]


def _errors(static: StaticQuantization, quantized: Path, folder: Path) -> dict[str, float]:
    """Decibels of signal over quantization noise, by tensor: weights and activations."""
    errors: dict[str, float] = dict(
        qdq_loss_debug.compute_weight_error(
            qdq_loss_debug.create_weight_matching(str(static.prepared), str(quantized))
        )
    )
    matching = qdq_loss_debug.create_activation_matching(
        _activations(static, quantized, folder), _activations(static, static.prepared, folder)
    )
    # It looks up what it says may be missing.
    both = {name: match for name, match in matching.items() if "float" in match}
    for name, found in qdq_loss_debug.compute_activation_error(both).items():
        errors[name] = min(found["qdq_err"], errors.get(name, float("inf")))
    return errors


def _activations(static: StaticQuantization, model: Path, folder: Path) -> Any:
    augmented = folder / "augmented.onnx"
    qdq_loss_debug.modify_model_output_intermediate_tensors(str(model), str(augmented))
    try:
        return qdq_loss_debug.collect_activations(str(augmented), static.reader(_RANKING_INPUTS))
    finally:
        augmented.unlink(missing_ok=True)
