"""Where an experiment may be opened."""

from __future__ import annotations

import pytest

from nc_sigopt_strategy.errors import ServerError
from nc_sigopt_strategy.experiments.opening import MAX_COMBINATIONS, refuse_server_suggestions


def test_where_a_server_would_hang() -> None:
    at_the_limit = {"a": ["x"] * 1000, "b": ["y"] * (MAX_COMBINATIONS // 1000)}
    beyond = {"a": ["x"] * 11, "b": ["y"] * 9091}
    refuse_server_suggestions(at_the_limit, server_is_ours=False)
    refuse_server_suggestions({}, server_is_ours=False)
    refuse_server_suggestions(beyond, server_is_ours=True)
    with pytest.raises(ServerError, match="1e\\+05 combinations") as caught:
        refuse_server_suggestions(beyond, server_is_ours=False)
    assert "our sampler proposes" in caught.value.hint
    with pytest.raises(ServerError, match="60 categorical parameters"):
        refuse_server_suggestions(
            {f"p{i}": ["a", "b", "c"] for i in range(60)}, server_is_ours=False
        )
