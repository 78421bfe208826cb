"""The Ray cluster: connect to it, its nodes, and an actor on one of them."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from nc_sigopt_strategy.cluster.errors import RayError
from nc_sigopt_strategy.cluster.worker_host import WorkerHost
from nc_sigopt_strategy.errors import needed

NAMESPACE = "nc-sigopt"
# Only calibration statistics pass through it: megabytes.
_OBJECT_STORE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Node:
    """A node that is alive.

    Attributes:
        id: Ray's id.
        host: Its host name.
        cpus: What Ray may give away of it.
    """

    id: str
    host: str
    cpus: float

    @property
    def name(self) -> str:
        """How messages name it: two nodes may be on one host."""
        return f"{self.host} (node {self.id[:8]})"


def import_ray() -> Any:
    """Ray, which only this part of the package needs.

    Raises:
        MissingExtraError: It is not installed.
    """
    return needed("ray", "nc_sigopt_strategy[ray]", what="--ray")


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Cluster]:
    """Connect to a cluster, or start one on this machine that ends with this process.

    A connection that this process has already is used and left open.

    Args:
        address: ``host:port`` of the cluster's head, or ``auto`` on one of its nodes; ``None``
            starts one.

    Raises:
        MissingExtraError: Ray is not installed.
        RayError: There is no cluster that can be used.
    """
    if address is not None and address.startswith("ray://"):
        raise RayError(
            f"{address} is an address for Ray's client, and workers must end with their driver.",
            "Run this on a node of the cluster, with --ray auto.",
        )
    ray = import_ray()
    if ray.is_initialized():
        yield Cluster(ray)
        return
    quietly: dict[str, Any] = {
        "namespace": NAMESPACE,
        "log_to_driver": False,
        "logging_level": logging.WARNING,
    }
    try:
        if address is None:
            # Ray sends figures about its use to its makers unless told not to.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(
                address="local",  # else RAY_ADDRESS, or any cluster of this machine, is taken
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE_BYTES,
                # Latencies at nice 15 would be those of whatever else runs here.
                _system_config={"worker_niceness": 0},
                **quietly,
            )
        else:
            ray.init(address=address, **quietly)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "on this machine" if address is None else f"at {address}"
        raise RayError(
            f"Ray {where} cannot be used: {error}",
            "The address is that of `ray start --head`, with the same versions of Python and Ray.",
        ) from error
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


class Cluster:
    """What the launcher asks of Ray.

    Args:
        ray: The module, connected.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.errors: Any = ray.exceptions

    def nodes(self) -> list[Node]:
        """Nodes that work can be put on: alive, and with at least one CPU to give."""
        found = [
            Node(
                raw["NodeID"],
                raw["NodeManagerHostname"],
                float(raw["Resources"].get("CPU", 0.0)),
            )
            for raw in self._ray.nodes()
            if raw["Alive"]
        ]
        return sorted((node for node in found if node.cpus >= 1), key=lambda node: node.id)

    def elsewhere(self) -> list[Node]:
        """Nodes on other machines than this one."""
        return [node for node in self.nodes() if node.host != platform.node()]

    def free_node(self, taken: Iterable[str]) -> tuple[Node, bool] | None:
        """The node with the fewest workers, and whether it has none; ``None`` without nodes.

        Args:
            taken: The node's id of each worker that runs.
        """
        counts = Counter(taken)
        nodes = self.nodes()
        if not nodes:
            return None
        node = min(nodes, key=lambda candidate: counts[candidate.id])
        return node, not counts[node.id]

    def host_actor(self, name: str, node: Node, *, alone: bool) -> Any:
        """A ``WorkerHost`` on a node; it ends with this process.

        Args:
            name: Its name in the cluster.
            node: Where it runs, and nowhere else.
            alone: Whether it takes all CPUs of the node, so that other work of the cluster does
                not disturb the timing; it waits until they are free.
        """
        affinity = importlib.import_module("ray.util.scheduling_strategies")
        return (
            self._ray.remote(WorkerHost)
            .options(
                name=name,
                num_cpus=node.cpus if alone else 0,
                max_restarts=0,
                scheduling_strategy=affinity.NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote()
        )

    def kill(self, actor: Any) -> None:
        """End an actor at once, and its worker with it."""
        with contextlib.suppress(self.errors.RayError):
            self._ray.kill(actor)

    def kill_leftovers(self, prefix: str) -> list[str]:
        """End the actors of an earlier driver whose names begin so; returns the names."""
        util = importlib.import_module("ray.util")
        ended = []
        for actor in util.list_named_actors(all_namespaces=True):
            if actor["name"].startswith(prefix):
                with contextlib.suppress(ValueError):  # gone in between
                    self.kill(self._ray.get_actor(actor["name"], namespace=actor["namespace"]))
                    ended.append(actor["name"])
        return ended

    def put(self, value: Any) -> Any:
        """A reference to a value that actors can be given; nodes fetch it from each other."""
        return self._ray.put(value)

    def get(self, reference: Any, timeout_seconds: float) -> Any:
        """The value behind a reference."""
        return self._ray.get(reference, timeout=timeout_seconds)

    def ready(self, references: list[Any], timeout_seconds: float) -> set[Any]:
        """Those of the references that have a value or failed, after at most so many seconds."""
        if not references:
            return set()
        done, _ = self._ray.wait(
            references, num_returns=len(references), timeout=timeout_seconds, fetch_local=False
        )
        return set(done)
