"""Names of ops without what does not tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 42
_SEPARATORS = ("/", ".", "_")


def short_names(names: Sequence[str]) -> list[str]:
    """Each name less the parts at its ends that are not needed to tell it from the others.

    Names that differ are shown differently. Of several ops under one name, with commas between,
    the first is shown and how many more there are.

    Args:
        names: Names of ops, whose parts have slashes, dots or underscores between.
    """
    firsts = [name.split(", ")[0] for name in names]
    for separator in _SEPARATORS:
        firsts = _without_needless_ends(firsts, separator)
    cut = [_cut(name) for name in firsts]
    shown = [
        name if cut.count(short) > firsts.count(name) else short
        for name, short in zip(firsts, cut, strict=True)
    ]
    more = [name.count(", ") for name in names]
    return [f"{name} +{n}" if n else name for name, n in zip(shown, more, strict=True)]


def _without_needless_ends(names: Sequence[str], separator: str) -> list[str]:
    """Whole paths lose what they can spare; below the path only what all names share goes."""
    parts = [name.strip(separator).split(separator) for name in names]
    different = len(set(names))
    if different < 2:
        return list(names)
    while True:
        for end in (slice(0, -1), slice(1, None)):
            fewer = [part[end] if len(part) > 1 else part for part in parts]
            gone = {part[-1] if end.start == 0 else part[0] for part in parts}
            spared = separator == "/" or len(gone) == 1
            if fewer != parts and spared and len({tuple(part) for part in fewer}) == different:
                parts = fewer
                break
        else:
            return [separator.join(part) for part in parts]


def _cut(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    half = _LONGEST // 2
    return f"{name[: half - 1]}…{name[-half:]}"
