"""Freed memory stays with the process as long as a model is open."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

pytest.importorskip("torchao", reason="PyTorch with torchao is not installed: make test-torch")

from nc_sigopt_strategy.backends import torch_memory
from nc_sigopt_strategy.backends.torch_memory import KEEPING, USUAL, keep_freed_memory


class Holder:
    """Somebody who wants memory to be kept."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(torch_memory, "set_thresholds", lambda *sizes: found.append(sizes))
    return found


def test_memory_is_kept_until_the_last_holder_is_done(told: list[tuple[int, int]]) -> None:
    first, second = Holder(), Holder()
    done = [keep_freed_memory(holder) for holder in (first, second)]
    assert told == [KEEPING]
    done[0]()
    done[0]()
    assert told == [KEEPING]
    done[1]()
    assert told == [KEEPING, USUAL]


def test_a_holder_that_is_forgotten_is_done(told: list[tuple[int, int]]) -> None:
    keep_freed_memory(Holder())
    gc.collect()
    assert told == [KEEPING, USUAL]


# A fresh process, whose heap nobody has used: 24 MiB allocated, written and freed again and again.
FAULTS = """
import resource, sys, torch
from nc_sigopt_strategy.backends.torch_memory import USUAL, KEEPING, set_thresholds
if not set_thresholds(*(KEEPING if sys.argv[1] == "keeping" else (1 << 20, 1 << 20))):
    sys.exit(5)
run = lambda: torch.ones(6 << 20)
run()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's thresholds")
def test_kept_memory_costs_no_page_faults() -> None:
    faults = {}
    for how in ("keeping", "usual"):
        command = [sys.executable, "-W", "ignore", "-c", FAULTS, how]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
        if done.returncode == 5:
            pytest.skip("no glibc")
        assert done.returncode == 0, done.stderr
        faults[how] = int(done.stdout)
    # 24 MiB are 6,144 pages of 4 KiB, or 12 of 2 MiB where the system gives huge ones.
    assert faults["keeping"] < faults["usual"]
