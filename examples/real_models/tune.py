"""Tune a real model that a Python package ships, on the runtime that is asked for.

    REAL_MODEL=minilm_l6_v2 python examples/real_models/tune.py [--host auto] [--timeout 180]

See data.py beside it for the models. With --path it only says where the model lies.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import data

import nc_sigopt_strategy as ncs


def main(host: str, timeout: float, trials: int) -> None:
    """Tune, and say what came out."""
    result = ncs.autotune(
        data.model.path,
        eval_fn=data.eval_func,
        calib_dataloader=data.calib_dataloader,
        host=host,
        timeout=timeout,
        max_trials=trials,
    )
    print(data.model.description)
    print(result.outcome.verdict)
    print(f"The record is in {result.folder}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a real model that a package ships.")
    parser.add_argument("--host", default="onnxruntime", help="onnxruntime, openvino, inc or auto")
    parser.add_argument("--timeout", type=float, default=180, help="seconds")
    parser.add_argument("--trials", type=int, default=100, help="models tried at most")
    parser.add_argument("--path", action="store_true", help="say where the model lies")
    arguments = parser.parse_args()
    if arguments.path:
        print(data.model.path)
    else:
        main(arguments.host, arguments.timeout, arguments.trials)
