"""The script of the guide's page on ``autotune`` runs as it is pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "autotune.md"


def test_the_script_runs_when_pasted(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("sklearn")
    text = PAGE.read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "TuningResult(onnxruntime: " in done.stdout
    for name in ("best.onnx", "recipe.json", "outcome.json", "report.txt", "report.html"):
        assert (tmp_path / name).stat().st_size > 0, name
