"""The README's script runs as it is pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

README = Path(__file__).parents[2] / "README.md"


def test_the_script_runs_when_pasted(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (script,) = re.findall(
        r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("TrialRecord(number=")
    written = {path.name for path in (tmp_path / "tuned").iterdir()}
    assert {"best_model.onnx", "outcome.json", "recipe.json", "trials.jsonl"} <= written
