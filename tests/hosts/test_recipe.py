"""The recipe as INC takes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nc_sigopt_strategy.hosts.inc.recipe import op_name_dict
from nc_sigopt_strategy.results.run_files import write_recipe

STATES = {
    ("net/conv+1 (a)", "conv2d"): {
        "weight": {"dtype": "int8", "granularity": "per_channel", "algorithm": None},
        "activation": {"dtype": "uint8", "algorithm": "kl", "quant_mode": "static"},
    },
    ("net/pool", "pooling"): {"activation": {"dtype": "fp32", "quant_mode": "fp32"}},
}


def test_every_item_is_a_list_and_names_match_only_themselves() -> None:
    recipe = op_name_dict(STATES)
    (conv, pool) = recipe
    assert re.fullmatch(conv, "net/conv+1 (a)")
    assert not re.fullmatch(conv, "net/conv11 a")
    assert recipe[conv] == {
        "activation": {"dtype": ["uint8"], "algorithm": ["kl"]},
        "weight": {"dtype": ["int8"], "granularity": ["per_channel"]},
    }
    assert recipe[pool] == {"activation": {"dtype": ["fp32"]}}


def test_what_was_finished_is_said_to_readers_and_matches_no_op() -> None:
    recipe = op_name_dict(STATES, finished=True)
    note, *others = recipe
    assert "nc_sigopt_strategy.finish" in note
    assert recipe[note] == {}
    assert {name: recipe[name] for name in others} == op_name_dict(STATES)
    assert not any(re.fullmatch(note, name) for name, _ in STATES)


def test_fitted_weights_are_said_too() -> None:
    recipe = op_name_dict(STATES, fitted=True, finished=True)
    notes = [pattern for pattern in recipe if pattern.startswith("(?#")]
    assert ["fitted_weights" in note for note in notes] == [True, False]
    assert not any(re.fullmatch(note, name) for note in notes for name, _ in STATES)


def test_file_is_the_op_name_dict(tmp_path: Path) -> None:
    path = write_recipe(op_name_dict(STATES), tmp_path)
    assert json.loads(path.read_text()) == op_name_dict(STATES)
