"""The commands of the first ten minutes: quantities, ``init``, ``runs``, ``report``, crashes."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from nc_sigopt_strategy.cli.main import cli
from nc_sigopt_strategy.cli.shared import CRASHED, FOUND, WRONG_USE
from nc_sigopt_strategy.errors import UsersCodeError
from nc_sigopt_strategy.jobs.job_options import JobOptions
from nc_sigopt_strategy.jobs.run_end import RunEnd
from nc_sigopt_strategy.results.outcome import Outcome
from nc_sigopt_strategy.testing.fake_host import FakeHost
from tests.cli.test_cli import FakeJob, _environment, job, outcome  # noqa: F401  # job is a fixture
from tests.reports.test_page_server import ask
from tests.tuning.test_loop import run as tune_fake


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[JobOptions]:
    """What ``tune`` makes of its options; nothing is run."""
    seen: list[JobOptions] = []

    def note(target: Path, said: JobOptions) -> None:
        seen.append(said)
        raise UsersCodeError("Enough.", traceback="Seen")

    monkeypatch.setattr("nc_sigopt_strategy.jobs.opening.open_job", note)
    return seen


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("10 min", 600), ("1.5h", 5400), ("1h30m", 5400)],
)
def test_times_as_people_write_them(written: str, seconds: int, options: list[JobOptions]) -> None:
    assert invoke("tune", "net.onnx", "--timeout", written).exit_code == CRASHED
    assert options[0].timeout == seconds


@pytest.mark.parametrize("written", ["0", "-3", "soon", "10x", "nan", "inf", "", "0.2s"])
def test_what_is_no_time(written: str, options: list[JobOptions]) -> None:
    result = invoke("tune", "net.onnx", "--timeout", written)
    assert result.exit_code == WRONG_USE
    assert repr(written) in result.output
    assert not options


@pytest.mark.parametrize(("written", "loss"), [("1%", 0.01), ("0.5 %", 0.005), ("0.02", 0.02)])
def test_losses_as_people_write_them(written: str, loss: float, options: list[JobOptions]) -> None:
    invoke("tune", "net.onnx", "--loss", written)
    assert options[0].loss == pytest.approx(loss)


@pytest.mark.parametrize("written", ["much", "1%%", "nan", ""])
def test_what_is_no_loss(written: str, options: list[JobOptions]) -> None:
    assert invoke("tune", "net.onnx", "--loss", written).exit_code == WRONG_USE
    assert not options


def test_a_crash_of_the_users_code_shows_the_way_to_it(job: FakeJob) -> None:  # noqa: F811
    crashed = Outcome(
        "sigopt", False, "ValueError: no (data.py, line 3)", error="x", crash='File "data.py"'
    )
    job.end = RunEnd(crashed, False)
    result = invoke("tune", "any.fake")
    assert result.exit_code == CRASHED
    assert result.stderr.splitlines()[-2:] == [
        'File "data.py"',
        "nc-sigopt: error: ValueError: no (data.py, line 3)",
    ]


def test_json_is_all_that_goes_to_standard_output(job: FakeJob) -> None:  # noqa: F811
    result = invoke("tune", "any.fake", "--json")
    assert result.exit_code == FOUND
    said = json.loads(result.stdout)
    assert Outcome.from_json(said["outcome"]) == outcome(True)
    assert Path(said["folder"]).is_dir()


def test_quiet_says_what_came_of_it_and_no_more(job: FakeJob) -> None:  # noqa: F811
    result = invoke("tune", "any.fake", "-q")
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "strategy", "said"),
    [
        (("--watch", "--ray"), "sigopt", "--watch does not go with --ray"),
        (("--watch",), "basic", "runs the strategy basic, which has no page until its end"),
    ],
)
def test_what_cannot_be_watched(
    job: FakeJob,  # noqa: F811
    options: tuple[str, ...],
    strategy: str,
    said: str,
) -> None:
    job.strategy = strategy
    result = invoke("tune", "any.fake", *options)
    assert result.exit_code == WRONG_USE
    assert said in result.stderr
    assert not job.output.exists()


def test_what_is_watched_writes_its_page(job: FakeJob) -> None:  # noqa: F811
    result = invoke("tune", "any.fake", "--watch", "-q")
    assert result.exit_code == FOUND
    assert job.told == [{"live_page": True}]
    assert result.stderr.startswith("Watch it at http://127.0.0.1:")


def test_the_command_is_kept_with_the_run(job: FakeJob) -> None:  # noqa: F811
    job.options = JobOptions(data=Path("my data.py"), loss=0.02, settings={"patience": 3})
    said = json.loads(invoke("tune", "any.fake", "--json").stdout)
    command = json.loads((Path(said["folder"]) / "command.json").read_text())["command"]
    assert command == (
        f"nc-sigopt tune {job.path} --data 'my data.py' --loss 0.02 --set patience=3"
    )


def test_runs_and_report(tmp_path: Path) -> None:
    tune_fake(FakeHost(), tmp_path / "runs" / "one")
    listed = invoke("runs", str(tmp_path))
    assert listed.exit_code == 0
    assert "fake" in listed.output
    (found,) = json.loads(invoke("runs", str(tmp_path), "--json").stdout)
    page = tmp_path / "page.html"
    result = invoke("report", found["folder"], "--output", str(page), "--beside", found["folder"])
    assert result.output == f"Report: {page}\n"
    assert "0 ops of the winners have another type" in page.read_text()


def test_a_run_that_goes_on_can_be_watched_from_elsewhere(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from nc_sigopt_strategy.results.run_facts import marked_as_running\n"
        "from pathlib import Path\n"
        "with marked_as_running(Path(sys.argv[1]), 'w'):\n"
        "    print('runs', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    folder = tmp_path / "run"
    folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == "runs\n"
        with subprocess.Popen(
            [sys.executable, "-m", "nc_sigopt_strategy.cli", "report", str(folder), "--watch"],
            stdout=subprocess.PIPE, text=True, env=_environment(),
        ) as watching:  # fmt: skip
            assert watching.stdout is not None
            url = watching.stdout.readline().strip().removeprefix("Watch it at ")
            (folder / "report.html").write_text("the page")
            assert ask(url)[2] == b"the page"
            running.stdin.close()
            assert watching.wait(300) == FOUND


@pytest.mark.parametrize("options", [(), ("--output", "page.html")], ids=["ended", "elsewhere"])
def test_what_cannot_be_watched_from_elsewhere(options: tuple[str, ...], tmp_path: Path) -> None:
    tune_fake(FakeHost(), tmp_path / "one")
    result = invoke("report", str(tmp_path / "one"), "--watch", *options)
    assert result.exit_code == WRONG_USE
    assert ("beside --watch" if options else "No run goes on in") in result.stderr


def test_no_runs_are_no_mistake(tmp_path: Path) -> None:
    result = invoke("runs", str(tmp_path))
    assert (result.exit_code, "No runs here" in result.output) == (0, True)


def test_a_report_of_nothing(tmp_path: Path) -> None:
    result = invoke("report", str(tmp_path))
    assert result.exit_code == WRONG_USE
    assert "nc-sigopt runs lists" in result.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    inputs = [
        helper.make_tensor_value_info("input ids:0", kinds.INT64, ["n", 7]),
        helper.make_tensor_value_info("labels", kinds.FLOAT, ["n", 7]),
    ]
    made = helper.make_tensor_value_info("sum", kinds.FLOAT, ["n", 7])
    nodes = [
        helper.make_node("Cast", ["input ids:0"], ["cast"], to=kinds.FLOAT),
        helper.make_node("Add", ["cast", "labels"], ["sum"]),
    ]
    path = tmp_path / "net.v2.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, [made])), str(path))
    return path


def test_init_names_the_models_own_inputs(model: Path) -> None:
    folder = model.parent
    result = invoke("init", str(model), "--output", str(folder))
    assert result.exit_code == 0, result.output
    text = (folder / "pipeline.py").read_text()
    ast.parse(text)
    assert "input ids:0: int64 [?, 7]" in text
    # A name that the file uses itself is not given to an input.
    assert '{"input ids:0": input_ids, "labels": input_1}' in text
    assert (folder / "net.v2.yaml").is_file()


def test_init_takes_names_as_people_give_them(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    yaml = pytest.importorskip("yaml")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ['say "a"', "ids:0", "ids:1", 'back\\slash """', "new\nline", "größe", "input_1"]
    tensors = [helper.make_tensor_value_info(name, kind, ["n"]) for name in names]
    graph = helper.make_graph([helper.make_node("Sum", names, ["y"])], "g", tensors, tensors[:0])
    path = tmp_path / "my model: #2" / "net 1 \\ it's.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph), str(path))
    result = invoke("init", str(path), "--output", str(path.parent))
    assert result.exit_code == 0, result.output
    *_, (program, _, given, *_) = map(shlex.split, result.output.splitlines()[-1:])
    assert (program, given) == ("nc-sigopt", str(path))
    text = (path.parent / "pipeline.py").read_text()
    (mapping,) = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Dict))
    assert [ast.literal_eval(key) for key in mapping.keys if key is not None] == names
    variables = [node.id for node in mapping.values if isinstance(node, ast.Name)]
    assert len(set(variables)) == len(names)
    written = yaml.safe_load((path.parent / "net 1 \\ it's.yaml").read_text())
    assert written["model"]["path"] == path.name
    assert written["name"] == path.stem


