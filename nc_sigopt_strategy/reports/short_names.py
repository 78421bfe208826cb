"""Names of ops without what does not tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 42
_SEPARATORS = ("/", ".")


def short_names(names: Sequence[str]) -> list[str]:
    """Each name less the parts at its ends that are not needed to tell it from the others.

    Names that differ are shown differently. Of several ops under one name, with commas between,
    the first is shown and how many more there are.

    Args:
        names: Names of ops, whose parts have slashes or dots between.
    """
    firsts = shorter = [name.split(", ")[0] for name in names]
    for separator in _SEPARATORS:
        shorter = _without_needless_ends(shorter, separator)
    cut = [_cut(name) for name in shorter]
    shown = [
        name if cut.count(short) > shorter.count(name) else short
        for name, short in zip(shorter, cut, strict=True)
    ]
    if len(set(shown)) < len(set(firsts)):
        shown = firsts
    more = [name.count(", ") for name in names]
    return [f"{name} +{n}" if n else name for name, n in zip(shown, more, strict=True)]


def _without_needless_ends(names: Sequence[str], separator: str) -> list[str]:
    """Whole paths lose what they can spare; of dotted names only what all names share goes."""
    parts = [tuple(name.split(separator)) for name in names]
    different = len(set(parts))
    if different < 2:
        return list(names)
    while True:
        for end, kept in ((-1, slice(0, -1)), (0, slice(1, None))):
            fewer = [part[kept] if _tells(part[kept]) else part for part in parts]
            spared = separator == "/" or len({part[end] for part in parts}) == 1
            if fewer != parts and spared and len(set(fewer)) == different:
                parts = fewer
                break
        else:
            return [separator.join(part) for part in parts]


def _tells(part: Sequence[str]) -> bool:
    """A number alone says nothing of an op."""
    return any(char.isalpha() for word in part for char in word)


def _cut(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    half = _LONGEST // 2
    return f"{name[: half - 1]}…{name[-half:]}"
