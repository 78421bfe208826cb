"""Models made of the fully quantized one are those that NNCF makes for the same choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nncf
import numpy as np
import pytest
from numpy.testing import assert_allclose

from nc_sigopt_strategy.backends.openvino_core import the_core
from nc_sigopt_strategy.backends.openvino_ir import Ir
from nc_sigopt_strategy.hosts.openvino.attention import attends
from nc_sigopt_strategy.hosts.openvino.choosing import restored_nodes, with_restored
from nc_sigopt_strategy.hosts.openvino.groups import find_groups
from tests.hosts.openvino.small_models import (
    Batches,
    attention,
    chain,
    images,
    residual,
    sequences,
)

MODELS = pytest.mark.parametrize(
    ("make", "data"),
    [(chain, images), (residual, images), (attention, sequences)],
    ids=["chain", "residual", "attention"],
)


def quantized(model: Any, data: Batches, ignored: list[str], *, fast: bool = True) -> Any:
    items = [array[i : i + 1] for array in data.arrays for i in range(len(array))]
    return nncf.quantize(
        model.clone(),
        nncf.Dataset(items),
        subset_size=len(items),
        fast_bias_correction=fast,
        # Else it depends on what is float which convolution counts as the first.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.DISABLE
        ),
        ignored_scope=nncf.IgnoredScope(names=ignored),
        model_type=nncf.ModelType.TRANSFORMER if attends(model) else None,
    )


def outputs(model: Any, array: Any) -> Any:
    return the_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(array)[0]


@MODELS
def test_every_choice_is_what_nncf_makes_with_an_ignored_scope(
    make: Callable[[], Any], data: Callable[[], Batches]
) -> None:
    model, batches = make(), data()
    full = quantized(model, batches, [])
    groups = find_groups(full, model)
    before = Ir.of(full).digest()
    for number in range(1, 2 ** len(groups)):
        floating = [group for i, group in enumerate(groups) if number >> i & 1]
        if number % 9 and len(floating) > 1:
            continue  # all single ones, and some of the others
        names = [name for group in floating for name in group.ops]
        made = with_restored(full, model, restored_nodes(model, floating))
        by_nncf = quantized(model, batches, names)
        if attends(model):
            # NNCF smooths the inputs of float ops too, and scales their weights back: no use.
            assert len(made.get_ops()) <= len(by_nncf.get_ops())
            for array in batches.arrays:
                assert_allclose(outputs(made, array), outputs(by_nncf, array), atol=1e-4)
        else:
            assert Ir.of(made).digest() == Ir.of(by_nncf).digest(), names
    assert Ir.of(full).digest() == before


@MODELS
def test_with_everything_restored_it_is_the_float_model(
    make: Callable[[], Any], data: Callable[[], Batches]
) -> None:
    model, batches = make(), data()
    full = quantized(model, batches, [], fast=False)
    groups = find_groups(full, model)
    made = with_restored(full, model, restored_nodes(model, groups))
    assert Ir.of(made).digest() == Ir.of(model).digest()


def test_full_bias_correction_is_nearer_to_float_and_to_nncfs_own_mix() -> None:
    import openvino as ov

    model, batches = residual(), images()

    def outputs(made: Any) -> Any:
        compiled = ov.Core().compile_model(made, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.concatenate([compiled(array)[0] for array in batches.arrays])

    full = quantized(model, batches, [], fast=False)
    groups = find_groups(full, model)[2:4]
    names = [name for group in groups for name in group.ops]
    made = outputs(with_restored(full, model, restored_nodes(model, groups)))
    nncfs = outputs(quantized(model, batches, names, fast=False))
    error = np.mean((outputs(full) - outputs(model)) ** 2)
    assert np.mean((made - nncfs) ** 2) < error


def test_groups_hold_what_reads_one_quantizer_and_what_multiplies_nothing() -> None:
    model = residual()
    groups = find_groups(quantized(model, images(), []), model)
    assert [group.key for group in groups] == [
        ("stem", "Convolution"),
        ("block1/a", "Convolution"),
        ("block1/b", "Convolution"),
        ("block2/a", "Convolution"),
        ("block2/b", "Convolution"),
        ("logits", "MatMul"),
    ]
    assert groups[1].ops == ("block1/a", "block1/add")
    assert groups[3].ops == ("block2/a", "block2/add", "pool")


def test_query_key_and_value_are_one_choice() -> None:
    model = attention()
    groups = find_groups(quantized(model, sequences(), []), model)
    assert {"query", "key", "value"} <= set(groups[0].ops)
    assert [group.key[0] for group in groups] == ["query", "scores", "mixed", "out", "logits"]
