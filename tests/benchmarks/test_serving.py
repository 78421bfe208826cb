"""A model that answers from a process of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from nc_sigopt_benchmarks.runtimes.serving import Served


class Model:
    """Counts what it ran."""

    version = precision = "1"
    native = None

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, batch: Any) -> list[Any]:
        self.sizes.append(len(batch))
        return [batch]


class Data:
    """Batches of any size; evaluation is on 20."""

    def batch(self, size: int) -> np.ndarray:
        return np.zeros((size, 2))

    def accuracy(self, opened: Model) -> float:
        opened.run(self.batch(20))
        return 1.0


def test_each_batch_size_is_timed_in_a_model_that_ran_no_other() -> None:
    opened: list[Model] = []

    def open_model() -> Model:
        opened.append(Model())
        return opened[-1]

    served = Served(open_model, Data())  # type: ignore[arg-type]
    assert served.answer({"do": "accuracy"}) == {"accuracy": 1.0}
    for size in (20, 20, 1, 1):
        assert served.answer({"do": "run", "size": size})["wall"] >= 0
    assert [model.sizes for model in opened] == [[20], [20, 20], [1, 1]]
