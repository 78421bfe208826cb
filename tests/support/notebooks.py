"""Notebooks that a program of SigOpt's would be, executed in a kernel of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]


def outputs(notebook: Any, folder: Path, url: str, token: str, project: str) -> list[str]:
    """What each cell prints.

    Args:
        notebook: Of nbformat.
        folder: Where it runs and keeps what IPython and SigOpt's client keep.
        url: The server that its client knows.
        token: The token for it.
        project: The project that runs belong to.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(folder / "ipython"),
        "SIGOPT_HOME": str(folder / ".sigopt"),
        "SIGOPT_API_URL": url,
        "SIGOPT_API_TOKEN": token,
        "SIGOPT_PROJECT": project,
    }
    environment.pop("PYTEST_CURRENT_TEST", None)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    return [
        "".join(out.get("text", "") for out in cell.get("outputs", ())) for cell in notebook.cells
    ]
