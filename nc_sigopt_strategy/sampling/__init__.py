"""The samplers that the embedded engine can use, by name.

A sampler is an ``optuna.samplers.BaseSampler``. The engine asks it without a live trial: first
``sample_relative`` for all parameters at once, then ``sample_independent`` for those it left out.
Nothing here knows of SigOpt or of Neural Compressor.
"""

from __future__ import annotations

from nc_sigopt_strategy.sampling.conventions import WITHDRAWN_ATTR, Constraints
from nc_sigopt_strategy.sampling.enumeration import Enumeration
from nc_sigopt_strategy.sampling.registry import SAMPLER_NAMES, check_sampler_name, make_sampler

__all__ = [
    "SAMPLER_NAMES",
    "WITHDRAWN_ATTR",
    "Constraints",
    "Enumeration",
    "check_sampler_name",
    "make_sampler",
]
