"""Modules that return containers of another kind than dicts, lists and tuples."""

from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

import numpy as np
import torch
from torch import nn

from nc_sigopt_strategy.backends.torch_outputs import arrays_of, own_kind, plain
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.predictor import predictor
from nc_sigopt_strategy.hosts.torch.torch_host import TorchHost
from nc_sigopt_strategy.settings.settings import Settings
from tests.hosts.torch.small_modules import images

Pair = namedtuple("Pair", ["logits", "hidden"])


@dataclass
class Answer:
    """As detection models return."""

    logits: Any
    hidden: Any = None


@dataclass(frozen=True)
class Frozen:
    """Its fields cannot be set once it is made."""

    logits: Any
    hidden: Any = None


class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """A mapping whose keys are attributes, as language models return."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Picky(dict):  # type: ignore[type-arg]
    """A mapping that nobody else can make."""

    def __init__(self, secret: str, **values: Any) -> None:
        super().__init__(**values)
        self.secret = secret


KINDS: dict[str, Any] = {
    "named tuple": Pair,
    "dataclass": lambda a, b: Answer(logits=a, hidden=b),
    "frozen dataclass": lambda a, b: Frozen(logits=a, hidden=b),
    "mapping": lambda a, b: ModelOutput(logits=a, hidden=b),
    "nested": lambda a, b: Answer(logits=a, hidden=(b, [Pair(a, b)], None, "text")),
    "object": lambda a, b: SimpleNamespace(logits=a, hidden=b),
    "dict": lambda a, b: {"logits": a, "hidden": b},
}


class Returning(nn.Module):
    """A convolution whose output comes in a container."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind, self.conv = kind, nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        hidden = self.conv(x)
        return self.kind(hidden.mean((2, 3)), hidden)


@pytest.fixture
def nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: module)


def host_of(module: Any, data: Any) -> TorchHost:
    return TorchHost(Given(module, data, lambda model: 1.0, sampling_sizes=(8,)), Settings())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.usefixtures("nothing_compiled")
def test_what_the_model_returns_is_what_the_module_returns(kind: Any, tmp_path: Path) -> None:
    module, batches = Returning(kind).eval(), images()
    host = host_of(module, batches)
    host.check()
    batch = torch.from_numpy(batches.batches[0])
    with torch.no_grad():
        expected, found = module(batch), host.users_model(host.fp32)(batch)
    assert type(found) is type(expected)
    for one, other in zip(arrays_of(found), arrays_of(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    saved = predictor(host.backend.save(host.fp32, tmp_path / "net"))(batch)
    np.testing.assert_allclose(saved[0], arrays_of(expected)[0], atol=1e-6)


def test_a_bare_process_reads_a_model_whose_module_returns_a_class_of_its_own(
    tmp_path: Path,
) -> None:
    host = host_of(Returning(KINDS["nested"]).eval(), images())
    path = host.backend.save(host.fp32, tmp_path / "net")
    code = (
        "import sys, torch\n"
        "found = torch.export.load(sys.argv[1]).module()(torch.zeros(3, 3, 8, 8))\n"
        "assert found['logits'].shape == (3, 4)\n"
        "assert found['hidden'][1][0][0].shape == (3, 4)\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, path], check=True, timeout=500)


def test_a_kind_that_cannot_be_made_anew_comes_as_a_dict() -> None:
    given = Picky("x", logits=torch.ones(2))
    assert own_kind(given)(plain(given)) == {"logits": given["logits"]}


def test_kinds_hold_no_tensor_of_the_output_that_they_were_made_of() -> None:
    first, second = torch.zeros(2), torch.ones(2)
    make = own_kind(Answer(first, Pair(first, [first])))
    made = make(plain(Answer(second, Pair(second, [second]))))
    assert made == Answer(second, Pair(second, [second]))
    assert all(array is not None and array.all() for array in arrays_of(made))
