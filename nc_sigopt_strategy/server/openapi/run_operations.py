"""The routes of runs and AI experiments, described."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.server.openapi.operations import (
    ASCENDING,
    EXPERIMENT_QUERY,
    PAGING,
    Operation,
)
from nc_sigopt_strategy.server.openapi.schemas import QUERY_FLAG, Schema

_RUN: dict[str, Any] = {
    "name": "A run",
    "assignments": {"rate": 0.1},
    "values": {"accuracy": {"value": 0.9, "value_stddev": 0.01}},
    "metadata": {"host": "a"},
}
_AI_EXPERIMENT: dict[str, Any] = {
    "name": "An AI experiment",
    "parameters": [
        {"name": "rate", "type": "double", "bounds": {"min": 0.001, "max": 1.0}},
        {"name": "kind", "type": "categorical", "categorical_values": ["a", "b"]},
    ],
    "metrics": [{"name": "accuracy", "objective": "maximize"}],
    "budget": 30,
}
_RUN_QUERY: dict[str, Schema] = {
    **PAGING,
    **ASCENDING,
    "filters": {
        "type": "string",
        "pattern": r"^\[\]$",
        "description": 'JSON: [{"field": "state", "operator": "==", "value": "completed"}, ...]',
    },
    "search": {"type": "string", "description": "Part of the name"},
    "sort": {"enum": ["id", "created", "updated", "completed", "name", "state"],
             "description": "A field of a run, also such as values.NAME.value"},
}  # fmt: skip
_LIST_RUNS = Operation("List runs, newest first", "TrainingRunPage", query=_RUN_QUERY)
_LIST_EXPERIMENTS = Operation(
    "List AI experiments, newest first", "AiExperimentPage", query=EXPERIMENT_QUERY
)

RUN_OPERATIONS: dict[str, dict[str, Operation]] = {
    "clients/{int}/projects/{text}/training_runs": {
        "GET": _LIST_RUNS,
        "POST": Operation("Make a run", "TrainingRun", "NewTrainingRun", example=_RUN),
    },
    "clients/{int}/projects/{text}/training_runs/batch": {
        "POST": Operation(
            "Make several runs, all or none",
            "TrainingRunPage",
            "NewTrainingRuns",
            example={"runs": [_RUN, {"name": "Another run", "state": "failed"}]},
        )
    },
    "clients/{int}/training_runs": {"GET": _LIST_RUNS},
    "organizations/{int}/training_runs": {"GET": _LIST_RUNS},
    "training_runs/{int}": {
        "GET": Operation("A run, deleted ones too", "TrainingRun"),
        "PUT": Operation(
            "Change a run",
            "TrainingRun",
            "TrainingRunUpdate",
            example={"values": {"accuracy": {"value": 0.91}}, "state": "completed"},
        ),
        "DELETE": Operation("Delete a run; it is kept, with deleted true", "TrainingRun"),
    },
    "training_runs/{int}/checkpoints": {
        "GET": Operation("List checkpoints, newest first", "CheckpointPage", query=PAGING),
        "POST": Operation(
            "Keep a checkpoint",
            "Checkpoint",
            "NewCheckpoint",
            example={"values": [{"name": "accuracy", "value": 0.5}]},
        ),
    },
    "training_runs/{int}/checkpoints/{int}": {"GET": Operation("A checkpoint", "Checkpoint")},
    "training_runs/{int}/files": {
        "POST": Operation(
            "Describe a file; its bytes are put where the answer says", "File", "NewFile",
            example={
                "name": "a picture", "content_type": "image/png", "content_length": 3,
                "content_md5": "kAFQmDzST7DWlj99KOF/cg==",
            },
        )
    },
    "files/{int}": {"GET": Operation("A file, and where its bytes are", "File")},
    "training_runs/{int}/tokens": {
        "POST": Operation("Make a token for looking at a run and its experiment", "Token")
    },
    "training_runs/{int}/tags": {
        "POST": Operation("Put a tag on a run", "Tag", "TagOfRun", example={"id": "1"})
    },
    "training_runs/{int}/tags/{int}": {"DELETE": Operation("Take a tag off", "Nothing")},
    "clients/{int}/projects/{text}/aiexperiments": {
        "GET": _LIST_EXPERIMENTS,
        "POST": Operation(
            "Create an AI experiment",
            "AiExperiment",
            "NewAiExperiment",
            example=_AI_EXPERIMENT,
        ),
    },
    "clients/{int}/aiexperiments": {"GET": _LIST_EXPERIMENTS},
    "aiexperiments": {"GET": _LIST_EXPERIMENTS},
    "aiexperiments/{int}": {
        "GET": Operation("An AI experiment, deleted ones too", "AiExperiment"),
        "PUT": Operation(
            "Change an AI experiment",
            "AiExperiment",
            "AiExperimentUpdate",
            example={"name": "Another name", "budget": 40},
        ),
        "DELETE": Operation(
            "Take an AI experiment out of the lists; it is kept",
            "Nothing",
            query={"include_runs": QUERY_FLAG},
        ),
    },
    "aiexperiments/{int}/training_runs": {
        "POST": Operation(
            "Make a run with a suggestion", "TrainingRun", "NewTrainingRun",
            example={"name": "A run"},
        )
    },
    "aiexperiments/{int}/best_training_runs": {
        "GET": Operation(
            "The runs behind the best assignments",
            "TrainingRunPage",
            query={**PAGING, "sort": {"enum": ["updated", "created"]}},
        )
    },
}  # fmt: skip
