"""Routes that make a token for looking at one experiment or run, which SigOpt calls sharing.

Who lets tokens in makes the token itself; here is said what it is for. In a process of one's own
there is one token only.
"""

from __future__ import annotations

from nc_sigopt_strategy.engine import documents
from nc_sigopt_strategy.engine.context import Engine, JsonObject, unix_now
from nc_sigopt_strategy.engine.routes.runs.training_runs import run_with


def share_experiment(engine: Engine, data: JsonObject, experiment_id: str) -> JsonObject:
    """POST experiments/{experiment}/tokens, which takes no body; also of an AI experiment."""
    stored = engine.experiment(experiment_id)
    return documents.guest_token(str(stored.id), None, unix_now() + documents.GUEST_SECONDS)


def share_run(engine: Engine, data: JsonObject, run_id: str) -> JsonObject:
    """POST training_runs/{run}/tokens, which takes no body: its experiment is seen, too."""
    run = run_with(engine, run_id)
    experiment = run.document["experiment"]
    return documents.guest_token(
        None if experiment is None else str(experiment),
        str(run.id),
        unix_now() + documents.GUEST_SECONDS,
    )
