"""Facts about the machine, and how quiet it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nc_sigopt_benchmarks.machine import facts as host
from nc_sigopt_benchmarks.machine import noise as host_noise
from nc_sigopt_benchmarks.machine.facts import (
    describe_host,
    helps_int8,
    host_differences,
    host_facts,
)
from nc_sigopt_benchmarks.machine.noise import NoiseMonitor, noise_verdict

QUIET = {
    "samples": 9,
    "other_cpu_share": 0.01,
    "steal_share": 0.0,
    "load_min": 0.1,
    "load_median": 0.9,
    "load_max": 1.4,
}
# Their median is 1.0, half of them are 0.01 away from it.
STEADY = (1.0, 1.01, 0.99, 1.0, 1.01, 0.99)


def test_a_host_is_the_same_as_itself() -> None:
    facts = host_facts()
    json.dumps(facts, allow_nan=False)
    assert host_differences(facts, host_facts()) == []
    assert describe_host(facts).startswith(facts["cpu"])


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"cpu": "Z80"}, "CPU: an Intel and Z80"),
        ({"cores": 3}, "cores: 2 and 3"),
        ({"governor": None}, "governor: performance and none"),
        ({"python": "3.10.1"}, "Python: 3.11.2 and 3.10.1"),
        ({"cpu_flags": {"amx_int8": True}}, "amx_int8: no and yes"),
        ({"versions": {"numpy": "2.0"}}, "numpy: 1.26 and 2.0"),
        ({"versions": {}}, "numpy: 1.26 and none"),
        ({"environment": {"OMP_NUM_THREADS": "2"}}, "OMP_NUM_THREADS: unset and 2"),
    ],
)
def test_a_difference_is_named(change: dict[str, Any], difference: str) -> None:
    facts = {
        "cpu": "an Intel",
        "cores": 2,
        "governor": "performance",
        "python": "3.11.2",
        "cpu_flags": {"amx_int8": False},
        "versions": {"numpy": "1.26"},
        "environment": {"OMP_NUM_THREADS": None},
    }
    assert host_differences(facts, {**facts, **change}) == [difference]


def test_what_an_earlier_version_did_not_record_is_no_difference() -> None:
    facts = host_facts()
    old = {"cpu": facts["cpu"], "cpu_flags": {}, "environment": {}, "load_average_1_minute": 9}
    assert host_differences(facts, old) == []
    assert host_differences({}, facts) == []
    assert "unknown CPU" in describe_host({})


@pytest.mark.parametrize(
    ("flags", "helps"),
    [
        ({"avx512_vnni": True}, True),
        ({"avx_vnni": True, "avx512_vnni": False}, True),
        ({"amx_int8": True}, True),
        ({"avx512f": True, "avx512_bf16": True, "amx_bf16": True}, False),
        ({}, False),
    ],
)
def test_int8_needs_vnni_or_amx(flags: dict[str, bool], helps: bool) -> None:
    assert helps_int8({"cpu_flags": flags}) is helps
    assert helps_int8({}) is False


def test_what_the_user_has_set_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    facts = host_facts()
    assert facts["environment"]["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in describe_host(facts)


def test_the_governor_is_read_of_all_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_CPU_FOLDER", tmp_path)
    assert host_facts()["governor"] is None
    assert host_facts()["threads_per_core"] is None
    for core, governor in enumerate(("powersave", "performance", "performance")):
        (tmp_path / f"cpu{core}/cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{core}/cpufreq/scaling_governor").write_text(f"{governor}\n")
    (tmp_path / "cpu0/topology").mkdir()
    (tmp_path / "cpu0/topology/thread_siblings_list").write_text("0-1\n")
    assert host_facts()["governor"] == "performance, powersave"
    assert host_facts()["threads_per_core"] == 2


@pytest.mark.parametrize(
    ("change", "samples", "verdict"),
    [
        ({}, STEADY, "quiet"),
        ({}, (1.0, 1.1, 0.9, 1.0, 1.1, 0.9), "noisy"),
        ({}, (1.0, 1.3, 0.7, 1.0, 1.3, 0.7), "very noisy"),
        # A single outlier is not noise: the paired ratio's median leaves it out as well.
        ({}, (*STEADY, 9.0), "quiet"),
        ({"other_cpu_share": 0.2}, STEADY, "noisy"),
        ({"other_cpu_share": 0.5}, STEADY, "very noisy"),
        ({"steal_share": 0.05}, STEADY, "noisy"),
        ({"steal_share": 0.2}, (), "very noisy"),
        ({"other_cpu_share": None, "steal_share": None}, STEADY, "quiet"),
        ({"other_cpu_share": None, "steal_share": None}, (1.0, 1.0), "unknown"),
    ],
)
def test_verdict(change: dict[str, Any], samples: tuple[float, ...], verdict: str) -> None:
    found = noise_verdict({**QUIET, **change}, samples)
    assert found["verdict"] == verdict
    assert "load average 0.9 (0.1 to 1.4" in found["sentence"]
    json.dumps(found, allow_nan=False)


def test_without_any_facts_nothing_is_known() -> None:
    found = noise_verdict({}, ())
    assert found["verdict"] == "unknown"
    assert found["sentence"] == "How quiet the machine was is not known."


def test_the_spread_is_robust() -> None:
    assert noise_verdict({}, STEADY)["fp32_latency_cv"] == pytest.approx(0.0148, abs=1e-4)


def test_a_machine_without_proc_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_noise, "_PROC", tmp_path)
    with NoiseMonitor() as monitor:
        pass
    facts = monitor.facts()
    assert facts["other_cpu_share"] is None
    assert facts["steal_share"] is None


def proc(folder: Path, cpu: str, processes: dict[int, tuple[int, int]]) -> None:
    """A made-up ``/proc``: the line of all cores, and parent and ticks of each process."""
    (folder / "stat").write_text(f"cpu  {cpu} 0 0\ncpu0 0\n")
    for pid, (parent, ticks) in processes.items():
        (folder / str(pid)).mkdir(exist_ok=True)
        text = f"{pid} (a (bad) name) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1"
        (folder / str(pid) / "stat").write_text(text)


def test_own_work_is_told_from_that_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_noise, "_PROC", tmp_path)
    monkeypatch.setattr(host_noise.os, "getpid", lambda: 7)
    # user nice system idle iowait irq softirq steal
    proc(tmp_path, "100 0 0 900 0 0 0 0", {1: (0, 50), 7: (1, 20), 8: (7, 10)})
    with NoiseMonitor() as monitor:
        # 1000 ticks later: 300 busy, of which 240 are ours (a child's child included), 10 stolen.
        later = {1: (0, 110), 7: (1, 60), 8: (7, 110), 9: (8, 100)}
        proc(tmp_path, "400 0 0 1590 0 0 0 10", later)
    assert monitor.facts()["other_cpu_share"] == pytest.approx(0.06)
    assert monitor.facts()["steal_share"] == pytest.approx(0.01)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
def test_the_cpu_time_of_children_is_our_own() -> None:
    before = host_noise._read(host_noise.os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    after = host_noise._read(host_noise.os.getpid())
    assert after.own > before.own
