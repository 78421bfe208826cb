"""The pictures of a comparison of many strategies."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.judging.comparison import Comparison
from nc_sigopt_benchmarks.judging.reading import comparison_from_json
from nc_sigopt_benchmarks.reporting import html, plots
from nc_sigopt_benchmarks.reporting.op_plot import winner
from nc_sigopt_benchmarks.reporting.plot_style import strategy_styles
from tests.benchmarks.many_strategies import contributions, many_strategies, result


@pytest.fixture
def comparison() -> Comparison:
    return many_strategies()


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def drawn(axes: Any, gid: str) -> Any:
    return next(line for line in axes.lines if line.get_gid() == gid)


def test_twelve_strategies_can_be_told_apart(comparison: Comparison) -> None:
    runs = tuple(result(f"strategy {number}") for number in range(12))
    styles = strategy_styles(dataclasses.replace(comparison, strategies=runs)).values()
    assert len({(style.colour, style.line) for style in styles}) == 12
    assert len({style.marker for style in styles}) == 12


def test_repeats_share_colour_and_legend(comparison: Comparison) -> None:
    figure = plots.progress_figure(comparison)
    (axes,) = figure.axes
    colours = {
        line.get_label(): line.get_color()
        for line in axes.lines
        if line.get_label().startswith("sigopt")
    }
    assert set(colours) == {"sigopt-1", "sigopt-2"}
    assert len(set(colours.values())) == 1
    assert legend(figure).count("sigopt: 2 of 3 runs") == 1


def test_the_legend_says_why_a_strategy_has_no_line(comparison: Comparison) -> None:
    entries = legend(plots.progress_figure(comparison))
    assert "mse_v2: none met the bound" in entries
    assert "mse: crashed" in entries
    assert "tpe: skipped" in entries
    assert "quantize_static *" in entries


def test_progress_over_time_ends_with_the_run(comparison: Comparison) -> None:
    (axes,) = plots.time_figure(comparison).axes
    line = next(line for line in axes.lines if line.get_label() == "basic")
    assert line.get_xdata()[0] == pytest.approx(4.6 * 3 + 5)
    assert line.get_xdata()[-1] == 131.0
    assert line.get_ydata()[-1] == pytest.approx(110.0)


def test_the_pareto_front_is_drawn(comparison: Comparison) -> None:
    (axes,) = plots.accuracy_figure(comparison).axes
    line = drawn(axes, "pareto front")
    assert sorted(line.get_xdata()) == list(line.get_xdata())
    assert sorted(line.get_ydata()) == list(line.get_ydata())
    fastest = min(
        comparison.trial_latency(strategy, trial) or 9
        for strategy in comparison.strategies
        if strategy.host is None
        for trial in strategy.trials
    )
    assert line.get_xdata()[0] == pytest.approx(fastest * 1e3)


def test_other_hosts_are_not_on_the_front(comparison: Comparison) -> None:
    runs = (result("here"), result("there", milliseconds=1, host={"cpu": "x"}))
    (axes,) = plots.accuracy_figure(dataclasses.replace(comparison, strategies=runs)).axes
    assert min(drawn(axes, "pareto front").get_xdata()) > 40


def test_a_returned_front_is_ringed(comparison: Comparison) -> None:
    run = result("sigopt", milliseconds=80, count=6)
    assert run.outcome is not None
    outcome = dataclasses.replace(run.outcome, front=run.trials[3:])
    alone = dataclasses.replace(
        comparison, strategies=(dataclasses.replace(run, outcome=outcome),)
    )
    figure = plots.accuracy_figure(alone)
    assert len(drawn(figure.axes[0], "returned front").get_xdata()) == 3
    assert "ringed: front returned" in legend(figure)
    assert "ringed: front returned" not in legend(plots.accuracy_figure(comparison))


def test_a_timed_model_that_misses_the_bound_is_where_the_table_has_it(
    comparison: Comparison,
) -> None:
    (axes,) = plots.accuracy_figure(comparison).axes
    assert drawn(axes, "basic_once: returned").get_xdata()[0] == pytest.approx(50.0)


def test_the_winner_op_by_op(comparison: Comparison) -> None:
    best = winner(comparison)
    assert best is not None
    assert best.label == "sigopt-1"
    figure = plots.op_figure(best)
    saved, cost = figure.axes
    assert len(saved.patches) == len(cost.patches) == 29
    names = [text.get_text() for text in saved.get_yticklabels()]
    assert names[:2] == ["Conv2d_0_pointwise", "Conv2d_1_pointwise"]
    # Graph order runs from the top.
    assert saved.get_ylim()[0] > saved.get_ylim()[1]
    unknown = sum(op.milliseconds_saved is None for op in contributions(29))
    assert [text.get_text() for text in saved.texts] == ["?"] * unknown
    assert legend(figure) == ["int8: 10 ops", "bf16: 10 ops", "fp32: 9 ops"]


def test_noise_stands_in_for_an_unknown_accuracy_cost(comparison: Comparison) -> None:
    run = comparison.strategies[4]
    assert run.outcome is not None
    ops = tuple(dataclasses.replace(op, accuracy_cost=None) for op in contributions(3))
    run = dataclasses.replace(run, outcome=dataclasses.replace(run.outcome, op_contributions=ops))
    assert [axes.get_xlabel() for axes in plots.op_figure(run).axes] == [
        "milliseconds saved",
        "output noise",
    ]
    nothing = tuple(
        dataclasses.replace(op, milliseconds_saved=None, accuracy_cost=None, noise=None)
        for op in ops
    )
    assert run.outcome is not None
    outcome = dataclasses.replace(run.outcome, op_contributions=nothing)
    (axes,) = plots.op_figure(dataclasses.replace(run, outcome=outcome)).axes
    assert len(axes.texts) == 3


def test_phases_are_stacked_per_strategy(comparison: Comparison) -> None:
    figure = plots.phase_figure(comparison)
    assert figure is not None
    (axes,) = figure.axes
    assert legend(figure) == ["suggest", "quantize", "evaluate", "latency"]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names.count("sigopt") == 1
    assert "mse" not in names
    ends = [bar.get_x() + bar.get_width() for bar in axes.containers[3]]
    assert ends == [pytest.approx(4.52)] * len(names)


def test_all_pictures_have_files_of_their_own(comparison: Comparison, tmp_path: Path) -> None:
    pictures = plots.draw_all(comparison, tmp_path)
    assert len({path.name for path in pictures.values()}) == len(pictures) == 7
    for path in pictures.values():
        assert path.parent == tmp_path
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "The stored metric size <MB> against latency." in pictures


def test_names_are_not_formulas(comparison: Comparison, tmp_path: Path) -> None:
    odd = dataclasses.replace(
        comparison, model="$\\frac$", strategies=(result("$\\no$", milliseconds=70),)
    )
    assert len(plots.draw_all(odd, tmp_path)) == 6


def test_a_comparison_without_trials_has_the_first_pictures(
    comparison: Comparison, tmp_path: Path
) -> None:
    empty = dataclasses.replace(
        comparison, strategies=(), fp32=None, default_int8=None, accuracy_target=None
    )
    assert len(plots.draw_all(empty, tmp_path)) == 3


def test_what_is_not_finite_is_left_out(comparison: Comparison, tmp_path: Path) -> None:
    run = result("sigopt", count=3)
    odd = dataclasses.replace(
        run.trials[0], accuracy=float("nan"), stored_metrics={"F1": float("nan"), "top 5": 0.9}
    )
    run = dataclasses.replace(run, trials=(odd, *run.trials[1:]))
    alone = dataclasses.replace(comparison, strategies=(run,))
    alone = comparison_from_json(json.loads(json.dumps(alone.to_json())))
    pictures = plots.draw_all(alone, tmp_path)
    assert "The stored metric top 5 against latency." in pictures
    assert "The stored metric F1 against latency." not in pictures
    page = html.write_report(alone, pictures, tmp_path / "report.html").read_text()
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).casefold()
