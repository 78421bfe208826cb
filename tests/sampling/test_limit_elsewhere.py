"""The noise that a sampler aims at is what the winner's rule will accept on other images."""

from __future__ import annotations

import numpy as np
import pytest

from nc_sigopt_strategy.sampling.quantization.accuracy_model import AccuracyModel
from nc_sigopt_strategy.sampling.quantization.op_space import Floats
from nc_sigopt_strategy.sampling.quantization.turned_inputs import PairedErrors

BASELINE, BOUND, LIMIT = 0.93, 0.9207, 4e-3
NOISE = np.r_[0.2, np.geomspace(2e-4, 2e-2, 16)]


def lost(noise: Floats) -> Floats:
    result: Floats = (BASELINE - BOUND) * (noise / LIMIT) ** 0.7
    return result


def stated(noise: Floats, inputs: int) -> PairedErrors:
    """What is turned grows with the root of the noise; errors have one more input."""
    turned = np.round((BASELINE - BOUND) / 0.6 * np.sqrt(noise / LIMIT) * inputs)
    return PairedErrors(np.sqrt(turned + 1.0) / inputs, turned)


def model_of(inputs: int, errors: PairedErrors | None = None) -> AccuracyModel:
    if errors is None:
        errors = stated(NOISE, inputs)
    return AccuracyModel(NOISE, BASELINE - lost(NOISE), BOUND, BASELINE, errors)


@pytest.mark.parametrize("inputs", [400, 2_000])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_what_is_aimed_at_is_accepted(inputs: int, confidence: float) -> None:
    model = model_of(inputs)
    aimed = np.array([model.quantile(1.0 - confidence)])
    as_expected = BASELINE - model.expected_loss(aimed)
    found = model.judged(aimed, as_expected, stated(aimed, inputs)).probability[0]
    assert found == pytest.approx(confidence, abs=0.06)


def test_with_fewer_inputs_more_confidence_is_aimed_lower() -> None:
    few, many = model_of(400), model_of(20_000)
    assert few.quantile(0.05) < 0.5 * many.quantile(0.05)
    assert few.quantile(0.5) == pytest.approx(many.quantile(0.5), rel=0.35)
    shares = np.linspace(0.02, 0.98, 25)
    assert (np.diff([few.quantile(float(share)) for share in shares]) > 0).all()


def test_an_evaluation_that_ended_early_hardly_changes_the_aim() -> None:
    """The error of its few inputs is not that of all of them."""
    early, few = stated(NOISE, 2_000), stated(NOISE[:1], 200)
    early.stderr[0], early.turned[0] = few.stderr[0], few.turned[0]
    ended = model_of(2_000, errors=early).quantile(0.05)
    assert ended == pytest.approx(model_of(2_000).quantile(0.05), rel=0.15)


def test_without_stated_errors_it_is_the_limit_on_all_images() -> None:
    accuracy = BASELINE - lost(NOISE)
    model = AccuracyModel(NOISE, accuracy, BOUND, BASELINE)
    aimed = model.quantile(0.2)
    step = model.limits[1] / model.limits[0]
    below = [model.probabilities[model.limits < aimed * by].sum() for by in (1 / step, step)]
    assert below[0] <= 0.2 <= below[1]


def test_errors_without_counts_are_taken_as_they_are() -> None:
    """As an evaluation of somebody else's reports them: nothing is known of single inputs."""
    errors = stated(NOISE, 400)
    untold = PairedErrors(errors.stderr, np.full(len(NOISE), np.nan))
    accuracy = BASELINE - lost(NOISE)
    model = AccuracyModel(NOISE, accuracy, BOUND, BASELINE, untold)
    step = model.limits[1] / model.limits[0]
    aimed = model.quantile(0.2)
    below = [model.probabilities[model.limits < aimed * by].sum() for by in (1 / step, step)]
    assert below[0] <= 0.2 <= below[1]
    little = NOISE[1:3]
    one_of = PairedErrors(errors.stderr[1:3], errors.turned[1:3])
    told = model_of(400).judged(little, np.full(2, BASELINE), one_of).probability
    found = model.judged(
        little, np.full(2, BASELINE), PairedErrors(one_of.stderr, np.full(2, np.nan))
    )
    assert (told > found.probability).all()


def test_a_model_that_turns_nothing_is_believed_where_others_show_that_little_noise_does_not() -> (
    None
):
    """Of 200 inputs one may be lost: no evaluation alone says that, all together do."""
    nothing = PairedErrors(np.array([1 / 200]), np.zeros(1))
    intact = np.array([BASELINE])
    model = model_of(200)
    sure = model.judged(np.array([3e-5]), intact, nothing).probability[0]
    unsure = model.judged(np.array([4e-3]), intact, nothing).probability[0]
    assert sure > 0.97
    assert unsure < 0.9
    turning = PairedErrors(np.array([4**0.5 / 200]), np.full(1, 3.0))
    assert model.judged(np.array([3e-5]), intact, turning).probability[0] < sure
