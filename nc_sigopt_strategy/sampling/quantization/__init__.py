"""A sampler that knows what quantization is.

Latency is close to additive over ops, with a cost wherever neighbours differ in type; output noise
is close to additive over the quantized ops, because the powers of independent errors add; accuracy
falls with output noise. Each of the three is learned with its uncertainty. Early suggestions are
often the best configuration in one draw from what is known (Thompson sampling; Russo et al., "A
Tutorial on Thompson Sampling", 2018), all others promise the most over many draws.
"""

from __future__ import annotations

from nc_sigopt_strategy.sampling.quantization.sampler import (
    QuantizationSampler,
    categories,
    is_quantization,
)

__all__ = ["QuantizationSampler", "categories", "is_quantization"]
