"""Tables, plots and the page, on a made-up comparison."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from rich.console import Console

from nc_sigopt_benchmarks.judging.comparison import Comparison, StrategyResult
from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from nc_sigopt_benchmarks.judging.timed_models import TimedModel
from nc_sigopt_benchmarks.reporting import html, plots
from nc_sigopt_benchmarks.reporting.tables import (
    COLUMN_MEANINGS,
    comparison_rows,
    comparison_table,
    report_tables,
)
from nc_sigopt_strategy.console.outcome_table import calibration_text, outcome_table, table_console
from nc_sigopt_strategy.errors import MissingExtraError
from nc_sigopt_strategy.results.interval import Interval
from nc_sigopt_strategy.results.outcome import OpCost, Outcome
from nc_sigopt_strategy.results.trial_record import TrialRecord, TrialState
from tests.benchmarks.many_strategies import many_strategies


def trial(number: int, accuracy: float, milliseconds: float | None) -> TrialRecord:
    return TrialRecord(
        number=number,
        state=TrialState.OBSERVED,
        origin="basic",
        accuracy=accuracy,
        meets_bound=accuracy >= 0.9207,
        latency_seconds=None if milliseconds is None else milliseconds / 1e3,
        duration_seconds=1.09,
        ended_seconds=5.0 * number,
    )


def timed(milliseconds: float, speedup: float) -> TimedModel:
    return TimedModel(
        Interval(milliseconds / 1e3, milliseconds / 1.02e3, milliseconds / 0.98e3),
        Interval(speedup, speedup * 0.98, speedup * 1.02),
        (milliseconds / 1e3,) * 3,
    )


SIGOPT_TRIALS = (trial(1, 0.835, 50), trial(2, 0.9225, 110), trial(3, 0.925, 98))
BASIC_TRIALS = (trial(1, 0.835, 50), trial(2, 0.92, 104))
OUTCOME = Outcome(
    strategy="sigopt",
    found=True,
    stop_reason="The time is up.",
    baseline_accuracy=0.93,
    accuracy_target=0.9207,
    fp32_latency_seconds=0.2,
    best=SIGOPT_TRIALS[2],
    trials=3,
    tuning_seconds=131.2,
)
NOTHING_FOUND = Outcome(
    strategy="basic",
    found=False,
    stop_reason="The time budget of 130 s was spent.",
    baseline_accuracy=0.93,
    accuracy_target=0.9207,
    nearest_miss=BASIC_TRIALS[1],
    costliest_ops=(OpCost("conv_1", 0.0125, 4),),
    trials=2,
    tuning_seconds=130.4,
)


@pytest.fixture
def comparison() -> Comparison:
    fp32 = TimedModel(Interval(0.2, 0.2, 0.2), Interval(1.0, 1.0, 1.0), (0.2,) * 3)
    return Comparison(
        name="demo",
        started="2026-01-01T00:00:00",
        model="mobilenet_v1",
        accuracy_note="Accuracy is top-1.",
        bound="accuracy at least 0.9207",
        baseline_accuracy=0.93,
        accuracy_target=0.9207,
        higher_is_better=True,
        batch_size=20,
        strategies=(
            StrategyResult("basic", NOTHING_FOUND, BASIC_TRIALS),
            StrategyResult("sigopt", OUTCOME, SIGOPT_TRIALS, timed=timed(98, 2.04)),
            StrategyResult("mse", None, failure="ValueError: <no> kernel"),
        ),
        fp32=fp32,
        default_int8=timed(50, 4.0),
        default_int8_trial=BASIC_TRIALS[0],
        verdicts=("basic found no model.",),
        settings={"name": "demo"},
    )


def cells(comparison: Comparison, label: str) -> dict[str, str]:
    row = next(row for row in comparison_rows(comparison) if row.cells[0] == label)
    return dict(zip(COLUMN_MEANINGS, row.cells, strict=True))


def test_a_strategy_that_found_a_model(comparison: Comparison) -> None:
    row = cells(comparison, "sigopt")
    assert row["met the bound?"] == "yes"
    assert row["int8 accuracy"] == "0.9250"
    assert row["latency (ms)"] == "98.0 [96.1–100.0]"
    assert row["speed-up"] == "2.04 [2.00–2.08]"


def test_a_strategy_that_found_nothing(comparison: Comparison) -> None:
    row = cells(comparison, "basic")
    assert row["met the bound?"] == "none in 130 s"
    assert row["int8 accuracy"] == "nearest 0.9200"
    assert row["latency (ms)"] == "–"


def test_a_strategy_that_crashed(comparison: Comparison) -> None:
    row = cells(comparison, "mse")
    assert row["met the bound?"] == "crashed"


def test_the_default_int8_model_says_whether_it_meets_the_bound(comparison: Comparison) -> None:
    assert cells(comparison, "default int8")["met the bound?"] == "no"
    assert cells(comparison, "fp32")["speed-up"] == "1.00"


def test_the_table_fits_eighty_columns(comparison: Comparison) -> None:
    stream = io.StringIO()
    Console(file=stream, width=80).print(comparison_table(comparison))
    text = stream.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for word in ("96.1–100.0", "nearest", "none in", "crashed", "speed-up"):
        assert word in text


def test_an_outcome_without_a_model_names_the_costliest_ops() -> None:
    stream = io.StringIO()
    Console(file=stream, width=100).print(outcome_table(NOTHING_FOUND))
    text = stream.getvalue()
    assert "nearest accuracy" in text
    assert "conv_1 (+0.0125)" in text


@pytest.mark.parametrize(
    ("passes", "stock", "text"),
    [
        (1, {}, "statistics gathered in 1 pass over the data, 2.5 s, used 7 times"),
        (2, {"a reason": 3}, "gathered in 2 passes over the data, 2.5 s, used 7 times; 3 times by "
         "INC itself: a reason"),
    ],
)  # fmt: skip
def test_calibration_is_reported(passes: int, stock: dict[str, int], text: str) -> None:
    usage = {"passes": passes, "seconds": 2.5, "fed": 7, "stock": stock}
    assert text in calibration_text(usage)
    stream = io.StringIO()
    outcome = dataclasses.replace(NOTHING_FOUND, calibration=usage)
    Console(file=stream, width=200).print(outcome_table(outcome))
    assert text in stream.getvalue()


def test_best_so_far_counts_only_what_meets_the_bound(comparison: Comparison) -> None:
    basic, sigopt, _ = comparison.strategies
    assert plots.best_so_far(comparison, sigopt) == [(2, 0.11), (3, 0.098)]
    assert plots.best_so_far(comparison, basic) == []


def test_trials_timed_in_another_process_are_shown_without_the_drift(
    comparison: Comparison,
) -> None:
    sigopt = comparison.strategies[1]
    then = dataclasses.replace(SIGOPT_TRIALS[1], latency_seconds=0.3, latency_ratio=2.0)
    assert comparison.trial_latency(sigopt, then) == pytest.approx(2.0 * 0.05)
    without = dataclasses.replace(comparison, default_int8=None)
    assert without.trial_latency(sigopt, then) == 0.3


def drifted(comparison: Comparison) -> Comparison:
    """The same, but the trial returned was timed at 105 ms side by side, not at 98."""
    strategies = [
        dataclasses.replace(strategy, timed=timed(105, 1.9)) if strategy.timed else strategy
        for strategy in comparison.strategies
    ]
    return dataclasses.replace(comparison, strategies=tuple(strategies))


def test_the_returned_trial_is_drawn_once_where_the_table_has_it(comparison: Comparison) -> None:
    (axes,) = plots.accuracy_figure(drifted(comparison)).axes
    points = [tuple(point) for drawn in axes.collections for point in drawn.get_offsets()]
    returned = [line for line in axes.lines if line.get_gid() == "sigopt: returned"]
    points += [(line.get_xdata()[0], line.get_ydata()[0]) for line in returned]
    assert [x for x, accuracy in points if accuracy == 0.925] == [pytest.approx(105.0)]
    assert cells(drifted(comparison), "sigopt")["latency (ms)"].startswith("105.0 ")
    # Every other trial is there once as well.
    assert len(points) == len(SIGOPT_TRIALS) + len(BASIC_TRIALS)


def test_the_line_over_trials_ends_at_what_the_table_has(comparison: Comparison) -> None:
    faster = dataclasses.replace(SIGOPT_TRIALS[1], latency_seconds=0.09)
    strategies = list(drifted(comparison).strategies)
    strategies[1] = dataclasses.replace(
        strategies[1], trials=(SIGOPT_TRIALS[0], faster, SIGOPT_TRIALS[2])
    )
    changed = dataclasses.replace(comparison, strategies=tuple(strategies))
    (axes,) = plots.progress_figure(changed).axes
    line = next(line for line in axes.lines if line.get_label() == "sigopt")
    assert list(line.get_xdata()) == [2, 3]
    assert list(line.get_ydata()) == pytest.approx([90.0, 105.0])


def test_names_and_errors_are_not_markup(comparison: Comparison, monkeypatch: Any) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    name = "[red]net[/red] :smile: [/]"
    table_console().print(comparison_table(dataclasses.replace(comparison, model=name)))
    table_console().print(outcome_table(dataclasses.replace(OUTCOME, stop_reason=name)))
    table_console().print(name)
    assert stream.getvalue().count(name) == 3


def test_a_run_that_nobody_could_use_is_wrong_use(comparison: Comparison) -> None:
    wrong = StrategyResult("a", None, failure="ServerError: no", wrong_use=True)
    crashed = StrategyResult("b", None, failure="boom")
    for strategies, expected in (((wrong,), True), ((wrong, crashed), False), ((), False)):
        made = dataclasses.replace(comparison, strategies=strategies)
        assert made.wrong_use is expected


def test_a_crash_counts_where_no_strategy_found_a_model(comparison: Comparison) -> None:
    crashed = StrategyResult("a", None, failure="KeyError: 'x'", crash='File "pipeline.py"')
    nothing = StrategyResult("b", None)
    (found, *_) = [strategy for strategy in comparison.strategies if strategy.found]
    for strategies, expected in (
        ((nothing, crashed), crashed),
        ((crashed, found), None),
        ((nothing,), None),
    ):
        made = dataclasses.replace(comparison, strategies=strategies)
        assert made.crashed is expected
    read = comparison_from_json(dataclasses.replace(comparison, strategies=(crashed,)).to_json())
    assert read.crashed == crashed


def test_plots_are_png_files(comparison: Comparison, tmp_path: Path) -> None:
    for draw in (plots.accuracy_vs_latency, plots.best_latency_vs_trials):
        path = draw(comparison, tmp_path / f"{draw.__name__}.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_plots_of_nothing_do_not_fail(comparison: Comparison, tmp_path: Path) -> None:
    empty = dataclasses.replace(
        comparison, strategies=(), fp32=None, default_int8=None, accuracy_target=None
    )
    for draw in (plots.accuracy_vs_latency, plots.best_latency_vs_trials):
        assert draw(empty, tmp_path / f"{draw.__name__}.png").stat().st_size > 1000


def test_the_page_is_self_contained(comparison: Comparison, tmp_path: Path) -> None:
    image = plots.best_latency_vs_trials(comparison, tmp_path / "plot.png")
    page = html.write_report(comparison, {"A plot": image}, tmp_path / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["']?data:)|url\(|@import""", page)
    assert "://" not in page
    assert "data:image/png;base64," in page
    assert 'name="viewport"' in page
    assert "none in 130 s" in page
    assert "conv_1 (+0.0125)" in page
    assert "&lt;no&gt; kernel" in page
    assert "<no>" not in page
    for table in report_tables(comparison):
        for meaning in table.columns:
            assert f"<dt>{meaning}</dt>" in page


