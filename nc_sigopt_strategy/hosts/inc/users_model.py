"""What the user's own functions get of INC's model objects."""

from __future__ import annotations

from typing import Any

from nc_sigopt_strategy.hosts.inc.keras_models import came_from_keras
from nc_sigopt_strategy.tuning.host import Model


def evaluated_object(framework: str, model: Model) -> Any:
    """What INC hands to an ``eval_func`` of this model (``TuneStrategy._evaluate``)."""
    if "onnxrt" in framework and model.model_path and model.is_large_model:
        return model.model_path
    return model.model


def users_object(framework: str, model: Model, given: Model) -> Any:
    """What the user's functions get for a model: what can be called as Keras' for one of Keras'.

    Args:
        framework: INC's name of it.
        model: INC's model object.
        given: That of the model as it was given.
    """
    if not came_from_keras(given):
        return evaluated_object(framework, model)
    # Imported late: it needs TensorFlow.
    from nc_sigopt_strategy.hosts.inc.keras_like import keras_like

    return keras_like(model, given)
