"""The samplers that the embedded engine can use, by name.

A sampler is an ``optuna.samplers.BaseSampler``. The engine asks it by ``asking.ask``: first
``sample_relative`` for all parameters at once, then ``sample_independent`` for those it left out.
Nothing here knows of SigOpt or of Neural Compressor.
"""

from __future__ import annotations

from nc_sigopt_strategy.sampling.conventions import (
    CONSTRAINTS_ATTR,
    WITHDRAWN_ATTR,
    Constraints,
    Reading,
    TuningExperiment,
    read_constraints,
)
from nc_sigopt_strategy.sampling.enumeration import Enumeration
from nc_sigopt_strategy.sampling.registry import (
    DEFAULT_SAMPLER,
    SAMPLER_NAMES,
    available_samplers,
    check_sampler_name,
    make_sampler,
)

__all__ = [
    "CONSTRAINTS_ATTR",
    "DEFAULT_SAMPLER",
    "SAMPLER_NAMES",
    "WITHDRAWN_ATTR",
    "Constraints",
    "Enumeration",
    "Reading",
    "TuningExperiment",
    "available_samplers",
    "check_sampler_name",
    "make_sampler",
    "read_constraints",
]
