"""What a PyTorch module returns: tensors in containers, of Python's own kinds and of others.

Models return dataclasses, named tuples and mappings of a class of their own. ``torch.export``
takes only what it was told of, and a file that names such a class is read only where the class is.
So programs return dicts, lists and tuples, and whoever calls the compiled model gets the kind of
thing that the module returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from nc_sigopt_strategy.backends.backend import Array

_SINGLE = (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool, str, bytes, int, float)


@dataclass(frozen=True)
class _Container:
    """A value taken apart.

    Attributes:
        parts: What is in it.
        plain: Makes a dict, list or tuple of its parts.
        own: Makes one of the value's own kind; holds no part of the value.
    """

    parts: Sequence[Any]
    plain: Callable[[Sequence[Any]], Any]
    own: Callable[[Sequence[Any]], Any]


def plain(outputs: Any) -> Any:
    """The same tensors in dicts, lists and tuples; fields of an object become keys.

    A text becomes ``None``: torch writes it into a file and cannot read it again.
    """
    container = _taken_apart(outputs)
    if container is None:
        return None if isinstance(outputs, (str, bytes)) else outputs
    return container.plain([plain(part) for part in container.parts])


def own_kind(outputs: Any) -> Callable[[Any], Any]:
    """A function that makes of ``plain(others)`` what a module returned that gave ``outputs``.

    It holds no tensor. Where a container cannot be made anew it stays plain.
    """
    container = _taken_apart(outputs)
    if isinstance(outputs, (str, bytes)):
        return lambda value: outputs
    if container is None:
        return lambda value: value
    made = [own_kind(part) for part in container.parts]

    def make(value: Any) -> Any:
        parts = list(value.values()) if isinstance(value, Mapping) else list(value)
        filled = [one(part) for one, part in zip(made, parts, strict=True)]
        try:
            return container.own(filled)
        except Exception:  # a class of the user's, with conditions of its own
            return container.plain(filled)

    return make


def arrays_of(outputs: Any) -> list[Array]:
    """All tensors among what a module returned, in order, as arrays of the caller's own."""
    return [_array(tensor) for tensor in tensors_in(outputs)]


def tensors_in(outputs: Any) -> list[Any]:
    """All tensors among what a module returned, in order."""
    return [leaf for leaf in _leaves(outputs) if isinstance(leaf, torch.Tensor)]


def _array(tensor: Any) -> Array:
    value = tensor.detach()
    array: Array = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    return array


def _leaves(outputs: Any) -> Iterator[Any]:
    container = _taken_apart(outputs)
    if container is None:
        yield outputs
        return
    for part in container.parts:
        yield from _leaves(part)


def _taken_apart(value: Any) -> _Container | None:
    """``None`` for what holds nothing that is known here."""
    kind: Any = type(value)
    if value is None or isinstance(value, _SINGLE):
        return None
    if isinstance(value, Mapping):
        keys = list(value)
        parts = [value[key] for key in keys]
        return _Container(
            parts,
            lambda new: dict(zip(keys, new, strict=True)),
            lambda new: _mapping(kind, dict(zip(keys, new, strict=True))),
        )
    if isinstance(value, (list, tuple)):
        bare = list if isinstance(value, list) else tuple
        return _Container(
            value, bare, kind._make if hasattr(kind, "_make") else lambda new: kind(new)
        )
    if dataclasses.is_dataclass(value):
        return _of_fields(value, [field.name for field in dataclasses.fields(value)])
    if kind in pytree.SUPPORTED_NODES:
        parts, context = pytree.SUPPORTED_NODES[kind].flatten_fn(value)
        return _Container(
            parts, tuple, lambda new: pytree.SUPPORTED_NODES[kind].unflatten_fn(list(new), context)
        )
    fields = getattr(value, "__dict__", {})
    if any(isinstance(part, torch.Tensor) for part in fields.values()):
        return _of_fields(value, list(fields))
    return None


def _mapping(kind: Any, values: dict[Any, Any]) -> Any:
    made = kind(values)
    return made if list(made) == list(values) else values


def _of_fields(value: Any, names: list[str]) -> _Container:
    kind: Any = type(value)
    # A field that was never set has no value to return.
    names = [name for name in names if hasattr(value, name)]

    def filled(parts: Sequence[Any]) -> Any:
        made = kind.__new__(kind)
        for name, part in zip(names, parts, strict=True):
            object.__setattr__(made, name, part)
        return made

    return _Container(
        [getattr(value, name) for name in names],
        lambda parts: dict(zip(names, parts, strict=True)),
        filled,
    )
