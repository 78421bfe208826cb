"""The user's own file, run by a runtime in one of the ways that it has."""

from __future__ import annotations

from nc_sigopt_benchmarks.running.rivals.task import Built, RivalTask

# https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/precision-control.html
PRECISION, F32 = "INFERENCE_PRECISION_HINT", "f32"


def fp32(task: RivalTask) -> Built:
    """The model with the runtime's defaults, which are fp32."""
    return Built((task.made(task.model.path, what="FP32"),))


def tensorflow_bf16(task: RivalTask) -> Built:
    """The graph as TensorFlow's own optimizer rewrites it in bfloat16 when a session is made."""
    return Built((task.made(task.model.path, what="its own bf16 rewrite", bf16=True),))


def openvino_fp32(task: RivalTask) -> Built:
    """OpenVINO told to compute in fp32."""
    return Built((task.made(task.model.path, what="FP32, hint f32", **{PRECISION: F32}),))


def openvino_default(task: RivalTask) -> Built:
    """OpenVINO left to itself: bfloat16 where the CPU has it, else fp32."""
    return Built((task.made(task.model.path, what="FP32 file, default run"),))
