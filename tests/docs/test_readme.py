"""The scripts of README and guide run as they are pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def pasted(page: str, folder: Path) -> str:
    """Standard output of the one script on a page, run in a folder."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("sklearn")
    text = (ROOT / page).read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_readmes_script(tmp_path: Path) -> None:
    said = pasted("README.md", tmp_path)
    assert "FP32" in said.splitlines()[-1]
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits-")
    assert "digits on onnxruntime" in (folder / "report.html").read_text()
    for name in ("best.onnx", "recipe.json", "outcome.json", "report.html"):
        assert (tmp_path / name).stat().st_size > 0, name


def test_the_script_for_neural_compressor(tmp_path: Path) -> None:
    assert "FP32" in pasted("docs/guide/inc_script.md", tmp_path).splitlines()[-1]
    written = {path.name for path in (tmp_path / "tuned").iterdir()}
    assert {"best_model.onnx", "outcome.json", "recipe.json", "trials.jsonl"} <= written
    page = (tmp_path / "tuned" / "report.html").read_text()
    assert "digits on onnxruntime" in page
