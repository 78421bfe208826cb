"""A process that Ray starts, made like one that a person starts.

Ray gives its processes one OpenMP thread, hides accelerators from them, runs them at nice 15 and
blocks SIGINT in them. All of that is inherited, and all but the last falsifies latencies.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_PARENT_CHECK_SECONDS = 0.5
_LIMITS = (
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ONEAPI_DEVICE_SELECTOR",
    "HABANA_VISIBLE_MODULES",
    "ASCEND_RT_VISIBLE_DEVICES",
    "NEURON_RT_VISIBLE_CORES",
    "TPU_VISIBLE_CHIPS",
)


def without_ray(environment: dict[str, str]) -> dict[str, str]:
    """An environment without the limits that Ray sets and the names that it gives to itself."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _LIMITS and not name.startswith("RAY_")
    }


def release_signals() -> None:
    """Let Ctrl-C reach this process; call it before any thread is started."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)


def usual_priority() -> str | None:
    """Undo a niceness; a sentence when that is not permitted."""
    nice = os.nice(0) if hasattr(os, "nice") else 0
    if nice <= 0:
        return None
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except OSError as error:
        return (
            f"This worker runs at nice {nice}, as Ray's processes do, and that cannot be changed "
            f"({error}): whatever else runs on this machine slows it down. Start Ray there with "
            "RAY_worker_niceness=0 in its environment."
        )
    return None


def end_with(parent: int) -> None:
    """Let this process be killed when the one that started it is gone.

    A worker whose actor is gone must not go on: another one runs under its name.

    Args:
        parent: Process id of the one that started it.
    """
    if sys.platform == "linux":
        # The kernel's own way, which a thread that computes cannot delay.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
