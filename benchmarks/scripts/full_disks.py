"""Let the disk of a real run fill up at a random moment, and look at what is left.

    python benchmarks/scripts/full_disks.py [RUNS] [SEED]

Each run is a process of its own, in turn of ``autotune`` on ONNX Runtime and of Neural
Compressor's ``fit``. Its run folder, its store, or both lie on a tmpfs of a few megabytes (which
needs root), that another file fills up at a random moment and leaves from none to some kilobytes
of. Once the run has ended and the space is free again, it is checked that

- the run came to an end by itself, with a result or with one error that says that the disk is
  full;
- every trial that it was told to be stored is in the store;
- each file of the run folder is whole: JSON is JSON, the model loads, nothing is half written;
- what the outcome says that there is, is there;
- the experiment can be continued.

Ends with exit code 1 if anything was lost, broken or not said.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from killed_runs import Confirmed, Images, ended, logits, write_model
from neural_compressor import config, quantization

from nc_sigopt_strategy import autotune
from nc_sigopt_strategy.client.connections import open_embedded
from nc_sigopt_strategy.experiments.opening import join_on, list_experiments
from nc_sigopt_strategy.results.run_files import read_outcome, read_trials
from nc_sigopt_strategy.winners.kept_models import BEST_MODEL

RUNS, MAX_TRIALS, MEGABYTES = 40, 8, 4
_FULL = ("No space left", "disk is full", "database or disk is full")
_USUAL_SECONDS = 8.0
_LATEST_SECONDS = 300.0


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk of a few megabytes, mounted at a place."""
    place.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(place)], check=True
    )
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int, after: float) -> Path:
    """Fill a disk up to some bytes, from a thread, after some seconds; the file that does it."""
    ballast = disk / "ballast"

    def work() -> None:
        time.sleep(after)
        free = os.statvfs(disk)
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - leave)))

    threading.Thread(target=work, daemon=True).start()
    return ballast


def work(folder: Path, run: Path, store: Path, *, with_inc: bool, known: str | None) -> None:
    """One run; what it ends with is in ``said.json`` beside its folder."""
    logging.getLogger("nc_sigopt_strategy").addHandler(Confirmed(folder / "confirmed.jsonl"))
    images = Images()
    reference = logits(folder / "model.onnx", images).argmax(1)

    def evaluate(model: Any) -> float:
        serialized = model if isinstance(model, bytes) else model.SerializeToString()
        session = onnxruntime.InferenceSession(serialized)
        found = session.run(None, {"input": images.inputs})[0]
        return float((found.argmax(1) == reference).mean())

    kwargs: dict[str, Any] = {
        "output_dir": str(run),
        "storage": f"sqlite:///{store / 'store.sqlite3'}",
        "progress": False,
        "patience": 0,
    }
    if known is not None:
        kwargs["sigopt_experiment_id"] = known
    if not with_inc:
        autotune(
            folder / "model.onnx",
            eval_fn=lambda model: evaluate(getattr(model, "model", model)),
            calib_dataloader=images,
            tolerable_loss=0.3,
            max_trials=MAX_TRIALS,
            calibration_sampling_size=32,
            host="onnxruntime",
            **kwargs,
        )
        return
    config.options.workspace = str(folder / "workspace")
    quantization.fit(
        str(folder / "model.onnx"),
        config.PostTrainingQuantConfig(
            calibration_sampling_size=[32],
            accuracy_criterion=config.AccuracyCriterion(tolerable_loss=0.3),
            tuning_criterion=config.TuningCriterion(
                strategy="sigopt", strategy_kwargs=kwargs, max_trials=MAX_TRIALS
            ),
        ),
        calib_dataloader=images,
        eval_func=evaluate,
    )


