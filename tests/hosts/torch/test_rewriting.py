"""What is done to a traced graph before it is quantized: it computes the same."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations

from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.torch.small_modules import images


def host_of(module: Any, data: Any) -> TorchHost:
    return TorchHost(Given(module, data, lambda model: 1.0, sampling_sizes=(8,)), Settings())


def assert_same_with_int8_weights(host: TorchHost, module: Any, batches: Any, count: int) -> None:
    batch = batches.batches[0]
    expected = predictor(module)(batch)[0]
    np.testing.assert_allclose(predictor(host.fp32.module)(batch)[0], expected, atol=1e-5)
    with host.session(lambda doing: None):
        int8 = host.quantize(Choices({op.key: "int8" for op in host.ops()}, 8)).module
    stored = [value.dtype for value in int8.state_dict().values()]
    assert stored.count(torch.int8) == count


class Writing(nn.Module):
    """A convolution, then something that writes in place."""

    def __init__(self, write: Any) -> None:
        super().__init__()
        self.write, self.conv, self.norm = write, nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Any) -> Any:
        return self.write(self.norm(self.conv(x)))


def item(y: Any) -> Any:
    y[:, 0] = 0
    return y


def view(y: Any) -> Any:
    y.view(y.shape[0], -1).mul_(2)
    return y


def base(y: Any) -> Any:
    part = y[:, 1:3]
    y.add_(1)
    return part


def chunks(y: Any) -> Any:
    left, right = y.chunk(2, 1)
    left.add_(right)
    return y


def relu(y: Any) -> Any:
    return torch.relu_(y) + y


WRITES = {"item": item, "view": view, "base": base, "chunks": chunks, "relu": relu}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_in_place_mean_what_they_mean_in_torch(write: Any) -> None:
    module, batches = Writing(write).eval(), images()
    host = host_of(module, batches)
    batch = batches.batches[0]
    expected = predictor(module)(batch)[0]
    np.testing.assert_allclose(predictor(host.fp32.module)(batch)[0], expected, atol=1e-5)
    with host.session(lambda doing: None):
        int8 = host.quantize(Choices({op.key: "int8" for op in host.ops()}, 8))
    found = predictor(int8.module)(batch)[0]
    assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)) < 0.1


def parametrized(kind: Any) -> nn.Module:
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(3, 8, 3), nn.Linear(8 * 36, 4)
    return nn.Sequential(
        kind(conv), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), kind(linear)
    ).eval()


@pytest.mark.parametrize(
    "kind",
    [parametrizations.weight_norm, parametrizations.spectral_norm, nn.utils.weight_norm],
    ids=["weight norm", "spectral norm", "weight norm by hooks"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_weights_that_are_computed_are_constants(kind: Any) -> None:
    module, batches = parametrized(kind), images()
    host = host_of(module, batches)
    assert [op.key[1] for op in host.ops()] == ["conv2d", "linear"]
    assert_same_with_int8_weights(host, module, batches, 2)


def test_a_weight_that_an_input_goes_into_is_left_as_it_is() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.weight = nn.Conv2d(3, 4, 3), nn.Parameter(torch.ones(4, 4))

        def forward(self, x: Any) -> Any:
            y = self.conv(x).mean((2, 3))
            return nn.functional.linear(y, self.weight * y.mean())

    module, batches = Scaled().eval(), images()
    found = [
        predictor(m)(batches.batches[1])[0] for m in (module, host_of(module, batches).fp32.module)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


class OneSize(nn.Module):
    """Takes batches of four only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x).mean((2, 3)).reshape(4, 4)


def test_a_module_for_one_batch_size_can_be_saved(tmp_path: Any) -> None:
    batches = images()
    host = host_of(OneSize().eval(), batches)
    assert host.fp32.form.inputs[0].shape == (4, 3, 8, 8)
    saved = torch.export.load(str(host.backend.save(host.fp32, tmp_path / "net"))).module()
    assert saved(torch.from_numpy(batches.batches[0])).shape == (4, 4)


class ByHand(nn.Module):
    """A product by a parameter, with a bias or without, and a padding in words."""

    def __init__(self, bias: bool, padding: str, kernel: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, kernel, padding=padding)
        self.weight = nn.Parameter(torch.randn(8, 5) / 3)
        self.bias = nn.Parameter(torch.randn(5)) if bias else None

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.conv(x)).mean((2, 3))
        return x @ self.weight if self.bias is None else torch.addmm(self.bias, x, self.weight)


@pytest.mark.parametrize(
    ("bias", "padding", "kernel", "kinds"),
    [
        (False, "same", 3, ["conv2d", "linear"]),
        (True, "valid", 3, ["conv2d", "linear"]),
        # An even kernel is padded unevenly, which a number cannot say.
        (True, "same", 2, ["linear"]),
    ],
)
def test_layers_in_other_words_have_a_choice(
    bias: bool, padding: str, kernel: int, kinds: list[str]
) -> None:
    module, batches = ByHand(bias, padding, kernel).eval(), images()
    host = host_of(module, batches)
    assert [op.key[1] for op in host.ops()] == kinds
    assert_same_with_int8_weights(host, module, batches, len(kinds))
