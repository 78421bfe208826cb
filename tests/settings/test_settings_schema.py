"""The JSON schema of the settings agrees with their checks, whatever is given."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nc_sigopt_strategy.errors import SettingsError
from nc_sigopt_strategy.settings.schema import settings_schema
from nc_sigopt_strategy.settings.settings import CHECKS, KEYS, Settings

SCHEMA = settings_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FUNCTIONS = {"confirm_func", "latency_func", "stored_metrics_func"}
CHOICES = [choice for check in CHECKS.values() for choice in (check.schema or {}).get("enum", ())]
SCALARS: list[Any] = [
    *CHOICES, None, True, False, -1, 0, 1, 3, 2**31, 2**32, 2**64, 10**400, 10**5000, 0.5, 1.0,
    -0.0, 1e-320, math.nan, math.inf, "", " ", "x", "5", "0.5", "10m", "95%", "yes", "²", "a\0b",
    "(", ".*", "~", "~nobody-here/x", "/", "sigopt.lan", "https://sigopt.lan", "x" * 999, "\ud800",
    b"x", date(2026, 1, 2), {1}, object(),
]  # fmt: skip
ANY = st.sampled_from(SCALARS) | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.lists(ANY, max_size=2) | st.dictionaries(
    st.text(max_size=3)
    | st.integers(0, 3)
    | st.sampled_from([*CHOICES, "device", "allow_spinning"]),
    ANY,
    max_size=3,
)


def check(key: str, value: Any) -> None:
    """A setting is taken and fits the schema, or is refused in a short sentence about it."""
    try:
        Settings.from_kwargs({key: value})
    except SettingsError as error:
        said, about = str(error), error.key
    else:
        assert key in FUNCTIONS or not list(VALIDATOR.iter_errors({key: _as_in_a_file(value)}))
        return
    assert said.startswith(key)
    assert about == key
    assert len(said) < 600


def _as_in_a_file(value: Any) -> Any:
    return {str(name): item for name, item in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("key", KEYS)
def test_what_is_taken_fits_the_schema(key: str) -> None:
    for value in SCALARS:
        check(key, value)
        check(key, [value])
        check(key, {"x": value})


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(KEYS), value=VALUES)
def test_what_is_nested_fits_the_schema(key: str, value: Any) -> None:
    check(key, value)


def test_all_is_declared_but_what_files_cannot_hold() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(KEYS) - FUNCTIONS
    for key, said in SCHEMA["properties"].items():
        assert len(said["description"]) > 10, key
        VALIDATOR.validate({key: None})
        if "default" in said:
            VALIDATOR.validate({key: said["default"]})


@pytest.mark.parametrize(
    ("kwargs", "meant"),
    [
        ({"trial_timeout_seconds": "10m"}, "Did you mean 600?"),
        ({"lease_seconds": "1h30m"}, "Did you mean 5400?"),
        ({"probing": "5s"}, "Did you mean 5?"),
        ({"bound_confidence": "95%"}, "Did you mean 0.95?"),
        ({"finalists": "5"}, "Did you mean 5?"),
        ({"finalists": "5.5"}, "but is '5.5' (str)."),
        ({"stop_at_first": "yes"}, "Did you mean True?"),
        ({"one_trial_per_machine": "False"}, "Did you mean False?"),
        ({"locked_ops": {"a": None}}, "such as 'fp32', but is None"),
        ({"sigopt_experiment_id": "²"}, "ids are whole numbers"),
        ({"sigopt_experiment_id": 10**5000}, "must be a string"),
        ({"seed": 2**32}, "at most 4294967295, but is 4294967296."),
        ({"latency_batch_size": {1: 10**400}}, "the weight of 1 is 1000"),
        ({"sigopt_api_token:abc": None}, "Unknown key 'sigopt_api_token:...'"),
    ],
)
def test_a_mistake_is_told_with_what_was_meant(kwargs: dict[str, Any], meant: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_kwargs(kwargs)
    assert meant in str(caught.value)
