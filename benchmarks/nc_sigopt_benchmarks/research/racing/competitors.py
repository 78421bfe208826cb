"""Everyone who races, by name."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nc_sigopt_benchmarks.research.landscapes.landscape import Landscape
from nc_sigopt_benchmarks.research.racing.basic_fallback import basic_plan
from nc_sigopt_benchmarks.research.racing.binary_splitting import BinarySplitting
from nc_sigopt_benchmarks.research.racing.evolution import Evolution
from nc_sigopt_benchmarks.research.racing.mse_v2_greedy import mse_v2_plan
from nc_sigopt_benchmarks.research.racing.noise_per_latency import noise_per_latency_plan
from nc_sigopt_benchmarks.research.racing.optuna_sampler import OptunaCompetitor, SamplerBuilder
from nc_sigopt_benchmarks.research.racing.planned import Plan, Planned
from nc_sigopt_benchmarks.research.racing.samplers import own, univariate_tpe
from nc_sigopt_benchmarks.research.racing.sigopt_lite import SigOptLite
from nc_sigopt_benchmarks.research.racing.trial import Competitor
from nc_sigopt_strategy.errors import MissingExtraError, SettingsError
from nc_sigopt_strategy.sampling import DEFAULT_SAMPLER
from nc_sigopt_strategy.sampling.asking import derived_seed


@dataclass(frozen=True)
class Entry:
    """What a competitor is told beforehand.

    Attributes:
        landscape: What it searches. Only the ones that say so look at its truth.
        seed: The run's seed.
        trials: The budget.
    """

    landscape: Landscape
    seed: int
    trials: int


@dataclass(frozen=True)
class _Kind:
    build: Callable[[Entry], Competitor]
    needs: str | None = None
    probed: bool = False


def _optuna(build: SamplerBuilder, needs: str | None = None, *, relative: bool = True) -> _Kind:
    return _Kind(
        lambda entry: OptunaCompetitor(entry.landscape, entry.seed, build, relative=relative),
        needs,
    )


def _plan(make: Callable[[Entry], Plan]) -> _Kind:
    return _Kind(lambda entry: Planned(make(entry)))


def _probed(entry: Entry) -> Competitor:
    rng = np.random.default_rng(derived_seed(entry.landscape.name, entry.seed, "probes"))
    probing = entry.landscape.probing(rng)
    return OptunaCompetitor(entry.landscape, entry.seed, own(DEFAULT_SAMPLER), probing=probing)


_KINDS: dict[str, _Kind] = {
    "quantization": _optuna(own(DEFAULT_SAMPLER)),
    "quantization-probed": _Kind(_probed, probed=True),
    "tpe": _optuna(own("tpe")),
    "tpe-univariate": _optuna(univariate_tpe, relative=False),
    "random": _optuna(own("random")),
    "gp": _optuna(own("gp"), "torch"),
    "nsgaii": _Kind(lambda entry: Evolution(entry.landscape, entry.seed)),
    "basic-fallback": _plan(lambda entry: basic_plan(entry.landscape)),
    "mse_v2-greedy": _plan(lambda entry: mse_v2_plan(entry.landscape, entry.seed)),
    "greedy-noise-per-ms": _plan(
        lambda entry: noise_per_latency_plan(entry.landscape, entry.seed, entry.trials)
    ),
    "binary-splitting": _Kind(
        lambda entry: BinarySplitting(entry.landscape, entry.seed, own("tpe"))
    ),
    "sigoptlite": _Kind(
        lambda entry: SigOptLite(entry.landscape, entry.seed, entry.trials), "sigoptlite"
    ),
}

# These take seconds to minutes for a run, so fewer seeds are raced; see ``--slow-seeds``.
SLOW = frozenset({"tpe-univariate", "gp", "sigoptlite"})

COMPETITORS: tuple[str, ...] = tuple(_KINDS)


def skip_reason(name: str) -> str | None:
    """Why a competitor cannot race here; ``None`` if it can."""
    kind = _kind(name)
    if kind.needs is not None and importlib.util.find_spec(kind.needs) is None:
        return f"{kind.needs} is not installed"
    return None


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
        SettingsError: One of them is nobody's.
    """
    for name in names:
        _kind(name)
    return tuple(dict.fromkeys(names))


def is_probed(name: str) -> bool:
    """Whether it is told what probes find before its first trial."""
    return _kind(name).probed


def make_competitor(name: str, entry: Entry) -> Competitor:
    """Build a competitor for one run.

    Raises:
        SettingsError: No competitor has this name.
        MissingExtraError: It needs a package that is not installed.
    """
    reason = skip_reason(name)
    if reason is not None:
        raise MissingExtraError(f"The competitor {name!r} cannot race: {reason}.")
    return _kind(name).build(entry)


def _kind(name: str) -> _Kind:
    if name in _KINDS:
        return _KINDS[name]
    nearest = difflib.get_close_matches(name.lower(), COMPETITORS, n=1, cutoff=0.4)
    guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise SettingsError(
        f"There is no competitor {name!r}.", f"Choose from {', '.join(COMPETITORS)}.{guess}"
    )