def test_a_model_that_is_named_like_a_word_of_yamls(model: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = model.rename(model.parent / "no.onnx")
    assert invoke("init", str(path), "--output", str(path.parent)).exit_code == 0
    assert yaml.safe_load((path.parent / "no.yaml").read_text())["name"] == "no"


def test_what_init_writes_runs_once_there_is_data(model: Path) -> None:
    folder = model.parent
    invoke("init", str(model), "--output", str(folder))
    text = (folder / "pipeline.py").read_text()
    data = (
        "    input_ids = np.zeros((50, 7), np.int64)\n"
        "    input_1 = np.zeros((50, 7), np.float32)\n"
        "    labels = np.zeros(50, int)\n"
    )
    todo = '    raise NotImplementedError("TODO: load your own data here")\n'
    assert todo in text
    names: dict[str, object] = {}
    exec(compile(text.replace(todo, data), "pipeline.py", "exec"), names)
    batches = list(names["calib_dataloader"])  # type: ignore[call-overload]
    assert [len(labels) for _, labels in batches] == [20, 20, 10]
    assert batches[0][0]["labels"].dtype == np.float32


def test_the_todo_of_init_is_a_crash_in_ones_own_code(model: Path) -> None:
    folder = model.parent
    invoke("init", str(model), "--output", str(folder))
    result = invoke("check", str(model), "--data", str(folder / "pipeline.py"))
    assert result.exit_code == CRASHED
    assert "TODO: load your own data here" in result.stderr
    assert f'File "{folder / "pipeline.py"}"' in result.stderr


def test_init_replaces_nothing_unasked(model: Path) -> None:
    folder = model.parent
    (folder / "pipeline.py").write_text("mine")
    result = invoke("init", str(model), "--output", str(folder))
    assert result.exit_code == WRONG_USE
    assert "--force" in result.stderr
    assert (folder / "pipeline.py").read_text() == "mine"
    assert not (folder / "net.v2.yaml").exists()
    assert invoke("init", str(model), "--output", str(folder), "--force").exit_code == 0


def test_the_run_configuration_of_init_is_one(model: Path) -> None:
    from nc_sigopt_benchmarks.config.yaml_file import read_config

    invoke("init", str(model), "--output", str(model.parent))
    config = read_config(model.parent / "net.v2.yaml")
    assert (config.model.name, config.model.source, config.model.format) == (
        "net.v2",
        "path",
        "onnx",
    )
    assert config.model.path == model
    # What the first line names is there, and describes the file.
    first = (model.parent / "net.v2.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=nc-sigopt.schema.json"
    schema = json.loads((model.parent / "nc-sigopt.schema.json").read_text())
    assert "strategies" in schema["properties"]
