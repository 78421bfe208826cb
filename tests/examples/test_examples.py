"""The examples run as they stand, with small budgets."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# What each of them must say, besides ending with status 0.
TRIALS_AND_WORDS = {
    "client_of_a_server": (12, ["Serving at http://127.0.0.1:", "Best of 12 trials: "]),
    "continue_and_join": (6, ["has 3 trials; amber and basil join it.", "has 6 trials: "]),
    "tune_onnx_model": (3, ["Best of 3 trials: accuracy 0.9", "best_model.onnx"]),
    "own_latency": (4, ["the front of 4 trials:", "ms, accuracy"]),
    "tensorflow_model": (3, ["Best of 3 trials: accuracy 0.9", "KiB"]),
}
NEEDS = {
    "client_of_a_server": "uvicorn",
    "continue_and_join": "onnxruntime",
    "tune_onnx_model": "onnxruntime",
    "own_latency": "onnxruntime",
    "tensorflow_model": "tensorflow",
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    trials, words = TRIALS_AND_WORDS[path.stem]
    pytest.importorskip(NEEDS[path.stem])
    done = subprocess.run(
        [sys.executable, str(path), "--trials", str(trials)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    for word in words:
        assert word in done.stdout
    # What they write is in temporary folders of theirs.
    assert [left.name for left in tmp_path.iterdir() if left.name != "data"] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_needs_the_product_only_and_says_what_it_shows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)) or ""

    assert "nc_sigopt_benchmarks" not in text
    for word in (f"python examples/{path.name} [--trials N]", "Shows: ", "Takes about "):
        assert word in said