def forked(folder: Path, run: Path, store: Path, *, with_inc: bool, known: str | None) -> int:
    """Start a run; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        said = ""
        try:
            work(folder, run, store, with_inc=with_inc, known=known)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        (folder / "said.json").write_text(json.dumps(said))
    finally:
        os._exit(0)


def inspected(folder: Path, run: Path, store: Path, images: Images) -> tuple[list[str], str, int]:
    """What is wrong, in words; the experiment's id; and how many trials were confirmed."""
    problems = []
    said = words_of(folder)
    log = (folder / "log.txt").read_text(errors="replace")
    if said and not any(word in said for word in _FULL):
        problems.append(f"ended with {said}")
    if "Traceback (most recent call last)" in log:
        problems.append(f"a traceback in the log: {log.splitlines()[-1]}")
    lines = []
    if (folder / "confirmed.jsonl").exists():
        text = (folder / "confirmed.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
    known = ""
    if (store / "store.sqlite3").exists():
        connection = open_embedded(f"sqlite:///{store / 'store.sqlite3'}")
        ids = [str(document.id) for document in list_experiments(connection)]
        stored: Counter[str] = Counter()
        if ids:
            known = ids[0]
            stored = Counter(r.in_words() for r, _ in join_on(connection, known).trials())
        problems += [f"lost: {line}" for line in lines if not stored[line]]
        connection.impl.driver.close()
    elif lines:
        problems.append("the store is gone")
    return problems + broken_files(run, images), known, len(lines)


def words_of(folder: Path) -> str:
    """What a run ended with; empty for a result."""
    text = (folder / "said.json").read_text() if (folder / "said.json").exists() else ""
    return str(json.loads(text)) if text else "died without a word"


def broken_files(run: Path, images: Images) -> list[str]:
    """Files of a run folder that are not whole, in words."""
    if not run.is_dir():
        return []
    problems = [f"half written: {path.name}" for path in run.glob("*.partial")]
    try:
        for path in run.glob("*.json"):
            json.loads(path.read_text())
        if (run / "outcome.json").exists():
            named = read_outcome(run).files.values()
            problems += [f"not there: {name}" for name in named if not (run / name).exists()]
        if (run / "trials.jsonl").exists():
            read_trials(run)
        best = run / f"{BEST_MODEL}.onnx"
        if best.exists() and not np.isfinite(logits(best, images)).all():
            problems.append("the best model answers nonsense")
    except Exception as error:
        problems.append(f"not whole: {type(error).__name__}: {error}")
    return problems


def main(runs: int, seed: int) -> int:
    """Let that many disks fill up; returns the exit code."""
    rng, images, problems = random.Random(seed), Images(), 0
    ends: Counter[str] = Counter()
    usual, confirmed = _USUAL_SECONDS, 0
    with tempfile.TemporaryDirectory(prefix="full-disks-") as top:
        for number in range(runs):
            folder = Path(top) / f"run-{number}"
            folder.mkdir()
            write_model(folder / "model.onnx")
            with_inc, where = number % 2 == 1, ("run", "store", "both")[number // 2 % 3]
            with small_disk(folder / "disk") as disk:
                run = (folder if where == "store" else disk) / "run"
                store = folder if where == "run" else disk
                leave = rng.choice((0, 0, 4096, 20_000, 70_000, 200_000))
                # The first two fill nothing, to learn how long a run takes.
                after = _LATEST_SECONDS if number < 2 else rng.uniform(0.0, usual)
                ballast = fill(disk, leave, after)
                begun = time.monotonic()
                found: list[str] = []
                child = forked(folder, run, store, with_inc=with_inc, known=None)
                if not ended(child, _LATEST_SECONDS):
                    found.append("never ended")
                elif number < 2:
                    usual = time.monotonic() - begun
                ballast.unlink(missing_ok=True)
                known, stored = "", 0
                if not found:
                    found, known, stored = inspected(folder, run, store, images)
                    said = words_of(folder)
                    ends[said.partition(":")[0] or "a result"] += 1
                confirmed += stored
                if known and not found:
                    found = continued(folder, run, store, images, known, with_inc=with_inc)
                kind = "fit" if with_inc else "autotune"
                print(
                    f"{number + 1}: {kind}, {where} full but for {leave} bytes after {after:.1f} "
                    f"s, {stored} trials: {'; '.join(found) or 'well'}",
                    flush=True,
                )
                problems += bool(found)
    print(
        f"{runs} runs, {confirmed} confirmed trials, {problems} problems; they ended with "
        f"{dict(ends)}"
    )
    return 1 if problems else 0


def continued(
    folder: Path, run: Path, store: Path, images: Images, known: str, *, with_inc: bool
) -> list[str]:
    """What goes wrong when the experiment is continued with space on the disk, in words."""
    if not ended(forked(folder, run, store, with_inc=with_inc, known=known), _LATEST_SECONDS):
        return ["continued: never ended"]
    said = words_of(folder)
    if said:
        return [f"continued: {said}"]
    problems, _, _ = inspected(folder, run, store, images)
    if read_outcome(run).trials != MAX_TRIALS:
        problems.append(f"continued: {read_outcome(run).trials} trials of {MAX_TRIALS}")
    return [f"continued: {problem}" for problem in problems]


if __name__ == "__main__":
    sys.exit(main(*(int(a) for a in (*sys.argv[1:], *(RUNS, 0)[len(sys.argv) - 1 :]))))
