"""What the tables of a comparison of many strategies say."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.reporting.summary import Spread, spread
from nc_sigopt_benchmarks.reporting.tables import comparison_tables, report_tables
from nc_sigopt_strategy.winners.front import non_dominated
from tests.benchmarks.many_strategies import HOST, OTHER_HOST, many_strategies, result


@pytest.fixture
def comparison() -> Comparison:
    return many_strategies()


def row(comparison: Comparison, title: str, label: str) -> dict[str, str]:
    """Column to cell of one row of the table whose title begins so."""
    table = next(table for table in report_tables(comparison) if table.title.startswith(title))
    cells = next(row.cells for row in table.rows if row.cells[0] == label)
    return dict(zip(table.columns, cells, strict=True))


def titles(comparison: Comparison) -> list[str]:
    return [table.title.split(":")[0] for table in report_tables(comparison)]


def test_every_table_fits_eighty_columns(comparison: Comparison) -> None:
    stream = io.StringIO()
    for table in comparison_tables(comparison):
        Console(file=stream, width=80, markup=False).print(table)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in stream.getvalue()
    # No word of a header or a cell is cut in two.
    for word in ("baseline", "duration", "quantize_", "static *", "consistent?", "published"):
        assert any(word in line for line in lines), word


def test_the_terminal_says_what_has_no_column(comparison: Comparison) -> None:
    stream = io.StringIO()
    Console(file=stream, width=200, markup=False).print(comparison_tables(comparison)[0])
    text = stream.getvalue()
    assert "mse crashed: ValueError: <no> kernel" in text
    assert "tpe skipped: hyperopt is <not> installed" in text
    assert "The machine was noisy" in text
    assert text.count("Searched <twice>.") == 1
    assert "mse_v2: It needs its own order" in text


def test_a_model_that_misses_the_bound_is_timed_all_the_same(comparison: Comparison) -> None:
    cells = row(comparison, "mobilenet_v1", "basic_once")
    assert cells["met the bound?"] == "no"
    assert not cells["int8 accuracy"].startswith("nearest")
    assert cells["latency (ms)"] == "50.0 [49.0–51.0]"
    assert cells["speed-up"].startswith("4.00 ")
    (once,) = comparison.strategies[2].trials
    assert comparison.trial_latency(comparison.strategies[2], once) == pytest.approx(0.05)


def test_speed_up_over_basic(comparison: Comparison) -> None:
    title = "mobilenet_v1"
    assert row(comparison, title, "sigopt-1")["over basic"] == "1.34 [1.31–1.37]"
    assert row(comparison, title, "uniform")["over basic"] == "tied 1.01 [0.99–1.03]"
    assert row(comparison, title, "auto")["over basic"] == "–"
    without = tuple(
        dataclasses.replace(strategy, over_basic=None) for strategy in comparison.strategies
    )
    alone = dataclasses.replace(comparison, strategies=without)
    assert "over basic" not in row(alone, title, "auto")


def test_accuracy_has_its_sampling_interval(comparison: Comparison) -> None:
    text = row(comparison, "mobilenet_v1", "sigopt-1")["int8 accuracy"]
    assert text.endswith("[0.892–0.945]")


def test_when_the_bound_was_first_met(comparison: Comparison) -> None:
    cells = row(comparison, "Search", "sigopt-1")
    assert (cells["first met (trial)"], cells["first met (s)"]) == ("3", "19")
    assert (cells["best (trial)"], cells["best (s)"]) == ("28", "134")


def test_a_run_that_found_nothing_is_not_left_out(comparison: Comparison) -> None:
    cells = row(comparison, "Search", "mse_v2")
    assert cells["first met (s)"] == cells["best (s)"] == "> 131"
    assert cells["first met (trial)"] == "> 12"
    assert row(comparison, "mobilenet_v1", "mse_v2")["met the bound?"] == "none in 131 s"


def test_skipped_runs_have_no_search(comparison: Comparison) -> None:
    assert row(comparison, "mobilenet_v1", "tpe")["met the bound?"] == "skipped"
    with pytest.raises(StopIteration):
        row(comparison, "Search", "tpe")


def test_repeats_are_summed_up(comparison: Comparison) -> None:
    cells = row(comparison, "Over the repeats", "sigopt")
    assert (cells["runs"], cells["found"]) == ("3", "2")
    assert cells["latency (ms)"] == "88.0 [82.0–none]"
    assert cells["speed-up"] == "2.27 [none–2.44]"
    assert cells["first met (s)"] == "19 [19–>131]"
    assert row(comparison, "Over the repeats", "mse_v2")["first met (s)"] == "> 131"


def test_without_repeats_there_is_nothing_to_sum_up(comparison: Comparison) -> None:
    single = tuple(s for s in comparison.strategies if s.repeat == 1 and s.group != "sigopt")
    assert "Over the repeats" not in titles(dataclasses.replace(comparison, strategies=single))


def test_memory_size_and_seconds_per_trial(comparison: Comparison) -> None:
    cells = row(comparison, "Seconds per trial", "sigopt-1")
    assert cells["quantize"] == "2.50"
    assert cells["whole trial"] == "4.60"
    assert cells["peak memory (MiB)"] == "2237"
    assert cells["model (MiB)"] == "4.48"
    assert row(comparison, "Seconds per trial", "fp32")["model (MiB)"] == "16.21"
    assert "observe" not in cells


def test_held_out_images(comparison: Comparison) -> None:
    cells = row(comparison, "On held-out", "sigopt-1")
    assert cells["drop"] == "0.0051 [-0.0012 to 0.0113]"
    assert cells["consistent?"] == "yes"


def test_stored_metrics_of_the_model_returned(comparison: Comparison) -> None:
    assert row(comparison, "Stored metrics", "sigopt-1")["F1 (macro)"] == "0.872"


def test_many_stored_metrics_are_several_tables(comparison: Comparison) -> None:
    named = {"strategy": 1.0, **{f"metric {number}": number / 7 for number in range(6)}}
    run = result("basic", count=1)
    trial = dataclasses.replace(run.trials[0], stored_metrics=named)
    assert run.outcome is not None
    outcome = dataclasses.replace(run.outcome, best=trial)
    run = dataclasses.replace(run, trials=(trial,), outcome=outcome)
    alone = dataclasses.replace(comparison, strategies=(run,))
    assert titles(alone).count("Stored metrics of the model returned") == 2
    assert row(alone, "Stored metrics", "basic")["strategy (metric)"] == "1"


def test_a_pareto_front_is_listed_by_latency(comparison: Comparison) -> None:
    run = result("sigopt", milliseconds=80, count=6)
    assert run.outcome is not None
    front = (run.trials[5], run.trials[0])
    run = dataclasses.replace(run, outcome=dataclasses.replace(run.outcome, front=front))
    alone = dataclasses.replace(comparison, strategies=(run,))
    table = next(t for t in report_tables(alone) if t.title == "Pareto front")
    assert [cells.cells[1] for cells in table.rows] == ["6", "1"]
    assert row(alone, "Pareto", "sigopt")["latency (ms)"] == "80.0"
    assert "Pareto front" not in titles(comparison)


def test_published_figures_stand_beside_ours(comparison: Comparison) -> None:
    cells = row(comparison, "Beside", "basic")
    assert (cells["FP32 published"], cells["int8 published"]) == ("0.8266", "0.8372")
    assert (cells["duration (s)"], cells["published (s)"]) == ("1.10", "88.2132")
    table = next(t for t in report_tables(comparison) if t.title.startswith("Beside"))
    assert [r.cells[0] for r in table.rows] == ["basic", "sigopt-1", "sigopt-2", "sigopt-3"]
    assert "cannot be compared" in table.notes[0]


@pytest.mark.parametrize("other", [{"model": "my_net"}, {"framework": "onnxruntime"}])
def test_nothing_was_published_of_other_models(
    comparison: Comparison, other: dict[str, str]
) -> None:
    changed = dataclasses.replace(comparison, **other)
    assert not any(title.startswith("Beside") for title in titles(changed))


def test_another_host_is_marked_everywhere(comparison: Comparison) -> None:
    results, *others = report_tables(comparison)
    assert (
        "* ran elsewhere than the rest (CPU: A CPU and Another CPU; cores: 2 and 8)"
        in (results.notes[0])
    )
    for table in others:
        labels = [row.cells[0] for row in table.rows]
        if table.title.startswith(("Search", "Seconds")):
            assert "quantize_static *" in labels


def test_each_other_host_has_a_mark_of_its_own(comparison: Comparison) -> None:
    third = {**HOST, "cores": 64}
    runs = (result("a", host=OTHER_HOST), result("b", host=third), result("c", host=OTHER_HOST))
    table, *_ = report_tables(dataclasses.replace(comparison, strategies=runs))
    assert [row.cells[0] for row in table.rows[2:]] == ["a *", "b †", "c *"]
    assert len([note for note in table.notes if "elsewhere" in note]) == 2


def test_a_comparison_of_nothing_has_one_table(comparison: Comparison) -> None:
    nothing = StrategyResult("basic", None, failure="boom")
    empty = dataclasses.replace(
        comparison, strategies=(nothing,), model="x", model_bytes=None, noise={}, host={}
    )
    assert titles(empty) == ["x"]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ((3.0, 1.0, 2.0), Spread(2.0, 1.0, 3.0)),
        ((1.0, None, 2.0), Spread(2.0, 1.0, None)),
        ((1.0, None), Spread(None, 1.0, None)),
        ((None, None), Spread(None, None, None)),
        ((), Spread(None, None, None)),
    ],
)
def test_a_run_without_a_figure_counts_as_worst(
    figures: tuple[float | None, ...], expected: Spread
) -> None:
    assert spread(figures) == expected
    mirrored = spread((f and -f for f in figures), higher_is_better=True)
    values = (expected.median, expected.best, expected.worst)
    assert mirrored == Spread(*(value and -value for value in values))


def test_pareto_front_of_points() -> None:
    points = [(3.0, 0.9), (1.0, 0.5), (2.0, 0.9), (2.0, 0.8), (4.0, 0.95), (1.0, 0.5)]
    assert non_dominated(points, maximize=True) == [1, 2, 4]
    errors = [(latency, 1 - accuracy) for latency, accuracy in points]
    assert non_dominated(errors, maximize=False) == [1, 2, 4]
