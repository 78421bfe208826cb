"""Durations and shares as people write them: ``10m``, ``1h30m``, ``90``; ``1%``, ``0.01``.

Each is a callback of an option: click calls it with what was written, ``None`` without.
"""

from __future__ import annotations

import click

from nc_sigopt_strategy.settings.quantities import seconds_of, share_of


def duration(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Whole seconds of ``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m``.

    Raises:
        click.BadParameter: It is none of these, or less than a second.
    """
    if value is None:
        return None
    seconds = seconds_of(value)
    if seconds is None:
        raise click.BadParameter(
            f"{value!r} is no time: write 90s, 10m, 1h30m, or a number of seconds.", ctx, param
        )
    if seconds < 1:
        raise click.BadParameter(
            f"{value!r} is {seconds:g} s, and at least one second is needed.", ctx, param
        )
    return round(seconds)


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """A fraction: 0.01 of ``1%``, ``1 %`` or ``0.01``. What it may be, its user checks.

    Raises:
        click.BadParameter: It is no number.
    """
    if value is None:
        return None
    number = share_of(value)
    if number is None:
        raise click.BadParameter(f"{value!r} is no share: write 1% or 0.01.", ctx, param)
    return number
