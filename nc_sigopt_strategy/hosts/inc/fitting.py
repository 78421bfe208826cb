"""Neural Compressor's ``fit``, and the exception that it swallows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from neural_compressor import quantization
from neural_compressor.strategy import STRATEGIES


@dataclass(frozen=True)
class Fitted:
    """What ``fit`` came to.

    Attributes:
        model: Neural Compressor's model object; ``None`` when none met the bound.
        error: What ended the tuning early, if anything did.
    """

    model: Any
    error: Exception | None


def fit(model: Any, conf: Any, calib_dataloader: Any, eval_func: Callable[[Any], Any]) -> Fitted:
    """Call ``neural_compressor.quantization.fit``.

    Args:
        model: Path of the model, or a graph of TensorFlow.
        conf: A ``PostTrainingQuantConfig``.
        calib_dataloader: Yields (inputs, labels).
        eval_func: Gets the framework's model, returns its accuracy.

    Raises:
        SigOptStrategyError: The sigopt strategy cannot be set up.
    """
    with _errors_of_strategies() as errors:
        found = quantization.fit(
            model=model, conf=conf, calib_dataloader=calib_dataloader, eval_func=eval_func
        )
    return Fitted(found, errors[-1] if errors else None)


@contextlib.contextmanager
def _errors_of_strategies() -> Iterator[list[Exception]]:
    """The exceptions that leave a strategy's ``traverse``; ``fit`` logs them and goes on."""
    errors: list[Exception] = []

    def heard(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*args: Any, **kwargs: Any) -> Any:
            strategy = make(*args, **kwargs)
            traverse = strategy.traverse

            def listening() -> None:
                try:
                    traverse()
                except Exception as error:
                    errors.append(error)
                    raise

            strategy.traverse = listening
            return strategy

        return made

    before = dict(STRATEGIES)
    STRATEGIES.update({name: heard(make) for name, make in before.items()})
    try:
        yield errors
    finally:
        STRATEGIES.update(before)
