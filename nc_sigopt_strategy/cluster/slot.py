"""One worker as the launcher sees it: its actor, and what that was asked last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.cluster.cluster import Node
from nc_sigopt_strategy.cluster.requests import WorkerStatus


@dataclass
class Slot:
    """One worker.

    Attributes:
        name: The worker's name.
        folder: Its run folder, on whichever node it runs.
        restarts: How often it was started again.
        actor: Runs its process; ``None`` while there is none.
        node: Where the actor is.
        question: What the actor was asked and has not answered yet.
        starting: Whether that question is to start the worker.
        asked_at: When, in monotonic seconds.
        announced: Whether it was said that its node keeps it waiting.
        start_at: Not started before this, in monotonic seconds.
        status: What the actor said last.
        problem: What it was given up for.
    """

    name: str
    folder: Path
    restarts: int = 0
    actor: Any = None
    node: Node | None = None
    question: Any = None
    starting: bool = False
    asked_at: float = 0.0
    announced: bool = False
    start_at: float = 0.0
    status: WorkerStatus | None = None
    problem: str = ""

    @property
    def where(self) -> str:
        """Its node in words."""
        return "no node" if self.node is None else self.node.name

    def release(self) -> Any:
        """Forget the actor, and return it to be ended."""
        actor, self.actor, self.question = self.actor, None, None
        self.starting = self.announced = False
        return actor
