"""``python -m nc_sigopt_strategy.cli``: the same as ``nc-sigopt``."""

from __future__ import annotations

from nc_sigopt_strategy.cli.main import main

if __name__ == "__main__":
    main()