def test_the_page_links_to_those_of_its_runs(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "sigopt").mkdir()
    (tmp_path / "sigopt" / "report.html").write_text("")
    page = html.write_report(comparison, {}, tmp_path / "report.html").read_text()
    assert re.findall(r'href="([^"]*)"', page) == ["sigopt/report.html"]


def test_the_page_of_many_strategies(tmp_path: Path) -> None:
    comparison = many_strategies()
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"a picture")
    page = html.write_report(
        comparison, {"A <plot>": picture}, tmp_path / "report.html"
    ).read_text()
    # Whatever a user, a model or an exception named is text.
    for text in ("no> kernel", "not> installed", "of ops>", "twice>", "so> it", "MB>", "plot>"):
        assert f"&lt;{text.replace('>', '&gt;')}" in page
        assert f"<{text}" not in page
    assert "<many>" not in page
    assert page.count("Searched &lt;twice") == 1
    assert "quantize_static *" in page
    assert "ran elsewhere than the rest" in page
    for table in report_tables(comparison)[1:]:
        title = escape(table.title)
        assert f"<h2>{title}</h2>" in page


def test_results_are_json_with_a_version(comparison: Comparison) -> None:
    broken = dataclasses.replace(comparison, total_seconds=float("nan"))
    raw = json.loads(json.dumps(broken.to_json(), allow_nan=False))
    assert raw["schema_version"] == 2
    assert raw["total_seconds"] is None
    assert raw["strategies"][1]["outcome"]["best"]["state"] == "observed"
    assert len(raw["strategies"][1]["timed"]["samples"]) == 3


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    needs = {
        "jinja2": lambda: html.write_report(comparison, {}, tmp_path / "report.html"),
        "matplotlib": lambda: plots.accuracy_vs_latency(comparison, tmp_path / "plot.png"),
    }
    with pytest.raises(MissingExtraError, match=rf"{package}.*nc_sigopt_benchmarks"):
        needs[package]()
