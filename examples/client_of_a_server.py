"""A program for SigOpt's own client, on a server of ours.

    python examples/client_of_a_server.py [--trials N]

Shows: a token, ``nc-sigopt serve`` on a free port of this machine, and an ordinary program for the
``sigopt`` package that creates an experiment there, asks for suggestions and reports observations.
Nothing in ``optimize`` is ours: it would run against any SigOpt server. What it tunes is a chain
of eight operations, each of which may run in int8 (fast, but it costs accuracy) or in fp32; the
best chain within the accuracy bound is known, so the end is compared with it. Takes about 10
seconds. Needs the extra ``server``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import sigopt

NC_SIGOPT = [sys.executable, "-m", "nc_sigopt_strategy.cli"]  # as the command nc-sigopt
# Of each operation: milliseconds in fp32 and in int8, and the accuracy that int8 costs.
OPERATIONS = {
    "conv0": (4.0, 1.2, 0.009),
    "conv1": (3.0, 0.8, 0.002),
    "conv2": (2.5, 0.7, 0.001),
    "conv3": (2.5, 0.7, 0.004),
    "conv4": (2.0, 0.6, 0.001),
    "conv5": (2.0, 0.6, 0.006),
    "pool": (0.5, 0.4, 0.0),
    "dense": (1.0, 0.4, 0.012),
}
FP32_ACCURACY, BOUND = 0.93, 0.92


def measure(assignments: Mapping[str, str]) -> tuple[float, float]:
    """Milliseconds and accuracy of a chain; a real program would build and run a model here."""
    milliseconds, accuracy = 0.0, FP32_ACCURACY
    for name, (in_fp32, in_int8, cost) in OPERATIONS.items():
        milliseconds += in_int8 if assignments[name] == "int8" else in_fp32
        accuracy -= cost if assignments[name] == "int8" else 0.0
    return milliseconds, accuracy


def optimize(token: str, url: str, trials: int) -> tuple[Mapping[str, str], float]:
    """SigOpt's loop: suggestion, measurement, observation; then the best within the bound.

    Args:
        token: Lets this program in.
        url: Where the server is.
        trials: How many suggestions are measured.
    """
    connection = sigopt.Connection(client_token=token, api_url=url)
    experiment = connection.experiments().create(
        name="Types of a chain",
        parameters=[
            {"name": name, "type": "categorical", "categorical_values": ["int8", "fp32"]}
            for name in OPERATIONS
        ],
        metrics=[
            {"name": "latency", "objective": "minimize", "strategy": "optimize"},
            {
                "name": "accuracy",
                "objective": "maximize",
                "strategy": "constraint",
                "threshold": BOUND,
            },
        ],
        observation_budget=trials,
    )
    own = connection.experiments(experiment.id)
    for _ in range(trials):
        suggestion = own.suggestions().create()
        milliseconds, accuracy = measure(suggestion.assignments)
        own.observations().create(
            suggestion=suggestion.id,
            values=[
                {"name": "latency", "value": milliseconds},
                {"name": "accuracy", "value": accuracy},
            ],
        )
    (best,) = own.best_assignments().fetch().iterate_pages()
    latency = next(value.value for value in best.values if value.name == "latency")
    return best.assignments, latency


def optimum() -> float:
    """The fewest milliseconds within the bound, by trying everything."""
    chains = (
        dict(zip(OPERATIONS, types, strict=True))
        for types in itertools.product(("int8", "fp32"), repeat=len(OPERATIONS))
    )
    measured = map(measure, chains)
    return min(milliseconds for milliseconds, accuracy in measured if accuracy >= BOUND)


@contextlib.contextmanager
def server(store: str) -> Iterator[str]:
    """``nc-sigopt serve`` in a process of its own, until the block ends.

    Yields:
        Its URL.
    """
    command = [*NC_SIGOPT, "serve", "--storage", store, "--port", "0", "--seed", "1", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # It prints one line when it listens.
        line = process.stdout.readline() if process.stdout else ""
        address = re.search(r"https?://\S+", line)
        if address is None:
            raise SystemExit(f"The server did not start: {line}")
        yield address.group()
    finally:
        process.terminate()
        process.wait()


def main(trials: int) -> None:
    """Make a token, start a server, run the program, say what it found."""
    # A proxy that the environment names is not for this machine.
    os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'server.db'}"
        create = [*NC_SIGOPT, "token", "create", "example", "--storage", store]
        token = subprocess.run(create, check=True, stdout=subprocess.PIPE, text=True).stdout
        with server(store) as url:
            print(f"Serving at {url}")
            assignments, milliseconds = optimize(token.strip(), url, trials)

    kept = [name for name, value in assignments.items() if value == "fp32"]
    print(f"Best of {trials} trials: {milliseconds:.1f} ms with {', '.join(kept)} in fp32")
    print(
        f"Optimum: {optimum():.1f} ms, all fp32: {measure(dict.fromkeys(OPERATIONS, ''))[0]:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A program for SigOpt's client on our server.")
    parser.add_argument("--trials", type=int, default=30, help="observation budget")
    main(parser.parse_args().trials)
