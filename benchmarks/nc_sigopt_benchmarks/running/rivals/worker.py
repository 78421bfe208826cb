"""One rival in a process of its own.

``python -m nc_sigopt_benchmarks.running.rivals.worker REQUEST.json``

Ends with exit code 0 when ``built.json`` was written, with 1 and an ``error.json`` when an error
ended it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from nc_sigopt_benchmarks.running.resource_usage import write_usage
from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask
from nc_sigopt_benchmarks.runtimes.own_process import end_with_parent
from nc_sigopt_strategy.jobs.worker_process import ERROR_FILE, describe_error

# Strategy to the function that makes it; imported late, since each imports its runtime.
_ROOM = "nc_sigopt_benchmarks.running.rivals"
_BUILDERS = {
    "tensorflow_fp32": "as_it_is:fp32",
    "tensorflow_bf16": "as_it_is:tensorflow_bf16",
    "inc3_autotune": "inc3_autotune:build_autotune",
    "onnxruntime_fp32": "as_it_is:fp32",
    "onnxruntime_static": "onnx_static:build_static",
    "onnxruntime_debug": "onnx_debug:build_debug",
    "openvino_fp32": "as_it_is:openvino_fp32",
    "openvino_bf16": "as_it_is:openvino_default",
    "nncf_quantize": "nncf_models:build_quantize",
    "nncf_accuracy_control": "nncf_models:build_accuracy_control",
}


def main(arguments: list[str]) -> int:
    """Make what the only argument asks for; returns the exit code."""
    task = RivalTask.read(Path(arguments[0]))
    end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        build = builder(task.name)
        started = time.monotonic()
        built = build(task)
        dataclasses.replace(built, seconds=time.monotonic() - started).write(task.folder)
    except Exception as error:  # the parent must learn of whatever it was
        traceback.print_exc()
        path = task.folder / ERROR_FILE
        path.write_text(json.dumps(describe_error(error), indent=2) + "\n", encoding="utf-8")
        return 1
    finally:
        write_usage(task.folder)
    return 0


def builder(name: str) -> Callable[[RivalTask], Built]:
    """What makes the models of a rival.

    Raises:
        ImportError: Its runtime is not installed.
    """
    module, _, function = _BUILDERS[name].partition(":")
    found: Callable[[RivalTask], Built] = getattr(
        importlib.import_module(f"{_ROOM}.{module}"), function
    )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
