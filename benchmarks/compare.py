"""Compare strategies: ``python benchmarks/compare.py configs/demo.yaml``.

The same as ``nc-sigopt compare``, for a checkout that is not installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).resolve().parents[1], Path(__file__).resolve().parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from nc_sigopt_strategy.cli import compare  # noqa: E402  the lines above make it importable

if __name__ == "__main__":
    compare()
