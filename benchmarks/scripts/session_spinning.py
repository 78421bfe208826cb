"""What ONNX Runtime's spinning threads do to models that are timed in turn.

    python benchmarks/scripts/session_spinning.py [ROUNDS]

An int8 and an FP32 model, each by itself (the only session of the process, as deployed) and in
turn (two live sessions, as a search times them), with the threads of a session spinning while they
wait for work (ONNX Runtime's default), with spinning that stops when a run ends, and without. The
blocks of all cases take turns, so that a drift of the machine meets them alike. MobileNet_v1
where NC_SIGOPT_ASSETS is set, else a small model of the same kind, made on the spot. Needs
onnxruntime and onnx; about a minute and a half with 6 rounds,
several minutes with MobileNet_v1.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

MODES = {
    "spinning": {},
    "spinning stops with a run": {"session.force_spinning_stop": "1"},
    "no spinning": {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    },
}
ROUNDS = 6
# Timed runs of a model in one block; what a block says is their median.
RUNS, WARMUP = 12, 3
BATCH = 8
_CHANNELS, _BLOCKS, _SIDE = 32, 11, 160
_HALVED_AT = (1, 3, 5)

# (milliseconds of wall time, milliseconds of CPU time), each a median of one block
Times = tuple[float, float]


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    onnxruntime.set_default_logger_severity(3)
    found: dict[tuple[str, str, str], list[Times]] = defaultdict(list)
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        models, batch, title = _models(Path(folder))
        for _ in range(rounds):
            for mode, entries in MODES.items():
                for name, path in models.items():
                    times = _blocks({name: path}, entries, batch)
                    found[mode, name, "by itself"].append(times[name])
                for name, times_of in _blocks(models, entries, batch).items():
                    found[mode, name, "in turn"].append(times_of)
            load.append(os.getloadavg()[0])
    cores = len(os.sched_getaffinity(0))
    print(f"{title}, batch {len(batch)}, ONNX Runtime {onnxruntime.__version__}, {cores} cores, "
          f"load {min(load):.1f} to {max(load):.1f}, {rounds} rounds of {RUNS} runs.")  # fmt: skip
    print("Milliseconds, median of the rounds' medians (quartiles); CPU is of all threads.\n")
    print(f"| {'threads':25} | model | {'sessions':9} | {'wall':21} | {'CPU':21} |")
    print(f"|{'-' * 27}|-------|-----------|{'-' * 23}|{'-' * 23}|")
    for (mode, name, how), times in found.items():
        wall, cpu = (_in_words([t[i] for t in times]) for i in (0, 1))
        print(f"| {mode:25} | {name:5} | {how:9} | {wall:21} | {cpu:21} |")
    print("\nint8 over FP32, in the same round:")
    for mode in MODES:
        for how in ("by itself", "in turn"):
            pairs = zip(found[mode, "int8", how], found[mode, "fp32", how], strict=True)
            ratios = [[a[i] / b[i] for i in (0, 1)] for a, b in pairs]
            wall, cpu = (_in_words([ratio[i] for ratio in ratios], 2) for i in (0, 1))
            print(f"| {mode:25} | {how:9} | wall {wall:18} | CPU {cpu:18} |")


def _blocks(
    models: Mapping[str, Path], entries: Mapping[str, str], batch: Any
) -> dict[str, Times]:
    """One block: sessions of their own, runs in turn, the median of each model."""
    calls = {name: _call(path, entries, batch) for name, path in models.items()}
    samples: dict[str, list[Times]] = {name: [] for name in calls}
    for run in range(WARMUP + RUNS):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            taken = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
            if run >= WARMUP:
                samples[name].append(taken)
    return {
        name: (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times))
        for name, times in samples.items()
    }


def _call(path: Path, entries: Mapping[str, str], batch: Any) -> Callable[[], Any]:
    options = onnxruntime.SessionOptions()
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: batch}
    return lambda: session.run(None, feed)


def _in_words(values: list[float], digits: int = 1) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _models(folder: Path) -> tuple[dict[str, Path], Any, str]:
    rng = np.random.default_rng(0)
    if os.environ.get("NC_SIGOPT_ASSETS"):
        # The whole product stands behind the conversion; without assets nothing of it is needed.
        import nc_sigopt_strategy.hosts.inc.strategy  # noqa: F401
        from nc_sigopt_benchmarks.research.calibration.calibration_cases import calibration_case

        fp32 = calibration_case("mobilenet_v1", "onnxruntime", folder).path
        shape, title = (BATCH, 224, 224, 3), "MobileNet_v1 (ImageNet weights)"
    else:
        fp32 = folder / "fp32.onnx"
        onnx.save(_small_mobilenet(rng), str(fp32))
        shape, title = (BATCH, 3, _SIDE, _SIDE), f"{2 * _BLOCKS + 1} convolutions, random weights"
    batch = rng.uniform(-1, 1, shape).astype(np.float32)
    name = onnx.load(str(fp32)).graph.input[0].name
    int8 = folder / "int8.onnx"
    quantization.quantize_static(str(fp32), str(int8), _Reader(name, batch), per_channel=True,
                                 weight_type=quantization.QuantType.QInt8)  # fmt: skip
    return {"int8": int8, "fp32": fp32}, batch, title


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, name: str, batch: Any) -> None:
        self._left = [{name: batch}]

    def get_next(self) -> Any:
        return self._left.pop() if self._left else None


def _small_mobilenet(rng: np.random.Generator) -> Any:
    nodes, constants = [], []

    def convolution(read: str, inner: int, outer: int, side: int, **more: int) -> str:
        number = len(constants) // 2
        groups = more.get("group", 1)
        deviation = (2 / (inner // groups * side * side)) ** 0.5
        weights = rng.normal(0, deviation, (outer, inner // groups, side, side))
        for name, value in (("w", weights), ("b", np.zeros(outer))):
            constants.append(numpy_helper.from_array(value.astype(np.float32), f"{name}{number}"))
        stride = more.get("stride", 1)
        nodes.append(
            helper.make_node(
                "Conv",
                [read, f"w{number}", f"b{number}"],
                [f"c{number}"],
                f"conv{number}",
                pads=[side // 2] * 4,
                strides=[stride] * 2,
                group=groups,
            )
        )
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"], f"relu{number}"))
        return f"r{number}"

    channels = _CHANNELS
    tensor = convolution("images", 3, channels, 3, stride=2)
    for block in range(_BLOCKS):
        halved = block in _HALVED_AT
        stride = 2 if halved else 1
        tensor = convolution(tensor, channels, channels, 3, stride=stride, group=channels)
        wider = channels * stride
        tensor = convolution(tensor, channels, wider, 1)
        channels = wider
    nodes.append(helper.make_node("GlobalAveragePool", [tensor], ["pooled"], "pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["out"], "flatten"))
    shape = ["n", 3, _SIDE, _SIDE]
    graph = helper.make_graph(
        nodes,
        "small_mobilenet",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", channels])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


if __name__ == "__main__":
    main()
