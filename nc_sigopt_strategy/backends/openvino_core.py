"""The one ``openvino.Core`` of this process.

Where a processor has AMX, OpenVINO's CPU plugin gives the thread that loads it a signal stack of
its own, and puts the one before it back when it is unloaded, with the last model of its core. Of
several cores that go in another order than they came, the stack of one that is gone stays: the
next Ctrl-C is then a segmentation fault (OpenVINO 2026.4.1, Python from 3.10 on, which handles
signals on that stack). So the core is made once, first, and never goes.
"""

from __future__ import annotations

import functools

import openvino as ov

DEVICE = "CPU"


@functools.cache
def the_core() -> ov.Core:
    """The core of this process, with its plugin loaded."""
    core = ov.Core()
    core.get_property(DEVICE, "FULL_DEVICE_NAME")
    return core
