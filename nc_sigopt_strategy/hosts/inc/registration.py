"""Put the strategy into INC's registry and make INC's configuration accept its name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from typing import Any

import wrapt

from nc_sigopt_strategy.errors import UnsupportedVersionError
from nc_sigopt_strategy.hosts.inc.criterion import hook_into_criterion
from nc_sigopt_strategy.hosts.inc.flat_keywords import take_flat_keywords
from nc_sigopt_strategy.hosts.inc.onnx_mapping import supply_mapping_with_import
from nc_sigopt_strategy.hosts.inc.sealed_kwargs import seal
from nc_sigopt_strategy.hosts.inc_version import (
    WITHOUT_STRATEGIES,
    installed_version,
    release_of,
)

logger = logging.getLogger("nc_sigopt_strategy")

STRATEGY_NAME = "sigopt"
SUPPORTED = "neural-compressor>=2.6,<3.8"
OLDEST = (2, 6)
_MARK = "_nc_sigopt_strategy"
_STRATEGY_MODULE = "nc_sigopt_strategy.hosts.inc.strategy"
_HOOKS_MODULE = "nc_sigopt_strategy.hosts.inc.fit_hooks"


def register_with_import() -> None:
    """Register now if INC is imported already, else as soon as it is.

    An INC from 3.8 on has no tuning strategies, which the host ``inc3`` does without, and is left
    alone. Who wants them is told by ``register``, which all that needs them calls.
    """
    wrapt.register_post_import_hook(_register_if_supported, "neural_compressor")


def register() -> None:
    """Register the strategy; calling it again changes nothing.

    Raises:
        UnsupportedVersionError: There is no Neural Compressor, or one without tuning strategies.
    """
    check_version()
    from neural_compressor import config
    from neural_compressor.strategy import STRATEGIES

    # The module registers the class: when it is itself what imports INC, the class comes later.
    importlib.import_module(_STRATEGY_MODULE)
    # `fit` replaces the chosen strategy by these two when quant_level is "auto" (the default) or
    # 0 (quantization.py, INC 2.6 to 3.7.1).
    _wrap(STRATEGIES, "auto", _auto)
    _wrap(STRATEGIES, "conservative", _conservative)
    hook_into_criterion(config.TuningCriterion, STRATEGY_NAME)
    importlib.import_module(_HOOKS_MODULE).hook_into_fit(_runs_here)
    take_flat_keywords(config)
    supply_mapping_with_import()
    _log_like_inc()


def _register_if_supported(module: Any) -> None:
    try:
        register()
    except UnsupportedVersionError as error:
        has_strategies = importlib.util.find_spec("neural_compressor.strategy") is not None
        level = logging.WARNING if has_strategies else logging.DEBUG
        logger.log(level, "The strategy %r is not registered: %s", STRATEGY_NAME, error)


def check_version(installed: str | None = None) -> None:
    """Check that Neural Compressor's version is one with tuning strategies.

    Args:
        installed: The version to check; ``None`` for the installed one.

    Raises:
        UnsupportedVersionError: It is missing or outside the supported range.
    """
    if installed is None:
        installed = installed_version("inc")
    if release_of(installed) >= WITHOUT_STRATEGIES:
        raise UnsupportedVersionError(
            f"Neural Compressor {installed} is installed, which has no tuning strategies any "
            f"more: the strategy {STRATEGY_NAME!r} needs {SUPPORTED}.",
            "Tune TensorFlow graphs with the installed one by nc_sigopt_strategy.autotune(model, "
            f"..., host='inc3'), or pip install '{SUPPORTED}'.",
        )
    if release_of(installed) < OLDEST:
        raise UnsupportedVersionError(
            f"Neural Compressor {installed} is installed, and this strategy needs "
            f"{SUPPORTED}: earlier versions have another base.",
            f"pip install '{SUPPORTED}'",
        )


def _chosen(conf: Any) -> bool:
    return bool(conf.quantization.tuning_criterion.strategy == STRATEGY_NAME)


def _runs_here(conf: Any) -> bool:
    """Whether ``fit`` with this ``PostTrainingQuantConfig`` ends in our strategy."""
    criterion = getattr(conf, "tuning_criterion", None)
    named = getattr(criterion, "strategy", None) == STRATEGY_NAME
    return named and getattr(conf, "quant_level", None) != 0


def _auto(stock: Any, *args: Any, **kwargs: Any) -> Any:
    if _chosen(_conf_of(args, kwargs)):
        logger.info('The criterion names "sigopt": it runs although quant_level is "auto".')
        return importlib.import_module(_STRATEGY_MODULE).SigOptTuneStrategy(*args, **kwargs)
    return stock(*args, **kwargs)


def _conservative(stock: Any, *args: Any, **kwargs: Any) -> Any:
    conf = _conf_of(args, kwargs)
    if _chosen(conf):
        # INC dumps and pickles the configuration whichever strategy runs.
        seal(conf.quantization.tuning_criterion)
        logger.warning(
            'quant_level=0 runs INC\'s conservative strategy, not the chosen "sigopt". '
            'Leave quant_level at "auto" or set it to 1.'
        )
    return stock(*args, **kwargs)


def _conf_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs["conf"] if "conf" in kwargs else args[1]


def _wrap(strategies: dict[str, Any], name: str, wrapper: Any) -> None:
    stock = strategies[name]
    if hasattr(stock, _MARK):
        return
    wrapped = functools.partial(wrapper, stock)
    setattr(wrapped, _MARK, True)
    strategies[name] = wrapped


def _log_like_inc() -> None:
    """Show our lines where INC shows its own, unless the program set up logging itself."""
    if logger.handlers or logging.getLogger().handlers:
        return
    inc_logger = logging.getLogger("neural_compressor")
    for handler in inc_logger.handlers:
        logger.addHandler(handler)
    logger.setLevel(inc_logger.level)
    logger.propagate = False
