"""Keep N workers running on the nodes of a cluster until the experiment's budget is used."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nc_sigopt_strategy.cluster.calibration_files import read_files, write_missing
from nc_sigopt_strategy.cluster.cluster import Cluster
from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.cluster.handover import Handover
from nc_sigopt_strategy.cluster.requests import IN_ORDER, INTERRUPTED, WorkerRequest, WorkerStatus
from nc_sigopt_strategy.cluster.run_state import RunState, Standing
from nc_sigopt_strategy.cluster.slot import Slot
from nc_sigopt_strategy.jobs.worker_process import GRACE_SECONDS, SAVING_SECONDS

Tell = Callable[[str], None]
# How long a started worker may wait for its node's CPUs before that is said.
_PATIENCE_SECONDS = 15.0
_POLL_SECONDS = 0.3
_FETCH_SECONDS = 300.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Plan:
    """How the workers are run.

    Attributes:
        request: What every worker is asked, but for its name and folder.
        handover: What their processes get in their environment.
        program: What runs as a worker; see ``WorkerHost.start``.
        restarts: How often a worker is started again after a failure.
        restart_seconds: How long it is waited before that at first; each time twice as long.
        timeout: Seconds that all of it may take; 0 leaves the end to the trials.
    """

    request: WorkerRequest
    handover: Handover
    program: Sequence[str]
    restarts: int
    restart_seconds: float
    timeout: int

    def wait_before(self, restart: int) -> float:
        """Seconds to wait before the ``restart``-th restart, so that a store can come back."""
        return float(self.restart_seconds * 2 ** (restart - 1))


class Launcher:
    """Starts the workers, follows them, and starts again those that fail.

    One worker goes first: it creates the experiment and calibrates. Once it has evaluated a model,
    the others are given both and start.

    Args:
        cluster: Where they run.
        plan: How they are run.
        state: Of the run; kept up to date on disk.
        tell: Gets lines of text about what goes on.

    Attributes:
        stop_reason: Why the last worker that ended in order did.
    """

    def __init__(self, cluster: Cluster, plan: Plan, state: RunState, tell: Tell) -> None:
        self._cluster = cluster
        self._plan = plan
        self._state = state
        self._tell = tell
        self._begun = time.monotonic()
        self._launches = 0
        self._slots = [Slot(name, state.folder / "workers" / name) for name in state.workers]
        self._calibration: Any = None
        self._others_may_start = False
        self._warned_of_sharing = False
        self.stop_reason: str | None = None

    @property
    def seconds_left(self) -> int:
        """Whole seconds of the time budget; 0 when it is used."""
        return max(0, math.ceil(self._begun + self._plan.timeout - time.monotonic()))

    @property
    def time_is_up(self) -> bool:
        """Whether the time budget, where there is one, is used."""
        return self._plan.timeout > 0 and self.seconds_left == 0

    def run(self) -> None:
        """Return when no worker runs and none is to be started.

        Raises:
            RayError: No worker is left.
            KeyboardInterrupt: Ctrl-C; the workers have ended in order, or been killed at a second.
        """
        ended = self._cluster.kill_leftovers(f"{self._state.run_id}-")
        if ended:
            self._tell(f"Ended {len(ended)} workers of an earlier driver of this run.")
        self._offer(read_files(self._calibration_folder))
        self._others_may_start = self._state.experiment_id is not None and (
            self._calibration is not None or self._plan.request.calibration_cache is None
        )
        try:
            self._supervise()
        except KeyboardInterrupt:
            self._tell("Interrupted; the workers close their trials (Ctrl-C again: at once).")
            self._stop_in_order()
            raise
        finally:
            for slot in self._slots:
                self._end(slot)
        lost = [slot for slot in self._slots if self._standing(slot) is Standing.LOST]
        if len(lost) == len(self._slots):
            reasons = "; ".join(f"{slot.name}: {slot.problem}" for slot in lost)
            raise RayError(
                f"No worker is left. {reasons}",
                "Their logs are in the folders workers/<name> of the run folder, on their nodes. "
                f"To go on call it again with --resume {self._state.folder}.",
            )

    def _supervise(self) -> None:
        while True:
            for slot in self._slots:
                if self._may_start(slot):
                    self._start(slot)
            if not any(self._is_active(slot) for slot in self._slots):
                return
            self._answers(_POLL_SECONDS)
            time.sleep(_POLL_SECONDS)
            if self._is_overdue:
                self._tell(f"No end {GRACE_SECONDS:.0f} s after the time; workers are stopped.")
                self._stop_in_order()
                return

    @property
    def _is_overdue(self) -> bool:
        limit = self._plan.timeout + GRACE_SECONDS
        return self._plan.timeout > 0 and time.monotonic() - self._begun > limit

    def _is_active(self, slot: Slot) -> bool:
        return self._standing(slot) in (Standing.WAITING, Standing.RUNNING)

    def _may_start(self, slot: Slot) -> bool:
        if self._standing(slot) is not Standing.WAITING:
            return False
        if self.time_is_up:
            self._set(slot, Standing.STOPPED)
            return False
        if time.monotonic() < slot.start_at:
            return False
        first = next((other for other in self._slots if self._is_active(other)), None)
        return self._others_may_start or slot is first

    def _start(self, slot: Slot) -> None:
        running = [other.node.id for other in self._slots if other.actor and other.node]
        place = self._cluster.free_node(running)
        if place is None:
            self._failed(slot, "the cluster has no node with a CPU to give")
            return
        node, alone = place
        if not alone and not self._warned_of_sharing:
            self._warned_of_sharing = True
            self._tell(
                f"There are more workers than nodes ({len(self._cluster.nodes())}): workers on "
                "one node take turns, and trials take as long as with one of them."
            )
        self._launches += 1
        actor_name = f"{self._state.run_id}-{slot.name}-{self._launches}-{time.time_ns():x}"
        slot.node = node
        slot.status = None
        slot.actor = self._cluster.host_actor(actor_name, node, alone=alone)
        request = dataclasses.replace(
            self._plan.request,
            worker=slot.name,
            folder=slot.folder,
            experiment_id=self._state.experiment_id,
            timeout=self.seconds_left,
        )
        calibration = {} if self._calibration is None else self._calibration
        slot.question = slot.actor.start.remote(
            request, self._plan.handover, calibration, self._plan.program
        )
        slot.starting, slot.asked_at = True, time.monotonic()
        self._set(slot, Standing.RUNNING)

    def _answers(self, seconds: float) -> None:
        """Hear the actors that have answered, and ask each of them again."""
        asked = [slot for slot in self._slots if slot.question is not None]
        ready = self._cluster.ready([slot.question for slot in asked], seconds)
        for slot in asked:
            if slot.question in ready:
                self._hear(slot)
            elif slot.starting and not slot.announced and self._waits_long(slot):
                slot.announced = True
                self._tell(f"{slot.name} waits for {slot.where}: its CPUs are in use.")

    def _waits_long(self, slot: Slot) -> bool:
        return time.monotonic() - slot.asked_at > _PATIENCE_SECONDS

    def _hear(self, slot: Slot) -> None:
        errors = self._cluster.errors
        try:
            answer = self._cluster.get(slot.question, _FETCH_SECONDS)
        except errors.ActorUnavailableError:  # it may come back; if not, another error follows
            slot.question = slot.actor.status.remote()
            return
        except errors.RayError as error:
            self._failed(slot, _in_words(error))
            return
        if slot.starting:
            slot.starting = False
            self._tell(f"{slot.name} started on {slot.where}.")
        else:
            self._take(slot, answer)
        if slot.actor is not None:
            slot.question = slot.actor.status.remote()

    def _take(self, slot: Slot, status: WorkerStatus) -> None:
        before, slot.status = slot.status, status
        if self._state.experiment_id is None and status.experiment_id is not None:
            self._state.experiment_id = status.experiment_id
            self._state.write()
            self._tell(f"Experiment {status.experiment_id}.")
        if status.evaluated > (0 if before is None else before.evaluated):
            models = "model" if status.evaluated == 1 else "models"
            self._tell(f"{slot.name}: {status.evaluated} {models} evaluated.")
        enough = status.evaluated > 0 or status.exit_code == IN_ORDER
        if enough and not self._others_may_start and self._state.experiment_id is not None:
            self._share_calibration(slot)
            self._others_may_start = True
        if not status.running:
            self._ended(slot, status)

    def _ended(self, slot: Slot, status: WorkerStatus) -> None:
        code = status.exit_code
        if code in (IN_ORDER, INTERRUPTED):
            standing = Standing.STOPPED
            # A person can end a single worker on its node; that is not a failure.
            if code == IN_ORDER and not self.time_is_up:
                standing = Standing.DONE
            self._set(slot, standing)
            self.stop_reason = status.stop_reason or self.stop_reason
            self._tell(f"{slot.name} has ended. {status.stop_reason or ''}".strip())
            self._end(slot)
            return
        ending = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        reason = status.error or f"its process ended with {ending}"
        self._failed(slot, reason, lasting=status.lasting)

    def _failed(self, slot: Slot, reason: str, *, lasting: bool = False) -> None:
        self._end(slot)
        slot.problem = f"{reason.rstrip('.')} (on {slot.where})"
        if lasting or slot.restarts >= self._plan.restarts:
            self._set(slot, Standing.LOST)
            self._tell(f"{slot.name} is given up: {slot.problem}.")
            return
        slot.restarts += 1
        slot.start_at = time.monotonic() + self._plan.wait_before(slot.restarts)
        self._set(slot, Standing.WAITING)
        self._tell(
            f"{slot.name} failed: {slot.problem}; it is started again "
            f"({slot.restarts} of {self._plan.restarts})."
        )

    def _share_calibration(self, slot: Slot) -> None:
        """Take what a worker has gathered to this machine, and offer it to the nodes."""
        if self._plan.request.calibration_cache is None:
            return
        question = slot.actor.calibration.remote(self._calibration_folder)
        try:
            files = self._cluster.get(question, _FETCH_SECONDS)
        except self._cluster.errors.RayError as error:
            self._tell(f"Each node calibrates by itself: {_in_words(error)}.")
            return
        write_missing(self._calibration_folder, files)
        self._offer(files)
        megabytes = sum(map(len, files.values())) / 1e6
        self._tell(f"Calibration: {len(files)} files, {megabytes:.1f} MB, for the other nodes.")

    def _offer(self, files: dict[str, bytes]) -> None:
        if files:
            self._calibration = self._cluster.put(files)

    @property
    def _calibration_folder(self) -> Path:
        return self._plan.request.calibration_cache or self._state.folder / "calibration"

    def _stop_in_order(self) -> None:
        """Let all workers end as after Ctrl-C, for as long as one may take to save its trial."""
        deadline = time.monotonic() + SAVING_SECONDS
        for slot in self._slots:
            if slot.starting:
                self._end(slot)  # its process, if there is one, has no trial yet
            elif slot.actor is not None:
                slot.actor.interrupt.remote()
        while time.monotonic() < deadline:
            for slot in self._slots:
                if self._standing(slot) is Standing.WAITING:
                    self._set(slot, Standing.STOPPED)
            if not any(slot.actor for slot in self._slots):
                return
            self._answers(_POLL_SECONDS)

    def _end(self, slot: Slot) -> None:
        actor = slot.release()
        if actor is not None:
            self._cluster.kill(actor)

    def _standing(self, slot: Slot) -> Standing:
        return self._state.workers[slot.name]

    def _set(self, slot: Slot, standing: Standing) -> None:
        if self._state.workers[slot.name] is not standing:
            self._state.workers[slot.name] = standing
            self._state.write()


def _in_words(error: BaseException) -> str:
    """One line of what Ray says: the last of a traceback, else the first."""
    text = _COLOURS.sub("", str(error)).strip()
    lines = text.splitlines() or ["no reason given"]
    line = lines[-1] if any(line.lstrip().startswith("File ") for line in lines) else lines[0]
    return f"{type(error).__name__}: {line.strip()}"
