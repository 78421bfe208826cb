"""What the PyTorch host makes of modules: types, numbers, files, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import numpy as np
import torch
from torch import nn

from nc_sigopt_strategy.errors import DataError, MissingExtraError, ModelError, SettingsError
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.hosts.torch import torch_host
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from nc_sigopt_strategy.space.ops import Choices
from tests.hosts.torch.small_modules import (
    SIZE,
    Batches,
    Residual,
    attention,
    images,
    residual,
    sequences,
)


class TwiceCalled(nn.Module):
    """One convolution and one activation, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: Any) -> Any:
        x = self.act(self.conv(x))
        return self.act(self.conv(x) + x + 1)


def host_of(module: Any, data: Any, **settings: Any) -> TorchHost:
    given = Given(module, data, lambda model: 1.0, sampling_sizes=(8,))
    return TorchHost(given, Settings(**settings))


def eager(host: TorchHost, label: str, batch: Any) -> np.ndarray:
    """Outputs of a model with one label for all, run op by op: nothing is compiled."""
    with host.session(lambda what: None):
        choices = Choices({op.key: label for op in host.ops()}, 8)
        model = host.quantize(choices)
    return predictor(model.module)(batch)[0]


def targets(host: TorchHost, labels: dict[str, str]) -> list[str]:
    choices = Choices({op.key: labels.get(op.name, "int8") for op in host.ops()}, 8)
    with host.session(lambda what: None):
        return [str(node.target) for node in host.quantize(choices).module.graph.nodes]


def distance(found: Any, expected: Any) -> float:
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


@pytest.mark.parametrize(
    ("make", "data"),
    [(residual, images), (attention, sequences), (TwiceCalled, images)],
    ids=["residual", "attention", "twice called"],
)
def test_each_type_computes_what_the_module_computes(
    make: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_host, "has_bf16", lambda: True)
    batches = data()
    host = host_of(make(), batches)
    batch = batches.batches[0]
    exact = eager(host, "fp32", batch)
    errors = {label: distance(eager(host, label, batch), exact) for label in ("bf16", "int8")}
    assert 0 < errors["bf16"] < 0.02
    assert 0 < errors["int8"] < 0.1


def test_an_op_in_float_loses_its_quantization_only() -> None:
    host = host_of(residual(), images())
    names = [op.name for op in host.ops()]
    assert names == ["stem", "depthwise", "pointwise", "head"]
    every = targets(host, {})
    mixed = targets(host, {"pointwise": "fp32"})
    count = [sum("dequantize_per_channel" in t for t in found) for found in (every, mixed)]
    assert count == [4, 3]


def test_neighbours_in_bf16_exchange_no_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_host, "has_bf16", lambda: True)
    host = host_of(residual(), images())
    choices = Choices({op.key: "bf16" for op in host.ops()}, 8)
    graph = host.quantize(choices).module.graph
    casts = [node for node in graph.nodes if "aten.to.dtype" in str(node.target)]
    back = [node for node in casts if node.args[1] is torch.float32]
    # To the mean, which is computed in float32, and to the output.
    assert len(back) == 2
    activations = [node for node in casts if node not in back and node.args[0].op != "get_attr"]
    assert len(activations) == 2


def test_ranges_are_gathered_once() -> None:
    passes = []
    host = host_of(residual(), images())
    for label in ("int8", "fp32", "int8"):
        targets(host, {"depthwise": label})
        passes.append((host.calibration() or {})["passes"])
    assert passes[0] == 1
    assert passes[1] == passes[2] <= 2


def test_models_do_not_depend_on_the_order_of_trials() -> None:
    chosen = [{"stem": "fp32"}, {}, {"pointwise": "fp32", "head": "fp32"}]
    prints = []
    for order in (chosen, chosen[::-1]):
        host = host_of(residual(), images())
        found = {}
        for labels in order:
            choices = Choices({op.key: labels.get(op.name, "int8") for op in host.ops()}, 8)
            found[str(labels)] = host.backend.fingerprint(host.quantize(choices))
        prints.append(found)
    assert prints[0] == prints[1]


def test_a_saved_model_gives_the_same_in_another_process(tmp_path: Path) -> None:
    batches = images()
    host = host_of(residual(), batches)
    choices = Choices({op.key: "int8" for op in host.ops()}, 8)
    model = host.quantize(choices)
    path = host.backend.save(model, tmp_path / "best.pt2")
    np.save(tmp_path / "batch.npy", batches.batches[0])
    code = (
        "import sys, numpy as np, nc_sigopt_strategy as n\n"
        "folder = sys.argv[1]\n"
        "found = n.predictor(f'{folder}/best.pt2')(np.load(f'{folder}/batch.npy'))[0]\n"
        "np.save(f'{folder}/found.npy', found)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, tmp_path], check=True, timeout=500)
    expected = host.backend.open(model).run(batches.batches[0])[0]
    assert path.name == "best.pt2"
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-6)


