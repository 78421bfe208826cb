"""The magics of SigOpt's client in a notebook, executed in a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.engine.client_programs import TOKEN, everything, new_client, served
from tests.support.notebooks import ROOT, outputs

EXPERIMENT = """%%experiment
{
    "name": "in a notebook",
    "parameters": [{"name": "x", "type": "double", "bounds": {"min": 0, "max": 1}}],
    "metrics": [{"name": "m", "objective": "maximize"}],
    "budget": 3,
}"""
WRONG = EXPERIMENT.replace('"max": 1', '"max": -1')
OPTIMIZE = """%%optimize My_First_Optimization
sigopt.log_dataset("digits")
sigopt.log_metadata("round", factor)
sigopt.log_metric("m", factor * sigopt.params.x)"""
RUN = """%%run A_Single_Run
sigopt.params.depth = 3
sigopt.log_metric("m", 7)"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with served(tmp_path) as address:
        yield address


def outputs_of(folder: Path, url: str, *cells: str) -> list[str]:
    """What each cell of a notebook prints, whose kernel knows the server."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return outputs(notebook, folder, url, TOKEN, "notebooks")


def test_experiment_optimize_and_run(tmp_path: Path, url: str) -> None:
    conn = new_client(url)
    client = conn.clients(conn.tokens("self").fetch().client)
    client.projects().create(id="notebooks", name="notebooks")
    start = "import sigopt\nfactor = 2\n%load_ext sigopt"
    told = outputs_of(tmp_path, url, start, WRONG, EXPERIMENT, OPTIMIZE, RUN)
    # A mistake is told, which the client does for the status 400 only.
    assert "ApiException" in told[1]
    assert "max must be greater than min" in told[1]
    assert "AI Experiment created" in told[2]
    assert told[3].count("Run started") == 3
    assert told[4].count("Run finished") == 1
    single, *rounds = [
        run.to_json() for run in everything(client.projects("notebooks").training_runs().fetch())
    ]
    assert (single["name"], single["assignments"]) == ("A_Single_Run", {"depth": 3})
    assert single["experiment"] is None
    assert single["values"]["m"]["value"] == 7
    assert [run["name"] for run in rounds] == ["My_First_Optimization"] * 3
    for run in rounds:
        assert run["state"] == "completed"
        assert run["observation"] is not None
        assert run["metadata"] == {"round": 2}
        assert run["values"]["m"]["value"] == pytest.approx(2 * run["assignments"]["x"])
    (experiment,) = everything(client.projects("notebooks").aiexperiments().fetch())
    assert experiment.to_json()["progress"]["remaining_budget"] == 0


def test_the_notebook_among_the_examples(tmp_path: Path, url: str) -> None:
    pytest.importorskip("sklearn")
    conn = new_client(url)
    client = conn.clients(conn.tokens("self").fetch().client)
    client.projects().create(id="shown", name="shown")
    notebook = nbformat.read(ROOT / "examples" / "sigopt_magics.ipynb", 4)
    # As few rounds and trees as show what it shows.
    for cell in notebook.cells:
        cell.source = cell.source.replace('"budget": 10', '"budget": 3').replace("60}", "6}")
    *_, best = outputs(notebook, tmp_path, url, TOKEN, "shown")
    found = everything(client.projects("shown").training_runs().fetch())
    names = [run.name for run in found]
    assert names == ["suggested"] * 3 + ["with the defaults"]
    assert {run.state for run in found} == {"completed"}
    measured = [run.values["accuracy"].value for run in found[:3]]
    assert f"accuracy {max(measured):.4f}" in best
    assert best.startswith("suggested: {'leaf': ")
    (experiment,) = everything(client.projects("shown").aiexperiments().fetch())
    assert experiment.to_json()["progress"]["finished_run_count"] == 3
