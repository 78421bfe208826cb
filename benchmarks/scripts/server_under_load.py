"""What other clients notice of one that asks for too much, and how much memory that takes.

    python benchmarks/scripts/server_under_load.py [--seconds 20] [--attack NAME ...]

A server process on a new SQLite file, one token for whoever attacks and one for a visitor who
reads a small experiment again and again. Attacks: ``bodies``, 32 connections that send bodies of
almost 8 MiB of tiny values, which the server has room for or not; ``lists``, 16 that page through
experiments of 2,000 observations of 60 parameters with ``limit=0``, a token that may only read;
``suggest`` and ``suggest100``, 40 and 100 that ask one experiment of 60 parameters for
suggestions; ``nothing`` for comparison. On loopback only; each attack ends after so many seconds.
Prints a row per attack: the visitor's answers, their median, 95th percentile and longest in
milliseconds, and the peak of the server's memory. About four minutes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from nc_sigopt_benchmarks.research.parallel.serving import Serving
from nc_sigopt_strategy.engine import EmbeddedDriver
from nc_sigopt_strategy.server.tokens import TokenStore

_PARAMETERS, _OBSERVATIONS, _LARGE_EXPERIMENTS = 60, 2000, 8
_WAIT = 300.0
_Send = Callable[[requests.Session, int], requests.Response]


class Load:
    """An attack in a process of its own, whose threads send until they are told to stop.

    Args:
        name: Of the attack.
        url: Of the server.
        token: Of the attacker.
        small: Id of a small experiment.
        large: Ids of large ones.
    """

    def __init__(self, name: str, url: str, token: str, small: str, large: list[str]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._stop, self._begun = spawn.Event(), spawn.Event()
        self._found: Any = spawn.Queue()
        arguments = (name, url, token, small, large, self._stop, self._begun, self._found)
        self._process = spawn.Process(target=attack, args=arguments)

    def __enter__(self) -> Load:
        self._process.start()
        self._begun.wait(_WAIT)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.join()

    def stop(self) -> Counter[int]:
        """Stop; how many answers of which status came, 0 for none."""
        self._stop.set()
        found: Counter[int] = self._found.get(timeout=_WAIT)
        return found


def attack(
    name: str,
    url: str,
    token: str,
    small: str,
    large: list[str],
    stop: Any,
    begun: Any,
    found: Any,
) -> None:
    """What the process of a ``Load`` does."""
    count, send = sender(name, f"{url}/v1/experiments", small, large)
    statuses: Counter[int] = Counter()

    def run(number: int) -> None:
        with requests.Session() as session:
            session.auth = (token, "")
            while not stop.is_set():
                try:
                    statuses[send(session, number).status_code] += 1
                except requests.RequestException:
                    statuses[0] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    found.put(statuses)


def visit(address: str, token: str, seconds: float) -> list[float]:
    """Milliseconds that each of a visitor's requests took."""
    taken = []
    end = time.monotonic() + seconds
    with requests.Session() as session:
        session.auth = (token, "")
        while time.monotonic() < end:
            started = time.monotonic()
            answer = session.get(address, timeout=_WAIT)
            taken.append((time.monotonic() - started) * 1e3)
            answer.raise_for_status()
            time.sleep(0.05)
    return taken


def bodies() -> list[bytes]:
    """Bodies of tiny values just under the limit, and some that fit in what they become."""

    def body(item: bytes, count: int) -> bytes:
        return b'{"observations":[' + b",".join([item] * count) + b"]}"

    items = [b"{}", b"[]", b'{"a":1}', b"1", b'"x"']
    large = [body(item, 7_700_000 // (len(item) + 1)) for item in items]
    return large + [body(item, 300_000) for item in items]


def sender(name: str, base: str, small: str, large: list[str]) -> tuple[int, _Send]:
    """How many threads an attack has, and what each sends."""
    if name == "bodies":
        sent = bodies()
        address = f"{base}/{small}/observations/batch"
        return 32, lambda session, number: session.post(
            address, data=sent[number % len(sent)], timeout=_WAIT
        )
    if name == "lists":
        draw = random.Random(0)
        return 16, lambda session, number: session.get(
            f"{base}/{draw.choice(large)}/observations?limit=0", timeout=_WAIT
        )
    count = {"nothing": 0, "suggest": 40, "suggest100": 100}[name]
    return count, lambda session, number: session.post(
        f"{base}/{large[0]}/suggestions", json={}, timeout=_WAIT
    )


def fill(url: str) -> tuple[str, list[str]]:
    """A store with a small experiment and large ones; their ids."""
    driver = EmbeddedDriver(url, sampler="random")
    draw = random.Random(1)

    def made(parameters: int, observations: int) -> str:
        body: dict[str, Any] = {
            "name": "under load",
            "metrics": [{"name": "m"}],
            "parameters": [
                {"name": f"p{i}", "type": "categorical", "categorical_values": ["a", "b", "c"]}
                for i in range(parameters)
            ],
        }
        found = str(driver.answer("POST", ["experiments"], body)["id"])
        reports = [
            {
                "assignments": {f"p{i}": draw.choice("abc") for i in range(parameters)},
                "values": [{"name": "m", "value": draw.random()}],
            }
            for _ in range(observations)
        ]
        for start in range(0, observations, 2000):
            part = {"observations": reports[start : start + 2000]}
            driver.answer("POST", ["experiments", found, "observations", "batch"], part)
        return found

    small = made(5, 20)
    large = [made(_PARAMETERS, _OBSERVATIONS) for _ in range(_LARGE_EXPERIMENTS)]
    driver.close()
    return small, large


def known(url: str) -> tuple[str, list[str]]:
    """The same of a store that was filled before."""
    driver = EmbeddedDriver(url, sampler="random")
    ids = [
        found["id"] for found in driver.answer("GET", ["experiments"], {"fields": "id"})["data"]
    ]
    driver.close()
    return ids[-1], ids[:-1]


def main(names: list[str], seconds: float, sampler: str, folder: Path | None) -> None:
    """Attack and print a table."""
    print("| attack | requests | visitor's | median ms | p95 ms | longest ms | peak MiB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        path = (folder or Path(temporary)) / "store.db"
        url = f"sqlite:///{path}"
        small, large = known(url) if path.exists() else fill(url)
        tokens = TokenStore(url)
        now = time.monotonic_ns()
        visitor = tokens.create(f"visitor-{now}", "read")
        attackers = {scope: tokens.create(f"{scope}-{now}", scope) for scope in ("read", "write")}
        tokens.close()
        for name in names:
            with Serving(url, sampler) as server:
                scope = "read" if name == "lists" else "write"
                address = f"{server.url}/v1/experiments/{small}"
                visit(address, visitor, 1.0)
                with Load(name, server.url, attackers[scope], small, large) as load:
                    taken = sorted(visit(address, visitor, seconds))
                    statuses = load.stop()
                said = ", ".join(f"{n} x {s}" for s, n in sorted(statuses.items()))
                print(
                    f"| {name} | {said or '-'} | {len(taken)} | {taken[len(taken) // 2]:.0f} "
                    f"| {taken[int(len(taken) * 0.95)]:.0f} | {taken[-1]:.0f} "
                    f"| {server.peak_mib():.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sampler", default="tpe")
    every = ["nothing", "bodies", "lists", "suggest", "suggest100"]
    parser.add_argument("--attack", nargs="*", choices=every, default=every)
    parser.add_argument("--folder", type=Path, help="where a store is kept for the next time")
    given = parser.parse_args()
    main(given.attack, given.seconds, given.sampler, given.folder)
    sys.exit(0)
