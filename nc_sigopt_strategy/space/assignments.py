"""Assignments as a key: the same choice has the same key, whatever its order."""

from __future__ import annotations

from collections.abc import Mapping

AssignmentsKey = tuple[tuple[str, str], ...]


def assignments_key(assignments: Mapping[str, str]) -> AssignmentsKey:
    """A hashable form of assignments, whatever their order."""
    return tuple(sorted(assignments.items()))
