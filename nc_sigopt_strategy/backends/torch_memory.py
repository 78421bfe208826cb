"""Memory that PyTorch has freed, kept by the process as long as a model is open.

A compiled model allocates its activations anew for each batch. glibc hands large pieces back to
the system as they are freed, and the next batch pays for every page again: more in FP32, whose
activations are larger, and more or less with whatever else lies in the heap. So two processes, or
two moments of one, differ in how much faster int8 is. A server that PyTorch's guide to CPUs sets
up, with jemalloc or tcmalloc, keeps freed memory too.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

_MIB = 1 << 20
# Bytes: the size from which glibc maps an allocation by itself, and how much free memory at the
# heap's end it keeps; see mallopt(3).
KEEPING = (1 << 30, (1 << 31) - 1)
# Where a process arrives by itself once it has freed something of 32 MiB.
USUAL = (32 * _MIB, 64 * _MIB)
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1

# A garbage collection in the middle may call ``_done`` in the same thread.
_lock = threading.RLock()
_holders: set[int] = set()


def environment() -> Mapping[str, str]:
    """The variables with which a process that runs a model keeps its memory from its start."""
    mapped, kept = KEEPING
    return {"MALLOC_MMAP_THRESHOLD_": str(mapped), "MALLOC_TRIM_THRESHOLD_": str(kept)}


def keep_freed_memory(holder: object) -> Callable[[], object]:
    """Keep freed memory until all who asked for it are done.

    Args:
        holder: Who asks; done at the latest when it is no more.

    Returns:
        Call it when ``holder`` is done; again, it does nothing.
    """
    with _lock:
        if not _holders:
            set_thresholds(*KEEPING)
        _holders.add(id(holder))
    return weakref.finalize(holder, _done, id(holder))


def set_thresholds(mapped: int, kept: int) -> bool:
    """Tell glibc how much memory it keeps; both in bytes.

    Args:
        mapped: From which size an allocation is mapped by itself, and unmapped when it is freed.
        kept: How much free memory at the heap's end stays with the process.

    Returns:
        Whether the C library took both; another one than glibc is left alone.
    """
    mallopt = _of_libc("mallopt")
    if mallopt is None:
        return False
    # Older versions take no more than 32 MiB for the first.
    taken = mallopt(_M_MMAP_THRESHOLD, mapped) or mallopt(_M_MMAP_THRESHOLD, USUAL[0])
    return bool(mallopt(_M_TRIM_THRESHOLD, kept)) and bool(taken)


def _done(holder: int) -> None:
    with _lock:
        _holders.discard(holder)
        if _holders:
            return
        set_thresholds(*USUAL)
        trim = _of_libc("malloc_trim")
        if trim is not None:
            trim(0)


def _of_libc(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        # No glibc, or no library by that way, as on Windows.
        return None
