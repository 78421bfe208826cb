"""The progress bar, and that it survives Neural Compressor's redirection of descriptor 2."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nc_sigopt_strategy.console.notebook_cell import LiveText, in_notebook
from nc_sigopt_strategy.console.progress import TuningProgress, format_seconds, seconds_left
from nc_sigopt_strategy.errors import MissingExtraError


@pytest.mark.parametrize(
    ("elapsed", "done", "max_trials", "timeout", "left"),
    [
        (10.0, 5, 10, None, 10.0),
        (10.0, 5, 10, 12.0, 2.0),
        (10.0, 5, 6, 100.0, 2.0),
        (10.0, 0, 10, None, None),
        (10.0, 0, 10, 30.0, 20.0),
        (10.0, 5, None, None, None),
        (10.0, 12, 10, 5.0, 0.0),
        (10.0, 5, 10, 0, 10.0),
    ],
)
def test_eta_is_the_smaller_of_trials_and_time(
    elapsed: float, done: int, max_trials: int | None, timeout: float | None, left: float | None
) -> None:
    assert seconds_left(elapsed, done, max_trials, timeout) == left


def test_a_trial_that_runs_counts_down() -> None:
    assert seconds_left(10.0, 5, 10, None, last_trial_ended_seconds=10.0) == 10.0
    assert seconds_left(11.0, 5, 10, None, last_trial_ended_seconds=10.0) == 9.0
    assert seconds_left(50.0, 5, 10, None, last_trial_ended_seconds=10.0) == 8.0, (
        "the four after it take their time, however late it is"
    )
    assert seconds_left(50.0, 9, 10, None, last_trial_ended_seconds=9.0) == 0.0


def test_what_comes_after_the_last_trial_stands_in_place_of_an_eta(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    with TuningProgress("x", max_trials=2, timeout_seconds=None, enabled=True) as progress:
        progress.trial_done(2, "2.00 times FP32 at 0.9")
        progress.deciding("timing the best")
    shown = capfd.readouterr().err
    assert "trial 2 of 2, best so far 2.00 times FP32 at 0.9, timing the best" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (65, "1:05"), (7265, "2:01:05"), (-3, "0:00")]
)
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_without_a_terminal_it_is_one_plain_line_per_trial(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with TuningProgress("sigopt", max_trials=3, timeout_seconds=None) as progress:
        progress.message("budget 3 trials")
        progress.trial_done(1, None, note="0.91 misses")
        progress.trial_done(2, "3.10 ms at 0.9225")
        progress.trial_done(3, "3.10 ms at 0.9225")
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "sigopt: budget 3 trials"
    assert lines[1].startswith("sigopt: trial 1 of 3, best so far none, ETA ")
    assert lines[1].endswith("(0.91 misses)")
    assert lines[2].startswith("sigopt: trial 2 of 3, best so far 3.10 ms at 0.9225, ETA ")
    assert lines[3].endswith("ETA 0:00")


def test_disabled_it_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with TuningProgress("x", max_trials=1, timeout_seconds=5, enabled=False) as progress:
        progress.trial_done(1, "best")
        progress.message("text")
    assert capfd.readouterr() == ("", "")


def test_a_stderr_without_a_descriptor_is_written_to(capsys: pytest.CaptureFixture[str]) -> None:
    with TuningProgress("x", max_trials=2, timeout_seconds=None) as progress:
        progress.trial_done(1, None)
    assert "x: trial 1 of 2" in capsys.readouterr().err


def test_stdout_and_stderr_stay_what_they_are() -> None:
    before = sys.stdout, sys.stderr
    with TuningProgress("x", max_trials=2, timeout_seconds=None, enabled=True):
        assert (sys.stdout, sys.stderr) == before


def test_a_notebook_is_looked_for_without_importing_ipython() -> None:
    code = (
        "import sys\n"
        "from nc_sigopt_strategy.console.progress import TuningProgress\n"
        "with TuningProgress('x', max_trials=2, timeout_seconds=None) as progress:\n"
        "    progress.trial_done(1, None)\n"
        "print('IPython' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        timeout=300,
        check=True,
    )
    assert done.stdout.strip() == "False"
    assert done.stderr.startswith("x: trial 1 of 2")


def test_ipython_without_a_kernel_is_no_notebook() -> None:
    pytest.importorskip("IPython")
    assert not in_notebook()


def test_what_only_a_notebook_shows_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IPython", "IPython.display"):
        monkeypatch.setitem(sys.modules, name, None)
    assert not in_notebook()
    with pytest.raises(MissingExtraError, match="pip install 'ipykernel'"):
        LiveText(lambda: ["a line"])


# What INC's CaptureOutputToFile does around a calibration session, with the bar on.
_REDIRECTING = """
import os, sys, time
from nc_sigopt_strategy.console.progress import TuningProgress
with TuningProgress("basic", max_trials=2, timeout_seconds=None) as progress:
    captured = open(sys.argv[1], "w")
    kept = os.dup(2)
    os.dup2(captured.fileno(), 2)
    os.write(2, b"activation 1\\n")
    progress.trial_done(1, "3.1 ms")
    progress.doing("calibrating, batch 3 of 5")
    time.sleep(1.2)
    progress.message("said meanwhile")
    os.write(2, b"activation 2\\n")
    os.close(2)
    os.dup2(kept, 2)
    progress.trial_done(2, "3.0 ms")
"""


def test_the_bar_draws_on_while_descriptor_2_is_redirected(tmp_path: Path) -> None:
    captured = tmp_path / "captured.txt"
    main, terminal = pty.openpty()
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", _REDIRECTING, str(captured)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "PYTHONPATH": str(root), "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(terminal)
    shown = _read_to_end(main)
    assert process.wait(300) == 0, shown
    # Neural Compressor parses this file: a bar's characters in it would be taken as activations.
    assert captured.read_bytes() == b"activation 1\nactivation 2\n"
    assert "trial 2 of 2, best so far 3.1 ms" in shown
    assert "said meanwhile" in shown
    assert "calibrating, batch 3 of 5" in shown
    assert "best so far 3.0 ms" in shown


def _read_to_end(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 4096)
        except OSError:  # Linux's way to say that the other end of a terminal is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode("utf-8", "replace")
