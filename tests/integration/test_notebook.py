"""The notebook and its progress, in a kernel of their own."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.integration.test_compare import ROOT, only_run, write_config

pytestmark = pytest.mark.integration
NOTEBOOK = ROOT / "benchmarks" / "notebooks" / "compare_strategies.ipynb"


class CountingClient(NotebookClient):
    """Also counts the messages by which a cell's output comes about."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.messages: Counter[str] = Counter()

    def process_message(self, msg: Any, *arguments: Any, **options: Any) -> Any:
        self.messages[msg["msg_type"]] += 1
        return super().process_message(msg, *arguments, **options)


def execute(
    notebook: Any, folder: Path, **environment: str
) -> tuple[list[list[Any]], Counter[str]]:
    """Run a notebook; returns the outputs of each code cell, and how many messages of each kind.

    Raises:
        CellExecutionError: A cell failed.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    kernel = {**os.environ, "PYTHONPATH": path, "IPYTHONDIR": str(folder / "ipython")}
    # Under it the kernel leaves the descriptors 1 and 2 alone, which it does for nobody else.
    kernel.pop("PYTEST_CURRENT_TEST", None)
    client = CountingClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**kernel, **environment})
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"], client.messages


def run_cells(*sources: str, folder: Path) -> tuple[list[list[Any]], Counter[str]]:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return execute(nbformat.v4.new_notebook(cells=cells), folder)


_TUNING = """
import os, time
from nc_sigopt_strategy.console.progress import TuningProgress

captured = open("captured.txt", "w")
with TuningProgress("basic", max_trials=300, timeout_seconds=None) as progress:
    kept = os.dup(2)
    os.dup2(captured.fileno(), 2)  # as Neural Compressor does around a calibration session
    os.write(2, b"activation 1\\n")
    progress.message("FP32 baseline accuracy 0.93")
    for number in range(1, 201):
        progress.doing(f"calibrating for trial {number}")
        progress.trial_done(number, "0.9225 in 1.16 s", note=f"last 0.{number:04d}")
    os.write(2, b"activation 2\\n")
    os.dup2(kept, 2)
    os.close(kept)
captured.close()
"""
_UNCLOSED = """
live = TuningProgress("slow", max_trials=4, timeout_seconds=None)
live.__enter__()
live.trial_done(2, "0.9 in 2.00 s", note="last 0.9")
live.doing("calibrating, batch 3 of 5")
time.sleep(2.5)
"""
_SILENT = """
with TuningProgress("silent", max_trials=4, timeout_seconds=None, enabled=False) as silent:
    silent.message("text")
    silent.trial_done(1, None)
"""


def test_progress_is_one_output_that_is_redrawn(tmp_path: Path) -> None:
    (tuning, unclosed, silent), messages = run_cells(_TUNING, _UNCLOSED, _SILENT, folder=tmp_path)
    (output,) = tuning
    assert output.output_type == "display_data"
    first, last = output.data["text/plain"].splitlines()
    assert first == "basic: FP32 baseline accuracy 0.93"
    assert last.startswith("basic: 200 trials in 0:0")
    assert last.endswith(", best 0.9225 in 1.16 s")
    assert messages["update_display_data"] >= 200
    # Neural Compressor parses this file: a bar's characters in it would be taken as activations.
    assert (tmp_path / "captured.txt").read_bytes() == b"activation 1\nactivation 2\n"
    (output,) = unclosed
    shown = output.data["text/plain"]
    assert shown.startswith("slow ██████████░░░░░░░░░░ trial 3 of 4, best so far 0.9 in 2.00 s, ")
    assert shown.endswith("(calibrating, batch 3 of 5)"), "nothing but time passed since"
    assert silent == []


def test_the_notebook_compares_and_shows(small_model: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_model, "{name: basic}, {name: sigopt}")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (chosen, ran, shown), messages = execute(
        notebook, tmp_path, NC_SIGOPT_NOTEBOOK_CONFIG=str(config)
    )
    assert f"{config}: basic, sigopt" in chosen[0].text
    bars = [output.data["text/plain"] for output in ran if output.output_type == "display_data"]
    assert [bar.splitlines()[0].split(":")[0] for bar in bars] == ["basic", "sigopt"]
    assert all("FP32 baseline accuracy 1.0" in bar and " trials in 0:" in bar for bar in bars)
    assert messages["update_display_data"] >= 4
    told = [output for output in ran if output.output_type == "stream"]
    assert {output.name for output in told} == {"stdout"}, told
    assert len(told) + len(bars) == len(ran)
    assert sum(len(output.text.splitlines()) for output in told) <= 10
    texts = "\n".join(output.data.get("text/plain", "") for output in shown)
    results = json.loads((only_run(tmp_path) / "results.json").read_text())
    assert results["verdicts"]
    assert all(sentence in texts for sentence in results["verdicts"])
    assert "speed-up" in texts
    assert str(only_run(tmp_path) / "report.html") in texts
    images = [output for output in shown if "image/png" in output.data]
    assert len(images) == len(list(only_run(tmp_path).glob("*.png"))) >= 2
    assert all(output.output_type == "display_data" for output in shown)


@pytest.mark.parametrize(
    ("variable", "chosen"),
    [
        ("", "configs/quick.yaml: basic, sigopt"),
        ("configs/resnet50_v1_tf.yaml", "configs/resnet50_v1_tf.yaml: "),
    ],
)
def test_configurations_are_found_from_the_folder_of_the_notebook(
    variable: str, chosen: str, tmp_path: Path
) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    move = nbformat.v4.new_code_cell(f"import os; os.chdir({str(NOTEBOOK.parent)!r})")
    notebook.cells = [move, first]
    (_, (told,)), _ = execute(notebook, tmp_path, NC_SIGOPT_NOTEBOOK_CONFIG=variable)
    assert told.text.startswith(f"{ROOT}/{chosen}")


def test_the_notebook_in_git_has_no_outputs() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
            assert cell.metadata == {}
    assert text == nbformat.writes(notebook) + "\n"
