"""Modules and data that cannot be tuned: one error each, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import numpy as np
import torch
from torch import nn

from nc_sigopt_strategy.backends.torch_compiled import CompiledModule
from nc_sigopt_strategy.errors import ModelError, SigOptStrategyError
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from tests.hosts.torch.small_modules import SIZE, Batches, images, residual


def host_of(module: Any, data: Any) -> TorchHost:
    return TorchHost(Given(module, data, lambda model: 1.0, sampling_sizes=(8,)), Settings())


class Doing(nn.Module):
    """A convolution, and something before it."""

    def __init__(self, before: Any) -> None:
        super().__init__()
        self.before, self.conv = before, nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(self.before(x))


class Autocast(Doing):
    """Computes in bf16 by itself."""

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return self.conv(x).float()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(4, 3))


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Conv2d(3, 4, 3)


def quantized_before() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4)).eval()
    return torch.ao.quantization.quantize_dynamic(net)


def quantized_by_torchao() -> nn.Module:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 4)).eval()
    quantize_(net, Int8WeightOnlyConfig())
    return net


def scripted() -> nn.Module:
    return torch.jit.trace(nn.Conv2d(3, 4, 3), torch.zeros(2, 3, SIZE, SIZE))


UNSUITABLE: dict[str, tuple[Any, str]] = {
    "lazy": (lazy, r"shape of 0\.weight .*Call it once"),
    "meta": (on_meta, "no weights: weight is on the device meta"),
    "dynamic": (quantized_before, "quantized already: 1 is a quantized Linear"),
    "torchao": (quantized_by_torchao, r"quantized already: 1\.weight is a Int8Tensor"),
    "TorchScript": (scripted, "is TorchScript.*host='openvino'"),
    "double": (lambda: residual().double(), r"computes in torch\.float64 .*module\.float"),
    "autocast": (lambda: Autocast(None), r"torch\.autocast in its forward"),
    "dropout": (
        lambda: Doing(lambda x: nn.functional.dropout(x, 0.5)),
        r"its dropout \(dropout\) does.*training=self\.training",
    ),
    "branch": (
        lambda: Doing(lambda x: x * 2 if x.sum() > 0 else x),
        r"depends on the values in its inputs .*test_unsuitable\.py, line \d+: .*if x\.sum",
    ),
    "loop": (
        lambda: Doing(lambda x: sum([x] * int(x.max()), x)),
        r"depends on the values in its inputs .*int\(x\.max\(\)\)",
    ),
}


@pytest.mark.parametrize(("make", "words"), UNSUITABLE.values(), ids=UNSUITABLE)
@pytest.mark.filterwarnings("ignore")
def test_a_module_that_cannot_be_tuned_is_told_in_one_error(
    make: Any, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=words):
        host_of(make().eval(), images())
    # What torch prints of a graph that it cannot trace.
    assert "def forward" not in capfd.readouterr().err


def test_whole_numbers_for_a_float_module_are_told() -> None:
    pictures = np.zeros((4, 3, SIZE, SIZE), np.uint8)
    with pytest.raises(SigOptStrategyError, match=r"should be the same.*types that forward takes"):
        host_of(residual(), Batches([pictures]))


def test_float64_data_is_taken_for_float32() -> None:
    batches = images()
    wide = Batches([batch.astype(np.float64) for batch in batches.batches])
    host = host_of(residual(), wide)
    assert host.fp32.form.inputs[0].dtype == np.float32
    found = host.fp32.form.call(host.fp32.module, wide.batches[0])
    np.testing.assert_allclose(
        found.detach(), predictor(residual())(batches.batches[0])[0], atol=1e-5
    )


def test_other_inputs_than_the_model_was_traced_with_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: module)
    compiled = CompiledModule(host_of(residual(), images()).fp32.module)
    batch = torch.zeros(4, 3, SIZE, SIZE)
    with pytest.raises(ModelError, match=r"unexpected keyword argument 'labels'.*It takes x\."):
        compiled(batch, labels=torch.zeros(4))
    with pytest.raises(ModelError, match="It takes x"):
        compiled()