def exported(module: Any, path: Path) -> Path:
    axes = ({0: torch.export.Dim.AUTO},)
    batch = torch.from_numpy(images().batches[0])
    torch.export.save(torch.export.export(module, (batch,), dynamic_shapes=axes), str(path))
    return path


def test_a_program_is_tuned_as_the_module_is_that_it_was_exported_from(tmp_path: Path) -> None:
    module, batches = residual(), images()
    path = exported(module, tmp_path / "net.pt2")
    own, other = host_of(module, batches), host_of(path, batches)
    assert other.model_name == "net"
    assert [op.labels for op in other.ops()] == [op.labels for op in own.ops()]
    for label in ("fp32", "int8"):
        found = eager(other, label, batches.batches[0])
        np.testing.assert_allclose(found, eager(own, label, batches.batches[0]), atol=1e-5)
    program = torch.export.load(str(path))
    assert len(host_of(program, batches).ops()) == len(own.ops())


def test_a_program_that_still_trains_or_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net\.pt2 trains while it evaluates: its batch"):
        host_of(exported(residual().train(), tmp_path / "net.pt2"), images())
    broken = tmp_path / "broken.pt2"
    broken.write_bytes(b"PK")
    with pytest.raises(ModelError, match="cannot be read as a program of"):
        host_of(broken, images())


DEFINES_A_MODULE = """
import numpy as np
import torch

import nc_sigopt_strategy

torch.manual_seed(0)
images = np.random.default_rng(0).normal(size=(16, 3, 8, 8)).astype(np.float32)
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
)


class Loader:
    batch_size = 8

    def __iter__(self):
        return iter([(images[:8], np.zeros(8)), (images[8:], np.zeros(8))])


calib_dataloader = Loader()


def eval_func(model):
    return float(np.isfinite(nc_sigopt_strategy.predictor(model)(images[:8])[0]).mean())
"""


def test_the_command_line_tunes_a_module(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(DEFINES_A_MODULE)
    command = ["tune", "net.py", "--host", "torch", "--max-trials", "2", "--accept-fp32", "-q"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "nc_sigopt_strategy.cli", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("net-")
    assert (folder / "best_model.pt2").stat().st_size > 0


def test_the_users_module_is_left_as_it_was() -> None:
    module = residual().train()
    module.norm.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    host = host_of(module, images())
    targets(host, {"stem": "bf16" if torch_host.has_bf16() else "fp32"})
    assert module.training
    assert not module.norm.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_batches_of_one_input_can_be_given() -> None:
    batches = images(batch=1)
    host = host_of(residual(), batches)
    assert eager(host, "fp32", batches.batches[0]).shape == (1, 4)
    assert eager(host, "fp32", images(batch=7).batches[0]).shape == (7, 4)


class TwoInputs(nn.Module):
    """Takes two inputs by position."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, first: Any, second: Any) -> Any:
        return self.one(first) + self.other(second)


@pytest.mark.parametrize("made", [list, tuple])
def test_inputs_by_position_can_be_a_list_or_a_tuple(made: Any) -> None:
    draw = np.random.default_rng(0).normal(size=(2, 2, 5, 3)).astype(np.float32)
    host = host_of(TwoInputs(), Batches([made(pair) for pair in draw]))
    assert [op.name for op in host.ops()] == ["one", "other"]
    batch = host.calibration_data().batches[0]
    assert sorted(batch) == ["first", "second"]
    assert targets(host, {})


def test_inputs_by_name_may_come_in_any_order() -> None:
    batches = sequences()
    turned = [dict(reversed(batch.items())) for batch in batches.batches]
    host = host_of(attention(), Batches(turned))
    expected = predictor(attention())(batches.batches[0])[0]
    found = host.fp32.form.call(host.fp32.module, turned[0])["logits"]
    np.testing.assert_allclose(found.detach(), expected, atol=1e-5)


def test_what_cannot_be_tuned_is_told_in_one_error() -> None:
    class Branching(nn.Module):
        def forward(self, x: Any) -> Any:
            return x * 2 if float(x.sum()) > 0 else x

    with pytest.raises(ModelError, match="cannot trace the given Branching"):
        host_of(Branching(), images())
    with pytest.raises(ModelError, match="no op that PT2E quantizes"):
        host_of(nn.ReLU(), images())
    with pytest.raises(ModelError, match="float16"):
        host_of(residual().half(), images())
    with pytest.raises(DataError, match="first calibration batch"):
        host_of(residual(), Batches([]))
    with pytest.raises(DataError, match="'pixels'"):
        host_of(residual(), Batches([{"pixels": np.zeros((2, 3, SIZE, SIZE), np.float32)}]))
    with pytest.raises(SettingsError, match="openvino_properties"):
        host_of(residual(), images(), openvino_properties={"INFERENCE_NUM_THREADS": 1})


def test_a_missing_compiler_is_told_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch._inductor import cpp_builder

    def none_found() -> str:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    with pytest.raises(MissingExtraError, match=r"C\+\+ compiler"):
        host_of(Residual(), images())
