"""The run configuration that a command line names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nc_sigopt_benchmarks.config.run_config import RunConfig


def read_run_config(path: Path, output: Path | None = None) -> RunConfig:
    """Read and check it.

    Args:
        path: Of the YAML file, or the name of a built-in one.
        output: Folder of the run folder, instead of the file's.

    Raises:
        ConfigFileError: The file is missing, is not YAML, or a key or value in it is wrong.
    """
    from nc_sigopt_benchmarks.config import builtin, yaml_file

    config = yaml_file.read_config(builtin.named_config(path))
    return config if output is None else dataclasses.replace(config, output=output)
