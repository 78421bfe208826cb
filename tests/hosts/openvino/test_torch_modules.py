"""PyTorch modules on OpenVINO: what goes in and comes out, and what cannot be traced."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make test-torch")
pytest.importorskip("openvino", reason="OpenVINO is not installed")

import numpy as np
import torch
from torch import nn

from nc_sigopt_strategy.errors import DataError, ModelError
from nc_sigopt_strategy.hosts.given import Given
from nc_sigopt_strategy.hosts.openvino.given_model import load_model
from nc_sigopt_strategy.hosts.predictor import predictor

IMAGES = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)


def loaded(module: Any, *batches: Any) -> Any:
    pairs = [(batch, None) for batch in batches or (IMAGES,)]
    return load_model(Given(module, pairs, lambda model: 1.0)).model


def names_of(model: Any) -> list[str]:
    return [found.get_any_name() for found in model.inputs]


@dataclass
class Answer:
    """As models return that have more than one output."""

    logits: Any
    note: str = "text"
    hidden: Any = None


class ModelOutput(OrderedDict):  # type: ignore[type-arg]
    """A mapping of a class of its own."""


class Tokens(nn.Module):
    """Called by name, with more parameters than the data has keys."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.layer = (
            nn.Embedding(9, 8),
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        )

    def forward(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> Any:
        hidden = self.layer(self.embedding(input_ids), src_key_padding_mask=~attention_mask.bool())
        return ModelOutput(logits=hidden.mean(1), hidden=hidden)


class Returning(nn.Module):
    """A convolution, and what is made of it."""

    def __init__(self, after: Any) -> None:
        super().__init__()
        self.after, self.conv = after, nn.Conv2d(3, 4, 3)

    def forward(self, x: Any) -> Any:
        return self.after(self.conv(x))


def test_inputs_are_called_as_forward_calls_them_and_labels_are_none() -> None:
    ids = np.arange(24).reshape(4, 6) % 9
    mask = np.ones((4, 6), np.int64)
    mask[:, 4:] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "labels": np.zeros(4, np.int64)}
    module = Tokens().eval()
    model = loaded(module, batch)
    assert sorted(names_of(model)) == ["attention_mask", "input_ids"]
    fed = {"input_ids": ids, "attention_mask": mask}
    found, expected = predictor(model)(fed), predictor(module)(fed)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-2)


@pytest.mark.parametrize(
    "after",
    [
        lambda y: Answer(y.mean((2, 3)), hidden=y),
        lambda y: {"logits": y.mean((2, 3)), "loss": None, "count": 3, "hidden": y},
        lambda y: (y.mean((2, 3)), [y, None]),
    ],
    ids=["dataclass", "dict", "nested"],
)
def test_outputs_of_any_kind_are_taken(after: Any) -> None:
    module = Returning(after).eval()
    found, expected = predictor(loaded(module))(IMAGES), predictor(module)(IMAGES)
    assert [array.shape for array in found] == [(4, 4), (4, 4, 6, 6)]
    np.testing.assert_allclose(found[0], expected[0], atol=1e-2)


def test_a_module_whose_way_depends_on_the_data_is_refused() -> None:
    with pytest.raises(ModelError, match=r"depends on the values in its inputs .*y\.sum"):
        loaded(Returning(lambda y: y * 2 if y.sum() > 0 else y))
    with pytest.raises(ModelError, match="depends on the values in its inputs"):
        loaded(Returning(lambda y: sum([y] * int(y.max()), y)))


def test_a_module_whose_way_depends_on_shapes_is_traced() -> None:
    assert loaded(Returning(lambda y: y.mean((2, 3)) if y.shape[2] > 4 else y))


def test_what_is_no_float32_module_is_told_before_it_is_traced() -> None:
    with pytest.raises(ModelError, match=r"computes in torch\.float64"):
        loaded(Returning(lambda y: y).double())
    with pytest.raises(ModelError, match=r"computes in torch\.float16"):
        loaded(Returning(lambda y: y).half())
    with pytest.raises(DataError, match="first calibration batch"):
        load_model(Given(Returning(lambda y: y), None, lambda model: 1.0))
    with pytest.raises(DataError, match="not a pair"):
        load_model(Given(Returning(lambda y: y), [IMAGES], lambda model: 1.0))


def test_float64_data_is_taken_for_float32() -> None:
    model = loaded(Returning(lambda y: y), IMAGES.astype(np.float64))
    assert model.inputs[0].get_element_type().get_type_name() == "f32"


def test_torchscript_is_taken_as_it_is() -> None:
    module = Returning(lambda y: y.mean((2, 3))).eval()
    traced = torch.jit.trace(module, torch.from_numpy(IMAGES))
    found = predictor(loaded(traced))(IMAGES)[0]
    np.testing.assert_allclose(found, predictor(module)(IMAGES)[0], atol=1e-2)
